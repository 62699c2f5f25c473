"""A CONNECT to the broker under this end's name, its subscriptions, and one message that nobody heeds; then a proper DISCONNECT.

The broker takes whoever comes under a name for its owner: this is only for a program that isn't running.

A PUBLISH at QoS 1 is answered, and so the broker has to say whether its access list allows it (MQTT 5 3.4.2.1); at QoS 0, which the link uses, it drops in
silence. An edge's message is the CLOSED of its own will; a cloud's goes to a name that no edge can have.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import aiomqtt
from paho.mqtt.client import Client
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ocppress_gateway.core.broker_topics import GONE, HERE, broker_place
from ocppress_gateway.doctor.facts import BrokerAnswer
from ocppress_gateway.errors import LinkError
from ocppress_gateway.transports.mqtt.broker import Broker
from ocppress_gateway.transports.mqtt.flow import closed
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.tls import ResumingContext

__all__ = ["ask_broker"]

PING_S: Final = 60
PRESENCE_S: Final = 2.0
"""A retained message comes right after the SUBACK; none is not said."""

_FAILED: Final = 0x80
_NOBODY: Final = "-"
"""Begins no edge's name."""


async def ask_broker(url: str, name: str, context: ResumingContext | None, *, is_edge: bool, within_s: float) -> BrokerAnswer:
    """`name` is that of this end's certificate."""
    place = broker_place(url)
    topics = place.topics
    own, others = (topics.up(name), topics.down(name)) if is_edge else (f"{topics.prefix}d/0/{_NOBODY}", topics.all_up)
    will = aiomqtt.Will(own, closed(0)) if is_edge else aiomqtt.Will(topics.cloud, GONE, retain=True)
    presence: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def heard(topic: str, payload: bytes, retained: bool) -> None:
        if topic == topics.cloud and not presence.done():
            presence.set_result(payload)

    asking = _Asking(
        place,
        name,
        context,
        will=will,
        heard=heard,
        lost=lambda _: None,
        probe_s=PING_S,
        ping_s=PING_S,
        names=RememberedNames(),
    )
    began = time.monotonic()
    answer: dict[str, Any] = {"name": name, "prefix": topics.prefix}
    try:
        async with asyncio.timeout(within_s):
            await asking.connect()
            answer |= {
                "took_s": time.monotonic() - began,
                "keep_alive_s": getattr(asking.limits, "ServerKeepAlive", None),
                "aliases": getattr(asking.limits, "TopicAliasMaximum", 0),
                "not_subscribed": await asking.not_subscribed(others, topics.cloud),
                "not_published": await asking.not_published(own, closed(0)),
                "cloud_is": await _cloud_is(presence),
            }
            asking.leave(with_will=False)
    except (LinkError, TimeoutError) as error:
        answer["refused"] = str(error) or f"no answer within {within_s:g} s"
    finally:
        await asking.end()
    return BrokerAnswer(**answer)


async def _cloud_is(presence: asyncio.Future[bytes]) -> str:
    await asyncio.wait((presence,), timeout=PRESENCE_S)
    if not presence.done():
        presence.cancel()
        return ""
    return "here" if presence.result().startswith(HERE) else "gone"


class _Asking(Broker):
    """A connection that wants answers to what it publishes."""

    def __init__(self, *arguments: Any, **named_arguments: Any) -> None:
        super().__init__(*arguments, **named_arguments)
        self._acknowledged: asyncio.Future[int] = self._loop.create_future()

    async def not_subscribed(self, *topics: str) -> tuple[str, ...]:
        """Which of these the broker doesn't let it subscribe to."""
        refused = []
        for topic in topics:
            try:
                await self.subscribed(self.subscribe_soon(topic))
            except LinkError as error:
                if self._gone is not None:
                    raise
                refused.append(f"{topic} ({str(error).rpartition(': ')[2]})")
        return tuple(refused)

    async def not_published(self, topic: str, payload: bytes) -> str:
        """The topic, if the broker doesn't take a message to it; "" if it does, or has no QoS 1 to say so."""
        if getattr(self.limits, "MaximumQoS", 1) < 1:
            return ""
        self._client.publish(topic, payload, 1)
        return topic if await self._acknowledged >= _FAILED else ""

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        if not self._acknowledged.done():
            self._acknowledged.set_result(int(reason_code.value))
