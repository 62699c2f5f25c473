"""All that one direction has learned, the same at both ends after each frame.

    table        probabilities by context                 `table`, `contexts`, `coder`
    shapes       skeletons seen, and what followed them   `slots`, `successors`
    words        their parts, and what followed those
    fields       values by what they are                  `fields`
    strings      texts that are referred to by number
    characters   remembered text, and weights             `characters`, `history`

Everything has a bound. All changes since `keep` can be undone, at the cost of what changed.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.characters import CharacterModel
from ocppress_codecs.adaptive.contexts import mixed, text_hash
from ocppress_codecs.adaptive.fields import Field
from ocppress_codecs.adaptive.history import Source
from ocppress_codecs.adaptive.plans import Plan, plan_of
from ocppress_codecs.adaptive.skeletons import HOLE, keys_before
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.adaptive.successors import Successors
from ocppress_codecs.adaptive.table import Table
from ocppress_codecs.rpc import MessageType, action_of

__all__ = [
    "FIELDS_MAX",
    "SHAPES_BYTES_MAX",
    "SHAPES_MAX",
    "SHAPE_BYTES_MAX",
    "STRINGS_BYTES_MAX",
    "STRINGS_MAX",
    "STRING_BYTES_MAX",
    "VALUES_MAX",
    "WORDS_BYTES_MAX",
    "WORDS_MAX",
    "WORD_BYTES_MAX",
    "Knowledge",
    "Model",
    "Shape",
    "frame_context",
    "run_context",
]

SHAPES_MAX: Final = 128
SHAPES_BYTES_MAX: Final = 25 * 1024
SHAPE_BYTES_MAX: Final = 6 * 1024
"""Skeletons remembered. A station uses 10 to 60, of 2 KiB where it reports twenty values; reports above the last limit are remembered as text only."""

WORDS_MAX: Final = 256
WORDS_BYTES_MAX: Final = 4 * 1024
WORD_BYTES_MAX: Final = 64
"""Parts of skeletons that the prior doesn't know: vendors' own names of members."""

STRINGS_MAX: Final = 128
STRINGS_BYTES_MAX: Final = 6 * 1024
STRING_BYTES_MAX: Final = 512
"""Strings that are referred to by number: transactions, tokens, names. Longer ones are found in the remembered text."""

VALUES_MAX: Final = 512
"""Values of one shape; what has more goes as text."""

FIELDS_MAX: Final = 84
"""Values that are followed. A station with twenty measured values has about 60 in all."""

_SHAPE_SETS: Final = 128
_WORD_SETS: Final = 256


@final
class Knowledge:
    """The prior: what both ends know from the start. Shared by all directions, never changed by them."""

    __slots__ = ("fingerprint", "following", "known", "states", "static", "weights", "word_numbers", "words")

    def __init__(
        self,
        states: vec[i64],
        static: vec[i64],
        weights: vec[i64],
        words: list[str],
        following: dict[int, int],
        text: bytes,
        index_size: int,
        fingerprint: bytes,
    ) -> None:
        self.states: Final[vec[i64]] = states
        self.static: Final[vec[i64]] = static
        self.weights: Final[vec[i64]] = weights
        self.words: Final[list[str]] = words
        self.word_numbers: Final[dict[str, int]] = {word: number for number, word in enumerate(words)}
        self.following: Final[dict[int, int]] = following
        """Packed lists of successors of words, by context."""
        self.known: Final[Source] = Source(text, index_size)
        self.fingerprint: Final[bytes] = fingerprint


@final
class Shape:
    """A skeleton with what is derived from it. `first_sight.shape_of` gives the same one to all stations that have it."""

    __slots__ = ("action", "context", "keys", "message_type", "plan", "segments", "skeleton", "text_bytes")

    def __init__(self, skeleton: str) -> None:
        """`skeleton` must have passed `first_sight.checked_skeleton`."""
        self.skeleton: Final[str] = skeleton
        self.message_type: Final[int] = int(skeleton[0])
        self.action: Final[str] = action_of(MessageType(self.message_type), skeleton[1:].replace(HOLE, "0"))
        self.segments: Final[list[str]] = skeleton[1:].split(HOLE)
        self.keys: Final[list[str]] = keys_before(self.segments)
        self.plan: Final[Plan] = plan_of(skeleton)
        self.context: Final[i64] = text_hash(skeleton)
        self.text_bytes: Final[int] = len(skeleton.encode())


@final
class Model:
    """The state of one direction."""

    __slots__ = (
        "_kept",
        "before",
        "characters",
        "clock",
        "fields",
        "following",
        "kinds",
        "knowledge",
        "lengths",
        "register_wh",
        "run",
        "shape_following",
        "shapes",
        "strings",
        "subject",
        "table",
        "words",
    )

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge: Knowledge = knowledge
        self.table: Table = Table(knowledge.states)
        self.shapes: Slots[str, Shape] = Slots(SHAPES_MAX, SHAPES_BYTES_MAX)
        self.shape_following: Successors = Successors(_SHAPE_SETS, {})
        self.words: Slots[str, str] = Slots(WORDS_MAX, WORDS_BYTES_MAX)
        self.following: Successors = Successors(_WORD_SETS, knowledge.following)
        self.fields: Slots[int, Field] = Slots(FIELDS_MAX, FIELDS_MAX)
        self.strings: Slots[str, str] = Slots(STRINGS_MAX, STRINGS_BYTES_MAX)
        self.characters: CharacterModel = CharacterModel(knowledge.known, knowledge.static, knowledge.weights)
        self.clock: i64 = 0
        """The last timestamp of this direction, in 10**-CLOCK_DIGITS seconds."""
        self.register_wh: i64 = 0
        """The last energy register."""
        self.subject: i64 = 0
        """The context of the last message's shape."""
        self.before: i64 = 0
        """The one before it."""
        self.kinds: i64 = 0
        """Which of the last messages were answers, a bit each."""
        self.run: i64 = 0
        """How many messages of one shape came in a row: now, before, and before that, 16 bits each, the last in the low ones."""
        self.lengths: i64 = 0
        """How many messages the last two frames had, the last one in the low 16 bits."""
        self._kept: vec[i64] = self.scalars()

    def scalars(self) -> vec[i64]:
        """What is a number by itself."""
        return vec[i64]([self.clock, self.register_wh, self.subject, self.before, self.kinds, self.run, self.lengths])

    def set_scalars(self, scalars: vec[i64]) -> None:
        """The reverse of `scalars`."""
        self.clock = scalars[0]
        self.register_wh = scalars[1]
        self.subject = scalars[2]
        self.before = scalars[3]
        self.kinds = scalars[4]
        self.run = scalars[5]
        self.lengths = scalars[6]

    def keep(self) -> None:
        """What was learned stays."""
        self.table.keep()
        self.shapes.keep()
        self.shape_following.keep()
        self.words.keep()
        self.following.keep()
        self.fields.keep()
        self.strings.keep()
        self.characters.keep()
        self._kept = self.scalars()

    def undo(self) -> None:
        """Forget what was learned since `keep`."""
        self.table.undo()
        self.shapes.undo()
        self.shape_following.undo()
        self.words.undo()
        self.following.undo()
        self.fields.undo()
        self.strings.undo()
        self.characters.undo()
        self.set_scalars(self._kept)

    def word(self, number: int) -> str | None:
        """A part of skeletons by its number: those of the prior first, then those of this direction."""
        known = self.knowledge.words
        if number < len(known):
            return known[number]
        place = number - len(known)
        return self.words.items[place] if place < len(self.words.items) else None

    def word_number(self, word: str) -> int:
        """The reverse of `word`, -1 if it has none."""
        number = self.knowledge.word_numbers.get(word, -1)
        if number < 0:
            number = self.words.find(word)
            if number >= 0:
                number += len(self.knowledge.words)
        return number

    def remember_word(self, word: str) -> int:
        """Give a new word a number, -1 if it is too long for one."""
        size = len(word.encode())
        if size > WORD_BYTES_MAX:
            return -1
        return len(self.knowledge.words) + self.words.insert(word, word, size)

    def remember_string(self, token: str) -> int:
        """The number of a string, new or not, that is used now; -1 if it is too long for one."""
        number = self.strings.find(token)
        if number >= 0:
            self.strings.touch(number)
            return number
        size = len(token.encode())
        if size > STRING_BYTES_MAX:
            return -1
        return self.strings.insert(token, token, size)

    def string(self, number: int) -> str | None:
        """A string by its number, None if it has been forgotten."""
        items = self.strings.items
        return items[number] if 0 <= number < len(items) else None

    def set_field(self, key: i64, field: Field) -> None:
        """The field of `key` is now `field`."""
        number = self.fields.find(key)
        if number >= 0:
            self.fields.replace(number, field)
        else:
            self.fields.insert(key, field, 1)


def run_context(run: i64) -> i64:
    """How far a row of messages of one shape has come, compared with the row before the last one, which often was of the same."""
    return _compared(run & 0xFFFF, run >> 32)


def frame_context(lengths: i64, sent: i64) -> i64:
    """How far a frame with `sent` messages has come, compared with the two before it."""
    last = lengths & 0xFFFF
    other = lengths >> 16
    return mixed(mixed(_compared(sent, last), _compared(sent, other)), min(sent, 3))


def _compared(sent: i64, before: i64) -> i64:
    difference = sent - before
    return 0 if difference < -3 else 5 if difference > 2 else difference + 3
