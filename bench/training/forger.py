"""Writes frames of the codec `adaptive` decision by decision, with the codec's own coder, so also such as no encoder writes."""

from __future__ import annotations

import contextlib
from typing import Final

from ocppress_codecs.adaptive.coder import BitWriter
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.first_sight import code_skeleton
from ocppress_codecs.adaptive.forecasts import Readings
from ocppress_codecs.adaptive.frames import Direction
from ocppress_codecs.adaptive.literals import code_text
from ocppress_codecs.adaptive.model import Shape, frame_context
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma
from ocppress_codecs.adaptive.prior import shipped
from ocppress_codecs.adaptive.skeletons import HOLE
from ocppress_codecs.adaptive.values import code_value
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import covered, numbered
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX
from ocppress_codecs.rpc import parse
from ocppress_codecs.scalars import Scalar

__all__ = ["CHECKSUM", "LIMIT", "SKELETON", "Forger"]

LIMIT: Final = FRAME_TEXT_BYTES_MAX

SKELETON: Final = f'2"DataTransfer",{{"data":{HOLE}}}'

CHECKSUM: Final = bytes(2)
"""What stands for a frame's checksum."""


class Forger:
    """Writes the decisions of one frame."""

    def __init__(self, after: list[str]) -> None:
        self.direction = Direction(shipped(), CallLog(), CallLog())
        for text in after:
            batch = numbered([parse(text)[1]], self.direction.progress)
            _, notes, progress = self.direction.write(batch, covered(batch), False)
            self.direction.advance(batch, notes, progress)
        self.model = self.direction.model
        self.writer = BitWriter(self.model.table)

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

    def more(self, sent: int, bit: int = 1) -> None:
        """Whether one more message follows."""
        context = frame_context(self.model.lengths, sent)
        self.writer.pair(mixed(context, self.model.subject), mixed(context, 120), bit)
