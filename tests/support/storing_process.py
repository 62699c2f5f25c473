"""A process that stores and forgets messages as fast as it can, and says what it was told, until it is killed.

    python -m tests.support.storing_process FOLDER SEED FIRST_NUMBER

Each line on standard output was true when it was written: `opened INCARNATION`, `stored STATION LANE POSITION NUMBER`; `forget STATION LANE POSITION`
and `ask NUMBER` stand there before it is done.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path
from random import Random

from ocppress_gateway.core.stored import Lane, OutboxEvent, OutboxOpened, Stored
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.outbox.worker import OutboxWorker
from tests.support.stores import message

__all__ = ["STATIONS", "main"]

STATIONS = ("CP1", "CP2", "CP3")
UNDER_WAY = 20


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class _Storing:
    """Keeps some messages under way, and forgets what was stored, at random."""

    def __init__(self, folder: Path, random: Random, first_number: int) -> None:
        self.outbox = OutboxWorker(SqliteOutboxStore(folder), self._hear)
        self._random = random
        self._numbers = itertools.count(first_number)
        self._asked: dict[int, tuple[str, Lane]] = {}

    def _hear(self, event: OutboxEvent) -> None:
        if isinstance(event, OutboxOpened):
            assert event.fault is None
            _say("opened", event.incarnation.hex())
            for _ in range(UNDER_WAY):
                self._store()
        elif isinstance(event, Stored):
            identity, lane = self._asked.pop(event.ticket)
            _say("stored", identity, lane.value, event.position, event.ticket)
            if self._random.random() < 0.1:
                position = event.position - self._random.randrange(4)
                _say("forget", identity, lane.value, position)
                self.outbox.forget(identity, lane, position)
            self._store()

    def _store(self) -> None:
        number = next(self._numbers)
        key = self._asked[number] = self._random.choice(STATIONS), self._random.choice(list(Lane))
        _say("ask", number)
        identity, lane = key
        self.outbox.store(number, message(number, identity=identity, lane=lane, fill=self._random.choice([0, 600, 600, 5000])))


async def main() -> None:
    folder, seed, first_number = sys.argv[1:]
    storing = _Storing(Path(folder), Random(int(seed)), int(first_number))
    storing.outbox.open()
    await storing.outbox.ended()


if __name__ == "__main__":
    asyncio.run(main())
