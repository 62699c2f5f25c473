"""Frames of the codec `adaptive` that no encoder writes, for the vectors: each must be refused.

A frame is forged by writing decisions one by one with the codec's own coder, up to where a reader must stop. Two bytes of zeros stand for the checksum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import zstandard

from ocppress_codecs.adaptive.coder import BitWriter
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.fields import NumberField, expected_length
from ocppress_codecs.adaptive.first_sight import code_skeleton
from ocppress_codecs.adaptive.forecasts import EVEN, Readings
from ocppress_codecs.adaptive.frames import Direction
from ocppress_codecs.adaptive.literals import code_text
from ocppress_codecs.adaptive.message import code_message
from ocppress_codecs.adaptive.model import Shape, frame_context
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma, code_residual
from ocppress_codecs.adaptive.prior import shipped
from ocppress_codecs.adaptive.skeletons import HOLE
from ocppress_codecs.adaptive.values import code_value
from ocppress_codecs.carriage import covered, numbered
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX, CallLog
from ocppress_codecs.rpc import Message, MessageType, parse
from ocppress_codecs.scalars import Number, Scalar, Text, Time

__all__ = ["Forgery", "forgeries"]

LIMIT: Final = FRAME_TEXT_BYTES_MAX
NUMBER: Final = '[2,"a","DataTransfer",{"data":1}]'
STRINGS: Final = '[2,"a","DataTransfer",{"data":["a","b"]}]'
HEARTBEAT: Final = '[2,"a","Heartbeat",{}]'
SKELETON: Final = f'2"DataTransfer",{{"data":{HOLE}}}'
CHECKSUM: Final = bytes(2)


class Forgery(NamedTuple):
    """A frame, what comes before it, and how it must be refused."""

    title: str
    after: list[str]
    frame: bytes
    error: str


class _Forger:
    """Writes the decisions of one frame."""

    def __init__(self, after: list[str]) -> None:
        self.direction = Direction(shipped(), CallLog(), CallLog())
        for text in after:
            batch = numbered([parse(text)[1]], self.direction.progress)
            _, notes, progress = self.direction.write(batch, covered(batch), False)
            self.direction.advance(batch, notes, progress)
        self.model = self.direction.model
        self.writer = BitWriter(self.model.states, self.model.journal)

    def frame(self) -> bytes:
        return self.writer.finish() + CHECKSUM

    def answer(self, bit: int) -> None:
        """Whether it is one."""
        model = self.model
        self.writer.pair(mixed(model.subject, 90), mixed(91, model.kinds), bit)

    def known(self, rank: int) -> None:
        """A CALL with a known shape; what was said before must not have been said twice."""
        self.answer(0)
        self.writer.bit(mixed(112, 0), 1)
        code_gamma(self.writer, mixed(113, 0), rank)

    def unknown(self, plain: int, answer: int = 0) -> None:
        """A message of no known shape: by its skeleton if `plain`, else as text."""
        self.answer(answer)
        if answer:
            code_gamma(self.writer, mixed(92, 0), 1)
        if self.model.shapes.numbers:
            self.writer.bit(mixed(112, answer), 0)
        self.writer.bit(114, plain)

    def skeleton(self, skeleton: str, answer: int = 0) -> None:
        """A message at first sight."""
        self.unknown(1, answer)
        code_skeleton(self.writer, self.model, skeleton, mixed(mixed(0, 94), 0) if answer else 0, LIMIT)

    def text(self, kind: int, body: str, answer: int = 0) -> None:
        """A message as text."""
        self.unknown(0, answer)
        code_choice(self.writer, mixed(97, 0), 3, kind)
        code_text(self.writer, self.model, body, False, LIMIT)

    def value(self, value: Scalar) -> None:
        """What stands in the hole of `SKELETON`, as far as a writer comes."""
        with contextlib.suppress(DecodeError):
            code_value(self.writer, self.model, Shape(SKELETON), 0, value, Readings(), LIMIT)

    def literal(self, kind: int) -> int:
        """The beginning of a literal in the hole of `SKELETON`; the hash of the member's name."""
        name = Shape(SKELETON).plan.holes[0].name
        self.writer.pair(mixed(name, 70), 54, 1)
        self.writer.pair(mixed(name, 57), 58, 0)
        if self.model.strings.numbers:
            self.writer.pair(mixed(name, 59), 60, 0)
        code_choice(self.writer, mixed(name, 21), 3, kind)
        return name

    def packed(self, data: bytes) -> None:
        """A literal by zstd."""
        self.literal(7)
        code_gamma(self.writer, mixed(33, 0), len(data))
        for byte in data:
            self.writer.raw(8, byte)

    def more(self, sent: int) -> None:
        """One more message follows."""
        context = frame_context(self.model.lengths, sent)
        self.writer.pair(mixed(context, self.model.subject), mixed(context, 120), 1)


def _forged(after: list[str], write: Callable[[_Forger], object]) -> bytes:
    forger = _Forger(after)
    write(forger)
    return forger.frame()


def forgeries() -> Iterator[Forgery]:
    """All of them."""
    yield from _whole_frames()
    for title, error, write in (*_messages(), *_shapes(), *_values(), *_literals()):
        after = [NUMBER] if "known" in title else [STRINGS] if "recent" in title else [HEARTBEAT] if "after" in title else []
        yield Forgery(title, after, _forged(after, write), error)


def _whole_frames() -> Iterator[Forgery]:
    forger = _Forger([])
    batch = [parse(HEARTBEAT)[1]]
    first = forger.direction.write(numbered(batch, forger.direction.progress), covered(numbered(batch, forger.direction.progress)), False)[
        0
    ]
    yield Forgery("empty", [], b"", "truncated")
    yield Forgery("half a checksum", [], b"\0", "truncated")
    yield Forgery("wrong checksum", [], first[:-1] + bytes((first[-1] ^ 1,)), "integrity")
    again = _Forger([HEARTBEAT])
    batch = numbered(batch, again.direction.progress)
    second = again.direction.write(batch, covered(batch), False)[0]
    yield Forgery("the second frame again", [HEARTBEAT, HEARTBEAT], second, "integrity")
    yield Forgery("bytes after the last message", [], first[:-2] + b"\0\0\0\0\1" + first[-2:], "malformed")
    yield Forgery("nothing but a checksum, at first", [], bytes(2), "malformed")
    yield Forgery("four bytes ff", [], b"\xff" * 6, "malformed")
    yield Forgery("zeros that are left out", [], _zeros(), "limit")
    long = _Forger([])
    text = '"DataTransfer",{"data":"%s"}' % ("x" * 5000)
    message = Message(MessageType.CALL, "DataTransfer", text, 0)
    written = long.direction.write([message], covered([message]), False)[0]
    yield Forgery("wrong checksum of four bytes", [], written[:-2] + bytes((written[-2] ^ 1, written[-1])), "integrity")
    yield Forgery("more work than allowed", [], _worked(), "limit")


def _zeros() -> bytes:
    """More zeros at the end than a reader takes by itself."""
    forger = _Forger([])
    _packed(forger, bytes(100))
    return forger.writer.finish().rstrip(b"\0") + CHECKSUM


def _worked() -> bytes:
    """Thousands of empty answers in some bytes."""
    forger = _Forger([])
    progress = forger.direction.progress
    answer = Message(MessageType.CALLRESULT, "", "{}", None)
    for sent in range(15_000):
        _, progress, _ = code_message(forger.writer, forger.model, answer, False, progress, CallLog(), LIMIT)
        forger.more(sent + 1)
    return forger.frame()


_Case = tuple[str, str, Callable[[_Forger], object]]


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
        yield title, "malformed", lambda forger, kind=kind, body=body: forger.text(kind, body)  # type: ignore[misc]
    yield "a CALL said to be an answer", "malformed", lambda forger: forger.text(2, '"Heartbeat",{}', 1)
    yield "text that is not UTF-8", "malformed", _not_utf8
    yield "answer to a negative CALL", "malformed", lambda forger: _reference(forger, 3)
    yield "answer to a CALL beyond 32 bits", "malformed", lambda forger: _reference(forger, 2 + (1 << 33))
    yield "result error of a negative CALL", "malformed", _result_error
    yield "a reference without end", "malformed", lambda forger: _reference(forger, (1 << 49) - 1)


def _not_utf8(forger: _Forger) -> None:
    forger.unknown(0)
    code_choice(forger.writer, mixed(97, 0), 3, 2)
    forger.writer.bit(mixed(24, 0), 0)
    forger.model.characters.code(forger.writer, b'"\xff",{}', 25, b"", -1, LIMIT)


def _reference(forger: _Forger, reference: int) -> None:
    forger.answer(1)
    with contextlib.suppress(DecodeError):
        code_gamma(forger.writer, mixed(92, 0), reference)


def _result_error(forger: _Forger) -> None:
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
        yield title, "malformed", lambda forger, skeleton=skeleton: forger.skeleton(skeleton)  # type: ignore[misc]
    yield "an error's skeleton without code", "malformed", lambda forger: _error(forger, Number(False, 0, 5))
    yield "skeleton of a CALL as an answer", "malformed", lambda forger: forger.skeleton('2"Heartbeat",{}', 1)
    yield "more values than allowed", "limit", lambda forger: forger.skeleton('2"A",{"a":[' + ",".join(HOLE * 513) + "]}")
    yield "a skeleton longer than allowed", "limit", lambda forger: forger.skeleton('2"A",{"a":[' + "1," * 5000 + "1]}")
    yield "a shape that is not there, after one", "malformed", lambda forger: forger.known(1)
    yield "a word that is not there", "malformed", _word


def _error(forger: _Forger, value: Scalar) -> None:
    """A CALLRESULTERROR whose code is `value`."""
    skeleton = f"5{HOLE}"
    forger.skeleton(skeleton)
    code_value(forger.writer, forger.model, Shape(skeleton), 0, value, Readings(), LIMIT)
    code_gamma(forger.writer, mixed(98, 0), 1)


def _word(forger: _Forger) -> None:
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
        yield title, "malformed", lambda forger, value=value: (forger.skeleton(SKELETON), forger.value(value))  # type: ignore[misc]
    yield "an ending of 17 characters", "limit", lambda forger: (forger.skeleton(SKELETON), forger.value(Time(0, "+" * 17, 5)))
    yield "a known field's number beyond 48 bits", "malformed", _beyond
    yield "a known field's number without end", "malformed", lambda forger: _beyond(forger, 1 << 62)
    yield "a known field's number too fine", "malformed", _too_fine
    yield "a string that is not there", "malformed", _string
    yield "a recent string that is not there", "malformed", _recent


def _field(forger: _Forger) -> tuple[int, NumberField]:
    forger.known(0)
    key = Shape(SKELETON).plan.holes[0].field
    field = forger.model.field(key)
    assert isinstance(field, NumberField)
    return key, field


def _beyond(forger: _Forger, residual: int = 1 << 48) -> None:
    key, field = _field(forger)
    forger.writer.pair(mixed(key, 40), 41, 1)
    with contextlib.suppress(DecodeError):
        code_residual(forger.writer, mixed(key, 46), mixed(42, 0), expected_length(field.size), EVEN, residual)


def _too_fine(forger: _Forger) -> None:
    key, _ = _field(forger)
    forger.writer.pair(mixed(key, 40), 41, 0)
    forger.writer.pair(mixed(key, 40) + 1, 64, 1)
    code_gamma(forger.writer, mixed(65, 0), 14)


def _string(forger: _Forger) -> None:
    skeleton = f'2"DataTransfer",{{"a":{HOLE},"data":{HOLE}}}'
    forger.skeleton(skeleton)
    shape = Shape(skeleton)
    code_value(forger.writer, forger.model, shape, 0, Text('"b"'), Readings(), LIMIT)
    name = shape.plan.holes[1].name
    forger.writer.pair(mixed(name, 70), 54, 1)
    forger.writer.pair(mixed(name, 57), 58, 0)
    forger.writer.pair(mixed(name, 59), 60, 1)
    code_gamma(forger.writer, mixed(61, 0), 1)


def _recent(forger: _Forger) -> None:
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
        yield title, "malformed", lambda forger, token=token: _any_literal(forger, token)  # type: ignore[misc]
    yield "a decimal digit of 12", "malformed", _digit
    yield "more decimal digits than a frame has text", "limit", lambda forger: _counted(forger, 4, 27, LIMIT + 1)
    yield "an identifier of 33 bytes", "malformed", _identifier
    yield "more bytes than a frame has text", "limit", _many_bytes
    yield "more packed bytes than a frame has", "limit", _many_packed
    packed = _zstd(b"a text" * 40)
    yield "packed with a content size", "malformed", lambda forger: _packed(forger, b"\x20\x03" + packed[2:])
    yield "packed that ends early", "malformed", lambda forger: _packed(forger, packed[:-1])
    yield "packed that goes on", "malformed", lambda forger: _packed(forger, packed + b"\0")
    yield "packed with a window of 1 GiB", "malformed", lambda forger: _packed(forger, b"\0\xa0" + packed[2:])
    yield "packed that expands to 64 MiB", "malformed", lambda forger: _packed(forger, _zstd(bytes(1 << 26)))
    yield "packed nothing", "malformed", lambda forger: _packed(forger, b"")
    yield "raw bits that no writer writes", "malformed", _raw


def _any_literal(forger: _Forger, token: str) -> None:
    forger.skeleton(SKELETON)
    if token.startswith('"'):
        name = forger.literal(0)
        forger.model.characters.code(forger.writer, token[1:-1].encode(), mixed(name, 23), b"", -1, LIMIT)
    else:
        name = forger.literal(6)
        forger.model.characters.code(forger.writer, token.encode(), mixed(name, 22), b"", -1, LIMIT)


def _counted(forger: _Forger, kind: int, context: int, count: int) -> None:
    forger.skeleton(SKELETON)
    code_gamma(forger.writer, mixed(forger.literal(kind), context), count)


def _digit(forger: _Forger) -> None:
    _counted(forger, 4, 27, 3)
    code_choice(forger.writer, mixed(28, 0), 4, 12)


def _identifier(forger: _Forger) -> None:
    forger.skeleton(SKELETON)
    name = forger.literal(2)
    forger.writer.bit(mixed(34, 0), 0)
    code_gamma(forger.writer, mixed(name, 29), 33)


def _many_bytes(forger: _Forger) -> None:
    forger.skeleton(SKELETON)
    name = forger.literal(5)
    forger.writer.bit(mixed(30, 0), 0)
    code_gamma(forger.writer, mixed(name, 31), LIMIT)


def _many_packed(forger: _Forger) -> None:
    forger.skeleton(SKELETON)
    forger.literal(7)
    code_gamma(forger.writer, mixed(33, 0), LIMIT + 1024)


def _packed(forger: _Forger, data: bytes) -> None:
    forger.skeleton(SKELETON)
    forger.packed(data)


def _raw(forger: _Forger) -> None:
    """Sixteen bits of a UUID that stand behind the last of their 65,536 ways."""
    forger.skeleton(SKELETON)
    forger.literal(1)
    forger.writer.uniform(16, 1 << 16)


def _zstd(data: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)
