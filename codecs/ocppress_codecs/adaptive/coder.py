"""The binary arithmetic coder: every decision of the model, 0 or 1, is narrowed into one number in [0, 1) that becomes the frame.

    ├──────── the likelier bit ─────────┼─ the other ───┤      the range is split in the proportion of their probabilities;
    low                        low + bound     low + range      the part of the bit that occurred becomes the range

`low` and `range` have 32 bits; when `range` falls below 2^24 a byte leaves, and a carry goes back into bytes that left before. The frame ends with the
fewest bytes whose number lies in the range; zeros at its end are left out, and the reader takes zeros past the end. So a frame in
which everything happened as expected has no byte at all.

The same code of the model runs for writing and reading: it hands each bit to the coder and goes on with the bit that it gets back. A writer gives
back the bit it was handed, a reader ignores that and gives back the bit that was written.
"""

from __future__ import annotations

from typing import Final, final

from ocppress_codecs.account import Account
from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, GRAMMAR_BASE, GRAMMAR_SIZE, OWN_BASE, OWN_SIZE, SHARED_SIZE
from ocppress_codecs.errors import LimitExceeded, Malformed

__all__ = ["RATES", "WORK_MAX", "ZERO_BYTES_MAX", "BitReader", "BitWriter", "Coder"]

ZERO_BYTES_MAX: Final = 64
"""Bytes of zeros that a reader takes past the end of a frame; a writer leaves out no more. It bounds what a frame of nothing can stand for."""

WORK_MAX: Final = 1 << 21
"""Entries in the journal of one frame: about half a million decisions, a second of work here. What needs more goes as text, by zstd."""

_TOP: Final = 1 << 24
_RAW_BITS: Final = 16
"""Bits that go at once; the range, never below 2^24, is still divided finely enough."""
_ALL: Final = 0xFFFFFFFF

_LEAST: Final = 32
_MOST: Final = 65536 - _LEAST
"""Probabilities are kept off 0 and 1, or what is certain to one side could not be said by the other."""

RATES: Final = [65536 * 10 // (10 * count + 16) for count in range(COUNT_MAX + 1)]
"""By how much of the difference a probability moves, in 65536ths: nearly all the first time, 1/64 in the end."""

_OWN_WEIGHTS: Final = [2 * count + 2 for count in range(COUNT_MAX + 1)]
_SHARED_WEIGHTS: Final = [count + 3 for count in range(COUNT_MAX + 1)]
"""How much each of two contexts has to say: the own one, which is nearer, soon outweighs the one shared with others."""


class Coder:
    """What the model sees of a writer or reader. `states` is the table of contexts, `journal` what it takes to undo: place, old, place, old, …

    `account` is None unless somebody counts; then the model closes an item after each thing it has coded.
    """

    def __init__(self, states: list[int], journal: list[int], *, writing: bool, account: Account | None = None) -> None:
        self.writing: Final[bool] = writing
        self.states: Final[list[int]] = states
        self.journal: Final[list[int]] = journal
        self.account: Final[Account | None] = account

    def code(self, probability: int, bit: int) -> int:
        """One decision that is 1 with `probability` 65536ths, 32 to 65504."""
        raise NotImplementedError

    def bit(self, context: int, bit: int) -> int:
        """One decision by the statistics that all stations share, which learn from it."""
        place = context % SHARED_SIZE
        states = self.states
        state = states[place]
        journal = self.journal
        journal.append(place)
        journal.append(state)
        probability = state >> COUNT_BITS
        count = state & COUNT_MAX
        clipped = probability if probability > _LEAST else _LEAST
        bit = self.code(clipped if clipped < _MOST else _MOST, bit)
        if bit:
            probability += (65535 - probability) * RATES[count] >> 16
        else:
            probability -= probability * RATES[count] >> 16
        states[place] = probability << COUNT_BITS | (count + 1 if count < COUNT_MAX else count)
        return bit

    def pair(self, own: int, shared: int, bit: int) -> int:
        """One decision by a context of the station's own and one that all share, each weighed by how much it has seen; both learn."""
        return self._pair(OWN_BASE + own % OWN_SIZE, shared % SHARED_SIZE, bit)

    def grammar(self, own: int, shared: int, bit: int) -> int:
        """The same with a context of the grammar of skeletons in place of the station's own."""
        return self._pair(GRAMMAR_BASE + own % GRAMMAR_SIZE, shared % SHARED_SIZE, bit)

    def _pair(self, own: int, shared: int, bit: int) -> int:
        states = self.states
        state = states[own]
        other = states[shared]
        journal = self.journal
        journal.append(own)
        journal.append(state)
        journal.append(shared)
        journal.append(other)
        probability = state >> COUNT_BITS
        count = state & COUNT_MAX
        second = other >> COUNT_BITS
        second_count = other & COUNT_MAX
        weight = _OWN_WEIGHTS[count]
        second_weight = _SHARED_WEIGHTS[second_count]
        clipped = (probability * weight + second * second_weight) // (weight + second_weight)
        if clipped < _LEAST:
            clipped = _LEAST
        elif clipped > _MOST:
            clipped = _MOST
        bit = self.code(clipped, bit)
        if bit:
            probability += (65535 - probability) * RATES[count] >> 16
            second += (65535 - second) * RATES[second_count] >> 16
        else:
            probability -= probability * RATES[count] >> 16
            second -= second * RATES[second_count] >> 16
        # Where both are one place, the second word counts.
        states[own] = probability << COUNT_BITS | (count + 1 if count < COUNT_MAX else count)
        states[shared] = second << COUNT_BITS | (second_count + 1 if second_count < COUNT_MAX else second_count)
        return bit

    def check_work(self) -> None:
        """Raise `LimitExceeded` if too much has been learned from this frame; to be called in every loop."""
        if len(self.journal) > WORK_MAX:
            raise LimitExceeded("work", WORK_MAX, len(self.journal))

    def raw(self, count: int, value: int) -> int:
        """`count` bits of even odds, the highest first."""
        result = 0
        while count > _RAW_BITS:
            count -= _RAW_BITS
            result = result << _RAW_BITS | self.uniform(_RAW_BITS, value >> count & (1 << _RAW_BITS) - 1)
        return result << count | self.uniform(count, value & (1 << count) - 1)

    def uniform(self, count: int, value: int) -> int:
        """Up to 16 bits of even odds at once."""
        raise NotImplementedError


@final
class BitWriter(Coder):
    """Writes a frame."""

    def __init__(self, states: list[int], journal: list[int]) -> None:
        super().__init__(states, journal, writing=True)
        self._low = 0
        self._range = _ALL
        self._out = bytearray()

    def code(self, probability: int, bit: int) -> int:
        likely = probability >= 0x8000
        bound = (self._range >> 16) * (probability if likely else 65536 - probability)
        if (bit != 0) == likely:
            extent = bound
        else:
            self._low += bound
            extent = self._range - bound
        if extent < _TOP:
            self._shift(extent)
        else:
            self._range = extent
        return bit

    def uniform(self, count: int, value: int) -> int:
        extent = self._range >> count
        self._low += value * extent
        self._shift(extent)
        return value

    def _shift(self, extent: int) -> None:
        """Let bytes leave until the range is large enough again."""
        while extent < _TOP:
            low = self._low
            if low > _ALL:
                self._carry()
                low &= _ALL
            self._out.append(low >> 24)
            self._low = (low & 0xFFFFFF) << 8
            extent <<= 8
        self._range = extent

    def _carry(self) -> None:
        out = self._out
        place = len(out) - 1
        while out[place] == 0xFF:
            out[place] = 0
            place -= 1
        out[place] += 1

    @property
    def written_bytes(self) -> int:
        """Bytes that have left so far."""
        return len(self._out)

    def finish(self) -> bytes:
        """The shortest frame that reads back as what was written."""
        low = self._low
        end = low + self._range
        value = low
        count = 0
        while count < 4:
            unit = 1 << 32 - 8 * count
            value = (low + unit - 1) // unit * unit
            if value < end:
                break
            count += 1
        if count == 4:
            value = low
        if value > _ALL:
            self._carry()
            value &= _ALL
        data = bytes(self._out) + value.to_bytes(4, "big")[:count]
        stripped = data.rstrip(b"\0")
        # A reader has taken in at most four bytes more than have left.
        return stripped + bytes(max(0, len(self._out) + 4 - ZERO_BYTES_MAX - len(stripped)))


@final
class BitReader(Coder):
    """Reads a frame. Every step may raise `LimitExceeded` at its end."""

    def __init__(self, states: list[int], journal: list[int], data: bytes) -> None:
        super().__init__(states, journal, writing=False)
        self._data = data
        self._position = 4
        self._value = int.from_bytes((data[:4] + b"\0\0\0\0")[:4], "big")
        self._range = _ALL

    def code(self, probability: int, bit: int) -> int:
        likely = 1 if probability >= 0x8000 else 0
        bound = (self._range >> 16) * (probability if likely else 65536 - probability)
        if self._value < bound:
            bit = likely
            extent = bound
        else:
            bit = 1 - likely
            self._value -= bound
            extent = self._range - bound
        if extent < _TOP:
            self._shift(extent)
        else:
            self._range = extent
        return bit

    def uniform(self, count: int, value: int) -> int:
        extent = self._range >> count
        value = self._value // extent
        if value >> count:
            raise Malformed("bits that no writer wrote")
        self._value -= value * extent
        self._shift(extent)
        return value

    def _shift(self, extent: int) -> None:
        while extent < _TOP:
            extent <<= 8
            self._value = self._value << 8 | self._next()
        self._range = extent

    def _next(self) -> int:
        position = self._position
        self._position = position + 1
        if position < len(self._data):
            return self._data[position]
        if position >= len(self._data) + ZERO_BYTES_MAX:
            raise LimitExceeded("zero_bytes", ZERO_BYTES_MAX, position + 1 - len(self._data))
        return 0

    @property
    def read_all(self) -> bool:
        """Whether no byte of the frame is left that nothing was decided by."""
        return self._position >= len(self._data)
