"""What happens to the two machines, and what they ask for: the whole seam between `core` and the drivers.

A driver takes one event, calls `machine.step(event, now)` and runs the effects in the order of the list; that order is a contract
(a later effect may rely on an earlier one having been carried out). `now` is a monotonic clock in seconds. After each step the driver
arms one timer for
`machine.next_deadline()` and delivers `Tick` when it is due. Sockets are integers that the driver hands out and never reuses.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.ledger_events import FrameShare, TransferBegan, TransferEnded
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import Claim, DeadLetter, Lane, OutboxEvent, PositionsEvent, StoredMessage

__all__ = [
    "AdmitStation",
    "Bury",
    "CheckCredentials",
    "ClaimEdge",
    "CloseCsms",
    "CloseLink",
    "CloseStation",
    "ContextsFound",
    "CredentialsChecked",
    "CredentialsOpened",
    "CsmsClosed",
    "CsmsEvent",
    "CsmsOpened",
    "CsmsRefused",
    "CsmsText",
    "DistrustOutbox",
    "Effect",
    "Event",
    "ExpectSigns",
    "FindRenewal",
    "Flush",
    "ForgetCredentials",
    "ForgetStored",
    "Handling",
    "KeepCredentials",
    "KeepReport",
    "Level",
    "LinkClosed",
    "LinkHeard",
    "LinkMessage",
    "LinkOpened",
    "LinkSent",
    "LoadPositions",
    "LoadStored",
    "Note",
    "Observe",
    "OpenCsms",
    "OpenLink",
    "PauseStation",
    "PlanWanted",
    "RefuseStation",
    "ReleaseEdge",
    "RememberStation",
    "RenewalFound",
    "Replay",
    "ReplayEnded",
    "ResumeStation",
    "SaveContext",
    "SavePosition",
    "SendCsms",
    "SendLink",
    "SendStation",
    "SizeTransfer",
    "StationArrived",
    "StationGone",
    "StationText",
    "Stop",
    "StoreMessage",
    "TakeRenewal",
    "TellReport",
    "Tick",
    "TransferSized",
    "WantFlush",
    "WantPlan",
    "Watch",
]


class Level(enum.IntEnum):
    """Severity of a `Note`, with the numbers of the standard library's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


# --- events of both machines


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline that `next_deadline()` named is due; harmless at any other time."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A link connection is up and carries nothing yet. `peer` is the name in the far end's certificate, "" without TLS.

    `certificate`: that one, where the transport sees it."""

    link: int
    peer: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """One link message has arrived whole."""

    link: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkSent:
    """The last `SendLink` of this connection is with the kernel; until then no further one is given."""

    link: int


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """A link connection is gone or could not be made (edge); `reason` is for people, `refused`: certificate, TLS or HTTP was why."""

    link: int
    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """The process ends: take nothing new, send what waits, close."""


# --- events of the edge


@dataclass(frozen=True, slots=True)
class Flush:
    """What is stored of this station waits no longer, and the cloud says by itself what the CSMS has answered of it."""

    identity: str


@dataclass(frozen=True, slots=True)
class StationArrived:
    """A station asks for its WebSocket upgrade. `subprotocols` in its order; `authorization` is the header's value, if any."""

    socket: int
    identity: str
    subprotocols: tuple[str, ...]
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StationText:
    """A text message from an admitted station."""

    socket: int
    text: str


@dataclass(frozen=True, slots=True)
class StationGone:
    """A station's socket has closed, or the station gave up before its upgrade was decided."""

    socket: int
    reason: str


@dataclass(frozen=True, slots=True)
class CredentialsOpened:
    """What is known of stations that the CSMS has accepted before: the OCPP version of each identity, a value of `OcppVersion`."""

    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CredentialsChecked:
    """Whether the CSMS accepted these credentials of the identity last, or may have accepted them since."""

    socket: int
    matches: bool


@dataclass(frozen=True, slots=True)
class TellReport:
    """The cloud is to have this, as `report` writes it, with the next frames that go; `now`, for somebody waits for it."""

    report: bytes
    now: bool = False


# --- events of the cloud


@dataclass(frozen=True, slots=True)
class WantPlan:
    """An operator wants this edge to follow this plan, a value of `PlanName`. An edge that isn't linked never hears of it."""

    edge: str
    plan: str
    reason: str


@dataclass(frozen=True, slots=True)
class WantFlush:
    """An operator wants what this station's edge has stored of it. An edge that isn't linked never hears of it."""

    identity: str


@dataclass(frozen=True, slots=True)
class Watch:
    """From now on, or no longer, somebody looks at what passes of a station: `Observe`."""

    identity: str
    on: bool


@dataclass(frozen=True, slots=True)
class CsmsOpened:
    """The CSMS accepted the upgrade; `subprotocol` is "" if it chose none."""

    socket: int
    subprotocol: str


@dataclass(frozen=True, slots=True)
class CsmsRefused:
    """The CSMS answered the upgrade with `status`, or could not be reached (`status` None)."""

    socket: int
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class CsmsText:
    """A text message from the CSMS."""

    socket: int
    text: str


@dataclass(frozen=True, slots=True)
class CsmsClosed:
    """An opened CSMS socket has closed."""

    socket: int
    reason: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The operator wants a dead letter put to the CSMS again; `ReplayEnded` says what came of it."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class RenewalFound:
    """What came of `FindRenewal`: the edge's next certificate in DER, or None and why there is none."""

    link: int
    certificate: bytes | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContextsFound:
    """What `SaveContext` saved in the last life, by now gone from the disk; comes at most once, before any link."""

    contexts: tuple[SavedContext, ...]


@dataclass(frozen=True, slots=True)
class TransferSized:
    """What came of `SizeTransfer`: the file's bytes, or None and why they aren't known."""

    identity: str
    ticket: int
    size_bytes: int | None
    reason: str = ""


CsmsEvent = CsmsOpened | CsmsRefused | CsmsText | CsmsClosed
Event = (
    OutboxEvent
    | PositionsEvent
    | Tick
    | LinkOpened
    | LinkMessage
    | LinkSent
    | LinkClosed
    | Stop
    | StationArrived
    | StationText
    | StationGone
    | Flush
    | CredentialsOpened
    | CredentialsChecked
    | TellReport
    | WantPlan
    | WantFlush
    | Watch
    | Replay
    | RenewalFound
    | ContextsFound
    | TransferSized
    | CsmsEvent
)


# --- effects of both machines


@dataclass(frozen=True, slots=True)
class SendLink:
    """Send one link message; report `LinkSent` when the kernel has it. `frames`: whose they are, for the ledger."""

    link: int
    data: bytes
    frames: tuple[FrameShare, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LinkHeard:
    """A link message of that many bytes has been read, and whose its frames were: for the ledger."""

    link: int
    message_bytes: int
    frames: tuple[FrameShare, ...]


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close a link connection; report `LinkClosed` once it is gone."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a log line: constant `words`, values in `fields`, never a payload or a secret."""

    level: Level
    words: str
    fields: dict[str, Any]


# --- effects of the edge


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Connect to the cloud; report `LinkOpened` or `LinkClosed` with this number."""

    link: int


@dataclass(frozen=True, slots=True)
class AdmitStation:
    """Complete the upgrade with `subprotocol`, or without one and then close with 1002 if it is ""."""

    socket: int
    subprotocol: str


@dataclass(frozen=True, slots=True)
class RefuseStation:
    """Answer the upgrade with HTTP `status`."""

    socket: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class CheckCredentials:
    """Compare with what `KeepCredentials` kept of the identity; report `CredentialsChecked`."""

    socket: int
    identity: str
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeepCredentials:
    """From now on each of these counts for the identity, and nothing that counted before: keep salted hashes of them."""

    identity: str
    version: str
    authorizations: tuple[str | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ForgetCredentials:
    """The CSMS has refused these: they no longer count for the identity."""

    identity: str
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendStation:
    """Send a text message to a station; never blocks the machine, and is dropped if the socket is gone."""

    socket: int
    text: str


@dataclass(frozen=True, slots=True)
class CloseStation:
    """Close a station's socket with a WebSocket close code; report `StationGone`."""

    socket: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class PauseStation:
    """Read no more from this station until `ResumeStation`."""

    socket: int


@dataclass(frozen=True, slots=True)
class ResumeStation:
    """Read from this station again."""

    socket: int


@dataclass(frozen=True, slots=True)
class PlanWanted:
    """An operator at the cloud wants this plan; follow it, and report (`TellReport`) what came of that."""

    plan: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakeRenewal:
    """The cloud has sent this as the edge's next certificate, in DER: check it, keep it, use it from the next connection on."""

    certificate: bytes = field(repr=False)


# --- effects of the cloud


@dataclass(frozen=True, slots=True)
class FindRenewal:
    """Find the next certificate for an edge that has shown `certificate`; report `RenewalFound` with this link."""

    link: int
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SizeTransfer:
    """Ask the server of this URL how large the file is, without fetching it; report `TransferSized` within seconds."""

    identity: str
    ticket: int
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenCsms:
    """Connect to the CSMS as this station; report `CsmsOpened` or `CsmsRefused`."""

    socket: int
    identity: str
    subprotocols: tuple[str, ...]
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SendCsms:
    """Send a text message to the CSMS; dropped if the socket is gone."""

    socket: int
    text: str


@dataclass(frozen=True, slots=True)
class CloseCsms:
    """Close a CSMS socket, or give up opening it; report `CsmsClosed` only if it was open."""

    socket: int
    code: int
    reason: str


# --- effects of who only observes


class Handling(enum.StrEnum):
    """Whose a text is that goes to the station or to the CSMS."""

    RELAYED = "relayed"
    """The other side's, as it came."""
    EARLY = "early"
    """At the edge the answer to what is on the disk; at the cloud what the edge has answered so."""
    HERE = "here"
    """This end's own: an answer from what it knows, a Heartbeat of the cloud's, a dead letter that is put again."""


@dataclass(frozen=True, slots=True)
class Observe:
    """A text has passed this end's socket, from the station if `up`. Of a machine that carries, only while somebody watches the station.

    `handling` is None for what has come from who is at the socket.
    """

    identity: str
    up: bool
    text: str = field(repr=False)
    handling: Handling | None = None


# --- the stores (`stored` has what they answer)


@dataclass(frozen=True, slots=True)
class StoreMessage:
    """Make a message durable; report `Stored` or `NotStored` with this ticket, in the order of these effects."""

    ticket: int
    message: StoredMessage


@dataclass(frozen=True, slots=True)
class LoadStored:
    """Read what follows `after` in a lane, about `text_max` characters of it; report `Loaded`."""

    identity: str
    lane: Lane
    after: int
    text_max: int


@dataclass(frozen=True, slots=True)
class ForgetStored:
    """The CSMS has answered everything in this lane up to `position`."""

    identity: str
    lane: Lane
    position: int


@dataclass(frozen=True, slots=True)
class RememberStation:
    """How the CSMS answered the station's last BootNotification, for the time after a restart."""

    identity: str
    accepted: bool
    heartbeat_interval_s: int


@dataclass(frozen=True, slots=True)
class DistrustOutbox:
    """The outbox has gone back in time, and would give out positions again that the cloud has had: set it aside, which ends the program."""

    reason: str


@dataclass(frozen=True, slots=True)
class ExpectSigns:
    """End the connection when nothing has come from its far end for so long, not even a probe; report `LinkClosed`."""

    link: int
    within_s: float


@dataclass(frozen=True, slots=True)
class LoadPositions:
    """Read how far a station's stored messages have been answered; report `PositionsLoaded`."""

    identity: str


@dataclass(frozen=True, slots=True)
class SavePosition:
    """The CSMS has answered everything in this lane up to `position`; report `PositionSaved` when that is durable."""

    identity: str
    incarnation: bytes
    lane: Lane
    position: int
    claim: Claim | None = None
    """Where several clouds share the store: by which right; `EdgeTaken` if it is gone."""


@dataclass(frozen=True, slots=True)
class ClaimEdge:
    """Speak for an edge from now on, which has said hello with a key of this SHA-256, in hexadecimal, "" for none; report `EdgeClaimed` or
    `EdgeNotClaimed`. Each comes after the positions that were saved before."""

    claim: Claim
    key_print: str


@dataclass(frozen=True, slots=True)
class ReleaseEdge:
    """The connection of this claim has gone: an edge of this name and another key may come to any cloud. The claim itself stays."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Bury:
    """Keep a message that the CSMS doesn't take, for the operator."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class SaveContext:
    """Keep this for the next life, which begins with `ContextsFound`; given while the machine stops, and it doesn't touch it any more."""

    context: LeavingContext | SavedContext


@dataclass(frozen=True, slots=True)
class KeepReport:
    """An edge has told this of a day (`report.read_report` has read it); keep it for operators."""

    edge: str
    report: bytes


@dataclass(frozen=True, slots=True)
class ReplayEnded:
    """The dead letter `key` was answered with CALLRESULT and may be dropped (`reason` None), or is still one, and why."""

    key: int
    reason: str | None


Effect = (
    SendLink
    | LinkHeard
    | CloseLink
    | Note
    | OpenLink
    | AdmitStation
    | RefuseStation
    | CheckCredentials
    | KeepCredentials
    | ForgetCredentials
    | SendStation
    | CloseStation
    | PauseStation
    | ResumeStation
    | OpenCsms
    | SendCsms
    | CloseCsms
    | StoreMessage
    | LoadStored
    | ForgetStored
    | RememberStation
    | DistrustOutbox
    | ExpectSigns
    | LoadPositions
    | SavePosition
    | ClaimEdge
    | ReleaseEdge
    | Bury
    | SaveContext
    | Observe
    | KeepReport
    | ReplayEnded
    | PlanWanted
    | TakeRenewal
    | FindRenewal
    | SizeTransfer
    | TransferBegan
    | TransferEnded
)
