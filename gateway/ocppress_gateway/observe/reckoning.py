"""What a station's month would cost, by `ocppress estimate` in a process of its own: it takes a processor for a while, and stations don't wait."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

__all__ = ["reckoned"]

MB: Final = 1_000_000

NICE: Final = ("nice", "-n", "19")
"""Whatever else there is to do comes first."""


async def reckoned(trace: Path) -> dict[str, float] | str:
    """Days observed, and MB a month by plan and without ocppress; or why that can't be said."""
    command = [sys.executable, "-m", "ocppress_gateway", "estimate", str(trace), "--plans-only", "--json", "--jobs", "1"]
    try:
        process = await asyncio.create_subprocess_exec(
            *NICE, *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        return f"it can't be started: {error.strerror or error}"
    try:
        out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        return (said.decode(errors="replace").splitlines() or ["it ended without a word"])[-1].removeprefix("ocppress: ")
    (report,) = json.loads(out.splitlines()[-1])["sources"]
    months = {name: one["ip_bytes_month"] for name, one in report["baselines"].items()}
    months |= {one["plan"]: one["ip_bytes_month"] for one in report["plans"]}
    return {"days": report["days"]} | {name: round(count / MB, 3) for name, count in months.items()}
