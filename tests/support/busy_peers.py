"""Stations and a CSMS on real WebSockets that talk all the time, and record everything: traffic for a link that is cut.

They speak OCPP 1.6 as far as the gateway looks at it. A station that `boots` says BootNotification first, once in its life, and may then be
answered by the edge. A station has one CALL out at a time (or several, if it pipelines), repeats a
transaction message under a new id when its short patience is over, gives other messages up, and reconnects when its socket is lost. The
CSMS answers each CALL with what it heard, as the station answers commands, so that an answer shows which CALL it belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.raw_peers import RawCsms, RawStation

__all__ = ["BusyCsms", "BusyStation", "Heard", "Sent"]

TRANSACTION = ("StartTransaction", "MeterValues", "StopTransaction")
OTHER = ("StatusNotification", "Authorize", "DataTransfer")

GAP_S = (0.0, 0.02)
"""Between two messages that somebody thinks of."""

ANSWER_S = (0.0, 0.02)
"""How long somebody takes to answer."""

SLOW_SHARE = 0.1
"""Of the CSMS's answers, where it is slow at times."""

FILL_BYTES = (0, 0, 0, 0, 50, 2500)
"""Besides what makes a payload unlike any other; the largest crosses the link in pieces."""

RECONNECT_S = 0.02

BOOT = '"BootNotification",{"chargePointModel":"busy","chargePointVendor":"ocppress"}'
BOOT_ANSWER = '{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}'


@dataclass(eq=False)
class Sent:
    """A CALL that somebody made: `payload` is its text without insignificant white space."""

    action: str
    text: str
    payload: str
    transaction: bool
    tries: list[float] = field(default_factory=list)
    """When it went out, each time under a new id."""
    answers: list[str] = field(default_factory=list)
    given_up: bool = False


@dataclass(eq=False)
class Heard:
    """A CALL that somebody received; `socket` tells one connection of the receiver from another, `answered` whether it was still there for the answer."""

    at: float
    action: str
    payload: str
    socket: int
    message_id: str
    answered: bool = False


def _now() -> float:
    return asyncio.get_running_loop().time()


def _make(random: Random, number: int, action: str) -> Sent:
    """A CALL like no other, with spellings that JSON libraries like to change, and white space that nobody is to see again."""
    members = [
        f'"n":{number}.{random.randrange(10)}0',
        r'"t":"\u00e9\/ a"',
        f'"x":{random.choice(["1e+02", "-0", "1.00", "12345678901234567890"])}',
    ]
    if action == "MeterValues":
        members.append('"transactionId":7')
    members.append(f'"fill":"{random.randbytes(random.choice(FILL_BYTES)).hex()}"')
    spaced = " ,\n ".join(member.replace(":", " : ", 1) for member in members)
    return Sent(action, f"{{ {spaced} }}", f"{{{','.join(members)}}}", action in TRANSACTION)


def _parsed(text: str) -> tuple[int, str, str, str]:
    """Message type, id, action and payload's text of a CALL or a CALLRESULT as the gateway writes it."""
    kind, message_id, *rest = json.loads(text)
    head = f"[{kind},{json.dumps(message_id)}," + (f"{json.dumps(rest[0])}," if kind == 2 else "")
    assert text.startswith(head), f"spelled otherwise than the gateway does: {text[:80]}"
    return kind, message_id, rest[0] if kind == 2 else "", text[len(head) : -1]


class BusyStation:
    """One station and all it did. `run` it in a task, call `finish` when it has said enough."""

    def __init__(
        self, url: str, identity: str, random: Random, *, patience_s: float, pipeline: int = 1, boots: bool = False, gap_s: float = GAP_S[1]
    ) -> None:
        """`gap_s`: the longest pause before it thinks of something new."""
        self.identity = identity
        self.made: list[Sent] = []
        self.heard: list[Heard] = []
        self.stray_answers: list[str] = []
        self.connections = 0
        self._socket: ClientConnection | None = None
        self._url = url
        self._random = random
        self._patience_s = patience_s
        self._pipeline = pipeline
        self._booted = not boots
        self._gap_s = gap_s
        self._waiting: deque[Sent] = deque()
        self._out: dict[str, tuple[Sent, float]] = {}
        self._given_up: set[str] = set()
        self._ids = 0
        self._changed = asyncio.Event()
        self._thinking = True
        self._done = asyncio.Event()

    async def finish(self) -> None:
        """Think of nothing new, and wait until all that was said is answered or given up."""
        self._thinking = False
        self._changed.set()
        await self._done.wait()

    def hang_up(self) -> None:
        """Lose the socket, if there is one, and whatever was on its way; `run` makes another."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._think(), name=f"{self.identity} thinks")
            while True:
                with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError):
                    async with RawStation(f"{self._url}/{self.identity}", subprotocols=["ocpp1.6"]) as station:
                        self.connections += 1
                        self._socket = station.socket
                        await self._talk(station.socket)
                for sent, _ in reversed(self._out.values()):
                    self._again(sent)
                self._out.clear()
                self._given_up.clear()
                await asyncio.sleep(RECONNECT_S)

    async def _think(self) -> None:
        while self._thinking:
            await asyncio.sleep(self._random.uniform(0, self._gap_s))
            if self._thinking and len(self._waiting) < 3:
                action = self._random.choice(self._random.choice((TRANSACTION, OTHER)))
                self.made.append(_make(self._random, len(self.made), action))
                self._waiting.append(self.made[-1])
                self._changed.set()

    async def _boot(self, socket: ClientConnection) -> None:
        while not self._booted:
            self._ids += 1
            await socket.send(f'[2,"{self._ids}",{BOOT}]')
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    while not self._booted:
                        text = await socket.recv(decode=True)
                        self._booted = text == f'[3,"{self._ids}",{BOOT_ANSWER}]'

    async def _talk(self, socket: ClientConnection) -> None:
        await self._boot(socket)
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._say(socket), name=f"{self.identity} writer")
            async for text in _texts(socket):
                self._hear(text, socket, group)
            writer.cancel()

    async def _say(self, socket: ClientConnection) -> None:
        while True:
            while self._waiting and len(self._out) < self._pipeline:
                sent = self._waiting.popleft()
                self._ids += 1
                message_id = str(self._ids)
                sent.tries.append(_now())
                self._out[message_id] = sent, _now() + self._patience_s
                await _send(socket, f'[2, "{message_id}", "{sent.action}",\n{sent.text}]')
            if not self._thinking and not self._waiting and not self._out:
                self._done.set()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min((until for _, until in self._out.values()), default=None)):
                    await self._changed.wait()
            for message_id, (sent, until) in reversed(list(self._out.items())):
                if until <= _now():
                    del self._out[message_id]
                    self._given_up.add(message_id)
                    self._again(sent)

    def _again(self, sent: Sent) -> None:
        if sent.transaction:
            self._waiting.appendleft(sent)
        else:
            sent.given_up = True

    def _hear(self, text: str, socket: ClientConnection, group: asyncio.TaskGroup) -> None:
        kind, message_id, action, payload = _parsed(text)
        if kind == 2:
            self.heard.append(Heard(_now(), action, payload, self.connections, message_id))
            group.create_task(_answer(socket, self.heard[-1], self._random.uniform(*ANSWER_S)), name=f"{self.identity} answers")
        elif message_id in self._out:
            self._out.pop(message_id)[0].answers.append(text)
            self._changed.set()
        elif message_id not in self._given_up:
            self.stray_answers.append(text)


class BusyCsms:
    """The CSMS for all stations and all it did; `open` it, and let it `command` stations in tasks."""

    def __init__(self, random: Random, *, patience_s: float, slow_s: float = 0.0) -> None:
        """`slow_s`: up to how long some of its answers take."""
        self.heard: dict[str, list[Heard]] = {}
        self.commands: dict[str, list[Sent]] = {}
        self.ids_heard: list[str] = []
        self.stray_answers: list[str] = []
        self.calls_at_once_max = 0
        self._random = random
        self._patience_s = patience_s
        self._slow_s = slow_s
        self._out: dict[tuple[ServerConnection, str], tuple[Sent, asyncio.Event]] = {}
        self._ids = 0
        self._connections = 0
        self._raw = RawCsms(talk=self._talk)
        self.crash = self._raw.crash
        self.come_back = self._raw.come_back

    @property
    def url(self) -> str:
        return self._raw.url

    @property
    def overlaps_s(self) -> list[float]:
        return self._raw.overlaps_s

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[BusyCsms]:
        async with self._raw:
            yield self

    async def command(self, identity: str) -> None:
        """Send commands to this station, until cancelled. The next one goes when the last is answered, or the patience with it is over."""
        while True:
            await asyncio.sleep(self._random.uniform(*GAP_S))
            socket = self._raw.sockets.get(identity)
            if socket is None:
                continue
            self._ids += 1
            sent = _make(self._random, self._ids, "RemoteStartTransaction")
            sent.tries.append(_now())
            self.commands.setdefault(identity, []).append(sent)
            answered = asyncio.Event()
            self._out[socket, str(self._ids)] = sent, answered
            await _send(socket, f'[2,"{self._ids}","{sent.action}",{sent.text}]')
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    await answered.wait()

    async def _talk(self, identity: str, socket: ServerConnection) -> None:
        self._connections += 1
        number = self._connections
        unanswered = 0

        async def answer(item: Heard) -> None:
            nonlocal unanswered
            slow = self._slow_s and self._random.random() < SLOW_SHARE
            await asyncio.sleep(self._random.uniform(0, self._slow_s) if slow else self._random.uniform(*ANSWER_S))
            unanswered -= 1
            await _answer(socket, item, 0)

        async with asyncio.TaskGroup() as group:
            async for text in _texts(socket):
                kind, message_id, action, payload = _parsed(text)
                if kind == 2 and action in ("BootNotification", "Heartbeat"):
                    await _send(socket, f'[3,"{message_id}",{BOOT_ANSWER}]')
                elif kind == 2:
                    self.ids_heard.append(message_id)
                    item = Heard(_now(), action, payload, number, message_id)
                    self.heard.setdefault(identity, []).append(item)
                    unanswered += 1
                    self.calls_at_once_max = max(self.calls_at_once_max, unanswered)
                    group.create_task(answer(item), name="the CSMS answers")
                elif (socket, message_id) in self._out:
                    sent, answered = self._out.pop((socket, message_id))
                    sent.answers.append(text)
                    answered.set()
                else:
                    self.stray_answers.append(text)


Socket = ClientConnection | ServerConnection


async def _texts(socket: Socket) -> AsyncIterator[str]:
    """What arrives, until the socket has closed for whatever reason."""
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            assert isinstance(text, str), "OCPP-J has text messages only"
            yield text


async def _send(socket: Socket, text: str) -> bool:
    """Send, if the socket is still there: who reads from it sees when it isn't."""
    try:
        await socket.send(text)
    except ConnectionClosed:
        return False
    return True


async def _answer(socket: Socket, item: Heard, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    item.answered = await _send(socket, f'[3,"{item.message_id}",{json.dumps({"echo": item.payload})}]')
