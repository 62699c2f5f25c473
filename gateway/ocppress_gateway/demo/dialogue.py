"""A script played by a station and the CSMS, with everything in between left to the gateway.

The station calls under the recorded ids, and each side answers under the id that the CALL arrived with. One message of a station is on
its way at a time; what arrives must be what was sent, and only then comes the next turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, parse, render
from ocppress_gateway.demo.ends import End, EndLost
from ocppress_gateway.demo.replay import Exchange, Script, Turn
from ocppress_gateway.demo.tally import Account
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Closing", "play"]


class Closing:
    """When the demo is to end. `stop` lets nothing new begin; answers may still come until `give_up_at`, in the event loop's time."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s`: how long any message may take."""
        self.stop = asyncio.Event()
        self.patience_s = patience_s
        self.give_up_at = float("inf")

    def deadline(self) -> float:
        """Until when a message sent now may arrive."""
        return min(asyncio.get_running_loop().time() + self.patience_s, self.give_up_at)


async def play(script: Script, speed: float, *, station: End, csms: End, account: Account, closing: Closing) -> None:
    """Play a script `speed` times as fast as it was recorded, to its end or until `closing` says stop; `account.trouble` says why it
    ended otherwise."""
    try:
        await _Dialogue(station, csms, account, closing).play(script, speed)
    except (EndLost, NotOcppJ) as error:
        account.trouble = str(error)
    except TimeoutError:
        account.trouble = "a message didn't arrive in time"
    account.left_out = script.left_out


class _Dialogue:
    def __init__(self, station: End, csms: End, account: Account, closing: Closing) -> None:
        self._ends = {Direction.UP: (station, csms), Direction.DOWN: (csms, station)}
        self._account = account
        self._closing = closing
        self._far_ids: dict[Exchange, str] = {}
        """The ids under which the CALLs that wait for their answers arrived."""

    async def play(self, script: Script, speed: float) -> None:
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        first_s: float | None = None
        for turn in script.turns():
            first_s = turn.at_s if first_s is None else first_s
            await self._pause_until(begun_at + (turn.at_s - first_s) / speed)
            if self._closing.stop.is_set():
                if not self._far_ids:
                    return
                if turn.exchange not in self._far_ids:
                    continue
            await self._say(turn)
            self._account.wall_s = loop.time() - begun_at

    async def _pause_until(self, at: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._closing.stop.wait()

    async def _say(self, turn: Turn) -> None:
        sender, receiver = self._ends[turn.direction]
        self._account.now_s = max(self._account.now_s, turn.at_s)
        sent = self._text(turn)
        await sender.send(sent)
        async with asyncio.timeout_at(self._closing.deadline()):
            arrived = await receiver.receive()
        self._account.text(turn.direction, sent if turn.direction is Direction.UP else arrived)
        message_id, message = parse(arrived)
        if _content(message) == _content(turn.message):
            receiver.delivered += 1
        else:
            self._account.trouble = "a message arrived that is not the one that was sent"
        if turn.begins and turn.exchange is not None:
            self._far_ids[turn.exchange] = message_id

    def _text(self, turn: Turn) -> str:
        if turn.exchange is None or turn.exchange[0] is turn.direction:
            return turn.text
        return render(self._far_ids.pop(turn.exchange), turn.message)


def _content(message: Message) -> Message:
    """All of a message but what ties it to others."""
    return replace(message, call=None)
