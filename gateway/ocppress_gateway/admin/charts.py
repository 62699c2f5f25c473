"""Charts as SVG files, drawn here and without a script: bars by day and layer, bars by action, the month against its budget, and what there would have
been without the gateway.

They are images of a page (`<img>`), so that their styles are theirs and the page's policy has no exception; colours follow the reader's scheme.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import pygal
from pygal.style import Style

from ocppress_gateway.admin.model import Month, Usage
from ocppress_gateway.status.words import size

# pygal adds a finder of plug-ins, which we have none of, in a form that Python 3.11 warns of with each import.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

__all__ = ["Compared", "actions_chart", "actions_of", "compared", "comparison_chart", "days_chart", "layers_of", "month_chart"]

ACTIONS_SHOWN_MAX: Final = 12
"""Bars of a chart; what is smaller stands in the table."""

LABELS_MAX: Final = 8
"""Days that are named under a chart, so that they don't overlap on a phone."""

MARGIN: Final = 8
LEGEND_COLUMNS: Final = 3
LEGEND_LINE: Final = 22
"""Pixels of the image, which is 600 wide."""

_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a8a", "#b8a900")
"""Of Okabe and Ito, told apart by nearly everybody; each has 3 to 1 against white or black by its outline."""

_STYLE: Final = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#1b1f24",
    foreground_strong="#1b1f24",
    foreground_subtle="#57606a",
    opacity="1",
    colors=_COLOURS,
    font_family="system-ui, DejaVu Sans, sans-serif",
    label_font_size=14,
    major_label_font_size=14,
    legend_font_size=14,
    no_data_font_size=20,
)
_DARK: Final = (
    "inline:@media (prefers-color-scheme: dark) { text { fill: #e6edf3 !important; } .axis .guides, .axis .line, .axis path"
    " { stroke: #57606a !important; } }"
)
_SCRIPT: Final = re.compile(rb"<script\b.*?</script>|<script\b[^>]*/>", re.DOTALL)


def days_chart(usage: Usage) -> bytes:
    """Each day's bytes: by layer where that is known, and what others used."""
    chart = _chart(pygal.StackedBar, [_label(day.day) for day in usage.days])
    for name, counts in _by_layer(usage):
        chart.add(name, counts)
    return _drawn(chart)


def layers_of(usage: Usage) -> list[tuple[str, int]]:
    """What `days_chart` shows, of all days together."""
    return [(name, sum(counts)) for name, counts in _by_layer(usage)]


def _by_layer(usage: Usage) -> Iterator[tuple[str, list[int]]]:
    """A name, and its bytes of each day."""
    layers = dict.fromkeys(layer for day in usage.days for layer in day.layers or {})
    for layer in layers:
        yield layer.replace("_", "/"), [(day.layers or {}).get(layer, 0) for day in usage.days]
    # What isn't in a layer, or isn't known by layer, is ours nevertheless.
    rest = [max(0, day.ours_bytes - sum((day.layers or {}).values())) for day in usage.days]
    if any(rest):
        every = all(day.layers for day in usage.days)
        yield "ours" if not layers else "estimated" if every else "not by layer", rest
    if any(day.others_bytes for day in usage.days):
        yield "others", [day.others_bytes or 0 for day in usage.days]


def month_chart(usage: Usage, month: Month | None) -> bytes:
    """The month so far, day by day, below its budget."""
    told = {day.day: day.month_bytes for day in usage.days if day.month_bytes is not None}
    if usage.month_first is None or usage.month_end is None:
        days = list(told)
    else:
        days = [usage.month_first + timedelta(number) for number in range((usage.month_end - usage.month_first).days)]
    chart = _chart(pygal.Line, [_label(day) for day in days])
    chart.add("month so far", [told.get(day) for day in days])
    if month is not None:
        chart.add("budget", [month.budget_bytes] * len(days), show_dots=len(days) == 1, stroke_style={"dasharray": "6, 4", "width": 2})
    return _drawn(chart)


def actions_of(usage: Usage) -> list[tuple[str, int]]:
    """Payload by action, of all days, both directions, the largest first."""
    totals: Counter[str] = Counter()
    for day in usage.days:
        totals.update(day.actions or {})
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))


def actions_chart(usage: Usage) -> bytes:
    """The actions that cost most."""
    actions = actions_of(usage)[:ACTIONS_SHOWN_MAX][::-1]
    chart = _chart(pygal.HorizontalBar, [name for name, _ in actions], every=1)
    chart.add("frames", [count for _, count in actions])
    return _drawn(chart)


class Compared(NamedTuple):
    """Bytes of those days of which it is known what there would have been without the gateway."""

    days: int
    ours: int
    deflate: int
    plain: int

    @property
    def times(self) -> float:
        """How many times permessage-deflate would have taken what was taken."""
        return self.deflate / max(1, self.ours)


def compared(usage: Usage) -> Compared | None:
    """With what there would have been; None if that is known of no day."""
    known = [(day.ours_bytes, day.deflate_bytes, day.plain_bytes) for day in usage.days if day.plain_bytes and day.deflate_bytes]
    return Compared(len(known), *(sum(filter(None, counts)) for counts in zip(*known, strict=True))) if known else None


def comparison_chart(usage: Usage) -> bytes:
    """Ours, permessage-deflate and plain, a bar each."""
    found = compared(usage) or Compared(0, 0, 0, 0)
    chart = _chart(pygal.HorizontalBar, ["plain", "permessage-deflate", "ours"], every=1)
    chart.add("the SIM", [found.plain, found.deflate, found.ours])
    return _drawn(chart)


def _label(day: date) -> str:
    return f"{day:%d %b}"


def _chart(kind: Any, labels: list[str], *, every: int | None = None) -> Any:
    step = every or max(1, -(-len(labels) // LABELS_MAX))
    chart = kind(
        style=_STYLE,
        css=["file://style.css", "file://graph.css", _DARK],
        js=[],
        no_prefix=True,
        width=600,
        height=360,
        margin=MARGIN,
        margin_right=3 * MARGIN,
        truncate_legend=-1,
        legend_at_bottom=True,
        legend_at_bottom_columns=LEGEND_COLUMNS,
        legend_box_size=12,
        include_x_axis=True,
        show_minor_x_labels=False,
        truncate_label=-1,
        value_formatter=lambda value: size(int(value)),
        zero=0,
    )
    chart.x_labels = labels
    chart.x_labels_major = labels[::-1][::step]
    return chart


def _drawn(chart: Any) -> bytes:
    chart.margin_bottom = MARGIN + LEGEND_LINE * -(-len(chart.raw_series) // LEGEND_COLUMNS)
    svg: bytes = chart.render()
    return _SCRIPT.sub(b"", svg)
