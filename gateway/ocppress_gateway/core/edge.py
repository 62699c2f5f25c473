"""The edge's machine: stations on one side, one link to the cloud on the other.

It dials the link, greets the cloud, lets the CSMS decide each station's upgrade, and carries what they say. What happens to one
station's messages is in
`edge_station` and `conversation`; here is what concerns the link as a whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from ocppress_codecs.errors import DecodeError, LimitExceeded
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import offers, open_endpoint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.allowance import ASK_BYTES, SEND_BYTES, Allowance
from ocppress_gateway.core.channel import Channel, actions_of
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.edge_station import (
    STORE_PAUSE_S,
    URGENT_DELAY_S,
    EarlyAnswers,
    EdgeStation,
    StationEvent,
    StationState,
    absent_view,
)
from ocppress_gateway.core.events import (
    AdmitStation,
    CheckCredentials,
    CloseLink,
    CloseStation,
    CredentialsChecked,
    CredentialsOpened,
    Effect,
    Event,
    Flush,
    ForgetCredentials,
    KeepCredentials,
    Level,
    LinkClosed,
    LinkHeard,
    LinkMessage,
    LinkOpened,
    LinkSent,
    Note,
    OpenLink,
    PlanWanted,
    RefuseStation,
    SendLink,
    StationArrived,
    StationGone,
    StationText,
    Stop,
    StoreMessage,
    TakeRenewal,
    TellReport,
    Tick,
    Watch,
)
from ocppress_gateway.core.ledger_events import FrameShare
from ocppress_gateway.core.limits import IDENTITIES_MAX, STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.parts import (
    SPOKEN,
    Ack,
    Attach,
    ChoosePlan,
    CsmsTime,
    DayReport,
    Delivered,
    Detach,
    Eject,
    FlushStation,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    PartError,
    Piece,
    Renewal,
    RenewedClock,
    Spoken,
    TellDelivered,
    Verdict,
    Welcome,
    for_people,
    read_parts,
)
from ocppress_gateway.core.plan import CHOICE_CHARACTERS_MAX
from ocppress_gateway.core.policy import NO_OVERRIDES, Overrides
from ocppress_gateway.core.refused_upgrades import REFUSED_STATUSES, RefusedUpgrades
from ocppress_gateway.core.session import LinkSession, SessionEvent, SessionState
from ocppress_gateway.core.stored import Loaded, NotStored, OutboxOpened, OutboxTrouble, StationRecord, Stored, as_pair
from ocppress_gateway.core.suppression import SuppressionSettings
from ocppress_gateway.core.views import EdgeView, LinkView

__all__ = ["EdgeMachine", "EdgeSettings"]

GREETING_TIMEOUT_S: Final = 15.0
"""Connected but no welcome: a far end that isn't a cloud of ours, or a link too slow to be of use."""


STOP_FLUSH_S: Final = 3.0
"""How long a stopping edge goes on sending what waits; the rest of the shutdown's time is for closing."""


CHECKS_MAX: Final = 16
"""Credentials that are being compared: each comparison is made to be slow, and whoever comes on top is refused."""

REFUSED_QUICKLY: Final = 10
"""Refused connections after which the next ones come less often: a clock is set and a mistake mended within minutes, or it takes a visit."""

REFUSED_WAIT_S_MAX: Final = 3600.0
"""The longest wait between those: each costs the SIM 2 to 4 kB, which each minute would be over 3 MB a day."""

_DOWN: Final = "the link is down"
_UNDECIDED: Final = "the CSMS did not decide in time"
_REPLACED: Final = "replaced by a newer connection of the same identity"
_USED_UP: Final = "the station has used up its bytes on the cellular link"
_STRANGERS: Final = "the CSMS has refused too many stations lately"


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What the edge's machine is told; times in seconds. `edge` is "" where its certificate names it."""

    edge: str
    codec: CodecName
    linger_s: float
    station_timeout_s: float
    """How long a station waits for an answer: an older CALL isn't delivered any more."""
    command_timeout_s: float
    """How long a station may take to answer a CSMS's CALL before the next is put to it."""
    upgrade_wait_s: float
    link_grace_s: float
    reconnect_min_s: float
    reconnect_max_s: float
    outbox: bool = False
    """Whether there will be an outbox: then nothing begins before it is open."""
    urgent_s: float = URGENT_DELAY_S
    """How long what is urgent waits for company (rule R5)."""
    overrides: Overrides = NO_OVERRIDES
    suppression: SuppressionSettings | None = None
    """What is dropped of unchanged meter values outside transactions; None for nothing."""
    serves_offline: bool = False
    """Stations' sockets are kept while the link is down, rather than closed after `link_grace_s`."""
    station_grace_s: float = 0.0
    """How long a station may be gone before the cloud is told."""
    reachability_s: int = 0
    """How much silence of the link, probes included, means that it is dead; 0 where nobody probes."""
    daily_bytes: int | None = None
    """What one station may cost the link in a day; None for anything."""
    keeps_credentials: bool = False
    """Whether somebody keeps hashes of what the CSMS has accepted, and compares with them: then a station may come while nobody can be asked."""
    protocols: Spoken = SPOKEN
    """The versions of the link's protocol that it speaks."""
    drain_s: float = 0.0
    """How much longer the cloud isn't told while there is something of the station in the outbox."""


class Freshness(Protocol):
    """The plan, as far as the machine asks it."""

    def delay_s(self, identity: str, now: float) -> float | None:
        """How long a batched message of this station may wait, None where nothing is answered early."""

    def smart_charging(self, identity: str, now: float) -> None:
        """A station has accepted a charging profile that steers it."""

    def charging(self, identity: str, transactions: int) -> None:
        """How many transactions of a station run."""


class Transparent:
    """The plan in which nothing is answered early."""

    def delay_s(self, identity: str, now: float) -> float | None:
        return None

    def smart_charging(self, identity: str, now: float) -> None:
        """Nothing follows from it."""

    def charging(self, identity: str, transactions: int) -> None:
        """Nor from that."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of the credentials that count for an identity: the version that goes with them, and which these are, if it is one."""

    version: str
    tag: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Check:
    """A station that waits for a comparison. `arrival` is None if it has asked the CSMS; `reason` is why it would be refused."""

    identity: str
    arrival: StationArrived | None
    reason: str


@dataclass(slots=True)
class EdgeMachine:
    """Decide what the edge does next. No I/O, no clock."""

    settings: EdgeSettings
    random: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    freshness: Freshness = field(default_factory=Transparent)
    wall_s: Callable[[], float] = lambda: 0.0
    """Unix seconds, for what people read."""
    counters: Counters = field(default_factory=Counters)

    _incarnation: bytes = b""
    _outbox_open: bool = False
    _early: EarlyAnswers = field(init=False)
    _storing: dict[int, EdgeStation] = field(default_factory=dict)
    _heard: list[FrameShare] = field(default_factory=list)
    _records: dict[str, StationRecord] = field(default_factory=dict)
    """Stations that the outbox knows and that have not been here yet."""
    _stations: OrderedDict[str, EdgeStation] = field(default_factory=OrderedDict)
    _by_socket: dict[int, EdgeStation] = field(default_factory=dict)
    _session: LinkSession | None = None
    _codec: CodecName = CodecName.VERBATIM
    _hello_at: float = 0.0
    _greeted: list[tuple[EdgeStation, KnownStation]] = field(default_factory=list)
    _links: int = 0
    _attempts: int = 0
    _refused: int = 0
    """Attempts in a row that were refused."""
    _dial_at: float = 0.0
    _lost_at: float | None = None
    _up_at: float = 0.0
    _report: DayReport | None = None
    _attachments: int = 0
    _ids: int = 0
    _id_prefix: str = ""
    _refusals: RefusedUpgrades = field(init=False)
    _allowances: OrderedDict[str, Allowance] = field(default_factory=OrderedDict)
    _watched: set[str] = field(default_factory=set)
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _checks: dict[int, _Check] = field(default_factory=dict)
    _stopping: bool = False
    _leave_by: float = 0.0
    _left: bool = False

    def __post_init__(self) -> None:
        self._early = EarlyAnswers(
            self.settings.overrides,
            self.freshness.delay_s,
            self.wall_s,
            self.freshness.smart_charging,
            self.freshness.charging,
            self.settings.urgent_s,
            self.settings.suppression,
            self.settings.keeps_credentials,
        )
        self._refusals = RefusedUpgrades(self.random_bytes(16))
        self._outbox_open = not self.settings.outbox

    # --- the machine's two faces

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event; run the effects in order."""
        out: list[Effect] = []
        match event:
            case StationText():
                station = self._by_socket.get(event.socket)
                if station is not None and station.socket_open:
                    station.take_text(event.text, now, out)
            case LinkMessage():
                if self._session is not None and event.link == self._session.link:
                    self._link_message(event.data, now, out)
            case LinkSent():
                if self._session is not None and event.link == self._session.link:
                    self._session.kernel_has_it()
            case StationArrived():
                self._arrived(event, now, out)
            case StationGone():
                self._gone(event, now, out)
            case LinkOpened():
                self._opened(event, now, out)
            case LinkClosed():
                self._closed(event, now, out)
            case Stored():
                self._storing.pop(event.ticket).stored(event, now, out)
            case NotStored():
                self._early.failed_until = now + STORE_PAUSE_S
                out.append(self._note(Level.ERROR, "the outbox takes nothing, stations keep what is new", reason=event.reason))
                self._storing.pop(event.ticket).not_stored(event)
            case Loaded():
                if event.identity in self._stations:
                    self._stations[event.identity].loaded(event)
            case OutboxOpened():
                self._outbox_opened(event, out)
            case OutboxTrouble():
                self._early.troubled = event.reason is not None
                if event.reason is None:
                    out.append(self._note(Level.INFO, "the outbox works again"))
                else:
                    out.append(self._note(Level.ERROR, "the outbox is in trouble, stations keep what is new", reason=event.reason))
            case Flush():
                self._hurry(event.identity, now)
            case CredentialsOpened():
                self._kept.update((identity, _Kept(version)) for identity, version in event.versions.items())
            case CredentialsChecked():
                self._checked(event, now, out)
            case TellReport():
                if event.now and self._session is not None and self._session.is_open:
                    self._session.control(DayReport(event.report), now)
                else:
                    self._report = DayReport(event.report)
            case Watch():
                self._watch(event)
            case Stop():
                self._stop(now, out)
            case Tick():
                pass
            case _:
                raise TypeError(f"the edge has no {type(event).__name__}")
        self._expire(now, out)
        self._flush(now, out)
        for effect in out:
            if isinstance(effect, StoreMessage):
                self._storing[effect.ticket] = self._stations[effect.message.identity]
            elif isinstance(effect, KeepCredentials):
                self._note_kept(effect)
        return out

    def next_deadline(self) -> float | None:
        """When to deliver the next `Tick`."""
        times: list[float] = []
        if self._session is None:
            if not self._stopping and self._outbox_open:
                times.append(self._dial_at)
        else:
            if self._session.state is SessionState.GREETING and not self._session.closing:
                times.append(self._hello_at + GREETING_TIMEOUT_S)
            send_at = self._session.next_deadline()
            if send_at is not None:
                times.append(send_at)
        if self._stopping and not self._left:
            times.append(self._leave_by)
        offline = self._lost_at is not None and not self.settings.serves_offline
        if offline and self._lost_at is not None and any(station.socket_open for station in self._stations.values()):
            times.append(self._lost_at + self.settings.link_grace_s)
        for station in self._stations.values():
            if station.state is StationState.ASKING and station.socket not in self._checks:
                times.append(station.decide_by)
            if station.state is StationState.LEAVING:
                times.append(station.leave_at)
            deadline = station.next_deadline()
            if deadline is not None:
                times.append(deadline)
        return min(times, default=None)

    def view(self, now: float) -> EdgeView:
        """For status."""
        session = self._session
        is_open = session is not None and session.is_open
        waits = session is None and self._outbox_open and not self._stopping
        return EdgeView(
            link=LinkView(
                state="down" if session is None else session.state.value,
                up_s=now - self._up_at if is_open else None,
                down_s=None if self._lost_at is None else now - self._lost_at,
                retry_in_s=max(0.0, self._dial_at - now) if waits else None,
                codec=self._codec.value if is_open else "",
                connections=self._links,
            ),
            stations=(
                *(station.view(now) for station in self._stations.values()),
                *(absent_view(record) for record in self._records.values() if record.newest != record.delivered),
            ),
            counters=self.counters.view(),
        )

    # --- stations

    def _arrived(self, event: StationArrived, now: float, out: list[Effect]) -> None:
        versions = [version for version in OcppVersion if version.subprotocol in event.subprotocols]
        if not versions:
            out.append(self._note(Level.WARNING, "no common sub-protocol", station=event.identity, offered=",".join(event.subprotocols)))
            out.append(AdmitStation(event.socket, ""))
            return
        if event.authorization is not None and not (event.authorization.isascii() and event.authorization.isprintable()):
            self._refuse(event.socket, event.identity, 400, "an Authorization header that isn't printable ASCII", out)
            return
        if self._came_back(event, now, out):
            return
        refusal = self._refusals.remembered(event.identity, event.authorization, now)
        if refusal is not None:
            self._refuse(event.socket, event.identity, refusal.status, refusal.reason, out)
            return
        allowance = self._allowances.get(event.identity)
        if allowance is not None and allowance.is_shut(now):
            self._refuse(event.socket, event.identity, 503, _USED_UP, out)
            return
        obstacle = _DOWN if self._stopping or not self._linked else None if self._refusals.may_ask(now) else _STRANGERS
        if obstacle is None:
            self._enter(event, now, out)
        elif not self._check(event.socket, _Check(event.identity, event, obstacle), event.authorization, now, out):
            self._refuse(event.socket, event.identity, 503, obstacle, out)

    @property
    def _linked(self) -> bool:
        return self._session is not None and self._session.is_open

    def _enter(self, event: StationArrived, now: float, out: list[Effect]) -> EdgeStation | None:
        """Give a station's socket its place, and ask the CSMS if there is a link; None if it had to be refused."""
        if self._session is not None and self._session.is_open and self._session.crowded:
            self._refuse(event.socket, event.identity, 503, "stations come and go faster than the link can tell", out)
            return None
        station = self._station(event.identity, now)
        if station is None:
            self._refuse(event.socket, event.identity, 503, f"more than {STATIONS_PER_EDGE_MAX} stations", out)
            return None
        known = {version.subprotocol for version in OcppVersion}
        offered = tuple(dict.fromkeys(name for name in event.subprotocols if name in known))
        if station.state is StationState.ASKING and (station.authorization, station.offered) == (event.authorization, offered):
            # The CSMS is asked already; whoever is faster than it must not cost the link a question each time.
            self._refuse(station.socket, station.identity, 503, _REPLACED, out)
            del self._by_socket[station.socket]
            self._checks.pop(station.socket, None)
            station.socket = event.socket
            station.decide_by = now + self.settings.upgrade_wait_s
            self._by_socket[event.socket] = station
            return station
        if station.state is not StationState.ABSENT:
            self._leave(station, 1001, _REPLACED, now, out)
        self._attachments += 1
        station.arrived(event.socket, self._attachments, offered, event.authorization, now + self.settings.upgrade_wait_s)
        self._by_socket[event.socket] = station
        if self._linked:
            self._refusals.asked(now)
            self._ask(station, now)
        return station

    def _came_back(self, event: StationArrived, now: float, out: list[Effect]) -> bool:
        """Admit a station that the cloud doesn't know to have been away, if it comes with the same credentials."""
        station = self._stations.get(event.identity)
        if station is None or station.state is not StationState.LEAVING or self._stopping or self._grace_over(now):
            return False
        same = station.authorization == event.authorization and event.authorization in station.credentials.all
        if not same or station.version.subprotocol not in event.subprotocols:
            return False
        station.came_back(event.socket)
        self._by_socket[event.socket] = station
        out.append(AdmitStation(event.socket, station.version.subprotocol))
        out.append(self._note(Level.INFO, "station came back", station=station.identity))
        return True

    def _ask(self, station: EdgeStation, now: float) -> None:
        assert self._session is not None, "asking needs a link"
        station.asked_on = self._session.link
        station.asked_with = station.credentials.first
        if station.allowance is not None:
            station.allowance.spend(ASK_BYTES, now)
        epoch = station.channel.epoch if station.channel is not None else 0
        attach = Attach(
            station.slot,
            station.attachment,
            station.identity,
            list(station.offered),
            station.asked_with,
            epoch,
            station.heartbeat_s if station.accepted else 0,
            station.sent_on_link,
            as_pair(station.lanes.delivered),
        )
        self._session.control(attach, now)

    def _ask_again(self, station: EdgeStation, now: float) -> None:
        station.moved(StationEvent.ASKED_AGAIN)
        self._ask(station, now)

    # --- credentials, for when nobody can be asked

    def _may_vouch(self, identity: str, now: float) -> bool:
        """Whether the edge may admit a station of this identity by itself, if it comes with the right credentials."""
        known = self.settings.keeps_credentials and identity in self._kept
        return known and not self._stopping and not self._grace_over(now) and len(self._checks) < CHECKS_MAX

    def _check(self, socket: int, check: _Check, authorization: str | None, now: float, out: list[Effect]) -> bool:
        """Have credentials compared; false if that is of no use."""
        if not self._may_vouch(check.identity, now):
            return False
        self._checks[socket] = check
        out.append(CheckCredentials(socket, check.identity, authorization))
        return True

    def _check_or_leave(self, station: EdgeStation, reason: str, now: float, out: list[Effect]) -> None:
        """The CSMS hasn't decided about a station that asks for its upgrade."""
        if station.socket in self._checks:
            return
        if not self._check(station.socket, _Check(station.identity, None, reason), station.authorization, now, out):
            self._leave(station, 1001, reason, now, out)

    def _checked(self, event: CredentialsChecked, now: float, out: list[Effect]) -> None:
        check = self._checks.pop(event.socket, None)
        if check is None:
            return
        station = self._by_socket.get(event.socket)
        strange = check.reason == _STRANGERS and not event.matches
        if check.arrival is not None and (event.matches or self._linked) and not strange:
            station = self._enter(check.arrival, now, out)
        elif check.arrival is not None:
            self._refuse(event.socket, check.identity, 503, check.reason, out)
        if station is None or station.state is not StationState.ASKING:
            return
        asked = self._session is not None and station.asked_on == self._session.link
        if check.arrival is not None and asked:
            return  # There is a link by now, and a CSMS that decides.
        if event.matches and not self._stopping and not self._grace_over(now):
            self._vouch(station, check.reason, now, out)
        elif self._linked and not asked:
            station.decide_by = now + self.settings.upgrade_wait_s
            self._ask(station, now)
        else:
            self._leave(station, 1001, check.reason, now, out)

    def _vouch(self, station: EdgeStation, reason: str, now: float, out: list[Effect]) -> None:
        """Admit a station that the CSMS accepted with these credentials before; it is asked as soon as it can be."""
        version = OcppVersion(self._kept[station.identity].version)
        if version.subprotocol not in station.offered:
            self._leave(station, 1001, reason, now, out)
            return
        if station.channel is not None and station.channel.version is not version:
            station.context_lost()
        station.version = version
        station.offered = (version.subprotocol,)
        station.moved(StationEvent.ADMITTED)
        out.append(AdmitStation(station.socket, version.subprotocol))
        out.append(self._note(Level.WARNING, "station admitted with the credentials of last time", station=station.identity, reason=reason))
        if self._session is not None and self._session.is_open:
            station.moved(StationEvent.ASKED_AGAIN)
            if station.asked_on != self._session.link:
                self._ask(station, now)

    def _accepted(self, station: EdgeStation, out: list[Effect]) -> None:
        """The CSMS has accepted a station with the credentials that it was asked with."""
        authorization = station.asked_with
        station.credentials.opened(authorization)
        self._refusals.accepted(station.identity, authorization)
        kept = _Kept(station.version.value, self._refusals.tag(station.identity, authorization))
        if self.settings.keeps_credentials and self._kept.get(station.identity) != kept:
            out.append(KeepCredentials(station.identity, station.version.value, (authorization,)))

    def _note_kept(self, effect: KeepCredentials) -> None:
        tag = self._refusals.tag(effect.identity, effect.authorizations[0]) if len(effect.authorizations) == 1 else None
        self._kept[effect.identity] = _Kept(effect.version, tag)
        self._kept.move_to_end(effect.identity)
        while len(self._kept) > IDENTITIES_MAX:
            self._kept.popitem(last=False)

    def _station(self, identity: str, now: float) -> EdgeStation | None:
        station = self._stations.get(identity)
        if station is None:
            if len(self._stations) >= STATIONS_PER_EDGE_MAX:
                absent = next((old for old in self._stations.values() if old.state is StationState.ABSENT and not old.is_storing), None)
                if absent is None:
                    return None
                self._records[absent.identity] = absent.record()
                del self._stations[absent.identity]
            taken = {old.slot for old in self._stations.values()}
            slot = next(slot for slot in range(STATIONS_PER_EDGE_MAX) if slot not in taken)
            station = EdgeStation(
                identity,
                slot,
                make_id=self._make_id,
                answer_timeout_s=self.settings.command_timeout_s,
                station_timeout_s=self.settings.station_timeout_s,
                counters=self.counters,
                early=self._early,
            )
            self._stations[identity] = station
            station.allowance = self._allowance(identity)
            station.watched = identity in self._watched
            record = self._records.pop(identity, None)
            if record is not None:
                station.remembered(record, now)
        self._stations.move_to_end(identity)
        return station

    def _watch(self, event: Watch) -> None:
        (self._watched.add if event.on else self._watched.discard)(event.identity)
        if event.identity in self._stations:
            self._stations[event.identity].watched = event.on

    def _allowance(self, identity: str) -> Allowance | None:
        """What is left for an identity, whatever became of its sockets."""
        if self.settings.daily_bytes is None:
            return None
        allowance = self._allowances.setdefault(identity, Allowance(self.settings.daily_bytes))
        self._allowances.move_to_end(identity)
        while len(self._allowances) > IDENTITIES_MAX:
            self._allowances.popitem(last=False)
        return allowance

    def _spend(self, shares: Sequence[FrameShare], now: float, out: list[Effect]) -> None:
        """Charge stations with what a link message has for them."""
        for share in shares:
            allowance = self._stations[share.identity].allowance
            if allowance is not None:
                allowance.spend(share.payload_bytes + SEND_BYTES / len(shares), now)
                if allowance.takes_alarm(now):
                    words = "a station has used up its bytes on the link, only transactions go on"
                    out.append(self._note(Level.ERROR, words, station=share.identity, daily_mb=allowance.daily_bytes / 1e6))

    def _make_id(self) -> str:
        if not self._id_prefix:
            self._id_prefix = self.random_bytes(6).hex()
        self._ids += 1
        return f"{self._id_prefix}-{self._ids}"

    def _gone(self, event: StationGone, now: float, out: list[Effect]) -> None:
        self._checks.pop(event.socket, None)
        station = self._by_socket.get(event.socket)
        if station is not None:
            out.append(self._note(Level.INFO, "station gone", station=station.identity, reason=event.reason))
            if station.state is StationState.ADMITTED and (self.settings.station_grace_s or station.lanes.waits_stored):
                del self._by_socket[station.socket]
                grace_s = self.settings.station_grace_s
                station.gone(now + grace_s, now + max(grace_s, self.settings.drain_s))
            else:
                self._detach(station, now)

    def _detach(self, station: EdgeStation, now: float) -> None:
        """The station's socket is out of the game: forget it, and tell the cloud if there is a link."""
        if self._session is not None and self._session.state is not SessionState.CONNECTING:
            self._session.control(Detach(station.slot, station.attachment), now)
        self._forget(station)

    def _forget(self, station: EdgeStation) -> None:
        self._by_socket.pop(station.socket, None)
        self._checks.pop(station.socket, None)
        station.left()

    def _leave(self, station: EdgeStation, code: int, reason: str, now: float, out: list[Effect]) -> None:
        """Send a station away, whatever its state."""
        if station.state is StationState.ASKING:
            self._refuse(station.socket, station.identity, 503, reason, out)
        elif station.socket_open:
            out.append(self._note(Level.WARNING, "station's socket closed", station=station.identity, code=code, reason=reason))
            out.append(CloseStation(station.socket, code, reason))
        self._detach(station, now)

    def _refuse(self, socket: int, identity: str, status: int, reason: str, out: list[Effect]) -> None:
        out.append(self._note(Level.WARNING, "station refused", station=identity, status=status, reason=reason))
        out.append(RefuseStation(socket, status, reason))

    # --- the outbox

    def _hurry(self, identity: str, now: float) -> None:
        """Somebody waits until nothing of a station, or of all, is left: send it, and ask what the CSMS has answered of it."""
        for station in self._stations.values():
            if identity in ("", station.identity):
                station.lanes.hurry()
                if self._session is not None and self._session.is_open and station.channel is not None and station.lanes.undelivered:
                    self._session.control(TellDelivered(station.slot), now)

    def _outbox_opened(self, event: OutboxOpened, out: list[Effect]) -> None:
        if event.fault is not None:
            out.append(self._note(Level.ERROR, "the outbox was damaged, a new one begins", reason=event.fault))
        assert not self._early.ready, "an outbox opens once"
        self._incarnation = event.incarnation
        self._early.ready = True
        self._outbox_open = True
        waiting = 0
        for record in event.stations:
            self._records[record.identity] = record
            waiting += sum(record.newest) - sum(record.delivered)
        out.append(self._note(Level.INFO, "outbox open", stations=len(event.stations), messages=waiting))

    # --- the link's life

    def _opened(self, event: LinkOpened, now: float, out: list[Effect]) -> None:
        if self._session is None or event.link != self._session.link or self._session.closing:
            return
        self._session.moved(SessionEvent.OPENED)
        self._hello_at = now
        self._greeted = [(station, _known(station)) for station in self._stations.values() if station.channel is not None or station.socket]
        codecs = sorted(offers(), key=lambda offer: offer[0] is not self.settings.codec)
        offered = [(str(name), print_) for name, print_ in codecs]
        hello = Hello(
            self.settings.protocols.newest,
            self.settings.edge,
            offered,
            [known for _, known in self._greeted],
            self._incarnation,
            self.settings.reachability_s,
            self.settings.protocols.oldest,
        )
        out.append(SendLink(event.link, self._session.greeting(hello)))

    def _closed(self, event: LinkClosed, now: float, out: list[Effect]) -> None:
        if self._session is None or event.link != self._session.link:
            return
        words = "link not made" if not self._session.is_open else "link closed" if self._session.goodbye_said else "link lost"
        turned_away = self._session.goodbye_said and self._session.state is SessionState.GREETING  # of another version, or unknown there
        self._session.moved(SessionEvent.LOST)
        if self._report is None and isinstance(self._session.rider, DayReport):
            self._report = self._session.rider
        self._session = None
        self._lost_at = now if self._lost_at is None else self._lost_at
        self._refused = self._refused + 1 if event.refused or turned_away else 0
        delay_s = min(self.settings.reconnect_max_s, self.settings.reconnect_min_s * 2.0 ** min(self._attempts, 16))
        if self._refused > REFUSED_QUICKLY:
            delay_s = min(REFUSED_WAIT_S_MAX, delay_s * 2.0 ** min(self._refused - REFUSED_QUICKLY, 16))
        delay_s *= 0.5 + self.random()
        self._dial_at = max(self._dial_at, now + delay_s)
        self._attempts += 1
        if self._stopping:
            out.append(self._note(Level.INFO, words, reason=event.reason))
        else:
            level = Level.INFO if words == "link closed" else Level.WARNING
            out.append(self._note(level, words, reason=event.reason, retry_s=round(self._dial_at - now, 1)))
        for station in list(self._stations.values()):
            if station.state is StationState.ASKING:
                if station.asked_on == event.link:
                    self._refusals.spared(now)
                self._check_or_leave(station, _DOWN, now, out)
            elif station.state is StationState.ASKING_AGAIN:
                station.moved(StationEvent.LINK_LOST)

    def _give_up(self, reason: str, out: list[Effect]) -> None:
        """Close the connection; all else follows when it is reported closed."""
        assert self._session is not None, "there is a connection to give up"
        self._session.closing = True
        out.append(CloseLink(self._session.link, reason))

    def _stop(self, now: float, out: list[Effect]) -> None:
        """Take no more stations, and send what waits; then `_leave_all`."""
        self._stopping = True
        self._leave_by = now + STOP_FLUSH_S
        if self._session is not None:
            self._session.hurry(now)

    def _leave_all(self, now: float, out: list[Effect]) -> None:
        self._left = True
        for station in list(self._stations.values()):
            if station.state is not StationState.ABSENT:
                self._leave(station, 1001, "the edge is stopping", now, out)
        if self._session is not None:
            self._session.control(Goodbye("the edge is stopping", 0), now)

    def _expire(self, now: float, out: list[Effect]) -> None:
        if self._session is None:
            if now >= self._dial_at and not self._stopping and self._outbox_open:
                self._links += 1
                self._session = LinkSession(self._links, self.settings.linger_s, takes_clock=True)
                out.append(OpenLink(self._links))
        elif self._session.state is SessionState.GREETING and not self._session.closing and now >= self._hello_at + GREETING_TIMEOUT_S:
            self._give_up("no welcome", out)
        if self._stopping and not self._left:
            drained = self._session is None or self._session.drained(self._stations.values())
            if drained or now >= self._leave_by:
                self._leave_all(now, out)
        grace_over = self._grace_over(now)
        for station in list(self._stations.values()):
            if station.state is StationState.ASKING and now >= station.decide_by:
                self._check_or_leave(station, _UNDECIDED, now, out)
            elif station.allowance is not None and station.socket_open and station.allowance.is_shut(now):
                self._leave(station, 1008, _USED_UP, now, out)
            elif grace_over and station.socket_open:
                self._leave(station, 1001, _DOWN, now, out)
            elif station.state is StationState.LEAVING and now >= station.leave_at and not station.begins_to_drain():
                self._detach(station, now)
            else:
                station.expire(now, out)
            station.regulate_reading(out)

    def _grace_over(self, now: float) -> bool:
        """Whether the link has been down for so long that stations had better know."""
        return self._lost_at is not None and now >= self._lost_at + self.settings.link_grace_s and not self.settings.serves_offline

    def _flush(self, now: float, out: list[Effect]) -> None:
        if self._session is None:
            return
        conversations: list[Conversation] = list(self._stations.values())
        self._session.wake(conversations, now)
        if self._report is not None and self._session.is_open:
            self._session.rider, self._report = self._report, None
        message = self._session.next_message(conversations, now)
        if message:
            out.append(SendLink(self._session.link, message, tuple(self._session.shares)))
            self._spend(self._session.shares, now, out)
        elif self._left and not self._session.closing and self._session.idle:
            self._give_up("the edge is stopping", out)

    # --- what the cloud says

    def _link_message(self, data: bytes, now: float, out: list[Effect]) -> None:
        assert self._session is not None, "messages come from a connection"
        self._session.heard()
        self._heard = []
        out.append(LinkHeard(self._session.link, len(data), ()))
        place = len(out) - 1
        self._take_parts(data, now, out)
        out[place] = LinkHeard(self._session.link, len(data), tuple(self._heard))
        self._spend(self._heard, now, out)

    def _take_parts(self, data: bytes, now: float, out: list[Effect]) -> None:
        try:
            for part in read_parts(data):
                if self._session is None or self._session.closing:
                    return
                self._part(part, now, out)
        except (PartError, ValueError, LimitExceeded) as error:
            out.append(self._note(Level.ERROR, "the cloud broke the link's rules", reason=str(error)))
            self._give_up("protocol error", out)

    def _part(self, part: Part, now: float, out: list[Effect]) -> None:
        assert self._session is not None, "messages come from a connection"
        if isinstance(part, Goodbye):
            self._session.goodbye_said = True
            out.append(self._note(Level.WARNING, "the cloud says goodbye", reason=part.reason, retry_s=part.retry_after_s))
            self._dial_at = max(self._dial_at, now + part.retry_after_s)
            return
        if not self._session.is_open:
            if not isinstance(part, Welcome) or self._session.state is not SessionState.GREETING:
                raise PartError(f"{type(part).__name__} before the welcome")
            self._welcome(part, now, out)
            return
        match part:
            case FramePart() | Piece() | Ack():
                self._frame_part(part, now, out)
            case Verdict():
                self._verdict(part, now, out)
            case Eject():
                station = self._slot(part.slot)
                if station.attachment == part.attachment and (station.socket_open or station.state is StationState.LEAVING):
                    self._leave(station, part.code, part.reason, now, out)
            case RenewedClock():
                self._session.clock_renewed(now)
            case Renewal():
                out.append(TakeRenewal(part.certificate))
            case ChoosePlan():
                out.append(PlanWanted(part.plan, for_people(part.reason, CHOICE_CHARACTERS_MAX)))
            case FlushStation():
                self._hurry(part.identity, now)
            case Delivered() | CsmsTime():
                station = self._slot(part.slot)
                if station.channel is None:
                    return  # Sent before the cloud heard that the slot has another station now, or begins anew.
                if isinstance(part, Delivered):
                    station.delivered(part.positions, out)
                else:
                    station.clock_told(part.unix_ms / 1000, now)
            case _:
                raise PartError(f"{type(part).__name__} from a cloud")

    def _slot(self, slot: int) -> EdgeStation:
        station = next((station for station in self._stations.values() if station.slot == slot), None)
        if station is None:
            raise PartError(f"slot {slot} has no station")
        return station

    def _frame_part(self, part: FramePart | Piece | Ack, now: float, out: list[Effect]) -> None:
        assert self._session is not None, "frames come from a connection"
        assert self._session.clock is not None, "frames come after the welcome"
        station = self._slot(part.slot)
        channel = station.channel
        if channel is None:
            return  # Sent before the cloud heard that the slot has another station now.
        if isinstance(part, Ack):
            channel.acknowledged(part.number)
        elif isinstance(part, Piece):
            channel.take_piece(part.number, part.data)
            self._heard.append(FrameShare(station.identity, len(part.data)))
        elif channel.intact:
            try:
                batch = channel.take_frame(part, self._session.clock, now)
            except DecodeError as error:
                channel.intact = False
                out.append(self._note(Level.ERROR, "contexts differ, a new epoch is needed", station=station.identity, reason=str(error)))
                self._give_up("contexts differ", out)
                return
            self._heard.append(FrameShare(station.identity, len(part.data), actions_of(batch.messages)))
            station.take_batch(batch, now, out)

    def _welcome(self, welcome: Welcome, now: float, out: list[Effect]) -> None:
        assert self._session is not None, "a welcome comes from a connection"
        if len(welcome.stations) != len(self._greeted) or welcome.codec not in {str(name) for name, _ in offers()}:
            raise PartError("the welcome does not answer the hello")
        if not self.settings.protocols.oldest <= welcome.protocol <= self.settings.protocols.newest:
            raise PartError(f"link protocol {welcome.protocol}, this edge speaks {self.settings.protocols}")
        self._session.moved(SessionEvent.GREETED)
        self._session.clock = LinkClock(zero=now, peer_floor=self._hello_at)
        self._codec = CodecName(welcome.codec)
        self._attempts = 0
        self._lost_at = None
        self._up_at = now
        resumed = 0
        for (station, known), answer in zip(self._greeted, welcome.stations, strict=True):
            channel = station.channel
            if channel is None or not answer.known or not channel.can_resume(channel.received, answer.received):
                station.context_lost()
            elif answer.epoch == known.epoch and channel.intact:
                channel.resume(answer.received)
                resumed += 1
            else:
                channel.renew(answer.epoch, partial(open_endpoint, self._codec, channel.version, Side.EDGE), answer.received)
            attached = answer.attached and station.channel is not None and station.attachment == known.attachment
            if station.state is StationState.LEAVING and not attached:
                self._forget(station)
            elif station.state is StationState.ADMITTED and not attached:
                self._ask_again(station, now)
        greeted = {id(station) for station, _ in self._greeted}
        for station in self._stations.values():
            # Whoever came since the hello.
            if station.state is StationState.ADMITTED and id(station) not in greeted:
                self._ask_again(station, now)
        self._greeted = []
        out.append(self._note(Level.INFO, "link up", codec=welcome.codec, stations=len(welcome.stations), contexts_resumed=resumed))

    def _verdict(self, verdict: Verdict, now: float, out: list[Effect]) -> None:
        station = self._slot(verdict.slot)
        if station.attachment != verdict.attachment or station.state not in (StationState.ASKING, StationState.ASKING_AGAIN):
            return  # The station left, or asked anew, while the CSMS decided.
        again = station.state is StationState.ASKING_AGAIN
        version = next((version for version in OcppVersion if version.value == verdict.version), None)
        if not again and verdict.status not in REFUSED_STATUSES:
            self._refusals.spared(now)
        if verdict.status != 101:
            if again and verdict.status in REFUSED_STATUSES and station.credentials.refused(station.asked_with):
                self._ask(station, now)
                return
            if verdict.status in REFUSED_STATUSES:
                self._refusals.refused(station.identity, station.asked_with, verdict.status, verdict.reason, now)
                if station.identity in self._kept:
                    out.append(ForgetCredentials(station.identity, station.asked_with))
            if again:
                self._leave(station, 1008 if 400 <= verdict.status < 500 else 1001, f"the CSMS refused: {verdict.reason}", now, out)
                return
            status = verdict.status if 400 <= verdict.status <= 599 else 502
            self._refuse(station.socket, station.identity, status, verdict.reason, out)
            self._forget(station)
        elif version is None or version.subprotocol not in station.offered or (again and version is not station.version):
            if again:
                self._leave(station, 1002, "the CSMS chose another sub-protocol", now, out)
                return
            out.append(self._note(Level.WARNING, "no common sub-protocol", station=station.identity, offered=",".join(station.offered)))
            out.append(AdmitStation(station.socket, ""))
            self._forget(station)
        else:
            if station.channel is None or station.channel.epoch != verdict.epoch or station.channel.version is not version:
                station.context_lost()
                station.channel = Channel(version, verdict.epoch, open_endpoint(self._codec, version, Side.EDGE))
                station.begin_at(verdict.delivered, out)
            else:
                station.delivered(verdict.delivered, out)
            station.version = version
            station.moved(StationEvent.ADMITTED)
            self._accepted(station, out)
            if not again:
                out.append(AdmitStation(station.socket, version.subprotocol))
            station.offered = (version.subprotocol,)
            out.append(self._note(Level.INFO, "station admitted", station=station.identity, ocpp=version.value, again=again))

    def _note(self, level: Level, words: str, **fields: Any) -> Note:
        return Note(level, words, fields)


def _known(station: EdgeStation) -> KnownStation:
    channel = station.channel
    attachment = station.attachment if station.socket_open or station.state is StationState.LEAVING else 0
    if channel is None:
        return KnownStation(station.slot, station.identity, attachment, 0, False, 0, 0)
    return KnownStation(station.slot, station.identity, attachment, channel.epoch, channel.intact, channel.sent, channel.received)
