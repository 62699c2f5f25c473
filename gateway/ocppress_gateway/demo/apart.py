"""A script played with a gateway that answers early: station and CSMS no longer take turns.

    station   CALL ──► answer, from the CSMS or from the edge ──► the next CALL
    CSMS      whatever comes, when it comes: answered as recorded

What the station sends must arrive at the CSMS exactly, once, and in order within each lane; what waits when the script ends is sent then. Of what passes
between the gateway and one side alone each end keeps count in `elsewhere`: a Heartbeat that the edge answers, the gateway's own Heartbeats, and what
the CSMS answers to a message whose sender has another answer already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, parse, render
from ocppress_gateway.core.answers import EMPTY_ANSWER, heartbeat_answer
from ocppress_gateway.core.policy import MessageClass, class_of, is_express
from ocppress_gateway.demo.dialogue import Closing
from ocppress_gateway.demo.ends import End, EndLost
from ocppress_gateway.demo.replay import Exchange, Script, Turn
from ocppress_gateway.demo.tally import Account
from ocppress_gateway.workloads.traces import Direction

__all__ = ["play_apart"]

_HEARTBEAT = "Heartbeat"


async def play_apart(
    script: Script, speed: float, *, station: End, csms: End, account: Account, closing: Closing, flush: Callable[[], None]
) -> None:
    """Play a script as `dialogue.play` does; `flush` makes the edge send what waits."""
    play = _Apart(script, speed, station, csms, account, closing)
    try:
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(play.listen_to_station(), name="demo station"), group.create_task(play.serve(), name="demo CSMS")]
            await play.play()
            flush()
            await play.drained()
            for reader in readers:
                reader.cancel()
    except* (EndLost, NotOcppJ) as errors:
        account.trouble = str(errors.exceptions[0])
    except* TimeoutError:
        account.trouble = "a message didn't arrive in time"
    account.left_out = script.left_out


@dataclass(eq=False)
class _Sent:
    """A message that the station has sent; `answer` None for a SEND."""

    turn: Turn
    answer: Turn | None
    arrived: bool = False


class _Apart:
    def __init__(self, script: Script, speed: float, station: End, csms: End, account: Account, closing: Closing) -> None:
        self._script = script
        self._speed = speed
        self._station = station
        self._csms = csms
        self._account = account
        self._closing = closing
        self._under_way: deque[_Sent] = deque()
        """What the station has sent and the CSMS has not received."""
        self._changed = asyncio.Condition()
        self._station_answers: dict[str, asyncio.Future[Message]] = {}
        self._station_calls: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        self._csms_answers: dict[str, asyncio.Future[Message]] = {}

    # --- the script

    async def play(self) -> None:
        """Say everything in its time, until the script ends or nothing new may begin."""
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        first_s: float | None = None
        for turn, answer in _exchanges(self._script.turns()):
            first_s = turn.at_s if first_s is None else first_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(begun_at + (turn.at_s - first_s) / self._speed):
                    await self._closing.stop.wait()
            if self._closing.stop.is_set():
                return
            async with asyncio.timeout_at(self._closing.deadline()):
                await (self._up(turn, answer) if turn.direction is Direction.UP else self._down(turn, answer))
            self._account.wall_s = loop.time() - begun_at

    async def drained(self) -> None:
        """Wait until all that was sent has arrived."""
        async with asyncio.timeout_at(self._closing.deadline()), self._changed:
            await self._changed.wait_for(lambda: not self._under_way)

    async def _up(self, turn: Turn, answer: Turn | None) -> None:
        """The station says something, and goes on once it has its answer."""
        message_id, message = parse(turn.text)
        sent = _Sent(turn, answer)
        self._under_way.append(sent)
        self._at(turn, turn.text)
        if answer is None:
            await self._station.send(turn.text)
            return
        heard = self._station_answers[message_id] = asyncio.get_running_loop().create_future()
        await self._station.send(turn.text)
        reply = await heard
        self._at(answer, render(message_id, reply))
        if _content(reply) == _content(answer.message):
            self._station.delivered += 1
        elif message.action == _HEARTBEAT and not sent.arrived:
            self._station.elsewhere += 1
            self._under_way.remove(sent)
        elif _content(reply) == EMPTY_ANSWER and class_of(self._script.version, message) is MessageClass.BATCH:
            self._csms.elsewhere += 1
        else:
            self._account.trouble = "an answer arrived that is not the one that was sent"

    async def _down(self, turn: Turn, answer: Turn | None) -> None:
        """The CSMS says something, and the station answers."""
        message_id, _ = parse(turn.text)
        heard = self._csms_answers[message_id] = asyncio.get_running_loop().create_future()
        await self._csms.send(turn.text)
        far_id, message = await self._station_calls.get()
        self._at(turn, render(far_id, message))
        self._check(message, turn, self._station)
        if answer is not None:
            text = render(far_id, answer.message)
            self._at(answer, text)
            await self._station.send(text)
            self._check(await heard, answer, self._csms)

    def _at(self, turn: Turn, text: str) -> None:
        """A text at the station's socket, at its time."""
        self._account.now_s = max(self._account.now_s, turn.at_s)
        self._account.text(turn.direction, text)

    def _check(self, message: Message, turn: Turn, receiver: End) -> None:
        if _content(message) == _content(turn.message):
            receiver.delivered += 1
        else:
            self._account.trouble = "a message arrived that is not the one that was sent"

    # --- the two ends

    async def listen_to_station(self) -> None:
        """What arrives at the station."""
        while True:
            message_id, message = parse(await self._station.receive())
            if message.type is MessageType.CALL:
                self._station_calls.put_nowait((message_id, message))
            elif (heard := self._station_answers.pop(message_id, None)) is not None:
                heard.set_result(message)
            else:
                self._account.trouble = "an answer arrived that nobody waits for"

    async def serve(self) -> None:
        """What arrives at the CSMS, answered as recorded."""
        while True:
            message_id, message = parse(await self._csms.receive())
            if message.type in (MessageType.CALL, MessageType.SEND):
                await self._asked(message_id, message)
            elif (heard := self._csms_answers.pop(message_id, None)) is not None:
                heard.set_result(message)
            else:
                self._account.trouble = "an answer arrived that nobody waits for"

    async def _asked(self, message_id: str, message: Message) -> None:
        express = is_express(self._script.version, message)
        lane = [sent for sent in self._under_way if is_express(self._script.version, sent.turn.message) is express]
        # Heartbeats, which may stay at the edge, are no reason for others to be late.
        expected = next((sent for sent in lane if _content(sent.turn.message) == _content(message)), None)
        overtaken = [sent for sent in lane[: lane.index(expected)] if sent.turn.message.action != _HEARTBEAT] if expected else []
        if expected is None and message.action == _HEARTBEAT:
            self._csms.elsewhere += 1
            await self._csms.send(render(message_id, heartbeat_answer(self._account.now_s)))
            return
        if expected is None or overtaken:
            self._account.trouble = "a message arrived that is not the one that was sent, or not in its turn"
            return
        expected.arrived = True
        self._csms.delivered += 1
        async with self._changed:
            self._under_way.remove(expected)
            self._changed.notify_all()
        if expected.answer is not None:
            await self._csms.send(render(message_id, expected.answer.message))


def _exchanges(turns: Iterator[Turn]) -> Iterator[tuple[Turn, Turn | None]]:
    """Each CALL with its answer, each SEND alone, in the order in which they begin."""
    waiting: deque[tuple[Turn, Exchange | None]] = deque()
    answers: dict[Exchange, Turn] = {}
    for turn in turns:
        if turn.begins:
            waiting.append((turn, turn.exchange))
        elif turn.exchange is not None:
            answers[turn.exchange] = turn
        while waiting and (waiting[0][1] is None or waiting[0][1] in answers):
            begun, exchange = waiting.popleft()
            yield begun, None if exchange is None else answers.pop(exchange)


def _content(message: Message) -> Message:
    """All of a message but what ties it to others."""
    return replace(message, call=None)
