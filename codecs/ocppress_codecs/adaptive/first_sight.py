"""A skeleton that this direction has never seen, token by token.

    ,"                                     ":                    □                        ,"
    run of punctuation      key or value            run                  hole           …

What follows is guessed from the last member's name and value, from the name alone, from the message's subject, and from the punctuation:
as it went last in this
direction, or as the prior has it. A token that isn't among the guesses is told by its number, one that has none by its characters.
"""

from __future__ import annotations

import functools
from typing import Final, final

from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import mixed, text_hash
from ocppress_codecs.adaptive.model import VALUES_MAX, Model, Shape
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma
from ocppress_codecs.adaptive.skeletons import HOLE, lexemes
from ocppress_codecs.adaptive.successors import NUMBER_MAX, candidates
from ocppress_codecs.errors import LimitExceeded, Malformed, NotOcppJ
from ocppress_codecs.jsontext import JsonError, tokens
from ocppress_codecs.rpc import parse

__all__ = ["checked_skeleton", "code_skeleton", "shape_of"]

_ORDERS: Final = 4

_TYPES: Final = frozenset("23456")
_WITH_ACTION: Final = frozenset("26")

_SHAPES_SHARED: Final = 512
"""Skeletons, the last ones, whose shapes any further station shares: those of one model say the same, a model has 10 to 60. They take 2 MiB,
or 25 if each is as large as a peer can make it."""


def code_skeleton(coder: Coder, model: Model, skeleton: str, answered: int, limit: int) -> str:
    """A skeleton of at most about `limit` bytes; `answered` is the context of what it answers, 0 for none. Raises `DecodeError`."""
    given = lexemes(skeleton) if coder.writing else []
    message_type = code_choice(coder, mixed(100, 1 if answered else 0), 3, int(skeleton[0]) if coder.writing else 0)
    subject = mixed(message_type, answered)
    trail = Trail(subject)
    parts = [str(message_type)]
    size = 0
    place = 0
    while True:
        coder.check_work()
        kind = place & 1
        token = _token(coder, model, given[place] if coder.writing else "", kind, trail, limit - size)
        size += len(token)
        if size > limit:
            raise LimitExceeded("skeleton_bytes", limit, size)
        if kind and not token:
            break
        parts.append(token)
        trail.add(kind, token)
        place += 1
    return "".join(parts)


@final
class Trail:
    """The tokens before the next one, as hashes."""

    __slots__ = ("_first", "key", "run", "subject", "word")

    def __init__(self, subject: int) -> None:
        self.subject: int = subject
        """The action, or what is answered."""
        self.run: int = 0
        """The last run of punctuation."""
        self.word: int = 0
        """The last other token."""
        self.key: int = 0
        """The last one that was a member's name."""
        self._first: bool = True

    def add(self, kind: int, token: str) -> None:
        """One more token."""
        value = text_hash(token)
        if kind == 0:
            self.run = value
            if token[:1] == ":":
                self.key = self.word
            return
        self.word = value
        if self._first:
            self.subject = mixed(self.subject, value)
            self._first = False


def _token(coder: Coder, model: Model, token: str, kind: int, trail: Trail, limit: int) -> str:
    start = mixed(kind, trail.run if kind else 0)
    near = mixed(mixed(start, trail.subject), 1)
    middle = mixed(mixed(start, trail.key if kind else trail.word), 2)
    far = mixed(mixed(mixed(start, trail.key), trail.word), 3)
    if kind and trail.word == trail.key:
        # The value of a member: what its name says is all there is.
        far = mixed(mixed(middle, trail.subject), 4)
    contexts = (far, middle, near, start)
    wanted = model.word_number(token) if coder.writing else -1
    tried: list[int] = []
    found = -1
    packed = [model.following.find(context) for context in contexts]
    for order in range(_ORDERS):
        rank = 0
        for number in candidates(packed[order]):
            if number in tried:
                continue
            own = mixed(contexts[order], number)
            shared = mixed(mixed(101 + kind, order), rank * 4 + min(len(tried), 3))
            if coder.grammar(own, shared, 1 if number == wanted else 0):
                found = number
                break
            tried.append(number)
            rank += 1
        if found >= 0:
            break
    if found < 0:
        found, token = _unforeseen(coder, model, token, wanted, kind, mixed(start, 103), limit)
    else:
        token = _word(model, found)
    if 0 <= found <= NUMBER_MAX:
        for order in range(_ORDERS):
            model.following.follow(contexts[order], packed[order], found)
    return token


def _unforeseen(coder: Coder, model: Model, token: str, wanted: int, kind: int, context: int, limit: int) -> tuple[int, str]:
    """The number, -1 if it has none, and the text of a token that wasn't guessed."""
    if coder.grammar(context, 104 + kind, 1 if wanted >= 0 else 0):
        number = code_gamma(coder, mixed(106, kind), wanted)
        return number, _word(model, number)
    data = model.characters.code(coder, token.encode() if coder.writing else b"", 107 + kind, b"", -1, limit)
    try:
        token = data.decode()
    except UnicodeDecodeError:
        raise Malformed("text that is not UTF-8") from None
    model.characters.history.add(data)
    number = model.word_number(token)
    return (model.remember_word(token) if number < 0 else number), token


def _word(model: Model, number: int) -> str:
    """The word of a number that is told, which uses it."""
    word = model.word(number)
    if word is None:
        raise Malformed("a part of a skeleton that isn't there")
    if number >= len(model.knowledge.words):
        model.words.touch(number - len(model.knowledge.words))
    return word


def checked_skeleton(skeleton: str) -> None:
    """Raise `Malformed` unless `skeleton`, its holes filled with any strings or numbers, is the body of a message of its type.

    Of errors, whose code must be a string, the filled text is still to be checked.
    """
    if skeleton[:1] not in _TYPES:
        raise Malformed(f"message type {skeleton[:1]}")
    text = skeleton[1:]
    if HOLE + ":" in text or (skeleton[0] in _WITH_ACTION and text[:1] == HOLE):
        raise Malformed("a hole where only a string can stand")
    # A string of no length: beside a digit or in another string it is no JSON any more.
    filled = "[" + text.replace(HOLE, '""') + "]"
    try:
        parts = tokens(filled)
    except JsonError as error:
        raise Malformed(f"a skeleton that is not JSON: {error.reason}") from None
    if "".join(parts) != filled:
        raise Malformed("a skeleton with white space")
    try:
        parse(f'[{skeleton[0]},"",{filled[1:-1]}]')
    except NotOcppJ as refusal:  # not `error`: compiled, a name has one type in a function
        raise Malformed(f"a skeleton that is not OCPP-J: {refusal.reason}") from None


@functools.lru_cache(_SHAPES_SHARED)
def shape_of(skeleton: str) -> Shape:
    """The shape of a skeleton. Raises `Malformed` as `checked_skeleton` does, and `LimitExceeded` if it has too many values."""
    checked_skeleton(skeleton)
    shape = Shape(skeleton)
    if len(shape.plan.holes) > VALUES_MAX:
        raise LimitExceeded("values", VALUES_MAX, len(shape.plan.holes))
    return shape
