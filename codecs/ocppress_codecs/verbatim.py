"""The codec `verbatim`: the text itself, for debugging and for whatever nothing else can carry.

    ┌───────┬──────────────────────────────┬ ┄ ┬──────────┐
    │ count │ head │ length │ body (UTF-8) │   │ checksum │
    └───────┴──────────────────────────────┴ ┄ ┴──────────┘
     varint   varint varint                      2 or 4 bytes, see `carriage`

    head = 8 * reference + (message type - 2)

    01 00 0e 22 48 65 61 72 74 62 65 61 74 22 2c 7b 7d e9 88
    │  │  │  └─ "Heartbeat",{}                         └─ checksum of [2,"0","Heartbeat",{}]⏎
    │  │  └─ 14 bytes of body
    │  └─ CALL, reference as expected
    └─ one message

A varint is little-endian base 128, the high bit set on all bytes but the last, at most 6 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ocppress_codecs.account import UNITS_A_BYTE, Account, Part, part_of
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import Progress, checked, checksum, committed, covered, numbered, reference, resolved, validated
from ocppress_codecs.errors import DecodeError, EncodeError, LimitExceeded, Malformed, Truncated
from ocppress_codecs.interface import FRAME_BYTES_MAX, FRAME_TEXT_BYTES_MAX, Decoder, Encoder
from ocppress_codecs.rpc import Message, MessageType
from ocppress_codecs.scalars import token_of
from ocppress_codecs.shapes import split

__all__ = ["FORMAT_VERSION", "VerbatimDecoder", "VerbatimEncoder"]

FORMAT_VERSION: Final = 1

_VARINT_BYTES_MAX: Final = 6
_TYPES: Final = {member.value - 2: member for member in MessageType}


class VerbatimEncoder(Encoder):
    """Writes the text of each message behind its type and reference."""

    def __init__(self, calls: CallLog) -> None:
        self.calls = calls
        self._progress = Progress(call_count=calls.count)

    def encode(self, batch: Sequence[Message]) -> bytes:
        messages = numbered(batch, self._progress)
        text = covered(messages)
        if len(text) > FRAME_TEXT_BYTES_MAX:
            raise EncodeError(f"{len(text)} bytes of text in one frame")
        progress = self._progress
        frame = bytearray(_varint(len(messages)))
        for message in messages:
            number, progress = reference(message, progress)
            body = message.body.encode()
            frame += _varint(8 * number + message.type - 2) + _varint(len(body)) + body
        frame += checksum(text, progress)[0]
        try:
            back, progress = _read(bytes(frame), self._progress)
        except DecodeError as error:
            raise EncodeError(f"not OCPP-J: {error}") from error
        if back != messages:
            raise EncodeError("the action is not that of the body")
        self._progress = progress
        committed(messages, self.calls)
        return bytes(frame)


class VerbatimDecoder(Decoder):
    """Reads what `VerbatimEncoder` wrote."""

    def __init__(self, calls: CallLog) -> None:
        self.calls = calls
        self._progress = Progress(call_count=calls.count)

    def decode(self, frame: bytes, account: Account | None = None) -> list[Message]:
        messages, self._progress = _read(frame, self._progress, account)
        committed(messages, self.calls)
        return messages


def _read(frame: bytes, progress: Progress, account: Account | None = None) -> tuple[list[Message], Progress]:
    if len(frame) > FRAME_BYTES_MAX:
        raise LimitExceeded("frame_bytes", FRAME_BYTES_MAX, len(frame))
    count, position = _read_varint(frame, 0)
    if count == 0:
        raise Malformed("no message")
    messages: list[Message] = []
    if account is not None:
        account.frame(Part.FRAMING, "count of messages", position * UNITS_A_BYTE)
    for _ in range(count):
        begin = position
        head, position = _read_varint(frame, position)
        head_end = position
        length, position = _read_varint(frame, position)
        if len(frame) - position < length:
            raise Truncated(f"a body of {length} bytes")
        number, type_code = divmod(head, 8)
        if type_code not in _TYPES:
            raise Malformed(f"message type {type_code + 2}")
        call, progress = resolved(_TYPES[type_code], number, progress)
        body = _text(frame[position : position + length])
        messages.append(Message(_TYPES[type_code], validated(_TYPES[type_code], body), body, call))
        if account is not None:
            _account_for(messages[-1], head_end - begin, position - head_end, account)
        position += length
    if account is not None:
        account.frame(Part.CHECKSUM, "checksum", (len(frame) - position) * UNITS_A_BYTE)
    return messages, checked(messages, frame[position:], progress)


def _account_for(message: Message, head_bytes: int, length_bytes: int, account: Account) -> None:
    account.begin()
    account.spend(head_bytes * UNITS_A_BYTE)
    account.close(Part.CHOICES, "kind of message, CALL")
    account.spend(length_bytes * UNITS_A_BYTE)
    account.close(Part.FRAMING, "length")
    (_, *segments), values = split(message.type, message.body)
    account.spend(len("".join(segments).encode()) * UNITS_A_BYTE)
    account.close(Part.NEW_SHAPES, "text around the values")
    account.shape(segments)
    for hole, value in enumerate(values):
        token = token_of(value)
        account.spend(len(token.encode()) * UNITS_A_BYTE)
        account.tell(part_of(value), "as text")
        account.value(hole, token)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("a body that is not UTF-8") from None


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(0x80 | number & 0x7F)
        number >>= 7
    result.append(number)
    return bytes(result)


def _read_varint(frame: bytes, position: int) -> tuple[int, int]:
    number = 0
    for place in range(_VARINT_BYTES_MAX):
        if position + place >= len(frame):
            raise Truncated("a number")
        byte = frame[position + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, position + place + 1
    raise Malformed("a number of more than 6 bytes")
