"""A SIM in simulated time: what passes it, which is the carrier's bill, and the edge's own ledger and plan over its restarts.

    link ──messages, handshakes, probes──► SimulatedCount ──► bill, by the carrier's days
                                              │ as TCP_INFO
    others on the SIM ──► interface ──►  LedgerReader ──► Ledger, Plan ──► EdgeMachine

The carrier has the right time; the edge's wall clock may be wrong by `clock_error_s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ocppress_gateway import __version__
from ocppress_gateway.core.events import LinkHeard, Note, SendLink
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.ledger_events import InterfaceCounted, LinkMessageCounted, Way
from ocppress_gateway.core.ledger_month import BillingMonth
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.core.report import write_report
from ocppress_gateway.core.views import EdgeView
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.wire import ByteCount, Conditions, handshake_bytes
from ocppress_gateway.ledger.keeper import READ_S
from ocppress_gateway.ledger.memory import MemoryLedgerStore
from ocppress_gateway.ledger.reader import LedgerReader
from ocppress_gateway.simulation.counting import SimulatedCount
from ocppress_gateway.status.edge import EdgeStatus, day_report

__all__ = ["Sim"]

FINS: Final = 4
"""FIN and ACK both ways, or a FIN that nobody hears and the kernel repeats."""


@dataclass(eq=False)
class _Connection:
    """As the reader sees it."""

    counter: SimulatedCount
    clock: Callable[[], float]
    billed_bytes: int = 0

    def wire_count(self) -> WireCount:
        return self.counter.count(self.clock())


class Sim:
    """The SIM of one edge."""

    def __init__(
        self,
        settings: LedgerSettings,
        *,
        begins: datetime,
        plan: PlanName = PlanName.AUTO,
        conditions: Conditions | None = None,
        shows_interface: bool = False,
        read_s: float = READ_S,
        resumes: bool = False,
    ) -> None:
        """`begins`: the right wall time at 0 s. `shows_interface`: the edge can read the SIM's interface, and so see others. `read_s`: how
        often the edge reads; a month in seconds has to be read less often than the live one. `resumes`: connections but the first one begin
        with a resumed handshake, where else nobody keeps tickets."""
        self.settings = settings
        self.begins = begins
        self.read_s = read_s
        self.clock_error_s = 0.0
        self.round_trip_s = 0.0
        """Of the link; the kernels' delayed ACKs depend on it."""
        self.bill: dict[date, int] = {}
        """Bytes by the carrier's days; not rounded."""
        self.notes: list[tuple[float, Note]] = []
        self.conditions = conditions or Conditions()
        self.lost: dict[date, int] = {}
        """Bytes by the day on which a process died, before it had saved them, that nothing brings back."""
        self._saved_bytes = 0
        self._resumes = resumes
        self._ended_cost = ByteCount()
        self._plan_settings = PlanSettings(plan, settings.budget_bytes)
        self._shows_interface = shows_interface
        self._store = MemoryLedgerStore()
        self._boot = 1
        self._booted = False
        self._interface = dict.fromkeys(Way, 0)
        self._month: BillingMonth | None = None
        self._month_bytes = 0
        self._clock: Callable[[], float] = float
        self._told: date | None = None
        self._connections: dict[int, _Connection] = {}
        self.reader: LedgerReader

    @property
    def cost(self) -> ByteCount:
        """What the link has cost so far, by layer."""
        for connection in self._connections.values():
            connection.counter.count(self._clock())
        return sum((connection.counter.cost for connection in self._connections.values()), self._ended_cost)

    @property
    def plan(self) -> Plan:
        """This process's."""
        return self.reader.plan

    @property
    def ledger(self) -> Ledger:
        """This process's."""
        return self.reader.ledger

    # --- processes

    def begin(self, clock: Callable[[], float]) -> None:
        """A process begins with what the one before has saved."""
        self._clock = clock
        for connection in self._connections.values():
            self._bill(connection)
        self._connections.clear()
        if not self._shows_interface or self._booted:
            self.lost[self.today()] = self.lost.get(self.today(), 0) + sum(self.bill.values()) - self._saved_bytes
        self._booted = False
        self.reader = LedgerReader(
            Ledger(self.settings),
            Plan(self._plan_settings, keepalive_s=self.conditions.keepalive_s, now=clock()),
            interface="wwan0" if self._shows_interface else None,
            read_interface=lambda _: InterfaceCounted(f"boot {self._boot}", self._interface[Way.DOWN], self._interface[Way.UP]),
            note=lambda note: self.notes.append((clock(), note)),
            clock=clock,
            wall=self.wall,
        )
        saved = self._store.load()
        self.reader.restore_ledger(saved)
        self.reader.restore_plan(saved)
        self.reader.read()

    def boot(self) -> None:
        """The interface's counters begin again; after this you must restart the edge."""
        self._boot += 1
        self._booted = True
        self._interface = dict.fromkeys(Way, 0)

    def read(self) -> None:
        """Once a minute or so, as the edge does."""
        for connection in self._connections.values():
            self._bill(connection)
        self.reader.read()

    def report_due(self, view: EdgeView) -> bytes | None:
        """What the edge tells of a day once it is over; None if there is nothing to tell yet."""
        today = self.ledger.month().now.date()
        day, self._told = self._told, today
        if day is None or today <= day:
            return None
        status = EdgeStatus(
            version=__version__,
            uptime_s=self._clock(),
            cloud="",
            view=view,
            wire=None,
            outbox=None,
            month=self.ledger.month(),
            plan=self.plan.view(self._clock()),
        )
        return write_report(day_report(status, day, self.ledger.day(day)))

    def save(self) -> None:
        """What a process that dies now leaves behind."""
        self._store.save(self.reader.changes())
        self._saved_bytes = sum(self.bill.values())

    # --- clocks

    def today(self) -> date:
        """The carrier's."""
        return (self.begins + timedelta(seconds=self._clock())).astimezone(self.settings.zone).date()

    def wall(self) -> datetime:
        """The edge's wall clock."""
        return self.begins + timedelta(seconds=self._clock() + self.clock_error_s)

    # --- what passes

    def billed_bytes(self) -> int:
        """In the carrier's present month."""
        self._passed(Way.UP, 0)
        return self._month_bytes

    def others(self, count: int) -> None:
        """Somebody else on the same SIM receives so many bytes."""
        self._passed(Way.DOWN, count)

    def dialled(self, link: int) -> None:
        """A SYN leaves."""
        self.reader.dialled(link, looks_up=False)

    def opened(self, link: int) -> None:
        """A connection is made."""
        again = self._resumes and self._ended_cost.handshake > 0
        handshake = self.conditions.reconnect if again else self.conditions.first
        connection = _Connection(
            SimulatedCount(self.conditions, handshake, at_s=self._clock(), round_trip_s=self.round_trip_s), self._clock
        )
        self._connections[link] = connection
        self._bill(connection)
        self._passed(Way.UP, handshake_bytes(handshake, self.conditions) - connection.billed_bytes)
        self.reader.opened(link, connection)

    def sends(self, effect: SendLink, *, lost: bool) -> None:
        """The edge sends a link message; `lost` if the connection is broken, and nobody knows it yet."""
        self._message(effect.link, Way.UP, len(effect.data), lost=lost)
        self._payload(effect.link, effect)
        self.ledger.message(LinkMessageCounted(effect.link, Way.UP, len(effect.data), effect.frames))

    def receives(self, link: int, message_bytes: int) -> None:
        """A link message arrives; the machine's `heard` follows."""
        self._message(link, Way.DOWN, message_bytes)

    def heard(self, effect: LinkHeard) -> None:
        """The machine has taken a link message."""
        self._payload(effect.link, effect)
        self.ledger.message(LinkMessageCounted(effect.link, Way.DOWN, effect.message_bytes, effect.frames))

    def ended(self, link: int) -> None:
        """A connection is gone, or wasn't made."""
        connection = self._connections.pop(link, None)
        if connection is None:
            self._passed(Way.UP, self.conditions.syn_bytes)
            self._ended_cost += ByteCount(handshake=self.conditions.syn_bytes)
        else:
            self._bill(connection)
            fin_bytes = FINS * self.conditions.segment_bytes
            self._passed(Way.UP, fin_bytes)
            self._ended_cost += connection.counter.cost + ByteCount(handshake=fin_bytes)
        self.reader.ended(link, connection, refused=False)

    def _message(self, link: int, way: Way, message_bytes: int, *, lost: bool = False) -> None:
        connection = self._connections.get(link)
        if connection is not None:
            connection.counter.message(way, message_bytes, at_s=self._clock(), lost=lost)
            self._bill(connection)

    def _payload(self, link: int, effect: SendLink | LinkHeard) -> None:
        connection = self._connections.get(link)
        if connection is not None:
            connection.counter.payload(sum(share.payload_bytes for share in effect.frames))

    def _bill(self, connection: _Connection) -> None:
        """What has passed on it since the last call, both ways at once."""
        passed = sum(connection.counter.passed_bytes(way, self._clock()) for way in Way)
        self._passed(Way.UP, passed - connection.billed_bytes)
        connection.billed_bytes = passed

    def _passed(self, way: Way, count: int) -> None:
        self._interface[way] += count
        today = self.today()
        if today not in self.bill:
            self.bill[today] = 0
            month = BillingMonth.of(today, self.settings.first_day)
            if month != self._month:
                self._month, self._month_bytes = month, 0
        self.bill[today] += count
        self._month_bytes += count
