"""What a station has said and the CSMS is still to get: each message exactly, once, and in order within its lane. Pure.

station ──CALL──► said ─── waits in its lane ─── arrived ──► CSMS     relayed, or answered early and batched
                   └────── answered at the edge: a Heartbeat          the CSMS may get others, which are the cloud's own
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.policy import Turn, turn_of

__all__ = ["HEARTBEAT", "Call", "Deliveries", "Undelivered", "content"]

HEARTBEAT: Final = "Heartbeat"

_STORED_ID: Final = re.compile(r"[0-9a-f]{16}[eo][0-9]+")
"""The id under which the CSMS gets what the edge has answered: incarnation, lane, position."""


class Undelivered(Exception):
    """Something arrived that is not what was sent, or not in its turn."""


@dataclass(slots=True, eq=False)
class Call:
    """A CALL (or SEND) of the station."""

    message: Message
    said_at: float
    """By the event loop's clock."""
    far_id: str | None = None
    """The id under which it has arrived."""
    recorded_answer: Message | None = None
    """What the CSMS says to it, as far as that is known."""
    answer_text: str | None = None
    """What the station got."""

    @property
    def is_early(self) -> bool:
        """Whether the edge has answered it and the CSMS gets it later; certain once it is answered."""
        return self.far_id is None or _STORED_ID.fullmatch(self.far_id) is not None


class Deliveries:
    """The messages of one station on their way to the CSMS."""

    def __init__(self, version: OcppVersion) -> None:
        self._version = version
        self._waiting: dict[Turn, deque[Call]] = {lane: deque() for lane in Turn}
        self._arrived: dict[str, Call] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def said(self, call: Call) -> None:
        """The station says this now."""
        self._waiting[self._turn(call.message)].append(call)

    def answered_at_the_edge(self, call: Call) -> None:
        """A Heartbeat that goes no further."""
        self._waiting[self._turn(call.message)].remove(call)

    def arrived(self, message_id: str, message: Message) -> Call | None:
        """What the CSMS has got; None for a Heartbeat of the cloud's own. Raises `Undelivered`.

        A CALL that the CSMS has refused may come again under its id; then it is the same `Call` as before.
        """
        if message_id in self._arrived:
            again = self._arrived[message_id]
            if again.recorded_answer is None or again.recorded_answer.type is not MessageType.CALLERROR:
                raise Undelivered("a message arrived twice")
            return again
        waiting = self._waiting[self._turn(message)]
        if waiting and content(waiting[0].message) == content(message):
            call = self._arrived[message_id] = waiting.popleft()
            call.far_id = message_id
            return call
        if message.action == HEARTBEAT:
            return None
        raise Undelivered("a message arrived that is not the one that was sent")

    @property
    def oldest_at(self) -> float | None:
        """When the oldest of those that wait was said."""
        return min((calls[0].said_at for calls in self._waiting.values() if calls), default=None)

    def _turn(self, message: Message) -> Turn:
        return turn_of(self._version, message)


def content(message: Message) -> Message:
    """All of a message but what ties it to others."""
    return message.with_call(None)
