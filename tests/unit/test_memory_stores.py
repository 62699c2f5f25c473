"""The faults of the in-memory stores. Their contracts are tested with the other stores'."""

from __future__ import annotations

from typing import Any

import pytest

from ocppress_gateway.core.stored import Lane, Loaded, NotStored, OutboxOpened, OutboxTrouble, Stored
from ocppress_gateway.errors import StoreInUse
from ocppress_gateway.outbox.base import SLOW_COMMIT_S
from ocppress_gateway.outbox.memory import MemoryOutbox
from ocppress_gateway.storage.desk import RETRY_S_MAX
from ocppress_gateway.storage.memory import DiskFaults
from tests.support.stores import MemoryOutboxRig, OutboxRig, message


def _life(seed: int) -> list[Any]:
    """What a hundred messages and some deaths come to, with every fault."""
    faults = DiskFaults(seed=seed, commit_s=(0.0, 0.3), slow_share=0.05, fail_share=0.05, fail_s=(0.0, 20.0), damage_share=0.2)
    rig = MemoryOutboxRig(faults=faults)
    for number in range(100):
        rig.store(message(number))
        rig.run(3.7)
        if number % 20 == 19:
            rig.store(message(1000 + number))
            rig.kill(unheard=True)
    return rig.events


def test_the_same_seed_gives_the_same_events() -> None:
    first = _life(1)
    assert first == _life(1)
    assert first != _life(2)
    assert {OutboxOpened, OutboxTrouble, Stored, NotStored} == set(map(type, first))
    assert any(event.fault for event in first if isinstance(event, OutboxOpened))


def test_commits_take_the_time_that_the_plan_has() -> None:
    rig = MemoryOutboxRig(faults=DiskFaults(commit_s=(0.5, 0.5)))
    rig.run(10.0)
    rig.store(message(1))
    rig.run(0.49)
    assert rig.heard(Stored) == []
    rig.run(0.02)
    assert len(rig.heard(Stored)) == 1


def test_a_slow_commit_is_reported_while_it_lasts_and_new_messages_are_refused_until_one_is_fast() -> None:
    rig = MemoryOutboxRig()
    rig.run()
    rig.disk.commit_takes_s = SLOW_COMMIT_S * 3
    (first,) = rig.store(message(1))
    rig.run(SLOW_COMMIT_S)
    assert rig.heard(Stored, OutboxTrouble) == [OutboxTrouble("slow: the disk takes more than 2 s")]
    (second,) = rig.store(message(2))
    rig.run(SLOW_COMMIT_S * 2)
    assert rig.heard(Stored, NotStored, OutboxTrouble) == [Stored(first, 1), NotStored(second, "slow: the disk takes more than 2 s")]
    rig.disk.commit_takes_s = SLOW_COMMIT_S / 2
    rig.run(RETRY_S_MAX)
    assert rig.heard(OutboxTrouble) == [OutboxTrouble(None)]
    rig.store(message(3))
    rig.run(SLOW_COMMIT_S)
    assert [event.position for event in rig.heard(Stored)] == [2]


def test_failures_last_as_long_as_the_plan_has() -> None:
    rig = MemoryOutboxRig(faults=DiskFaults(seed=3, fail_share=0.1, fail_s=(100.0, 100.0)))
    results = []
    for number in range(300):
        rig.store(message(number))
        rig.run(10.0)
        results += [isinstance(event, Stored) for event in rig.heard(Stored, NotStored)]
    runs = "".join("+" if stored else "-" for stored in results).replace("+-", "+ -").replace("-+", "- +").split()
    failures = [len(run) for run in runs if run[0] == "-"]
    assert len(failures) > 3
    assert all(run >= 10 for run in failures[:-1]), "100 s, until a trial has found the disk working again"


@pytest.mark.parametrize(("share", "there"), [(0.0, True), (1.0, False)])
def test_a_commit_that_nobody_heard_of_is_there_or_not(share: float, there: bool) -> None:
    rig = MemoryOutboxRig(faults=DiskFaults(torn_share=share))
    rig.store(message(1))
    rig.run()
    rig.store(message(2))
    rig.kill(unheard=True)
    rig.outbox.load("CP1", Lane.ORDERED, 0, 10_000)
    rig.run()
    (loaded,) = rig.heard(Loaded)
    assert [one.position for one in loaded.messages] == ([1, 2] if there else [1])


def test_a_damaged_outbox_has_a_new_incarnation_and_what_could_be_read() -> None:
    rig = MemoryOutboxRig(faults=DiskFaults(damage_share=1.0))
    rig.store(*(message(number) for number in range(5)))
    rig.outbox.remember("CP1", True, 300)
    rig.run()
    rig.outbox.forget("CP1", Lane.ORDERED, 2)
    rig.restart()
    rig.run()
    rig.kill()
    rig.run()
    first, second, third = rig.heard(OutboxOpened)
    assert first.incarnation == second.incarnation != third.incarnation
    assert second.fault is None
    assert third.fault == "damaged (as the fault plan has it): 3 messages were taken over into a new one"
    (station,) = third.stations
    assert (station.delivered, station.newest, station.accepted) == ((0, 0), (0, 3), True)
    assert station.fingerprints == tuple(message(number).fingerprint for number in range(5))
    rig.outbox.load("CP1", Lane.ORDERED, 0, 10_000)
    rig.run()
    (loaded,) = rig.heard(Loaded)
    assert [one.body for one in loaded.messages] == [message(number).body for number in (2, 3, 4)]
    assert _stored_position(rig) == 4


def _stored_position(rig: OutboxRig) -> int:
    rig.store(message(99))
    rig.run()
    (stored,) = rig.heard(Stored)
    return stored.position


def test_a_read_that_fails_comes_when_the_disk_works_again() -> None:
    rig = MemoryOutboxRig()
    rig.store(message(1))
    rig.run()
    rig.break_disk()
    rig.outbox.load("CP1", Lane.ORDERED, 0, 10_000)
    rig.run(100.0)
    assert rig.heard(Loaded, OutboxTrouble) == [OutboxTrouble("no space left on the disk")]
    rig.outbox.load("CP1", Lane.EXPRESS, 0, 10_000)
    rig.run(100.0)
    rig.repair_disk()
    rig.run(RETRY_S_MAX)
    over, first, second = rig.heard(Loaded, OutboxTrouble)
    assert over == OutboxTrouble(None)
    assert isinstance(first, Loaded)
    assert isinstance(second, Loaded)
    assert (first.lane, len(first.messages), second.lane) == (Lane.ORDERED, 1, Lane.EXPRESS)


def test_reads_that_fail_are_not_tried_anew_with_each_call() -> None:
    rig = MemoryOutboxRig()
    rig.store(message(1))
    rig.run()
    rig.break_disk()
    for _ in range(50):
        rig.outbox.load("CP1", Lane.ORDERED, 0, 10_000)
        rig.run(0.01)
    assert rig.outbox.measure().faults == 1


def test_one_process_at_a_time() -> None:
    rig = MemoryOutboxRig()
    rig.run()
    another = MemoryOutbox(rig.disk, rig.events.append, lambda: rig.now)
    another.open()
    with pytest.raises(StoreInUse):
        another.run()
