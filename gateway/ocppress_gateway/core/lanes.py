"""What waits to cross the link for one station: two lanes (rule R4), express before ordered, each first in, first out.

Nothing here is durable: what is relayed belongs to its sender until it is answered, and is dropped once its time is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ocppress_codecs.rpc import Message
from ocppress_gateway.core.limits import BATCH_TEXT_BYTES, LANES_MESSAGES_MAX, WAITING_TEXT_MAX

__all__ = ["Lanes", "Outgoing", "Relay"]

DEADLINE_SPREAD_S = 5.0
"""CALLs whose deadlines lie closer than this share a frame, which carries the earliest of them."""


@dataclass(slots=True, eq=False)
class Relay:
    """A CALL that this end took from a socket and that the far end is to have answered."""

    socket: int
    message_id: str
    expires_at: float
    fingerprint: bytes | None = None
    number: int | None = None
    """The CALL's number on the link, once it has left."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to the link. `expires_at` None: for as long as the link's contexts live (answers)."""

    message: Message
    expires_at: float | None = None
    relay: Relay | None = None


class Lanes:
    """The two lanes of one station."""

    def __init__(self) -> None:
        self._express: deque[Outgoing] = deque()
        self._ordered: deque[Outgoing] = deque()
        self.text = 0
        """Characters of all messages here."""

    def __len__(self) -> int:
        return len(self._express) + len(self._ordered)

    def add(self, outgoing: Outgoing, *, express: bool) -> None:
        """Put a message at the end of its lane."""
        (self._express if express else self._ordered).append(outgoing)
        self.text += len(outgoing.message.body)

    @property
    def load(self) -> float:
        """How full the lanes are, 1.0 for one of their limits."""
        return max(len(self) / LANES_MESSAGES_MAX, self.text / WAITING_TEXT_MAX)

    def take_batch(self, now: float) -> tuple[list[Outgoing], list[Outgoing]]:
        """The next frame's messages, and those dropped on the way because their time was over.

        The batch ends at `BATCH_TEXT_BYTES` of text (a single longer message goes alone), or before a CALL whose deadline is far from
        the first one's.
        """
        batch: list[Outgoing] = []
        dropped: list[Outgoing] = []
        text_bytes = 0
        deadline: float | None = None
        while lane := self._express or self._ordered:
            head = lane[0]
            if head.expires_at is not None and head.expires_at <= now:
                dropped.append(self._take(lane))
                continue
            if head.expires_at is not None:
                if deadline is not None and abs(head.expires_at - deadline) > DEADLINE_SPREAD_S:
                    break
                deadline = deadline if deadline is not None else head.expires_at
            text_bytes += len(head.message.body.encode())
            if batch and text_bytes > BATCH_TEXT_BYTES:
                break
            batch.append(self._take(lane))
        return batch, dropped

    def _take(self, lane: deque[Outgoing]) -> Outgoing:
        outgoing = lane.popleft()
        self.text -= len(outgoing.message.body)
        return outgoing

    def drop_answers(self) -> None:
        """Take out the answers: the far end has lost the CALLs that they belong to."""
        self._keep(lambda outgoing: outgoing.expires_at is not None)

    def drop_calls(self) -> None:
        """Take out what has a deadline: whoever sent it has gone."""
        self._keep(lambda outgoing: outgoing.expires_at is None)

    def _keep(self, wanted: Callable[[Outgoing], bool]) -> None:
        for lane in (self._express, self._ordered):
            kept = [outgoing for outgoing in lane if wanted(outgoing)]
            lane.clear()
            lane.extend(kept)
        self.text = sum(len(outgoing.message.body) for outgoing in (*self._express, *self._ordered))

    def clear(self) -> None:
        """Forget everything."""
        self._express.clear()
        self._ordered.clear()
        self.text = 0
