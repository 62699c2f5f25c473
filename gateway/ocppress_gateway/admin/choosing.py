"""Which stations somebody wants to see, and in which order: a fleet of thousands isn't read by identity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ocppress_gateway.admin.model import Order, Station, StationQuery, Trouble
from ocppress_gateway.core.views import SILENT_S

__all__ = ["UNSEEN", "chosen", "troubles_of"]

UNSEEN: Final = "unseen"
"""State of a station that may come and hasn't since the start."""


def troubles_of(station: Station) -> list[Trouble]:
    """What is wrong with it, the worst first."""
    month = station.month
    found = {
        Trouble.OVER_BUDGET: month is not None and month.percent >= 100,
        Trouble.DEAD_LETTERS: bool(station.dead_letters),
        Trouble.LINK_DOWN: not station.link_up,
        Trouble.SILENT: station.state == UNSEEN or (station.heard_s is not None and station.heard_s >= SILENT_S),
        Trouble.BUDGET_SHORT: month is not None and (month.projection_bytes or 0) > month.budget_bytes,
    }
    return [trouble for trouble in Trouble if found[trouble]]


def chosen(stations: Sequence[Station], query: StationQuery) -> list[Station]:
    """All of them that `query` is about, in its order; `stations` are in that of their identities."""
    wanted = query.search.casefold()
    found = [one for one in stations if wanted in one.identity.casefold() or wanted in (one.edge or "").casefold()]
    if query.troubled:
        found = [one for one in found if one.troubles]
    return sorted(found, key=_badness) if query.order is Order.WORST else found


def _badness(station: Station) -> tuple[list[bool], float]:
    """Those over budget come first, among them those with dead letters, and so on; of equals those that nothing has been heard of for longest."""
    heard_s = math.inf if station.heard_s is None else station.heard_s
    return [trouble not in station.troubles for trouble in Trouble], -heard_s
