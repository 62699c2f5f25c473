"""Runs a desk in a thread beside the event loop: calls go in at once, results come back into the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final

from ocppress_gateway.storage.calls import Call, Lazy, Result, Write
from ocppress_gateway.storage.desk import Desk

__all__ = ["CLOSE_S_MAX", "DeskThread"]

CLOSE_S_MAX: Final = 10.0
"""How long closing waits for the disk to take what waits; a disk that hangs must not keep the program from ending."""


class DeskThread:
    """A desk's thread. All methods belong to the event loop."""

    def __init__(self, desk: Desk, *, name: str, slow_s: float, report_late: Callable[[str], None]) -> None:
        """`report_late` is called when the disk has been at work for `slow_s` and isn't done."""
        self._desk = desk
        self._name = name
        self._slow_s = slow_s
        self._report_late = report_late
        self._wake = threading.Event()
        self._pausing = False
        """Whether the thread sleeps until a transaction is due that takes whatever is written meanwhile."""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; within a running loop, once."""
        assert self._thread is None, "started twice"
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        # A daemon: Python must not wait at its exit for a thread that a dead disk holds.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        """Hand a call to the desk."""
        self._desk.submit(call)
        if not isinstance(call, Lazy):
            self._watch_disk()
        if not (self._pausing and isinstance(call, Write)):
            self._wake.set()

    async def ended(self) -> None:
        """Wait until the thread has ended; raises what ended it: `StoreInUse`, `StoreNewer`, `StoreDamaged`."""
        assert self._ended is not None, "not started"
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Let the desk write what waits, and end. Safe to call twice, and without `start`."""
        if self._ended is None:
            return
        self._closing = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await asyncio.wait((self._ended,))
        if self._ended.done() and not self._ended.cancelled():
            self._ended.exception()  # whoever waits in `ended` gets it; here it is no news
        if self._watch is not None:
            self._watch.cancel()

    # --- in the loop

    def _watch_disk(self) -> None:
        """Look whether the disk is late, now and again while there is reason to."""
        assert self._loop is not None, "not started"
        reason = self._desk.late(time.monotonic())
        if reason is not None:
            self._report_late(reason)
            self._wake.set()
        if self._watch is None:
            self._watch = self._loop.call_later(self._slow_s, self._watch_again)

    def _watch_again(self) -> None:
        self._watch = None
        if self._desk.at_work:
            self._watch_disk()

    def _deliver(self, results: list[Result]) -> None:
        for result in results:
            result()

    # --- in the thread

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            while not self._closing:
                self._wake.clear()
                self._post(self._desk.step())
                due_at = self._desk.due_at()
                if not self._closing:
                    self._pausing = due_at is not None and self._desk.pauses
                    self._wake.wait(None if due_at is None else max(0.0, due_at - time.monotonic()))
                    self._pausing = False
            self._post(self._desk.close())
        except BaseException as error:  # reported by `ended`
            failure = error
            self._desk.abandon()
        self._post_end(failure)

    def _post(self, results: list[Result]) -> None:
        if results:
            self._call_in_loop(lambda: self._deliver(results))

    def _post_end(self, failure: BaseException | None) -> None:
        def end() -> None:
            assert self._ended is not None
            if self._ended.done():
                return
            if failure is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(failure)

        self._call_in_loop(end)

    def _call_in_loop(self, work: Callable[[], None]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self._loop.call_soon_threadsafe(work)
