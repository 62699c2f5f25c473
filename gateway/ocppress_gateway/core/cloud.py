"""The cloud's machine: links from edges on one side, one CSMS socket per station on the other.

It decides which stations an edge may speak for, and keeps contexts while a link is lost. What happens to one station's messages is in
`cloud_station` and `conversation`, its CSMS socket in `csms_sockets`, edges' certificates in `renewing`; here is what concerns links.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ocppress_codecs.errors import DecodeError, LimitExceeded
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import offers, open_endpoint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.alarms import Alarms, earlier
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.cloud_edges import CloudEdge, CloudLink, rivals
from ocppress_gateway.core.cloud_station import CloudStation, CsmsState, CsmsStep
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.csms_sockets import CsmsSockets
from ocppress_gateway.core.delivery import Delivery
from ocppress_gateway.core.events import (
    ClaimEdge,
    CloseLink,
    ContextsFound,
    CsmsClosed,
    CsmsOpened,
    CsmsRefused,
    CsmsText,
    Effect,
    Event,
    ExpectSigns,
    KeepReport,
    Level,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    LoadPositions,
    Note,
    ReleaseEdge,
    RenewalFound,
    Replay,
    ReplayEnded,
    SaveContext,
    SendLink,
    Stop,
    Tick,
    TransferSized,
    WantFlush,
    WantPlan,
    Watch,
)
from ocppress_gateway.core.limits import IDENTITIES_MAX
from ocppress_gateway.core.parts import (
    SPOKEN,
    Ack,
    Attach,
    Check,
    Checked,
    ChoosePlan,
    Control,
    DayReport,
    Detach,
    FlushStation,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    PartError,
    Piece,
    RenewedClock,
    Spoken,
    StationWelcome,
    TakeClock,
    TellDelivered,
    Verdict,
    Welcome,
    for_people,
    read_parts,
)
from ocppress_gateway.core.plan import CHOICE_CHARACTERS_MAX
from ocppress_gateway.core.renewing import RenewalWatch
from ocppress_gateway.core.report import read_report, report_fields
from ocppress_gateway.core.resumption import WaitingContexts, is_known, leaving, resumed
from ocppress_gateway.core.saved_contexts import SavedContext
from ocppress_gateway.core.session import LinkSession, SessionEvent, SessionState
from ocppress_gateway.core.stored import (
    Buried,
    Claim,
    EdgeClaimed,
    EdgeNotClaimed,
    EdgeTaken,
    NotBuried,
    PositionNotSaved,
    PositionSaved,
    PositionsLoaded,
    PositionsOpened,
    PositionsTrouble,
)
from ocppress_gateway.core.told import Told
from ocppress_gateway.core.transfer_guard import TransferGuards
from ocppress_gateway.core.transfer_rules import NO_RULES, TransferRules
from ocppress_gateway.core.views import CloudView

__all__ = ["ANY_STATION", "CloudMachine", "CloudSettings"]

ANY_STATION: Final = "*"
"""In an edge's list of stations: it may speak for any identity."""

GREETING_TIMEOUT_S: Final = 15.0
"""Connected but no hello: nobody we know."""

STOP_FLUSH_S: Final = 3.0
"""How long a stopping cloud goes on sending what waits, and waits for the CSMS; the rest of the shutdown's time is for closing."""

RESTART_S: Final = 4
"""When an edge may come back to a cloud that stops: a process ends and begins meanwhile. One that comes too early finds nobody, and waits longer."""

RETURNS_A_SECOND: Final = 50
"""Edges that come back after that: each takes a handshake and its contexts, which take a processor 20 ms."""

RETURN_S_MAX: Final = 40
"""The longest that edges are spread over: a link that is down for `link_grace_s`, a minute, costs stations their sockets."""

RIVAL_RETRY_S: Final = 300
"""When an edge may try again whose name another certificate is connected under: it has to be revoked, or go, and a person has to look."""

STORE_RETRY_S: Final = 60
"""When an edge may try again that comes while the store is away: a connection costs it more than a kilobyte, and helps nobody before."""

CHECK_S_MAX: Final = 9 * 3600.0
"""How long an edge may only look whether its way works: as long as TCP can be told to send no probe, with a margin."""

CHECKING_MAX: Final = 100
"""Connections that only look, of all edges; the oldest gives way."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What the cloud's machine is told; times in seconds. `edges`: name to the identities that it may speak for."""

    edges: Mapping[str, frozenset[str]]
    linger_s: float
    command_timeout_s: float
    """How long a CSMS waits for an answer: an older CALL never reaches a station."""
    call_timeout_s: float
    """How long the CSMS may take to answer before the station's next CALL is put to it."""
    link_grace_s: float
    """How long a station's CSMS socket outlives a lost link, and a station a lost CSMS socket."""
    retry_wait_min_s: float
    retry_random_s: float
    retry_repeat_times: int
    attempts_max: int = 3
    """MessageAttempts, TransactionMessageAttempts: how often a stored transaction message is put to a CSMS that refuses it (E13.FR.01)."""
    attempt_interval_s: float = 60.0
    """MessageAttemptInterval, TransactionMessageRetryInterval: the wait before it is put again, times the attempts before (E13.FR.02)."""
    stops_late_rejected: bool = False
    """Whether a transaction is stopped whose idToken the CSMS rejects in its answer to a message that was answered early."""
    fleet: bool = False
    """Whether other clouds share the store of positions, and an edge may be theirs the next moment."""
    relayed_bytes: int = 0
    """What the packets of one relayed message and its answer cost the SIM, for what is reported of such answers."""
    protocols: Spoken = SPOKEN
    """The versions of the link's protocol that it speaks."""
    transfers: TransferRules = NO_RULES
    """Which files stations may transfer around the gateway."""


@dataclass
class CloudMachine:
    """Decide what the cloud does next. No I/O, no clock."""

    settings: CloudSettings
    random: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    counters: Counters = field(default_factory=Counters)
    wall_s: Callable[[], float] = lambda: 0.0
    """Unix seconds, for people, and for the ends of certificates."""

    def __post_init__(self) -> None:
        self._told = Told()
        self._guards = TransferGuards(self.settings.transfers, self.wall_s, self.counters)
        self._checking: dict[CloudLink, None] = {}
        self._saved_contexts = WaitingContexts()
        self._links: dict[int, CloudLink] = {}
        self._edges: dict[str, CloudEdge] = {}
        self._csms = CsmsSockets(self._back_off_s, self._new_epoch)
        self._renewals = RenewalWatch(self._told, self.wall_s)
        self._replaying: list[CloudStation] = []
        """Stations that may have dead letters under way."""
        self._by_identity: dict[str, dict[CloudStation, CloudEdge]] = {}
        self._alarms: Alarms[CloudEdge | CloudStation | CloudLink] = Alarms()
        self._touched_stations: dict[CloudStation, CloudEdge] = {}
        self._touched_links: dict[CloudLink, None] = {}
        self._watched: set[str] = set()
        self._ids = 0
        self._id_prefix = ""
        self._stopping = False
        self._undrained: set[int] = set()
        """Links that a stopping cloud still has something to send on."""
        self._shut_by = 0.0
        self._shut_down = False

    # --- the machine's two faces

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event; run the effects in order."""
        out: list[Effect] = []
        for due in self._alarms.take_due(now):
            if isinstance(due, CloudLink):
                self._touched_links[due] = None
            elif isinstance(due, CloudEdge):
                self._touch(due, *due.slots.values())
            else:
                self._touch(self._by_identity[due.identity][due], due)
        self._take(event, now, out)
        self._settle(now, out)
        if self._stopping and not self._shut_down and (now >= self._shut_by or not self._undrained):
            self._shut_all(now, out)
            self._settle(now, out)
        if self._replaying:
            self._replaying = [station for station in self._replaying if station.end_replays(out)]
        return out

    def next_deadline(self) -> float | None:
        """When to deliver the next `Tick`."""
        at = self._alarms.next()
        if self._stopping and not self._shut_down:
            return self._shut_by if at is None else min(at, self._shut_by)
        return at

    def _take(self, event: Event, now: float, out: list[Effect]) -> None:
        match event:
            case CsmsText():
                known = self._of_socket(event.socket)
                if known is not None and known[1].socket_open:
                    known[1].take_text(event.text, now, out)
            case LinkMessage():
                link = self._links.get(event.link)
                if link is not None:
                    self._link_message(link, event.data, now, out)
            case LinkSent():
                link = self._links.get(event.link)
                if link is not None:
                    link.session.kernel_has_it()
                    if link.session.next_deadline() is not None or self._stopping:  # mostly nothing has waited for it
                        self._touched_links[link] = None
            case PositionSaved():
                for station in self._of_identity(event.identity):
                    station.saved(event, now, out)
            case CsmsOpened() | CsmsRefused() | CsmsClosed():
                known = self._of_socket(event.socket)
                if known is not None:
                    self._csms.heard(event, *known, now, out)
            case LinkOpened():
                self._opened(event, now, out)
            case LinkClosed():
                self._closed(event, now, out)
            case PositionsLoaded():
                self._positions_loaded(event, out)
            case PositionNotSaved():
                out.append(self._note(Level.ERROR, "a position can't be saved yet", station=event.identity, reason=event.reason))
            case Buried():
                for station in self._of_identity(event.identity):
                    station.buried(event.message_id, now, out)
            case NotBuried():
                for station in self._of_identity(event.identity):
                    station.not_buried(event.message_id, event.reason, now, out)
            case PositionsOpened():
                if event.fault is not None:
                    out.append(self._note(Level.ERROR, "what the CSMS has answered is forgotten, some is sent again", reason=event.fault))
            case PositionsTrouble():
                self._trouble(event, out)
            case Replay():
                self._replay(event, now, out)
            case WantPlan():
                self._tell(self._edges.get(event.edge), ChoosePlan(event.plan, for_people(event.reason, CHOICE_CHARACTERS_MAX)), now)
            case WantFlush():
                for edge in self._by_identity.get(event.identity, {}).values():
                    self._tell(edge, FlushStation(event.identity), now)
            case RenewalFound():
                if event.link in self._links:
                    self._renewals.found(event, self._links[event.link], now, out)
            case EdgeClaimed():
                self._claimed(event, now, out)
            case EdgeNotClaimed():
                if event.claim.number in self._links:
                    retry_s = RIVAL_RETRY_S if event.rival else STORE_RETRY_S
                    self._refuse_link(self._links[event.claim.number], event.reason, out, retry_s)
            case EdgeTaken():
                self._taken(event, out)
            case ContextsFound():
                self._saved_contexts.found(event.contexts)
            case TransferSized():
                for station in self._of_identity(event.identity):
                    station.sized(event, now, out)
            case Watch():
                (self._watched.add if event.on else self._watched.discard)(event.identity)
                for station in self._by_identity.get(event.identity, {}):
                    station.watched = event.on
            case Stop():
                self._stop(now, out)
            case Tick():
                pass
            case _:
                raise TypeError(f"the cloud has no {type(event).__name__}")

    # --- what an event may have changed: only that is looked at after it, for there may be thousands of stations

    def _touch(self, edge: CloudEdge, *stations: CloudStation) -> None:
        for station in stations:
            self._touched_stations[station] = edge
        if edge.link is not None:
            self._touched_links[edge.link] = None

    def _of_socket(self, socket: int) -> tuple[CloudEdge, CloudStation] | None:
        """Whose CSMS socket this is."""
        known = self._csms.owner(socket)
        if known is not None:
            self._touch(*known)
        return known

    def _of_identity(self, identity: str) -> list[CloudStation]:
        """The stations of this name: one, unless edges quarrel over it."""
        found = self._by_identity.get(identity, {})
        for station, edge in found.items():
            self._touch(edge, station)
        return list(found)

    def _settle(self, now: float, out: list[Effect]) -> None:
        """Expire and send what is due on what was touched, and set its alarms."""
        for station, edge in self._touched_stations.items():
            at = self._station_deadline(edge, station)
            if (at is not None and at <= now) or edge.lost_at is not None:
                self._expire(edge, station, now, out)
                at = self._station_deadline(edge, station)
            self._alarms.set(station, at)
        for link in self._touched_links:
            if link.session.state is SessionState.GREETING and not link.session.closing and now >= link.greet_by:
                if link.hello is None:
                    self._refuse_link(link, "no hello", out)
                else:
                    self._refuse_link(link, "the store of positions doesn't answer", out, STORE_RETRY_S)
            self._renewals.look(link, now, out)
            self._flush(link, now, out)
            self._alarms.set(link, link.next_deadline())
        self._touched_stations = {}
        self._touched_links = {}

    def _station_deadline(self, edge: CloudEdge, station: CloudStation) -> float | None:
        """When `_expire` has something to do, but for an edge that is lost, which has an alarm of its own."""
        at = station.next_deadline()
        if station.lost_at is not None:
            at = earlier(at, station.lost_at + self.settings.link_grace_s)
        if station.state is CsmsState.WAITING and self._may_reopen(edge):
            at = earlier(at, station.retry_at)
        if edge.link is not None and station.delivery is not None and station.socket_open:
            at = earlier(at, station.heartbeats.due_at)
        return at

    def view(self, now: float) -> CloudView:
        """For status."""
        return CloudView(
            edges=tuple(edge.view(now, self.wall_s()) for edge in self._edges.values()),
            never_seen=tuple(name for name in self.settings.edges if name not in self._edges),
            stations=tuple(station.view(edge.name, now) for edge in self._edges.values() for station in edge.stations.values()),
            counters=self.counters.view(),
        )

    @property
    def claims(self) -> list[Claim]:
        """The edges that this cloud speaks for, in a fleet, as far as it knows."""
        return [edge.claim for edge in self._edges.values() if edge.claim is not None]

    # --- links

    def _opened(self, event: LinkOpened, now: float, out: list[Effect]) -> None:
        session = LinkSession(event.link, self.settings.linger_s, takes_clock=False)
        session.moved(SessionEvent.OPENED)
        link = self._links[event.link] = CloudLink(session, event.peer, now + GREETING_TIMEOUT_S, event.certificate)
        self._touched_links[link] = None
        if self._stopping:
            self._refuse_link(link, "the cloud is stopping", out, self._return_s())

    def _closed(self, event: LinkClosed, now: float, out: list[Effect]) -> None:
        link = self._links.pop(event.link, None)
        if link is None:
            return
        link.session.moved(SessionEvent.LOST)
        self._alarms.set(link, None)
        self._checking.pop(link, None)
        self._undrained.discard(event.link)
        edge = link.edge
        level, words = (Level.INFO, "link closed") if link.session.goodbye_said else (Level.WARNING, "link lost")
        if edge is None and link.certificate is not None:
            level = Level.DEBUG  # it never got in, and why has been said
        out.append(self._note(level, words, edge=edge.name if edge else "", reason=event.reason))
        if edge is not None and edge.link is link:
            edge.link = None
            edge.lost_at = now
            if link.session.rider is not None:
                edge.renewal_sent_at = None  # it wasn't
            self._alarms.set(edge, now + self.settings.link_grace_s)
            if edge.claim is not None:
                out.append(ReleaseEdge(edge.claim))
            if self._shut_down:
                self._save_contexts(edge, out)
            self._touch(edge, *edge.slots.values())
            for station in edge.slots.values():
                # The edge has refused these with 503 by now.
                if station.state is CsmsState.OPENING:
                    self._csms.shut(station, 1001, "the link is down", out)

    def _refuse_link(self, link: CloudLink, reason: str, out: list[Effect], retry_after_s: int = 0) -> None:
        """Say why, and close. What the owner of a certificate is refused for again and again is a warning once."""
        name = link.edge.name if link.edge else link.peer
        if link.certificate is None:
            out.append(self._note(Level.WARNING, "link refused", edge=name, reason=reason))
        else:
            level = self._once("link", link.certificate.serial, reason.partition(":")[0])
            out.append(self._note(level, "link refused", edge=name, reason=reason, serial=link.certificate.serial_hex))
        if link.session.state is SessionState.GREETING:
            out.append(SendLink(link.session.link, link.session.greeting(Goodbye(for_people(reason), retry_after_s))))
        self._close_link(link, reason, out)

    def _close_link(self, link: CloudLink, reason: str, out: list[Effect]) -> None:
        """Close the connection; all else follows when it is reported closed."""
        link.session.closing = True
        out.append(CloseLink(link.session.link, reason))

    def _link_message(self, link: CloudLink, data: bytes, now: float, out: list[Effect]) -> None:
        link.session.heard()
        self._touched_links[link] = None
        try:
            for part in read_parts(data):
                if link.session.closing:
                    return
                self._part(link, part, now, out)
        except (PartError, ValueError, LimitExceeded) as error:
            self._refuse_link(link, f"protocol error: {error}", out)

    def _part(self, link: CloudLink, part: Part, now: float, out: list[Effect]) -> None:
        if isinstance(part, Goodbye):
            link.session.goodbye_said = True
            out.append(self._note(Level.INFO, "the edge says goodbye", edge=link.edge.name if link.edge else link.peer, reason=part.reason))
            return
        if link.edge is None:
            if isinstance(part, Check):
                self._check(link, part, now, out)
                return
            if not isinstance(part, Hello) or link.hello is not None:
                raise PartError(f"{type(part).__name__} before the {'hello' if link.hello is None else 'welcome'}")
            self._hello(link, part, now, out)
            return
        match part:
            case FramePart() | Piece() | Ack():
                self._frame_part(link, link.edge, part, now, out)
            case Attach():
                self._attach(link, link.edge, part, now, out)
            case Detach():
                station = link.edge.slots.get(part.slot)
                if station is not None and station.attachment == part.attachment and station.state is not CsmsState.CLOSED:
                    self._csms.shut(station, 1000, "the station has gone", out)
            case TellDelivered():
                station = link.edge.slots.get(part.slot)
                if station is not None and station.delivery is not None:
                    station.delivery.await_all()
            case DayReport():
                self._reported(link.edge, part, out)
            case TakeClock():
                link.session.clock_taken(now)
            case RenewedClock():
                link.session.clock_renewed(now)
            case _:
                raise PartError(f"{type(part).__name__} from an edge")

    def _reported(self, edge: CloudEdge, part: DayReport, out: list[Effect]) -> None:
        try:
            report = read_report(part.report)
        except ValueError as error:
            out.append(self._note(Level.WARNING, "an edge's report makes no sense", edge=edge.name, reason=str(error)))
            return
        if edge.report is None or edge.report.day != report.day:
            out.append(self._note(Level.INFO, "an edge reports", edge=edge.name, **report_fields(report)))
        edge.report = report
        out.append(KeepReport(edge.name, part.report))

    def _frame_part(self, link: CloudLink, edge: CloudEdge, part: FramePart | Piece | Ack, now: float, out: list[Effect]) -> None:
        station = edge.slots.get(part.slot)
        channel = station.channel if station is not None else None
        if station is None or channel is None or link.session.clock is None:
            raise PartError(f"slot {part.slot} has no channel")
        self._touch(edge, station)
        if isinstance(part, Ack):
            channel.acknowledged(part.number)
        elif self._shut_down:
            pass  # There is no CSMS socket any more. The edge keeps it, and sends it again to the next cloud.
        elif isinstance(part, Piece):
            channel.take_piece(part.number, part.data)
        elif channel.intact:
            try:
                batch = channel.take_frame(part, link.session.clock, now)
            except DecodeError as error:
                channel.intact = False
                out.append(self._note(Level.ERROR, "contexts differ, a new epoch is needed", station=station.identity, reason=str(error)))
                self._close_link(link, "contexts differ", out)
                return
            station.take_batch(batch, now, out)

    def _flush(self, link: CloudLink, now: float, out: list[Effect]) -> None:
        if link.edge is None or link.session.closing:
            self._undrained.discard(link.session.link)
            return
        conversations: list[Conversation] = list(link.edge.slots.values())
        link.session.wake(conversations, now)
        message = link.session.next_message(conversations, now)
        if link.session.link in self._undrained and self._drained(link.session, link.edge):
            self._undrained.remove(link.session.link)
        if message:
            out.append(SendLink(link.session.link, message))
        elif self._shut_down and link.session.idle:
            self._save_contexts(link.edge, out)
            self._close_link(link, "the cloud is stopping", out)

    def _drained(self, session: LinkSession, edge: CloudEdge) -> bool:
        """Whether nothing more is to be sent to an edge, or to come of what it has sent."""
        return all(station.is_settled for station in edge.slots.values()) and session.drained(edge.slots.values())

    # --- the hello

    def _hello(self, link: CloudLink, hello: Hello, now: float, out: list[Effect]) -> None:
        name = link.peer or hello.edge
        agreed = self._agreed(link, name, hello, out)
        if agreed is None:
            return
        self._checking.pop(link, None)
        slots = [known.slot for known in hello.stations]
        identities = {known.identity for known in hello.stations}
        if min(len(set(slots)), len(identities)) < len(slots):
            raise PartError("slots or identities in the hello repeat")
        edge = self._edges.setdefault(name, CloudEdge(name))
        if edge.link is not None and rivals(edge.link, link):
            self._refuse_link(link, "this edge is connected with another key", out, RIVAL_RETRY_S)
        elif self.settings.fleet:
            link.hello = hello
            out.append(ClaimEdge(Claim(name, link.session.link), "" if link.certificate is None else link.certificate.key_print))
        else:
            self._greet(link, edge, hello, agreed, self._saved_contexts.take(name), now, out)

    def _greet(
        self,
        link: CloudLink,
        edge: CloudEdge,
        hello: Hello,
        agreed: tuple[str, int],
        saved: Mapping[str, SavedContext],
        now: float,
        out: list[Effect],
    ) -> None:
        """From now on this is the edge's link; what both ends still know goes on."""
        codec, protocol = agreed
        if edge.link is not None:
            self._close_link(edge.link, "the same edge has connected again", out)
        link.edge = edge
        link.look_at = None if link.certificate is None else now
        edge.link = link
        edge.up_at = now
        edge.lost_at = None
        self._alarms.set(edge, None)
        edge.slots = {}
        edge.codec = CodecName(codec)
        edge.incarnation = hello.incarnation
        identities = {known.identity for known in hello.stations}
        for known in hello.stations:
            self._restore_context(edge, known, saved.get(known.identity), out)
        welcomes = [self._known(edge, known, out) for known in hello.stations]
        self._touch(edge, *edge.slots.values())
        for station in list(edge.stations.values()):
            if station.identity not in identities:
                if station.state is not CsmsState.CLOSED:
                    self._csms.shut(station, 1000, "the station has gone", out)
                station.context_lost()
        link.session.moved(SessionEvent.GREETED)
        link.session.clock = LinkClock(zero=now, peer_floor=now)
        out.append(SendLink(link.session.link, link.session.greeting(Welcome(codec, welcomes, protocol))))
        if hello.reachability_s:
            out.append(ExpectSigns(link.session.link, hello.reachability_s))
        out.append(
            self._note(
                Level.INFO,
                "link up",
                edge=edge.name,
                codec=codec,
                protocol=protocol,
                stations=len(welcomes),
                contexts_resumed=sum(welcome.known for welcome in welcomes),
            )
        )

    def _agreed(self, link: CloudLink, name: str, hello: Hello | Check, out: list[Effect]) -> tuple[str, int] | None:
        """The codec and the protocol for an edge; None if its link was refused."""
        spoken = Spoken(hello.oldest, hello.protocol)
        protocol = self.settings.protocols.common(spoken)
        if protocol is None:
            self._refuse_link(link, f"link protocol {spoken}, this cloud speaks {self.settings.protocols}", out)
            return None
        if (link.peer and hello.edge and hello.edge != link.peer) or name not in self.settings.edges:
            self._refuse_link(link, f"no such edge: {name[:40]!r}", out)
            return None
        ours = {(str(codec), print_) for codec, print_ in offers()}
        codec = next((codec for codec, print_ in hello.codecs if (codec, print_) in ours), None)
        if codec is None:
            self._refuse_link(link, "no common codec", out)
            return None
        return codec, protocol

    def _check(self, link: CloudLink, check: Check, now: float, out: list[Effect]) -> None:
        """Say what a hello would be answered, and let the connection wait for the next such question."""
        if link.session.is_writing:
            raise PartError("checks faster than they can be answered")
        name = link.peer or check.edge
        agreed = self._agreed(link, name, check, out)
        if agreed is None:
            return
        link.greet_by = now + CHECK_S_MAX
        self._checking[link] = None
        if len(self._checking) > CHECKING_MAX:
            oldest = next(iter(self._checking))
            del self._checking[oldest]
            self._close_link(oldest, "too many connections that only look", out)
        edge = self._edges.get(name)
        codec, protocol = agreed
        answer = Checked(name, codec, round(self.wall_s() * 1000), edge is not None and edge.link is not None, protocol)
        out.append(SendLink(link.session.link, link.session.greeting(answer)))

    def _known(self, edge: CloudEdge, known: KnownStation, out: list[Effect]) -> StationWelcome:
        """Find out what both ends still know of a station, and set this end accordingly."""
        station = edge.stations.get(known.identity)
        if station is None:
            return StationWelcome(0, False, False, 0)
        other_outbox = station.delivery is not None and station.delivery.incarnation != edge.incarnation
        station.slot = known.slot
        edge.slots[known.slot] = station
        if station.delivery is not None:
            station.delivery.forget_told()
        if station.state is CsmsState.OPENING or (station.state is not CsmsState.CLOSED and station.attachment != known.attachment):
            self._csms.shut(station, 1000, "the station has gone", out)
        channel = station.channel
        if channel is None or channel.epoch != known.epoch or other_outbox or not channel.can_resume(known.sent, known.received):
            if station.state is not CsmsState.CLOSED:
                self._csms.shut(station, 1001, "what the station sent is not known any more", out)
            station.context_lost()
            return StationWelcome(0, False, False, 0)
        attached = station.state is not CsmsState.CLOSED
        received = channel.received
        if channel.intact and known.intact:
            channel.resume(known.received)
        else:
            channel.renew(self._new_epoch(), partial(open_endpoint, edge.codec, channel.version, Side.CLOUD), known.received)
        return StationWelcome(channel.epoch, True, attached, received)

    # --- edges that are this cloud's only until another has claimed them

    def _claimed(self, event: EdgeClaimed, now: float, out: list[Effect]) -> None:
        claim = event.claim
        edge = self._edges[claim.edge]
        if event.others:
            self._let_go(edge, out)
        edge.claim = claim
        for station in edge.stations.values():
            station.claim = claim
        link = self._links.get(claim.number)
        if link is None or link.session.closing or link.hello is None:
            out += [SaveContext(context) for context in event.contexts]
            out.append(ReleaseEdge(claim))
            return
        hello, link.hello = link.hello, None
        agreed = self._agreed(link, claim.edge, hello, out)
        if agreed is not None:
            self._touched_links[link] = None
            self._greet(link, edge, hello, agreed, {context.identity: context for context in event.contexts}, now, out)

    def _taken(self, event: EdgeTaken, out: list[Effect]) -> None:
        edge = self._edges.get(event.claim.edge)
        if edge is None or edge.claim != event.claim:
            return
        reason = "another cloud has this edge now"
        out.append(self._note(Level.INFO if edge.link is None else Level.WARNING, reason, edge=edge.name, stations=len(edge.stations)))
        self._let_go(edge, out)
        if edge.link is not None and not edge.link.session.closing:
            self._close_link(edge.link, reason, out)

    def _let_go(self, edge: CloudEdge, out: list[Effect]) -> None:
        """What this cloud knows of an edge's stations is no longer so, and their CSMS sockets are another's."""
        for station in list(edge.stations.values()):
            if station.state is not CsmsState.CLOSED:
                self._csms.shut(station, 1001, "another cloud has this station now", out)
            self._forget(edge, station)
        edge.claim = None

    def _may_reopen(self, edge: CloudEdge) -> bool:
        """Whether a CSMS socket that was lost may be opened again; in a fleet the edge that is away may be another's, and the CSMS has closed it for that."""
        return not self._stopping and (edge.link is not None or not self.settings.fleet)

    # --- contexts over a restart

    def _restore_context(self, edge: CloudEdge, known: KnownStation, context: SavedContext | None, out: list[Effect]) -> None:
        """Have a station's context again, if the edge stands where the cloud did that saved it."""
        if context is None or known.identity in edge.stations or not is_known(context, known, edge.codec):
            return
        try:
            channel = resumed(context)
        except DecodeError as error:
            out.append(self._note(Level.WARNING, "a saved context can't be used", station=known.identity, reason=str(error)))
            return
        self._station(edge, known.identity, known.slot).channel = channel

    def _save_contexts(self, edge: CloudEdge, out: list[Effect]) -> None:
        """Nothing more is sent to this edge or taken from it: let go of its channels."""
        for station in edge.stations.values():
            if station.channel is not None:
                out.append(SaveContext(leaving(edge.name, station.identity, edge.codec, station.channel)))
                station.channel = None

    # --- what the sockets ask

    def _back_off_s(self, retries: int) -> float:
        """As OCPP has stations do it: RetryBackOffWaitMinimum doubled RepeatTimes times, plus a random part (2.x Part 4 5.3)."""
        doubled = min(retries, self.settings.retry_repeat_times)
        return self.settings.retry_wait_min_s * 2.0**doubled + self.settings.retry_random_s * self.random()

    def _new_epoch(self) -> int:
        return int.from_bytes(self.random_bytes(4), "big") or 1

    # --- stations come and go

    def _attach(self, link: CloudLink, edge: CloudEdge, attach: Attach, now: float, out: list[Effect]) -> None:
        versions = {version.subprotocol for version in OcppVersion}
        offered = tuple(name for name in attach.subprotocols if name in versions)
        allowed = self.settings.edges[edge.name]
        if not offered or link.session.crowded:
            raise PartError("an attach without a sub-protocol" if not offered else "attaches faster than they can be answered")
        if self._stopping:
            link.session.control(Verdict(attach.slot, attach.attachment, 503, "", 0, "the gateway is stopping"), now)
            return
        if attach.identity not in allowed and ANY_STATION not in allowed:
            level = self._once("station", edge.name, attach.identity)
            out.append(self._note(level, "edge may not speak for station", edge=edge.name, station=attach.identity))
            verdict = Verdict(attach.slot, attach.attachment, 404, "", 0, "this edge may not speak for the station")
            link.session.control(verdict, now)
            return
        station = self._station(edge, attach.identity, attach.slot)
        previous = edge.slots.get(attach.slot)
        for old in (station, previous):
            if old is not None and old.state is not CsmsState.CLOSED:
                self._csms.shut(old, 1000, "the station has gone", out)
        edge.slots = {slot: other for slot, other in edge.slots.items() if other is not station}
        edge.slots[attach.slot] = station
        self._touch(edge, station)
        station.attached(attach, offered)
        if station.delivery is not None and station.delivery.incarnation != edge.incarnation:
            station.delivery = None
        if edge.incarnation and station.delivery is None:
            out.append(LoadPositions(station.identity))
        else:
            self._csms.open(edge, station, out)

    def _station(self, edge: CloudEdge, identity: str, slot: int) -> CloudStation:
        station = edge.stations.get(identity)
        if station is None:
            while len(edge.stations) >= IDENTITIES_MAX:
                self._forget(edge, next(old for old in edge.stations.values() if old.state is CsmsState.CLOSED))
            station = CloudStation(
                identity,
                slot,
                make_id=self._make_id,
                call_timeout_s=self.settings.call_timeout_s,
                command_timeout_s=self.settings.command_timeout_s,
                attempts_max=self.settings.attempts_max,
                attempt_interval_s=self.settings.attempt_interval_s,
                stops_late_rejected=self.settings.stops_late_rejected,
                relayed_bytes=self.settings.relayed_bytes,
                counters=self.counters,
                guards=self._guards,
                month_percent=edge.month_percent,
            )
            station.watched = identity in self._watched
            edge.stations[identity] = station
            self._by_identity.setdefault(identity, {})[station] = edge
        edge.stations.move_to_end(identity)
        station.claim = edge.claim
        return station

    def _forget(self, edge: CloudEdge, station: CloudStation) -> None:
        """A station without a CSMS socket."""
        del edge.stations[station.identity]
        self._alarms.set(station, None)
        self._touched_stations.pop(station, None)
        del self._by_identity[station.identity][station]
        if not self._by_identity[station.identity]:
            del self._by_identity[station.identity]
        edge.slots = {at: other for at, other in edge.slots.items() if other is not station}

    def _make_id(self) -> str:
        if not self._id_prefix:
            self._id_prefix = self.random_bytes(6).hex()
        self._ids += 1
        return f"{self._id_prefix}-{self._ids}"

    # --- how far the CSMS has come with an edge's outbox

    def _positions_loaded(self, event: PositionsLoaded, out: list[Effect]) -> None:
        for station in self._of_identity(event.identity):
            edge = self._by_identity[event.identity][station]
            if station.state is CsmsState.OPENING and station.delivery is None and edge.incarnation:
                station.delivery = Delivery(edge.incarnation, event.positions.get(edge.incarnation, (0, 0)), station.delivered_to_edge)
                self._csms.open(edge, station, out)

    def _trouble(self, event: PositionsTrouble, out: list[Effect]) -> None:
        if event.reason is None:
            out.append(self._note(Level.INFO, "the store of positions works again"))
        else:
            out.append(self._note(Level.ERROR, "the store of positions is in trouble, stored messages wait", reason=event.reason))

    def _tell(self, edge: CloudEdge | None, part: Control, now: float) -> None:
        if edge is not None:
            edge.tell(part, now)
            self._touch(edge)

    def _replay(self, event: Replay, now: float, out: list[Effect]) -> None:
        station = next((station for station in self._of_identity(event.letter.identity) if station.socket_open), None)
        if station is None:
            out.append(ReplayEnded(event.letter.key, "the station's CSMS socket isn't open"))
        else:
            station.replay(event.letter, now, out)
            self._replaying.append(station)

    # --- time

    def _expire(self, edge: CloudEdge, station: CloudStation, now: float, out: list[Effect]) -> None:
        if station.state is CsmsState.CLOSED:
            return
        if edge.lost_at is not None and now >= edge.lost_at + self.settings.link_grace_s:
            self._csms.shut(station, 1001, "the link to the station is down", out)
            return
        if station.lost_at is not None and now >= station.lost_at + self.settings.link_grace_s:
            self._csms.eject(edge, station, 1001, "the CSMS cannot be reached", now, out)
            return
        if station.state is CsmsState.WAITING and now >= station.retry_at and self._may_reopen(edge):
            station.moved(CsmsStep.OPEN)
            self._csms.open(edge, station, out)
        if station.socket_open and station.silent_csms(now, self.settings.call_timeout_s, out):
            self._csms.give_up(station, now, out)
        station.expire(now, out)
        if edge.link is not None:
            station.beat(now, out)

    def _stop(self, now: float, out: list[Effect]) -> None:
        """Take no more stations, and send what waits; then `_shut_all`."""
        self._stopping = True
        self._shut_by = now + STOP_FLUSH_S
        for link in self._links.values():
            link.session.hurry(now)
            self._undrained.add(link.session.link)
            self._touched_links[link] = None

    def _shut_all(self, now: float, out: list[Effect]) -> None:
        self._shut_down = True
        for edge in self._edges.values():
            self._touch(edge, *edge.slots.values())
            for station in edge.slots.values():
                if station.state is not CsmsState.CLOSED:
                    self._csms.shut(station, 1001, "the gateway is stopping", out)
            if edge.link is None:
                self._save_contexts(edge, out)
        out += [SaveContext(context) for context in self._saved_contexts.take_all()]
        for link in self._links.values():
            self._touched_links[link] = None
            if link.session.is_open:
                link.session.control(Goodbye("the cloud is stopping", self._return_s()), now)
            elif not link.session.closing:
                self._refuse_link(link, "the cloud is stopping", out, self._return_s())

    def _return_s(self) -> int:
        """When one of the edges may come back to the next cloud: not all at once."""
        return RESTART_S + round(self.random() * min(RETURN_S_MAX, len(self._links) / RETURNS_A_SECOND))

    def _once(self, *key: Hashable) -> Level:
        """How loud a warning is that whoever causes it can cause any number of times."""
        return Level.WARNING if self._told.first(*key) else Level.DEBUG

    def _note(self, level: Level, words: str, **fields: Any) -> Note:
        return Note(level, words, fields)
