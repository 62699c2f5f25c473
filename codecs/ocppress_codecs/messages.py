"""A batch as a CBOR sequence (RFC 8742), against a context: the plain content of a `cbor-zstd` frame.

per message     [reference]?   then one of

n                              as the shape used n shapes ago, every value as predicted        00
-1 - n, changes                the same, with changes                                          20 01
[type, item, item, ...]        first sight: the members after the message id as items          82 03 a0
[type, bytes]                  the body as text, where items can't give it back                82 03 42 7b7d

changes         for a shape of one value its change; else a mask, then a change for each bit set
mask            unsigned, or a byte string with the low byte first; lowest bit: first value
change          d              the prediction plus d
                [s, d]         a number with s fraction digits: the prediction, in those, plus d
                another item   the value by itself; an integer as 4([0, n])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ocppress_codecs import cbor
from ocppress_codecs.account import Account, Part, part_of
from ocppress_codecs.carriage import REFERENCE_EXPECTED, Progress, reference, resolved, validated
from ocppress_codecs.errors import LimitExceeded, Malformed
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX
from ocppress_codecs.items import NotExact, read_scalar_after_head, read_values, write_scalar, write_values
from ocppress_codecs.rpc import Message, MessageType, action_of
from ocppress_codecs.scalars import (
    MANTISSA_MAX,
    SCALE_MAX,
    TENS,
    Number,
    Scalar,
    Text,
    Time,
    alike,
    amount_of,
    scalar_of,
    token_of,
    valid_number,
    valid_time,
)
from ocppress_codecs.shapes import Context, Hole, Shape, clock_after, filled, is_word, predicted, taken_apart

__all__ = ["WINDOW_BYTES", "read_messages", "write_messages"]

WINDOW_BYTES: Final = 64 * 1024
"""The last bytes of what `WINDOW_MESSAGE_BYTES_MIN` lets in, where zstd looks for repetitions. A station's whole configuration fits."""

WINDOW_MESSAGE_BYTES_MIN: Final = 16
"""Shorter messages, which are most, hold nothing that zstd could use again."""

ITEMS_TEXT_BYTES_MAX: Final = 64 * 1024
"""Text above which a writer leaves items: zstd makes about as little of the text, in a fraction of the time."""

MESSAGE_TEXT_BYTES_MIN: Final = len('[3,"",]\n')
"""What a message adds to a frame's text besides its body, at least; so that a frame of the shortest messages has a limit too."""

_TYPES: Final = {member.value: member for member in MessageType}
_ERRORS: Final = frozenset({MessageType.CALLERROR, MessageType.CALLRESULTERROR})


def write_messages(batch: Sequence[Message], context: Context, progress: Progress, *, as_text: bool = False) -> bytes:
    """The sequence for `batch`, whose CALLs are numbered; moves `context` on. `as_text` carries every body as text."""
    parts: list[bytes] = []
    coded_messages: list[bytes] = []
    for message in batch:
        number, progress = reference(message, progress)
        if number != REFERENCE_EXPECTED:
            parts.append(cbor.head(cbor.ARRAY, 1) + cbor.integer(number))
        shape, tokens = taken_apart(message.type, message.body)
        rank = None if as_text else context.rank_of_shape(shape)
        if rank is None:
            coded = _as_text(message) if as_text else _first_sight(message, context)
            context.learn_tokens(shape, tokens)
        else:
            values = [scalar_of(token) for token in tokens]
            coded = _repeat(rank, context.shapes[shape], values, context)
            if len(coded) > len(message.body):
                coded = min(coded, _as_text(message), key=len)
            context.learn(shape, values)
        parts.append(coded)
        coded_messages.append(coded)
    _extend_window(context, coded_messages)
    return b"".join(parts)


def _as_text(message: Message) -> bytes:
    body = message.body.encode()
    return b"\x82" + cbor.integer(message.type) + cbor.head(cbor.BYTES, len(body)) + body


def _first_sight(message: Message, context: Context) -> bytes:
    text = _as_text(message)
    if len(text) > ITEMS_TEXT_BYTES_MAX:
        return text
    try:
        items = write_values(message.body, context)
    except NotExact:
        return text
    return min(cbor.head(cbor.ARRAY, 1 + len(items)) + cbor.integer(message.type) + b"".join(items), text, key=len)


def _repeat(rank: int, holes: tuple[Hole, ...], values: list[Scalar], context: Context) -> bytes:
    clock = context.clock
    mask = 0
    changes: list[bytes] = []
    for place, (hole, value) in enumerate(zip(holes, values, strict=True)):
        change = _change(hole, value, context, clock)
        if change:
            mask |= 1 << place
            changes.append(change)
        clock = clock_after(value, clock)
    if not mask:
        return cbor.integer(rank)
    start = cbor.integer(-1 - rank)
    if len(holes) == 1:
        return start + changes[0]
    low_first = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    coded = cbor.integer(mask) if mask < 0x10000 else cbor.head(cbor.BYTES, len(low_first)) + low_first
    return start + coded + b"".join(changes)


def _change(hole: Hole, value: Scalar, context: Context, clock: int) -> bytes:
    """The change that makes `value` of what is predicted; empty if nothing does."""
    last = hole.value
    if isinstance(last, Text) or isinstance(value, Text) or isinstance(last, Time) != isinstance(value, Time):
        return b"" if last == value else write_scalar(value, context, clock, integers_tagged=True)
    expected = predicted(hole, clock)
    if alike(last, value):
        amount = amount_of(value)
        return cbor.integer(amount - expected) if amount != expected else b""
    alone = write_scalar(value, context, clock, integers_tagged=True)
    if isinstance(value, Number) and isinstance(last, Number) and value.quoted == last.quoted:
        nearest = _rescaled(expected, last.scale, value.scale)
        if abs(nearest) <= MANTISSA_MAX:
            return min(b"\x82" + cbor.integer(value.scale) + cbor.integer(value.mantissa - nearest), alone, key=len)
    return alone


def _rescaled(mantissa: int, scale: int, wanted: int) -> int:
    return mantissa * TENS[wanted - scale] if wanted >= scale else mantissa // TENS[scale - wanted]


def read_messages(plain: bytes, context: Context, progress: Progress, account: Account | None = None) -> tuple[list[Message], Progress]:
    """The reverse of `write_messages`; moves `context` on. Raises `DecodeError`, and then `context` is spoilt."""
    reader = cbor.Reader(plain, account)
    messages: list[Message] = []
    coded_messages: list[bytes] = []
    characters = 0
    while not reader.at_end():
        if account is not None:
            account.begin()
        number = REFERENCE_EXPECTED
        start = reader.position
        major, argument = reader.head()
        if (major, argument) == (cbor.ARRAY, 1):
            number = reader.integer()
            if number <= REFERENCE_EXPECTED:
                raise Malformed(f"reference {number}")
            start = reader.position
            major, argument = reader.head()
        if major <= cbor.NEGATIVE:
            shape, values = _read_repeat(argument, reader, context, changed=major == cbor.NEGATIVE)
            body = filled(shape, values)
            message_type = _TYPES[int(shape[0])]
            # An action or error code among the values may have become a number.
            loose = not shape[1] or message_type in _ERRORS
            action = validated(message_type, body) if loose else action_of(message_type, body)
            context.learn(shape, values)
        elif major == cbor.ARRAY:
            message_type, body, action = _read_first_sight(argument, reader, context)
            shape, tokens = taken_apart(message_type, body)
            context.learn_tokens(shape, tokens)
            reader.close(Part.NEW_SHAPES, "a new shape")
        else:
            raise Malformed(f"a message of major type {major}")
        if account is not None:
            account.shape(shape[1:])
        call, progress = resolved(message_type, number, progress)
        coded_messages.append(plain[start : reader.position])
        messages.append(Message(message_type, action, body, call))
        characters += len(body) + MESSAGE_TEXT_BYTES_MIN
        if characters > FRAME_TEXT_BYTES_MAX:
            raise LimitExceeded("frame_text_bytes", FRAME_TEXT_BYTES_MAX, characters)
    if not messages:
        raise Malformed("no message")
    _extend_window(context, coded_messages)
    return messages, progress


def _read_first_sight(count: int, reader: cbor.Reader, context: Context) -> tuple[MessageType, str, str]:
    kind = reader.integer()
    if kind not in _TYPES or count < 2:
        raise Malformed("a message without type or body")
    message_type = _TYPES[kind]
    reader.close(Part.CHOICES, "no known shape")
    is_text = count == 2 and reader.peek_major() == cbor.BYTES
    body = reader.text(reader.head()[1]) if is_text else read_values(reader, count - 1, context)
    if is_text:
        reader.close(Part.STRINGS, "the whole message as text")
    return message_type, body, validated(message_type, body)


def _read_repeat(rank: int, reader: cbor.Reader, context: Context, *, changed: bool) -> tuple[Shape, list[Scalar]]:
    shape = context.shape_at(rank)
    if shape is None:
        raise Malformed(f"shape {rank}")
    holes = context.shapes[shape]
    mask = 0
    if changed:
        mask = 1 if len(holes) == 1 else _read_mask(reader)
        if not 0 < mask < 1 << len(holes):
            raise Malformed("a mask that doesn't fit the shape")
    reader.close(Part.CHOICES, "a known shape")
    clock = context.clock
    values: list[Scalar] = []
    for place, hole in enumerate(holes):
        if reader.account is not None:
            reader.account.tell(Part.REFERENCES if isinstance(hole.value, Text) else part_of(hole.value), "as predicted")
        value = _read_change(hole, reader, context, clock) if mask & 1 else _expected(hole, 0, clock)
        if reader.account is not None:
            reader.close_value(place, token_of(value))
        mask >>= 1
        clock = clock_after(value, clock)
        values.append(value)
    return shape, values


def _read_mask(reader: cbor.Reader) -> int:
    major, argument = reader.head()
    if major == cbor.BYTES:
        return int.from_bytes(reader.bytes(argument), "little")
    if major != cbor.UNSIGNED:
        raise Malformed("not a mask")
    return argument


def _read_change(hole: Hole, reader: cbor.Reader, context: Context, clock: int) -> Scalar:
    major, argument = reader.head()
    if major <= cbor.NEGATIVE:
        if isinstance(hole.value, Text):
            raise Malformed("a difference to a text")
        difference = argument if major == cbor.UNSIGNED else -1 - argument
        if reader.account is not None:
            reader.account.tell(part_of(hole.value), "by the prediction", difference)
        return _expected(hole, difference, clock)
    if (major, argument) == (cbor.ARRAY, 2):
        scale, difference = reader.integer(), reader.integer()
        if not isinstance(hole.value, Number) or not 0 <= scale <= SCALE_MAX:
            raise Malformed("fraction digits of something else than a number")
        expected = _rescaled(predicted(hole, clock), hole.value.scale, scale)
        if abs(expected) > MANTISSA_MAX:
            raise Malformed("a prediction of too many digits")
        if reader.account is not None:
            reader.account.tell(Part.NUMBERS, "by the prediction, with other digits", difference)
        return _checked(Number(hole.value.quoted, scale, expected + difference))
    value = read_scalar_after_head(major, argument, reader, context, clock)
    if is_word(token_of(value)):
        raise Malformed("a word as a value")
    return value


def _expected(hole: Hole, difference: int, clock: int) -> Scalar:
    value = hole.value
    if isinstance(value, Text):
        return value
    number = predicted(hole, clock) + difference
    if isinstance(value, Time):
        return _checked(Time(value.digits, value.ending, number))
    return _checked(Number(value.quoted, value.scale, number))


def _checked(value: Number | Time) -> Number | Time:
    if not (valid_time(value) if isinstance(value, Time) else valid_number(value)):
        raise Malformed("a value out of range")
    return value


def _extend_window(context: Context, coded_messages: list[bytes]) -> None:
    kept = [coded for coded in coded_messages if len(coded) >= WINDOW_MESSAGE_BYTES_MIN]
    if kept:
        context.window = b"".join([context.window, *kept])[-WINDOW_BYTES:]
