"""What `measure` shows: a table of sizes, and for each delay one of where the bytes go. They fit a hundred columns, and narrower ones by folding names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ocppress_codecs.account import Part
from ocppress_gateway.masking import printable
from ocppress_gateway.tools.breakdown import PART_WORDS
from ocppress_gateway.tools.measure import Coded, Measured

__all__ = ["tables"]


def tables(measured: Sequence[Measured], total: Measured) -> Iterator[RenderableType]:
    """All of them, each under a line that says what it is; the sizes are of each trace, the rest is of all together."""
    delays_s = list(dict.fromkeys(way.max_delay_s for way in total.coded))
    yield _heading("Bytes of both directions; in brackets how many times smaller than permessage-deflate")
    yield _sizes([*measured, total] if len(measured) > 1 else measured, delays_s)
    for delay_s in delays_s if total.messages else []:
        ways = [way for way in total.coded if way.max_delay_s == delay_s]
        yield _heading(f"Where the bytes go, {_delay(delay_s)}")
        yield _parts(ways)
        yield _heading(f"By action, {_delay(delay_s)}; answers count to their CALLs, a frame's own bytes equally to its messages")
        yield _actions(ways)


def _sizes(rows: Sequence[Measured], delays_s: Sequence[float]) -> Table:
    table = _table("trace", *map(_delay, delays_s))
    for one in rows:
        codecs = list(dict.fromkeys(way.codec for way in one.coded))
        table.add_section()
        version = f"OCPP {one.version}, " if one.version else ""
        table.add_row(_foreign(f"{one.name} ({version}{one.messages:,} messages)"))
        table.add_row("  JSON", f"{one.json_bytes:,}")
        table.add_row("  permessage-deflate", f"{one.deflate_bytes:,}")
        for codec in codecs:
            table.add_row(f"  {codec}", *(_size(one, way) for way in one.coded if way.codec == codec))
    return table


def _size(one: Measured, way: Coded) -> str:
    return f"{way.frame_bytes:,} ({one.deflate_bytes / max(1, way.frame_bytes):.2f})" if way.exact else "NOT EXACT"


def _parts(ways: Sequence[Coded]) -> Table:
    table = _table("for", *(way.codec for way in ways))
    for part, words in PART_WORDS.items():
        if any(way.parts[part] for way in ways):
            table.add_row(words, *(_part(way, part) for way in ways))
    table.add_section()
    table.add_row("all", *(f"{way.frame_bytes:,}  100 %" for way in ways))
    return table


def _part(way: Coded, part: Part) -> str:
    size = way.parts[part]
    return f"{size:,.0f}  {100 * size / way.frame_bytes:3.0f} %" if size else ""


def _actions(ways: Sequence[Coded]) -> Table:
    table = _table("action", "messages", *(way.codec for way in ways))
    for action, share in ways[0].actions.items():
        shares = [way.actions.get(action) for way in ways]
        table.add_row(_foreign(action), f"{share.messages:,}", *(f"{one.bytes:,.0f}" if one else "" for one in shares))
    return table


def _foreign(words: str) -> Text:
    """Words of others, which are no markup."""
    return Text(printable(words))


def _heading(words: str) -> Text:
    return Text(words, style="bold")


def _table(name: str, *figures: str) -> Table:
    """Where there is little room, first names are folded, then figures between words."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(name, overflow="fold")
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


def _delay(delay_s: float) -> str:
    return f"within {delay_s:g} s" if delay_s else "at once"
