"""A machine for tests of the shells around one: it records events, and a test says which effects follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from ocppress_gateway.core.events import Effect, Event, Tick
from ocppress_gateway.program import Program

__all__ = ["WAIT_S", "ScriptedMachine"]

WAIT_S = 10.0
"""How long to wait for an event; reached only when something is broken."""

Wanted = TypeVar("Wanted")


class ScriptedMachine:
    """`react` gives the effects of an event; `events` is what came so far."""

    def __init__(self, react: Callable[[Event], Sequence[Effect]] | None = None) -> None:
        self.react = react or (lambda _: ())
        self.events: list[Event] = []
        self.deadline: float | None = None
        self._changed = asyncio.Event()
        self._wanted: list[Effect] = []

    def step(self, event: Event, now: float) -> list[Effect]:
        assert now >= 0
        self.events.append(event)
        self._changed.set()
        wanted, self._wanted = self._wanted, []
        return [*wanted, *self.react(event)]

    def do(self, program: Program, *effects: Effect) -> None:
        """Let the program carry out these effects."""
        self._wanted += effects
        program._driver.post_now(Tick())

    def next_deadline(self) -> float | None:
        return self.deadline

    async def event(self, kind: type[Wanted], count: int = 1) -> Wanted:
        """The `count`-th event of this kind, once it has come."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]
