"""What waits to cross the link for one station: three queues, each first in, first out, the upper ones first (rule R4).

    prompt    [Authorize] [an answer to the CSMS]                    somebody waits for it: never stored, overtakes what is
    express   [StatusNotification 17]                                stored, or of a kind that may be and keeps its order with those
    ordered   [MeterValues 41] [41 … 180 on disk] [StopTransaction]  all that has a transaction, stored or not

What is relayed belongs to its sender until it is answered, and is dropped once its time is over. What is stored belongs to the edge: it is durable,
waits for company until it is due, and of a long backlog only the beginning is in memory; the rest is a range of positions that is read from
the outbox when its turn comes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, action_of
from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.limits import (
    BATCH_TEXT_BYTES,
    LANES_MESSAGES_MAX,
    STORED_IN_FLIGHT_MAX,
    STORED_IN_FLIGHT_TEXT_MAX,
    STORED_IN_MEMORY_TEXT_MAX,
    WAITING_TEXT_MAX,
)
from ocppress_gateway.core.policy import Turn
from ocppress_gateway.core.stored import Lane, StoredMessage

__all__ = ["TURN_OF", "Lanes", "Outgoing", "Relay", "Storing"]

DEADLINE_SPREAD_S: Final = 5.0
"""CALLs whose deadlines lie closer than this share a frame, which carries the earliest of them."""

NOW: Final = 0.0
"""Due at once."""

TURN_OF: Final = {Lane.EXPRESS: Turn.EXPRESS, Lane.ORDERED: Turn.ORDERED}
"""Where the stored messages of a lane wait."""


@dataclass(slots=True, eq=False)
class Relay:
    """A CALL that this end took from a socket and that is to be answered: by the far end, or by this one once it is stored."""

    socket: int
    message_id: str
    expires_at: float
    fingerprint: bytes | None = None
    number: int | None = None
    """The CALL's number on the link, once it has left."""
    action: str = ""


@dataclass(slots=True, eq=False)
class Storing:
    """A CALL on its way to the outbox (`position` 0), or in it."""

    lane: Lane
    due_at: float
    position: int = 0


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message on its way to the link. `expires_at` None: for as long as the link's contexts live (answers), or stored."""

    message: Message
    expires_at: float | None = None
    relay: Relay | None = None
    stored: Storing | None = None

    @property
    def due_at(self) -> float:
        """Only what is stored waits for company."""
        return NOW if self.stored is None else self.stored.due_at


@dataclass(slots=True, eq=False)
class _OnDisk:
    """Stored messages that aren't in memory, by position."""

    first: int
    last: int
    asked: bool = False


_Entry = Outgoing | _OnDisk


class _Window:
    """What of a lane has been sent, and not been answered as far as this end knows."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, int]] = deque()
        """Position and length."""
        self._text = 0

    @property
    def is_open(self) -> bool:
        return len(self._sent) < STORED_IN_FLIGHT_MAX and self._text < STORED_IN_FLIGHT_TEXT_MAX

    def add(self, position: int, text: int) -> None:
        self._sent.append((position, text))
        self._text += text

    def answered(self, position: int) -> None:
        while self._sent and self._sent[0][0] <= position:
            self._text -= self._sent.popleft()[1]

    def lost_after(self, position: int) -> None:
        while self._sent and self._sent[-1][0] > position:
            self._text -= self._sent.pop()[1]


class Lanes:
    """The queues of one station."""

    def __init__(self) -> None:
        self._queues: dict[Turn, deque[_Entry]] = {turn: deque() for turn in Turn}
        self._due: dict[Turn, float] = {}
        """When the first of a queue's messages is due, where that is known; forgotten whenever one leaves."""
        self._windows: dict[Lane, _Window] = {lane: _Window() for lane in Lane}
        self._stored_text = 0
        self.sent: dict[Lane, int] = dict.fromkeys(Lane, 0)
        """The newest position that has been put into a frame."""
        self.delivered: dict[Lane, int] = dict.fromkeys(Lane, 0)
        """The newest position that the CSMS has answered, as far as this end knows."""
        self._relayed = 0
        self._relayed_text = 0
        self.expires_at = math.inf
        """Nothing that waits is over time before this."""

    def __len__(self) -> int:
        """What waits, a range on disk as one."""
        return sum(map(len, self._queues.values()))

    def add(self, outgoing: Outgoing, turn: Turn) -> None:
        """Put a message at the end of its queue."""
        assert outgoing.stored is None or turn is TURN_OF[outgoing.stored.lane], "stored messages wait where their positions are counted"
        self._queues[turn].append(outgoing)
        if turn in self._due:
            self._due[turn] = min(self._due[turn], outgoing.due_at)
        self._count(outgoing, 1)

    @property
    def load(self) -> float:
        """How full the queues are of what is not on disk, 1.0 for one of their limits."""
        return max(self._relayed / LANES_MESSAGES_MAX, self._relayed_text / WAITING_TEXT_MAX)

    def due_at(self) -> float | None:
        """When something here should leave, `NOW` for what doesn't wait for company; None if nothing can."""
        at: float | None = None
        for turn, entries in self._queues.items():
            if entries and self._head(turn) is not None:
                at = earlier(at, self._due_in(turn))
        return at

    def _due_in(self, turn: Turn) -> float:
        if turn not in self._due:
            self._due[turn] = min(entry.due_at for entry in self._queues[turn] if isinstance(entry, Outgoing))
        return self._due[turn]

    def hurry(self) -> None:
        """What is stored waits no longer."""
        self._due.clear()
        for entries in self._queues.values():
            for entry in entries:
                if isinstance(entry, Outgoing) and entry.stored is not None:
                    entry.stored.due_at = NOW

    def take_batch(self) -> list[Outgoing]:
        """The next frame's messages, due or not; what is over time must have been taken out.

        The batch ends at `BATCH_TEXT_BYTES` of text (a single longer message goes alone), before a CALL whose deadline is far from
        the first one's, and where stored CALLs and others meet: a frame without a deadline has stored ones.
        """
        batch: list[Outgoing] = []
        text_bytes = 0
        deadline: float | None = None
        stored: bool | None = None
        while (found := self._next()) is not None:
            turn, head = found
            if head.message.type in (MessageType.CALL, MessageType.SEND):
                if stored is not None and stored != (head.stored is not None):
                    break
                stored = head.stored is not None
            if head.expires_at is not None:
                if deadline is not None and abs(head.expires_at - deadline) > DEADLINE_SPREAD_S:
                    break
                deadline = deadline if deadline is not None else head.expires_at
            text_bytes += len(head.message.body.encode())
            if batch and text_bytes > BATCH_TEXT_BYTES:
                break
            batch.append(self._take(turn, head))
        return batch

    def take_over_time(self, now: float) -> list[Outgoing]:
        """Take out what is over time, wherever it waits."""
        if now < self.expires_at:
            return []
        everything = [entry for entries in self._queues.values() for entry in entries if isinstance(entry, Outgoing)]
        dropped = [outgoing for outgoing in everything if outgoing.expires_at is not None and outgoing.expires_at <= now]
        self.expires_at = min(
            (outgoing.expires_at for outgoing in everything if outgoing.expires_at is not None and outgoing.expires_at > now),
            default=math.inf,
        )
        if dropped:
            self._keep(lambda outgoing: outgoing.expires_at is None or outgoing.expires_at > now)
        return dropped

    def _next(self) -> tuple[Turn, Outgoing] | None:
        return next(((turn, head) for turn in self._queues if (head := self._head(turn)) is not None), None)

    def _head(self, turn: Turn) -> Outgoing | None:
        """The first message of a queue, if it may leave: what the edge answers must be on disk, and not too much unanswered."""
        entries = self._queues[turn]
        head = entries[0] if entries else None
        if not isinstance(head, Outgoing):
            return None
        if head.stored is not None and not (head.stored.position and self._windows[head.stored.lane].is_open):
            return None
        return head

    def _take(self, turn: Turn, head: Outgoing) -> Outgoing:
        self._queues[turn].popleft()
        self._due.pop(turn, None)
        self._count(head, -1)
        if head.stored is not None:
            self.sent[head.stored.lane] = head.stored.position
            self._windows[head.stored.lane].add(head.stored.position, len(head.message.body))
        return head

    def _count(self, outgoing: Outgoing, sign: int) -> None:
        text = sign * len(outgoing.message.body)
        if outgoing.stored is not None:
            self._stored_text += text
            return
        self._relayed += sign
        self._relayed_text += text
        if not self._relayed:
            self.expires_at = math.inf
        elif sign > 0 and outgoing.expires_at is not None:
            self.expires_at = min(self.expires_at, outgoing.expires_at)

    # --- stored messages

    def is_stored(self, outgoing: Outgoing, position: int) -> None:
        """It is on disk now; if too much is in memory it is kept only there."""
        assert outgoing.stored is not None, "it was being stored"
        outgoing.stored.position = position
        outgoing.relay = None
        if self._stored_text > STORED_IN_MEMORY_TEXT_MAX:
            self._leave_on_disk(outgoing, TURN_OF[outgoing.stored.lane], position)

    def not_stored(self, outgoing: Outgoing) -> None:
        """It couldn't be stored, and goes as a relayed one in the same place."""
        assert outgoing.stored is not None, "it was being stored"
        assert outgoing.relay is not None, "somebody sent it"
        self._due.pop(TURN_OF[outgoing.stored.lane], None)
        self._count(outgoing, -1)
        outgoing.stored = None
        outgoing.expires_at = outgoing.relay.expires_at
        self._count(outgoing, 1)

    def _leave_on_disk(self, outgoing: Outgoing, turn: Turn, position: int) -> None:
        entries = self._queues[turn]
        place = entries.index(outgoing)
        if place == 0:
            return
        before = entries[place - 1]
        self._due.pop(turn, None)
        self._count(outgoing, -1)
        if isinstance(before, _OnDisk) and before.last + 1 == position:
            before.last += 1
            del entries[place]
        else:
            entries[place] = _OnDisk(position, position)

    def answered(self, lane: Lane, position: int) -> bool:
        """The CSMS has answered everything up to `position`; false if that is nothing new. Raises `ValueError` for what was never sent."""
        if position > self.sent[lane]:
            raise ValueError(f"position {position} answered, {self.sent[lane]} sent")
        if position <= self.delivered[lane]:
            return False
        self.delivered[lane] = position
        self._windows[lane].answered(position)
        return True

    def begin_at(self, lane: Lane, position: int, newest: int) -> None:
        """What the far end has goes up to `position`; all later ones up to `newest`, but those in memory already, are to be sent (again)."""
        entries = self._queues[TURN_OF[lane]]
        self._due.pop(TURN_OF[lane], None)
        self._windows[lane].lost_after(position)
        in_memory = next((_first(entry) for entry in entries if _first(entry)), newest + 1)
        self.sent[lane] = position
        if position + 1 < in_memory:
            head = entries[0] if entries else None
            if isinstance(head, _OnDisk):
                head.first = position + 1
                head.asked = False
            else:
                entries.appendleft(_OnDisk(position + 1, in_memory - 1))
            return
        # The far end has more than was thought: what was sent, but not known to have arrived.
        while entries and 0 < _first(entries[0]) <= position:
            head = entries[0]
            if isinstance(head, _OnDisk):
                if head.last > position:
                    head.first = position + 1
                    head.asked = False
                    break
            else:
                self._count(head, -1)
            entries.popleft()

    def wanted(self) -> list[tuple[Lane, int]]:
        """Lanes whose turn it is to be read from disk, with the position before the first wanted; each is named once."""
        found: list[tuple[Lane, int]] = []
        for lane, turn in TURN_OF.items():
            head = self._queues[turn][0] if self._queues[turn] else None
            if isinstance(head, _OnDisk) and not head.asked:
                head.asked = True
                found.append((lane, head.first - 1))
        return found

    def loaded(self, lane: Lane, messages: Iterable[StoredMessage]) -> None:
        """What was read: the first positions of the range at the queue's head. Anything else has been overtaken by events."""
        entries = self._queues[TURN_OF[lane]]
        head = entries[0] if entries else None
        if not isinstance(head, _OnDisk):
            return
        head.asked = False
        found: list[Outgoing] = []
        for message in messages:
            if message.position == head.first and head.first <= head.last:
                head.first += 1
                body = Message(MessageType.CALL, action_of(MessageType.CALL, message.body), message.body)
                found.append(Outgoing(body, stored=Storing(lane, NOW, message.position)))
        if head.first > head.last:
            entries.popleft()
        self._due.pop(TURN_OF[lane], None)
        for outgoing in reversed(found):
            self._count(outgoing, 1)
            entries.appendleft(outgoing)

    @property
    def waits_stored(self) -> bool:
        """Whether anything stored waits here, or is about to be stored."""
        return any(self.stored_waiting(lane) for lane in Lane)

    def stored_waiting(self, lane: Lane) -> int:
        """Stored messages of a lane that haven't been sent."""
        return sum(_stored_in(entry) for entry in self._queues[TURN_OF[lane]])

    @property
    def undelivered(self) -> int:
        """Stored messages that the CSMS hasn't answered, as far as this end knows."""
        return sum(self.sent[lane] - self.delivered[lane] + self.stored_waiting(lane) for lane in Lane)

    @property
    def waiting(self) -> int:
        """Messages that haven't been sent, stored or not."""
        return self._relayed + sum(map(self.stored_waiting, Lane))

    # --- losses

    def drop(self, outgoing: Outgoing) -> None:
        """Take out one message."""
        self._keep(lambda other: other is not outgoing)

    def drop_answers(self) -> None:
        """Take out the answers: the far end has lost the CALLs that they belong to."""
        self._keep(lambda outgoing: outgoing.expires_at is not None or outgoing.stored is not None)

    def drop_calls(self) -> None:
        """Take out what has a deadline: whoever sent it has gone."""
        self._keep(lambda outgoing: outgoing.expires_at is None or outgoing.stored is not None)

    def keep_stored(self) -> None:
        """Forget everything else."""
        self._keep(lambda outgoing: outgoing.stored is not None)

    def _keep(self, wanted: Callable[[Outgoing], bool]) -> None:
        self._due.clear()
        for entries in self._queues.values():
            for dropped in [entry for entry in entries if isinstance(entry, Outgoing) and not wanted(entry)]:
                entries.remove(dropped)
                self._count(dropped, -1)


def _first(entry: _Entry) -> int:
    """The first position of an entry; 0 of what isn't stored, or not yet."""
    if isinstance(entry, _OnDisk):
        return entry.first
    return entry.stored.position if entry.stored is not None else 0


def _stored_in(entry: _Entry) -> int:
    if isinstance(entry, _OnDisk):
        return entry.last - entry.first + 1
    return 1 if entry.stored is not None else 0
