"""Frames, messages, shapes, the prior, saved states (SPEC.md, 5.5 to 5.7, 5.17, 5.18)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from tests.conformance.second_adaptive.coder import Reader, Refused, clamp, mix
from tests.conformance.second_adaptive.skeletons import Shape, Slots, Successors, Words, check_body, check_skeleton
from tests.conformance.second_adaptive.texts import STRETCH, Text, Texts
from tests.conformance.second_adaptive.values import NumberField, TextField, TimeField, Values

DATA = Path(__file__).parents[3] / "codecs/ocppress_codecs/data"

Message = tuple[int, int | None, str]
"""Type, call, body."""


class Prior:
    def __init__(self, content: bytes) -> None:
        self.at = 0
        self.content = content
        self.hash = hashlib.blake2s(content, digest_size=16).digest()
        self.words = self._block().decode().split("\n")[:-1]
        self.word_numbers = {word: number for number, word in enumerate(self.words)}
        self.text = Text(self._block(), 32768)
        self.table = [(p, n) for p, n in (self._unpack(">HB") for _ in range(8192))]
        self.static = [0 if p == 0 else STRETCH[p] or 1 for p in self._unpack(">32768H")]
        self.weights = [list(self._unpack(">9i")) for _ in range(16)]
        self.successors: dict[int, list[int]] = {}
        for _ in range(self._unpack(">I")[0]):
            context, k = self._unpack(">IB")
            self.successors[context] = list(self._unpack(f">{k}H"))
        assert self.at == len(content)

    def _unpack(self, form: str) -> Any:
        found = struct.unpack_from(form, self.content, self.at)
        self.at += struct.calcsize(form)
        return found

    def _block(self) -> bytes:
        (size,) = self._unpack(">I")
        self.at += size
        return self.content[self.at - size : self.at]


@functools.cache
def shipped() -> Prior:
    return Prior(zstandard.ZstdDecompressor().decompress((DATA / "prior-1.bin").read_bytes(), max_output_size=1 << 24))


def fingerprint() -> bytes:
    content = b"adaptive 1\n" + (DATA / "names-1.json").read_bytes() + shipped().hash
    return hashlib.blake2s(content, digest_size=4).digest()


def compare(one: int, other: int) -> int:
    return clamp(one - other, -3, 2) + 3


class State:
    """All of one direction."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.table = prior.table + [(32768, 0)] * 10240
        self.subject = self.before = self.kinds = self.row = self.row1 = self.row2 = 0
        self.last = self.last2 = self.clock = self.register = 0
        self.shapes = Slots(128, 25600)
        self.shape_successors = Successors(128, {})
        self.words = Words(prior)
        self.fields = Slots(84, 84)
        self.strings = Slots(128, 6144)
        self.texts = Texts(prior)
        self.calls = self.expected = 0
        self.chain = bytes(16)
        self.notes: dict[int, int] = {}

    def copy(self) -> State:
        other = State.__new__(State)
        other.__dict__.update(self.__dict__)
        other.table, other.notes = list(self.table), dict(self.notes)
        for name in ("shapes", "shape_successors", "words", "fields", "strings", "texts"):
            setattr(other, name, getattr(self, name).copy())
        return other


@dataclasses.dataclass
class Frame:
    """A frame while it is decoded: `state` is a copy."""

    state: State
    reader: Reader
    answered: dict[int, int]
    left: int = 2 * 1024 * 1024

    def messages(self) -> list[Message]:
        state, reader = self.state, self.reader
        found: list[Message] = []
        while True:
            found.append(self.message())
            self.left -= len(found[-1][2]) + 8
            if self.left <= 0:
                raise Refused("limit", "frame_text_bytes")
            sent = len(found)
            c = mix(compare(sent, state.last), compare(sent, state.last2), min(sent, 3))
            if not reader.pair(mix(c, state.subject), mix(c, 120)):
                state.last2, state.last = state.last, min(sent, 65535)
                return found

    def message(self) -> Message:
        state, reader = self.state, self.reader
        reader.check_work()
        answer = reader.pair(mix(state.subject, 90), mix(91, state.kinds))
        near = mix(state.subject, 95)
        far = mix(near, state.before)
        reference = 0
        if answer:
            reference = reader.gamma(mix(92, 0))
            call = self.call(3, reference)
            note = 0
            if call is not None and reader.bit(93):
                note = self.answered.get(call, 0)
            near = mix(note, 94, 0)
            far = mix(near, state.subject)
        shape = self.shape(near, far, answer)
        if shape is None:
            kind = reader.choice(3, mix(97, 0))
            body = state.texts.whole_text(reader, self.left)
            context = 1
        else:
            kind, context = shape.type, shape.context
            body = self.filled(shape)
        if kind not in (2, 3, 4, 5, 6) or (kind in (3, 4)) != bool(answer):
            raise Refused("malformed", "message type")
        if kind == 5:
            reference = reader.gamma(mix(98, 0))
        call = self.call(kind, reference)
        if kind == 2:
            state.notes[state.calls] = context
            state.calls += 1
        elif kind in (3, 4) and call is not None:
            state.expected = call + 1
        if shape is None or kind in (4, 5):
            check_body(kind, body)
        if context == state.subject:
            state.row = min(state.row + 1, 65535)
        else:
            state.row2, state.row1, state.row = state.row1, state.row, 1
        state.before, state.subject = state.subject, context
        state.kinds = (2 * state.kinds + answer) % 8
        return kind, call, body

    def call(self, kind: int, reference: int) -> int | None:  # 1.2
        if kind == 2:
            return self.state.calls
        if kind == 6 or reference == 1:
            return None
        call = self.state.expected if kind in (3, 4) else self.state.calls - 1
        if reference:
            zigzag = reference - 2
            call += zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        if not 0 <= call < 2**32:
            raise Refused("malformed", "call")
        return call

    def shape(self, near: int, far: int, answer: int) -> Shape | None:
        state, reader = self.state, self.reader
        lists = [state.shape_successors.following(far), state.shape_successors.following(near)]
        number = self.followed(lists, [far, near])
        if number is None and state.shapes.slots and reader.bit(mix(112, answer)):
            number = state.shapes.of_rank(reader.gamma(mix(113, 0)))
        if number is not None:
            state.shapes.use(number)
            shape: Shape = state.shapes.slots[number][2]
        elif reader.bit(114):
            skeleton = state.words.first_sight(reader, state.texts, near if answer else 0, self.left)
            if state.shapes.number_of(skeleton) is not None:
                raise Refused("malformed", "a new skeleton that isn't new")
            check_skeleton(skeleton)
            shape = Shape(skeleton)
            if len(shape.holes) > 512:
                raise Refused("limit", "values")
            if shape.bytes > 6144:
                return shape
            number = state.shapes.insert(skeleton, shape, shape.bytes)
        else:
            return None
        for context, numbers in zip((far, near), lists, strict=True):
            state.shape_successors.follow(context, numbers, number)
        return shape

    def followed(self, lists: list[list[int]], contexts: list[int]) -> int | None:
        state = self.state
        row = compare(state.row, state.row2)
        for order in range(2):
            rank = 0
            for number in lists[order]:
                if number not in state.shapes.slots or (order == 1 and number in lists[0]):
                    continue
                if self.reader.pair(mix(contexts[order], number, row), mix(111, 4 * order + rank, row)):
                    return number
                rank += 1
        return None

    def filled(self, shape: Shape) -> str:
        values = Values(self.reader, self.state)
        left = self.left - shape.bytes
        tokens = [""] * len(shape.holes)
        for place in shape.order:
            if left < 0:
                raise Refused("limit", "frame_text_bytes")
            tokens[place] = values.value(shape, shape.holes[place], left + 1)
            left -= len(tokens[place])
        return "".join(segment + token for segment, token in zip(shape.segments, [*tokens, ""], strict=True))


class SecondDecoder:
    """One direction. `answered` is the decoder (or whatever has `state.notes`) of the other one, whose CALLs are answered here."""

    def __init__(self) -> None:
        self.state = State(shipped())
        self.other: SecondDecoder | None = None

    def decode(self, frame: bytes, trace: Callable[..., None] | None = None) -> list[Message]:
        if len(frame) > 2_098_176:
            raise Refused("limit", "frame_bytes")
        if len(frame) < 2:
            raise Refused("truncated", "checksum")
        state = self.state.copy()
        reader = Reader(frame[:-2], state.table, trace)
        messages = Frame(state, reader, self.other.state.notes if self.other else {}).messages()
        text = "".join(f'[{kind},"{"" if call is None else call}",{body}]\n' for kind, call, body in messages).encode()
        more = reader.raw(16).to_bytes(2, "big") if len(text) > 4096 else b""
        if reader.taken < len(reader.data):
            raise Refused("malformed", "bytes that nothing was decided by")
        if len(text) > 2 * 1024 * 1024:
            raise Refused("limit", "frame_text_bytes")
        state.chain = hashlib.blake2s(state.chain + text, digest_size=16).digest()
        if frame[-2:] + more != state.chain[: 2 + len(more)]:
            raise Refused("integrity", "checksum")
        self.state = state
        return messages

    def new_epoch(self) -> None:
        """Begin anew, but go on counting CALLs."""
        before = self.state
        self.state = State(before.prior)
        self.state.calls, self.state.notes = before.calls, before.notes

    def saved(self) -> bytes:
        state = self.state
        model, text = self.model_bytes(), self.text_bytes()
        notes = [state.notes.get(number, 0) for number in range(max(0, state.calls - 256), state.calls)]
        content = b"\x01" + state.prior.hash + struct.pack(">I", len(model)) + model + struct.pack(">I", len(text)) + text
        content += struct.pack(">QQH", state.calls, state.expected, len(notes)) + state.chain + struct.pack(f">{len(notes)}I", *notes)
        return content + hashlib.blake2s(content, digest_size=16).digest()

    def model_bytes(self) -> bytes:
        state = self.state
        counts = bytearray()
        for place in range(0, 18432, 4):
            a, b, c, d = (n for _, n in state.table[place : place + 4])
            counts += (a << 18 | b << 12 | c << 6 | d).to_bytes(3, "big")
        parts = [struct.pack(">18432H", *(p for p, _ in state.table)), bytes(counts)]
        parts += [struct.pack(">9i", *group) for group in state.texts.weights]
        for successors in (state.shape_successors, state.words.successors):
            for entry in range(successors.size):
                check, numbers = successors.entries.get(entry, (0, []))
                packed = check
                for number in ([one + 1 for one in numbers] + [0] * 4)[:4]:
                    packed = packed << 13 | number
                parts.append(struct.pack(">Q", packed))
        row = state.row | state.row1 << 16 | state.row2 << 32
        scalars = (state.clock, state.register, state.subject, state.before, state.kinds, row, state.last | state.last2 << 16)
        parts.append(struct.pack(">7Q", *scalars))
        for number in reversed(state.fields.ranked()):
            _, key, content, _ = state.fields.slots[number]
            parts.append(struct.pack(">HI", number, key) + field_bytes(content))
        return b"".join(parts)

    def text_bytes(self) -> bytes:
        state = self.state
        parts = []
        for slots in (state.shapes, state.words.slots, state.strings):
            parts.append(struct.pack(">H", len(slots.slots)))
            for number in reversed(slots.ranked()):
                data = slots.slots[number][1].encode()
                parts.append(struct.pack(">HH", number, len(data)) + data)
        return b"".join([*parts, state.texts.remembered.data])


def field_bytes(content: Any) -> bytes:
    if isinstance(content, NumberField):
        one = content
        return (
            struct.pack(">BBB7q", 1, one.quoted, one.scale, one.last, one.delta, one.fast, one.slow, one.trend, one.slope, one.part)
            + struct.pack(">BBB12HH", one.run, one.steps, one.best, *one.costs, one.size)
            + struct.pack(">4q", one.load, one.power, one.when, one.mark)
        )
    if isinstance(content, TimeField):
        time = content
        ending = time.ending.encode()
        return (
            struct.pack(">BB7q", 2, time.digits, time.last, time.delta, time.lead, time.anchor, time.period, time.runner, time.pace)
            + struct.pack(">BB7HHB", time.steps, time.best, *time.costs, time.size, len(ending))
            + ending
        )
    assert isinstance(content, TextField)
    return bytes((3, len(content.recent), *content.recent))
