"""`ocppress doctor`: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import asyncio
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec

from ocppress_gateway.config import EdgeConfig, load
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.doctor.findings import Finding, Verdict, failed, skipped
from ocppress_gateway.doctor.steps import Step, run
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.masking import printable

__all__ = ["add_parser"]

OK: Final = 0
FAILED: Final = 1

_MARKS: Final = {Verdict.PASS: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL", Verdict.SKIP: "-"}
_STEP_WIDTH: Final = 23
"""The longest step's name, `clock against the cloud`."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`; its function is in `func`."""
    parser = commands.add_parser(
        "doctor",
        help="what is wrong at this edge or cloud, and what helps",
        description="Check the path of an edge or a cloud step by step: its configuration, disk, clock and certificates, the way to its cloud, broker or CSMS,"
        " its listener and the program that runs. It changes nothing, shows no secret, and leaves a link that is up alone; at an edge it costs the SIM about"
        " 12 kB. Run it as the user who runs the program.",
        epilog="exit codes: 0 nothing has failed, though there may be warnings; 1 something has; 2 the command line can't be used",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the program's configuration, edge.toml or cloud.toml")
    parser.add_argument(
        "--station",
        type=_identity,
        metavar="IDENTITY",
        help="at a cloud, also try an upgrade at the CSMS with this identity, without a password: take one that no station uses",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output instead, at the end")
    parser.set_defaults(func=_run)


def _identity(text: str) -> str:
    if re.match(IDENTITY_PATTERN, text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no identity of a station")
    return text


def _run(args: argparse.Namespace) -> int:
    findings = asyncio.run(_examined(args))
    counts = Counter(finding.verdict for finding in findings)
    is_well = not counts[Verdict.FAIL]
    if args.json:
        steps = [_data(finding) for finding in findings]
        print(msgspec.json.encode({"ok": is_well, "counts": {one.value: counts[one] for one in Verdict}, "steps": steps}).decode())
    else:
        print(
            f"{counts[Verdict.PASS]} passed, {counts[Verdict.WARN]} warned, {counts[Verdict.FAIL]} failed, {counts[Verdict.SKIP]} skipped"
        )
    return OK if is_well else FAILED


async def _examined(args: argparse.Namespace) -> list[Finding]:
    """All findings, each printed as it is made unless JSON is wanted."""
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if not args.json:
            _print(finding)

    try:
        steps = _steps(args)
    except ConfigError as error:
        note(failed("configuration", str(error), "correct it there; `ocppress edge --check` or `cloud --check` shows what is understood"))
        note(skipped("everything else", "`configuration` failed"))
        return findings
    async for finding in run(steps):
        note(finding)
    return findings


def _steps(args: argparse.Namespace) -> list[Step]:
    # Both sides' programs are loaded by those who need them.
    config = load(args.config)
    if isinstance(config, EdgeConfig):
        from ocppress_gateway.doctor.edge import EdgeDoctor

        if args.station is not None:
            raise UsageError("--station is for a cloud: it is the CSMS that is asked")
        sim = tomllib.loads(args.config.read_text(encoding="utf-8")).get("sim", {})
        return EdgeDoctor(args.config, config, budget_is_set="budget_mb" in sim).steps()
    from ocppress_gateway.doctor.cloud import CloudDoctor

    return CloudDoctor(args.config, config, station=args.station).steps()


def _data(finding: Finding) -> dict[str, Any]:
    said = {"step": finding.step, "verdict": finding.verdict.value, "found": finding.found}
    return said | ({"remedy": finding.remedy} if finding.remedy else {}) | finding.fields


def _print(finding: Finding) -> None:
    print(f"{_MARKS[finding.verdict]:<5} {finding.step:<{_STEP_WIDTH}}  {printable(finding.found)}", flush=True)
    if finding.remedy:
        print(f"{'':<5} {'':<{_STEP_WIDTH}}  what helps: {printable(finding.remedy)}", flush=True)
