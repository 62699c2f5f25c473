"""A string that is nowhere remembered: as what it is made of, where that gives back the exact text.

0  text in quotes     1  UUID        2, 3  hexadecimal, upper and lower case     4  decimal digits
5  base64             6  any token, not in quotes                                7  text in quotes, by zstd
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from ocppress_codecs import packing
from ocppress_codecs.account import Part
from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.model import Model
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma
from ocppress_codecs.errors import LimitExceeded, Malformed

__all__ = ["ZSTD_BYTES_MIN", "code_literal", "code_text"]

ZSTD_BYTES_MIN: Final = 2048
"""Text from which zstd takes over: it is a hundred times as fast, and with so much text the character model is little better."""

PACKED_WORK: Final = 128
"""Changes of the table that zstd counts as, for its dictionary has to be put together and loaded each time."""

_IDENTIFIER_BYTES_MAX: Final = 32
"""Hexadecimal up to here is an identifier or a hash, of which nothing can be foreseen; what is longer may have been seen before."""

_QUOTED: Final = 0
_UUID: Final = 1
_HEX_UPPER: Final = 2
_HEX_LOWER: Final = 3
_DIGITS: Final = 4
_BASE64: Final = 5
_BARE: Final = 6
_ZSTD: Final = 7

_WAYS: Final = (
    "new text",
    "new UUID",
    "new hexadecimal, upper case",
    "new hexadecimal, lower case",
    "new decimal digits",
    "new base64",
    "new token",
    "new text by zstd",
)
"""The kinds of literals for people."""

_UUID_TOKEN: Final = re.compile(r'"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"')
_HEX_TOKEN: Final = re.compile(r'"(?:(?:[0-9A-F]{2}){4,}|(?:[0-9a-f]{2}){4,})"')
_DIGITS_TOKEN: Final = re.compile(r'"[0-9]{3,}"')
_BASE64_TOKEN: Final = re.compile(
    r'"(?=[^"]{16})(?=[^"]*[0-9+/=])(?=[^"]*[A-Z])(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"'
)


def code_literal(coder: Coder, model: Model, token: str, context: int, hint: str, limit: int) -> str:
    """The JSON token of a string or number, of at most `limit` bytes; `hint` is a token that may be like it.

    What comes out of a reader needn't be a token; the caller checks. Raises `LimitExceeded`, `Malformed`.
    """
    kind = _kind_of(token) if coder.writing else 0
    kind = code_choice(coder, mixed(context, 21), 3, kind)
    if coder.account is not None:
        coder.account.tell(Part.STRINGS, _WAYS[kind])
    if kind == _UUID:
        return _code_uuid(coder, token)
    if kind == _DIGITS:
        return _code_digits(coder, token, context, limit)
    if kind in (_HEX_UPPER, _HEX_LOWER):
        return _code_hex(coder, model, token, kind == _HEX_UPPER, context, limit)
    if kind == _BASE64:
        return _code_base64(coder, model, token, context, limit)
    if kind == _BARE:
        return _utf8(model.characters.code(coder, token.encode() if coder.writing else b"", mixed(context, 22), b"", -1, limit))
    plain = token[1:-1].encode() if coder.writing else b""
    if kind == _ZSTD:
        plain = code_packed(coder, model, plain, limit)
    else:
        plain = model.characters.code(coder, plain, mixed(context, 23), hint[1:-1].encode(), -1, limit)
    model.characters.history.add(plain)
    return f'"{_utf8(plain)}"'


def code_text(coder: Coder, model: Model, text: str, packed: bool, limit: int) -> str:
    """Any text, such as a whole message; `packed` asks a writer for zstd, whatever its length. Raises `LimitExceeded`, `Malformed`."""
    data = text.encode() if coder.writing else b""
    if coder.bit(mixed(24, 0), 1 if packed or len(data) >= ZSTD_BYTES_MIN or 0 in data else 0):
        data = code_packed(coder, model, data, limit)
    else:
        data = model.characters.code(coder, data, 25, b"", -1, limit)
    model.characters.history.add(data)
    return _utf8(data)


def _kind_of(token: str) -> int:
    if token[0] != '"':
        return _BARE
    size = len(token)
    if size > 5:
        if size < ZSTD_BYTES_MIN and _DIGITS_TOKEN.fullmatch(token):
            return _DIGITS
        if size == 38 and _UUID_TOKEN.fullmatch(token):
            return _UUID
        if _HEX_TOKEN.fullmatch(token):
            return _HEX_UPPER if token == token.upper() else _HEX_LOWER
        if _BASE64_TOKEN.fullmatch(token) and _from_base64(token) is not None:
            return _BASE64
    return _ZSTD if size >= ZSTD_BYTES_MIN else _QUOTED


def _code_uuid(coder: Coder, token: str) -> str:
    # 128 bits: an `int`, also where the parts come as machine integers.
    number = int(token[1:-1].replace("-", ""), 16) if coder.writing else 0
    head = coder.raw(48, number >> 80)
    version = code_choice(coder, mixed(26, 0), 4, number >> 76 & 15)
    middle = coder.raw(12, number >> 64 & 0xFFF)
    variant: int = code_choice(coder, mixed(26, 1), 2, number >> 62 & 3)
    tail: int = coder.raw(62, number & (1 << 62) - 1)
    digits = f"{head:012x}{version:x}{middle:03x}{variant << 62 | tail:016x}"
    return f'"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"'


def _code_digits(coder: Coder, token: str, context: int, limit: int) -> str:
    count = code_gamma(coder, mixed(context, 27), len(token) - 2)
    if count > limit:
        raise LimitExceeded("literal_bytes", limit, count)
    digits = bytearray()
    for place in range(count):
        coder.check_work()
        digit = code_choice(coder, mixed(28, min(place, 3)), 4, ord(token[place + 1]) - 48 if coder.writing else 0)
        if digit > 9:
            raise Malformed("a decimal digit above 9")
        digits.append(48 + digit)
    return f'"{digits.decode()}"'


def _code_hex(coder: Coder, model: Model, token: str, upper: bool, context: int, limit: int) -> str:
    data = bytes.fromhex(token[1:-1]) if coder.writing else b""
    if coder.bit(mixed(34, 0), 1 if len(data) > _IDENTIFIER_BYTES_MAX else 0):
        result = _code_bytes(coder, model, data, context, limit)
    else:
        count = code_gamma(coder, mixed(context, 29), len(data))
        if count > _IDENTIFIER_BYTES_MAX:
            raise Malformed("a long identifier")
        result = coder.raw_bytes(data, count)
    text = result.hex()
    return f'"{text.upper() if upper else text}"'


def _code_base64(coder: Coder, model: Model, token: str, context: int, limit: int) -> str:
    data = _code_bytes(coder, model, (_from_base64(token) or b"") if coder.writing else b"", context, limit)
    return f'"{base64.b64encode(data).decode()}"'


def _code_bytes(coder: Coder, model: Model, data: bytes, context: int, limit: int) -> bytes:
    """Bytes, which are remembered."""
    if coder.bit(mixed(30, 0), 1 if len(data) >= ZSTD_BYTES_MIN else 0):
        data = code_packed(coder, model, data, limit)
    else:
        count = code_gamma(coder, mixed(context, 31), len(data))
        if count > limit:
            raise LimitExceeded("literal_bytes", limit, count)
        data = model.characters.code(coder, data, mixed(context, 32), b"", count, limit)
    model.characters.history.add(data)
    return data


def _from_base64(token: str) -> bytes | None:
    """What a token is base64 of; None if encoding that wouldn't give it back."""
    try:
        data = base64.b64decode(token[1:-1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == token[1:-1] else None


def code_packed(coder: Coder, model: Model, data: bytes, limit: int) -> bytes:
    """Bytes by zstd (RFC 8878), with the prior's and the remembered text as raw dictionary."""
    coder.charge(PACKED_WORK)
    dictionary = model.knowledge.known.text + model.characters.history.own.text
    packed = packing.packed(data, dictionary) if coder.writing else b""
    size = code_gamma(coder, mixed(33, 0), len(packed))
    if size > limit + 1024:
        raise LimitExceeded("packed_bytes", limit + 1024, size)
    content = coder.raw_bytes(packed, size)
    return data if coder.writing else packing.expanded(content, dictionary, limit)


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("text that is not UTF-8") from None
