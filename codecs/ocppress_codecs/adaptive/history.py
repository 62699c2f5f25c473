"""Remembered text: what was seen before, so that its repetition costs next to nothing.

Two texts, one behind the other: that of the prior, the same for all, and what this direction has carried. For both there is an index from the last four
bytes to the place behind their last occurrence.
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
PRIOR_INDEX_SIZE: Final = 32768
_REACH: Final = 4
_FACTOR: Final = 0x1E35A7BD
_PLACE_BITS: Final = 16
_PLACE_MASK: Final = 0xFFFF


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
        slot = (four * _FACTOR >> 20) % size
        if journal is not None:
            journal.append(slot << _PLACE_BITS | index[slot])
        index[slot] = end


@final
class Source:
    """A text with its index."""

    __slots__ = ("index", "text")

    def __init__(self, text: bytes, size: int) -> None:
        self.text: bytes = text
        self.index: array[int] = index_of(text, size)

    def find(self, tail: bytes) -> int:
        """The place behind the last occurrence of these four bytes, 0 if the index doesn't know."""
        four: i64 = int.from_bytes(tail, "big")
        end = self.index[(four * _FACTOR >> 20) % len(self.index)]
        return end if end and self.text[end - 4 : end] == tail else 0


@final
class History:
    """The text of one direction. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_journal", "_kept_index", "_kept_text", "own")

    def __init__(self) -> None:
        self.own: Source = Source(b"", _INDEX_SIZE)
        self._kept_text: bytes = b""
        self._kept_index: array[int] | None = None
        self._journal: list[int] = []

    def add(self, data: bytes) -> None:
        """Remember `data`, of which only the last bytes count if it is too long, and a line end after it."""
        data = data[-_KEPT_BYTES + 1 :] + b"\n"
        own = self.own
        if len(own.text) + len(data) > HISTORY_BYTES_MAX:
            if self._kept_index is None:
                self._unwind()
                self._kept_index = own.index
            own.text = own.text[len(own.text) + len(data) - _KEPT_BYTES :] if len(data) < _KEPT_BYTES else b""
            own.index = index_of(own.text, _INDEX_SIZE)
        begin = len(own.text)
        own.text += data
        _note(own.index, own.text, begin, self._journal if self._kept_index is None else None)

    def restore(self, text: bytes) -> None:
        """Begin anew with this text."""
        self.own = Source(text, _INDEX_SIZE)
        self.keep()

    def keep(self) -> None:
        """What was added stays."""
        self._kept_text = self.own.text
        self._kept_index = None
        self._journal.clear()

    def undo(self) -> None:
        """Forget what was added since `keep`."""
        self.own.text = self._kept_text
        if self._kept_index is not None:
            self.own.index = self._kept_index
            self._kept_index = None
        else:
            self._unwind()

    def _unwind(self) -> None:
        index = self.own.index
        for entry in reversed(self._journal):
            index[entry >> _PLACE_BITS] = entry & _PLACE_MASK
        self._journal.clear()
