"""The figures of a run at one moment: what the table shows and `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.demo.compressed import KEEPALIVE_S
from ocppress_gateway.demo.tally import LinkLayers, Tally, network_conditions

__all__ = ["Figures", "StationFigures", "figures"]

MB: Final = 1e6

MONTH_CONDITIONS: Final = Conditions(keepalive_s=KEEPALIVE_S)
"""IPv4 without TCP timestamps, three reconnects a day, TLS resumed; what the edge does on a carrier that keeps an idle mapping for so long."""


@dataclass(frozen=True, slots=True)
class StationFigures:
    """One station, both directions; a month is None where less than an hour has been played."""

    station: str
    ocpp: str
    played_s: float
    """The recording's time that has been played."""
    wall_s: float
    """How long that took."""
    messages: int
    """At the station's socket."""
    accepted: int
    delivered: int
    answered_early: int
    heartbeats_at_edge: int
    heartbeats_of_cloud: int
    left_out: int
    json_bytes: int
    deflate_payload_bytes: int
    link_payload_bytes: int
    projected_mb_month: float | None
    plain_mb_month: float | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All stations, and their links. `link` is None where the kernel doesn't count."""

    plan: PlanName
    elapsed_s: float
    stations: Sequence[StationFigures]
    link: LinkLayers | None
    plain_ip_bytes: int
    """As plain OCPP-J over TLS, on the network that the link has used."""

    @property
    def accepted(self) -> int:
        """Messages that station or CSMS sent and the other was to get."""
        return sum(station.accepted for station in self.stations)

    @property
    def delivered(self) -> int:
        """Those of them that arrived exactly."""
        return sum(station.delivered for station in self.stations)

    @property
    def answered_early(self) -> int:
        """CALLs among them that the edge answered, Heartbeats apart."""
        return sum(station.answered_early for station in self.stations)

    @property
    def heartbeats_at_edge(self) -> int:
        """Heartbeats that went no further than the edge."""
        return sum(station.heartbeats_at_edge for station in self.stations)

    @property
    def heartbeats_of_cloud(self) -> int:
        """Heartbeats that the CSMS got from the cloud itself."""
        return sum(station.heartbeats_of_cloud for station in self.stations)

    @property
    def json_bytes(self) -> int:
        return sum(station.json_bytes for station in self.stations)

    @property
    def deflate_payload_bytes(self) -> int:
        return sum(station.deflate_payload_bytes for station in self.stations)

    @property
    def link_payload_bytes(self) -> int:
        return sum(station.link_payload_bytes for station in self.stations)

    @property
    def all_delivered(self) -> bool:
        """Whether all went as it should."""
        return self.accepted == self.delivered and not any(station.trouble for station in self.stations)

    def station(self, name: str) -> StationFigures:
        """The station of this name."""
        return next(station for station in self.stations if station.station == name)

    def as_json(self, projected: str) -> dict[str, Any]:
        """What `--json` prints; the month is that of the station `projected`."""
        return {
            "plan": self.plan.value,
            "duration_s": round(self.elapsed_s, 3),
            "messages_accepted": self.accepted,
            "messages_delivered": self.delivered,
            "answered_early": self.answered_early,
            "heartbeats_at_edge": self.heartbeats_at_edge,
            "heartbeats_of_cloud": self.heartbeats_of_cloud,
            "station_json_bytes": self.json_bytes,
            "deflate_payload_bytes": self.deflate_payload_bytes,
            "link_payload_bytes": self.link_payload_bytes,
            "link_ip_bytes": None if self.link is None else self.link.total,
            "plain_ip_bytes": self.plain_ip_bytes,
            "projected_station": projected,
            "projected_mb_month": self.station(projected).projected_mb_month,
            "link_layers": None if self.link is None else asdict(self.link),
            "stations": [asdict(station) for station in self.stations],
        }


def figures(tally: Tally, counts: Sequence[WireCount], *, plan: PlanName, elapsed_s: float, closed: bool) -> Figures:
    """The figures now; `counts` are the kernel's of the link's connections, `closed` if those have ended."""
    network = network_conditions(counts[0]) if counts else MONTH_CONDITIONS
    stations = []
    for account in tally.accounts.values():
        months = account.month_bytes(MONTH_CONDITIONS) or (None, None)
        link_month_mb, plain_month_mb = (None if month is None else round(month / MB, 3) for month in months)
        stations.append(
            StationFigures(
                station=account.name,
                ocpp=account.version.value,
                played_s=round(account.span_s, 3),
                wall_s=round(account.wall_s, 3),
                messages=account.messages,
                accepted=account.accepted,
                delivered=account.delivered,
                answered_early=account.answered_early,
                heartbeats_at_edge=account.heartbeats_at_edge,
                heartbeats_of_cloud=account.heartbeats_of_cloud,
                left_out=account.left_out,
                json_bytes=account.json_bytes,
                deflate_payload_bytes=account.deflate_bytes,
                link_payload_bytes=account.link_payload_bytes,
                projected_mb_month=link_month_mb,
                plain_mb_month=plain_month_mb,
                trouble=account.trouble,
            )
        )
    return Figures(
        plan=plan,
        elapsed_s=elapsed_s,
        stations=stations,
        link=tally.layers(counts, closed=closed),
        plain_ip_bytes=round(sum(account.plain_ip_bytes(network) for account in tally.accounts.values())),
    )
