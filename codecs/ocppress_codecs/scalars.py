"""A JSON string or number as a value that can be predicted and subtracted, where that gives back the exact text.

230.10  "230.10"              Number(quoted, scale 2, mantissa 23010)
"2025-12-18T20:43:08.895Z"    Time(digits 3, ending "Z", value 1766090588895)
"2025-12-18T20:43:08.000Z"    Time(digits 0, ending ".000Z", value 1766090588)
2e+01  -0  "Growatt"          Text: the token as it stands
"""

from __future__ import annotations

import datetime
import re
from typing import Final, NamedTuple

__all__ = [
    "CLOCK_DIGITS",
    "MANTISSA_MAX",
    "SCALE_MAX",
    "Number",
    "Scalar",
    "Text",
    "Time",
    "scalar_of",
    "token_of",
    "valid_number",
    "valid_time",
]

SCALE_MAX: Final = 18
MANTISSA_MAX: Final = 10**18 - 1
"""Decimals with at most 18 digits: sums and differences of two stay within 64 bits. No meter has more."""

CLOCK_DIGITS: Final = 7
"""Digits of a second's fraction, as many as .NET writes: sums and differences of timestamps stay within 64 bits."""

_NUMBER_CHARACTERS_MAX: Final = 21
"""A minus sign, a leading zero, the point and 18 digits."""

_SECONDS_MAX: Final = 2**32 - 1
"""Timestamps from 1970 to 2106: seconds as 32 bits without sign. Others go as text."""

_UNIX_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_DAY_S: Final = 86_400

_NUMBER: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_TIME: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2}|)")
_ENDING: Final = re.compile(r"(?:\.0{1,7})?(?:Z|[+-][0-9]{2}:[0-9]{2}|)")


class Number(NamedTuple):
    """mantissa / 10**scale, printed with exactly `scale` fraction digits; as a JSON string if `quoted`."""

    quoted: bool
    scale: int
    mantissa: int


class Time(NamedTuple):
    """A timestamp string of RFC 3339: `value` counts 10**-digits seconds from 1970 in the clock it is written in.

    A fraction of zeros alone belongs to `ending`, with the zone, so that a station that writes whole seconds counts whole seconds.
    """

    digits: int
    ending: str
    value: int


class Text(NamedTuple):
    """Any other string or number: its JSON token."""

    token: str


Scalar = Number | Time | Text


def scalar_of(token: str) -> Scalar:
    """What the JSON token of a string or number means."""
    quoted = token[0] == '"'
    plain = token[1:-1] if quoted else token
    if plain and plain[-1] in "0123456789" and len(plain) <= _NUMBER_CHARACTERS_MAX:
        match = _NUMBER.fullmatch(plain)
        if match is not None:
            sign, whole, fraction = match.groups("")
            mantissa = int(whole + fraction)
            if len(fraction) <= SCALE_MAX and mantissa <= MANTISSA_MAX and not (sign and mantissa == 0):
                return Number(quoted, len(fraction), -mantissa if sign else mantissa)
    if quoted and len(plain) >= 19 and plain[10] == "T":
        time = _time_of(plain)
        if time is not None:
            return time
    return Text(token)


def _time_of(plain: str) -> Time | None:
    match = _TIME.fullmatch(plain)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        seconds = (datetime.date(year, month, day).toordinal() - _UNIX_EPOCH_DAY) * _DAY_S + hour * 3600 + minute * 60 + second
    except ValueError:
        return None
    fraction, zone = match[7] or "", match[8]
    if not 0 <= seconds <= _SECONDS_MAX or len(fraction) > CLOCK_DIGITS:
        return None
    if not fraction.strip("0"):
        return Time(0, f".{fraction}{zone}" if fraction else zone, seconds)
    return Time(len(fraction), zone, seconds * 10 ** len(fraction) + int(fraction))


def token_of(scalar: Scalar) -> str:
    """The JSON token; the reverse of `scalar_of`."""
    if isinstance(scalar, Text):
        return scalar.token
    if isinstance(scalar, Number):
        digits = str(abs(scalar.mantissa))
        if scalar.scale:
            digits = digits.rjust(scalar.scale + 1, "0")
            digits = f"{digits[: -scalar.scale]}.{digits[-scalar.scale :]}"
        if scalar.mantissa < 0:
            digits = "-" + digits
        return f'"{digits}"' if scalar.quoted else digits
    seconds, fraction = divmod(scalar.value, 10**scalar.digits)
    days, second = divmod(seconds, _DAY_S)
    day = datetime.date.fromordinal(_UNIX_EPOCH_DAY + days).isoformat()
    dot = f".{fraction:0{scalar.digits}}" if scalar.digits else ""
    return f'"{day}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{dot}{scalar.ending}"'


def valid_number(number: Number) -> bool:
    """Whether `scalar_of` can have given this number."""
    return 0 <= number.scale <= SCALE_MAX and abs(number.mantissa) <= MANTISSA_MAX


def valid_time(time: Time) -> bool:
    """Whether `scalar_of` can have given this timestamp."""
    if not 0 <= time.digits <= CLOCK_DIGITS or not 0 <= time.value < (_SECONDS_MAX + 1) * 10**time.digits:
        return False
    if time.digits and (time.ending.startswith(".") or time.value % 10**time.digits == 0):
        return False
    return _ENDING.fullmatch(time.ending) is not None
