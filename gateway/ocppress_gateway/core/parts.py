"""The bytes of the link: a link message is a row of parts, and each part begins with a byte that names it.

    FRAME    1 n n n n t s l   [slot]  [expiry u16]  [length varint]  frame bytes      the last, or only, piece of a frame
    PIECE    0 1 1 n n n n s   [slot]  length varint  bytes                             a piece that others follow
    ACK      0 1 0 0 0 0 0 s   [slot]  number u16                                       frames received, cumulative
    control  0 0 k k k k k k   length varint  CBOR array                                kinds below

    n  the frame's number modulo 16        t  an expiry follows        s  a slot byte follows, else slot 0
    l  a length follows, else the frame runs to the end of the link message        varint: LEB128, at most 4 bytes

A lone frame of the only station behind an edge so costs one byte above the frame itself:  88 A1…  is frame 1 of slot 0.
Numbers are big-endian. The expiry is in seconds on the sender's link clock, modulo 2^16 (see `clock`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import cbor2
import msgspec

from ocppress_codecs.interface import FRAME_BYTES_MAX
from ocppress_gateway.core.certificate import CERTIFICATE_BYTES_MAX
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX, STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.plan import CHOICE_CHARACTERS_MAX
from ocppress_gateway.core.report import REPORT_BYTES_MAX
from ocppress_gateway.core.stored import INCARNATION_BYTES

__all__ = [
    "PROTOCOL_OLDEST",
    "PROTOCOL_VERSION",
    "REACHABILITY_MAX_S",
    "REASON_CHARACTERS_MAX",
    "SPOKEN",
    "Ack",
    "Attach",
    "Check",
    "Checked",
    "ChoosePlan",
    "Control",
    "CsmsTime",
    "DayReport",
    "Delivered",
    "Detach",
    "Eject",
    "EjectCode",
    "FlushStation",
    "FramePart",
    "Goodbye",
    "Hello",
    "KnownStation",
    "Part",
    "PartError",
    "Piece",
    "Renewal",
    "RenewedClock",
    "Spoken",
    "StationWelcome",
    "TakeClock",
    "TellDelivered",
    "Verdict",
    "Welcome",
    "for_people",
    "read_parts",
    "write_parts",
]

PROTOCOL_VERSION: Final = 1
"""Of the link, the newest that this release speaks; changed when an old end could misread a new one."""

PROTOCOL_OLDEST: Final = 1
"""The oldest that this release still speaks: that of the release before, so that ends can be changed one after the other."""

CONTROL_BYTES_MAX: Final = 12 * 1024
"""A hello of 64 stations with identities of 48 characters; anything larger is no control part of ours."""

CONTROL_DEPTH_MAX: Final = 4
"""Nesting of a control part's CBOR: a hello has an array of stations that are arrays."""


REACHABILITY_MAX_S: Final = 86_400
"""A connection that may be dead for a day without anybody's noticing."""

REASON_CHARACTERS_MAX: Final = 120
"""Of a reason, for people: what a WebSocket close frame holds (RFC 6455 5.5), and a log line shows."""

Slot = Annotated[int, msgspec.Meta(ge=0, lt=STATIONS_PER_EDGE_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
"""Frames, epochs, attachments: 136 years at one a second."""
Position = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Positions = tuple[Position, Position]
Attachment = Annotated[int, msgspec.Meta(ge=1, lt=2**32)]
Identity = Annotated[str, msgspec.Meta(pattern=IDENTITY_PATTERN)]
Word = Annotated[str, msgspec.Meta(max_length=32)]
Words = Annotated[list[Word], msgspec.Meta(max_length=8)]
Reason = Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS_MAX)]
EjectCode = Literal[1001, 1002, 1008]
"""WebSocket close codes (RFC 6455 7.4.1): going away, protocol error, policy violation."""
Authorization = Annotated[str, msgspec.Meta(pattern=r"^[\x20-\x7e]{0,4096}\Z")]
"""Of an HTTP header: printable ASCII, as Basic (RFC 7617) makes it; anything else could end the header and begin another."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The versions of the link's protocol that an end speaks: all from the oldest to the newest."""

    oldest: int
    newest: int

    def common(self, other: Spoken) -> int | None:
        """The newest that both speak; None if there is none."""
        newest = min(self.newest, other.newest)
        return newest if newest >= max(self.oldest, other.oldest) else None

    def __str__(self) -> str:
        return f"{self.newest}" if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


SPOKEN: Final = Spoken(PROTOCOL_OLDEST, PROTOCOL_VERSION)
"""By this release."""


class PartError(Exception):
    """The peer's link message breaks the format; the connection has to go."""


@dataclass(frozen=True, slots=True)
class FramePart:
    """The whole of a small frame, or the last piece of a large one. `expiry` is the wire's 16-bit stamp, None for no deadline."""

    slot: int
    number: int
    data: bytes
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a frame that further ones follow."""

    slot: int
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """All frames of `slot` up to `number` (modulo 2^16) have been received and decoded."""

    slot: int
    number: int


class _Control(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of the control parts: CBOR arrays of fixed length."""


class KnownStation(_Control, frozen=True):
    """In the hello: a station whose contexts the edge has. `attachment` is 0 while it has no socket."""

    slot: Slot
    identity: Identity
    attachment: Count
    epoch: Count
    intact: bool
    sent: Count
    received: Count


class Hello(_Control, frozen=True):
    """Edge to cloud, first of all, in the form of the newest version that the edge speaks.

    An older cloud has to read it: members are only ever appended, behind the last one and not within others, and those that it doesn't know are left
    alone. `protocol` and `oldest` are the newest and the oldest version that the edge speaks; the cloud chooses. `edge` is "" where its certificate names
    it. `codecs`: name and fingerprint, the preferred one first. `incarnation` of the outbox, empty where the edge answers nothing by itself.
    `reachability_s`: after so much silence, probes included, the connection is dead; 0 where nobody probes.
    """

    protocol: Count
    edge: Word
    codecs: Annotated[list[tuple[Word, bytes]], msgspec.Meta(max_length=16)]
    stations: Annotated[list[KnownStation], msgspec.Meta(max_length=STATIONS_PER_EDGE_MAX)]
    incarnation: Annotated[bytes, msgspec.Meta(max_length=INCARNATION_BYTES)] = b""
    reachability_s: Annotated[int, msgspec.Meta(ge=0, le=REACHABILITY_MAX_S)] = 0
    oldest: Count = PROTOCOL_OLDEST


class StationWelcome(_Control, frozen=True):
    """The answer for one `KnownStation`, in the same order.

    `known`: the cloud has this epoch's numbers. Then `received` counts frames of the hello's epoch, and if `epoch` differs from it, what
    was not
    received is encoded again. Otherwise all begins anew. `attached`: the CSMS socket of this attachment is still there.
    """

    epoch: Count
    known: bool
    attached: bool
    received: Count


class Welcome(_Control, frozen=True):
    """Cloud to edge, the answer to the hello. `protocol` is the version that both ends speak from here on, this part included."""

    codec: Word
    stations: Annotated[list[StationWelcome], msgspec.Meta(max_length=STATIONS_PER_EDGE_MAX)]
    protocol: Count = PROTOCOL_VERSION


class Attach(_Control, frozen=True):
    """Edge to cloud: a station asks for its upgrade, or (after the cloud lost it) has one.

    `subprotocols` are the OCPP versions offered, in order. `heartbeat_s`: the interval of its last accepted BootNotification's answer, 0 if there is none.
    `sent`: the newest position in a frame, of the express and the ordered lane; where the cloud has others, what was sent is lost, and a new epoch
    begins. `delivered`: up to where it is known to be answered, for a cloud that knows less; what comes first in a new epoch comes after.
    """

    slot: Slot
    attachment: Attachment
    identity: Identity
    subprotocols: Words
    authorization: Authorization | None
    epoch: Count
    heartbeat_s: Count = 0
    sent: Positions = (0, 0)
    delivered: Positions = (0, 0)

    def __repr__(self) -> str:
        return f"Attach(slot={self.slot}, attachment={self.attachment}, identity={self.identity!r})"


class Verdict(_Control, frozen=True):
    """Cloud to edge: what the CSMS said. `status` 101 with a version, 101 with "" (no common sub-protocol), or an HTTP error.

    `delivered`: up to which position of the express and the ordered lane the CSMS has answered the outbox of this incarnation; in a new epoch all
    later ones are to be sent.
    """

    slot: Slot
    attachment: Attachment
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    version: Word
    epoch: Count
    reason: Reason
    delivered: Positions = (0, 0)


class Detach(_Control, frozen=True):
    """Edge to cloud: the station of this attachment has gone."""

    slot: Slot
    attachment: Attachment


class Eject(_Control, frozen=True):
    """Cloud to edge: close the station's socket, for its CSMS is not to be had."""

    slot: Slot
    attachment: Attachment
    code: EjectCode
    reason: Reason


class Goodbye(_Control, frozen=True):
    """Either end, last of all: why the connection ends, and after how many seconds to come back."""

    reason: Reason
    retry_after_s: Annotated[int, msgspec.Meta(ge=0, le=3600)]


class TakeClock(_Control, frozen=True):
    """Edge to cloud: the zeros are old; take a new one (see `clock`)."""


class RenewedClock(_Control, frozen=True):
    """The cloud's answer to `TakeClock`, then the edge's to that: this end's stamps count from its new zero from here on."""


class Delivered(_Control, frozen=True):
    """Cloud to edge: the CSMS has answered the stored messages of the express and the ordered lane up to these positions."""

    slot: Slot
    positions: Positions


class CsmsTime(_Control, frozen=True):
    """Cloud to edge: what the CSMS's clock says now, in milliseconds since 1970, as its last answer to a Heartbeat had it."""

    slot: Slot
    unix_ms: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]


class TellDelivered(_Control, frozen=True):
    """Edge to cloud: somebody waits for `Delivered`; send it by itself once the CSMS has answered all that was received."""

    slot: Slot


class DayReport(_Control, frozen=True):
    """Edge to cloud, once a day, riding on something else: how the edge is, as `report` writes it. A cloud that can't read it drops it."""

    report: Annotated[bytes, msgspec.Meta(max_length=REPORT_BYTES_MAX)]


class Renewal(_Control, frozen=True):
    """Cloud to edge, riding on something else: the edge's next certificate in DER, for the same key. An edge that it doesn't suit drops it."""

    certificate: Annotated[bytes, msgspec.Meta(min_length=1, max_length=CERTIFICATE_BYTES_MAX)]


class ChoosePlan(_Control, frozen=True):
    """Cloud to edge: an operator there wants this plan from now on, and says why. A `DayReport` tells what came of it."""

    plan: Word
    reason: Annotated[str, msgspec.Meta(max_length=CHOICE_CHARACTERS_MAX)]


class FlushStation(_Control, frozen=True):
    """Cloud to edge: an operator there wants what is stored of this station now."""

    identity: Identity


class Check(_Control, frozen=True):
    """Edge to cloud, in the place of a hello: what would one be answered? It displaces nobody, and may be asked again.

    All as in the hello, of which older clouds read what they know, too.
    """

    protocol: Count
    edge: Word
    codecs: Annotated[list[tuple[Word, bytes]], msgspec.Meta(max_length=16)]
    oldest: Count = PROTOCOL_OLDEST


class Checked(_Control, frozen=True):
    """Cloud to edge, the answer: who the edge is, which codec and protocol it would get, what the cloud's clock says, and whether the edge is linked now."""

    edge: Word
    codec: Word
    unix_ms: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
    linked: bool
    protocol: Count = PROTOCOL_VERSION


Control = (
    Hello
    | Welcome
    | Attach
    | Verdict
    | Detach
    | Eject
    | Goodbye
    | TakeClock
    | RenewedClock
    | Delivered
    | CsmsTime
    | TellDelivered
    | DayReport
    | Renewal
    | ChoosePlan
    | FlushStation
    | Check
    | Checked
)
Part = FramePart | Piece | Ack | Control

_KINDS: Final[dict[int, type[_Control]]] = {
    1: Hello,
    2: Welcome,
    3: Attach,
    4: Verdict,
    5: Detach,
    6: Eject,
    7: Goodbye,
    8: TakeClock,
    9: RenewedClock,
    10: Delivered,
    11: CsmsTime,
    12: TellDelivered,
    13: DayReport,
    14: Renewal,
    15: ChoosePlan,
    16: FlushStation,
    32: Check,
    33: Checked,
}
_KIND_OF: Final = {control: kind for kind, control in _KINDS.items()}


def for_people(text: str, characters_max: int = REASON_CHARACTERS_MAX) -> str:
    """A reason that any part and any log line can hold, whoever wrote it."""
    return "".join(character if character.isprintable() else "?" for character in text[:characters_max])


def write_parts(parts: Sequence[Part]) -> bytes:
    """One link message; only the last part, if a frame, goes without its length."""
    out = bytearray()
    for index, part in enumerate(parts):
        if isinstance(part, FramePart):
            measured = index < len(parts) - 1
            timed = part.expiry is not None
            out.append(0x80 | (part.number & 15) << 3 | timed << 2 | (part.slot > 0) << 1 | measured)
            if part.slot:
                out.append(part.slot)
            if part.expiry is not None:
                out += part.expiry.to_bytes(2, "big")
            if measured:
                out += _varint(len(part.data))
            out += part.data
        elif isinstance(part, Piece):
            out.append(0x60 | (part.number & 15) << 1 | (part.slot > 0))
            if part.slot:
                out.append(part.slot)
            out += _varint(len(part.data)) + part.data
        elif isinstance(part, Ack):
            out.append(0x40 | (part.slot > 0))
            if part.slot:
                out.append(part.slot)
            out += (part.number & 0xFFFF).to_bytes(2, "big")
        else:
            body = _body(part)
            out.append(_KIND_OF[type(part)])
            out += _varint(len(body)) + body
    return bytes(out)


def read_parts(data: bytes) -> list[Part]:
    """The parts of one link message. Raises `PartError`."""
    if len(data) > LINK_MESSAGE_BYTES_MAX:
        raise PartError(f"{len(data)} bytes in one link message")
    reader = _Reader(data)
    parts: list[Part] = []
    while reader.left:
        first = reader.byte()
        if first & 0x80:
            slot = reader.byte() if first & 2 else 0
            expiry = int.from_bytes(reader.take(2), "big") if first & 4 else None
            frame = reader.take(reader.varint(FRAME_BYTES_MAX) if first & 1 else reader.left)
            parts.append(FramePart(slot, first >> 3 & 15, frame, expiry))
        elif first >> 5 == 3:
            slot = reader.byte() if first & 1 else 0
            parts.append(Piece(slot, first >> 1 & 15, reader.take(reader.varint(FRAME_BYTES_MAX))))
        elif first >> 1 == 0x20:
            slot = reader.byte() if first & 1 else 0
            parts.append(Ack(slot, int.from_bytes(reader.take(2), "big")))
        elif first in _KINDS:
            parts.append(_control(_KINDS[first], reader.take(reader.varint(CONTROL_BYTES_MAX))))
        else:
            raise PartError(f"unknown part {first:#04x}")
    return parts


def _later_protocol(kind: type[_Control], value: Any) -> int | None:
    """The version of a hello, or of a question in its place, that is later than ours; None for everything else."""
    first = value[0] if kind in (Hello, Check) and isinstance(value, list) and value else None
    return first if type(first) is int and PROTOCOL_VERSION < first < 2**32 else None


def _body(part: Control) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(part, builtin_types=(bytes,)))


def _control(kind: type[_Control], body: bytes) -> Control:
    later: int | None = None
    try:
        value: Any = cbor2.loads(body, max_depth=CONTROL_DEPTH_MAX)
        later = _later_protocol(kind, value)
        part = msgspec.convert(value if later is None else value[: len(kind.__struct_fields__)], kind)
    except (cbor2.CBORError, msgspec.ValidationError, ValueError, RecursionError) as error:
        if later is not None:
            raise PartError(f"link protocol {later}, this end speaks {SPOKEN}") from error
        raise PartError(f"{kind.__name__}: {str(error)[:REASON_CHARACTERS_MAX]}") from error
    assert isinstance(part, Control)
    if isinstance(part, Hello | Check) and part.oldest > part.protocol:
        raise PartError(f"{kind.__name__}: link protocols from {part.oldest} to {part.protocol}")
    if later is None and _body(part) != body:
        raise PartError(f"{kind.__name__}: CBOR that isn't the shortest (RFC 8949 4.2), or followed by something")
    return part


class _Reader:
    """Takes bytes off the front and never more than there are."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise PartError(f"{count} bytes announced, {self.left} left")
        self._position += count
        return self._data[self._position - count : self._position]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self, maximum: int) -> int:
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > maximum:
                    raise PartError(f"length {value} is over {maximum}")
                return value
        raise PartError("a length of more than 4 bytes")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
