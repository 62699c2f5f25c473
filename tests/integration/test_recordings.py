"""Recorded traffic through edge and cloud: what each side received is what the other had sent, payload text by payload text and in order.

Each side sends its frames exactly as recorded, its answers under the id that the CALL arrived with. Two things can't be as recorded, and
are counted: an answer whose CALL isn't in the recording is left out, and a CALL that the recording leaves unanswered is answered `{}` when
the next CALL of its direction is due, where it would otherwise hold that one up until its time is over.

The recordings shipped with the package always run; chargers' own traces where there are any.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction, TraceRecord, infer_version, read_trace
from tests.support.dialogue import End, open_csms, open_station
from tests.support.foreign.paths import through_ocppress
from tests.support.texts import content
from tests.support.traces import trace_files


@dataclass(slots=True)
class _Open:
    """A CALL under way, as recorded; `far_id` is the id that it arrived with, None while it is held up by an earlier one."""

    text: str
    far_id: str | None = None


@dataclass(slots=True)
class _Replay:
    station: End
    csms: End
    compared: int = 0
    answers_left_out: int = 0
    answers_made_up: int = 0
    open: dict[Direction, OrderedDict[str, _Open]] = field(default_factory=lambda: {direction: OrderedDict() for direction in Direction})

    def ends(self, direction: Direction) -> tuple[End, End]:
        """Sender and receiver."""
        return (self.station, self.csms) if direction is Direction.UP else (self.csms, self.station)

    async def play(self, records: Sequence[TraceRecord]) -> None:
        unanswered = _unanswered(records)
        for number, record in enumerate(records):
            message_id, message = parse(record.text)
            if message.type is MessageType.CALL:
                await self._make_up_answers(record.direction, unanswered)
                await self._call(record, number, message_id)
            elif message.type is MessageType.SEND:
                await self._send(record)
            else:
                await self._answer(record.direction, message_id, record.text)
        for direction in Direction:
            await self._make_up_answers(direction, unanswered)
        assert not any(self.open.values())

    async def _call(self, record: TraceRecord, number: int, message_id: str) -> None:
        sender, _ = self.ends(record.direction)
        await sender.send(record.text)
        under_way = self.open[record.direction]
        assert message_id not in under_way, f"frame {number} uses an id that is open"
        under_way[message_id] = _Open(record.text)
        if len(under_way) == 1:
            await self._arrival(record.direction)

    async def _send(self, record: TraceRecord) -> None:
        sender, receiver = self.ends(record.direction)
        await sender.send(record.text)
        self._compare(await receiver.receive(), record.text)

    async def _answer(self, direction: Direction, message_id: str, text: str) -> None:
        calls = self.open[direction.opposite]
        if message_id not in calls:
            self.answers_left_out += 1
            return
        call = calls.pop(message_id)
        assert call.far_id is not None, "the recording's answers are out of order"
        answerer, caller = self.ends(direction)
        await answerer.send(_under_id(text, call.far_id))
        arrived = await caller.receive()
        assert parse(arrived)[0] == message_id
        self._compare(arrived, text)
        if calls:
            await self._arrival(direction.opposite)

    async def _arrival(self, direction: Direction) -> None:
        """The oldest open CALL of a direction arrives, now that none before it is open."""
        _, receiver = self.ends(direction)
        call = next(iter(self.open[direction].values()))
        arrived = await receiver.receive()
        call.far_id, _ = parse(arrived)
        self._compare(arrived, call.text)

    async def _make_up_answers(self, direction: Direction, unanswered: set[str]) -> None:
        for near_id in [near_id for near_id in self.open[direction] if near_id in unanswered]:
            self.answers_made_up += 1
            await self._answer(direction.opposite, near_id, f"[3,{json.dumps(near_id)},{{}}]")

    def _compare(self, arrived: str, sent: str) -> None:
        assert content(arrived) == content(sent)
        self.compared += 1


def _under_id(text: str, message_id: str) -> str:
    """The recorded text of an answer, its id replaced and nothing else."""
    return re.sub(r'^(\s*\[\s*\d+\s*,\s*)"(?:[^"\\]|\\.)*"', lambda match: match[1] + json.dumps(message_id), text)


def _unanswered(records: Sequence[TraceRecord]) -> set[str]:
    """The ids of CALLs that no later frame answers; an id that is used again for an answered CALL isn't told apart, and doesn't occur."""
    waiting: set[tuple[Direction, str]] = set()
    for record in records:
        message_id, message = parse(record.text)
        if message.type is MessageType.CALL:
            waiting.add((record.direction, message_id))
        elif message.type is not MessageType.SEND:
            waiting.discard((record.direction.opposite, message_id))
    return {message_id for _, message_id in waiting}


def _replay(records: Sequence[TraceRecord]) -> _Replay:
    version = infer_version(records)

    async def run() -> _Replay:
        async with (
            open_csms(version) as listening,
            through_ocppress(listening.url) as url,
            open_station(url, "CS-1", [version.subprotocol]) as station,
        ):
            replay = _Replay(station, await listening.end("CS-1"))
            await replay.play(records)
            assert station.nothing_waits
            assert replay.csms.nothing_waits
            return replay

    return asyncio.run(run())


@pytest.mark.parametrize("name", recordings.names())
def test_shipped_recording(name: str) -> None:
    records = recordings.load(name)
    replay = _replay(records)
    assert (replay.compared, replay.answers_left_out, replay.answers_made_up) == (len(records), 0, 0)


def test_traces_of_the_folder() -> None:
    for path in trace_files():
        records = list(read_trace(path))
        replay = _replay(records)
        print(f"{path.name}: {replay.compared} compared, {replay.answers_left_out} left out, {replay.answers_made_up} made up")
        assert replay.compared == len(records) - replay.answers_left_out + replay.answers_made_up
