"""Texts that nobody has foreseen, byte by byte: each bit by the mixed evidence of the bytes before it.

    what the prior knows        after the last 1, 2, 3 and 4 bytes, and in this kind of text: probabilities that don't change
    what this direction shows   after the last byte in this kind of text, after the last 2 and 4: places in the table of contexts
    a match                     the byte that followed where the last four bytes stood before (`history`), or in the text most like this one

The evidence is added up on the logistic scale with weights that learn; which weights, depends on how far back the prior knows the bytes and on the match.
A match that has held for long is asked for the whole byte at once.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import SHARED_SIZE, STATE_MASK, TEXT_BASE, TEXT_MASK, mixed
from ocppress_codecs.adaptive.history import History, Source
from ocppress_codecs.adaptive.logistic import STRETCHED, squash
from ocppress_codecs.adaptive.table import learned
from ocppress_codecs.errors import LimitExceeded

__all__ = ["INPUTS", "SETS", "STATIC_SIZE", "CharacterModel", "first_weights", "known_as"]

STATIC_SIZE: Final = 1 << 15
_STATIC_MASK: Final = STATIC_SIZE - 1

INPUTS: Final = 9
SETS: Final = 16
_FIRST_WEIGHT: Final = 65536 * 3 // 10
_LEARNING: Final = 10
"""How fast weights move."""

_LONG_MATCH: Final = 12
"""Bytes after which a match is asked for whole bytes."""

_MISSES_MAX: Final = 8
"""Misses after which a match is given up; in records of one kind a digit differs here and there."""

_WEIGHT_MAX: Final = 1 << 21
"""To where weights are brought back before the first text of a frame: 32 times the evidence."""


@final
class CharacterModel:
    """The statistics of one direction.

    `static` is the prior's and isn't changed: for each context how likely a 1 is, on the logistic scale, 0 where nothing is known. To train it, give `trained`
    the places that it comes from.
    """

    __slots__ = ("_kept", "history", "known", "static", "trained", "weights")

    def __init__(self, known: Source, static: vec[i64], weights: vec[i64]) -> None:
        self.history: History = History()
        self.known: Source = known
        """The prior's text."""
        self.static: vec[i64] = static
        self.weights: vec[i64] = weights
        """`INPUTS` for each of `SETS`; not changed in place but for those of a frame that isn't kept yet."""
        self.trained: list[int] = []
        self._kept: vec[i64] | None = None

    def keep(self) -> None:
        """What was learned stays."""
        self._kept = None
        self.history.keep()

    def undo(self) -> None:
        """Forget what was learned since `keep`."""
        if self._kept is not None:
            self.weights = self._kept
            self._kept = None
        self.history.undo()

    def code(self, coder: Coder, data: bytes, kind: int, hint: bytes, length: int, limit: int) -> bytes:
        """A text without zero bytes, of up to `limit` bytes; or any `length` bytes if that isn't -1.

        `kind` is a context of 32 bits for texts of this kind, `hint` a text that may be like it. Raises `LimitExceeded`.
        """
        if self._kept is None:
            self._kept = self.weights
            self.weights = vec[i64]([max(-_WEIGHT_MAX, min(_WEIGHT_MAX, weight)) for weight in self._kept])
        writing = coder.writing
        size = len(data)
        out = bytearray()
        one = two = three = four = 0
        source = hint
        place = 0
        held = 4 if hint else 0
        """How many bytes the match has held, 0 where there is none (any more)."""
        misses = 0
        while length != len(out):
            done = len(out)
            coder.check_work()
            if done > limit:
                raise LimitExceeded("literal_bytes", limit, done)
            if done >= 4 and (held < 4 or misses):
                tail = bytes(out[-4:])
                found = self.history.own.find(tail)
                if found:
                    source = self.history.own.text
                else:
                    found = self.known.find(tail)
                    if found:
                        source = self.known.text
                if found:
                    place = found
                    held = max(held, 4)
                    misses = 0
            if place >= len(source):
                held = 0
            byte = (data[done] if done < size else 0) if writing else 0
            predicted = -1
            if held or misses:
                predicted = source[place] if place < len(source) else -1
            if predicted >= 0 and held >= _LONG_MATCH and not misses:
                if coder.bit(mixed(held if held < 32 else 32, 101), 1 if byte == predicted else 0):
                    out.append(predicted)
                    four, three, two, one = three, two, one, predicted
                    held += 1
                    place += 1
                    if predicted == 0 and length < 0:
                        out.pop()
                        return bytes(out)
                    continue
                held = 0
                misses = 1
                byte = self._byte(coder, byte, one, two, three, four, kind, -1, 0, 0)
            else:
                byte = self._byte(coder, byte, one, two, three, four, kind, predicted, held, misses)
                if predicted >= 0:
                    if byte == predicted:
                        held += 1
                        if held >= 16:
                            misses = 0
                    else:
                        held = 0
                        misses += 1
            place += 1
            if misses > _MISSES_MAX:
                misses = 0
                held = 0
                place = len(source)
            if byte == 0 and length < 0:
                return bytes(out)
            out.append(byte)
            four, three, two, one = three, two, one, byte
        return bytes(out)

    def _byte(
        self,
        coder: Coder,
        byte: i64,
        one: i64,
        two: i64,
        three: i64,
        four: i64,
        kind: i64,
        predicted: i64,
        held: i64,
        misses: i64,
    ) -> i64:
        static = self.static
        table = coder.table
        weights = self.weights
        after_one = mixed(one, 1)
        after_two = mixed(after_one, two)
        after_three = mixed(after_two, three)
        after_four = mixed(after_three, four)
        of_kind = mixed(kind, one)
        own_kind = mixed(of_kind, 5)
        own_two = mixed(after_two, 6)
        own_four = mixed(after_four, 7)
        match_context = mixed(min(held, 15), misses)
        match_set: i64 = 0 if predicted < 0 else 1 if misses else 2 if held < 8 else 3
        trained = bool(self.trained)
        symbol: i64 = 1
        shift: i64 = 8
        while shift:
            shift -= 1
            step = symbol * 0x9E5
            first = after_one + step & _STATIC_MASK
            second = after_two + step & _STATIC_MASK
            third = after_three + step & _STATIC_MASK
            fourth = after_four + step & _STATIC_MASK
            of = of_kind + step & _STATIC_MASK
            x1 = static[first]
            x2 = static[second]
            x3 = static[third]
            x4 = static[fourth]
            x5 = static[of]
            if table.crowded:
                table.grow()
            place6 = TEXT_BASE + (own_kind + step & TEXT_MASK)
            slot6 = table.slot(place6)
            place7 = TEXT_BASE + (own_two + step & TEXT_MASK)
            slot7 = table.slot(place7)
            place8 = TEXT_BASE + (own_four + step & TEXT_MASK)
            slot8 = table.slot(place8)
            entry6: int = table.entries[slot6]
            state6: i64 = entry6 & STATE_MASK
            entry7: int = table.entries[slot7]
            state7: i64 = entry7 & STATE_MASK
            entry8: int = table.entries[slot8]
            state8: i64 = entry8 & STATE_MASK
            x6 = STRETCHED[state6 >> 10]
            x7 = STRETCHED[state7 >> 10]
            x8 = STRETCHED[state8 >> 10]
            x9: i64 = 0
            expected: i64 = -1
            slot9: i64 = 0
            place9: i64 = 0
            state9: i64 = 0
            if predicted >= 0 and predicted + 256 >> shift + 1 == symbol:
                expected = predicted >> shift & 1
                place9 = mixed(match_context, expected) % SHARED_SIZE
                slot9 = table.slot(place9)
                entry9: int = table.entries[slot9]
                state9 = entry9 & STATE_MASK
                x9 = STRETCHED[state9 >> 10]
                if not expected:
                    x9 = -x9
            known: i64 = 12 if x4 else 8 if x3 else 4 if x2 else 0
            begin = INPUTS * (known + match_set if expected >= 0 else known)
            w1 = weights[begin]
            w2 = weights[begin + 1]
            w3 = weights[begin + 2]
            w4 = weights[begin + 3]
            w5 = weights[begin + 4]
            w6 = weights[begin + 5]
            w7 = weights[begin + 6]
            w8 = weights[begin + 7]
            w9 = weights[begin + 8]
            probability = squash((x1 * w1 + x2 * w2 + x3 * w3 + x4 * w4 + x5 * w5 + x6 * w6 + x7 * w7 + x8 * w8 + x9 * w9) >> 16)
            bit = coder.code(probability * 16 if 2 < probability < 4094 else 32 if probability <= 2 else 65504, byte >> shift & 1)
            error = ((bit << 12) - probability) * _LEARNING
            weights[begin] = w1 + (x1 * error + 0x8000 >> 16)
            weights[begin + 1] = w2 + (x2 * error + 0x8000 >> 16)
            weights[begin + 2] = w3 + (x3 * error + 0x8000 >> 16)
            weights[begin + 3] = w4 + (x4 * error + 0x8000 >> 16)
            weights[begin + 4] = w5 + (x5 * error + 0x8000 >> 16)
            weights[begin + 5] = w6 + (x6 * error + 0x8000 >> 16)
            weights[begin + 6] = w7 + (x7 * error + 0x8000 >> 16)
            weights[begin + 7] = w8 + (x8 * error + 0x8000 >> 16)
            weights[begin + 8] = w9 + (x9 * error + 0x8000 >> 16)
            table.learn(slot6, place6, state6, bit)
            table.learn(slot7, place7, state7, bit)
            table.learn(slot8, place8, state8, bit)
            if expected >= 0:
                table.learn(slot9, place9, state9, 1 if bit == expected else 0)
            if trained:
                for place in (first, second, third, fourth, of):
                    self._train(place, bit)
            symbol = symbol << 1 | bit
        return symbol & 0xFF

    def _train(self, place: int, bit: int) -> None:
        state = self.trained[place] = learned(self.trained[place], bit)
        self.static[place] = known_as(state >> 10)


def known_as(probability: int) -> int:
    """What a probability in 4096ths, which isn't unknown, is in `static`."""
    return STRETCHED[probability] or 1


def first_weights() -> vec[i64]:
    """The weights before any training."""
    return vec[i64]([_FIRST_WEIGHT] * (SETS * INPUTS))
