"""What can be asked of a desk, and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["Call", "Late", "Lazy", "Read", "Result", "Write"]

Result = Callable[[], None]
"""Reports what has become of a call; run by the caller's side."""


@dataclass(frozen=True, slots=True)
class Late:
    """What becomes of a write that a store only collects within a transaction, and sends at its end. `settle`, called after that, raises
    `StoreFull` or says what to report."""

    settle: Callable[[], Result]


@dataclass(slots=True, eq=False)
class Write:
    """Something to write. `run` is called within a transaction, `failed` makes of a reason what to report."""

    run: Callable[[], Result | Late]
    failed: Callable[[str], Result]
    text: int = 0
    """Characters, for the size of a transaction."""
    keep: bool = False
    """Try again until it works, and report the first failure only; otherwise a failure is the end of it."""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Lazy:
    """Something to write that nobody waits for; a later one with the same key takes its place. `hurry`: but it should be on disk soon."""

    key: Hashable
    run: Callable[[], None]
    hurry: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Something to read; tried again until it works."""

    run: Callable[[], Result]


Call = Write | Lazy | Read
