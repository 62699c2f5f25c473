"""What the two programs have in common: a machine in its driver, the tasks around it, the link's connections, an orderly end."""

from __future__ import annotations

import abc
import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ocppress_gateway.control.protocol import Answer, Request
from ocppress_gateway.control.server import ControlServer
from ocppress_gateway.core.events import Effect, Level, Note, Stop
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.driver import Driver
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.links import Links
from ocppress_gateway.log import log_note
from ocppress_gateway.service_manager import ServiceManager
from ocppress_gateway.taps import Taps

if TYPE_CHECKING:
    from ocppress_gateway.admin.server import AdminServer

__all__ = ["NO_EXTRA", "Program", "run_until_signal"]

NO_EXTRA: Final = "the table `admin` needs packages that are not there: pip install 'ocppress[admin]'"


class Program(abc.ABC):
    """An asynchronous context: inside it, the program runs. Leaving it, it stops in an orderly way and raises what went wrong in it."""

    def __init__(
        self,
        machine: Machine,
        *,
        logger: logging.Logger,
        shutdown_s: float,
        control: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shutdown_s`: how long stopping may take to send what waits and to close what is open. `control`: where the operator asks."""
        self._logger = logger
        self._shutdown_s = shutdown_s
        self._driver = Driver(machine, self._execute, logger=logger, clock=clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._stop_wanted = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._admin: AdminServer | None = None
        self._control = None if control is None else ControlServer(control, self._answer, logger=logger)
        self.links = Links(self._driver)
        self.taps = Taps(self._driver.post_now, clock=clock)

    async def __aenter__(self) -> Self:
        try:
            await self._open()
            if self._control is not None:
                await self._control.start()
            if self._admin is not None:
                await self._admin.start()
        except BaseException:
            await self._end()
            raise
        self._serving = asyncio.get_running_loop().create_task(self._serve(), name=self._logger.name)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if self._serving is not None:
            await self._serving

    def stop(self) -> None:
        """Begin to stop; leaving the context waits until it is done."""
        self._stop_wanted.set()

    async def ended(self) -> None:
        """Wait until it has stopped, or failed: leaving the context then raises why."""
        assert self._serving is not None, "only inside the context"
        await asyncio.wait((self._serving,))

    async def stepped(self) -> None:
        """Wait until the machine has taken a step from now on: it and the event loop are alive."""
        await self._driver.stepped()

    # --- what the two differ in

    @abc.abstractmethod
    def _execute(self, effect: Effect) -> None:
        """Carry out one effect without waiting."""

    @abc.abstractmethod
    async def _open(self) -> None:
        """Listen; raises `GatewayError` if that can't be."""

    @abc.abstractmethod
    def _begin(self) -> None:
        """Spawn what runs beside the driver for as long as the program does."""

    @abc.abstractmethod
    async def _answer(self, request: Request) -> Answer:
        """What came of an operator's request."""

    @abc.abstractmethod
    async def _stop_listening(self) -> None:
        """Let nobody new in."""

    @abc.abstractmethod
    def _is_busy(self) -> bool:
        """Whether anything is still open."""

    @abc.abstractmethod
    async def _close(self) -> None:
        """Close all that is left. Also after an `_open` that failed."""

    # --- what they share

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the driver, until it ends or the program does; an exception out of it ends the program."""
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _say(self, level: Level, words: str, **fields: Any) -> None:
        log_note(self._logger, Note(level, words, fields))

    async def _serve(self) -> None:
        try:
            async with self._group:
                self._spawn(self._driver.run(), "driver")
                self._begin()
                await self._stop_wanted.wait()
                self._say(Level.INFO, "stopping")
                try:
                    async with asyncio.timeout(self._shutdown_s):
                        await self._stop_listening()
                        self._driver.post_now(Stop())
                        while self._is_busy():
                            await self._driver.turn()
                except TimeoutError:
                    self._say(Level.WARNING, "not everything could be closed in time", shutdown_s=self._shutdown_s)
                for task in self._tasks:
                    task.cancel()
        except ExceptionGroup as failures:
            known = _for_people(failures)
            if known is None:
                raise
            raise known from failures
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._admin is not None:
            await self._admin.close()
        if self._control is not None:
            await self._control.close()
        await self._close()

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stop_wanted.is_set()

    @property
    def admin_url(self) -> str:
        """Where operators look on."""
        assert self._admin is not None, "only where that is configured"
        return self._admin.url


def _for_people(failures: ExceptionGroup) -> GatewayError | None:
    """The first of the errors that ended the tasks which says in one line what is wrong; None if none does."""
    for failure in failures.exceptions:
        known = _for_people(failure) if isinstance(failure, ExceptionGroup) else failure
        if isinstance(known, GatewayError):
            return known
    return None


def run_until_signal(program: Program) -> int:
    """Run until SIGTERM, then return 0; raises `KeyboardInterrupt` after SIGINT, and what the program raises."""
    manager = ServiceManager(os.environ)

    async def main() -> bool:
        interrupted = False

        def stop() -> None:
            manager.stopping()
            program.stop()

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            stop()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGINT, interrupt)
        async with program, asyncio.TaskGroup() as group:
            manager.ready()
            beat = group.create_task(manager.beat(program.stepped), name="watchdog")
            await program.ended()
            beat.cancel()
        return interrupted

    if asyncio.run(main()):
        raise KeyboardInterrupt
    return 0
