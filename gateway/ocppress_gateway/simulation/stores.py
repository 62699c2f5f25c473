"""The stores of both ends in virtual time: what is on disk outlives the programs.

Faults of the outbox:
  fail     for a while it takes nothing
  lose     of what was being written when the edge died, the first so many writes are on disk, the others aren't, at random
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random

from ocppress_gateway.core.events import (
    Bury,
    Effect,
    Event,
    ForgetStored,
    LoadPositions,
    LoadStored,
    RememberStation,
    SaveContext,
    SavePosition,
    StoreMessage,
)
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import (
    Buried,
    DeadLetter,
    Lane,
    Loaded,
    NotStored,
    OutboxOpened,
    PositionSaved,
    PositionsLoaded,
    StationRecord,
    Stored,
    StoredMessage,
)

__all__ = ["VirtualOutbox", "VirtualPositions"]

WRITE_S_MAX = 0.06
"""A write by a slow disk, or one that waits for its turn."""

Later = Callable[[float, Callable[[], None]], None]
Tell = Callable[[Event], None]
Lives = Callable[[], bool]
"""Whether the machine that asked still does."""


class VirtualOutbox:
    """The edge's disk."""

    def __init__(self, random: Random) -> None:
        self.incarnation = random.randbytes(8)
        self.failing = False
        self.write_s_max = WRITE_S_MAX
        """How long a write takes at the most."""
        self.messages: dict[tuple[str, Lane], dict[int, StoredMessage]] = {}
        self._random = random
        self._newest: dict[tuple[str, Lane], int] = {}
        self._delivered: dict[tuple[str, Lane], int] = {}
        self._accepted: dict[str, tuple[bool, int]] = {}
        self._known: dict[str, list[bytes]] = {}
        self._free_at = 0.0
        self._writing: deque[Callable[[], Event | None]] = deque()
        """What the living program has asked for and isn't done, oldest first; each returns what to tell it."""

    def opened(self) -> OutboxOpened:
        """What a program finds that begins. The one before is dead: it writes nothing any more."""
        if self._writing:
            for _ in range(self._random.randint(0, len(self._writing))):
                self._writing.popleft()()
            self._writing = deque()
        identities = {identity for identity, _ in self._newest} | set(self._accepted)
        return OutboxOpened(self.incarnation, tuple(self._record(identity) for identity in sorted(identities)))

    def _record(self, identity: str) -> StationRecord:
        accepted, interval_s = self._accepted.get(identity, (False, 0))
        delivered = [self._delivered.get((identity, lane), 0) for lane in Lane]
        newest = [self._newest.get((identity, lane), 0) for lane in Lane]
        fingerprints = tuple(self._known.get(identity, [])[-128:])
        return StationRecord(identity, "1.6", (delivered[0], delivered[1]), (newest[0], newest[1]), accepted, interval_s, fingerprints)

    def carry_out(self, effect: Effect, now: float, later: Later, tell: Tell) -> None:
        """Do what the edge's machine asks, each after those before."""
        self._free_at = max(self._free_at, now + self._random.uniform(0.001, self.write_s_max))
        failing = self.failing
        delay_s = self._free_at - now
        match effect:
            case StoreMessage():
                self._write(partial(self._store, effect, failing), delay_s, later, tell)
            case LoadStored():
                later(delay_s, lambda: self._load(effect, tell))
            case ForgetStored():
                self._write(partial(self._forget, effect), delay_s, later, tell)
            case RememberStation():
                self._accepted[effect.identity] = effect.accepted, effect.heartbeat_interval_s
            case _:
                raise TypeError(f"an outbox cannot do {type(effect).__name__}")

    def _write(self, write: Callable[[], Event | None], delay_s: float, later: Later, tell: Tell) -> None:
        writing = self._writing
        writing.append(write)

        def done() -> None:
            if writing is self._writing:
                event = writing.popleft()()
                if event is not None:
                    tell(event)

        later(delay_s, done)

    def _store(self, effect: StoreMessage, failing: bool) -> Event:
        message = effect.message
        key = message.identity, message.lane
        if failing:
            return NotStored(effect.ticket, "disk full")
        position = self._newest.get(key, 0) + 1
        self._newest[key] = position
        self.messages.setdefault(key, {})[position] = message
        if message.fingerprint:
            self._known.setdefault(message.identity, []).append(message.fingerprint)
        return Stored(effect.ticket, position)

    def _load(self, effect: LoadStored, tell: Tell) -> None:
        found: list[StoredMessage] = []
        text = 0
        stored = self.messages.get((effect.identity, effect.lane), {})
        for position in sorted(stored):
            if position > effect.after and (not found or text + len(stored[position].body) <= effect.text_max):
                message = stored[position]
                found.append(
                    StoredMessage(
                        message.identity,
                        message.lane,
                        position,
                        message.version,
                        message.body,
                        message.urgent,
                        message.fingerprint,
                        message.stored_at_s,
                    )
                )
                text += len(message.body)
        tell(Loaded(effect.identity, effect.lane, tuple(found)))

    def _forget(self, effect: ForgetStored) -> None:
        key = effect.identity, effect.lane
        self._delivered[key] = max(self._delivered.get(key, 0), effect.position)
        kept = self.messages.get(key, {})
        for position in [position for position in kept if position <= effect.position]:
            del kept[position]


class VirtualPositions:
    """The cloud's disk."""

    def __init__(self, random: Random) -> None:
        self.positions: dict[str, dict[bytes, tuple[int, int]]] = {}
        self.dead: list[DeadLetter] = []
        self.contexts: list[SavedContext] = []
        """Of a cloud that has stopped; none while one runs."""
        self._random = random
        self._free_at = 0.0

    def carry_out(self, effect: Effect, now: float, later: Later, lives: Lives, tell: Tell) -> None:
        """Do what the cloud's machine asks, each after those before."""
        self._free_at = max(self._free_at, now + self._random.uniform(0.001, WRITE_S_MAX))
        delay_s = self._free_at - now
        match effect:
            case LoadPositions():
                later(delay_s, lambda: tell(PositionsLoaded(effect.identity, dict(self.positions.get(effect.identity, {})))))
            case SavePosition():
                later(delay_s, lambda: self._save(effect, lives, tell))
            case Bury():
                later(delay_s, lambda: self._bury(effect.letter, tell))
            case SaveContext():
                context = effect.context.saved() if isinstance(effect.context, LeavingContext) else effect.context
                self.contexts += [] if context is None else [context]
            case _:
                raise TypeError(f"a store of positions cannot do {type(effect).__name__}")

    def take_contexts(self) -> tuple[SavedContext, ...]:
        """What a cloud finds that begins, and the next one doesn't."""
        found, self.contexts = tuple(self.contexts), []
        return found

    def _save(self, effect: SavePosition, lives: Lives, tell: Tell) -> None:
        if not lives() and self._random.random() < 0.5:
            return
        known = self.positions.setdefault(effect.identity, {})
        express, ordered = known.get(effect.incarnation, (0, 0))
        position = effect.position
        known[effect.incarnation] = (max(express, position), ordered) if effect.lane is Lane.EXPRESS else (express, max(ordered, position))
        tell(PositionSaved(effect.identity, effect.incarnation, effect.lane, position))

    def _bury(self, letter: DeadLetter, tell: Tell) -> None:
        self.dead.append(letter)
        tell(Buried(letter.identity, letter.message_id, len(self.dead)))
