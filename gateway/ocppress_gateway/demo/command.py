"""The command line of `ocppress demo`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Final

from ocppress_gateway.core.plan import PlanName

__all__ = ["add_parser"]

OK: Final = 0
NOT_DELIVERED: Final = 1

DURATION_S_MIN: Final = 3.0
"""Starting and closing take about one."""


TABLE_COLUMNS: Final = 120
"""Width of the table where standard error is no terminal."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo`; its function is in `func`."""
    parser = commands.add_parser(
        "demo",
        help="see it work, in one process",
        description="Stations that replay recorded traffic, edges, cloud and a small CSMS in one process, with a live table of bytes. Time is"
        " compressed, and with it how long a message may wait. Without --duration-s it ends by itself after about half a minute, when each"
        " recording and three days of a home charger have been played once; Ctrl-C ends it earlier. Exit code 1: not every message arrived"
        " exactly.",
    )
    parser.add_argument(
        "--duration-s", type=_duration, metavar="N", help="end after this many seconds at the latest; the home charger goes on until then"
    )
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON on standard output at the end; the month projected is the home charger's"
    )
    parser.add_argument("--trace", type=Path, metavar="FILE", help="replay this recording too")
    parser.add_argument(
        "--plan",
        type=PlanName,
        choices=list(PlanName),
        default=PlanName.SAVER,
        help="freshness against bytes, as in edge.toml (default: %(default)s, the one with the fewest bytes)",
    )
    parser.set_defaults(func=_demo)


def _duration(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not DURATION_S_MIN <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least {DURATION_S_MIN:g} seconds")
    return value


def _demo(args: argparse.Namespace) -> int:
    # Imported when it runs: the other commands need none of it.
    from rich.console import Console

    from ocppress_gateway.demo.cast import HOME
    from ocppress_gateway.demo.program import Options, run
    from ocppress_gateway.demo.table import story

    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = TABLE_COLUMNS
    final = run(Options(args.duration_s, args.trace, args.plan), console)
    for line in story(final):
        print(line, file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(final.as_json(HOME)))
    if not final.all_delivered:
        print(f"ocppress: of {final.accepted} messages {final.delivered} were delivered exactly", file=sys.stderr)
        return NOT_DELIVERED
    return OK
