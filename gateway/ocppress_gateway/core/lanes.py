"""What waits to cross the link for one station: two lanes (rule R4), express before ordered, each first in, first out.

    express   [StatusNotification 17] [Authorize]                    relayed: goes at once, dropped once its time is over
    ordered   [MeterValues 41] [41 … 180 on disk] [StopTransaction]  stored: durable, waits for company until it is due

What is relayed belongs to its sender until it is answered. What is stored belongs to the edge; of a long backlog only the beginning is in memory, the rest
is a range of positions that is read from the outbox when its turn comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, action_of
from ocppress_gateway.core.limits import (
    BATCH_TEXT_BYTES,
    LANES_MESSAGES_MAX,
    STORED_IN_FLIGHT_MAX,
    STORED_IN_FLIGHT_TEXT_MAX,
    STORED_IN_MEMORY_TEXT_MAX,
    WAITING_TEXT_MAX,
)
from ocppress_gateway.core.stored import Lane, StoredMessage

__all__ = ["Lanes", "Outgoing", "Relay", "Storing"]

DEADLINE_SPREAD_S: Final = 5.0
"""CALLs whose deadlines lie closer than this share a frame, which carries the earliest of them."""

NOW: Final = 0.0
"""Due at once."""


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
    def is_ready(self) -> bool:
        """Whether it may leave: what the edge answers must be on disk first."""
        return self.stored is None or self.stored.position > 0


@dataclass(slots=True, eq=False)
class _OnDisk:
    """Stored messages that aren't in memory, by position."""

    first: int
    last: int
    asked: bool = False


_Entry = Outgoing | _OnDisk


class Lanes:
    """The two lanes of one station."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[_Entry]] = {lane: deque() for lane in Lane}
        self._stored_text = 0
        self.sent: dict[Lane, int] = dict.fromkeys(Lane, 0)
        """The newest position that has been put into a frame."""
        self.delivered: dict[Lane, int] = dict.fromkeys(Lane, 0)
        """The newest position that the CSMS has answered, as far as this end knows."""
        self._in_flight: dict[Lane, deque[tuple[int, int]]] = {lane: deque() for lane in Lane}
        """Position and length of what has been sent, and not been answered as far as this end knows."""
        self._relayed = 0
        self._relayed_text = 0

    def __len__(self) -> int:
        """What waits, a range on disk as one."""
        return sum(map(len, self._lanes.values()))

    def add(self, outgoing: Outgoing, *, express: bool) -> None:
        """Put a message at the end of its lane."""
        self._lanes[Lane.EXPRESS if express else Lane.ORDERED].append(outgoing)
        if outgoing.stored is None:
            self._relayed += 1
            self._relayed_text += len(outgoing.message.body)
        else:
            self._stored_text += len(outgoing.message.body)

    @property
    def load(self) -> float:
        """How full the lanes are of what is not on disk, 1.0 for one of their limits."""
        return max(self._relayed / LANES_MESSAGES_MAX, self._relayed_text / WAITING_TEXT_MAX)

    def due_at(self) -> float | None:
        """When something here should leave, `NOW` for what doesn't wait for company; None if nothing can."""
        times: list[float] = []
        for lane, entries in self._lanes.items():
            head = entries[0] if entries else None
            if not isinstance(head, Outgoing) or not self._may_go(lane, head):
                continue
            times += [NOW if entry.stored is None else entry.stored.due_at for entry in entries if isinstance(entry, Outgoing)]
        return min(times, default=None)

    def hurry(self) -> None:
        """What is stored waits no longer."""
        for entries in self._lanes.values():
            for entry in entries:
                if isinstance(entry, Outgoing) and entry.stored is not None:
                    entry.stored.due_at = NOW

    def take_batch(self, now: float) -> tuple[list[Outgoing], list[Outgoing]]:
        """The next frame's messages, due or not, and those dropped on the way because their time was over.

        The batch ends at `BATCH_TEXT_BYTES` of text (a single longer message goes alone), before a CALL whose deadline is far from
        the first one's, and where stored CALLs and others meet: a frame without a deadline has stored ones.
        """
        batch: list[Outgoing] = []
        dropped: list[Outgoing] = []
        text_bytes = 0
        deadline: float | None = None
        stored: bool | None = None
        while (found := self._next()) is not None:
            lane, head = found
            if head.expires_at is not None and head.expires_at <= now:
                dropped.append(self._take(lane))
                continue
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
            batch.append(self._take(lane))
        return batch, dropped

    def _next(self) -> tuple[Lane, Outgoing] | None:
        for lane, entries in self._lanes.items():
            head = entries[0] if entries else None
            if isinstance(head, Outgoing) and self._may_go(lane, head):
                return lane, head
        return None

    def _may_go(self, lane: Lane, head: Outgoing) -> bool:
        if not head.is_ready:
            return False
        in_flight = self._in_flight[lane]
        room = len(in_flight) < STORED_IN_FLIGHT_MAX and sum(size for _, size in in_flight) < STORED_IN_FLIGHT_TEXT_MAX
        return head.stored is None or room

    def _take(self, lane: Lane) -> Outgoing:
        outgoing = self._lanes[lane].popleft()
        assert isinstance(outgoing, Outgoing), "ranges on disk are never taken"
        self._forget_size(outgoing)
        if outgoing.stored is not None:
            self.sent[lane] = outgoing.stored.position
            self._in_flight[lane].append((outgoing.stored.position, len(outgoing.message.body)))
        return outgoing

    def _forget_size(self, outgoing: Outgoing) -> None:
        if outgoing.stored is None:
            self._relayed -= 1
            self._relayed_text -= len(outgoing.message.body)
        else:
            self._stored_text -= len(outgoing.message.body)

    # --- stored messages

    def is_stored(self, outgoing: Outgoing, position: int) -> None:
        """It is on disk now; if too much is in memory it is kept only there."""
        assert outgoing.stored is not None, "it was being stored"
        outgoing.stored.position = position
        outgoing.relay = None
        if self._stored_text > STORED_IN_MEMORY_TEXT_MAX:
            self._leave_on_disk(outgoing)

    def not_stored(self, outgoing: Outgoing) -> None:
        """It couldn't be stored, and goes as a relayed one in the same place."""
        assert outgoing.relay is not None, "the station waits for its answer, or the entry has gone"
        self._forget_size(outgoing)
        outgoing.stored = None
        outgoing.expires_at = outgoing.relay.expires_at
        self._relayed += 1
        self._relayed_text += len(outgoing.message.body)

    def _leave_on_disk(self, outgoing: Outgoing) -> None:
        assert outgoing.stored is not None, "only stored ones are on disk"
        entries = self._lanes[outgoing.stored.lane]
        place = entries.index(outgoing)
        if place == 0:
            return
        before = entries[place - 1]
        self._forget_size(outgoing)
        if isinstance(before, _OnDisk) and before.last + 1 == outgoing.stored.position:
            before.last += 1
            del entries[place]
        else:
            entries[place] = _OnDisk(outgoing.stored.position, outgoing.stored.position)

    def answered(self, lane: Lane, position: int) -> bool:
        """The CSMS has answered everything up to `position`; false if that is nothing new. Raises `ValueError` for what was never sent."""
        if position > self.sent[lane]:
            raise ValueError(f"position {position} answered, {self.sent[lane]} sent")
        if position <= self.delivered[lane]:
            return False
        self.delivered[lane] = position
        in_flight = self._in_flight[lane]
        while in_flight and in_flight[0][0] <= position:
            in_flight.popleft()
        return True

    def begin_at(self, lane: Lane, position: int, newest: int) -> None:
        """What the far end has goes up to `position`; all later ones up to `newest`, but those in memory already, are to be sent (again)."""
        entries = self._lanes[lane]
        in_flight = self._in_flight[lane]
        while in_flight and in_flight[-1][0] > position:
            in_flight.pop()
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
                entries.popleft()
            else:
                self._forget_size(head)
                entries.popleft()

    def begin_anew(self, expires_at: float) -> None:
        """The outbox is another, empty one: what is in memory goes like a relayed one that nobody waits for, what was only on disk is gone."""
        for lane, entries in self._lanes.items():
            self.sent[lane] = self.delivered[lane] = 0
            self._in_flight[lane].clear()
            kept = [entry for entry in entries if isinstance(entry, Outgoing)]
            for entry in kept:
                if entry.stored is not None and entry.stored.position:
                    entry.stored = None
                    entry.expires_at = expires_at
            entries.clear()
            entries.extend(kept)
        self._count_anew()

    def wanted(self) -> list[tuple[Lane, int]]:
        """Lanes whose turn it is to be read from disk, with the position before the first wanted; each is named once."""
        found: list[tuple[Lane, int]] = []
        for lane, entries in self._lanes.items():
            head = entries[0] if entries else None
            if isinstance(head, _OnDisk) and not head.asked:
                head.asked = True
                found.append((lane, head.first - 1))
        return found

    def loaded(self, lane: Lane, messages: Iterable[StoredMessage]) -> None:
        """What was read: the first positions of the range at the lane's head. Anything else has been overtaken by events."""
        entries = self._lanes[lane]
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
        for outgoing in reversed(found):
            self._stored_text += len(outgoing.message.body)
            entries.appendleft(outgoing)

    @property
    def waits_stored(self) -> bool:
        """Whether anything stored waits here, or is about to be stored."""
        return any(isinstance(entry, _OnDisk) or entry.stored is not None for entries in self._lanes.values() for entry in entries)

    @property
    def undelivered(self) -> int:
        """Stored messages that the CSMS hasn't answered, as far as this end knows."""
        in_flight = sum(self.sent[lane] - self.delivered[lane] for lane in Lane)
        waiting = sum(_count(entry) for entries in self._lanes.values() for entry in entries)
        return in_flight + waiting

    @property
    def waiting(self) -> int:
        """Messages that haven't been sent, stored or not."""
        return self._relayed + sum(map(self.stored_waiting, Lane))

    def stored_waiting(self, lane: Lane) -> int:
        """Stored messages of a lane that haven't been sent."""
        return sum(map(_count, self._lanes[lane]))

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
        for entries in self._lanes.values():
            kept = [entry for entry in entries if isinstance(entry, _OnDisk) or wanted(entry)]
            entries.clear()
            entries.extend(kept)
        self._count_anew()

    def _count_anew(self) -> None:
        everything = [entry for entries in self._lanes.values() for entry in entries if isinstance(entry, Outgoing)]
        self._relayed = sum(entry.stored is None for entry in everything)
        self._relayed_text = sum(len(entry.message.body) for entry in everything if entry.stored is None)
        self._stored_text = sum(len(entry.message.body) for entry in everything if entry.stored is not None)


def _first(entry: _Entry) -> int:
    """The first position of an entry; 0 of what isn't stored, or not yet."""
    if isinstance(entry, _OnDisk):
        return entry.first
    return entry.stored.position if entry.stored is not None else 0


def _count(entry: _Entry) -> int:
    if isinstance(entry, _OnDisk):
        return entry.last - entry.first + 1
    return 1 if entry.stored is not None else 0
