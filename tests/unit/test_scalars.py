"""Numbers and timestamps as values: which spellings have one, and that each comes back."""

from __future__ import annotations

import pytest

from ocppress_codecs.scalars import Number, Scalar, Text, Time, scalar_of, token_of, valid_number, valid_time

VALUES: list[tuple[str, Scalar]] = [
    ("0", Number(False, 0, 0)),
    ("-7", Number(False, 0, -7)),
    ("1.00", Number(False, 2, 100)),
    ('"230.10"', Number(True, 2, 23010)),
    ('"-0.05"', Number(True, 2, -5)),
    ("-0.000000000000000001", Number(False, 18, -1)),
    ("999999999999999999", Number(False, 0, 10**18 - 1)),
    ('"1970-01-01T00:00:00Z"', Time(0, "Z", 0)),
    ('"1970-01-02T00:00:01"', Time(0, "", 86401)),
    ('"2025-12-18T20:43:08Z"', Time(0, "Z", 1766090588)),
    ('"2025-12-18T20:43:08.895Z"', Time(3, "Z", 1766090588895)),
    ('"2025-12-18T20:43:08.000Z"', Time(0, ".000Z", 1766090588)),
    ('"2025-12-18T20:43:08.1234567+01:00"', Time(7, "+01:00", 17660905881234567)),
    ('"2106-02-07T06:28:15Z"', Time(0, "Z", 2**32 - 1)),
]


@pytest.mark.parametrize(("token", "value"), VALUES)
def test_values_and_tokens(token: str, value: Scalar) -> None:
    assert scalar_of(token) == value
    assert token_of(value) == token
    assert valid_time(value) if isinstance(value, Time) else isinstance(value, Number) and valid_number(value)


@pytest.mark.parametrize(
    "token",
    [
        *(
            "-0",
            "-0.0",
            "2e+01",
            "1E5",
            "1000000000000000000",
            "0.0000000000000000001",
            '""',
            '"abc"',
            '"1."',
            '"01"',
            '"+1"',
            '" 1"',
            '"-0"',
            '"٣"',
        ),
        *('"2025-02-29T00:00:00Z"', '"2025-13-01T00:00:00Z"', '"2025-01-01T24:00:00Z"', '"2025-01-01T00:00:60Z"', '"0000-01-01T00:00:00Z"'),
        *(
            '"1969-12-31T23:59:59Z"',
            '"2106-02-07T06:28:16Z"',
            '"2025-01-01t00:00:00Z"',
            '"2025-01-01T00:00:00z"',
            '"2025-01-01T00:00:00.12345678Z"',
        ),
        *('"2025-01-01 00:00:00Z"', '"2025-01-01T00:00:00+0100"', '"2025-01-01T00:00Z"'),
    ],
)
def test_other_spellings_stay_text(token: str) -> None:
    assert scalar_of(token) == Text(token)
    assert token_of(Text(token)) == token


@pytest.mark.parametrize(
    "time",
    [Time(8, "Z", 1), Time(-1, "Z", 1), Time(0, "Z", -1), Time(0, "Z", 2**32), Time(3, "Z", 1000), Time(3, ".000Z", 1001), Time(0, "z", 1)],
)
def test_times_that_no_text_has_are_invalid(time: Time) -> None:
    assert not valid_time(time)


@pytest.mark.parametrize("number", [Number(False, -1, 1), Number(False, 19, 1), Number(True, 0, 10**18), Number(True, 0, -(10**18))])
def test_numbers_that_no_text_has_are_invalid(number: Number) -> None:
    assert not valid_number(number)
