"""Where the bytes of a frame go: what a decoder writes down that is given an `Account`. Nothing is decided by it.

    frame of 4 bytes    message 0   choices 0.3 bits   numbers 5.1   times 7.9
                        the frame   checksum 16        rounding 2.7

A decoder spends as it reads, and closes an item whenever it knows what that was for. Costs are whole `UNITS_A_BIT`ths of a bit, so that the items of a
frame, rounding included, add up to its length exactly.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from ocppress_codecs.scalars import Number, Scalar, Time

__all__ = ["FRAME", "UNITS_A_BIT", "UNITS_A_BYTE", "Account", "Item", "Part", "part_of"]

UNITS_A_BIT: Final = 65536
UNITS_A_BYTE: Final = 8 * UNITS_A_BIT

FRAME: Final = -1
"""In the place of a message's number: what the frame as such needs."""


class Part(enum.StrEnum):
    """What bytes are for, the same for all codecs."""

    NEW_SHAPES = "new_shapes"
    """First sight of a message's shape: names, words, punctuation."""
    STRINGS = "strings"
    """Strings as they stand, mostly at first sight; whole messages as text."""
    TIMES = "times"
    NUMBERS = "numbers"
    REFERENCES = "references"
    """Strings that were there before."""
    CHOICES = "choices"
    """Which kind of message, which CALL is answered, which known shape, which values changed, whether another message follows."""
    FRAMING = "framing"
    """Marks, counts and lengths."""
    ROUNDING = "rounding"
    """From the information to whole bytes. Less than nothing where zeros at the end could be left out."""
    CHECKSUM = "checksum"
    OPENING = "opening"
    """What a hello agrees on, before the first frame."""


class Item(NamedTuple):
    """What one thing took."""

    message: int
    """Place of the message in the frame, or `FRAME`."""
    part: Part
    cost: int
    how: str
    """In which way it was coded, for people."""
    error: int | None = None
    """By how much a prediction was wrong, in the last digit's unit; None where nothing was predicted."""
    hole: int = -1
    """Place of the value among the values of its message; -1 for anything else."""
    token: str = ""
    """The value as a JSON token."""


def part_of(value: Scalar) -> Part:
    """What a value is that is not a reference."""
    return Part.NUMBERS if isinstance(value, Number) else Part.TIMES if isinstance(value, Time) else Part.STRINGS


@final
class Account:
    """Of one frame. After a `DecodeError` it has what was read until then."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.shapes: dict[int, Sequence[str]] = {}
        """By message: the text before, between and after its values, where it had a shape."""
        self._message = FRAME
        self._spent = 0
        self._part = Part.STRINGS
        self._how = ""
        self._error: int | None = None

    def begin(self) -> None:
        """The next message begins."""
        self._message += 1

    def spend(self, cost: int) -> None:
        """Count `cost` to the item that is closed next."""
        self._spent += cost

    def close(self, part: Part, how: str) -> None:
        """What was spent since the last item was closed was for this; no item where that is nothing."""
        if self._spent:
            self._close(Item(self._message, part, self._spent, how))

    def shape(self, segments: Sequence[str]) -> None:
        """The text around the values of this message."""
        self.shapes[self._message] = segments

    def tell(self, part: Part, how: str, error: int | None = None) -> None:
        """How the value being read was found."""
        self._part = part
        self._how = how
        self._error = error

    def value(self, hole: int, token: str) -> None:
        """What was spent since the last item was closed was for this value, of which `tell` has told how."""
        self._close(Item(self._message, self._part, self._spent, self._how, self._error, hole, token))

    def frame(self, part: Part, how: str, cost: int = 0) -> None:
        """The frame as such needed `cost`, and what was spent since the last item was closed."""
        self._close(Item(FRAME, part, self._spent + cost, how))

    def squeeze(self, cost: int) -> None:
        """All items so far took `cost` together, each its share of it."""
        whole = sum(item.cost for item in self.items)
        before = seen = 0
        for place, item in enumerate(self.items):
            seen += item.cost
            after = cost * seen // whole
            self.items[place] = item._replace(cost=after - before)
            before = after

    def settle(self, frame_bytes: int) -> None:
        """The frame ends, after `frame_bytes`: what no item accounts for is rounding."""
        rest = frame_bytes * UNITS_A_BYTE - sum(item.cost for item in self.items)
        if rest:
            self.items.append(Item(FRAME, Part.ROUNDING, rest, "to whole bytes"))

    def _close(self, item: Item) -> None:
        self.items.append(item)
        self._spent = 0
