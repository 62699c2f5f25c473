"""Texts that nothing foresees: the model of characters, remembered text, literals (SPEC.md, 5.14 to 5.16)."""

from __future__ import annotations

import base64
import re
from typing import Any

import zstandard

from tests.conformance.second_adaptive.coder import TEXT, Reader, Refused, clamp, learned, mix

KNOTS = [1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785, 3901, 3975]
KNOTS += [4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094]


def squash(x: int) -> int:
    i, j = divmod(clamp(x, -2047, 2047) + 2048, 128)
    return (KNOTS[i] * (128 - j) + KNOTS[i + 1] * j + 64) >> 7


def _stretched() -> list[int]:
    return [next((x for x in range(-2047, 2048) if squash(x) >= p), 2047) for p in range(4096)]


STRETCH = _stretched()

JSON_TOKEN = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?', re.ASCII
)


class Text:
    """A text with the places behind the last occurrence of any four bytes, by hash."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = data
        self.size = size
        self.index: dict[int, int] = {}
        self.indexed = 3
        self.catch_up()

    def copy(self) -> Text:
        other = Text(b"", self.size)
        other.data, other.index, other.indexed = self.data, dict(self.index), self.indexed
        return other

    def entry(self, four: bytes) -> int:
        return ((int.from_bytes(four, "big") * 0x1E35A7BD) >> 20) % self.size

    def catch_up(self) -> None:
        for end in range(self.indexed + 1, len(self.data) + 1):
            self.index[self.entry(self.data[end - 4 : end])] = end
        self.indexed = max(3, len(self.data))

    def find(self, four: bytes) -> int:
        end = self.index.get(self.entry(four), 0)
        return end if end and self.data[end - 4 : end] == four else 0

    def remember(self, data: bytes) -> None:
        data = data[-12287:] + b"\n"
        both = self.data + data
        if len(both) > 24576:
            self.data, self.index, self.indexed = both[-12288:], {}, 3
        else:
            self.data = both
        self.catch_up()


class Texts:
    """What of a direction's state texts need: the table, weights, remembered text."""

    def __init__(self, prior: Any) -> None:
        self.prior = prior
        self.weights = [list(group) for group in prior.weights]
        self.remembered = Text(b"", 4096)
        self.clamped = False
        """Whether this frame has had a text by characters."""

    def copy(self) -> Texts:
        other = Texts(self.prior)
        other.weights = [list(group) for group in self.weights]
        other.remembered = self.remembered.copy()
        return other

    def characters(self, reader: Reader, kind: int, limit: int, hint: bytes = b"", count: int | None = None) -> bytes:
        if not self.clamped:
            self.clamped = True
            self.weights = [[clamp(weight, -(2**21), 2**21) for weight in group] for group in self.weights]
        out = bytearray()
        source, place, misses = hint, 0, 0
        held = 4 if hint else 0
        while len(out) != count:
            reader.check_work()
            if len(out) > limit:
                raise Refused("limit", "literal_bytes")
            if len(out) >= 4 and (held < 4 or misses > 0):
                four = bytes(out[-4:])
                for text in (self.remembered, self.prior.text):
                    end = text.find(four)
                    if end:
                        source, place, held, misses = text.data, end, max(held, 4), 0
                        break
            if place >= len(source):
                held = 0
            predicted = source[place] if (held > 0 or misses > 0) and place < len(source) else None
            if predicted is not None and held >= 12 and misses == 0:
                if reader.bit(mix(min(held, 32), 101)):
                    byte = predicted
                    held += 1
                else:
                    held, misses = 0, 1
                    byte = self.one_byte(reader, out, kind, None, 0, 0)
            else:
                byte = self.one_byte(reader, out, kind, predicted, held, misses)
                if predicted is not None:
                    if byte == predicted:
                        held += 1
                        if held >= 16:
                            misses = 0
                    else:
                        held = 0
                        misses += 1
            place += 1
            if misses > 8:
                misses = held = 0
                place = len(source)
            if byte == 0 and count is None:
                break
            out.append(byte)
        return bytes(out)

    def one_byte(self, reader: Reader, out: bytearray, kind: int, predicted: int | None, held: int, misses: int) -> int:
        b1, b2, b3, b4 = (bytes(4) + bytes(out))[:-5:-1]
        k1 = mix(b1, 1)
        k2 = mix(k1, b2)
        k3 = mix(k2, b3)
        k4 = mix(k3, b4)
        k5 = mix(kind, b1)
        fixed, moving = (k1, k2, k3, k4, k5), (mix(k5, 5), mix(k2, 6), mix(k4, 7))
        m = mix(min(held, 15), misses)
        match = 0 if predicted is None else 1 if misses > 0 else 2 if held < 8 else 3
        table = reader.table
        r = 1
        for s in range(7, -1, -1):
            x = [self.prior.static[(k + 0x9E5 * r) % 32768] for k in fixed]
            places = [TEXT + (k + 0x9E5 * r) % 4096 for k in moving]
            x += [STRETCH[table[place][0] >> 4] for place in places]
            before = [table[place] for place in places]
            agrees = predicted is not None and (predicted + 256) >> (s + 1) == r
            expected, place9, x9 = 0, 0, 0
            if agrees:
                assert predicted is not None
                expected = (predicted >> s) & 1
                place9 = mix(m, expected) % 6144
                x9 = STRETCH[table[place9][0] >> 4] * (1 if expected else -1)
            x.append(x9)
            group = 12 if x[3] else 8 if x[2] else 4 if x[1] else 0
            w = self.weights[group + match if agrees else group]
            q = squash(sum(one * weight for one, weight in zip(x, w, strict=True)) >> 16)
            bit = reader.decide(clamp(16 * q, 32, 65504))
            if reader.trace:
                reader.trace("character", clamp(16 * q, 32, 65504), bit)
            reader.work += 4 if agrees else 3
            e = (4096 * bit - q) * 10
            for i, one in enumerate(x):
                w[i] += (one * e + 32768) >> 16
            for place, old in zip(places, before, strict=True):
                table[place] = learned(old, bit)
            if agrees:
                table[place9] = learned(table[place9], int(bit == expected))
            r = 2 * r + bit
        return r - 256

    def packed(self, reader: Reader, limit: int) -> bytes:
        reader.work += 128
        size = reader.gamma(mix(33, 0))
        if size > limit + 1024:
            raise Refused("limit", "packed_bytes")
        content = bytes(reader.raw(8) for _ in range(size))
        if content[:1] != b"\0":
            raise Refused("malformed", "zstd header")
        dictionary = zstandard.ZstdCompressionDict(self.prior.text.data + self.remembered.data, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        expander = zstandard.ZstdDecompressor(
            dict_data=dictionary, format=zstandard.FORMAT_ZSTD1_MAGICLESS, max_window_size=4 * 1024 * 1024
        )
        try:
            plain = expander.decompress(content, max_output_size=max(limit, 1))
            # With no more room than that, the library looks whether something follows.
            return expander.decompress(content, max_output_size=max(len(plain), 1), allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Refused("malformed", "zstd") from error

    def whole_text(self, reader: Reader, limit: int) -> str:
        data = self.packed(reader, limit) if reader.bit(mix(24, 0)) else self.characters(reader, 25, limit)
        self.remembered.remember(data)
        return utf8(data)

    def literal(self, reader: Reader, h: int, hint: str, limit: int) -> str:
        kind = reader.choice(3, mix(h, 21))
        if kind == 1:
            head, version, middle = reader.raw(48), reader.choice(4, mix(26, 0)), reader.raw(12)
            variant, tail = reader.choice(2, mix(26, 1)), reader.raw(62)
            digits = f"{((((head << 4 | version) << 12 | middle) << 2 | variant) << 62) | tail:032x}"
            plain = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        elif kind in (2, 3):
            if reader.bit(mix(34, 0)):
                data = self.bytes(reader, h, limit)
            else:
                count = reader.gamma(mix(h, 29))
                if count > 32:
                    raise Refused("malformed", "hexadecimal")
                data = bytes(reader.raw(8) for _ in range(count))
            plain = data.hex().upper() if kind == 2 else data.hex()
        elif kind == 4:
            count = reader.gamma(mix(h, 27))
            if count > limit:
                raise Refused("limit", "literal_bytes")
            plain = ""
            for i in range(count):
                reader.check_work()
                digit = reader.choice(4, mix(28, min(i, 3)))
                if digit > 9:
                    raise Refused("malformed", "digit")
                plain += str(digit)
        elif kind == 5:
            plain = base64.b64encode(self.bytes(reader, h, limit)).decode()
        elif kind == 6:
            return checked(utf8(self.characters(reader, mix(h, 22), limit)))
        else:
            data = self.packed(reader, limit) if kind == 7 else self.characters(reader, mix(h, 23), limit, hint.encode()[1:-1])
            self.remembered.remember(data)
            plain = utf8(data)
        return checked(f'"{plain}"')

    def bytes(self, reader: Reader, h: int, limit: int) -> bytes:
        if reader.bit(mix(30, 0)):
            data = self.packed(reader, limit)
        else:
            count = reader.gamma(mix(h, 31))
            if count > limit:
                raise Refused("limit", "literal_bytes")
            data = self.characters(reader, mix(h, 32), limit, count=count)
        self.remembered.remember(data)
        return data


def utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("malformed", "UTF-8") from error


def checked(token: str) -> str:
    if not JSON_TOKEN.fullmatch(token):
        raise Refused("malformed", "a literal that is none")
    return token
