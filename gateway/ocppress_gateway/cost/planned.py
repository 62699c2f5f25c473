"""One station's link under a plan, in virtual time: who waits for how long, who rides with whom, and what that costs.

    up    waits ····waits ·······┬ due, or something that can't wait: all that waits rides along
          ────────────────────── ▼ ──────────────────────► one link message, a frame for each 32 KiB of text
    down  ◄── answers to what was relayed; positions and acknowledgements ride, or go alone when many are owed

What a codec makes of messages isn't known here: `frame_bytes` says it. The rest are the edge's own rules and limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.edge_station import URGENT_DELAY_S
from ocppress_gateway.core.limits import ACK_FRAMES, ACK_RIDE_FRAMES, BATCH_TEXT_BYTES, DELIVERED_MESSAGES
from ocppress_gateway.core.parts import Ack, Delivered, FramePart, write_parts
from ocppress_gateway.cost.month import hello_ip_bytes
from ocppress_gateway.cost.wire import DAY_S, FULL_HANDSHAKE, ByteCount, Conditions, Handshake, Wire, WireMessage, handshake_bytes
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Kind", "PlannedLink"]

_FRAME_BYTES: Final = len(write_parts([FramePart(0, 1, b"")]))
_MEASURED_FRAME_BYTES: Final = len(write_parts([FramePart(0, 1, bytes(200)), Ack(0, 1)])) - 200 - len(write_parts([Ack(0, 1)]))
"""Of a frame that isn't the last part, with a length of two bytes."""
_ACK_BYTES: Final = len(write_parts([Ack(0, 1)]))
_DELIVERED_BYTES: Final = len(write_parts([Delivered(0, (10_000, 10_000))]))


@dataclass(frozen=True, slots=True)
class Kind:
    """What matters of a message on its way: all of a kind have the same class, and are about as long."""

    name: str
    direction: Direction
    waits: bool
    """Whether the edge answers it early; the CSMS's answer to it then stays with the cloud."""
    urgent: bool
    text_bytes: int


FrameBytes = Callable[[Sequence[Kind]], float]
"""Bytes of a frame with messages of these kinds, its checksum included."""


class PlannedLink:
    """The link of one station. Times are seconds of one clock and only grow; it begins with a full handshake at `at_s`."""

    def __init__(self, conditions: Conditions, frame_bytes: FrameBytes, *, at_s: float) -> None:
        self.cost = ByteCount()
        """What has passed the SIM so far."""
        self.waited_s: list[float] = []
        """How long each message that may wait, and isn't urgent, has waited."""
        self.frames: list[tuple[float, Direction, tuple[Kind, ...]]] = []
        self.keep_frames = False
        """Whether `frames` is to have what was sent, for a codec to measure."""
        self._conditions = conditions
        self._frame_bytes = frame_bytes
        self._waiting: list[tuple[float, Kind]] = []
        self._due_s: float | None = None
        self._reconnect_every_s = DAY_S / conditions.reconnects_a_day
        self._reconnect_s = at_s + self._reconnect_every_s
        self._unacknowledged = dict.fromkeys(Direction, 0)
        self._undelivered = 0
        self._probe_s = at_s
        self._connect(at_s, FULL_HANDSHAKE)

    def say(self, at_s: float, kind: Kind, delay_s: float) -> None:
        """A message comes to the edge from its station, or to the cloud from the CSMS. `delay_s` is the plan's for it."""
        self.advance(at_s)
        if kind.direction is Direction.UP and kind.waits:
            self._waiting.append((at_s, kind))
            due_s = at_s + (min(URGENT_DELAY_S, delay_s) if kind.urgent else delay_s)
            self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        else:
            self._send(at_s, kind)

    def advance(self, to_s: float) -> None:
        """Whatever is due before `to_s` happens."""
        while (next_s := min(self._reconnect_s, self._probe_s, to_s if self._due_s is None else self._due_s)) < to_s:
            if next_s == self._due_s:
                self._send(next_s, None)
            elif next_s == self._reconnect_s:
                self._connect(next_s, self._conditions.reconnect)
                self._reconnect_s += self._reconnect_every_s
            else:
                self.cost += ByteCount(keepalive=self._conditions.probe_bytes)
                self._probe_s = next_s + self._conditions.keepalive_s

    def _connect(self, at_s: float, handshake: Handshake) -> None:
        self.cost += ByteCount(handshake=handshake_bytes(handshake, self._conditions) + hello_ip_bytes(self._conditions))
        self._wire = Wire(self._conditions)
        self._probe_s = at_s + self._conditions.keepalive_s

    def _send(self, at_s: float, kind: Kind | None) -> None:
        """A link message with what can't wait, and upwards with all that waits."""
        direction = Direction.UP if kind is None else kind.direction
        frames: list[tuple[Kind, ...]] = []
        if direction is Direction.UP:
            for said_s, waiting in self._waiting:
                if not waiting.urgent:
                    self.waited_s.append(at_s - said_s)
            frames += _framed([waiting for _, waiting in self._waiting])
            self._undelivered += len(self._waiting)
            self._waiting.clear()
            self._due_s = None
        if kind is not None:
            frames.append((kind,))
        if self.keep_frames:
            self.frames += [(at_s, direction, frame) for frame in frames]
        self._message(at_s, direction, frames)
        down = Direction.DOWN
        if self._undelivered >= DELIVERED_MESSAGES or self._unacknowledged[Direction.UP] >= ACK_FRAMES:
            self._message(at_s + 1.0, down, [])

    def _message(self, at_s: float, direction: Direction, frames: list[tuple[Kind, ...]]) -> None:
        header_bytes = _FRAME_BYTES + (len(frames) - 1) * _MEASURED_FRAME_BYTES if frames else 0
        other = direction.opposite
        if self._unacknowledged[other] >= ACK_RIDE_FRAMES or (not frames and self._unacknowledged[other]):
            header_bytes += _ACK_BYTES
            self._unacknowledged[other] = 0
        if direction is Direction.DOWN and self._undelivered:
            header_bytes += _DELIVERED_BYTES
            self._undelivered = 0
        self._unacknowledged[direction] += len(frames)
        payload_bytes = round(sum(map(self._frame_bytes, frames)))
        self.cost += self._wire.send(WireMessage(at_s, direction, payload_bytes, header_bytes))
        self._probe_s = at_s + self._conditions.keepalive_s


def _framed(kinds: Sequence[Kind]) -> list[tuple[Kind, ...]]:
    """Frames of at most `BATCH_TEXT_BYTES` of text each."""
    frames: list[tuple[Kind, ...]] = []
    frame: list[Kind] = []
    text_bytes = 0
    for kind in kinds:
        text_bytes += kind.text_bytes
        if frame and text_bytes > BATCH_TEXT_BYTES:
            frames.append(tuple(frame))
            frame = []
            text_bytes = kind.text_bytes
        frame.append(kind)
    return [*frames, tuple(frame)] if frame else frames
