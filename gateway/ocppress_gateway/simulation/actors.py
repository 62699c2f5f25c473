"""Stations and a CSMS for the simulated world. They speak OCPP 1.6 as far as the gateway looks at it, and record all they say and hear.

A station has one CALL out at a time (or several, if it pipelines), repeats a transaction message until it is answered, gives other messages up, and
reconnects when its socket is lost. The CSMS answers everything after a while, and sends commands; it may refuse, answer late, or say nothing at all.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ocppress_codecs.rpc import MessageType, OcppVersion, parse, payload_text
from ocppress_gateway.core.events import StationArrived, StationGone, StationText
from ocppress_gateway.simulation.centre import Centre
from ocppress_gateway.simulation.world import World

__all__ = ["CALL_TIMEOUT_S", "Csms", "Heard", "Sent", "Station"]

STATION_TIMEOUT_S: Final = 40.0
RECONNECT_S: Final = 5.0
HEARTBEAT_S: Final = 300

CALL_TIMEOUT_S: Final = 30.0
"""How long the worlds' clouds wait for the CSMS's answer."""


@dataclass(eq=False)
class Sent:
    """A CALL that somebody made: each id under which it went out, when, and the answers that came."""

    action: str
    payload: str
    transaction: bool
    tries: list[tuple[float, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    given_up: bool = False


@dataclass(frozen=True)
class Heard:
    """A CALL that somebody received."""

    at: float
    action: str
    payload: str
    socket: int


class Station:
    """One station and everything it did."""

    def __init__(self, world: World, identity: str, *, pipeline: int = 1, boots: bool = False, heartbeat_s: float | None = None) -> None:
        """`boots`: it says BootNotification first of all, until that is answered. `heartbeat_s`: how often it says Heartbeat, beside all else."""
        self.world = world
        self.identity = identity
        self.pipeline = pipeline
        self.made: list[Sent] = []
        self.heard: list[Heard] = []
        self.stray_answers: list[str] = []
        self.socket = 0
        self._open = False
        self._asking = False
        self._waiting: deque[Sent] = deque()
        self._out: dict[str, Sent] = {}
        self._given_up: set[str] = set()
        self._ids = 0
        self._paused = False
        self.heartbeats_answered = 0
        self._heartbeat_s = heartbeat_s
        self._heartbeats: set[str] = set()
        if heartbeat_s is not None:
            world.at(heartbeat_s, self._beat)
        self._boot = Sent("BootNotification", '{"chargePointModel":"simulated"}', True) if boots else None

    # --- what a test has it do

    def connect(self) -> None:
        """Ask for the upgrade."""
        self._asking = True
        self.socket = self.world.new_socket(self)
        self.world.step(self.world.edge, StationArrived(self.socket, self.identity, (OcppVersion.V16.subprotocol,)))

    def disconnect(self) -> None:
        """Lose the socket from this side, and come back."""
        if self._open:
            self._lost()
            self.world.step(self.world.edge, StationGone(self.socket, "the station's socket broke"))

    def call(self, action: str, payload: str) -> Sent:
        """Make a CALL as soon as those before it are out of the way."""
        sent = Sent(action, payload, action in ("StartTransaction", "StopTransaction") or "transactionId" in payload)
        self.made.append(sent)
        self._waiting.append(sent)
        self._next()
        return sent

    def _beat(self) -> None:
        assert self._heartbeat_s is not None, "it has a heart"
        if self._open and not self._paused:
            self._ids += 1
            self._heartbeats.add(f"{self._ids}")
            self.world.step(self.world.edge, StationText(self.socket, f'[2,"{self._ids}","Heartbeat",{{}}]'))
        self.world.at(self._heartbeat_s, self._beat)

    def _next(self) -> None:
        if self._boot is not None and not self._boot.answers:
            if self._open and not self._out:
                self._send(self._boot)
            return
        while self._open and not self._paused and self._waiting and len(self._out) < self.pipeline:
            self._send(self._waiting.popleft())

    def _send(self, sent: Sent) -> None:
        self._ids += 1
        message_id = f"{self._ids}"
        sent.tries.append((self.world.now, message_id))
        self._out[message_id] = sent
        socket = self.socket
        self.world.step(self.world.edge, StationText(socket, f'[2, "{message_id}", "{sent.action}", {sent.payload}]'))

        def give_up() -> None:
            if self._out.pop(message_id, None) is not None:
                self._given_up.add(message_id)
                self._again(sent)
                self._next()

        self.world.at(STATION_TIMEOUT_S, give_up)

    def _again(self, sent: Sent) -> None:
        if sent is self._boot:
            return
        if sent.transaction:
            self._waiting.appendleft(sent)
        else:
            sent.given_up = True

    # --- what the world tells it

    def admitted(self, subprotocol: str) -> None:
        self._open = True
        self._asking = False
        self._paused = False
        self._next()

    def refused(self, status: int) -> None:
        self._asking = False
        self.world.at(RECONNECT_S, self.connect)

    def closed(self, code: int) -> None:
        if self._open:
            self._lost()
            self.world.step(self.world.edge, StationGone(self.socket, "closed"))

    def edge_died(self) -> None:
        if self._open:
            self._lost()
        elif self._asking:
            self.refused(503)

    def _lost(self) -> None:
        self._open = False
        for sent in reversed(self._out.values()):
            self._again(sent)
        self._out.clear()
        self._heartbeats.clear()
        self._given_up.clear()
        self.world.at(RECONNECT_S, self.connect)

    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._next()

    def text(self, text: str) -> None:
        if not self._open:
            return  # on its way when the socket broke
        message_id, message = parse(text)
        if message.type is MessageType.CALL:
            payload = payload_text(message)
            self.heard.append(Heard(self.world.now, message.action, payload, self.socket))
            socket = self.socket

            def answer() -> None:
                if self._open and self.socket == socket:
                    text = f'[3,"{message_id}",{json.dumps({"echo": payload, "status": "Accepted"})}]'
                    self.world.step(self.world.edge, StationText(socket, text))

            self.world.at(self.world.random.uniform(0.01, 3.0), answer)
        elif message_id in self._heartbeats:
            self._heartbeats.remove(message_id)
            self.heartbeats_answered += 1
        else:
            sent = self._out.pop(message_id, None)
            if sent is not None:
                sent.answers.append(message.body)
                self._next()
            elif message_id not in self._given_up:
                self.stray_answers.append(text)


class Csms:
    """The CSMS for all stations, and everything it did."""

    def __init__(
        self, world: World | Centre, *, answer_s_max: float = 2.0, refused: float = 0.0, late: float = 0.0, heartbeat_s: int = HEARTBEAT_S
    ) -> None:
        """`refused` and `late`: which share of CALLs is answered with an error, and after up to a minute."""
        self.world = world
        self.answer_s_max = answer_s_max
        self.heartbeat_s = heartbeat_s
        self.refused = refused
        self.late = late
        self.silent = False
        """It hears, and doesn't answer; what it heard meanwhile it never answers."""
        self.accepted: dict[str, list[str]] = {}
        """Payloads that it has answered with a CALLRESULT, by identity."""
        self.sockets: dict[str, int] = {}
        self.heard: dict[str, list[Heard]] = {}
        self.commands: dict[str, list[Sent]] = {}
        self.ids_heard: dict[str, list[str]] = {}
        self.stray_answers: list[str] = []
        self.calls_at_once_max = 0
        self._unanswered: dict[int, list[float]] = {}
        self._out: dict[tuple[int, str], Sent] = {}
        self._ids = 0

    def command(self, identity: str, action: str, payload: str) -> None:
        """Send a CALL to a station that is connected."""
        socket = self.sockets.get(identity)
        if socket is None:
            return
        self._ids += 1
        sent = Sent(action, payload, False, [(self.world.now, str(self._ids))])
        self.commands.setdefault(identity, []).append(sent)
        self._out[socket, str(self._ids)] = sent
        self.world.csms_sends(socket, f'[2,"{self._ids}","{action}",{payload}]')

    def opened(self, socket: int, identity: str) -> None:
        self.sockets[identity] = socket

    def closed(self, socket: int) -> None:
        self.sockets = {identity: other for identity, other in self.sockets.items() if other != socket}

    def text(self, socket: int, text: str) -> None:
        identity = next(identity for identity, other in self.sockets.items() if other == socket)
        message_id, message = parse(text)
        if message.type is not MessageType.CALL:
            sent = self._out.pop((socket, message_id), None)
            if sent is None:
                self.stray_answers.append(text)
            else:
                sent.answers.append(message.body)
            return
        self.ids_heard.setdefault(identity, []).append(message_id)
        self.heard.setdefault(identity, []).append(Heard(self.world.now, message.action, payload_text(message), socket))
        # One that is unanswered for longer than that has been given up, and another may go.
        now = self.world.now
        unanswered = [at for at in self._unanswered.get(socket, []) if now - at < CALL_TIMEOUT_S - 0.1] + [now]
        self._unanswered[socket] = unanswered
        self.calls_at_once_max = max(self.calls_at_once_max, len(unanswered))
        if self.silent:
            return
        random = self.world.random
        boots = message.action == "BootNotification"
        refuses = self.refused and not boots and random.random() < self.refused
        code = random.choice(["InternalError", "GenericError", "NotImplemented"]) if refuses else ""

        def answer() -> None:
            if now in self._unanswered[socket]:
                self._unanswered[socket].remove(now)
            if code:
                self.world.csms_sends(socket, f'[4,"{message_id}","{code}","",{{}}]')
                return
            self.accepted.setdefault(identity, []).append(payload_text(message))
            answer: dict[str, object] = {"echo": payload_text(message)}
            if boots:
                moment = datetime.fromtimestamp(self.world.now, UTC).isoformat()
                answer |= {"status": "Accepted", "interval": self.heartbeat_s, "currentTime": moment}
            self.world.csms_sends(socket, f'[3,"{message_id}",{json.dumps(answer)}]')

        is_late = self.late and random.random() < self.late
        self.world.at(random.uniform(10.0, 60.0) if is_late else random.uniform(0.01, self.answer_s_max), answer)
