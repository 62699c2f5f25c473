"""One station's frames on the link, at one end: numbering, keeping, acknowledging, cutting, resending.

A frame is kept until the peer has acknowledged it, so that a lost connection costs neither frame nor context: the hello tells what
arrived, and the rest
is sent again, byte for byte. Where one end lost a context while both still know the numbers, the kept batches are encoded anew in the
next epoch, and CALLs keep their numbers.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import LimitExceeded
from ocppress_codecs.interface import FRAME_BYTES_MAX, Endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.lanes import Outgoing, Relay
from ocppress_gateway.core.limits import ACK_BYTES, ACK_FRAMES, ACK_RIDE_FRAMES, PIECE_BYTES, TEXT_PER_FRAME_BYTE, UNACKED_BYTES_MAX
from ocppress_gateway.core.parts import Ack, FramePart, Piece
from ocppress_gateway.core.stored import Lane

__all__ = ["Channel", "ReceivedBatch", "actions_of"]

RELAYS_KEPT: Final = 256
"""CALLs whose answers may still come, the oldest given up first; many times what a station or CSMS has open."""


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """What one frame brought. `deadline` is for its CALLs, on this end's clock; None if they have none."""

    messages: list[Message]
    deadline: float | None


@dataclass(slots=True)
class _Kept:
    """A frame that the peer hasn't acknowledged."""

    number: int
    data: bytes
    batch: list[Message]
    expires_at: float | None
    calls_before: int
    weight: int
    stored: tuple[int, int]
    """How many of the batch are stored ones, by lane."""


class Channel:
    """The frames of one station in one epoch, both ways, at one end."""

    def __init__(
        self, version: OcppVersion, epoch: int, endpoint: Endpoint, *, is_secret: Callable[[str], bool] = lambda body: False
    ) -> None:
        """`is_secret` says of a message's body whether its context must not be saved; only who saves contexts needs to know."""
        self.version = version
        self.epoch = epoch
        self.intact = True
        self.sent = 0
        self.received = 0
        self._endpoint = endpoint
        self._is_secret = is_secret
        self._holds_secret = False
        self._acknowledged = 0
        self._kept: deque[_Kept] = deque()
        self._kept_weight = 0
        self._to_send: deque[_Kept] = deque()
        self._cut: deque[bytes] = deque()
        self._pieces = bytearray()
        self._ack_sent = 0
        self._ack_bytes = 0
        self._relays: OrderedDict[int, Relay] = OrderedDict()

    # --- sending

    @property
    def has_unsent(self) -> bool:
        """Whether encoded frames wait for their turn."""
        return bool(self._to_send)

    @property
    def window_open(self) -> bool:
        """Whether another frame may be encoded: what is kept for a lost connection is bounded."""
        return self._kept_weight < UNACKED_BYTES_MAX

    def encode(self, batch: list[Outgoing]) -> None:
        """Make the next frame of `batch`; it then waits in `next_part`."""
        calls_before = self._endpoint.encoder.calls.count
        messages = [outgoing.message for outgoing in batch]
        data = self._endpoint.encoder.encode(messages)
        number = calls_before
        for outgoing in batch:
            if outgoing.message.type is MessageType.CALL:
                if outgoing.relay is not None:
                    outgoing.relay.number = number
                    self._relays[number] = outgoing.relay
                number += 1
        while len(self._relays) > RELAYS_KEPT:
            self._relays.popitem(last=False)
        deadlines = [outgoing.expires_at for outgoing in batch if outgoing.expires_at is not None]
        lanes = [outgoing.stored.lane for outgoing in batch if outgoing.stored is not None]
        stored = lanes.count(Lane.EXPRESS), lanes.count(Lane.ORDERED)
        self._keep(data, messages, min(deadlines, default=None), calls_before, stored)

    def _keep(self, data: bytes, batch: list[Message], expires_at: float | None, calls_before: int, stored: tuple[int, int]) -> None:
        self.sent += 1
        self._learned(batch)
        kept = _Kept(self.sent, data, batch, expires_at, calls_before, _weight(data, batch), stored)
        self._kept.append(kept)
        self._kept_weight += kept.weight
        self._to_send.append(kept)

    def next_part(self, slot: int, clock: LinkClock, now: float) -> FramePart | Piece:
        """The next frame or piece to put on the link, for this slot; there must be an unsent one."""
        kept = self._to_send[0]
        if not self._cut:
            self._cut.extend(kept.data[start : start + PIECE_BYTES] for start in range(0, max(len(kept.data), 1), PIECE_BYTES))
        data = self._cut.popleft()
        if self._cut:
            return Piece(slot, kept.number, data)
        self._to_send.popleft()
        expiry = None if kept.expires_at is None else clock.stamp(kept.expires_at, now)
        return FramePart(slot, kept.number, data, expiry)

    @property
    def unsent_stored(self) -> tuple[int, int]:
        """How many stored messages, by lane, are in frames that wait for their turn."""
        return sum(kept.stored[Lane.EXPRESS] for kept in self._to_send), sum(kept.stored[Lane.ORDERED] for kept in self._to_send)

    @property
    def part_actions(self) -> dict[str, int]:
        """Characters of text by action of the frame whose part `next_part` would give next; "" for answers."""
        return actions_of(self._to_send[0].batch)

    def acknowledged(self, number_modulo: int) -> None:
        """The peer has all frames up to this number modulo 2^16. Raises `ValueError` for one that was never sent."""
        number = self._acknowledged + (number_modulo - self._acknowledged) % 0x10000
        if number > self.sent - len(self._to_send):
            raise ValueError(f"frame {number} acknowledged, {self.sent - len(self._to_send)} sent")
        self._drop_kept(number)

    def _drop_kept(self, number: int) -> None:
        self._acknowledged = max(self._acknowledged, number)
        while self._kept and self._kept[0].number <= number:
            self._kept_weight -= self._kept.popleft().weight

    # --- receiving

    def take_piece(self, number_modulo: int, data: bytes) -> None:
        """A piece of the next frame. Raises `ValueError` for another frame's, `LimitExceeded` for too much."""
        self._expect(number_modulo)
        if len(self._pieces) + len(data) > FRAME_BYTES_MAX:
            raise LimitExceeded("frame_bytes", FRAME_BYTES_MAX, len(self._pieces) + len(data))
        self._pieces += data

    def take_frame(self, part: FramePart, clock: LinkClock, now: float) -> ReceivedBatch:
        """Decode the next frame. Raises `ValueError` for another number, `DecodeError` if the contexts differ: start a new epoch."""
        self.take_piece(part.number, part.data)
        data = bytes(self._pieces)
        self._pieces.clear()
        messages = self._endpoint.decoder.decode(data)
        self.received += 1
        self._learned(messages)
        self._ack_bytes += _weight(data, messages)
        return ReceivedBatch(messages, None if part.expiry is None else clock.deadline(part.expiry, now))

    def _expect(self, number_modulo: int) -> None:
        if number_modulo != (self.received + 1) % 16:
            raise ValueError(f"frame {number_modulo} modulo 16 came after frame {self.received}")

    def acknowledgement(self, *, riding: bool) -> Ack | None:
        """What is to be acknowledged now, or if something else is sent anyway (`riding`); counts as sent."""
        owed = self.received - self._ack_sent
        if owed >= ACK_FRAMES or self._ack_bytes >= ACK_BYTES or (riding and owed >= ACK_RIDE_FRAMES):
            self._ack_sent = self.received
            self._ack_bytes = 0
            return Ack(0, self.received)
        return None

    @property
    def owes_acknowledgement(self) -> bool:
        """Whether an acknowledgement is worth a link message of its own."""
        return self.received - self._ack_sent >= ACK_FRAMES or self._ack_bytes >= ACK_BYTES

    # --- calls

    def take_relay(self, number: int | None) -> Relay | None:
        """The CALL of this end that an answer from the peer belongs to; None if there is none (any more)."""
        return None if number is None else self._relays.pop(number, None)

    def void_calls(self) -> None:
        """The sender of the CALLs encoded so far has gone: frames not yet sent, or sent again, say that their time is over."""
        for kept in self._kept:
            if kept.expires_at is not None:
                kept.expires_at = -math.inf

    # --- lost connections and contexts

    def can_resume(self, sent_by_peer: int, received_by_peer: int) -> bool:
        """Whether the numbers that the peer names can be true, so that nothing is missing in between."""
        return self._acknowledged <= received_by_peer <= self.sent and self._ack_sent <= self.received <= sent_by_peer

    def resume(self, received_by_peer: int) -> None:
        """A new connection in the same epoch: what the peer didn't receive is sent again."""
        self._drop_kept(received_by_peer)
        self._forget_halves()
        # The hello has told the peer what was received.
        self._ack_sent = self.received
        self._ack_bytes = 0
        self._to_send = deque(self._kept)

    def renew(self, epoch: int, reopen: Callable[[CallLog, CallLog], Endpoint], received_by_peer: int) -> None:
        """A new epoch between ends that both know the old one's numbers: what the peer didn't receive is encoded anew.

        `reopen` opens an endpoint with the CALLs sent and received so far, which keep their numbers.
        """
        self._drop_kept(received_by_peer)
        self._forget_halves()
        batches = list(self._kept)
        self._kept.clear()
        self._kept_weight = 0
        self._to_send.clear()
        sent = self._endpoint.encoder.calls
        if batches:
            sent.truncate(batches[0].calls_before)
        endpoint = self._endpoint = reopen(sent, self._endpoint.decoder.calls)
        self.epoch = epoch
        self.intact = True
        self.sent = self._acknowledged = 0
        self.received = self._ack_sent = self._ack_bytes = 0
        self._holds_secret = False
        for batch in batches:
            calls_before = sent.count
            self._keep(endpoint.encoder.encode(batch.batch), batch.batch, batch.expires_at, calls_before, batch.stored)

    def saved(self) -> tuple[bytes, bytes] | None:
        """The states of encoder and decoder, for `restored`; None if there is nothing that could go on, or that may be written to a disk."""
        if not self.intact or self._to_send or self._holds_secret:
            return None
        encoder, decoder = self._endpoint.encoder.saved(), self._endpoint.decoder.saved()
        return None if encoder is None or decoder is None else (encoder, decoder)

    @classmethod
    def restored(
        cls, version: OcppVersion, epoch: int, endpoint: Endpoint, *, sent: int, received: int, is_secret: Callable[[str], bool]
    ) -> Self:
        """A channel after so many frames, of which none is kept: the peer must have received all. `endpoint` has its states again."""
        channel = cls(version, epoch, endpoint, is_secret=is_secret)
        channel.sent = channel._acknowledged = sent
        channel.received = channel._ack_sent = received
        return channel

    def _learned(self, messages: list[Message]) -> None:
        self._holds_secret = self._holds_secret or any(self._is_secret(message.body) for message in messages)

    def _forget_halves(self) -> None:
        self._cut.clear()
        self._pieces.clear()


def actions_of(messages: list[Message]) -> dict[str, int]:
    """Characters of text by action; "" for answers."""
    found: dict[str, int] = {}
    for message in messages:
        found[message.action] = found.get(message.action, 0) + len(message.body)
    return found


def _weight(data: bytes, batch: list[Message]) -> int:
    """What a frame counts until it is acknowledged; the two ends reckon alike, or the sender would wait for nothing."""
    return max(len(data), sum(len(message.body) for message in batch) // TEXT_PER_FRAME_BYTE)
