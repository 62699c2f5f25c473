"""How many clouds so many stations need, from what was measured: the tables in deploy/SIZING.md. Nothing is measured here.

Each figure is of a result file: messages of `month`, processor time and memory of a cloud of `cloud`, stored messages of `outbox`, the
shared server of `store`. What is assumed besides stands in the constants.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bench import cloud, month, outbox, store
from ocppress_gateway.core.cloud import RETURNS_A_SECOND
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.transports.websocket import CONNECTIONS_MAX

__all__ = ["Sized", "sized", "table"]

STATIONS: Final = (1_000, 10_000, 100_000, 1_000_000)
WORKLOADS: Final = ("home", "ac22")
PEAK: Final = 3.0
"""The busiest hour's messages, of the day's average: cars come home in the evening."""
PROCESSOR_SHARE: Final = 0.5
"""Of a processor, at the peak: the rest is for reconnects, and for the edges of a cloud that is down."""
MEMORY_GIB: Final = 8
"""Of a cloud's machine; three quarters of it are for stations."""
DESCRIPTORS_EACH: Final = 2
"""Of a station with an edge of its own: the link's, and the CSMS socket's."""
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Sized:
    """What one number of stations, each with an edge of its own, comes to at the peak."""

    workload: str
    stations: int
    messages_s: float
    by_processor: int
    by_memory: int
    by_connections: int
    saves_s: float
    server_share: float
    server_mib: float

    @property
    def clouds(self) -> int:
        """One more than the scarcest thing asks for, so that one may be down; a single one has nobody to stand in."""
        needed = max(self.by_processor, self.by_memory, self.by_connections)
        return needed + (needed > 1)

    @property
    def first(self) -> str:
        """What runs out first, where one cloud isn't enough."""
        if self.clouds == 1:
            return ""
        by = {"processor": self.by_processor, "memory": self.by_memory, "connections": self.by_connections}
        return max(by, key=lambda name: by[name])


def sized(workload: str, stations: int) -> Sized:
    """By the results there are."""
    subject = next(one for one in _read(cloud.RESULTS)["subjects"] if one["subject"] == PlanName.SAVER)
    traffic = next(one for one in _read(month.RESULTS) if (one["workload"], one["plan"]) == (workload, PlanName.SAVER))
    stored = next(one for one in _read(outbox.RESULTS) if one["workload"] == workload)
    shared = _read(store.RESULTS)
    messages_s = stations * traffic["messages"] / traffic["days"] / DAY_S * PEAK
    saves_s = stations * stored["messages"] / stored["days"] / DAY_S * PEAK
    moved = min(stations, CONNECTIONS_MAX)  # a cloud's at the most
    return Sized(
        workload,
        stations,
        messages_s,
        math.ceil(messages_s * subject["processor_us"] / 1e6 / PROCESSOR_SHARE),
        math.ceil(stations * subject["memory_kib"] / (MEMORY_GIB * 2**20 * 0.75)),
        math.ceil(stations / CONNECTIONS_MAX),
        saves_s,
        saves_s * shared["single"]["server_us"] / 1e6,
        (stations * shared["first"]["memory_bytes"] + moved * shared["kept"]["memory_bytes"]) / 2**20,
    )


def table() -> str:
    """The table with what it says."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield (
        f"Stations with an edge each, `saver`, in the busiest hour ({PEAK:g} times the day's average): messages a second to and from the CSMS; clouds"
        f" that processor ({PROCESSOR_SHARE:.0%} of one core each), memory ({MEMORY_GIB} GiB each, a quarter of it left) and connections"
        f" ({CONNECTIONS_MAX:,} each) ask for, and how many to have, one of which may be down; positions a second at the server, and what they take of"
        " its one processor if each has a round trip of its own; its memory, with all contexts of a cloud that is being restarted; file descriptors of all"
        f" clouds; and seconds in which the edges of one cloud come back to the others after an orderly stop, {RETURNS_A_SECOND} a second, 40 s at the most."
    )
    yield ""
    yield (
        "| workload | stations | messages | processor | memory | connections | clouds | first | positions | server | its memory, MiB | descriptors |"
        " coming back, s |"
    )
    yield f"|---|{'--:|' * 6}---|{'--:|' * 5}"
    for workload in WORKLOADS:
        for stations in STATIONS:
            one = sized(workload, stations)
            each = stations / max(1, one.clouds)
            cells = (
                workload,
                f"{stations:,}",
                f"{one.messages_s:,.0f}",
                one.by_processor,
                one.by_memory,
                one.by_connections,
                one.clouds,
                one.first,
                f"{one.saves_s:,.0f}",
                f"{one.server_share:.0%}",
                f"{one.server_mib:,.0f}",
                f"{stations * DESCRIPTORS_EACH:,}",
                f"{min(40.0, each / RETURNS_A_SECOND):,.0f}",
            )
            yield f"| {' | '.join(map(str, cells))} |"


def _read(file: Any) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
