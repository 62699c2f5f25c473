"""How far the CSMS has come with one station's outbox, as the cloud knows it.

received   in this process, from the edge; with a fresh context it begins again behind what is delivered
delivered  answered by the CSMS; on disk before the next stored CALL goes out
told       what the edge knows of that
"""

from __future__ import annotations

from ocppress_gateway.core.limits import DELIVERED_MESSAGES, DELIVERED_TEXT, STORED_IN_FLIGHT_MAX, STORED_IN_FLIGHT_TEXT_MAX
from ocppress_gateway.core.stored import Lane, as_pair

__all__ = ["Delivery"]


class Delivery:
    """The positions of one station in one incarnation of its edge's outbox."""

    def __init__(self, incarnation: bytes, saved: tuple[int, int], known_to_edge: tuple[int, int]) -> None:
        """`saved` is what this end's store has, which may be lost; the edge may not have heard of all that was answered."""
        self.incarnation = incarnation
        delivered = tuple(map(max, saved, known_to_edge))
        self.received: dict[Lane, int] = {lane: delivered[lane] for lane in Lane}
        self.delivered: dict[Lane, int] = {lane: delivered[lane] for lane in Lane}
        self._told: dict[Lane, int] = {lane: delivered[lane] for lane in Lane}
        self._may_not_know = False
        """What was told may have been lost with its connection."""
        self._held_text = dict.fromkeys(Lane, 0)
        """Characters received and not answered."""
        self._text = 0
        """Characters answered since the edge was told."""
        self._awaited = False

    def receive(self, lane: Lane, text: int) -> int:
        """The position of the next message that comes in this lane, of `text` characters. Raises `ValueError` if the edge sends more than it may."""
        held = self.received[lane] - self.delivered[lane]
        if held >= STORED_IN_FLIGHT_MAX or self._held_text[lane] >= STORED_IN_FLIGHT_TEXT_MAX:
            raise ValueError(f"more of the outbox than may be unanswered: {held} messages, {self._held_text[lane]} characters")
        self.received[lane] += 1
        self._held_text[lane] += text
        return self.received[lane]

    def answered(self, lane: Lane, position: int, text: int) -> None:
        """The CSMS has answered a message of `text` characters."""
        assert position == self.delivered[lane] + 1, "each lane is in order"
        self.delivered[lane] = position
        self._held_text[lane] -= text
        self._text += text

    def begin_again(self) -> None:
        """What was received and not answered is gone, and will be sent again."""
        self.received = dict(self.delivered)
        self._held_text = dict.fromkeys(Lane, 0)

    @property
    def positions(self) -> tuple[int, int]:
        """What has been received, by lane."""
        return as_pair(self.received)

    def tell(self) -> tuple[int, int]:
        """What has been answered, by lane; counts as told."""
        self._told = dict(self.delivered)
        self._may_not_know = False
        self._text = 0
        self._awaited = self._awaited and self.delivered != self.received
        return as_pair(self._told)

    def await_all(self) -> None:
        """Somebody waits for the answer to all that was received: the edge is told of it by itself."""
        self._awaited = True

    @property
    def owes_news(self) -> bool:
        """Whether the edge should be told by itself."""
        if self._awaited and self.delivered == self.received and self._told != self.delivered:
            return True
        express = self.delivered[Lane.EXPRESS] - self._told[Lane.EXPRESS]
        ordered = self.delivered[Lane.ORDERED] - self._told[Lane.ORDERED]
        return self._text >= DELIVERED_TEXT or max(express, ordered) >= DELIVERED_MESSAGES

    def news(self, riding: bool) -> tuple[int, int] | None:
        """What to tell the edge now, or if something goes to it anyway; counts as told."""
        known = self._told == self.delivered and not self._may_not_know
        if known or not (riding or self.owes_news):
            return None
        return self.tell()

    def forget_told(self) -> None:
        """What was told may have been lost with its connection: it is told again when something goes to the edge anyway."""
        self._may_not_know = True
