"""Remembered text: what was seen before, so that its repetition costs next to nothing.

Two texts, one behind the other: that of the prior, the same for all, and what this direction has carried. For both there is an index from the last four
bytes to the place behind their last occurrence. A short text has none and is searched, with what an index would give: most directions carry little text.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = ["HISTORY_BYTES_MAX", "PRIOR_INDEX_SIZE", "History", "Source", "index_of"]

HISTORY_BYTES_MAX: Final = 24 * 1024
"""Text remembered of one direction; when it is full the older half is forgotten."""

_KEPT_BYTES: Final = HISTORY_BYTES_MAX // 2

_INDEX_SIZE: Final = 4096
_SEARCHED_BYTES_MAX: Final = 256
"""Text up to which searching is as quick as an index, which takes 8 KiB."""
PRIOR_INDEX_SIZE: Final = 32768
_REACH: Final = 4
_FACTOR: Final = 0x1E35A7BD
_PLACE_BITS: Final = 16
_PLACE_MASK: Final = 0xFFFF


def _slot(four: i64, size: i64) -> i64:
    return (four * _FACTOR >> 20) % size


def index_of(text: bytes, size: int) -> array[int]:
    """For each hash of four bytes the place behind their last occurrence, 0 where there is none. A place takes two bytes: `text` has less than 64 KiB."""
    index = array("H", bytes(2 * size))
    _note(index, text, 0, None)
    return index


def _note(index: array[int], text: bytes, begin: int, journal: list[int] | None) -> None:
    """Note the places behind `begin`; the journal gets what stood there before."""
    size: i64 = len(index)
    start = max(begin, _REACH - 1)
    four: i64 = int.from_bytes(text[start - _REACH + 1 : start], "big")
    end = start
    for byte in text[start:]:
        four = (four << 8 | byte) & 0xFFFFFFFF
        end += 1
        slot = _slot(four, size)
        if journal is not None:
            journal.append(slot << _PLACE_BITS | index[slot])
        index[slot] = end


@final
class Source:
    """A text with its index, of `size` places."""

    __slots__ = ("_size", "index", "text")

    def __init__(self, text: bytes, size: int) -> None:
        self._size: i64 = size
        self.text: bytes = text
        self.index: array[int] | None = None
        """None where the text is short."""
        self.make_index()

    def make_index(self) -> None:
        """Index all of the text, if it isn't short."""
        self.index = index_of(self.text, self._size) if len(self.text) > _SEARCHED_BYTES_MAX else None

    def find(self, tail: bytes) -> int:
        """The place behind the last occurrence of these four bytes, 0 if the index doesn't know."""
        slot = _slot(int.from_bytes(tail, "big"), self._size)
        if self.index is None:
            return self._searched(tail, slot)
        end = self.index[slot]
        return end if end and self.text[end - 4 : end] == tail else 0

    def _searched(self, tail: bytes, slot: i64) -> int:
        text = self.text
        found = text.rfind(tail)
        if found < 0:
            return 0
        # In an index, others in the same place would have taken it since.
        for place in range(found + 1, len(text) - _REACH + 1):
            if _slot(int.from_bytes(text[place : place + _REACH], "big"), self._size) == slot:
                return 0
        return found + _REACH


@final
class History:
    """The text of one direction. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_anew", "_journal", "_kept_index", "_kept_text", "own")

    def __init__(self) -> None:
        self.own: Source = Source(b"", _INDEX_SIZE)
        self._kept_text: bytes = b""
        self._anew: bool = False
        """The index was made anew since `keep`; the one before it is kept."""
        self._kept_index: array[int] | None = None
        self._journal: list[int] = []

    def add(self, data: bytes) -> None:
        """Remember `data`, of which only the last bytes count if it is too long, and a line end after it."""
        data = data[-_KEPT_BYTES + 1 :] + b"\n"
        own = self.own
        begin = len(own.text)
        full = begin + len(data) > HISTORY_BYTES_MAX
        if full:
            own.text = own.text[begin + len(data) - _KEPT_BYTES :] if len(data) < _KEPT_BYTES else b""
        own.text += data
        if full or own.index is None:
            if not self._anew:
                self._unwind()
                self._kept_index = own.index
                self._anew = True
            own.make_index()
        else:
            _note(own.index, own.text, begin, None if self._anew else self._journal)

    def restore(self, text: bytes) -> None:
        """Begin anew with this text."""
        self.own = Source(text, _INDEX_SIZE)
        self.keep()

    def keep(self) -> None:
        """What was added stays."""
        self._kept_text = self.own.text
        self._kept_index = None
        self._anew = False
        self._journal.clear()

    def undo(self) -> None:
        """Forget what was added since `keep`."""
        self.own.text = self._kept_text
        if self._anew:
            self.own.index = self._kept_index
            self._kept_index = None
            self._anew = False
        else:
            self._unwind()

    def _unwind(self) -> None:
        index = self.own.index
        if index is not None:
            for entry in reversed(self._journal):
                index[entry >> _PLACE_BITS] = entry & _PLACE_MASK
        self._journal.clear()
