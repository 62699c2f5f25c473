"""A reader that counts what each decision took, for those who want to know where the bytes go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, final

from ocppress_codecs.account import UNITS_A_BIT, Account
from ocppress_codecs.adaptive.coder import BitReader, Coder

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = ["CountingReader"]

_PROBABILITY_BITS: Final = 16


@final
class CountingReader(Coder):
    """Reads by `reader` and spends for each decision the logarithm of what its probability was: what it adds to the frame's length."""

    __slots__ = ("_reader", "_spend")

    def __init__(self, reader: BitReader, account: Account) -> None:
        super().__init__(reader.table, writing=False, work_max=reader.work_max, account=account)
        self._reader: Final = reader
        self._spend: Final = account.spend

    def code(self, probability: i64, bit: i64) -> i64:
        bit = self._reader.code(probability, bit)
        bits = _PROBABILITY_BITS - math.log2(probability if bit else 65536 - probability)
        self._spend(round(UNITS_A_BIT * bits))
        return bit

    def uniform(self, count: i64, value: i64) -> i64:
        self._spend(UNITS_A_BIT * count)
        return self._reader.uniform(count, value)
