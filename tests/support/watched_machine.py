"""A machine whose notes are kept, to wait for one and to see that none is an error."""

from __future__ import annotations

import asyncio
from collections import Counter

from ocppress_gateway.core.events import Effect, Event, Level, Note
from ocppress_gateway.core.machine import Machine

__all__ = ["WatchedMachine"]


class WatchedMachine:
    """`counts` has how often each note's words were said, `notes` the notes that are more than information."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._changed = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.notes: list[Note] = []

    def step(self, event: Event, now: float) -> list[Effect]:
        effects = self._machine.step(event, now)
        for effect in effects:
            if isinstance(effect, Note):
                self.counts[effect.words] += 1
                if effect.level > Level.INFO:
                    self.notes.append(effect)
                self._changed.set()
        return effects

    @property
    def errors(self) -> list[Note]:
        return [note for note in self.notes if note.level >= Level.ERROR]

    def next_deadline(self) -> float | None:
        return self._machine.next_deadline()

    async def noted(self, words: str, count: int = 1) -> None:
        """Wait until this has been said as often."""
        while self.counts[words] < count:
            self._changed.clear()
            await self._changed.wait()
