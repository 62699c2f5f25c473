"""The ledger's sums are its inputs, whatever the order, wherever it restarts, however the clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import FrameShare, InterfaceCounted, LinkCounted, LinkDialled, LinkEnded, LinkMessageCounted, Way
from ocppress_gateway.core.ledger_links import LINKS_MAX
from ocppress_gateway.core.wire_count import WireCount
from tests.support.ledgers import Books, settings
from tests.support.wire_counts import wire_count

SMALL = st.integers(0, 3000)
COUNTERS = [name for name in WireCount.__dataclass_fields__ if name != "header_bytes"]


class LedgerMachine(RuleBasedStateMachine):
    """Books with a model beside them: four numbers that only this class adds up."""

    @initialize(wall=st.sampled_from([datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)]))
    def begin(self, wall: datetime) -> None:
        self.books = Books(Ledger(settings()), wall=wall)
        self.books.tick()
        self.link = 0
        self.counts: dict[int, WireCount] = {}
        self.counted = {Way.UP: 0, Way.DOWN: 0}
        self.told = {Way.UP: 0, Way.DOWN: 0}
        self.sim = 0
        self.life = 0
        self.interface = {Way.UP: 0, Way.DOWN: 0}
        self.last_read: tuple[int, dict[Way, int]] | None = None
        self.save()

    # --- the world

    @rule(seconds=st.floats(0, 100_000))
    def time_passes(self, seconds: float) -> None:
        self.books.pass_time(seconds)
        self.books.tick()

    @rule(seconds=st.sampled_from([36_000, -36_000, 3e6, -3e6, 1e9, -1e9, 20, -20]))
    def clock_is_set(self, seconds: float) -> None:
        self.books.step_clock(seconds)

    @rule(looks_up=st.booleans())
    def dial(self, looks_up: bool) -> None:
        if len(self.counts) >= LINKS_MAX - 1:
            return  # an edge has one
        self.link += 1
        self.books.tell(LinkDialled(self.link, looks_up))
        self.counts[self.link] = wire_count(header_bytes=52)

    @rule(grown=st.fixed_dictionaries(dict.fromkeys(COUNTERS, SMALL)), data=st.data())
    def count(self, grown: dict[str, int], data: st.DataObject) -> None:
        if not self.counts:
            return
        link = data.draw(st.sampled_from(sorted(self.counts)))
        before = self.counts[link]
        after = wire_count(header_bytes=52, **{name: getattr(before, name) + more for name, more in grown.items()})
        self.counts[link] = after
        self.books.tell(LinkCounted(link, after))
        self.counted = {
            Way.UP: self.counted[Way.UP] + grown["sent_bytes"] + 52 * grown["sent_segments"],
            Way.DOWN: self.counted[Way.DOWN] + grown["received_bytes"] + 52 * grown["received_segments"],
        }

    @rule(way=st.sampled_from(list(Way)), payload=SMALL, framing=SMALL, weights=st.dictionaries(st.text(max_size=2), SMALL, max_size=3))
    def say(self, way: Way, payload: int, framing: int, weights: dict[str, int]) -> None:
        share = FrameShare("CP1", payload, weights)
        self.books.ledger.message(LinkMessageCounted(self.link, way, payload + framing, (share,)))
        self.told[way] += payload

    @rule(refused=st.booleans(), data=st.data())
    def end(self, refused: bool, data: st.DataObject) -> None:
        if not self.counts:
            return
        link = max(self.counts)
        del self.counts[link]
        self.books.tell(LinkEnded(link, refused))
        # What is below has ended unsaid; the edge has one connection at a time.
        self.counts = {number: count for number, count in self.counts.items() if number > link}

    @rule(up=SMALL, down=SMALL, reset=st.booleans())
    def read_interface(self, up: int, down: int, reset: bool) -> None:
        if reset:
            self.life += 1
            self.interface = {Way.UP: 0, Way.DOWN: 0}
        self.interface = {Way.UP: self.interface[Way.UP] + up, Way.DOWN: self.interface[Way.DOWN] + down}
        self.books.tell(InterfaceCounted(f"life {self.life}", self.interface[Way.DOWN], self.interface[Way.UP]))
        if self.last_read is not None:
            life, counters = self.last_read
            self.sim += sum(self.interface.values()) - (sum(counters.values()) if life == self.life else 0)
        self.last_read = (self.life, self.interface)

    @rule()
    def save(self) -> None:
        self.books.save()
        self.saved = (self.counted, self.sim, self.last_read)

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        if not crash:
            self.save()
        self.books = self.books.restart(settings())
        self.books.tick()
        # What was counted and not saved is lost; the interface's counters still have it, and tell it at their next reading.
        self.counted, self.sim, self.last_read = self.saved
        self.counts = {}
        self.link = 0

    # --- the promises

    def _all(self) -> DayAccount:
        ledger: Any = self.books.ledger
        return DayAccount.sum([*ledger._days.values(), ledger._clock.held()])

    @invariant()
    def counted_is_what_was_counted(self) -> None:
        everything = self._all()
        for way in Way:
            assert sum(everything.layer_bytes(layer, way) for layer in Layer) == self.counted[way]
            assert everything.layer_bytes(Layer.PAYLOAD, way) <= self.told[way]

    @invariant()
    def payload_is_the_sum_of_stations_and_of_actions(self) -> None:
        everything = self._all()
        for way, place in ((Way.UP, 0), (Way.DOWN, 1)):
            for names in (everything.stations, everything.actions):
                assert sum(both_ways[place] for both_ways in names.values()) == everything.layer_bytes(Layer.PAYLOAD, way)

    @invariant()
    def the_sim_is_what_its_interface_said(self) -> None:
        assert self._all().sim_bytes == self.sim

    @invariant()
    def the_month_has_all_of_its_days(self) -> None:
        month = self.books.month()
        assert month.total_bytes >= max(month.account.sim_bytes, month.account.ours_bytes)
        assert month.total_bytes == month.ours_bytes + month.others_bytes


TestLedger = LedgerMachine.TestCase
