"""The cloud's side of a link over a broker: one connection to it, and behind that the connections of all edges.

Who an edge is, its topic says, and the broker's access list sees to it that nobody else publishes there. What doesn't belong is ignored, and
reported once for each edge: topics that are nobody's, headers that make no sense, edges beyond the limit.

    broker lost      all link connections are, and the edges hear of it by the will; the listener begins again until it succeeds
    edge lost        the edge's will, a CLOSED
    unknown number   answered by CLOSED: this cloud has begun since, or the OPEN was lost
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import Counter, OrderedDict
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes

from ocppress_gateway.core.broker_topics import GONE, HERE, HERE_BYTES, broker_place
from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkError, LinkLost, LinkRefused
from ocppress_gateway.transports.base import ConnectionHandler, Listener
from ocppress_gateway.transports.mqtt.broker import Broker, properties
from ocppress_gateway.transports.mqtt.connection import Carrier, MqttConnection
from ocppress_gateway.transports.mqtt.flow import Control, FlowError, Kind, closed, parse
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.tls import ResumingContext

__all__ = ["MqttListener"]

CONNECTIONS_MAX: Final = 10_000
"""Link connections of one cloud process, more than the thousands it is meant for; one more is closed at once."""

EXPIRY_S: Final = 60
"""How long a broker may keep what goes down, which it does behind a slow connection: twice what a command is given by default, after which
it is worthless anyway."""

KEEPALIVE_S: Final = 30
"""Silence after which the cloud probes the broker and pings it, which costs no SIM anything: a cloud whose machine has died is known by its will after
45 s."""

RETRY_S: Final = 1.0
"""Wait before connecting to the broker again. All edges wait for it."""

RETRY_S_MAX: Final = 60.0
"""What the wait grows to while connections are lost as soon as they are made: each costs every edge's SIM a message, which says that a cloud has begun."""

SOON_S: Final = 10.0
"""A connection that was lost before was lost as soon as it was made."""

SOON_LOST_REPORTED: Final = 3
"""Such connections in a row after which it is said what the reason may be: another cloud has the same client id."""

TELL_AGAIN_S: Final = 1.0
"""An edge that uses an unknown connection is told so, not more often: its own messages of one flush come together."""

ENDING_MAX: Final = 4
"""Connections of one edge whose handlers haven't returned; an edge that opens more has to wait for them."""

CONTROL_WAITING_MAX: Final = 1000
"""Messages that the broker's socket hasn't taken, beyond which nobody is told that a connection is unknown or closed; they ask again."""

REPORTED_MAX: Final = 1000
"""Complaints remembered, so that each is made once; then the oldest is forgotten."""

_logger: Final = logging.getLogger("ocppress.link")


class MqttListener(Listener):
    """For all edges of a broker. `ssl_context` as `transports.tls.link_client_context` makes it, for `mqtts://`."""

    def __init__(self, url: str, ssl_context: ResumingContext | None = None) -> None:
        self._url = url
        self._place = broker_place(url)
        if self._place.tls is (ssl_context is None):
            raise ValueError("an mqtts:// link needs a TLS context of its own, an mqtt:// link has none")
        self._topics = self._place.topics
        self._ssl_context = ssl_context
        self._names = RememberedNames()
        self._handler: ConnectionHandler | None = None
        self._broker: Broker | None = None
        self._lost = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._connections: dict[str, tuple[bytes, MqttConnection]] = {}  # by edge, with the nonce of its OPEN
        self._tasks: set[asyncio.Task[None]] = set()
        self._handled: Counter[str] = Counter()  # handlers that haven't returned, by edge
        self._told: OrderedDict[str, float] = OrderedDict()
        self._reported: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def address(self) -> str:
        return self._url

    @property
    def obstacle(self) -> str | None:
        return "the broker is not connected" if self._broker is None or self._lost.is_set() else None

    async def serve(self, handler: ConnectionHandler) -> None:
        """Raises `LinkRefused`; a broker that can't be reached yet is tried again."""
        self._handler = handler
        try:
            await self._connect()
        except LinkLost as error:
            _log("the broker can't be used yet", reason=str(error))
        self._serving = asyncio.get_running_loop().create_task(self._serve(), name="broker")
        self._serving.add_done_callback(_failed)

    def refuse(self) -> None:
        """Nothing: they are at the broker."""

    async def close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
            self._serving = None
        for _, connection in list(self._connections.values()):
            connection.lose("the cloud ends")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker is not None:
            self._broker.leave(with_will=True)
            await self._broker.end()
            self._broker = None

    # --- the broker

    async def _serve(self) -> None:
        """Be connected, from the first attempt on."""
        complaint = ""
        soon_lost = 0
        while True:
            if self._broker is not None:
                began = time.monotonic()
                await self._lost.wait()
                self._broker = None
                soon_lost = soon_lost + 1 if time.monotonic() - began < SOON_S else 0
                if soon_lost == SOON_LOST_REPORTED:
                    remedy = "is another cloud at this broker with the same prefix? Stop one of them, or give it a prefix of its own"
                    _log("the broker ends each connection as soon as it is made", remedy=remedy)
            await asyncio.sleep(_retry_s(soon_lost, random.random()))
            try:
                await self._connect()
            except LinkError as error:
                if str(error) != complaint:
                    complaint = str(error)
                    _log(
                        "the broker can't be used",
                        level=logging.ERROR if isinstance(error, LinkRefused) else logging.WARNING,
                        reason=complaint,
                    )
            else:
                complaint = ""
                _log("connected to the broker", level=logging.INFO, broker=self._url)

    async def _connect(self) -> None:
        self._lost.clear()
        broker = Broker(
            self._place,
            f"{self._topics.prefix}{CLOUD_NAME}",
            self._ssl_context,
            will=aiomqtt.Will(self._topics.cloud, GONE, retain=True),
            heard=self._heard,
            lost=self._broker_lost,
            probe_s=KEEPALIVE_S,
            ping_s=KEEPALIVE_S,
            names=self._names,
        )
        await broker.connect()
        self._broker = broker
        try:
            for what in ("RetainAvailable", "WildcardSubscriptionAvailable"):
                if not getattr(broker.limits, what, 1):
                    raise LinkRefused(f"the broker has no {what.removesuffix('Available')}, which a link needs")
            await broker.subscribed(broker.subscribe_soon(self._topics.all_up))
            await broker.publish_soon(self._topics.cloud, HERE + secrets.token_bytes(HERE_BYTES), retain=True)
            if self._lost.is_set():
                raise LinkLost("the broker has gone")
        except BaseException:
            self._broker = None
            broker.abort()
            raise

    def _broker_lost(self, reason: str) -> None:
        if self._broker is not None:
            _log("the broker is lost", reason=reason)
        for _, connection in list(self._connections.values()):
            connection.lose(f"the broker is lost: {reason}", told=True)
        self._lost.set()

    # --- the edges

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        edge = self._topics.edge(topic)
        if edge is None:
            self._report(topic, "this topic is no edge's")
            return
        if retained:
            self._report(edge, "a retained message")
            return
        try:
            said = parse(payload)
        except FlowError as error:
            self._report(edge, str(error))
            if payload:
                self._tell_closed(edge, payload[0], str(error))
            return
        if isinstance(said, Control) and said.kind is Kind.OPEN:
            self._opened(edge, said)
            return
        number = said.number if isinstance(said, Control) else said[0]
        known = self._connections.get(edge)
        if known is not None and known[1].number == number:
            known[1].hear(said)
        elif not isinstance(said, Control):
            self._tell_closed(edge, number, "the cloud knows no such connection")

    def _opened(self, edge: str, said: Control) -> None:
        nonce, before = self._connections.get(edge, (b"", None))
        if nonce == said.body:
            return
        if before is not None:
            before.lose("the edge has opened another connection", told=True)
        if self._handled[edge] >= ENDING_MAX:
            self._tell_closed(edge, said.number, "too many connections at once")
        elif len(self._connections) >= CONNECTIONS_MAX:
            self._report("", "too many edges")
            self._tell_closed(edge, said.number, "too many edges")
        else:
            carrier = _CloudLink(self, edge, said.number)
            connection = MqttConnection(carrier, said.number, peer=edge, address=f"{self._place.host}/{self._topics.up(edge)}")
            self._connections[edge] = said.body, connection
            self._handled[edge] += 1
            assert self._handler is not None, "it was given before anything is heard"
            task = asyncio.get_running_loop().create_task(self._handle(edge, connection, self._handler), name=f"link of {edge}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, edge: str, connection: MqttConnection, handler: ConnectionHandler) -> None:
        try:
            await handler(connection)
        finally:
            connection.lose("the handler has returned")
            self._handled[edge] -= 1
            if not self._handled[edge]:
                del self._handled[edge]

    def publish(self, edge: str, payload: bytes) -> asyncio.Future[None]:
        """Send to an edge; done when the kernel has it, or never will."""
        if self._broker is None:
            nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            return nothing
        about = properties(PacketTypes.PUBLISH, MessageExpiryInterval=EXPIRY_S)
        return self._broker.publish_soon(self._topics.down(edge), payload, about=about)

    def over(self, edge: str, number: int, reason: str, *, told: bool) -> None:
        """A connection is over."""
        known = self._connections.get(edge)
        if known is not None and known[1].number == number:
            del self._connections[edge]
        if not told:
            self._publish_control(edge, closed(number, reason))

    def _tell_closed(self, edge: str, number: int, reason: str) -> None:
        now = time.monotonic()
        if now - self._told.get(edge, float("-inf")) < TELL_AGAIN_S:
            return
        self._told[edge] = now
        self._told.move_to_end(edge)
        if len(self._told) > CONNECTIONS_MAX:
            self._told.popitem(last=False)
        self._publish_control(edge, closed(number, reason))

    def _publish_control(self, edge: str, payload: bytes) -> None:
        if self._broker is not None and self._broker.waiting_count < CONTROL_WAITING_MAX:
            self.publish(edge, payload)

    def _report(self, who: str, what: str) -> None:
        if (who, what) in self._reported:
            return
        self._reported[who, what] = None
        if len(self._reported) > REPORTED_MAX:
            self._reported.popitem(last=False)
        _log("ignored what came from the broker", who=who, reason=what)


class _CloudLink(Carrier):
    """What one connection needs of the listener."""

    def __init__(self, listener: MqttListener, edge: str, number: int) -> None:
        self._listener = listener
        self._edge = edge
        self._number = number

    def publish(self, payload: bytes) -> asyncio.Future[None]:
        return self._listener.publish(self._edge, payload)

    def over(self, reason: str, *, told: bool) -> None:
        self._listener.over(self._edge, self._number, reason, told=told)

    async def ended(self) -> None:
        """Nothing is left: the connection to the broker goes on."""

    def set_keepalive(self, keepalive_s: int) -> None:
        """Nothing: the edges probe."""

    def wire_count(self) -> WireCount | None:
        """Unknown: one connection carries all edges, and none of it crosses a SIM."""
        return None


def _retry_s(soon_lost: int, chance: float) -> float:
    """The wait after so many connections in a row that were lost as soon as they were made; `chance` of 0 to 1 keeps two clouds from going on in step."""
    if soon_lost < 2:
        return RETRY_S
    return min(RETRY_S * 2.0 ** min(soon_lost - 1, 16), RETRY_S_MAX) * (0.5 + chance)


def _log(words: str, *, level: int = logging.WARNING, **fields: Any) -> None:
    _logger.log(level, words, extra={"fields": fields})


def _failed(task: asyncio.Task[None]) -> None:
    """What ended the task that keeps the broker is a mistake of ours: say it, for nobody waits for the task."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("the connection to the broker isn't kept any more", exc_info=error)
