"""A script played by a station and the CSMS, with everything in between left to the gateway.

The station calls under the recorded ids, and goes on when it has its answer; each side answers under the id that the CALL arrived with. With a
plan that answers early the two are apart: the CSMS gets later what the edge has answered, and answers it as it was recorded. Whatever else is
said must arrive at once, before the next turn. In the end all that waits at the edge is flushed, and must arrive too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, parse, render
from ocppress_gateway.core.answers import EMPTY_ANSWER, csms_time_s, heartbeat_answer
from ocppress_gateway.demo.deliveries import HEARTBEAT, Call, Deliveries, Undelivered, content
from ocppress_gateway.demo.ends import End, EndLost
from ocppress_gateway.demo.replay import Exchange, Script, Turn
from ocppress_gateway.demo.tally import Account
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Closing", "play"]

BEHIND_S: Final = 0.5
"""How late a message may be besides the plan's delay; then the station waits for the CSMS. So a slow machine has no backlog in the end."""

_ANSWERS: Final = frozenset({MessageType.CALLRESULT, MessageType.CALLERROR})


class Closing:
    """When the demo is to end. `stop` lets nothing new begin; answers may still come until `give_up_at`, in the event loop's time."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s`: how long any message may take that doesn't wait at the edge."""
        self.stop = asyncio.Event()
        self.patience_s = patience_s
        self.give_up_at = float("inf")

    def deadline(self) -> float:
        """Until when a message sent now may arrive."""
        return min(asyncio.get_running_loop().time() + self.patience_s, self.give_up_at)


async def play(
    script: Script,
    speed: float,
    *,
    station: End,
    csms: End,
    account: Account,
    closing: Closing,
    delay_s: Callable[[], float] = lambda: 0.0,
    flush: Callable[[], None] = lambda: None,
) -> None:
    """Play a script `speed` times as fast as it was recorded, to its end or until `closing` says stop; `account.trouble` says why it
    ended otherwise. `delay_s`: how long a message waits at the edge at most, in real time; after `flush` none does."""
    dialogue = _Dialogue(script, speed, station, csms, account, closing)
    try:
        async with asyncio.TaskGroup() as group:
            hearing = [
                group.create_task(dialogue.hear_station(), name=f"{account.name} station"),
                group.create_task(dialogue.hear_csms(), name=f"{account.name} CSMS"),
            ]
            await dialogue.play(delay_s)
            flush()
            await dialogue.drained()
            for task in hearing:
                task.cancel()
    except* (EndLost, NotOcppJ, Undelivered) as errors:
        account.trouble = str(errors.exceptions[0])
    except* TimeoutError:
        account.trouble = "a message didn't arrive in time"
    account.left_out = script.left_out


class _Dialogue:
    def __init__(self, script: Script, speed: float, station: End, csms: End, account: Account, closing: Closing) -> None:
        self._script = script
        self._speed = speed
        self._station = station
        self._csms = csms
        self._account = account
        self._closing = closing
        self._deliveries = Deliveries(script.version)
        self._open: dict[Exchange, Call | None] = {}
        """Exchanges whose answer is still to come; None for the CSMS's."""
        self._calls: dict[str, Call] = {}
        """The station's CALLs that it has no answer to, by its ids."""
        self._far_ids: dict[Exchange, str] = {}
        """The ids under which CALLs of the CSMS have arrived, until they are answered."""
        self._last: dict[Exchange, Call] = {}
        self._arrived: dict[Direction, tuple[str, Message, str] | None] = dict.fromkeys(Direction)
        """What has arrived besides the station's CALLs and the answers to them."""
        self._changed = asyncio.Event()

    # --- saying

    async def play(self, delay_s: Callable[[], float]) -> None:
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        first_s: float | None = None
        for turn, next_s in _with_next(self._script.turns()):
            first_s = turn.at_s if first_s is None else first_s
            await self._pause_until(begun_at + (turn.at_s - first_s) / self._speed)
            if turn.direction is Direction.UP and turn.begins:
                await self._not_far_behind(delay_s() + BEHIND_S)
            if self._closing.stop.is_set():
                if not self._open:
                    return
                if turn.exchange not in self._open:
                    continue
            self._account.time_stands(turn.at_s)
            await self._say(turn)
            if not self._open:
                self._account.time_passes(turn.at_s, next_s, self._speed)
            self._account.wall_s = loop.time() - begun_at

    async def drained(self) -> None:
        """Wait until the CSMS has all."""
        await self._until(lambda: not self._deliveries)

    async def _say(self, turn: Turn) -> None:
        match turn.direction, turn.begins:
            case Direction.UP, True:
                await self._call_of_station(turn)
            case Direction.DOWN, False if turn.message.type in _ANSWERS:
                await self._answer_to_station(turn)
            case _:
                await self._across(turn)

    async def _call_of_station(self, turn: Turn) -> None:
        message_id, _ = parse(turn.text)
        call = Call(turn.message, asyncio.get_running_loop().time())
        self._deliveries.said(call)
        if turn.exchange is not None:
            self._open[turn.exchange] = self._calls[message_id] = call
        self._account.accepted += 1
        self._account.text(turn.direction, turn.text, turn.at_s)
        await self._station.send(turn.text)

    async def _answer_to_station(self, turn: Turn) -> None:
        assert turn.exchange is not None, "an answer belongs to a CALL"
        call = self._open.pop(turn.exchange)
        assert call is not None, "the station has called"
        call.recorded_answer = turn.message
        if call.far_id is not None:
            await self._answer_of_csms(call)
        await self._until(lambda: call.answer_text is not None)
        assert call.answer_text is not None, "waited for"
        self._account.text(turn.direction, call.answer_text, turn.at_s)
        self._judge(call, turn.message, parse(call.answer_text)[1])
        self._last = {turn.exchange: call}

    def _judge(self, call: Call, recorded: Message, answer: Message) -> None:
        """The station has an answer: the CSMS's, which must be what that says, or the edge's own."""
        if not call.is_early:
            if content(answer) != content(recorded):
                raise Undelivered("an answer arrived that is not the one that was sent")
            self._account.delivered += 1
        elif call.message.action == HEARTBEAT:
            if csms_time_s(answer) is None:
                raise Undelivered("the edge answered a Heartbeat with something else")
            self._deliveries.answered_at_the_edge(call)
            self._account.accepted -= 1
            self._account.heartbeats_at_edge += 1
        elif content(answer) != EMPTY_ANSWER:
            raise Undelivered("the edge answered early with more than an empty answer")
        else:
            self._account.answered_early += 1

    async def _answer_of_csms(self, call: Call) -> None:
        """The CSMS answers what has arrived, as it was recorded. To a message answered early that goes no further than the cloud."""
        assert call.far_id is not None, "it has arrived"
        assert call.recorded_answer is not None, "it is known"
        self._account.accepted += not call.is_early
        await self._csms.send(render(call.far_id, call.recorded_answer))

    async def _across(self, turn: Turn) -> None:
        """What nobody but its receiver answers: it arrives at once."""
        text = turn.text
        exchange, message = turn.exchange, turn.message
        if message.type is MessageType.CALL and exchange is not None:
            self._open[exchange] = None
        elif message.type in _ANSWERS and exchange is not None:
            text = render(self._far_ids.pop(exchange), message)
            del self._open[exchange]
        elif exchange in self._last and self._last[exchange].is_early:
            self._script.leave_out()  # a complaint about an answer that the edge has given otherwise
            return
        sender = self._station if turn.direction is Direction.UP else self._csms
        self._account.accepted += 1
        if turn.direction is Direction.UP:
            self._account.text(turn.direction, text, turn.at_s)
        self._arrived[turn.direction] = None
        await sender.send(text)
        await self._until(lambda: self._arrived[turn.direction] is not None)
        arrived = self._arrived[turn.direction]
        assert arrived is not None, "waited for"
        message_id, message, arrived_text = arrived
        if content(message) != content(turn.message):
            raise Undelivered("a message arrived that is not the one that was sent")
        self._account.delivered += 1
        if turn.direction is Direction.DOWN:
            self._account.text(turn.direction, arrived_text, turn.at_s)
        if message.type is MessageType.CALL and exchange is not None:
            self._far_ids[exchange] = message_id

    # --- hearing

    async def hear_station(self) -> None:
        """All that arrives at the station, until cancelled."""
        while True:
            text = await self._station.receive()
            message_id, message = parse(text)
            if message.type in _ANSWERS and message_id in self._calls:
                self._calls.pop(message_id).answer_text = text
            else:
                self._arrived[Direction.DOWN] = message_id, message, text
            self._changed.set()

    async def hear_csms(self) -> None:
        """All that arrives at the CSMS, until cancelled."""
        while True:
            text = await self._csms.receive()
            message_id, message = parse(text)
            if message.type in (MessageType.CALL, MessageType.SEND):
                await self._arrives_at_csms(message_id, message)
            else:
                self._arrived[Direction.UP] = message_id, message, text
            self._changed.set()

    async def _arrives_at_csms(self, message_id: str, message: Message) -> None:
        waiting = len(self._deliveries)
        call = self._deliveries.arrived(message_id, message)
        self._account.delivered += waiting - len(self._deliveries)
        if call is None:
            self._account.heartbeats_of_cloud += 1
            await self._csms.send(render(message_id, heartbeat_answer(datetime.now(UTC).timestamp())))
        elif call.recorded_answer is not None:
            await self._answer_of_csms(call)

    # --- waiting

    async def _pause_until(self, at: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._closing.stop.wait()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is to arrive. Raises `TimeoutError`."""
        async with asyncio.timeout_at(self._closing.deadline()):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _not_far_behind(self, behind_s: float) -> None:
        loop = asyncio.get_running_loop()

        def near() -> bool:
            oldest_at = self._deliveries.oldest_at
            return oldest_at is None or loop.time() - oldest_at < behind_s or self._closing.stop.is_set()

        if not near():
            await self._until(near)


def _with_next(turns: Iterator[Turn]) -> Iterator[tuple[Turn, float]]:
    """Each turn with the time of the next; infinite after the last."""
    turn = next(turns, None)
    while turn is not None:
        after = next(turns, None)
        yield turn, float("inf") if after is None else after.at_s
        turn = after
