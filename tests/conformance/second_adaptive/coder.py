"""Hashes, the table's places, the range coder's reader, numerals (SPEC.md, 5.2 to 5.4).

All learned numbers are in plain lists and dictionaries of `State`; whoever decodes works on a copy.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

MASK = 0xFFFFFFFF


class Refused(Exception):
    """A frame that SPEC.md has refused; `code` is one of section 1.5."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code


def mix(context: int, *values: int) -> int:
    for value in values:
        x = (context * 0x2F0B4C47 + value + 0x2545F491) % 2**32
        context = x ^ (x >> 15)
    return context


def text_hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8"))


def bits_of(number: int) -> int:
    return len(f"{abs(number):b}") if number else 0


def clamp(number: int, low: int, high: int) -> int:
    return max(low, min(high, number))


SHARED, GRAMMAR, OWN, TEXT = 0, 6144, 8192, 14336
"""Where the parts of the table begin."""


def learned(place: tuple[int, int], bit: int) -> tuple[int, int]:
    p, n = place
    rate = 655360 // (10 * n + 16)
    p += ((65535 - p) * rate) >> 16 if bit else -((p * rate) >> 16)
    return p, min(n + 1, 63)


class Reader:
    """The decisions of one frame. `trace`, if given, is told of each: how it was made, and what came of it."""

    def __init__(self, data: bytes, table: list[tuple[int, int]], trace: Callable[..., None] | None = None) -> None:
        self.data = data
        self.table = table
        self.trace = trace
        self.taken = 0
        self.value = 0
        self.range = 2**32 - 1
        self.work = 0
        self.work_allowed = min(524_288, 65_536 + 64 * len(data))
        for _ in range(4):
            self.value = self.value * 256 + self.next_byte()
        if self.value == self.range:
            raise Refused("malformed", "four bytes ff")

    def next_byte(self) -> int:
        self.taken += 1
        if self.taken <= len(self.data):
            return self.data[self.taken - 1]
        if self.taken > len(self.data) + 64:
            raise Refused("limit", "zero_bytes")
        return 0

    def normalise(self) -> None:
        while self.range < 2**24:
            self.range *= 256
            self.value = self.value * 256 + self.next_byte()
        assert self.value < self.range

    def decide(self, q: int) -> int:
        assert 32 <= q <= 65504
        likely = int(q >= 32768)
        bound = (self.range >> 16) * (q if likely else 65536 - q)
        if self.value < bound:
            bit = likely
            self.range = bound
        else:
            bit = 1 - likely
            self.value -= bound
            self.range -= bound
        self.normalise()
        return bit

    def bit(self, context: int) -> int:
        place = SHARED + context % 6144
        self.work += 1
        p, _ = self.table[place]
        q = clamp(p, 32, 65504)
        bit = self.decide(q)
        self.table[place] = learned(self.table[place], bit)
        if self.trace:
            self.trace("bit", q, bit, place)
        return bit

    def pair(self, own: int, shared: int) -> int:
        return self._two(OWN + own % 6144, SHARED + shared % 6144)

    def grammar(self, own: int, shared: int) -> int:
        return self._two(GRAMMAR + own % 2048, SHARED + shared % 6144)

    def _two(self, first: int, second: int) -> int:
        self.work += 2
        (p, n), (p2, n2) = self.table[first], self.table[second]
        w, w2 = 2 * n + 2, n2 + 3
        q = clamp((p * w + p2 * w2) // (w + w2), 32, 65504)
        bit = self.decide(q)
        self.table[first] = learned((p, n), bit)
        self.table[second] = learned((p2, n2), bit)
        if self.trace:
            self.trace("pair", q, bit, first, second)
        return bit

    def raw(self, count: int) -> int:
        result = 0
        left = count
        while left:
            k = min(left, 16)
            unit = self.range >> k
            value = self.value // unit
            if value >= 2**k:
                raise Refused("malformed", "raw bits that no writer writes")
            self.value -= value * unit
            self.range = unit
            self.normalise()
            result = result << k | value
            left -= k
        if self.trace:
            self.trace("raw", count, result)
        return result

    def check_work(self) -> None:
        if self.work > self.work_allowed:
            raise Refused("limit", "work")

    def choice(self, k: int, context: int) -> int:
        r = 1
        for _ in range(k):
            r = 2 * r + self.bit(context + 0x61 * r)
        return r - (1 << k)

    def gamma(self, context: int) -> int:
        n = 0
        while self.bit(context + 0x47 * n):
            n += 1
            if n == 49:
                raise Refused("malformed", "gamma")
        r = 1
        context = mix(context, n)
        m = min(n, 3)
        for _ in range(m):
            r = 2 * r + self.bit(context + 0x61 * r)
        if n > m:
            r = r * 2 ** (n - m) + self.raw(n - m)
        return r - 1

    def residual(self, of_own: int, of_shared: int, expected: int, lean: int) -> int:
        a = of_own + 0x3B5 * expected
        b = of_shared + 0x3B5 * expected
        if expected <= 1:
            a += 0x1D3 * lean
            b += 0x1D3 * lean
        n = expected
        if self.pair(a, b):
            n += 1
            while self.pair(a + 0x25 * n, b + 0x25 * n):
                n += 1
                if n == 63:
                    raise Refused("malformed", "residual")
        else:
            while n > 0 and not self.pair(a + 0x25 * n, b + 0x25 * n):
                n -= 1
        if n == 0:
            return 0
        signs = (0x1D3 * lean, 0x1D3 * lean) if n <= 2 else (0x95 * n, 0)
        negative = self.pair(of_own + 0x1F1 + signs[0], of_shared + 0x1F1 + signs[1])
        r = 1
        if n > 1:
            of_own, of_shared = mix(of_own, n), mix(of_shared, n)
            m = min(n - 1, 3)
            for _ in range(m):
                r = 2 * r + self.pair(of_own + 0x61 * r, of_shared + 0x61 * r)
            if n - 1 > m:
                r = r * 2 ** (n - 1 - m) + self.raw(n - 1 - m)
        return -r if negative else r
