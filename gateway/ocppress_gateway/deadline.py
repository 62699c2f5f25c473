"""A time limit that may be set before the work that it limits begins, while it runs, or never."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

__all__ = ["Deadline"]


class Deadline:
    """Ends the task inside `limit` at a time that `end_within` names, possibly from another task."""

    def __init__(self) -> None:
        self._when: float | None = None
        self._scope: asyncio.Timeout | None = None

    def end_within(self, seconds: float) -> None:
        """Let the work inside `limit`, now or later, go on for so long at most."""
        self._when = asyncio.get_running_loop().time() + seconds
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(self._when)

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Raises `TimeoutError` out of the block when the time is up."""
        async with asyncio.timeout_at(self._when) as self._scope:
            try:
                yield
            finally:
                self._scope = None
