"""What the run has cost, counted where it happens: texts at the stations' sockets, link messages at the edge, packets by the kernel.

    station's socket ──texts──►  Account: JSON, permessage-deflate, plain OCPP-J
    edge's link     ──bytes──►  LinkTap: codec frames by station, the link's own headers
    kernel          ──TCP_INFO──►  Tally: TLS and WebSocket, TCP/IP headers

A frame's time is that of the recording, so that the month's projection sees the traffic's own pace and not that of the demo.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.parts import Attach, FramePart, Piece, Welcome, read_parts
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.deflate import DeflateStream
from ocppress_gateway.cost.month import link_messages, project_month, project_plain_month
from ocppress_gateway.cost.wire import DAY_S, PLAIN_HANDSHAKE, ByteCount, Conditions, WireMessage, handshake_bytes, messages_ip_bytes
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Account", "LinkLayers", "LinkTap", "Tally", "connection_ip_bytes", "network_conditions"]

PACE_TURNS: Final = 16
"""Messages from which the replay's present speed is taken: what a machine with much else to do makes of the speed that was wanted."""

PACE_S_MIN: Final = 3600.0
"""Played time from which there is a pace to speak of: a month made of a test of some seconds is none."""

FIN_SEGMENTS: Final = 4
"""The end of a TCP connection, which the kernel counts after the edge has read its counters for the last time: a FIN and its ACK each way."""


class Account:
    """One station. Times are the recording's, in seconds."""

    def __init__(self, name: str, version: OcppVersion, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.version = version
        self.accepted = 0
        """Messages that the station or the CSMS has sent and the other is to get: neither what the edge answers itself, nor what the
        CSMS answers to that."""
        self.delivered = 0
        """Those of them that have arrived, exactly and in their turn."""
        self.answered_early = 0
        """CALLs among them that the edge has answered, Heartbeats apart."""
        self.heartbeats_at_edge = 0
        """Heartbeats that the edge has answered and that go no further."""
        self.heartbeats_of_cloud = 0
        """Heartbeats that the CSMS has got from the cloud itself."""
        self._clock = clock
        self._said: deque[tuple[float, float]] = deque(maxlen=PACE_TURNS)
        """The last messages' times, in the recording and by the clock."""
        self._time = (0.0, 0.0, 0.0, 0.0)
        """In the recording: a time, and when time stands still again; when that was by the clock, and the speed."""
        self.wall_s = 0.0
        """How long the replay has taken so far, in real time."""
        self.messages = 0
        self.json_bytes = 0
        self.deflate_bytes = 0
        self.link_payload_bytes = 0
        self.left_out = 0
        """Messages of the recording that couldn't be played."""
        self.trouble: str | None = None
        """Why the replay ended early."""
        self._deflate = {direction: DeflateStream() for direction in Direction}
        self._texts: list[WireMessage] = []
        self._frames: list[tuple[float, Direction, int]] = []
        self._pieces = dict.fromkeys(Direction, 0)

    @property
    def span_s(self) -> float:
        """How much of the recording's time has been played."""
        return self._texts[-1].at_s - self._texts[0].at_s if self._texts else 0.0

    def time_stands(self, at_s: float) -> None:
        """In the recording it is `at_s`, until what is under way has arrived: that takes as long as it does here."""
        self._time = at_s, at_s, self._clock(), 0.0
        self._said.append((at_s, self._clock()))

    def time_passes(self, at_s: float, next_s: float, speed: float) -> None:
        """Nothing is under way: `speed` times as fast from `at_s` on, and no further than the next message at `next_s`."""
        self._time = at_s, next_s, self._clock(), speed

    def speed(self, wanted: float) -> float:
        """Seconds of the recording that pass in a second now, where `wanted` were to."""
        (first_s, first_at), (last_s, last_at) = (self._said[0], self._said[-1]) if self._said else ((0.0, 0.0), (0.0, 0.0))
        return min(wanted, (last_s - first_s) / (last_at - first_at)) if last_s > first_s and last_at > first_at else wanted

    @property
    def now_s(self) -> float:
        """The recording's time."""
        at_s, until_s, since, speed = self._time
        return min(until_s, at_s + (self._clock() - since) * speed)

    def text(self, direction: Direction, text: str, at_s: float) -> None:
        """A message at the station's socket."""
        text_bytes = len(text.encode())
        self.messages += 1
        self.json_bytes += text_bytes
        self.deflate_bytes += len(self._deflate[direction].compress(text))
        self._texts.append(WireMessage(at_s, direction, text_bytes))

    def frame(self, direction: Direction, frame_bytes: int, *, last: bool) -> None:
        """A frame of the codec on the link, or one piece of it; `last` ends it."""
        self.link_payload_bytes += frame_bytes
        self._pieces[direction] += frame_bytes
        if last:
            self._frames.append((self.now_s, direction, self._pieces[direction]))
            self._pieces[direction] = 0

    def plain_ip_bytes(self, conditions: Conditions) -> float:
        """What the texts would have cost over TLS: a record each, and one handshake."""
        return (messages_ip_bytes(self._texts, conditions) + ByteCount(handshake=handshake_bytes(PLAIN_HANDSHAKE, conditions))).total

    def month_bytes(self, conditions: Conditions) -> tuple[float, float] | None:
        """A month at this pace on a SIM of the station's own, over the link and as plain OCPP-J; None where there is no pace yet.

        From whole days, once there is one: a station's nights are part of its month.
        """
        if self.span_s < PACE_S_MIN:
            return None
        span_s = max(self.span_s // DAY_S * DAY_S, min(self.span_s, DAY_S))
        end_s = self._texts[0].at_s + span_s
        frames = [frame for frame in self._frames if frame[0] <= end_s]
        texts = [text for text in self._texts if text.at_s <= end_s]
        link = project_month(list(link_messages(frames)), conditions, span_s=span_s)
        return link.total, project_plain_month(texts, conditions, span_s=span_s).total


@dataclass(frozen=True, slots=True)
class LinkLayers:
    """IP bytes of the links, both ways, as counted."""

    payload: int
    """Codec frames."""
    framing: int
    """The link's own: headers, acknowledgements, hello."""
    tls: int
    """TLS and WebSocket, both handshakes included."""
    tcp_ip: int
    """Headers of all segments, bare acknowledgements and the connection's begin and end included."""

    @property
    def total(self) -> int:
        return self.payload + self.framing + self.tls + self.tcp_ip


class LinkTap:
    """One edge's link, overheard."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self.is_up = asyncio.Event()
        self.message_bytes = 0
        self._accounts = accounts
        self._by_slot: dict[int, Account] = {}

    def link_message(self, direction: Direction, data: bytes) -> None:
        """A link message passes the edge's end."""
        self.message_bytes += len(data)
        for part in read_parts(data):
            match part:
                case FramePart() | Piece():
                    self._by_slot[part.slot].frame(direction, len(part.data), last=isinstance(part, FramePart))
                case Attach():
                    self._by_slot[part.slot] = self._accounts[part.identity]
                case Welcome():
                    self.is_up.set()


class Tally:
    """The accounts of all stations by identity, and what the links carried."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self.accounts = accounts
        self._taps: list[LinkTap] = []

    def tap(self) -> LinkTap:
        """For a further link."""
        self._taps.append(LinkTap(self.accounts))
        return self._taps[-1]

    def layers(self, counts: Sequence[WireCount], *, closed: bool) -> LinkLayers | None:
        """The links by layers, from the kernel's counters of their connections; None where the kernel has none."""
        if not counts:
            return None
        payload = sum(account.link_payload_bytes for account in self.accounts.values())
        stream_bytes = sum(count.sent_bytes + count.received_bytes for count in counts)
        ip_bytes = sum(connection_ip_bytes(count, closed=closed) for count in counts)
        message_bytes = sum(tap.message_bytes for tap in self._taps)
        return LinkLayers(payload, message_bytes - payload, stream_bytes - message_bytes, ip_bytes - stream_bytes)


def connection_ip_bytes(count: WireCount, *, closed: bool) -> int:
    """IP bytes of one TCP connection, both ways; `closed` adds its end, which the counters don't have."""
    conditions = network_conditions(count)
    segments = count.sent_segments + count.received_segments + (FIN_SEGMENTS if closed else 0)
    syn_options_bytes = 2 * (conditions.syn_bytes - conditions.segment_bytes)
    return count.sent_bytes + count.received_bytes + segments * conditions.segment_bytes + syn_options_bytes


def network_conditions(count: WireCount) -> Conditions:
    """The conditions under which a segment's headers are what the kernel says."""
    every = (Conditions(ip_header_bytes=ip_header, tcp_timestamps=timestamps) for ip_header, timestamps in product((20, 40), (False, True)))
    return next(conditions for conditions in every if conditions.segment_bytes == count.header_bytes)
