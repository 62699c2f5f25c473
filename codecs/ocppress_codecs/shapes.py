"""A message as a shape and its values: what repeats and what varies.

    "StatusNotification",{"connectorId":1,"status":"Charging","timestamp":"2025-12-18T20:43:08Z"}

    shape    "StatusNotification",{"connectorId":▢,"status":"Charging","timestamp":▢}
    values   1   "2025-12-18T20:43:08Z"

A value is a string or number that is not a member's name and not one of OCPP's words. A context remembers shapes with the values they had
last, predicts the next ones, and is the same at both ends because it moves only by texts that both have (`Context.learn`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

from ocppress_codecs.names import names
from ocppress_codecs.rpc import MessageType
from ocppress_codecs.scalars import CLOCK_DIGITS, TENS, Number, Scalar, Text, Time, alike, amount_of, scalar_of, token_of

__all__ = [
    "SHAPES_MAX",
    "SHAPES_WEIGHT_MAX",
    "SHAPE_WEIGHT_MAX",
    "STRINGS_MAX",
    "VALUE_WEIGHT",
    "Context",
    "Hole",
    "Shape",
    "clock_after",
    "filled",
    "in_units",
    "is_word",
    "predicted",
    "split",
    "taken_apart",
]

SHAPES_MAX: Final = 256
"""Shapes in a context, the one unused longest forgotten first. A station uses 10 to 100."""

SHAPE_WEIGHT_MAX: Final = 8 * 1024
"""Weight of the heaviest shape remembered: its characters, and `VALUE_WEIGHT` for each value. Reports and lists above it hardly repeat."""

SHAPES_WEIGHT_MAX: Final = 256 * 1024
"""Weight of all shapes remembered, which bounds a context to about 1 MiB here and a quarter of that in C."""

VALUE_WEIGHT: Final = 64
"""Bytes that a value's state takes in C."""

STRINGS_MAX: Final = 128
"""Strings that can be referred to, the one unused longest forgotten first."""

_STRING_CHARACTERS: Final = range(6, 67)
"""Length, quotes included, of the strings remembered: shorter ones are as short by themselves; UUIDs and tokens fit. So do all timestamps."""

_SCALAR: Final = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+":?|-?[0-9][0-9.eE+-]*)')
"""Splits a text at its strings and numbers; a member's name has its colon with it."""

_Item = TypeVar("_Item")

Shape = tuple[str, ...]
"""Message type and the text before, between and after the values; so a shape with n values has n + 2 members."""


class Hole(NamedTuple):
    """One value of a shape: what it was last, and how well each way to predict it has done."""

    value: Scalar
    difference: int = 0
    """From the value before to the last one."""
    lead: int = 0
    """From the clock to the last value, for timestamps."""
    costs: tuple[int, ...] = (0, 0, 0, 0)
    """Running cost of each candidate: about 64 times the bits of its error."""


def is_word(token: str) -> bool:
    """Whether a JSON token is one of OCPP's words, which are never values."""
    return token[0] == '"' and token[1:-1] in names().word_numbers


def split(message_type: MessageType, body: str) -> tuple[Shape, list[Scalar]]:
    """The shape and the values of a message whose body is JSON without white space."""
    shape, tokens = taken_apart(message_type, body)
    return shape, [scalar_of(token) for token in tokens]


def taken_apart(message_type: MessageType, body: str) -> tuple[Shape, list[str]]:
    """`split` with the values as JSON tokens."""
    segments = [str(message_type.value)]
    tokens: list[str] = []
    words = names().word_numbers
    pieces = _SCALAR.split(body)
    begin = 0
    for place in range(1, len(pieces), 2):
        token = pieces[place]
        if token[-1] == ":" or (token[0] == '"' and token[1:-1] in words):
            continue
        segments.append("".join(pieces[begin:place]))
        tokens.append(token)
        begin = place + 1
    segments.append("".join(pieces[begin:]))
    return tuple(segments), tokens


def filled(shape: Shape, values: list[Scalar]) -> str:
    """The body; the reverse of `split`."""
    parts = [shape[1]]
    for value, segment in zip(values, shape[2:], strict=True):
        parts.append(token_of(value))
        parts.append(segment)
    return "".join(parts)


def in_units(clock: int, digits: int) -> int:
    """`clock`, in units of 10**-CLOCK_DIGITS seconds, in those of 10**-digits seconds, rounded down."""
    return clock // TENS[CLOCK_DIGITS - digits]


def clock_after(value: Scalar, clock: int) -> int:
    """The clock once `value` has been seen: the last timestamp in the order of the text."""
    return value.value * TENS[CLOCK_DIGITS - value.digits] if isinstance(value, Time) else clock


class Context:
    """What one direction has seen. Both ends hold equal ones; copy before a step that may fail."""

    def __init__(self) -> None:
        self.shapes: dict[Shape, tuple[Hole, ...]] = {}
        """The one used last is the last."""
        self.strings: dict[str, None] = {}
        """Tokens; the one used last is the last."""
        self.clock = 0
        self.window = b""
        self._weight = 0

    def copy(self) -> Context:
        """An independent context with the same content."""
        other = Context()
        other.shapes = self.shapes.copy()
        other.strings = self.strings.copy()
        other.clock = self.clock
        other.window = self.window
        other._weight = self._weight
        return other

    def shape_at(self, rank: int) -> Shape | None:
        """The shape used `rank` shapes before the last used one."""
        return _nth(reversed(self.shapes), rank)

    def string_at(self, rank: int) -> str | None:
        """The string token used `rank` strings before the last used one."""
        return _nth(reversed(self.strings), rank)

    def rank_of_shape(self, shape: Shape) -> int | None:
        """The reverse of `shape_at`."""
        return _rank(reversed(self.shapes), shape) if shape in self.shapes else None

    def rank_of_string(self, token: str) -> int | None:
        """The reverse of `string_at`."""
        return _rank(reversed(self.strings), token) if token in self.strings else None

    def learn_tokens(self, shape: Shape, tokens: list[str]) -> None:
        """Move on by one message that was carried whole. What is too heavy to be remembered is soon learned, however much it is."""
        if _weight(shape) <= SHAPE_WEIGHT_MAX:
            self.learn(shape, [scalar_of(token) for token in tokens])
            return
        # Only the last timestamp and the last strings leave a trace.
        clock: int | None = None
        strings: dict[str, None] = {}
        for token in reversed(tokens):
            if token[0] == '"' and len(token) in _STRING_CHARACTERS:
                value = scalar_of(token)
                if isinstance(value, Time):
                    clock = clock_after(value, 0) if clock is None else clock
                elif isinstance(value, Text) and len(strings) < STRINGS_MAX:
                    strings[token] = None
                if clock is not None and len(strings) == STRINGS_MAX:
                    break
        self.clock = self.clock if clock is None else clock
        for token in reversed(strings):
            self._remember(token)

    def learn(self, shape: Shape, values: list[Scalar]) -> None:
        """Move on by one message, whichever way it was carried."""
        holes = self.shapes.pop(shape, None)
        learned: list[Hole] = []
        for place, value in enumerate(values):
            learned.append(_first(value, self.clock) if holes is None else _next(holes[place], value, self.clock))
            self.clock = clock_after(value, self.clock)
            if isinstance(value, Text) and value.token[0] == '"' and len(value.token) in _STRING_CHARACTERS:
                self._remember(value.token)
        if holes is None:
            weight = _weight(shape)
            if weight > SHAPE_WEIGHT_MAX:
                return
            self._weight += weight
        self.shapes[shape] = tuple(learned)
        while len(self.shapes) > SHAPES_MAX or self._weight > SHAPES_WEIGHT_MAX:
            oldest = next(iter(self.shapes))
            del self.shapes[oldest]
            self._weight -= _weight(oldest)

    def _remember(self, token: str) -> None:
        self.strings.pop(token, None)
        self.strings[token] = None
        if len(self.strings) > STRINGS_MAX:
            del self.strings[next(iter(self.strings))]


def predicted(hole: Hole, clock: int) -> int:
    """The number or timestamp expected in `hole`, whose value is not a text: that of the candidate with the least cost."""
    value = hole.value
    costs = hole.costs
    if isinstance(value, Number):
        return value.mantissa + hole.difference if costs[1] < costs[0] else value.mantissa
    candidates = _candidates(hole, clock)
    best = 0
    for place in range(1, len(candidates)):
        if costs[place] < costs[best]:
            best = place
    return candidates[best]


def _candidates(hole: Hole, clock: int) -> tuple[int, ...]:
    value = hole.value
    assert isinstance(value, Time), "a text is not predicted by numbers"
    clock = in_units(clock, value.digits)
    return value.value + hole.difference, clock, clock + hole.lead, value.value


def _weight(shape: Shape) -> int:
    return sum(map(len, shape)) + VALUE_WEIGHT * (len(shape) - 2)


def _first(value: Scalar, clock: int) -> Hole:
    return Hole(value, lead=value.value - in_units(clock, value.digits)) if isinstance(value, Time) else Hole(value)


def _next(hole: Hole, value: Scalar, clock: int) -> Hole:
    last = hole.value
    if isinstance(value, Text):
        return hole if last == value else Hole(value)
    if isinstance(last, Text) or not alike(last, value):
        return _first(value, clock)
    if isinstance(value, Number):
        difference = value.mantissa - amount_of(last)
        return Hole(value, difference, 0, (_cost(hole.costs[0], difference), _cost(hole.costs[1], difference - hole.difference)))
    amount = value.value
    candidates = _candidates(hole, clock)
    costs = tuple(_cost(hole.costs[place], amount - candidate) for place, candidate in enumerate(candidates))
    return Hole(value, amount - amount_of(last), amount - in_units(clock, value.digits), costs)


def _cost(cost: int, error: int) -> int:
    return cost - (cost >> 2) + 16 * abs(error).bit_length()


def _nth(items: Iterator[_Item], rank: int) -> _Item | None:
    for item in items:
        if rank == 0:
            return item
        rank -= 1
    return None


def _rank(items: Iterator[_Item], wanted: _Item) -> int:
    for rank, item in enumerate(items):
        if item == wanted:
            return rank
    raise AssertionError("not there")
