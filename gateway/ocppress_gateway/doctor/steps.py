"""The order of steps: one whose precondition has failed is skipped, and says which that was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from ocppress_gateway.doctor.findings import Finding, Verdict, failed, skipped
from ocppress_gateway.errors import GatewayError

__all__ = ["Step", "run"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step by its name; `needs` are names of steps before it that must not have failed."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    needs: tuple[str, ...] = ()


async def run(steps: Sequence[Step]) -> AsyncIterator[Finding]:
    """All of them, as they are done."""
    root: dict[str, str] = {}  # of each step that failed, or was skipped for one that had: the one that had
    for step in steps:
        cause = next((root[need] for need in step.needs if need in root), None)
        finding = skipped(step.name, f"`{cause}` failed") if cause is not None else await _looked(step)
        if finding.verdict is Verdict.FAIL:
            root[step.name] = step.name
        elif cause is not None:
            root[step.name] = cause
        yield finding


async def _looked(step: Step) -> Finding:
    try:
        return await step.look()
    except (OSError, GatewayError) as error:
        return failed(step.name, f"could not be looked at: {error}", "run it as the user who runs the program, or as root")
