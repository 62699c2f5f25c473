"""The contract of an outbox (`outbox.base`), over all kinds of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ocppress_gateway.core.stored import Lane, Loaded, NotStored, OutboxOpened, OutboxTrouble, StationRecord, Stored, StoredMessage
from ocppress_gateway.outbox.base import COMMIT_PAUSE_S, FINGERPRINTS_MAX, STATIONS_MAX, OutboxLimits
from ocppress_gateway.outbox.calls import HEARTBEAT_S_MAX, WAITING_TEXT_MAX
from ocppress_gateway.outbox.contents import size_of_message
from ocppress_gateway.storage.desk import GROUP_TEXT_MAX, GROUP_WRITES_MAX, LAZY_S, RETRY_S_MAX
from tests.support.stores import KINDS, OutboxRig, message, outbox_rig

TEXT = 1_000_000
DAY_S = 86400.0


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rig(kind: str, tmp_path: Path) -> Iterator[OutboxRig]:
    found = outbox_rig(kind, tmp_path)
    yield found
    found.close()


def _opened(rig: OutboxRig) -> OutboxOpened:
    rig.run()
    (opened,) = rig.heard(OutboxOpened)
    return opened


def _stored(rig: OutboxRig, *messages: StoredMessage) -> list[int]:
    """Store messages; their positions."""
    rig.run()
    rig.heard()
    tickets = rig.store(*messages)
    rig.run()
    events = rig.heard(Stored, NotStored)
    stored = [event for event in events if isinstance(event, Stored)]
    assert stored == events
    assert [event.ticket for event in stored] == tickets
    return [event.position for event in stored]


def _loaded(rig: OutboxRig, lane: Lane = Lane.ORDERED, after: int = 0, text_max: int = TEXT, identity: str = "CP1") -> list[StoredMessage]:
    rig.run()
    rig.heard()
    rig.outbox.load(identity, lane, after, text_max)
    rig.run()
    (loaded,) = rig.heard(Loaded)
    assert (loaded.identity, loaded.lane) == (identity, lane)
    return list(loaded.messages)


def _with_positions(*messages: StoredMessage, first: int = 1) -> list[StoredMessage]:
    return [replace(one, position=position) for position, one in enumerate(messages, start=first)]


# --- opening


def test_a_new_outbox_is_empty_and_has_an_incarnation(rig: OutboxRig) -> None:
    opened = _opened(rig)
    assert len(opened.incarnation) == 8
    assert (opened.stations, opened.fault) == ((), None)
    assert rig.outbox.measure().messages == 0


def test_each_outbox_has_its_own_incarnation(kind: str, tmp_path: Path) -> None:
    rigs = [outbox_rig(kind, tmp_path / str(number)) for number in range(2)]
    if kind == "memory":
        assert len({_opened(rig).incarnation for rig in rigs}) == 1, "the same seed"
    else:
        assert len({_opened(rig).incarnation for rig in rigs}) == 2
    for rig in rigs:
        rig.close()


@pytest.mark.parametrize("how", ["restart", "kill", "kill unheard"])
def test_what_is_stored_outlives_the_process(rig: OutboxRig, how: str) -> None:
    first = _opened(rig)
    messages = [message(number, fill=number * 300) for number in range(40)]
    express = [message(number, lane=Lane.EXPRESS, transaction=False) for number in range(100, 110)]
    other = message(7, identity="CP2", version="1.6")
    assert _stored(rig, *messages, other, *express) == [*range(1, 41), 1, *range(1, 11)]
    if how == "restart":
        rig.restart()
    else:
        rig.kill(unheard=how == "kill unheard")
    opened = _opened(rig)
    assert opened.incarnation == first.incarnation
    fingerprints = tuple(one.fingerprint for one in messages)
    assert opened.stations == (
        StationRecord("CP1", "2.0.1", (0, 0), (10, 40), False, 0, fingerprints),
        StationRecord("CP2", "1.6", (0, 0), (0, 1), False, 0, (other.fingerprint,)),
    )
    assert _loaded(rig) == _with_positions(*messages)
    assert _loaded(rig, Lane.EXPRESS) == _with_positions(*express)
    assert _loaded(rig, identity="CP2") == _with_positions(other)


def test_results_that_nobody_heard_of_are_on_disk_or_not_and_positions_go_on_in_either_case(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.store(message(2))
    rig.kill(unheard=True)
    (station,) = _opened(rig).stations
    kept = _loaded(rig)
    assert kept in (_with_positions(message(1)), _with_positions(message(1), message(2)))
    assert station.newest == (0, len(kept))
    assert _stored(rig, message(3)) == [len(kept) + 1]


def test_what_was_not_committed_when_the_process_died_is_not_there(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.store(message(2))
    rig.kill()
    _opened(rig)
    assert _loaded(rig) == _with_positions(message(1))
    assert not rig.heard(Stored)


# --- storing


def test_texts_come_back_as_they_were(rig: OutboxRig) -> None:
    bodies = [
        '"DataTransfer",{"a":230.10,"b":"\\u00e9é\\ud800","a":1e+01}',
        '"X",{}',
        '"X",{"long":"' + "é" * 500_000 + '"}',
        '"😀",{"\\u0000":""}',
    ]
    messages = [replace(message(number), body=body) for number, body in enumerate(bodies)]
    _stored(rig, *messages)
    rig.kill()
    assert _loaded(rig) == _with_positions(*messages)


def test_every_field_comes_back(rig: OutboxRig) -> None:
    one = StoredMessage("A*+=:|@._-z", Lane.EXPRESS, 0, "2.1", '"NotifyEvent",{}', True, b"", 1767571200.123456)
    _stored(rig, one)
    rig.kill()
    assert _loaded(rig, Lane.EXPRESS, identity=one.identity) == _with_positions(one)


def test_results_come_in_the_order_of_the_calls(rig: OutboxRig) -> None:
    rig.run()
    tickets = rig.store(*(message(number, identity=f"CP{number % 3}", lane=Lane(number % 2)) for number in range(50)))
    rig.outbox.load("CP1", Lane.ORDERED, 0, TEXT)
    tickets += rig.store(message(50))
    rig.run()
    assert [event.ticket for event in rig.heard(Stored)] == tickets


def test_a_message_that_finds_the_outbox_idle_is_stored_at_once(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.store(message(2))
    rig.run(0.0)
    assert rig.heard(Stored)


def test_what_comes_shortly_after_a_commit_shares_the_next(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    before = rig.outbox.measure().commits
    for number in range(10):
        rig.store(message(number))
        rig.run(COMMIT_PAUSE_S / 10)
    rig.run(COMMIT_PAUSE_S)
    assert len(rig.heard(Stored)) == 10
    assert rig.outbox.measure().commits == before + 2


def test_a_flood_is_stored_in_several_commits(rig: OutboxRig) -> None:
    _opened(rig)
    tickets = rig.store(*(message(number, fill=GROUP_TEXT_MAX // 4) for number in range(10)))
    rig.run(0.0)
    assert len(rig.heard(Stored)) == 3, "the fourth would be too much"
    rig.run()
    assert len(rig.heard(Stored)) == len(tickets) - 3
    rig.store(*(message(number) for number in range(GROUP_WRITES_MAX + 1)))
    rig.run(0.0)
    assert len(rig.heard(Stored)) == GROUP_WRITES_MAX
    rig.run()
    assert len(rig.heard(Stored)) == 1


def test_more_text_than_may_wait_is_refused_in_its_turn(rig: OutboxRig) -> None:
    _opened(rig)
    size = WAITING_TEXT_MAX // 4
    rig.store(*(message(number, fill=size - 100) for number in range(4)), message(4, fill=size), message(5))
    rig.run()
    assert [type(event) for event in rig.heard(Stored, NotStored)] == [Stored, Stored, Stored, Stored, NotStored, Stored]
    assert _stored(rig, message(6, fill=size)) == [6]


def test_the_version_is_that_of_the_newest_message(rig: OutboxRig) -> None:
    _stored(rig, message(1, version="1.6"), message(2, version="2.0.1"))
    rig.kill()
    assert [station.version for station in _opened(rig).stations] == ["2.0.1"]
    assert [one.version for one in _loaded(rig)] == ["1.6", "2.0.1"]


def test_no_station_too_many(rig: OutboxRig) -> None:
    _stored(rig, *(message(number, identity=f"CP{number}") for number in range(STATIONS_MAX)))
    rig.store(message(1, identity="another"), message(2, identity="CP5"))
    rig.outbox.remember("yet another", True, 300)
    rig.run()
    refused, stored = rig.heard(Stored, NotStored)
    assert isinstance(refused, NotStored)
    assert "stations" in refused.reason
    assert isinstance(stored, Stored)
    rig.restart()
    assert len(_opened(rig).stations) == STATIONS_MAX


# --- loading


def test_a_load_has_as_much_as_asked_for_and_one_message_at_least(rig: OutboxRig) -> None:
    messages = [message(number, fill=1000) for number in range(10)]
    _stored(rig, *messages)
    length = len(messages[0].body)
    assert len(_loaded(rig, text_max=3 * length)) == 3
    assert len(_loaded(rig, text_max=3 * length - 1)) == 2
    assert len(_loaded(rig, text_max=0)) == 1
    assert [one.position for one in _loaded(rig, after=7)] == [8, 9, 10]


@pytest.mark.parametrize("after", [0, 5, 2**40 - 1, 2**70])
def test_a_load_of_nothing_is_empty(rig: OutboxRig, after: int) -> None:
    assert _loaded(rig, after=after) == []
    _stored(rig, *(message(number) for number in range(5)))
    assert _loaded(rig, after=max(after, 5)) == []
    assert _loaded(rig, Lane.EXPRESS, after=after) == []
    assert _loaded(rig, identity="CP10", after=after) == []


def test_lanes_and_stations_are_apart(rig: OutboxRig) -> None:
    messages = [
        message(number, identity=identity, lane=lane)
        for number, (identity, lane) in enumerate([("CP1", Lane(0)), ("CP1", Lane(1)), ("CP2", Lane(0))])
    ]
    assert _stored(rig, *messages) == [1, 1, 1]
    assert _loaded(rig, Lane.EXPRESS) == _with_positions(messages[0])
    assert _loaded(rig, Lane.ORDERED) == _with_positions(messages[1])
    assert _loaded(rig, Lane.EXPRESS, identity="CP2") == _with_positions(messages[2])


def test_a_load_never_runs_ahead_of_the_reports(rig: OutboxRig) -> None:
    rig.run()
    rig.store(message(1))
    rig.outbox.load("CP1", Lane.ORDERED, 0, TEXT)
    rig.run()
    stored, loaded = rig.heard(Stored, Loaded)
    assert isinstance(stored, Stored)
    assert isinstance(loaded, Loaded)


# --- forgetting


def test_forgotten_messages_are_not_loaded_again_and_positions_go_on(rig: OutboxRig) -> None:
    messages = [message(number) for number in range(10)]
    _stored(rig, *messages)
    rig.outbox.forget("CP1", Lane.ORDERED, 4)
    assert _loaded(rig) == _with_positions(*messages[4:], first=5)
    rig.outbox.forget("CP1", Lane.ORDERED, 10)
    assert _loaded(rig) == []
    assert _stored(rig, message(99)) == [11]
    rig.restart()
    (station,) = _opened(rig).stations
    assert (station.delivered, station.newest) == ((0, 10), (0, 11))
    assert _stored(rig, message(100)) == [12]


def test_forgetting_goes_with_the_next_commit_or_after_a_while(rig: OutboxRig) -> None:
    _stored(rig, message(1), message(2))
    rig.outbox.forget("CP1", Lane.ORDERED, 1)
    rig.run(LAZY_S / 2)
    assert rig.outbox.measure().messages == 2, "nobody waits for it"
    rig.run(LAZY_S)
    assert rig.outbox.measure().messages == 1
    rig.outbox.forget("CP1", Lane.ORDERED, 2)
    _stored(rig, message(3))
    assert rig.outbox.measure().messages == 1


def test_a_forgetting_that_is_lost_with_the_process_does_no_harm(rig: OutboxRig) -> None:
    _stored(rig, message(1), message(2))
    rig.outbox.forget("CP1", Lane.ORDERED, 1)
    rig.kill()
    (station,) = _opened(rig).stations
    assert station.delivered == (0, 0)
    rig.outbox.forget("CP1", Lane.ORDERED, 1)
    assert _loaded(rig) == _with_positions(message(2), first=2)


@pytest.mark.parametrize("claimed", [3, 2**40, 2**70])
def test_what_nobody_can_know_of_is_not_forgotten(rig: OutboxRig, claimed: int) -> None:
    _stored(rig, message(1), message(2))
    rig.store(message(3))
    rig.outbox.forget("CP1", Lane.ORDERED, claimed)
    rig.outbox.forget("CP1", Lane.EXPRESS, claimed)
    rig.outbox.forget("CP2", Lane.ORDERED, claimed)
    rig.outbox.forget("CP1", Lane.ORDERED, -1)
    assert _loaded(rig) == _with_positions(message(3), first=3)
    rig.restart()
    assert _loaded(rig) == _with_positions(message(3), first=3)


def test_fingerprints_are_kept_over_delivery_up_to_a_number(rig: OutboxRig) -> None:
    count = FINGERPRINTS_MAX + 20
    messages = [message(number, transaction=number % 10 != 0) for number in range(1, count + 1)]
    _stored(rig, *messages)
    rig.outbox.forget("CP1", Lane.ORDERED, count - 30)
    rig.restart()
    (station,) = _opened(rig).stations
    expected = [one.fingerprint for one in messages if one.fingerprint][-FINGERPRINTS_MAX:]
    assert list(station.fingerprints) == expected
    rig.outbox.forget("CP1", Lane.ORDERED, count)
    rig.restart()
    (station,) = _opened(rig).stations
    assert list(station.fingerprints) == expected


# --- remembering


def test_a_boots_answer_is_remembered(rig: OutboxRig) -> None:
    _opened(rig)
    rig.outbox.remember("CP1", True, 300)
    rig.outbox.remember("CP2", True, 60)
    rig.run()
    rig.outbox.remember("CP2", False, 10**30)
    rig.outbox.remember("CP3", True, -5)
    rig.run()
    rig.kill()
    found = [(station.identity, station.accepted, station.heartbeat_interval_s) for station in _opened(rig).stations]
    assert found == [("CP1", True, 300), ("CP2", False, HEARTBEAT_S_MAX), ("CP3", True, 0)]


# --- limits


ROOM = 160
"""Messages in a small outbox; a sixteenth of it is ten."""


@pytest.fixture
def small(kind: str, tmp_path: Path) -> Iterator[OutboxRig]:
    found = outbox_rig(kind, tmp_path, OutboxLimits(bytes_max=ROOM * size_of_message(message(1)), age_s_max=14 * DAY_S))
    yield found
    found.close()


def test_a_full_outbox_refuses_and_drops_nothing(small: OutboxRig) -> None:
    messages = [message(number) for number in range(ROOM)]
    _stored(small, *messages)
    small.store(message(ROOM))
    small.run()
    trouble, refused = small.heard(OutboxTrouble, Stored, NotStored)
    assert isinstance(trouble, OutboxTrouble)
    assert isinstance(refused, NotStored)
    assert trouble.reason == refused.reason == small.outbox.measure().trouble
    assert trouble.reason is not None
    assert trouble.reason.startswith("full")
    assert _loaded(small) == _with_positions(*messages)
    small.restart()
    assert _loaded(small) == _with_positions(*messages)


def test_a_full_outbox_takes_messages_again_when_there_is_some_room(small: OutboxRig) -> None:
    _stored(small, *(message(number) for number in range(ROOM)))
    small.store(message(ROOM))
    small.run()
    small.heard()
    small.outbox.forget("CP1", Lane.ORDERED, 9)
    small.run()
    assert small.outbox.measure().messages == ROOM - 9, "room is made at once"
    small.store(message(ROOM))
    small.run()
    assert [type(event) for event in small.heard(OutboxTrouble, Stored, NotStored)] == [NotStored], "not with each message anew"
    small.outbox.forget("CP1", Lane.ORDERED, 10)
    small.run()
    assert small.heard(OutboxTrouble) == [OutboxTrouble(None)]
    assert _stored(small, *(message(number) for number in range(10))) == [*range(ROOM + 1, ROOM + 11)]


def test_a_message_too_large_for_the_room_that_is_left_is_no_trouble_for_others(small: OutboxRig) -> None:
    _stored(small, message(1))
    small.store(message(2, fill=ROOM * 1000), message(3))
    small.run()
    refused, stored = small.heard(OutboxTrouble, Stored, NotStored)
    assert isinstance(refused, NotStored)
    assert refused.reason == "no room for a message of this size"
    assert isinstance(stored, Stored)


def test_a_message_that_has_waited_too_long_makes_the_outbox_refuse_new_ones(small: OutboxRig) -> None:
    _stored(small, message(1))
    small.run(DAY_S)
    _stored(small, message(2))
    small.heard()
    small.run(13 * DAY_S - 60)
    assert small.heard(OutboxTrouble) == []
    small.run(60)
    (trouble,) = small.heard(OutboxTrouble)
    assert trouble.reason == "too old: a message has waited for 14 days to be delivered"
    assert small.outbox.measure().oldest_age_s == pytest.approx(14 * DAY_S, abs=60)
    assert small.outbox.measure().oldest_stored_at_s == message(1).stored_at_s
    small.store(message(3))
    small.run()
    (refused,) = small.heard(NotStored)
    assert refused.reason == trouble.reason
    assert _loaded(small) == _with_positions(message(1), message(2)), "nothing is dropped"
    small.outbox.forget("CP1", Lane.ORDERED, 1)
    small.run()
    assert small.heard(OutboxTrouble) == [OutboxTrouble(None)]
    assert _stored(small, message(4)) == [3]


def test_age_is_counted_over_restarts_by_the_time_that_the_outbox_was_open(small: OutboxRig) -> None:
    _stored(small, message(1))
    small.run(10 * DAY_S)
    _stored(small, message(2))
    small.restart()
    small.now += 1000 * DAY_S
    small.run(4 * DAY_S - 60)
    assert small.heard(OutboxTrouble) == []
    small.run(120)
    assert len(small.heard(OutboxTrouble)) == 1


def test_what_the_clock_of_the_day_says_counts_for_nothing(small: OutboxRig) -> None:
    _stored(small, *(replace(message(number), stored_at_s=at_s) for number, at_s in enumerate([0.0, 4e9, -1e9, 1.7e9])))
    small.run()
    assert small.heard(OutboxTrouble) == []
    assert small.outbox.measure().oldest_stored_at_s == 0.0
    small.kill()
    assert [one.stored_at_s for one in _loaded(small)] == [0.0, 4e9, -1e9, 1.7e9]


# --- a disk that fails


def test_a_disk_that_fails_refuses_what_was_under_way_and_what_comes(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.break_disk()
    tickets = rig.store(message(2), message(3))
    rig.run(0.1)
    tickets += rig.store(message(4))
    rig.run(0.0)
    trouble, *refused = rig.heard(OutboxTrouble, Stored, NotStored)
    assert trouble == OutboxTrouble("no space left on the disk")
    assert refused == [NotStored(ticket, "no space left on the disk") for ticket in tickets]
    assert rig.outbox.measure().faults == 1
    assert rig.outbox.measure().messages == 1


def test_when_the_disk_works_again_the_outbox_finds_out_by_itself(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.break_disk()
    rig.store(message(2))
    rig.run(600)
    rig.heard()
    rig.repair_disk()
    rig.run(RETRY_S_MAX)
    assert rig.heard(OutboxTrouble) == [OutboxTrouble(None)]
    assert _stored(rig, message(3)) == [2]
    rig.kill()
    assert _loaded(rig) == _with_positions(message(1), message(3))


def test_a_disk_that_fails_is_tried_less_and_less_often(rig: OutboxRig) -> None:
    _opened(rig)
    rig.break_disk()
    rig.store(message(1))
    rig.run(3600)
    tries = rig.outbox.measure().faults
    assert 3600 / RETRY_S_MAX <= tries <= 3600 / RETRY_S_MAX + 10


def test_what_was_forgotten_and_remembered_while_the_disk_failed_is_done_later(rig: OutboxRig) -> None:
    _stored(rig, message(1), message(2))
    rig.break_disk()
    rig.outbox.forget("CP1", Lane.ORDERED, 1)
    rig.outbox.remember("CP1", True, 300)
    rig.run(600)
    rig.repair_disk()
    rig.run(600)
    rig.kill()
    (station,) = _opened(rig).stations
    assert (station.delivered, station.accepted) == ((0, 1), True)


def test_an_outbox_that_cannot_be_opened_refuses_until_it_can(kind: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    rig = outbox_rig(kind, tmp_path)
    rig.break_disk()
    tickets = rig.store(message(1), message(2))
    rig.run()
    trouble, *refused = rig.heard(OutboxOpened, OutboxTrouble, Stored, NotStored)
    assert isinstance(trouble, OutboxTrouble)
    assert trouble.reason
    assert refused == [NotStored(ticket, trouble.reason) for ticket in tickets]
    rig.run(600)
    (tmp_path / "state").unlink()
    rig.repair_disk()
    rig.run(RETRY_S_MAX)
    opened, over = rig.heard(OutboxOpened, OutboxTrouble)
    assert isinstance(opened, OutboxOpened)
    assert over == OutboxTrouble(None)
    assert _stored(rig, message(3)) == [1]
    rig.close()


def test_closing_writes_what_waits(rig: OutboxRig) -> None:
    _stored(rig, message(1), message(2))
    rig.outbox.forget("CP1", Lane.ORDERED, 1)
    rig.outbox.remember("CP1", True, 60)
    tickets = rig.store(message(3))
    rig.restart()
    assert rig.heard(Stored) == [Stored(tickets[0], 3)]
    (station,) = _opened(rig).stations
    assert (station.delivered, station.newest, station.accepted) == ((0, 1), (0, 3), True)


def test_closing_while_the_disk_fails_says_so(rig: OutboxRig) -> None:
    _stored(rig, message(1))
    rig.break_disk()
    (ticket,) = rig.store(message(2))
    rig.restart()
    assert rig.heard(Stored, NotStored) == [NotStored(ticket, "no space left on the disk")]


# --- measuring


def test_the_figures_are_right(rig: OutboxRig) -> None:
    messages = [message(number, fill=number) for number in range(10)]
    _stored(rig, *messages)
    rig.run(5.0)
    measure = rig.outbox.measure()
    assert (measure.messages, measure.message_bytes) == (10, sum(map(size_of_message, messages)))
    assert measure.oldest_stored_at_s == messages[0].stored_at_s
    assert measure.oldest_age_s == pytest.approx(6.0, abs=0.1)
    assert measure.last_commit_s is not None
    assert (measure.commits, measure.faults, measure.trouble) == (1, 0, None)
    rig.outbox.forget("CP1", Lane.ORDERED, 4)
    rig.restart()
    rig.run()
    measure = rig.outbox.measure()
    assert (measure.messages, measure.message_bytes) == (6, sum(map(size_of_message, messages[4:])))
    assert measure.oldest_stored_at_s == messages[4].stored_at_s
    rig.outbox.forget("CP1", Lane.ORDERED, 10)
    rig.run(2 * LAZY_S)
    measure = rig.outbox.measure()
    assert (measure.messages, measure.message_bytes, measure.oldest_stored_at_s, measure.oldest_age_s) == (0, 0, None, None)


def test_the_files_stay_small_over_a_long_life(rig: OutboxRig) -> None:
    _opened(rig)
    position = 0
    for number in range(300):
        (position,) = _stored(rig, message(number, fill=20_000))
        if number % 3 == 2:
            rig.outbox.forget("CP1", Lane.ORDERED, position)
    assert rig.outbox.measure().file_bytes < 6_000_000, "the log goes to 4 MiB, the file has little"
    rig.restart()
    rig.run()
    assert rig.outbox.measure().file_bytes < 200_000
