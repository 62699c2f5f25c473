"""One connection to a broker, by aiomqtt: MQTT 5, QoS 0, clean start, no session, as little on the wire as that allows.

aiomqtt brings paho's protocol into the event loop; what it has no name for is set here at its seams. The socket is ours, since paho would
connect in a thread that nobody can stop. `publish` gives a future that is done when the kernel has the message, which aiomqtt's own
doesn't when the connection goes first. Messages are handed over as they arrive, for its queue would be one more place where they wait.

No Topic Alias Maximum is announced, as paho can't map an alias that comes in; Receive Maximum is about QoS 1 and 2.

Two things end a silence. TCP's probes tell this end that the broker is there, and keep the way open, at 80 bytes. The broker doesn't see them: it
publishes the will after one and a half times the Keep Alive without a packet of MQTT, so paho pings after that, if nothing was sent or nothing has
come. A broker's Server Keep Alive goes before ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_LOG_ERR, Client, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ocppress_gateway.core.broker_topics import BrokerPlace
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkError, LinkLost, LinkRefused
from ocppress_gateway.transports.mqtt.dialling import dial
from ocppress_gateway.transports.mqtt.flow import PAYLOAD_BYTES_MAX
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.tcp import AckLimit, Wiretap, interface_of, set_keepalive
from ocppress_gateway.transports.tls import ResumingContext, certificate_of, owner

__all__ = ["CLOSE_TIMEOUT_S", "CONNECT_TIMEOUT_S", "Broker", "Message", "Subscribing", "properties"]

CONNECT_TIMEOUT_S: Final = 30.0
"""For DNS, TCP, TLS, CONNECT and SUBSCRIBE together: six round trips at the 3 s and more that a cell at its edge takes, and a repeated packet."""

CLOSE_TIMEOUT_S: Final = 2.0
"""How long what is left and the DISCONNECT may take; it is a courtesy, and who closes a dead link wants a new one."""

PACKET_BYTES_MAX: Final = PAYLOAD_BYTES_MAX + 512
"""An MQTT packet: a message, its topic of at most 112 characters, properties of at most 8 bytes that we ask for, and what a broker may add."""

PROBE_BEHIND_PING_S: Final = 30
"""The client looks once a second whether a ping is due, and what it looks at may be late."""

_TRY_AGAIN: Final = frozenset({0x80, 0x83, 0x88, 0x89, 0x97, 0x9C, 0x9D, 0x9F})
"""Reason codes of a CONNACK (MQTT 5 3.2.2.2) that are the broker's trouble; the others stay the same until someone acts."""

_paho_logger: Final = logging.getLogger("ocppress.link.paho")
_paho_logger.disabled = True  # what it says is in the reasons that we give

_FAILED: Final = 0x80
"""Reason codes from here on are failures."""

Message = Callable[[str, bytes, bool], None]
"""Told of each message: topic, payload, and whether it was retained. Never raises."""


class Subscribing(NamedTuple):
    """Topics, and what becomes of them."""

    topics: tuple[str, ...]
    answer: asyncio.Future[tuple[int, ...] | list[ReasonCode]]


def properties(packet: int, **values: int | str) -> Properties:
    """Properties of a packet, by paho's names."""
    made = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Broker(aiomqtt.Client):
    """One connection; `connect` once, then `end`. After `lost` was called nothing more comes."""

    def __init__(
        self,
        place: BrokerPlace,
        name: str,
        ssl_context: ResumingContext | None,
        *,
        will: aiomqtt.Will,
        heard: Message,
        lost: Callable[[str], None],
        probe_s: int,
        ping_s: int,
        names: RememberedNames,
    ) -> None:
        """`name` is the client identifier; `lost` is called once, when the connection is gone; `probe_s`: silence after which TCP probes; `ping_s`:
        MQTT's Keep Alive."""
        super().__init__(
            place.host,
            place.port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            logger=_paho_logger,
            keepalive=ping_s,
            will=will,
            properties=properties(PacketTypes.CONNECT, MaximumPacketSize=PACKET_BYTES_MAX),
        )
        self.peer = ""
        self.network = ""
        self.address = f"{place.host}:{place.port}"
        self.limits = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
        """What the broker has said that it can."""
        self._place = place
        self._context = ssl_context
        self._heard = heard
        self._lost = lost
        self._ping_s = ping_s
        self._probe_s = self._probing(probe_s)
        self._names = names
        self._gone: str | None = None
        self._error = ""
        self._written: dict[int, asyncio.Future[None]] = {}
        self._ended = asyncio.Event()
        self._socket: socket.socket | None = None
        self._wiretap: Wiretap | None = None
        self._ack_limit: AckLimit | None = None
        self._client._create_socket = self._give_socket  # type: ignore[method-assign]
        self._client.on_log = self._on_log

    async def connect(self, behind: Callable[[], object] | None = None) -> None:
        """Up to the CONNACK. `behind` queues what isn't to wait for it. Raises `LinkLost` or `LinkRefused`."""
        self.timeout = CONNECT_TIMEOUT_S
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._socket = await dial(self._place, self._context, probe_s=self._probe_s, names=self._names)
                self._wiretap = Wiretap(self._socket)
                self._ack_limit = AckLimit(self._socket)
                self.network = interface_of(self._socket.getsockname()[0])
                super()._client_connect()
                if behind is not None:
                    behind()
                    self._join()
                await self.__aenter__()
            self._names.worked()
            self._check()
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError | aiomqtt.MqttError | ValueError):  # TimeoutError is an OSError
                raised = self._connect_error(error)
                if not isinstance(error, MqttConnectError):
                    self._names.failed()
                if isinstance(raised, LinkRefused) and self._context is not None:
                    self._context.forget()  # a full handshake says what is wrong, and may mend it
                raise raised from error
            raise
        if self._context is not None and isinstance(self._socket, ssl.SSLSocket):
            self._context.remember(self._socket)
            with contextlib.suppress(ssl.SSLError):  # a broker's may be of any make, and its name is only for people
                self.peer = owner(self._socket, certificate_of(self._socket))

    def subscribe_soon(self, *topics: str) -> Subscribing:
        """Queue a subscription at QoS 0; retained messages come, too."""
        answer: asyncio.Future[tuple[int, ...] | list[ReasonCode]] = self._loop.create_future()
        _, number = self._client.subscribe([(topic, SubscribeOptions(qos=0)) for topic in topics])
        if number is None or self._gone is not None:
            answer.set_result([])
        else:
            self._pending_subscribes[number] = answer
        return Subscribing(topics, answer)

    async def subscribed(self, subscribing: Subscribing) -> None:
        """Wait for the answer. Raises `LinkLost` or `LinkRefused`."""
        codes = await subscribing.answer
        if self._gone is not None:
            raise LinkLost(self._gone)
        for topic, code in zip(subscribing.topics, codes, strict=False):
            if _value(code) >= _FAILED:
                raise LinkRefused(f"the broker lets nobody called {self.identifier} subscribe to {topic}: {code}")

    def publish_soon(self, topic: str, payload: bytes, *, retain: bool = False, about: Properties | None = None) -> asyncio.Future[None]:
        """Queue a message; done when the kernel has it, or when the connection is gone."""
        written: asyncio.Future[None] = self._loop.create_future()
        if self._gone is not None:
            written.set_result(None)
            return written
        if self._ack_limit is not None:
            self._ack_limit.sending()
        info = self._client.publish(topic, payload, 0, retain, about)
        if info.rc or info.is_published():
            written.set_result(None)
        else:
            self._written[info.mid] = written
        return written

    @property
    def waiting_count(self) -> int:
        """Messages that the kernel doesn't have yet."""
        return len(self._written)

    def leave(self, *, with_will: bool) -> None:
        """Begin to disconnect after what is queued; the broker then publishes the will, or doesn't."""
        if self._gone is None:
            code = "Disconnect with will message" if with_will else "Normal disconnection"
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, code))

    async def end(self) -> None:
        """Wait for the end that `leave` has begun, not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._ended.wait()
        self.abort()

    def abort(self) -> None:
        """Let go of the connection at once. Safe to call twice."""
        self._client._sock_close()
        if self._socket is not None:
            self._socket.close()
        self._over("closed here")

    def set_keepalive(self, keepalive_s: int) -> None:
        """From now on TCP probes after so much silence."""
        if self._socket is not None and self._gone is None:
            set_keepalive(self._socket, self._probing(keepalive_s))

    def _probing(self, keepalive_s: int) -> int:
        """The silence after which TCP probes: where MQTT pings as soon, a probe beside the ping would be paid for nothing."""
        return keepalive_s if keepalive_s < self._ping_s else self._ping_s + PROBE_BEHIND_PING_S

    def wire_count(self) -> WireCount | None:
        """What the connection has cost, as the kernel has counted."""
        return None if self._wiretap is None else self._wiretap.read()

    # --- the socket

    def _give_socket(self) -> socket.socket:
        assert self._socket is not None, "connect has made it"
        return self._socket

    def _uncork(self) -> None:
        if self._socket is not None and self._gone is None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def _join(self) -> None:
        """Make one write, and so one TLS record, of the CONNECT and what is queued behind it, which MQTT 5 3.1.4 lets a client send at once.

        A broker that refuses has then read everything: unread bytes would make its kernel reset the connection, and the CONNACK with the reason
        might be lost.
        """
        connect, *others = self._client._out_packet
        self._client._out_packet.clear()
        self._client._out_packet.append(connect)
        for packet in others:
            connect["packet"] += packet["packet"]
            connect["to_process"] += packet["to_process"]
            if (written := self._written.pop(packet["mid"], None)) is not None:
                written.set_result(None)  # the CONNACK says more than the kernel can

    # --- seams of aiomqtt

    def _client_connect(self) -> None:
        """Nothing: aiomqtt runs this in a thread, and it is done already."""

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None) -> None:
        if properties is not None:
            self.limits = properties
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        reason = f"the broker has disconnected: {reason_code}" if by_broker else self._error or "the broker has gone"
        if "EOF occurred" in reason:
            reason = "the broker has hung up" + ("" if self._connected.done() else "; perhaps it doesn't accept the certificate")
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(reason))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        self._over(reason)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._heard(topic, bytes(message.payload), message.retain)

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties) -> None:
        # paho forgets to note what it sends, and wants to hear something as often: it would ping in the midst of traffic. The standard asks only
        # that the client says something (MQTT 5 3.1.2.10), and TCP tells a dead link by what isn't acknowledged.
        with client._msgtime_mutex:
            client._last_msg_out = client._last_bytes_received = time.monotonic()
        written = self._written.pop(mid, None)
        if written is not None and not written.done():
            written.set_result(None)

    def _on_socket_register_write(self, client: Client, userdata: Any, sock: Any) -> None:
        """At once, where aiomqtt does it in the loop's next round, when the socket's number may be another's."""
        self._loop.add_writer(sock.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
            if not self._connected.done():
                self._uncork()  # the CONNECT is written
        except Exception as error:  # as in aiomqtt: whatever it is, the connection is unusable
            self._error = self._error or str(error)
            self.abort()

    def _on_log(self, client: Client, userdata: Any, level: int, text: str) -> None:
        """paho tells the log alone why a connection broke."""
        if level == MQTT_LOG_ERR:
            self._error = text.rpartition(": ")[2] if "[" not in text else text[text.index("[") :]

    # --- the end

    def _over(self, reason: str) -> None:
        if self._gone is not None:
            return
        self._gone = reason
        if self._wiretap is not None:
            self._wiretap.close()
        if self._ack_limit is not None:
            self._ack_limit.close()
        for written in self._written.values():
            if not written.done():
                written.set_result(None)
        self._written.clear()
        for done in (self._connected, self._disconnected):
            if done.done() and not done.cancelled():
                done.exception()  # has been looked at: perhaps nobody waits for it
        for subscribed in self._pending_subscribes.values():
            if not subscribed.done():
                subscribed.set_result([])
        self._ended.set()
        self._lost(reason)

    def _check(self) -> None:
        most = getattr(self.limits, "MaximumPacketSize", None)
        if most is not None and most < PACKET_BYTES_MAX:
            raise LinkRefused(f"the broker takes packets of {most} bytes at most; a link needs {PACKET_BYTES_MAX}")

    def _connect_error(self, error: Exception) -> LinkError:
        """A refusal is what stays the same until someone acts: TLS, or a CONNACK that isn't the broker's temporary trouble."""
        if isinstance(error, MqttConnectError):
            refused = _value(error.rc) not in _TRY_AGAIN
            return (LinkRefused if refused else LinkLost)(f"the broker has refused the connection: {error.rc}")
        if isinstance(error, TimeoutError):
            return LinkLost(f"no connection within {CONNECT_TIMEOUT_S:g} s")
        if isinstance(error, ssl.SSLCertVerificationError):
            return LinkRefused(f"the broker's certificate is not accepted: {error.verify_message}")
        if isinstance(error, ssl.SSLError):
            return LinkRefused(f"no TLS with {self.address}: {error.reason or error}")
        if isinstance(error, aiomqtt.MqttError | ValueError):
            return (LinkRefused if "[SSL" in str(error) else LinkLost)(str(error))
        assert isinstance(error, OSError), "the others are dealt with"
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        return LinkLost(f"{self.address} cannot be reached: {reason}")


def _value(code: object) -> int:
    """A reason code as its number, whichever way the libraries have it."""
    return int(code.value) if isinstance(code, ReasonCode) else int(str(code))
