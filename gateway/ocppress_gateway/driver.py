"""The one loop that runs a machine: take events, step, run the effects in order, arm one timer.

    readers ── post ───► ┌───────┐          ┌─────────┐            ┌──────────┐
    writers ─ post_now ► │ inbox │ ─event─► │ machine │ ─effects─► │ executor │ ─► writers' queues ─► sockets
    timer ─────────────► └───────┘          └─────────┘            └──────────┘

The loop itself waits for nothing but the inbox, so whoever waits for room in the inbox always gets it: there is nothing to deadlock with.
An exception out of the machine or the executor is a programmer's error; it leaves `run` and ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn

from ocppress_gateway.core.events import Effect, Event, Note, Tick
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.log import log_note

__all__ = ["EVENTS_MAX", "Driver", "Execute"]

EVENTS_MAX: Final = 64
"""Events from readers that wait for the machine. Each may hold a message of `MESSAGE_TEXT_BYTES_MAX` (1 MiB), so this is what bounds
memory when every station sends its largest at once; then their readers wait, and TCP slows the stations down."""

EVENTS_PER_TURN_MAX: Final = 32
"""Events after which the writers have their turn, so that a flood from one side doesn't keep the answers waiting."""

Execute = Callable[[Effect], None]
"""Carries out one effect and returns at once: it starts tasks and fills queues, and never waits."""


class Driver:
    """Runs one machine. `clock` gives monotonic seconds; timers are armed as differences of it."""

    def __init__(self, machine: Machine, execute: Execute, *, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._execute = execute
        self._logger = logger
        self._clock = clock
        self._inbox: deque[tuple[Event, bool]] = deque()
        self._room = asyncio.Semaphore(EVENTS_MAX)
        self._wake = asyncio.Event()
        self._turn_done = asyncio.Event()

    async def post(self, event: Event) -> None:
        """Hand over an event of a reader; waits while the inbox is full."""
        await self._room.acquire()
        self._inbox.append((event, True))
        self._wake.set()

    def post_now(self, event: Event) -> None:
        """Hand over an event of which a socket causes only a few in its life, or only one per effect (`LinkSent`, a close): never waits."""
        self._inbox.append((event, False))
        self._wake.set()

    async def turn(self) -> None:
        """Wait until the loop has worked off events again; what depends on them may have changed."""
        await self._turn_done.wait()

    async def run(self) -> NoReturn:
        """Run until cancelled."""
        while True:
            await self._wait()
            self._wake.clear()
            for _ in range(min(len(self._inbox), EVENTS_PER_TURN_MAX)):
                event, counted = self._inbox.popleft()
                if counted:
                    self._room.release()
                self._step(event)
            deadline = self._machine.next_deadline()
            if deadline is not None and deadline <= self._clock():
                self._step(Tick())
            self._turn_done.set()
            self._turn_done = asyncio.Event()
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Until an event waits or the machine's deadline is due."""
        if self._inbox:
            return
        deadline = self._machine.next_deadline()
        if deadline is None:
            await self._wake.wait()
            return
        timer = asyncio.get_running_loop().call_later(max(0.0, deadline - self._clock()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _step(self, event: Event) -> None:
        for effect in self._machine.step(event, self._clock()):
            if isinstance(effect, Note):
                log_note(self._logger, effect)
            else:
                self._execute(effect)
