"""Waiting for a store to open, or to say that it can't."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Opening", "Worker"]


class Worker(Protocol):
    """A store in a thread of its own."""

    def open(self) -> None: ...
    async def ended(self) -> None: ...


class Opening:
    """Whoever gets the worker's reports calls `heard` at the first one."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()

    def heard(self) -> None:
        """The store has reported something: it is open, or tries to."""
        self._heard.set()

    async def wait(self, worker: Worker) -> None:
        """Open the store and wait until it has reported. Raises what ended it instead: `StoreInUse`, `StoreNewer`, `StoreDamaged`."""
        worker.open()
        async with asyncio.TaskGroup() as group:
            heard = group.create_task(self._heard.wait(), name="store heard")
            ended = group.create_task(_outcome(worker), name="store ended")
            await asyncio.wait((heard, ended), return_when=asyncio.FIRST_COMPLETED)
            failure = ended.result() if ended.done() else None
            heard.cancel()
            ended.cancel()
        if failure is not None:
            raise failure


async def _outcome(worker: Worker) -> Exception | None:
    try:
        await worker.ended()
    except Exception as error:
        return error
    return None
