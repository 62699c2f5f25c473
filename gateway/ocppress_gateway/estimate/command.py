"""The command line of `estimate`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from ocppress_gateway.core.plan import PlanName

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  ocppress estimate steve.log.gz                                    what a log's stations would have cost
  ocppress estimate --sessions-a-day 3 --session-min 60 --interval-s 60 --measurands V,A,W,Wh,SoC
  ocppress estimate --site site.toml --price-per-mb 0.014 --currency EUR --rounding-kb 1

Logs may be packed with gzip. Read are traces of ocppress, JSON lines, and logs of the Python library ocpp, of SteVe, evcc and Home Assistant,
and CitrineOS's messages as JSON lines. site.toml has the flags of a site as members: sessions_a_day = 3 and so on.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its function is in `func`."""
    parser = commands.add_parser(
        "estimate",
        help="a month on the SIM, by plan and setting",
        description="Simulate what a station's month costs on the SIM under each plan, beside OCPP-J without ocppress, and what each setting changes:"
        " from logs, or for a site in words.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("logs", type=Path, nargs="*", metavar="FILE", help="a trace or a log")
    site = parser.add_argument_group("a site in words", "instead of files; what is not said has its default")
    site.add_argument("--site", type=Path, metavar="FILE.toml", help="all of it in a file")
    site.add_argument("--stations", type=int, metavar="N", help="stations like this (1)")
    site.add_argument("--connectors", type=int, metavar="N", help="of each (1)")
    site.add_argument("--sessions-a-day", type=int, metavar="N", help="of each connector (2)")
    site.add_argument("--session-min", type=float, metavar="MIN", help="how long one takes (180)")
    site.add_argument("--interval-s", type=int, metavar="S", help="between meter readings (60)")
    site.add_argument("--measurands", type=_list, metavar="LIST", help="in a reading, of V,A,W,Wh,SoC (V,A,W,Wh)")
    site.add_argument("--heartbeat-s", type=int, metavar="S", help="between Heartbeats (300)")
    site.add_argument("--phases", type=int, choices=[1, 3], help="of an AC station (1)")
    site.add_argument("--current", choices=["ac", "dc"], help="what it charges with (ac)")
    site.add_argument("--ocpp", choices=["2.0.1", "2.1"], help="(2.0.1); for 1.6 take a log")
    money = parser.add_argument_group("the tariff")
    money.add_argument("--price-per-mb", type=_number(0, 1e6), metavar="X", help="what an MB of 1,000,000 bytes costs")
    money.add_argument("--currency", default="EUR", metavar="WORD", help="in words (EUR)")
    money.add_argument(
        "--rounding-kb",
        type=_number(0, 10_000),
        default=0.0,
        metavar="KB",
        help="unit of 1024 bytes that each connection is rounded up to (0: none)",
    )
    money.add_argument("--budget-mb", type=_number(0.001, 1e6), default=25.0, metavar="MB", help="what plan auto may spend in a month (25)")
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--keepalive-min", type=_number(0.1, 1440), default=25.0, metavar="MIN", help="how long the carrier keeps an idle connection (25)"
    )
    network.add_argument("--reconnects", type=_number(0, 1000), default=3.0, metavar="N", help="broken connections a day (3)")
    network.add_argument("--ipv6", action="store_true")
    network.add_argument("--timestamps", action="store_true", help="TCP timestamps, as where the cloud's host hasn't turned them off")
    parser.add_argument("--plan", choices=list(PlanName), default=PlanName.SAVER.value, help="under which settings are compared (saver)")
    parser.add_argument("--plans-only", action="store_true", help="no settings: faster")
    parser.add_argument(
        "--days",
        type=_number(0.1, 366),
        metavar="N",
        help="days to simulate (of a site up to 3, of a log all it has up to 30); 30 for a whole month",
    )
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes side by side (as many as processors)")
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output, the tables on standard error")
    parser.set_defaults(func=_estimate)


def _list(text: str) -> list[str]:
    return text.split(",")


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return value

    return number


# What it needs is imported when it runs: the other commands need none of it.


def _estimate(args: argparse.Namespace) -> int:
    from ocppress_gateway.estimate.running import estimate

    return estimate(args)
