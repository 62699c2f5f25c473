"""Figures as people read them, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from ocppress_gateway.core.views import CertificateView
from ocppress_gateway.masking import elided, printable

__all__ = ["CELL_MAX", "age", "ago", "certificate_lines", "clock_ms", "count", "moment", "roughly", "size", "table", "yes"]

CELL_MAX: Final = 48
"""Characters of a cell, as long as an identity may be; the middle of a longer text is left out."""


_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
"""Of time, the largest first, each with its part."""


def size(number: int) -> str:
    """Bytes, in the unit that leaves three figures or more."""
    for unit_bytes, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= unit_bytes:
            scaled = number / unit_bytes
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{number} B"


def age(seconds: float | None) -> str:
    """A span of time in its two largest units."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    for unit_s, unit, part_s, part in _UNITS:
        if whole >= unit_s:
            return f"{whole // unit_s} {unit} {whole % unit_s // part_s} {part}"
    return f"{whole} s"


def roughly(seconds: float) -> str:
    """The same in its largest unit alone."""
    return next((f"{int(seconds // unit_s)} {unit}" for unit_s, unit, _, _ in _UNITS if seconds >= unit_s), f"{int(seconds)} s")


def ago(seconds: float | None) -> str:
    """How long ago something was; roughly, since what a page shows of many stations mustn't change all the time."""
    if seconds is None:
        return "–"
    return "just now" if seconds < 60 else f"{roughly(seconds)} ago"


def count(number: int, what: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def moment(unix_s: float) -> str:
    """Unix seconds in UTC."""
    try:
        return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (OverflowError, ValueError, OSError):
        return "-"


def clock_ms(unix_s: float) -> str:
    """The same without its date, to the millisecond; of a time that a clock here has said."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%H:%M:%S.%f}"[:-3]


def certificate_lines(certificates: Iterable[CertificateView]) -> Iterator[str]:
    """When they end, a line each."""
    for one in certificates:
        due = ", RENEW IT (`ocppress ca renew`)" if one.is_due else ""
        yield f"certificate of {one.use}: ends {moment(one.ends_unix_s)}{due}"


def yes(value: bool) -> str:
    """For a table."""
    return "yes" if value else "no"


def table(heads: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> list[str]:
    """Columns as wide as they need be, numbers to the right; no row can blur another."""
    cells = [
        ["-" if cell is None else elided(printable(f"{cell:,}" if isinstance(cell, int) else cell), CELL_MAX) for cell in row]
        for row in rows
    ]
    numeric = [bool(cells) and all(row[place][:1].isdigit() or row[place] == "-" for row in cells) for place in range(len(heads))]
    widths = [max(len(text) for text in (head, *(row[place] for row in cells))) for place, head in enumerate(heads)]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in ([*heads], *cells)
    ]
