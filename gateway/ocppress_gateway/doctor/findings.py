"""What a step of the doctor's comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Verdict", "failed", "passed", "skipped", "warned"]


class Verdict(StrEnum):
    """How a step ended. Only `FAIL` makes the exit code 1."""

    PASS = "pass"
    WARN = "warn"
    """It works, and something about it will cost money or end."""
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` and `remedy` are for people, `fields` has numbers and names for machines. No secret is in them."""

    step: str
    verdict: Verdict
    found: str
    remedy: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def passed(step: str, found: str, **fields: Any) -> Finding:
    """All is well."""
    return Finding(step, Verdict.PASS, found, "", fields)


def warned(step: str, found: str, remedy: str, **fields: Any) -> Finding:
    """It works, but."""
    return Finding(step, Verdict.WARN, found, remedy, fields)


def failed(step: str, found: str, remedy: str, **fields: Any) -> Finding:
    """It doesn't work, and this is what helps."""
    return Finding(step, Verdict.FAIL, found, remedy, fields)


def skipped(step: str, why: str) -> Finding:
    """It can't be looked at, or needn't."""
    return Finding(step, Verdict.SKIP, f"skipped because {why}")
