"""The values of a message by name."""

from __future__ import annotations

import pytest

from ocppress_gateway.tools.places import value_names


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('"Heartbeat",{}', []),
        ('"X",{"a":▢,"b":{"c":▢},"d":[▢,{"e":▢},[▢]]}', ["a", "b.c", "d[0]", "d[1].e", "d[2][0]"]),
        ('{"a":▢,"a":▢,"":▢}', ["a", "a", ""]),
        ('"InternalError",▢,{"x":▢}', ["[1]", "x"]),
        (
            '"MeterValues",{"meterValue":[{"timestamp":▢,"sampledValue":[{"value":▢,"phase":"L1","measurand":"Voltage"},{"value":▢}]}]}',
            [
                "meterValue[0].timestamp",
                "meterValue[0].sampledValue[0].value (L1, Voltage)",
                "meterValue[0].sampledValue[1].value",
            ],
        ),
        (r'{"NaN":"NaN","\u0022":▢,"n":12345678901234567890.5e3}', ['"']),
        (f'{{"deep":{"[" * 60}▢{"]" * 60}}}', ["deep" + "[0]" * 60]),
    ],
)
def test_each_value_has_the_name_of_its_place(body: str, names: list[str]) -> None:
    assert value_names(body.split("▢")) == names
