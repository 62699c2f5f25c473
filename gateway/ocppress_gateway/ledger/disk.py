"""Blocking calls one after the other in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["DiskThread"]

Outcome = TypeVar("Outcome")


class DiskThread:
    """A thread that lives as long as the process, and doesn't keep that from ending while a dead disk holds it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Outcome]) -> Outcome:
        """What `work` returns or raises, when its turn has come. Who is cancelled waits no longer; the work is done all the same."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome | None, error: Exception | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(outcome)  # type: ignore[arg-type]  # None only where `work` returned it

        def call() -> None:
            outcome: Outcome | None = None
            failure: Exception | None = None
            try:
                outcome = work()
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome, failure)

        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._calls.put(call)
        return await done

    def _work(self) -> None:
        while True:
            self._calls.get()()
