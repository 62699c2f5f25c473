"""What feeds ledger and plan, without the task and the disk around it: the same live and in simulated time.

links ──dialled, opened, ended──► ┌────────┐ ──LinkCounted, InterfaceCounted, …──► Ledger ──bytes──► Plan
counters, the interface ──read──► │ reader │ ◄──────────────notes────────────────────┴────────────────┘
                                  └────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_events import (
    ComparisonCounted,
    InterfaceCounted,
    LedgerEvent,
    LinkCounted,
    LinkDialled,
    LinkEnded,
    TransferBegan,
    TransferEnded,
)
from ocppress_gateway.core.plan import Plan
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.comparison import Comparison
from ocppress_gateway.workloads.traces import Direction

__all__ = ["PLAN_KEY", "Counted", "LedgerReader"]

PLAN_KEY: Final = "plan"
"""Of the plan's entry beside the ledger's."""


class Counted(Protocol):
    """A connection, as far as it is counted."""

    def wire_count(self) -> WireCount | None: ...


class LedgerReader:
    """Reads the counters of one SIM for its ledger and its plan. A `LinkWatch`."""

    def __init__(
        self,
        ledger: Ledger,
        plan: Plan,
        *,
        interface: str | None,
        read_interface: Callable[[str], InterfaceCounted | None],
        note: Callable[[Note], None],
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        """`interface`: the SIM's, None if it isn't known. `note` takes what there is to say."""
        self.ledger = ledger
        self.plan = plan
        self._interface = interface
        self._read_interface = read_interface
        self._note = note
        self._clock = clock
        self._wall = wall
        self._comparison = Comparison()
        self._connections: dict[int, Counted] = {}
        self._interface_missing = False

    def read(self) -> None:
        """Read all counters, tell ledger and plan, and pass on what they say."""
        for number, connection in self._connections.items():
            self._count(number, connection)
        if self._interface is not None:
            counted = self._read_interface(self._interface)
            if counted is not None:
                self._tell(counted)
            if (counted is None) is not self._interface_missing:
                self._interface_missing = counted is None
                level, words = (
                    (Level.WARNING, "the SIM's interface isn't there") if counted is None else (Level.INFO, "the SIM's interface is there")
                )
                self._note(Note(level, words, {"interface": self._interface}))
        now = self._clock()
        without = self._comparison.take(now)
        self._tell(ComparisonCounted(without.plain_bytes, without.deflate_bytes))
        self.plan.spent(self.ledger.take_spent(), now)
        for note in (*self.ledger.tick(now, self._wall()), *self.plan.tick(now, self.ledger.month())):
            self._note(note)

    def transfer(self, event: TransferBegan | TransferEnded) -> None:
        """A station has begun to transfer a file around the gateway, or ended: its bytes are those between two readings."""
        self.read()
        self._tell(event)
        for note in self.ledger.tick(self._clock(), self._wall()):
            self._note(note)

    # --- what the stations' sockets tell, for the comparison

    def station_connected(self, socket: int) -> None:
        """A station's WebSocket is open."""
        self._comparison.began(socket, self._clock())

    def station_said(self, socket: int, direction: Direction, text: str) -> None:
        """A text has come from a station, or goes to it."""
        self._comparison.said(socket, direction, text, self._clock())

    def station_gone(self, socket: int) -> None:
        """It is closed."""
        self._comparison.ended(socket, self._clock())

    # --- what the links tell

    def dialled(self, number: int, *, looks_up: bool) -> None:
        """A connection is about to be made."""
        self._tell(LinkDialled(number, looks_up))

    def opened(self, number: int, connection: Counted) -> None:
        """A connection is up: what it has cost so far is its handshake."""
        self._connections[number] = connection
        self._count(number, connection)

    def ended(self, number: int, connection: Counted | None, *, refused: bool) -> None:
        """A connection is gone, or wasn't made."""
        self._connections.pop(number, None)
        if connection is not None:
            self._count(number, connection)
            self._comparison.link_lost(self._clock())
        self._tell(LinkEnded(number, refused))

    def _count(self, number: int, connection: Counted) -> WireCount | None:
        count = connection.wire_count()
        if count is not None:
            self._tell(LinkCounted(number, count))
        return count

    def _tell(self, event: LedgerEvent) -> None:
        self.ledger.step(event, self._clock(), self._wall())

    # --- what is kept of both

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, to be saved all at once; None deletes a key, if it is there."""
        return {**self.ledger.changes(), PLAN_KEY: self.plan.snapshot(self._clock())}

    def restore_ledger(self, saved: Mapping[str, bytes]) -> None:
        """Begin where a former process left off. Raises `ValueError` for what `changes` can't have written."""
        self.ledger.restore({key: entry for key, entry in saved.items() if key != PLAN_KEY})

    def restore_plan(self, saved: Mapping[str, bytes]) -> None:
        """The same for the plan; what makes no sense is said, and it begins anew."""
        if PLAN_KEY not in saved:
            return
        try:
            self.plan.restore(saved[PLAN_KEY], self._clock())
        except ValueError as error:
            self._note(Note(Level.WARNING, "what was kept of the plan makes no sense; it begins anew", {"reason": str(error)}))
