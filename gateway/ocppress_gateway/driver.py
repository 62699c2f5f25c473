"""Runs a machine: take an event, step, run the effects in order, keep one timer.

    readers ── post ───► ┌───────┐          ┌─────────┐            ┌──────────┐
    writers ─ post_now ► │ inbox │ ─event─► │ machine │ ─effects─► │ executor │ ─► sockets
    timer ─────────────► └───────┘          └─────────┘            └──────────┘

An event that finds the inbox empty is worked off where it is posted, without waking any task. The others, and a share of those, wait for the loop in
`run`, which waits for nothing but the inbox: whoever waits for room in it always gets it, so there is nothing to deadlock with.
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
"""Events after which everybody else has a turn, so that a flood from one side doesn't keep the answers waiting."""

Execute = Callable[[Effect], None]
"""Carries out one effect and returns at once: it writes what can be written now, starts tasks and fills queues, and never waits."""


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
        self._at_once = 0
        """How many more events may be worked off where they are posted, until `run` has had its turn."""
        self._stepping = False
        self._turn_done: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._failure: BaseException | None = None

    async def post(self, event: Event) -> None:
        """Hand over an event of a reader; waits while the inbox is full."""
        if self._may_step:
            self._step_at_once(event)
        else:
            await self._room.acquire()
            self._put(event, counted=True)

    def post_now(self, event: Event) -> None:
        """Hand over an event of which a socket causes only a few in its life, or only one per effect (`LinkSent`, a close): never waits."""
        if self._may_step:
            self._step_at_once(event)
        else:
            self._put(event, counted=False)

    async def turn(self) -> None:
        """Wait until events have been worked off again; what depends on them may have changed."""
        await self._next_turn().wait()

    async def stepped(self) -> None:
        """Have the machine take a step, and wait until it has: it and the event loop are alive."""
        done = self._next_turn()  # before the event, which may be worked off at once
        self.post_now(Tick())
        await done.wait()

    async def run(self) -> NoReturn:
        """Run until cancelled."""
        try:
            while True:
                self._wake.clear()
                if self._failure is not None:
                    raise self._failure
                self._work_off(EVENTS_PER_TURN_MAX)
                deadline = self._machine.next_deadline()
                if deadline is not None and deadline <= self._clock():
                    self._step(Tick())
                self._end_turn()
                await asyncio.sleep(0)
                if not self._inbox:
                    self._at_once = EVENTS_PER_TURN_MAX
                    await self._wake.wait()
        finally:
            self._at_once = 0
            self._disarm()

    @property
    def _may_step(self) -> bool:
        return self._at_once > 0 and not self._stepping and not self._inbox

    def _put(self, event: Event, *, counted: bool) -> None:
        self._inbox.append((event, counted))
        if not self._stepping:
            self._wake.set()

    def _step_at_once(self, event: Event) -> None:
        """Take an event, and those that its effects cause; what goes wrong is `run`'s."""
        try:
            self._at_once -= 1
            self._step(event)
            self._work_off(self._at_once)
            self._end_turn()
        except BaseException as error:
            self._failure = error
            self._at_once = 0
        if self._inbox or not self._at_once:
            self._wake.set()

    def _work_off(self, events_max: int) -> None:
        for _ in range(min(len(self._inbox), events_max)):
            event, counted = self._inbox.popleft()
            if counted:
                self._room.release()
            self._step(event)

    def _step(self, event: Event) -> None:
        self._stepping = True
        try:
            for effect in self._machine.step(event, self._clock()):
                if isinstance(effect, Note):
                    log_note(self._logger, effect)
                else:
                    self._execute(effect)
        finally:
            self._stepping = False

    def _next_turn(self) -> asyncio.Event:
        if self._turn_done is None:
            self._turn_done = asyncio.Event()
        return self._turn_done

    def _end_turn(self) -> None:
        self._arm()
        if self._turn_done is not None:
            self._turn_done.set()
            self._turn_done = None

    # --- the timer: one that goes off too early is set anew, which is rare; most deadlines are for what comes before them

    def _arm(self) -> None:
        deadline = self._machine.next_deadline()
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        self._disarm()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - self._clock()), self._due)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._wake.set()
