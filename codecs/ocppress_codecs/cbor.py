"""The bytes of CBOR (RFC 8949) that frames use: heads of definite length.

┌───────────┬────────────────┬──────────────────────────┐
│ major (3) │ information (5)│ argument, 0, 1, 2, 4 or 8 bytes, big-endian
└───────────┴────────────────┴──────────────────────────┘
  0 unsigned, 1 negative (-1 - argument), 2 bytes, 3 text, 4 array, 5 map, 6 tag, 7 simple values

17                0x17                 1 byte up to 23
1000              0x19 03e8
-5                0x24
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.account import UNITS_A_BYTE, Account, Part
from ocppress_codecs.errors import LimitExceeded, Malformed, Truncated

__all__ = [
    "ARRAY",
    "BYTES",
    "FALSE",
    "ITEMS_MAX",
    "MAP",
    "NEGATIVE",
    "NULL",
    "SIMPLE",
    "TAG",
    "TEXT",
    "TRUE",
    "UNSIGNED",
    "Reader",
    "head",
    "integer",
]

UNSIGNED: Final = 0
NEGATIVE: Final = 1
BYTES: Final = 2
TEXT: Final = 3
ARRAY: Final = 4
MAP: Final = 5
TAG: Final = 6
SIMPLE: Final = 7

ITEMS_MAX: Final = 1 << 18
"""Items of one frame: a quarter of what its text has room for. More come from nobody but an attacker, to whom zstd would give a million for 60 bytes."""

FALSE: Final = 20
TRUE: Final = 21
NULL: Final = 22


def head(major: int, argument: int) -> bytes:
    """The shortest head; `argument` must fit in 64 bits."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 0x100:
        return bytes((major << 5 | 24, argument))
    if argument < 0x10000:
        return bytes((major << 5 | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")


def integer(number: int) -> bytes:
    """An item of major type 0 or 1."""
    return head(UNSIGNED, number) if number >= 0 else head(NEGATIVE, -1 - number)


class Reader:
    """Reads heads and strings from bytes, front to back. `account` is None unless somebody counts."""

    def __init__(self, data: bytes, account: Account | None = None) -> None:
        self.account = account
        self._data = data
        self._position = 0
        self._items = 0
        self._spent = 0

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._position

    def close(self, part: Part, how: str) -> None:
        """For who counts: what was read since the last item was for this."""
        if self.account is not None:
            self._spend(self.account)
            self.account.close(part, how)

    def close_value(self, hole: int, token: str) -> None:
        """For who counts: what was read since the last item was for this value, of which the account was told."""
        if self.account is not None:
            self._spend(self.account)
            self.account.value(hole, token)

    def _spend(self, account: Account) -> None:
        account.spend((self._position - self._spent) * UNITS_A_BYTE)
        self._spent = self._position

    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self._position == len(self._data)

    def head(self) -> tuple[int, int]:
        """Major type and argument of the next item. Raises `Truncated`, `LimitExceeded`, `Malformed` for indefinite lengths and floats."""
        data, position = self._data, self._position
        self._items += 1
        if self._items > ITEMS_MAX:
            raise LimitExceeded("items", ITEMS_MAX, self._items)
        if position >= len(data):
            raise Truncated("an item")
        major, argument = data[position] >> 5, data[position] & 31
        position += 1
        if argument >= 24:
            if argument > 27 or major == SIMPLE:
                raise Malformed(f"initial byte {data[position - 1]:#04x}")
            size = 1 << argument - 24
            if len(data) - position < size:
                raise Truncated("an argument")
            argument = int.from_bytes(data[position : position + size], "big")
            position += size
        self._position = position
        return major, argument

    def peek_major(self) -> int:
        """Major type of the next item, which stays next. Raises `Truncated`."""
        self.count(1)
        return self._data[self._position] >> 5

    def count(self, number: int) -> int:
        """`number` items that are to follow, each at least one byte. Raises `Truncated` before anybody loops over them."""
        if number > len(self._data) - self._position:
            raise Truncated(f"{number} items")
        return number

    def bytes(self, length: int) -> bytes:
        """The content of a byte string. Raises `Truncated`."""
        self.count(length)
        start = self._position
        self._position += length
        return self._data[start : self._position]

    def text(self, length: int) -> str:
        """The content of a text string. Raises `Truncated`, `Malformed`."""
        try:
            return self.bytes(length).decode()
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8") from None

    def integer(self) -> int:
        """An item of major type 0 or 1. Raises `Truncated`, `Malformed`."""
        major, argument = self.head()
        if major > NEGATIVE:
            raise Malformed("not an integer")
        return argument if major == UNSIGNED else -1 - argument
