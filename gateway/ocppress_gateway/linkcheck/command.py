"""The command's arguments, and what it prints."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from ocppress_gateway.config import load_edge
from ocppress_gateway.errors import UsageError
from ocppress_gateway.linkcheck.steps import MINUTES_MAX, PROBES_OFF_S, LinkCheck, Step, Trouble

__all__ = ["add_parser"]

OK: Final = 0
REFUSED: Final = 1
UNAVAILABLE: Final = 69


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check-link`; its function is in `func`."""
    parser = commands.add_parser(
        "check-link",
        help="whether an edge reaches its cloud, and how long a silence the way stands",
        description="Go from an edge to its cloud step by step, with the edge's own configuration and certificates: look-up, TCP, TLS, upgrade, and what"
        " a hello would be answered. It says no hello, so that an edge that runs keeps its link; it costs the SIM about 10 kB. With --minutes it then"
        " holds the connection without a packet, and says whether a NAT or a server cuts it.",
        epilog="exit codes: 0 all is well; 1 the cloud was reached and something is wrong; 69 it was not reached; 78 the configuration can't be used",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the edge's configuration, edge.toml")
    parser.add_argument(
        "--minutes", type=_minutes, default=0.0, metavar="N", help=f"then hold the connection silent for so long, up to {MINUTES_MAX}"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output instead, at the end")
    parser.set_defaults(func=_run)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} isn't from 0 to {MINUTES_MAX}")
    return minutes


def _run(args: argparse.Namespace) -> int:
    from ocppress_gateway.edge.program import link_connector, own_certificate  # the edge's program is loaded by those who need it

    config = load_edge(args.config)
    link = config.link
    if link.over_mqtt:
        raise UsageError("check-link is for `wss://` and `ws://`: a broker would take it for the edge, whose link would end")

    def progress(silent_s: float) -> None:
        print(f"silent for {silent_s:.0f} s", file=sys.stderr)

    context = None if link.tls is None else own_certificate(link.tls, config.state_folder).context
    check = LinkCheck(link, link_connector(link, context, PROBES_OFF_S), progress=progress)
    return asyncio.run(_steps(check, args.minutes, as_json=args.json))


async def _steps(check: LinkCheck, minutes: float, *, as_json: bool) -> int:
    done: list[dict[str, Any]] = []
    code, trouble = OK, None
    try:
        async for step in check.run(minutes):
            done.append(
                {"step": step.name, "ok": True, "says": step.words, **step.fields, **({"warning": step.warning} if step.warning else {})}
            )
            if not as_json:
                _print(step)
    except Trouble as found:
        trouble = found
        code = REFUSED if found.reached else UNAVAILABLE
        done.append({"step": found.name, "ok": False, "says": str(found), "remedy": found.remedy})
    if as_json:
        print(msgspec.json.encode({"ok": trouble is None, "steps": done}).decode())
    elif trouble is not None:
        print(f"{trouble.name}: {trouble}\n  what helps: {trouble.remedy}")
    return code


def _print(step: Step) -> None:
    print(f"{step.name}: {step.words}", flush=True)
    if step.warning:
        print(f"  but: {step.warning}", flush=True)
