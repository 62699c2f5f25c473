"""An outbox does what a dictionary would do, whatever is asked of it in which order, and whenever its process dies."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ocppress_gateway.core.stored import Lane, Loaded, NotStored, OutboxOpened, Stored, StoredMessage
from ocppress_gateway.outbox.base import FINGERPRINTS_MAX
from ocppress_gateway.storage.desk import RETRY_S_MAX
from tests.support.stores import KINDS, OutboxRig, message, outbox_rig

Key = tuple[str, Lane]

KEYS = st.tuples(st.sampled_from(["CP1", "CP2"]), st.sampled_from(Lane))
FILLS = st.sampled_from([0, 0, 10, 3000, 9000])


class OutboxStates(RuleBasedStateMachine):
    """The model: what was reported as stored per lane, in order; what was asked and not answered; what may be known of a station."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.rig: OutboxRig = outbox_rig(self.kind, Path(self._folder.name))
        self.numbers = 0
        self.incarnation: bytes | None = None
        self.stored: dict[Key, list[StoredMessage]] = {}
        self.asked: dict[int, StoredMessage] = {}
        self.forgotten: dict[Key, int] = {}
        self.surely_forgotten: dict[Key, int] = {}
        self.remembered: dict[str, list[tuple[bool, int]]] = {}
        self.is_broken = False

    def teardown(self) -> None:
        self.rig.close()
        self._folder.cleanup()

    # --- what can happen

    @initialize()
    def open(self) -> None:
        self.rig.run()
        self._hear()

    @rule(key=KEYS, fills=st.lists(FILLS, min_size=1, max_size=6), transaction=st.booleans(), version=st.sampled_from(["1.6", "2.1"]))
    def store(self, key: Key, fills: list[int], transaction: bool, version: str) -> None:
        identity, lane = key
        for fill in fills:
            self.numbers += 1
            one = message(self.numbers, identity=identity, lane=lane, fill=fill, transaction=transaction, version=version)
            (ticket,) = self.rig.store(one)
            self.asked[ticket] = one

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.05, 1.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.rig.run(seconds)
        self._hear()
        if seconds >= RETRY_S_MAX + 61 and not self.is_broken:
            self._all_is_done()

    @rule(key=KEYS, part=st.floats(0, 1.2))
    def forget(self, key: Key, part: float) -> None:
        known = len(self.stored.get(key, []))
        position = int(known * part)
        self.rig.outbox.forget(*key, position)
        self.forgotten[key] = max(min(position, known), self.forgotten.get(key, 0))

    @rule(identity=st.sampled_from(["CP1", "CP2"]), accepted=st.booleans(), interval_s=st.integers(0, 2**31 - 1))
    def remember(self, identity: str, accepted: bool, interval_s: int) -> None:
        self.rig.outbox.remember(identity, accepted, interval_s)
        self.remembered.setdefault(identity, [(False, 0)]).append((accepted, interval_s))

    @rule(key=KEYS, part=st.floats(0, 1.2), text_max=st.sampled_from([0, 5000, 10**9]))
    def load(self, key: Key, part: float, text_max: int) -> None:
        self.rig.run()
        self._hear()
        after = int(len(self.stored.get(key, [])) * part)
        loaded = self._load(key, after, text_max)
        left = self.stored.get(key, [])[max(after, self.forgotten.get(key, 0)) :]
        assert loaded == left[: len(loaded)]
        assert bool(loaded) == bool(left)
        taken = [sum(len(one.body) for one in left[:count]) for count in (len(loaded), len(loaded) + 1)]
        assert len(loaded) <= 1 or taken[0] <= text_max
        assert len(loaded) == len(left) or taken[1] > text_max

    @rule()
    def break_disk(self) -> None:
        self.rig.break_disk()
        self.is_broken = True

    @rule()
    def repair_disk(self) -> None:
        self.rig.repair_disk()
        self.is_broken = False

    @rule()
    def restart(self) -> None:
        self.rig.restart()
        self._hear()
        if not self.is_broken:
            assert not self.asked, "closing answers everything"
        self._come_back()

    @rule(unheard=st.booleans())
    def kill(self, unheard: bool) -> None:
        self.rig.kill(unheard=unheard)
        self._come_back()

    # --- what must be so then

    @invariant()
    def positions_are_gapless(self) -> None:
        for found in self.stored.values():
            assert [one.position for one in found] == list(range(1, len(found) + 1))

    def _hear(self) -> None:
        for event in self.rig.heard(OutboxOpened, Stored, NotStored):
            if isinstance(event, OutboxOpened):
                assert self.incarnation is None, "it opens once"
                self.incarnation = event.incarnation
            elif isinstance(event, Stored):
                assert event.ticket == next(iter(self.asked)), "in the order of the calls"
                one = self.asked.pop(event.ticket)
                self.stored.setdefault((one.identity, one.lane), []).append(replace(one, position=event.position))
            elif isinstance(event, NotStored):
                assert event.ticket == next(iter(self.asked)), "in the order of the calls"
                del self.asked[event.ticket]

    def _load(self, key: Key, after: int, text_max: int) -> list[StoredMessage]:
        self.rig.outbox.load(*key, after, text_max)
        broken = self.is_broken
        self.rig.repair_disk()
        self.rig.run(RETRY_S_MAX)
        if broken:
            self.rig.break_disk()
        *before, loaded = self.rig.heard(OutboxOpened, Stored, NotStored, Loaded)
        assert before == [], "all was heard before"
        assert isinstance(loaded, Loaded)
        assert (loaded.identity, loaded.lane) == key
        return list(loaded.messages)

    def _all_is_done(self) -> None:
        assert not self.asked
        self.surely_forgotten.update(self.forgotten)
        for known in self.remembered.values():
            del known[:-1]

    def _come_back(self) -> None:
        """Another process has begun: it must know what was promised, and may know what was asked."""
        before, self.incarnation = self.incarnation, None
        self.rig.repair_disk()
        self.rig.run()
        self.is_broken = False
        (opened,) = self.rig.heard(OutboxOpened)
        assert before in (None, opened.incarnation)
        self.incarnation = opened.incarnation
        assert opened.fault is None
        records: dict[str, Any] = {record.identity: record for record in opened.stations}
        for identity, lane in [(identity, lane) for identity in ("CP1", "CP2") for lane in Lane]:
            record = records.get(identity)
            stored = self.stored.get((identity, lane), [])
            asked = [one for one in self.asked.values() if (one.identity, one.lane) == (identity, lane)]
            newest, delivered = (0, 0) if record is None else (record.newest[lane], record.delivered[lane])
            assert len(stored) <= newest <= len(stored) + len(asked)
            assert self.surely_forgotten.get((identity, lane), 0) <= delivered <= self.forgotten.get((identity, lane), 0)
            self.forgotten[identity, lane] = self.surely_forgotten[identity, lane] = delivered
            taken = asked[: newest - len(stored)]
            stored += [replace(one, position=position) for position, one in enumerate(taken, start=len(stored) + 1)]
            self.stored[identity, lane] = stored
            assert self._load((identity, lane), 0, 10**9) == stored[delivered:]
        self.asked.clear()
        for identity in ("CP1", "CP2"):
            self._station_is_known(identity, records.get(identity))

    def _station_is_known(self, identity: str, record: Any) -> None:
        possible = self.remembered.get(identity, [(False, 0)])
        known = (False, 0) if record is None else (record.accepted, record.heartbeat_interval_s)
        assert known in possible
        self.remembered[identity] = [known]
        prints = {lane: [one.fingerprint for one in self.stored.get((identity, lane), []) if one.fingerprint] for lane in Lane}
        kept = [] if record is None else list(record.fingerprints)
        assert len(kept) == min(FINGERPRINTS_MAX, sum(map(len, prints.values())))
        for lane in Lane:
            of_lane = [one for one in kept if one in prints[lane]]
            assert of_lane == prints[lane][len(prints[lane]) - len(of_lane) :], "newest last"


@pytest.mark.parametrize("kind", KINDS)
def test_an_outbox_is_a_dictionary_that_lasts(kind: str) -> None:
    class OfThisKind(OutboxStates):
        pass

    OfThisKind.kind = kind
    run_state_machine_as_test(OfThisKind, settings=settings(deadline=None, max_examples=60, stateful_step_count=40))
