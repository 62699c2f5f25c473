"""A JSON string or number as a value that can be predicted and subtracted, where that gives back the exact text.

230.10  "230.10"              Number(quoted, scale 2, mantissa 23010)
"2025-12-18T20:43:08.895Z"    Time(digits 3, ending "Z", value 1766090588895)
"2025-12-18T20:43:08.000Z"    Time(digits 0, ending ".000Z", value 1766090588)
2e+01  -0  "Growatt"          Text: the token as it stands
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Final, final

from mypy_extensions import mypyc_attr

__all__ = [
    "CLOCK_DIGITS",
    "MANTISSA_MAX",
    "SCALE_MAX",
    "TENS",
    "Number",
    "Scalar",
    "Text",
    "Time",
    "alike",
    "amount_of",
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
_DAYS_KEPT: Final = 64
"""Dates that are looked up instead of reckoned; traffic has the same few all day."""

TENS: Final[list[int]] = [10**exponent for exponent in range(SCALE_MAX + 1)]
"""Powers of ten."""

_PAIRS: Final = [f"{number:02}" for number in range(60)]
_UNITS: Final = {pair: number for number, pair in enumerate(_PAIRS)}
"""Hours, minutes and seconds as two digits, and back."""

_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_REST: Final = re.compile(r"(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2}|)")
_ENDING: Final = re.compile(r"(?:\.0{1,7})?(?:Z|[+-][0-9]{2}:[0-9]{2}|)")


@final
@mypyc_attr(acyclic=True)
class Number:
    """mantissa / 10**scale, printed with exactly `scale` fraction digits; as a JSON string if `quoted`."""

    __slots__ = ("mantissa", "quoted", "scale")

    def __init__(self, quoted: bool, scale: int, mantissa: int) -> None:
        self.quoted: Final[bool] = quoted
        self.scale: Final[int] = scale
        self.mantissa: Final[int] = mantissa

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.mantissa == other.mantissa and self.quoted == other.quoted and self.scale == other.scale

    def __repr__(self) -> str:
        return f"Number({self.quoted}, {self.scale}, {self.mantissa})"


@final
@mypyc_attr(acyclic=True)
class Time:
    """A timestamp string of RFC 3339: `value` counts 10**-digits seconds from 1970 in the clock it is written in.

    A fraction of zeros alone belongs to `ending`, with the zone, so that a station that writes whole seconds counts whole seconds.
    """

    __slots__ = ("digits", "ending", "value")

    def __init__(self, digits: int, ending: str, value: int) -> None:
        self.digits: Final[int] = digits
        self.ending: Final[str] = ending
        self.value: Final[int] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Time) and self.value == other.value and self.digits == other.digits and self.ending == other.ending

    def __repr__(self) -> str:
        return f"Time({self.digits}, {self.ending!r}, {self.value})"


@final
@mypyc_attr(acyclic=True)
class Text:
    """Any other string or number: its JSON token."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token: Final[str] = token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.token == other.token

    def __repr__(self) -> str:
        return f"Text({self.token!r})"


Scalar = Number | Time | Text


def scalar_of(token: str) -> Scalar:
    """What the JSON token of a string or number means."""
    quoted = token[0] == '"'
    plain = token[1:-1] if quoted else token
    size = len(plain)
    if 0 < size <= _NUMBER_CHARACTERS_MAX and "0" <= plain[-1] <= "9":
        number = _number_of(plain, quoted)
        if number is not None:
            return number
    if quoted and size >= 19 and plain[10] == "T":
        time = _time_of(plain)
        if time is not None:
            return time
    return Text(token)


def _number_of(plain: str, quoted: bool) -> Number | None:
    negative = plain[0] == "-"
    whole, point, fraction = (plain[1:] if negative else plain).partition(".")
    digits = whole + fraction
    if not whole or (whole[0] == "0" and len(whole) > 1) or (point and not fraction) or not (digits.isascii() and digits.isdigit()):
        return None
    mantissa = int(digits)
    if len(fraction) > SCALE_MAX or mantissa > MANTISSA_MAX or (negative and mantissa == 0):
        return None
    return Number(quoted, len(fraction), -mantissa if negative else mantissa)


def _time_of(plain: str) -> Time | None:
    days = _days_of(plain[:10])
    hour = _UNITS.get(plain[11:13], 60)
    minute = _UNITS.get(plain[14:16], 60)
    second = _UNITS.get(plain[17:19], 60)
    if days < 0 or hour > 23 or minute > 59 or second > 59 or plain[13] != ":" or plain[16] != ":":
        return None
    seconds = days * _DAY_S + hour * 3600 + minute * 60 + second
    if seconds > _SECONDS_MAX:
        return None
    if len(plain) == 20 and plain[19] == "Z":
        return Time(0, "Z", seconds)
    match = _REST.fullmatch(plain, 19)
    if match is None:
        return None
    fraction, zone = match[1] or "", match[2]
    if len(fraction) > CLOCK_DIGITS:
        return None
    if not fraction.strip("0"):
        return Time(0, f".{fraction}{zone}" if fraction else zone, seconds)
    return Time(len(fraction), zone, seconds * TENS[len(fraction)] + int(fraction))


@functools.lru_cache(_DAYS_KEPT)
def _days_of(date: str) -> int:
    """Days since 1970 of YYYY-MM-DD, -1 for other texts and earlier days."""
    match = _DATE.fullmatch(date)
    if match is None:
        return -1
    try:
        return datetime.date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _UNIX_EPOCH_DAY
    except ValueError:
        return -1


@functools.lru_cache(_DAYS_KEPT)
def _date_of(days: int) -> str:
    """The reverse of `_days_of`."""
    return datetime.date.fromordinal(_UNIX_EPOCH_DAY + days).isoformat()


def token_of(scalar: Scalar) -> str:
    """The JSON token; the reverse of `scalar_of`."""
    if isinstance(scalar, Number):
        scale = scalar.scale
        mantissa = scalar.mantissa
        digits = str(mantissa if mantissa >= 0 else -mantissa)
        if scale:
            if len(digits) <= scale:
                digits = "0" * (scale + 1 - len(digits)) + digits
            digits = f"{digits[:-scale]}.{digits[-scale:]}"
        if mantissa < 0:
            digits = "-" + digits
        return f'"{digits}"' if scalar.quoted else digits
    if isinstance(scalar, Text):
        return scalar.token
    seconds = scalar.value
    dot = ""
    if scalar.digits:
        unit = TENS[scalar.digits]
        # The leading 1 keeps the zeros.
        dot = "." + str(unit + seconds % unit)[1:]
        seconds //= unit
    minutes = seconds // 60
    date = _date_of(minutes // 1440)
    return f'"{date}T{_PAIRS[minutes // 60 % 24]}:{_PAIRS[minutes % 60]}:{_PAIRS[seconds % 60]}{dot}{scalar.ending}"'


def amount_of(value: Number | Time) -> int:
    """What differs between two that are `alike`."""
    return value.mantissa if isinstance(value, Number) else value.value


def alike(first: Number | Time, second: Number | Time) -> bool:
    """Whether two are spelled alike: numbers with as many fraction digits, or timestamps with the same and the same zone."""
    if isinstance(first, Number):
        return isinstance(second, Number) and first.quoted == second.quoted and first.scale == second.scale
    return isinstance(second, Time) and first.digits == second.digits and first.ending == second.ending


def valid_number(number: Number) -> bool:
    """Whether `scalar_of` can have given this number."""
    return 0 <= number.scale <= SCALE_MAX and -MANTISSA_MAX <= number.mantissa <= MANTISSA_MAX


def valid_time(time: Time) -> bool:
    """Whether `scalar_of` can have given this timestamp."""
    if not 0 <= time.digits <= CLOCK_DIGITS or not 0 <= time.value < (_SECONDS_MAX + 1) * TENS[time.digits]:
        return False
    if time.digits and (time.ending.startswith(".") or time.value % TENS[time.digits] == 0):
        return False
    return time.ending == "Z" or _ENDING.fullmatch(time.ending) is not None
