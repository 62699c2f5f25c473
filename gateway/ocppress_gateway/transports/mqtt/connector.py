"""The edge's side of a link over a broker.

    edge                                  broker                                cloud
     │ CONNECT, its will: CLOSED ┐         │                                      │
     │ SUBSCRIBE d/7/EDGE, c     │         │                                      │
     │ PUBLISH u/7/EDGE: OPEN    ┴───────► │ ─────────────────────────────► OPEN  │
     │ ◄── CONNACK, SUBACK, c: it is here  │                                      │
     │ link messages, under an alias ────► │ ───────────────────────────────────► │
     │ ◄────────────────────────────────── │ ◄─────────────────── to d/7/EDGE     │

Each link connection is a connection to the broker. When the broker says that no cloud is there, the edge waits for it with the connection it has: each
attempt would cost the SIM a handshake.

Cost against WebSocket: per message up, the PUBLISH and the alias are 8 bytes and the header 2, where WebSocket has 6 to 8; down, the topic, the
expiry and the header are 23 for `site-1` where it has 2 to 4. mosquitto's tickets have the certificate in them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes

from ocppress_gateway.core.broker_topics import GONE, HERE, BrokerPlace, broker_place
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connector
from ocppress_gateway.transports.mqtt.broker import CONNECT_TIMEOUT_S, Broker, Subscribing, properties
from ocppress_gateway.transports.mqtt.connection import Carrier, MqttConnection
from ocppress_gateway.transports.mqtt.flow import NONCE_BYTES, NUMBERS, Control, FlowError, Kind, closed, opening, parse
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.tcp import KEEPALIVE_IDLE_S
from ocppress_gateway.transports.tls import ResumingContext

__all__ = ["PING_S", "MqttConnector"]

_logger: Final = logging.getLogger("ocppress.link")

CLOUD_WITHIN_S: Final = 600.0
"""How long the edge stays with a broker that has no cloud; then it begins anew, in case the broker is the trouble."""

PING_S: Final = 1500
"""MQTT's Keep Alive where nothing else is said: the broker takes an edge for lost after 2250 s."""

_ALIAS: Final = 1
"""One topic needs one."""


class MqttConnector(Connector):
    """Makes connections for one edge. `ssl_context` as `transports.tls.link_client_context` makes it, for `mqtts://`."""

    def __init__(
        self, url: str, edge: str, ssl_context: ResumingContext | None = None, *, keepalive_s: int = KEEPALIVE_IDLE_S, ping_s: int = PING_S
    ) -> None:
        """`edge` is the name in its certificate and its topics; `keepalive_s`: silence after which it probes the broker; `ping_s`: MQTT's Keep Alive."""
        self.address = url
        self._place = broker_place(url)
        if self._place.tls is (ssl_context is None):
            raise ValueError("an mqtts:// link needs a TLS context of its own, an mqtt:// link has none")
        self._edge = edge
        self._ssl_context = ssl_context
        self._keepalive_s = keepalive_s
        self._ping_s = ping_s
        self._number = secrets.randbelow(NUMBERS)
        self._names = RememberedNames()
        self._told_ping_s: int | None = None

    @property
    def looks_up(self) -> bool:
        return self._names.looks_up(self._place.host)

    async def connect(self) -> MqttConnection:
        self._number = (self._number + 1) % NUMBERS
        link = _EdgeLink(
            self._place, self._edge, self._number, self._ssl_context, probe_s=self._keepalive_s, ping_s=self._ping_s, names=self._names
        )
        connection = await link.connect()
        self._tell(link.server_ping_s)
        return connection

    def _tell(self, server_ping_s: int | None) -> None:
        """That the broker decides how soon a dead link is found, once."""
        if server_ping_s not in (None, self._told_ping_s):
            fields = {"broker_s": server_ping_s, "asked_s": self._ping_s}
            _logger.log(
                logging.WARNING if server_ping_s == 0 or (server_ping_s or 0) > self._ping_s else logging.INFO,
                "the broker has a keep alive of its own, and finds a dead link after one and a half times that",
                extra={"fields": fields},
            )
            self._told_ping_s = server_ping_s


class _EdgeLink(Carrier):
    """A connection to the broker, and the link connection that it is for."""

    def __init__(
        self,
        place: BrokerPlace,
        edge: str,
        number: int,
        ssl_context: ResumingContext | None,
        *,
        probe_s: int,
        ping_s: int,
        names: RememberedNames,
    ) -> None:
        self._up = place.topics.up(edge)
        self._down = place.topics.down(edge)
        self._cloud = place.topics.cloud
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._presence = b""
        self._has_come = False
        """Whether the cloud wasn't there yet when the edge was, and so has missed the OPEN."""
        self._changed = asyncio.Event()  # the presence, or the connection is lost
        self._is_made = False
        self._subscribing: Subscribing | None = None
        self._topic = self._up
        self._alias = False
        self._broker = Broker(
            place,
            edge,
            ssl_context,
            will=aiomqtt.Will(self._up, closed(number)),
            heard=self._heard,
            lost=self._broker_lost,
            probe_s=probe_s,
            ping_s=ping_s,
            names=names,
        )
        self._connection = MqttConnection(self, number, peer="", address=self._broker.address)

    async def connect(self) -> MqttConnection:
        """Up to a link connection that carries messages. Raises `LinkError`."""
        await self._broker.connect(self._begin)
        self._connection.peer = self._broker.peer
        self._connection.network = self._broker.network
        self._alias = getattr(self._broker.limits, "TopicAliasMaximum", 0) >= _ALIAS
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                assert self._subscribing is not None, "it went with the CONNECT"
                await self._broker.subscribed(self._subscribing)
            async with asyncio.timeout(CLOUD_WITHIN_S):
                await self._until(lambda: self._presence.startswith(HERE))
            if self._has_come:
                await self._open()
        except BaseException as error:
            await self._connection.close("not made")
            if isinstance(error, TimeoutError):
                raise LinkLost("no cloud is at the broker") from error
            raise
        self._is_made = True
        return self._connection

    @property
    def server_ping_s(self) -> int | None:
        """The broker's Server Keep Alive (MQTT 5 3.2.2.3.14), None if it goes by ours."""
        return getattr(self._broker.limits, "ServerKeepAlive", None)

    # --- for the connection

    def publish(self, payload: bytes) -> asyncio.Future[None]:
        if not self._alias:
            return self._broker.publish_soon(self._up, payload)
        topic, self._topic = self._topic, ""  # the broker knows the alias from the first message on
        return self._broker.publish_soon(topic, payload, about=properties(PacketTypes.PUBLISH, TopicAlias=_ALIAS))

    def over(self, reason: str, *, told: bool) -> None:
        self._changed.set()
        self._broker.leave(with_will=not told)

    async def ended(self) -> None:
        await self._broker.end()

    def set_keepalive(self, keepalive_s: int) -> None:
        self._broker.set_keepalive(keepalive_s)

    def wire_count(self) -> WireCount | None:
        return self._broker.wire_count()

    # --- from the broker

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._cloud:
            self._cloud_is(payload, retained)
        elif topic == self._down and not retained:
            try:
                said = parse(payload)
            except FlowError as error:
                self._connection.lose(str(error))
                return
            number = said.number if isinstance(said, Control) else said[0]
            if number == self._connection.number and not (isinstance(said, Control) and said.kind is Kind.OPEN):
                self._connection.hear(said)

    def _cloud_is(self, presence: bytes, retained: bool) -> None:
        before, self._presence = self._presence, presence
        self._has_come = self._has_come or not retained
        self._changed.set()
        if self._is_made and presence != before:
            self._connection.lose("the cloud has gone" if presence == GONE else "the cloud has begun again", told=True)

    def _broker_lost(self, reason: str) -> None:
        self._connection.lose(reason)

    def _begin(self) -> None:
        self._subscribing = self._broker.subscribe_soon(self._down, self._cloud)
        self._open()

    def _open(self) -> asyncio.Future[None]:
        return self.publish(opening(self._connection.number, self._nonce))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._connection.lost is not None:
                raise LinkLost(self._connection.lost)
            self._changed.clear()
            await self._changed.wait()
