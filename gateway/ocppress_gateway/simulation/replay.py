"""A recorded station and its CSMS in the simulated world: each says what it said, when it said it, and compares what it hears.

exchanges ──► ReplayedStation ──► edge ═══ cloud ──► ReplayedCsms      a CALL as recorded; the answer that it got then
                    ▲                                      │
                    └────────── Comparison ◄───────────────┘          said and heard, each body as often as the other
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from ocppress_gateway.core.events import StationArrived, StationGone, StationText
from ocppress_gateway.core.policy import MessageClass, class_of, is_urgent
from ocppress_gateway.simulation.world import World
from ocppress_gateway.workloads.exchanges import Exchange
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Comparison", "ReplayedCsms", "ReplayedStation"]

RECONNECT_S: Final = 5.0
"""After which a station comes back whose socket was closed."""

REPEAT_S: Final = 70.0
"""After which it says again what nobody has answered: a little more than the edge takes a station to wait."""

HEARTBEAT: Final = "Heartbeat"


@dataclass(slots=True)
class _Said:
    at_s: float
    exchange: Exchange


@dataclass
class Comparison:
    """What was said and not yet heard, by its exact text without the id; what was heard that nobody said; how old it was."""

    version: OcppVersion
    said: dict[tuple[Direction, str], deque[_Said]] = field(default_factory=dict)
    strangers: int = 0
    wrong_answers: int = 0
    repeats: int = 0
    delivered: int = 0
    ages_s: list[float] = field(default_factory=list)
    """Of messages that the edge may answer early and that aren't urgent, when they reach the CSMS."""

    def say(self, exchange: Exchange, now: float) -> None:
        """It leaves its sender."""
        self.said.setdefault((exchange.direction, exchange.message.body), deque()).append(_Said(now, exchange))

    def hear(self, direction: Direction, message: Message, now: float) -> Exchange | None:
        """It has come; None if nobody said it."""
        waiting = self.said.get((direction, message.body))
        if not waiting:
            self.strangers += 1
            return None
        said = waiting.popleft()
        if not waiting:
            del self.said[direction, message.body]
        self.delivered += 1
        if direction is Direction.UP and class_of(self.version, message) is MessageClass.BATCH and not is_urgent(message):
            self.ages_s.append(now - said.at_s)
        return said.exchange

    @property
    def missing(self) -> int:
        """Said, and never heard."""
        return sum(map(len, self.said.values())) - self.expired

    @property
    def expired(self) -> int:
        """CALLs of the CSMS that weren't heard, and weren't answered in the recording either: their time may be over while the station is busy
        with another (rule R3)."""
        waiting = (one.exchange for (direction, _), said in self.said.items() if direction is Direction.DOWN for one in said)
        return sum(1 for exchange in waiting if exchange.answer is None)

    @property
    def exact(self) -> bool:
        """Whether everything came, once and as it was."""
        return not (self.missing or self.strangers or self.wrong_answers)


class ReplayedStation:
    """One CALL at a time; it begins at 0 s what the first exchange began."""

    def __init__(self, world: World, identity: str, upcoming: Iterator[Exchange], comparison: Comparison, csms: ReplayedCsms) -> None:
        self.world = world
        self.identity = identity
        self.ends_s: float | None = None
        """When the last exchange began, once it has."""
        self._upcoming = upcoming
        self._comparison = comparison
        self._csms = csms
        self._begin_s: float | None = None
        self._socket = 0
        self._open = False
        self._paused = False
        self._waiting: deque[Exchange] = deque()
        self._out: tuple[str, Exchange] | None = None
        self._connect()
        self._take()

    # --- what it says

    def _take(self) -> None:
        """Wait for the next exchange's time."""
        exchange = next(self._upcoming, None)
        if exchange is None:
            self.ends_s = self.world.now
            return
        if self._begin_s is None:
            self._begin_s = exchange.at_s - 1.0
        self.world.at(max(0.0, exchange.at_s - self._begin_s - self.world.now), lambda: self._begin(exchange))

    def _begin(self, exchange: Exchange) -> None:
        if exchange.direction is Direction.UP:
            self._waiting.append(exchange)
            self._next()
        else:
            self._csms.call(exchange)
        self._take()

    def _next(self) -> None:
        while self._open and not self._paused and self._out is None and self._waiting:
            exchange = self._waiting.popleft()
            if exchange.message.action != HEARTBEAT:
                self._comparison.say(exchange, self.world.now)
            if exchange.message.type is MessageType.CALL:
                self._out = parse(exchange.text)[0], exchange
                self._repeat_later(exchange)
            self._step(exchange.text)

    def _repeat_later(self, exchange: Exchange) -> None:
        def repeat() -> None:
            if self._out is not None and self._out[1] is exchange:
                self._again()

        self.world.at(REPEAT_S, repeat)

    def _again(self) -> None:
        if self._open and self._out is not None:
            self._comparison.repeats += 1
            self._repeat_later(self._out[1])
            self._step(self._out[1].text)

    def _answer(self, text: str) -> None:
        if self._open:
            self._step(text)

    def _step(self, text: str) -> None:
        self.world.step(self.world.edge, StationText(self._socket, text))

    # --- its socket

    def _connect(self) -> None:
        self._socket = self.world.new_socket(self)
        subprotocol = self._comparison.version.subprotocol
        self.world.step(self.world.edge, StationArrived(self._socket, self.identity, (subprotocol,)))

    def admitted(self, subprotocol: str) -> None:
        self._open, self._paused = True, False
        self._again()
        self._next()

    def refused(self, status: int) -> None:
        self.world.at(RECONNECT_S, self._connect)

    def closed(self, code: int) -> None:
        if self._open:
            self._open = False
            self.world.step(self.world.edge, StationGone(self._socket, "closed"))
            self.world.at(RECONNECT_S, self._connect)

    def edge_died(self) -> None:
        self._open = False
        self.world.at(RECONNECT_S, self._connect)

    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._next()

    def text(self, text: str) -> None:
        message_id, message = parse(text)
        if message.type is MessageType.CALL:
            exchange = self._comparison.hear(Direction.DOWN, message, self.world.now)
            if exchange is not None and exchange.answer is not None:
                answer = render(message_id, exchange.answer)
                self.world.at(min(exchange.answer_s, REPEAT_S / 4), lambda: self._answer(answer))
        elif self._out is not None and message_id == self._out[0]:
            self._out = None
            self._next()


class ReplayedCsms:
    """Gives each CALL the answer that it got in the recording; a Heartbeat its own time."""

    def __init__(self, world: World, comparison: Comparison, begins_s: Callable[[], float]) -> None:
        """`begins_s`: the Unix time at 0 s."""
        self._world = world
        self._comparison = comparison
        self._begins_s = begins_s
        self._socket: int | None = None
        self._ids = 0
        self._out: dict[str, Exchange] = {}
        self._waiting: deque[Exchange] = deque()

    def call(self, exchange: Exchange) -> None:
        """Send a CALL as recorded, once the station is there."""
        if self._socket is None:
            self._waiting.append(exchange)
            return
        self._ids += 1
        message_id = f"csms-{self._ids}"
        self._comparison.say(exchange, self._world.now)
        if exchange.message.type is MessageType.CALL and exchange.answer is not None:
            self._out[message_id] = exchange
        self._world.csms_sends(self._socket, render(message_id, exchange.message))

    def opened(self, socket: int, identity: str) -> None:
        self._socket = socket
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            self._world.at(0.0, partial(self.call, exchange))

    def closed(self, socket: int) -> None:
        if socket == self._socket:
            self._socket = None

    def text(self, socket: int, text: str) -> None:
        message_id, message = parse(text)
        if message.type in (MessageType.CALLRESULT, MessageType.CALLERROR):
            exchange = self._out.pop(message_id, None)
            if exchange is None or exchange.answer is None or exchange.answer.body != message.body:
                self._comparison.wrong_answers += 1
            return
        if message.action == HEARTBEAT:
            moment = datetime.fromtimestamp(self._begins_s() + self._world.now, UTC).isoformat(timespec="milliseconds")
            self._answer(socket, f'[3,"{message_id}",{{"currentTime":"{moment.removesuffix("+00:00")}Z"}}]', 0.05)
            return
        exchange = self._comparison.hear(Direction.UP, message, self._world.now)
        if message.type is MessageType.CALL:
            answer = Message(MessageType.CALLRESULT, "", "{}") if exchange is None or exchange.answer is None else exchange.answer
            self._answer(socket, render(message_id, answer), 0.05 if exchange is None else min(exchange.answer_s, 5.0))

    def _answer(self, socket: int, text: str, after_s: float) -> None:
        self._world.at(after_s, lambda: self._world.csms_sends(socket, text))
