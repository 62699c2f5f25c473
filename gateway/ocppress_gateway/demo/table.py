"""The figures for people: the table, and the story in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ocppress_gateway.core.plan import DELAYS_S, STEPS, PlanName
from ocppress_gateway.cost.wire import DAY_S
from ocppress_gateway.demo.figures import Figures, StationFigures

__all__ = ["story", "table"]


def table(figures: Figures, *, wanted_s: float | None) -> RenderableType:
    """All stations, and the links by layers; `wanted_s` is how long the run is to take, if that was said."""
    until = "" if wanted_s is None else f" of {wanted_s:g}"
    return Group(
        _heading(f"ocppress demo, plan {figures.plan}, time compressed: {figures.elapsed_s:.0f}{until} s"),
        _heading("payload of both directions in bytes"),
        _stations(figures),
        _heading("the links by layers, counted by the kernel at the edges' end"),
        _layers(figures),
        _heading("a month at the traffic's own pace, on a SIM of its own, by the cost model"),
        _months(figures),
    )


def story(figures: Figures) -> Iterator[str]:
    """What the run has shown."""
    versions = ", ".join(sorted({station.ocpp for station in figures.stations}))
    exactly = "all delivered exactly as sent" if figures.all_delivered else f"only {figures.delivered:,} DELIVERED EXACTLY"
    played_s = sum(station.played_s for station in figures.stations)
    yield (
        f"{figures.accepted:,} messages of {len(figures.stations)} stations in OCPP {versions}, {exactly}."
        f" {_duration(played_s)} of traffic in {figures.elapsed_s:.0f} s: time is compressed."
    )
    if figures.plan is not PlanName.TRANSPARENT:
        yield from _early(figures)
    yield (
        f"Payload: JSON {figures.json_bytes:,} B, permessage-deflate {figures.deflate_payload_bytes:,} B, link {figures.link_payload_bytes:,} B:"
        f" {_times(figures.json_bytes, figures.link_payload_bytes)} and"
        f" {_times(figures.deflate_payload_bytes, figures.link_payload_bytes)} times smaller. (The codec's dictionary has been trained on"
        " the sim-* recordings, among others; `ocppress measure` counts each with one that hasn't.)"
    )
    if figures.link is not None:
        yield (
            f"With TLS and TCP/IP: plain OCPP-J {figures.plain_ip_bytes:,} B by the cost model, link {figures.link.total:,} B by the"
            f" kernel's count of this run: {_times(figures.plain_ip_bytes, figures.link.total)} times less."
        )
    for station in figures.stations:
        if station.projected_mb_month is not None:
            yield (
                f"A month of {station.station} at its own pace, keepalives and three reconnects a day included:"
                f" {station.projected_mb_month:.1f} MB on the SIM; as plain OCPP-J {station.plain_mb_month:.1f} MB"
                f" (from {_duration(station.played_s)} of traffic)."
            )
        if station.left_out:
            yield f"{station.station}: {station.left_out} recorded messages can't be replayed and were left out."
        if station.trouble is not None:
            yield f"{station.station}: ended early: {station.trouble}."


def _early(figures: Figures) -> Iterator[str]:
    step = STEPS[0] if figures.plan is PlanName.AUTO else figures.plan
    yield (
        f"Plan {figures.plan}{f', which begins as {step}' if step is not figures.plan else ''}: the edge answered {figures.answered_early:,}"
        f" messages at once, and they reached the CSMS at most {_duration(DELAYS_S[step])} later, each station's time compressed like the rest"
        " (in the end, all that waits is flushed). A station is answered by the edge once its BootNotification has been accepted."
    )
    yield (
        f"{figures.heartbeats_at_edge:,} Heartbeats were answered at the edge and not carried; the CSMS got {figures.heartbeats_of_cloud:,} from"
        " the cloud, whose time isn't compressed."
    )


def _stations(figures: Figures) -> Table:
    shown = _table()
    shown.add_column("station", overflow="fold")  # the only one that gives way where there is no room
    for heading in ("time played", "messages", "JSON", "deflate", "link"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for station in figures.stations:
        shown.add_row(
            station.station if station.ocpp in station.station else f"{station.station} ({station.ocpp})",
            _played(station),
            *_numbers(station.messages, station.json_bytes, station.deflate_payload_bytes, station.link_payload_bytes),
        )
    shown.add_section()
    messages = sum(station.messages for station in figures.stations)
    shown.add_row("all", "", *_numbers(messages, figures.json_bytes, figures.deflate_payload_bytes, figures.link_payload_bytes))
    return shown


def _layers(figures: Figures) -> RenderableType:
    if figures.link is None:
        return Text(" the kernel has no TCP_INFO: the link's IP bytes are unknown\n")
    link = figures.link
    shown = _table()
    shown.add_column("layer")
    shown.add_column("bytes", justify="right", no_wrap=True)
    for layer, layer_bytes in (
        ("payload: frames of the codec", link.payload),
        ("headers, acknowledgements and hello of the link", link.framing),
        ("TLS and WebSocket, handshakes included", link.tls),
        ("TCP/IP headers, acknowledgements included", link.tcp_ip),
    ):
        shown.add_row(layer, *_numbers(layer_bytes))
    shown.add_section()
    shown.add_row("all IP bytes", *_numbers(link.total))
    shown.add_row("the same messages as plain OCPP-J over TLS, by the cost model", *_numbers(figures.plain_ip_bytes))
    return shown


def _months(figures: Figures) -> RenderableType:
    shown = _table()
    shown.add_column("station", overflow="fold")
    for heading in ("MB", "as plain OCPP-J"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for station in figures.stations:
        if station.projected_mb_month is not None:
            shown.add_row(station.station, f"{station.projected_mb_month:,.1f}", f"{station.plain_mb_month:,.1f}")
    return shown if shown.row_count else Text(" can't be told before an hour of traffic\n")


def _heading(words: str) -> Text:
    return Text(words, style="bold")


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1))


def _numbers(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _played(station: StationFigures) -> str:
    if not station.played_s or not station.wall_s:
        return ""
    return f"{_duration(station.played_s)} ×{station.played_s / station.wall_s:,.0f}"


def _duration(seconds: float) -> str:
    for unit, unit_s in (("d", DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def _times(larger: int, smaller: int) -> str:
    return f"{larger / smaller:.1f}" if smaller else "?"
