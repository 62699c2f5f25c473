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

from mypy_extensions import i64

from ocppress_codecs.account import Account
from ocppress_codecs.adaptive.contexts import (
    COUNT_BITS,
    COUNT_MAX,
    GRAMMAR_BASE,
    GRAMMAR_SIZE,
    OWN_BASE,
    OWN_SIZE,
    SHARED_SIZE,
    STATE_MASK,
)
from ocppress_codecs.adaptive.table import Table
from ocppress_codecs.errors import LimitExceeded, Malformed

__all__ = ["WORK_A_BYTE", "WORK_BASE", "WORK_MAX", "ZERO_BYTES_MAX", "BitReader", "BitWriter", "Coder"]

ZERO_BYTES_MAX: Final = 64
"""Bytes of zeros that a reader takes past the end of a frame; a writer leaves out no more. It bounds what a frame of nothing can stand for."""

WORK_MAX: Final = 1 << 19
"""Changes in the table by one frame: most of a second's work in pure Python. What needs more goes as text, by zstd; no frame of the recordings needs a
twentieth of it, and it lets a batch of 4,000 messages go as text, one by one."""

WORK_BASE: Final = 1 << 16
WORK_A_BYTE: Final = 64
"""Changes that a frame may cause by itself, and for each of its bytes: twice what was ever seen, so that a few bytes can't ask for the work of thousands."""

_TOP: Final = 1 << 24
_RAW_BITS: Final = 16
"""Bits that go at once; the range, never below 2^24, is still divided finely enough."""
_ALL: Final = 0xFFFFFFFF

_LEAST: Final = 32
_MOST: Final = 65536 - _LEAST
"""Probabilities are kept off 0 and 1, or what is certain to one side could not be said by the other."""


class Coder:
    """What the model sees of a writer or reader. `table` is that of the contexts, which notes what it takes to undo.

    `account` is None unless somebody counts; then the model closes an item after each thing it has coded.
    """

    __slots__ = ("account", "charged", "table", "work_max", "writing")

    def __init__(self, table: Table, *, writing: bool, work_max: int, account: Account | None = None) -> None:
        self.writing: Final[bool] = writing
        self.work_max: Final[int] = work_max
        self.charged: int = 0
        self.table: Final[Table] = table
        self.account: Final[Account | None] = account

    def code(self, probability: i64, bit: i64) -> i64:
        """One decision that is 1 with `probability` 65536ths, 32 to 65504."""
        raise NotImplementedError

    def bit(self, context: i64, bit: i64) -> i64:
        """One decision by the statistics that all stations share, which learn from it."""
        place = context % SHARED_SIZE
        table = self.table
        if table.crowded:
            table.grow()
        slot = table.slot(place)
        entry: int = table.entries[slot]
        state: i64 = entry
        state &= STATE_MASK
        probability = state >> COUNT_BITS
        clipped = probability if probability > _LEAST else _LEAST
        bit = self.code(clipped if clipped < _MOST else _MOST, bit)
        table.learn(slot, place, state, bit)
        return bit

    def pair(self, own: i64, shared: i64, bit: i64) -> i64:
        """One decision by a context of the station's own and one that all share, each weighed by how much it has seen; both learn."""
        return self._pair(OWN_BASE + own % OWN_SIZE, shared % SHARED_SIZE, bit)

    def grammar(self, own: i64, shared: i64, bit: i64) -> i64:
        """The same with a context of the grammar of skeletons in place of the station's own."""
        return self._pair(GRAMMAR_BASE + own % GRAMMAR_SIZE, shared % SHARED_SIZE, bit)

    def _pair(self, own: i64, shared: i64, bit: i64) -> i64:
        table = self.table
        if table.crowded:
            table.grow()
        slot = table.slot(own)
        second_slot = table.slot(shared)
        entry: int = table.entries[slot]
        second_entry: int = table.entries[second_slot]
        state: i64 = entry
        state &= STATE_MASK
        second_state: i64 = second_entry
        second_state &= STATE_MASK
        weight = 2 * (state & COUNT_MAX) + 2
        second_weight = (second_state & COUNT_MAX) + 3
        probability = state >> COUNT_BITS
        second = second_state >> COUNT_BITS
        clipped = (probability * weight + second * second_weight) // (weight + second_weight)
        if clipped < _LEAST:
            clipped = _LEAST
        elif clipped > _MOST:
            clipped = _MOST
        bit = self.code(clipped, bit)
        table.learn(slot, own, state, bit)
        table.learn(second_slot, shared, second_state, bit)
        return bit

    def charge(self, work: int) -> None:
        """Count work that changes nothing in the table."""
        self.charged += work

    def check_work(self) -> None:
        """Raise `LimitExceeded` if the frame has caused too much work; to be called in every loop."""
        work = len(self.table.journal) + self.charged
        if work > self.work_max:
            raise LimitExceeded("work", self.work_max, work)

    def raw(self, count: i64, value: i64) -> i64:
        """The low `count` bits of `value`, up to 62, at even odds, the highest first."""
        result: i64 = 0
        while count > _RAW_BITS:
            count -= _RAW_BITS
            result = result << _RAW_BITS | self.uniform(_RAW_BITS, value >> count & (1 << _RAW_BITS) - 1)
        return result << count | self.uniform(count, value & (1 << count) - 1)

    def raw_bytes(self, data: bytes, size: int) -> bytes:
        """`size` bytes of even odds, each as by `uniform`; a reader ignores `data`. A large literal has a million, so they aren't coded by a call each."""
        found = bytearray()
        for place in range(size):
            found.append(self.uniform(8, data[place] if self.writing else 0))
        return bytes(found)

    def uniform(self, count: i64, value: i64) -> i64:
        """Up to 16 bits of even odds at once."""
        raise NotImplementedError


@final
class BitWriter(Coder):
    """Writes a frame."""

    __slots__ = ("_low", "_out", "_range")

    def __init__(self, table: Table) -> None:
        super().__init__(table, writing=True, work_max=WORK_MAX)
        self._low: i64 = 0
        self._range: i64 = _ALL
        self._out: Final = bytearray()

    def code(self, probability: i64, bit: i64) -> i64:
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

    def uniform(self, count: i64, value: i64) -> i64:
        extent = self._range >> count
        self._low += value * extent
        self._shift(extent)
        return value

    def raw_bytes(self, data: bytes, size: int) -> bytes:
        low = self._low
        extent = self._range
        out = self._out
        for byte in data:
            extent >>= 8
            low += byte * extent
            if low > _ALL:
                self._carry()
                low &= _ALL
            out.append(low >> 24)
            low = (low & 0xFFFFFF) << 8
            extent <<= 8
        self._low = low
        self._range = extent
        return data

    def _shift(self, extent: i64) -> None:
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
        low: int = self._low
        end: int = low + self._range
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
    """Reads a frame. Every step may raise `LimitExceeded` at its end, and `Malformed` for what no writer can have written."""

    __slots__ = ("_data", "_position", "_range", "_value")

    def __init__(self, table: Table, data: bytes) -> None:
        super().__init__(table, writing=False, work_max=min(WORK_MAX, WORK_BASE + WORK_A_BYTE * len(data)))
        self._data: Final = data
        self._position: i64 = 4
        self._value: i64 = int.from_bytes((data[:4] + b"\0\0\0\0")[:4], "big")
        self._range: i64 = _ALL
        if self._value >= self._range:
            raise Malformed("a number outside of the range")

    def code(self, probability: i64, bit: i64) -> i64:
        likely: i64 = 1 if probability >= 0x8000 else 0
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

    def uniform(self, count: i64, value: i64) -> i64:
        extent = self._range >> count
        value = self._value // extent
        if value >> count:
            raise Malformed("bits that no writer wrote")
        self._value -= value * extent
        self._shift(extent)
        return value

    def raw_bytes(self, data: bytes, size: int) -> bytes:
        found = bytearray()
        value = self._value
        extent = self._range
        ahead = self._data[self._position : self._position + size]
        for byte in ahead:
            extent >>= 8
            number = value // extent
            if number > 255:
                raise Malformed("bits that no writer wrote")
            found.append(number)
            value = value - number * extent << 8 | byte
            extent <<= 8
        self._position += len(ahead)
        self._value = value
        self._range = extent
        return bytes(found) + super().raw_bytes(data, size - len(ahead))

    def _shift(self, extent: i64) -> None:
        while extent < _TOP:
            extent <<= 8
            self._value = self._value << 8 | self._next()
        self._range = extent

    def _next(self) -> i64:
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
