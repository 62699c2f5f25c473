"""What is in a `.frames` file, for people: each frame with its messages, what each took, and how each part was coded.

A direction ends with its first frame that can't be decoded: those after it need its context. The other one goes on as far as it gets, as answers are
foreseen from their CALLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ocppress_codecs.account import FRAME, UNITS_A_BIT, Account, Item, Part
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import Decoder
from ocppress_codecs.rpc import Message
from ocppress_gateway.masking import MASK, elided, masked, masked_token, secrets_of
from ocppress_gateway.tools.breakdown import ActionLog
from ocppress_gateway.tools.coding import decoders
from ocppress_gateway.tools.frames import Record
from ocppress_gateway.tools.places import value_names
from ocppress_gateway.workloads.traces import CALENDAR_S_MAX, Direction, iso_time

__all__ = ["LOST", "FrameReport", "MessageReport", "OpeningReport", "Piece", "Trouble", "inspected"]

HEAD_BYTES: Final = 16
"""Of a frame that can't be decoded: the mark and the first items of `cbor-zstd`, the first message's head of `verbatim`."""

TEXT_CHARACTERS_MAX: Final = 120
VALUE_CHARACTERS_MAX: Final = 48
"""Of texts and values that are shown without their middle: a line of a wide terminal."""

OTHER_RELEASE: Final = "fingerprint"
LOST: Final = "lost"
"""Codes beside those of `DecodeError`: frames of another release's codec, frames after one that couldn't be decoded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that was coded. `off_by` is in units of the prediction's last digit; `name` and `value`, a JSON token, are those of a message's value."""

    part: Part
    bits: float
    how: str
    off_by: int | None = None
    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class MessageReport:
    """One message. `action` is that of the CALL it belongs to; `text_bytes` and `text` are without brackets, type and id."""

    type: str
    call: int | None
    action: str
    text_bytes: int
    bits: float
    text: str
    pieces: list[Piece] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a frame could not be decoded; `head` is its first bytes in hexadecimal."""

    code: str
    reason: str
    head: str


@dataclass(frozen=True, slots=True)
class OpeningReport:
    """What stands before the first frame of a direction; `usable` if this release can decode it."""

    codec: str
    ocpp: str
    fingerprint: str
    usable: bool


@dataclass(frozen=True, slots=True)
class FrameReport:
    """One frame; `number` counts all frames of the file from 1, `pieces` are what the frame as such needs."""

    number: int
    direction: Direction
    at: str | None
    opening: OpeningReport | None
    frame_bytes: int
    """Without the opening."""
    messages: list[MessageReport]
    pieces: list[Piece]
    trouble: Trouble | None


def inspected(records: Iterable[Record], *, detail: bool, full: bool) -> Iterator[FrameReport]:
    """A report of each frame: pieces only with `detail`, secrets and the middle of texts only if `full`. Raises `FramesError` where the file ends badly."""
    ends: dict[Direction, Decoder] = {}
    log = ActionLog()
    lost: dict[Direction, int] = {}
    for number, record in enumerate(records, start=1):
        sent = record.sent
        account = Account()
        messages: list[Message] = []
        trouble: Trouble | None = None
        try:
            if sent.direction in lost:
                trouble = _trouble(record, LOST, f"frame {lost[sent.direction]} of this direction was not decoded")
            elif not record.opening.usable:
                trouble = _trouble(record, OTHER_RELEASE, "made by another release of the codec")
            else:
                ends = ends or decoders(record.opening.agreement)
                messages = ends[sent.direction].decode(sent.frame, account)
        except DecodeError as error:
            trouble = _trouble(record, error.code, str(error))
        if trouble is not None:
            lost.setdefault(sent.direction, number)
        yield FrameReport(
            number,
            sent.direction,
            iso_time(sent.at_s) if 0 <= sent.at_s <= CALENDAR_S_MAX else None,
            _opening(record) if record.first else None,
            len(sent.frame),
            [
                _message(place, message, log.action(sent.direction, message), account, detail, full)
                for place, message in enumerate(messages)
            ],
            _pieces(account, FRAME, frozenset(), full) if detail and trouble is None else [],
            trouble,
        )


def _opening(record: Record) -> OpeningReport:
    opening = record.opening
    return OpeningReport(opening.agreement.codec, opening.agreement.version, opening.fingerprint.hex(), opening.usable)


def _trouble(record: Record, code: str, reason: str) -> Trouble:
    return Trouble(code, reason, record.sent.frame[:HEAD_BYTES].hex(" "))


def _message(place: int, message: Message, action: str, account: Account, detail: bool, full: bool) -> MessageReport:
    return MessageReport(
        message.type.name,
        message.call,
        action,
        len(message.body.encode()),
        sum(item.cost for item in account.items if item.message == place) / UNITS_A_BIT,
        message.body if full else elided(masked(message.body), TEXT_CHARACTERS_MAX),
        _pieces(account, place, frozenset() if full else secrets_of(message.body), full) if detail else [],
    )


def _pieces(account: Account, place: int, secrets: frozenset[str], full: bool) -> list[Piece]:
    """What was coded of message `place`, in that order; what is no value, like with like."""
    found: dict[tuple[Part, str, int], Piece] = {}
    names = value_names(account.shapes[place]) if place in account.shapes else []
    for item in account.items:
        if item.message != place:
            continue
        bits = item.cost / UNITS_A_BIT
        key = item.part, item.how, item.hole
        if item.hole >= 0:
            name = names[item.hole] if item.hole < len(names) else ""
            found[key] = Piece(item.part, bits, item.how, item.error, name, _shown(item, secrets, full))
        else:
            found[key] = Piece(item.part, bits + (found[key].bits if key in found else 0.0), item.how)
    return list(found.values())


def _shown(item: Item, secrets: frozenset[str], full: bool) -> str:
    if full:
        return item.token
    return f'"{MASK}"' if item.token in secrets else elided(masked_token(item.token), VALUE_CHARACTERS_MAX)
