"""Frames of the codec `adaptive` that no encoder writes, for the vectors: each must be refused.

`forger` writes them, up to where a reader must stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import zstandard

from bench.training.forger import CHECKSUM, LIMIT, SKELETON, Forger
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.fields import NumberField, expected_length
from ocppress_codecs.adaptive.forecasts import EVEN, Readings
from ocppress_codecs.adaptive.literals import code_text
from ocppress_codecs.adaptive.message import TEXT_CONTEXT, code_message
from ocppress_codecs.adaptive.model import Shape
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma, code_residual
from ocppress_codecs.adaptive.skeletons import HOLE
from ocppress_codecs.adaptive.values import code_value
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import Progress, checksum, covered, numbered
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.rpc import Message, MessageType, parse
from ocppress_codecs.scalars import Number, Scalar, Text, Time

__all__ = ["Forgery", "forgeries", "lenient"]

NUMBER: Final = '[2,"a","DataTransfer",{"data":1}]'
STRINGS: Final = '[2,"a","DataTransfer",{"data":["a","b"]}]'
HEARTBEAT: Final = '[2,"a","Heartbeat",{}]'


class Forgery(NamedTuple):
    """A frame, what comes before it, and how it must be refused."""

    title: str
    after: list[str]
    frame: bytes
    error: str


def _forged(after: list[str], write: Callable[[Forger], None]) -> bytes:
    forger = Forger(after)
    write(forger)
    return forger.frame()


def forgeries() -> Iterator[Forgery]:
    """All of them."""
    yield from _whole_frames()
    for title, error, write in (*_messages(), *_shapes(), *_values(), *_literals()):
        after = [NUMBER] if "known" in title else [STRINGS] if "recent" in title else [HEARTBEAT] if "after" in title else []
        yield Forgery(title, after, _forged(after, write), error)


def lenient() -> Iterator[tuple[str, bytes]]:
    """First frames that no encoder writes, and that a decoder takes: one answer `{}` to CALL 0, or one Heartbeat."""
    answer = [Message(MessageType.CALLRESULT, "", "{}", 0)]
    forger = Forger([])
    forger.answer(1)
    code_gamma(forger.writer, mixed(92, 0), 2)
    forger.writer.bit(93, 0)
    if forger.model.shapes.numbers:
        forger.writer.bit(mixed(112, 1), 0)
    forger.writer.bit(114, 0)
    code_choice(forger.writer, mixed(97, 0), 3, MessageType.CALLRESULT.value)
    code_text(forger.writer, forger.model, "{}", False, LIMIT)
    forger.model.subject = TEXT_CONTEXT
    forger.more(1, 0)
    yield "what is expected, as a difference of 0", forger.writer.finish() + checksum(covered(answer), Progress())[0]
    batch = [Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}', 0)]
    frame = Forger([]).direction.write(batch, covered(batch), False)[0]
    yield "zeros that an encoder leaves out", frame[:-2] + bytes(1) + frame[-2:]


def _whole_frames() -> Iterator[Forgery]:
    forger = Forger([])
    batch = [parse(HEARTBEAT)[1]]
    first = forger.direction.write(numbered(batch, forger.direction.progress), covered(numbered(batch, forger.direction.progress)), False)[
        0
    ]
    yield Forgery("empty", [], b"", "truncated")
    yield Forgery("half a checksum", [], b"\0", "truncated")
    yield Forgery("wrong checksum", [], first[:-1] + bytes((first[-1] ^ 1,)), "integrity")
    again = Forger([HEARTBEAT])
    batch = numbered(batch, again.direction.progress)
    second = again.direction.write(batch, covered(batch), False)[0]
    yield Forgery("the second frame again", [HEARTBEAT, HEARTBEAT], second, "integrity")
    yield Forgery("bytes after the last message", [], first[:-2] + b"\0\0\0\0\1" + first[-2:], "malformed")
    yield Forgery("nothing but a checksum, at first", [], bytes(2), "malformed")
    yield Forgery("four bytes ff", [], b"\xff" * 6, "malformed")
    yield Forgery("zeros that are left out", [], _zeros(), "limit")
    long = Forger([])
    text = '"DataTransfer",{"data":"%s"}' % ("x" * 5000)
    message = Message(MessageType.CALL, "DataTransfer", text, 0)
    written = long.direction.write([message], covered([message]), False)[0]
    yield Forgery("wrong checksum of four bytes", [], written[:-2] + bytes((written[-2] ^ 1, written[-1])), "integrity")
    yield Forgery("more work than allowed", [], _worked(), "limit")
    yield Forgery("more work than allowed, in one literal", [], _forged([], _digits), "limit")


def _zeros() -> bytes:
    """More zeros at the end than a reader takes by itself."""
    forger = Forger([])
    _packed(bytes(100), forger)
    return forger.writer.finish().rstrip(b"\0") + CHECKSUM


def _worked() -> bytes:
    """Thousands of empty answers in some bytes."""
    forger = Forger([])
    progress = forger.direction.progress
    answer = Message(MessageType.CALLRESULT, "", "{}", None)
    for sent in range(15_000):
        _, progress, _ = code_message(forger.writer, forger.model, answer, False, progress, CallLog(), LIMIT)
        forger.more(sent + 1)
    return forger.frame()


def _digits(forger: Forger) -> None:
    """A hundred thousand digits in some bytes."""
    forger.skeleton(SKELETON)
    name = forger.literal(4)
    code_gamma(forger.writer, mixed(name, 27), 100_000)
    for place in range(100_000):
        code_choice(forger.writer, mixed(28, min(place, 3)), 4, 1)


_Case = tuple[str, str, Callable[[Forger], None]]


def _messages() -> Iterator[_Case]:
    for title, kind, body in (
        ("message type 7 as text", 7, '"Heartbeat",{}'),
        ("an answer that is none", 3, "{}"),
        ("text that is not JSON", 2, '"Heartbeat",{'),
        ("text with white space", 2, '"Heartbeat", {}'),
        ("text that is two messages", 2, '"Heartbeat",{}],["a"'),
        ("text without payload", 2, '"Heartbeat"'),
        ("text of an error without code", 5, '{},"",{}'),
        ("text nested too deep", 2, '"Heartbeat",{"a":' + "[" * 63 + "]" * 63 + "}"),
        ("text with a payload that is an array", 2, '"Heartbeat",[]'),
    ):
        yield title, "malformed", partial(_text, kind, body)
    yield "a CALL said to be an answer", "malformed", partial(_text, 2, '"Heartbeat",{}', answer=1)
    yield "text that is not UTF-8", "malformed", _not_utf8
    yield "answer to a negative CALL", "malformed", partial(_reference, 3)
    yield "answer to a CALL beyond 32 bits", "malformed", partial(_reference, 2 + (1 << 33))
    yield "result error of a negative CALL", "malformed", _result_error
    yield "a reference without end", "malformed", partial(_reference, (1 << 49) - 1)


def _text(kind: int, body: str, forger: Forger, *, answer: int = 0) -> None:
    forger.text(kind, body, answer)


def _not_utf8(forger: Forger) -> None:
    forger.unknown(0)
    code_choice(forger.writer, mixed(97, 0), 3, 2)
    forger.writer.bit(mixed(24, 0), 0)
    forger.model.characters.code(forger.writer, b'"\xff",{}', 25, b"", -1, LIMIT)


def _reference(reference: int, forger: Forger) -> None:
    forger.answer(1)
    with contextlib.suppress(DecodeError):
        code_gamma(forger.writer, mixed(92, 0), reference)


def _result_error(forger: Forger) -> None:
    forger.text(5, '"GenericError"')
    code_gamma(forger.writer, mixed(98, 0), 3)


def _shapes() -> Iterator[_Case]:
    for title, skeleton in (
        ("skeleton of type 7", '7"Heartbeat",{}'),
        ("skeleton that is not JSON", '2"Heartbeat",{'),
        ("skeleton with white space", '2"Heartbeat", {}'),
        ("skeleton without payload", '2"Heartbeat"'),
        ("skeleton whose payload is a hole", f'2"Heartbeat",{HOLE}'),
        ("skeleton whose action is a hole", f"2{HOLE},{{}}"),
        ("a hole as member name", f'2"Heartbeat",{{{HOLE}:1}}'),
        ("a hole in a string", f'2"Heartbeat",{{"a":"x{HOLE}y"}}'),
        ("a hole beside a digit", f'2"Heartbeat",{{"a":1{HOLE}}}'),
        ("two holes in a row", f'2"Heartbeat",{{"a":{HOLE}{HOLE}}}'),
        ("skeleton nested too deep", '2"Heartbeat",{"a":' + "[" * 63 + "]" * 63 + "}"),
        ("skeleton after itself", '2"Heartbeat",{}'),
    ):
        yield title, "malformed", partial(_skeleton, skeleton)
    yield "an error's skeleton without code", "malformed", partial(_error, Number(False, 0, 5))
    yield "skeleton of a CALL as an answer", "malformed", partial(_skeleton, '2"Heartbeat",{}', answer=1)
    yield "more values than allowed", "limit", partial(_skeleton, '2"A",{"a":[' + ",".join(HOLE * 513) + "]}")
    yield "a skeleton longer than allowed", "limit", partial(_skeleton, '2"A",{"a":[' + "1," * 5000 + "1]}")
    yield "a shape that is not there, after one", "malformed", partial(_known, 1)
    yield "a word that is not there", "malformed", _word


def _skeleton(skeleton: str, forger: Forger, *, answer: int = 0) -> None:
    forger.skeleton(skeleton, answer)


def _known(rank: int, forger: Forger) -> None:
    forger.known(rank)


def _error(value: Scalar, forger: Forger) -> None:
    """A CALLRESULTERROR whose code is `value`."""
    skeleton = f"5{HOLE}"
    forger.skeleton(skeleton)
    code_value(forger.writer, forger.model, Shape(skeleton), 0, value, Readings(), LIMIT)
    code_gamma(forger.writer, mixed(98, 0), 1)


def _word(forger: Forger) -> None:
    """A token of a number that nothing has."""
    forger.unknown(1)
    model = forger.model
    code_choice(forger.writer, mixed(100, 0), 3, 2)
    # The run before the action is empty; the prior foresees it by the context of the beginning, or it is told by a number.
    start = mixed(0, 0)
    assert not model.words.numbers
    subject = mixed(2, 0)
    contexts = (mixed(mixed(mixed(start, 0), 0), 3), mixed(mixed(start, 0), 2), mixed(mixed(start, subject), 1), start)
    tried: list[int] = []
    for order, context in enumerate(contexts):
        packed = model.following.find(context)
        rank = 0
        while packed:
            number = (packed >> 39) - 1
            packed = packed << 13 & (1 << 52) - 1
            if number not in tried:
                shared = mixed(mixed(101, order), rank * 4 + min(len(tried), 3))
                forger.writer.grammar(mixed(context, number), shared, 0)
                tried.append(number)
                rank += 1
    forger.writer.grammar(mixed(start, 103), 104, 1)
    code_gamma(forger.writer, mixed(106, 0), len(model.knowledge.words))


def _values() -> Iterator[_Case]:
    for title, value in (
        ("a number of 49 bits", Number(False, 0, 1 << 48)),
        ("a number with 19 fraction digits", Number(False, 19, 1)),
        ("a timestamp after 2106", Time(0, "Z", 1 << 32)),
        ("a timestamp before 1970", Time(0, "Z", -1)),
        ("a fraction of zeros", Time(3, "Z", 5000)),
        ("an ending that is none", Time(0, "+1:00", 5)),
        ("an ending with a point after digits", Time(1, ".0Z", 5)),
    ):
        yield title, "malformed", partial(_value, value)
    yield "an ending of 17 characters", "limit", partial(_value, Time(0, "+" * 17, 5))
    yield "a known field's number beyond 48 bits", "malformed", partial(_beyond, 1 << 48)
    yield "a known field's number without end", "malformed", partial(_beyond, 1 << 62)
    yield "a known field's number too fine", "malformed", _too_fine
    yield "a string that is not there", "malformed", _string
    yield "a recent string that is not there", "malformed", _recent


def _value(value: Scalar, forger: Forger) -> None:
    forger.skeleton(SKELETON)
    forger.value(value)


def _field(forger: Forger) -> tuple[int, NumberField]:
    forger.known(0)
    key = Shape(SKELETON).plan.holes[0].field
    fields = forger.model.fields
    field = fields.items[fields.find(key)]
    assert isinstance(field, NumberField)
    return key, field


def _beyond(residual: int, forger: Forger) -> None:
    key, field = _field(forger)
    forger.writer.pair(mixed(key, 40), 41, 1)
    with contextlib.suppress(DecodeError):
        code_residual(forger.writer, mixed(key, 46), mixed(42, 0), expected_length(field.size), EVEN, residual)


def _too_fine(forger: Forger) -> None:
    key, _ = _field(forger)
    forger.writer.pair(mixed(key, 40), 41, 0)
    forger.writer.pair(mixed(key, 40) + 1, 64, 1)
    code_gamma(forger.writer, mixed(65, 0), 14)


def _string(forger: Forger) -> None:
    skeleton = f'2"DataTransfer",{{"a":{HOLE},"data":{HOLE}}}'
    forger.skeleton(skeleton)
    shape = Shape(skeleton)
    code_value(forger.writer, forger.model, shape, 0, Text('"b"'), Readings(), LIMIT)
    name = shape.plan.holes[1].name
    forger.writer.pair(mixed(name, 70), 54, 1)
    forger.writer.pair(mixed(name, 57), 58, 0)
    forger.writer.pair(mixed(name, 59), 60, 1)
    code_gamma(forger.writer, mixed(61, 0), 1)


def _recent(forger: Forger) -> None:
    forger.known(0)
    skeleton = f'2"DataTransfer",{{"data":[{HOLE},{HOLE}]}}'
    hole = Shape(skeleton).plan.holes[0]
    own = mixed(hole.field, Shape(skeleton).context)
    forger.writer.pair(own, mixed(hole.field, 53), 0)
    forger.writer.pair(mixed(hole.name, 70), 54, 1)
    forger.writer.pair(mixed(hole.field, 66), 56, 1)
    code_gamma(forger.writer, mixed(67, 0), 1)


def _literals() -> Iterator[_Case]:
    for title, token in (
        ("a literal that is two", '"a","b"'),
        ("a literal with a bare control character", '"a\x02"'),
        ("a literal with an escape that is none", '"a\\x"'),
        ("a bare literal with a leading zero", "01"),
        ("a bare literal that is a name", "true"),
        ("a bare literal with white space", "1 "),
        ("an empty bare literal", ""),
    ):
        yield title, "malformed", partial(_any_literal, token)
    yield "a decimal digit of 12", "malformed", _digit
    yield "more decimal digits than a frame has text", "limit", partial(_counted, 4, 27, LIMIT + 1)
    yield "an identifier of 33 bytes", "malformed", _identifier
    yield "more bytes than a frame has text", "limit", _many_bytes
    yield "more packed bytes than a frame has", "limit", _many_packed
    packed = _zstd(b"a text" * 40)
    yield "packed with a content size", "malformed", partial(_packed, b"\x20\x03" + packed[2:])
    yield "packed that ends early", "malformed", partial(_packed, packed[:-1])
    yield "packed that goes on", "malformed", partial(_packed, packed + b"\0")
    yield "packed with a window of 1 GiB", "malformed", partial(_packed, b"\0\xa0" + packed[2:])
    yield "packed that expands to 64 MiB", "malformed", partial(_packed, _zstd(bytes(1 << 26)))
    yield "packed nothing", "malformed", partial(_packed, b"")
    yield "raw bits that no writer writes", "malformed", _raw


def _any_literal(token: str, forger: Forger) -> None:
    forger.skeleton(SKELETON)
    if token.startswith('"'):
        name = forger.literal(0)
        forger.model.characters.code(forger.writer, token[1:-1].encode(), mixed(name, 23), b"", -1, LIMIT)
    else:
        name = forger.literal(6)
        forger.model.characters.code(forger.writer, token.encode(), mixed(name, 22), b"", -1, LIMIT)


def _counted(kind: int, context: int, count: int, forger: Forger) -> None:
    forger.skeleton(SKELETON)
    code_gamma(forger.writer, mixed(forger.literal(kind), context), count)


def _digit(forger: Forger) -> None:
    _counted(4, 27, 3, forger)
    code_choice(forger.writer, mixed(28, 0), 4, 12)


def _identifier(forger: Forger) -> None:
    forger.skeleton(SKELETON)
    name = forger.literal(2)
    forger.writer.bit(mixed(34, 0), 0)
    code_gamma(forger.writer, mixed(name, 29), 33)


def _many_bytes(forger: Forger) -> None:
    forger.skeleton(SKELETON)
    name = forger.literal(5)
    forger.writer.bit(mixed(30, 0), 0)
    code_gamma(forger.writer, mixed(name, 31), LIMIT)


def _many_packed(forger: Forger) -> None:
    forger.skeleton(SKELETON)
    forger.literal(7)
    code_gamma(forger.writer, mixed(33, 0), LIMIT + 1024)


def _packed(data: bytes, forger: Forger) -> None:
    forger.skeleton(SKELETON)
    forger.packed(data)


def _raw(forger: Forger) -> None:
    """Sixteen bits of a UUID that stand behind the last of their 65,536 ways."""
    forger.skeleton(SKELETON)
    forger.literal(1)
    forger.writer.uniform(16, 1 << 16)


def _zstd(data: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)
