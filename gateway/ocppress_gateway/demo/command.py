"""The command line of `ocppress demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo`; its function is in `func`."""
    parser = commands.add_parser(
        "demo",
        help="see it work, in one process",
        description="Stations that replay recorded traffic, edge, cloud and a small CSMS in one process, with a live table of bytes.",
    )
    parser.add_argument("--duration-s", type=float, metavar="N", help="stop after this many seconds; until Ctrl-C otherwise")
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output at the end")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="replay this recording too")
    parser.add_argument("--plan", choices=["transparent"], default="transparent", help="freshness against bytes (default: %(default)s)")
    parser.set_defaults(func=_demo)


def _demo(args: argparse.Namespace) -> int:
    from ocppress_gateway.demo.program import run

    return run(args)
