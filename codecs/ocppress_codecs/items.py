"""JSON values as CBOR items, exactly: a message at first sight.

    {"connectorId":1,"status":"Charging","info":"","value":"230.10","readonly":true,"own":1e5}

    a6                               map of 6
       0f       01                   connectorId is key 15; an integer
       18 1a    cd 18 3d             status is key 26; tag 13: Charging is word 61
       18 67    60                   info; a text
       05       c7 82 21 19 59e2     value; tag 7: a number in quotes, 23010 * 10**-2
       19 0126  f5                   readonly; true
       63 6f776e  cc 63 316535       a member that has no integer; tag 12: a token that has no other form

Every form gives back the exact text; where a value's own form would not, it goes as a token (tag 12), that value alone.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Final

from ocppress_codecs import cbor
from ocppress_codecs.account import Part
from ocppress_codecs.errors import LimitExceeded, Malformed
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX
from ocppress_codecs.jsontext import DEPTH_MAX, JsonError, is_string_or_number, tokens
from ocppress_codecs.names import names
from ocppress_codecs.scalars import CLOCK_DIGITS, MANTISSA_MAX, Number, Scalar, Text, Time, scalar_of, token_of, valid_number, valid_time
from ocppress_codecs.shapes import Context, clock_after, in_units, is_word

__all__ = ["NotExact", "read_scalar_after_head", "read_values", "write_scalar", "write_values"]

TAG_DECIMAL: Final = 4
TAG_STRING: Final = 6
TAG_QUOTED: Final = 7
TAG_TIME_SECONDS: Final = 8
TAG_TIME_MILLISECONDS: Final = 9
TAG_TIME: Final = 10
TAG_HEX_LOWER: Final = 11
TAG_TOKEN: Final = 12
TAG_WORD: Final = 13
TAG_BASE64: Final = 22
TAG_HEX_UPPER: Final = 23
TAG_UUID: Final = 37
"""4, 22, 23 and 37 are registered with the meaning used here; 6 to 13 have a meaning in these frames only."""

SHORT_WORDS: Final = 20
"""Words 0 to 19 are CBOR's unassigned simple values of one byte."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX_LOWER: Final = re.compile(r"(?:[0-9a-f]{2}){4,}")
_HEX_UPPER: Final = re.compile(r"(?:[0-9A-F]{2}){4,}")
_BASE64: Final = re.compile(r"(?=.{24})(?=.*[0-9+/=])(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""From 24 characters: shorter ones are mostly words, which are better found again as text."""

_ENDING_Z: Final = "Z"


class NotExact(Exception):
    """The text has no exact form as CBOR items; the message goes as text."""


def write_values(body: str, context: Context) -> list[bytes]:
    """The items of a message's body: JSON values with commas between. Raises `NotExact`."""
    return _Writer(body, context).items()


class _Writer:
    def __init__(self, body: str, context: Context) -> None:
        try:
            self._tokens = tokens(f"[{body}]")
        except JsonError as error:
            raise NotExact(str(error)) from None
        self._position = 0
        self._context = context
        self._clock = context.clock

    def items(self) -> list[bytes]:
        return self._members("]")

    def _members(self, closer: str) -> list[bytes]:
        """The members of the array or object whose opening bracket is next."""
        found: list[bytes] = []
        seen: set[str] = set()
        self._position += 1
        while self._tokens[self._position] != closer:
            if self._tokens[self._position] == ",":
                self._position += 1
            if closer == "}":
                key = self._tokens[self._position]
                if key in seen:
                    raise NotExact("a repeated member")
                seen.add(key)
                found.append(_write_key(key))
                self._position += 2
            found.append(self._value())
        self._position += 1
        return found

    def _value(self) -> bytes:
        token = self._tokens[self._position]
        if token == "{":
            members = self._members("}")
            return cbor.head(cbor.MAP, len(members) // 2) + b"".join(members)
        if token == "[":
            members = self._members("]")
            return cbor.head(cbor.ARRAY, len(members)) + b"".join(members)
        self._position += 1
        if token in _LITERALS:
            return cbor.head(cbor.SIMPLE, _LITERALS[token])
        number = names().word_numbers.get(token[1:-1]) if token[0] == '"' else None
        if number is not None:
            return cbor.head(cbor.SIMPLE, number) if number < SHORT_WORDS else cbor.head(cbor.TAG, TAG_WORD) + cbor.integer(number)
        value = scalar_of(token)
        item = write_scalar(value, self._context, self._clock)
        self._clock = clock_after(value, self._clock)
        return item


_LITERALS: Final = {"false": cbor.FALSE, "true": cbor.TRUE, "null": cbor.NULL}
_LITERAL_TEXTS: Final = {number: text for text, number in _LITERALS.items()}


def _write_key(token: str) -> bytes:
    number = names().key_numbers.get(token[1:-1])
    if number is not None:
        return cbor.head(cbor.UNSIGNED, number)
    return _write_string(token)


def write_scalar(value: Scalar, context: Context, clock: int, *, integers_tagged: bool = False) -> bytes:
    """The item of a value by itself; with `integers_tagged` never a bare integer."""
    if isinstance(value, Number):
        digits = cbor.integer(value.mantissa)
        if value.scale or (integers_tagged and not value.quoted):
            digits = b"\x82" + cbor.integer(-value.scale) + digits
            return cbor.head(cbor.TAG, TAG_QUOTED if value.quoted else TAG_DECIMAL) + digits
        return cbor.head(cbor.TAG, TAG_QUOTED) + digits if value.quoted else digits
    if isinstance(value, Time):
        ahead = cbor.integer(value.value - in_units(clock, value.digits))
        if value.ending == _ENDING_Z and value.digits in (0, 3):
            return cbor.head(cbor.TAG, TAG_TIME_MILLISECONDS if value.digits else TAG_TIME_SECONDS) + ahead
        ending = value.ending.encode()
        return cbor.head(cbor.TAG, TAG_TIME) + b"\x83" + ahead + cbor.integer(value.digits) + cbor.head(cbor.TEXT, len(ending)) + ending
    rank = context.rank_of_string(value.token)
    if rank is not None:
        return cbor.head(cbor.TAG, TAG_STRING) + cbor.integer(rank)
    return _write_string(value.token)


def _write_string(token: str) -> bytes:
    """The item of a string, or of a number that has no other form."""
    text = token[1:-1]
    if token[0] != '"':
        return _tagged_text(token)
    if "\\" in text:
        text = json.loads(token)
        if json.dumps(text, ensure_ascii=False) != token:
            return _tagged_text(token)
    elif _UUID.fullmatch(text):
        return _tagged_bytes(TAG_UUID, bytes.fromhex(text.replace("-", "")))
    elif _HEX_LOWER.fullmatch(text):
        return _tagged_bytes(TAG_HEX_LOWER, bytes.fromhex(text))
    elif _HEX_UPPER.fullmatch(text):
        return _tagged_bytes(TAG_HEX_UPPER, bytes.fromhex(text))
    elif _BASE64.fullmatch(text):
        content = base64.b64decode(text)
        if base64.b64encode(content).decode() == text:
            return _tagged_bytes(TAG_BASE64, content)
    try:
        content = text.encode()
    except UnicodeEncodeError:
        return _tagged_text(token)
    return cbor.head(cbor.TEXT, len(content)) + content


def _tagged_text(token: str) -> bytes:
    content = token.encode()
    return cbor.head(cbor.TAG, TAG_TOKEN) + cbor.head(cbor.TEXT, len(content)) + content


def _tagged_bytes(tag: int, content: bytes) -> bytes:
    return cbor.head(cbor.TAG, tag) + cbor.head(cbor.BYTES, len(content)) + content


def read_values(reader: cbor.Reader, count: int, context: Context) -> str:
    """The body whose `count` items come next. Raises `DecodeError`."""
    return _Reader(reader, context).body(count)


class _Reader:
    def __init__(self, reader: cbor.Reader, context: Context) -> None:
        self._reader = reader
        self._context = context
        self._clock = context.clock
        self._parts: list[str] = []
        self._characters = 0
        self._values = 0

    def body(self, count: int) -> str:
        self._sequence(count, 0)
        return "".join(self._parts)

    def _sequence(self, count: int, depth: int) -> None:
        for place in range(self._reader.count(count)):
            if place:
                self._add(",")
            self._value(depth)

    def _add(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > FRAME_TEXT_BYTES_MAX:
            raise LimitExceeded("frame_text_bytes", FRAME_TEXT_BYTES_MAX, self._characters)
        self._parts.append(text)

    def _value(self, depth: int) -> None:
        self._reader.close(Part.NEW_SHAPES, "a new shape")
        major, argument = self._reader.head()
        if major in (cbor.ARRAY, cbor.MAP):
            if depth == DEPTH_MAX:
                raise LimitExceeded("json_depth", DEPTH_MAX, depth + 1)
            self._add("[" if major == cbor.ARRAY else "{")
            if major == cbor.ARRAY:
                self._sequence(argument, depth + 1)
            else:
                self._map(argument, depth + 1)
            self._add("]" if major == cbor.ARRAY else "}")
        elif major == cbor.SIMPLE:
            self._add(_LITERAL_TEXTS.get(argument) or _word(argument))
        elif major == cbor.TAG and argument == TAG_WORD:
            self._add(_word(self._reader.integer()))
        else:
            value = read_scalar_after_head(major, argument, self._reader, self._context, self._clock)
            self._clock = clock_after(value, self._clock)
            token = token_of(value)
            self._add(token)
            if self._reader.account is not None and not is_word(token):
                self._reader.close_value(self._values, token)
                self._values += 1

    def _map(self, count: int, depth: int) -> None:
        for place in range(self._reader.count(count)):
            major, argument = self._reader.head()
            if major == cbor.UNSIGNED:
                keys = names().keys
                if argument >= len(keys):
                    raise Malformed(f"member name {argument}")
                key = f'"{keys[argument]}"'
            else:
                key = _read_token(major, argument, self._reader)
                if key[0] != '"':
                    raise Malformed("a member's name that is not a string")
            self._add(f",{key}:" if place else f"{key}:")
            self._value(depth)


def _word(number: int) -> str:
    words = names().words
    if not 0 <= number < len(words):
        raise Malformed(f"word {number}")
    return f'"{words[number]}"'


def read_scalar_after_head(major: int, argument: int, reader: cbor.Reader, context: Context, clock: int) -> Scalar:
    """The value whose head has just been read; the reverse of `write_scalar`. Raises `DecodeError`."""
    if reader.account is not None:
        reader.account.tell(_part_of_item(major, argument), "by itself")
    if major <= cbor.NEGATIVE:
        return _number(quoted=False, scale=0, mantissa=argument if major == cbor.UNSIGNED else -1 - argument)
    if major != cbor.TAG:
        return scalar_of(_read_token(major, argument, reader))
    if argument in (TAG_DECIMAL, TAG_QUOTED):
        return _read_number(quoted=argument == TAG_QUOTED, reader=reader)
    if argument in (TAG_TIME_SECONDS, TAG_TIME_MILLISECONDS):
        digits = 0 if argument == TAG_TIME_SECONDS else 3
        return _time(digits, _ENDING_Z, in_units(clock, digits) + reader.integer())
    if argument == TAG_TIME:
        if reader.head() != (cbor.ARRAY, 3):
            raise Malformed("a timestamp")
        ahead, digits = reader.integer(), reader.integer()
        major, length = reader.head()
        if major != cbor.TEXT or not 0 <= digits <= CLOCK_DIGITS:
            raise Malformed("a timestamp")
        return _time(digits, reader.text(length), in_units(clock, digits) + ahead)
    if argument == TAG_STRING:
        token = context.string_at(reader.integer())
        if token is None:
            raise Malformed("a string that is not remembered")
        return Text(token)
    return scalar_of(_read_token(major, argument, reader))


def _part_of_item(major: int, argument: int) -> Part:
    if major <= cbor.NEGATIVE or (major == cbor.TAG and argument in (TAG_DECIMAL, TAG_QUOTED)):
        return Part.NUMBERS
    if major != cbor.TAG:
        return Part.STRINGS
    if argument in (TAG_TIME_SECONDS, TAG_TIME_MILLISECONDS, TAG_TIME):
        return Part.TIMES
    return Part.REFERENCES if argument == TAG_STRING else Part.STRINGS


def _read_number(*, quoted: bool, reader: cbor.Reader) -> Number:
    major, argument = reader.head()
    if (major, argument) == (cbor.ARRAY, 2):
        scale = -reader.integer()
        return _number(quoted=quoted, scale=scale, mantissa=reader.integer())
    if major > cbor.NEGATIVE:
        raise Malformed("a number")
    return _number(quoted=quoted, scale=0, mantissa=argument if major == cbor.UNSIGNED else -1 - argument)


def _number(*, quoted: bool, scale: int, mantissa: int) -> Number:
    number = Number(quoted, scale, mantissa)
    if not valid_number(number):
        raise Malformed(f"a number of more than {len(str(MANTISSA_MAX))} digits")
    return number


def _time(digits: int, ending: str, value: int) -> Time:
    time = Time(digits, ending, value)
    if not valid_time(time):
        raise Malformed("a timestamp out of range")
    return time


def _read_token(major: int, argument: int, reader: cbor.Reader) -> str:
    """The JSON token of a string item, or of a number carried as a token."""
    if major == cbor.TEXT:
        return json.dumps(reader.text(argument), ensure_ascii=False)
    if major != cbor.TAG:
        raise Malformed(f"an item of major type {major}")
    kind, length = reader.head()
    if argument == TAG_TOKEN and kind == cbor.TEXT:
        return _checked_token(reader.text(length))
    if kind != cbor.BYTES:
        raise Malformed(f"tag {argument}")
    content = reader.bytes(length)
    if argument == TAG_UUID and length == 16:
        digits = content.hex()
        return f'"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"'
    if argument == TAG_HEX_LOWER:
        return f'"{content.hex()}"'
    if argument == TAG_HEX_UPPER:
        return f'"{content.hex().upper()}"'
    if argument == TAG_BASE64:
        return f'"{base64.b64encode(content).decode()}"'
    raise Malformed(f"tag {argument}")


def _checked_token(text: str) -> str:
    if not is_string_or_number(text):
        raise Malformed("not one string or number")
    return text
