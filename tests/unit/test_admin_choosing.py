"""What is wrong with stations, and who comes first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ocppress_gateway.admin.choosing import chosen, troubles_of
from ocppress_gateway.admin.model import Month, Order, Station, StationQuery, Trouble
from ocppress_gateway.core.views import SILENT_S

BUDGET = 25_000_000


def _month(total: int, projection: int | None = None) -> Month:
    return Month(total_bytes=total, budget_bytes=BUDGET, percent=100 * total / BUDGET, projection_bytes=projection)


def _station(identity: str = "CP1", **values: Any) -> Station:
    station = Station(**{"identity": identity, "state": "open", "link_up": True, "edge": "site", "heard_s": 60.0, **values})
    return msgspec.structs.replace(station, troubles=troubles_of(station))


@pytest.mark.parametrize(
    ("values", "troubles"),
    [
        ({}, []),
        ({"heard_s": None}, []),
        ({"heard_s": SILENT_S - 1}, []),
        ({"heard_s": SILENT_S}, [Trouble.SILENT]),
        ({"state": "unseen", "heard_s": None}, [Trouble.SILENT]),
        ({"link_up": False}, [Trouble.LINK_DOWN]),
        ({"dead_letters": 0}, []),
        ({"dead_letters": 1}, [Trouble.DEAD_LETTERS]),
        ({"month": _month(BUDGET - 1, BUDGET)}, []),
        ({"month": _month(1, BUDGET + 1)}, [Trouble.BUDGET_SHORT]),
        ({"month": _month(BUDGET, 2 * BUDGET), "link_up": False}, [Trouble.OVER_BUDGET, Trouble.LINK_DOWN, Trouble.BUDGET_SHORT]),
    ],
)
def test_troubles(values: dict[str, Any], troubles: list[Trouble]) -> None:
    assert _station(**values).troubles == troubles


def test_the_worst_come_first() -> None:
    stations = [
        _station("A", heard_s=60.0),
        _station("B", heard_s=3000.0),
        _station("C", heard_s=None),
        _station("D", month=_month(1, BUDGET + 1)),
        _station("E", heard_s=SILENT_S),
        _station("F", heard_s=2 * SILENT_S),
        _station("G", link_up=False),
        _station("H", dead_letters=1),
        _station("I", dead_letters=9, link_up=False),
        _station("J", month=_month(BUDGET)),
        _station("K", month=_month(BUDGET), dead_letters=1),
    ]
    worst = StationQuery(order=Order.WORST)
    assert "".join(one.identity for one in chosen(stations, worst)) == "KJIHGFEDCBA"
    assert chosen(stations, StationQuery()) == stations
    assert "".join(one.identity for one in chosen(stations, StationQuery(troubled=True))) == "DEFGHIJK"
    assert "".join(one.identity for one in chosen(stations, StationQuery(order=Order.WORST, troubled=True, search="e"))) == "KJIHGFED", (
        "by the edge's name, too"
    )
    assert "".join(one.identity for one in chosen(stations, StationQuery(search="a"))) == "A"
