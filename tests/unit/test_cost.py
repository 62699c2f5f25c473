"""The cost model against bytes that were measured on a wire, and against counting by hand."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Final

import pytest

from ocppress_gateway.cost.deflate import DeflateStream, deflate_payload_bytes
from ocppress_gateway.cost.month import (
    MONTH_S,
    deflated_ocpp_ip_bytes,
    link_ip_bytes,
    link_messages,
    plain_ocpp_ip_bytes,
    project_month,
    project_plain_month,
)
from ocppress_gateway.cost.wire import (
    FULL_HANDSHAKE,
    MQTT_FULL_HANDSHAKE,
    MQTT_RESUMED_HANDSHAKE,
    PLAIN_HANDSHAKE,
    RESUMED_HANDSHAKE,
    ByteCount,
    Conditions,
    Handshake,
    LinkTransport,
    WireMessage,
    close_bytes,
    handshake_bytes,
    messages_ip_bytes,
)
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN
OFF = Conditions(tcp_timestamps=False)
ON = Conditions(tcp_timestamps=True)


@pytest.mark.parametrize(
    ("payload", "alone_on", "alone_off", "answered_on", "answered_off"),
    [
        (20, 152, 128, 229, 193),
        (60, 192, 168, 269, 233),
        (120, 252, 228, 329, 293),
        (300, 434, 410, 511, 475),
        (1000, 1134, 1110, 1211, 1175),
    ],
)
def test_one_uplink_message_costs_what_was_measured(
    payload: int, alone_on: int, alone_off: int, answered_on: int, answered_off: int
) -> None:
    """WebSocket over TLS 1.3; the answer is an application's acknowledgement of one byte, sent at once."""
    alone = [WireMessage(0.0, UP, payload)]
    answered = [*alone, WireMessage(0.0, DOWN, 1)]
    assert messages_ip_bytes(alone, ON).total == alone_on
    assert messages_ip_bytes(alone, OFF).total == alone_off
    assert messages_ip_bytes(answered, ON).total == answered_on
    assert messages_ip_bytes(answered, OFF).total == answered_off


def test_an_answer_after_the_delayed_ack_timer_leaves_the_ack_alone() -> None:
    """Measured with answers after 0, 20 and 100 ms: 269, 269, 321."""
    cost = [messages_ip_bytes([WireMessage(0.0, UP, 60), WireMessage(after_s, DOWN, 1)], ON).total for after_s in (0.0, 0.020, 0.100)]
    assert cost == [269, 269, 321]


@pytest.mark.parametrize(("conditions", "measured"), [(ON, 1157), (OFF, 1121)])
def test_an_exchange_of_plain_ocpp_costs_what_was_measured(conditions: Conditions, measured: int) -> None:
    """902 bytes of MeterValues and an answer of 45."""
    assert messages_ip_bytes([WireMessage(0.0, UP, 902), WireMessage(0.01, DOWN, 45)], conditions).total == measured


LINK: Final = {
    (row["transport"], row["what"], row["payload_bytes"]): row["ip_bytes"]
    for row in json.loads((Path(__file__).parents[2] / "bench" / "results" / "link.json").read_text(encoding="utf-8"))
}
"""IP bytes as `bench.link` measured them on the wire, without timestamps."""


@pytest.mark.parametrize(
    ("handshake", "transport", "what"),
    [
        (FULL_HANDSHAKE, "websocket", "full"),
        (RESUMED_HANDSHAKE, "websocket", "resumed"),
        (MQTT_FULL_HANDSHAKE, "mqtt", "full"),
        (MQTT_RESUMED_HANDSHAKE, "mqtt", "resumed"),
    ],
)
def test_a_handshake_costs_what_was_measured(handshake: Handshake, transport: str, what: str) -> None:
    """Within half a bare ACK, which comes or doesn't."""
    assert abs(handshake_bytes(handshake, OFF) - LINK[transport, what, 0]) <= OFF.segment_bytes / 2


def test_mqtts_ping_costs_what_was_measured() -> None:
    assert OFF.mqtt_ping_bytes == LINK["mqtt", "ping", 0]


def test_a_stations_own_handshake_costs_what_was_measured() -> None:
    assert handshake_bytes(PLAIN_HANDSHAKE, OFF) == 2537
    assert abs(handshake_bytes(PLAIN_HANDSHAKE, ON) - 2672) <= 1


@pytest.mark.parametrize("transport", LinkTransport)
@pytest.mark.parametrize("payload_bytes", [20, 60, 120, 300, 1000])
def test_what_the_link_sends_costs_what_was_measured(transport: LinkTransport, payload_bytes: int) -> None:
    """A flush, and a relay whose answer of one byte comes within the delayed ACK; a byte or two are the header of the link message itself."""
    conditions = Conditions(transport=transport)
    flush = messages_ip_bytes([WireMessage(0.0, UP, payload_bytes)], conditions).total
    relay = messages_ip_bytes([WireMessage(0.0, UP, payload_bytes), WireMessage(0.01, DOWN, 1)], conditions).total
    assert flush == LINK[transport.value, "flush", payload_bytes]
    assert relay == LINK[transport.value, "relay", payload_bytes]


def test_probe_and_close_cost_what_was_measured() -> None:
    assert (OFF.probe_bytes, ON.probe_bytes) == (80, 104)
    assert 384 <= close_bytes(OFF) <= 464
    assert 520 <= close_bytes(ON) <= 624


@pytest.mark.parametrize(("interval_s", "kib_on", "kib_off"), [(60, 4388, 3375), (240, 1097, 844), (570, 462, 355), (1500, 176, 135)])
def test_a_month_of_probes_costs_what_was_measured(interval_s: int, kib_on: int, kib_off: int) -> None:
    for timestamps, kib in ((True, kib_on), (False, kib_off)):
        conditions = Conditions(tcp_timestamps=timestamps, keepalive_s=interval_s, reconnects_a_day=0)
        assert round(link_ip_bytes([], conditions, span_s=MONTH_S).keepalive / 1024) == pytest.approx(kib, abs=1)


@pytest.mark.parametrize(("conditions", "measured"), [(ON, 204.9), (OFF, 178.5)])
def test_a_rare_answer_does_not_carry_the_ack(conditions: Conditions, measured: float) -> None:
    """An application's acknowledgement after every tenth message of 60 bytes, bytes per message in steady state."""
    messages = [WireMessage(1.7 * number, UP, 60) for number in range(100)]
    messages += [WireMessage(message.at_s + 0.001, DOWN, 1) for message in messages[9::10]]
    cost = messages_ip_bytes(sorted(messages, key=lambda message: message.at_s), conditions)
    assert cost.total / 100 == pytest.approx(measured)


def test_a_month_of_messages_and_reconnects_is_near_the_measured_floor() -> None:
    """Tuned WebSocket, no timestamps, acknowledgement after every tenth message: 96 messages of 60 bytes a day 855 KiB, 1440 a day 7659.

    Probes every 9.5 minutes where the gap is longer, three resumed reconnects a day. Without our hello and first handshake.
    """
    for a_day, kib in ((96, 855), (1440, 7659)):
        messages = []
        for number in range(a_day * 30):
            messages.append(WireMessage(number * 86_400 / a_day, UP, 60))
            if number % 10 == 9:
                messages.append(WireMessage(messages[-1].at_s + 0.01, DOWN, 1))
        conditions = Conditions(keepalive_s=570)
        cost = link_ip_bytes(messages, conditions, span_s=MONTH_S)
        reconnects = 90 * 1458  # those of that measurement
        assert (cost.total - cost.handshake + reconnects) / 1024 == pytest.approx(kib, rel=0.001)


def test_ipv6_adds_its_header_to_every_packet() -> None:
    ipv6 = Conditions(ip_header_bytes=40)
    assert messages_ip_bytes([WireMessage(0.0, UP, 60)], ipv6).total == 168 + 2 * 20
    assert handshake_bytes(RESUMED_HANDSHAKE, ipv6) == 1365 + 11 * 20


def test_the_layers_of_one_message_add_up() -> None:
    assert messages_ip_bytes([WireMessage(0.0, UP, 60, 1)], OFF) == ByteCount(payload=60, framing=1 + 6, tls=22, tcp_ip=80)


def test_a_large_message_takes_several_records_and_segments() -> None:
    """20,000 bytes: header 14 masked would be for 64 KiB, here 8; two records; 14 segments of 1460 with 7 ACKs."""
    cost = messages_ip_bytes([WireMessage(0.0, UP, 20_000)], OFF)
    assert cost == ByteCount(payload=20_000, framing=8, tls=44, tcp_ip=(14 + 7) * 40)


def test_probes_fill_idle_time_only() -> None:
    conditions = Conditions(keepalive_s=60, reconnects_a_day=0)
    busy = [WireMessage(float(at_s), UP, 10) for at_s in range(0, 3600, 59)]
    assert link_ip_bytes(busy, conditions, span_s=3600).keepalive == 0
    pause = [WireMessage(0.0, UP, 10), WireMessage(200.0, UP, 10)]
    assert link_ip_bytes(pause, conditions, span_s=300).keepalive == (3 + 1) * 80


def test_the_month_continues_at_the_traffics_own_pace() -> None:
    """One message of 60 bytes an hour for a day, probes every 25 minutes: two probes between two messages."""
    messages = [WireMessage(hour * 3600.0, UP, 60) for hour in range(24)]
    day = link_ip_bytes(messages, Conditions(reconnects_a_day=0), span_s=86_400)
    month = project_month(messages, Conditions(), span_s=86_400)
    assert month.payload == 30 * 24 * 60
    assert month.keepalive == 30 * 24 * 2 * 80
    assert month.total - month.handshake == pytest.approx(30 * (day.total - day.handshake))
    # 90 reconnects and the first connection, and the hello of each, which is small against them.
    without_hello = 2303 + 90 * 1365
    assert without_hello + 91 * 200 < month.handshake < without_hello + 91 * 400


def test_reconnects_cost_what_the_link_does_for_them() -> None:
    messages = [WireMessage(0.0, UP, 60)]
    resumed, full = (project_month(messages, Conditions(reconnect=way), span_s=86_400) for way in (RESUMED_HANDSHAKE, FULL_HANDSHAKE))
    assert full.handshake - resumed.handshake == pytest.approx(90 * (2303 - 1365))


def test_the_plain_month_has_the_same_pace_and_a_handshake_for_each_reconnect() -> None:
    conditions = Conditions(reconnects_a_day=2)
    messages = [WireMessage(0.0, Direction.UP, 100), WireMessage(60.0, Direction.DOWN, 50)]
    month = project_plain_month(messages, conditions, span_s=43_200)
    assert month.payload == 150 * 60
    assert month.handshake == (1 + 2 * 30) * handshake_bytes(PLAIN_HANDSHAKE, conditions)
    assert month.keepalive == 0


def test_the_links_headers_are_counted_as_framing() -> None:
    """A byte before each frame, three for an acknowledgement after eight frames the other way."""
    frames = [(float(number), UP, 5) for number in range(8)] + [(8.0, DOWN, 5), (9.0, DOWN, 5)]
    assert [message.header_bytes for message in link_messages(frames)] == [1] * 8 + [1 + 3, 1]


def test_plain_ocpp_counts_text_and_one_handshake() -> None:
    records = [TraceRecord(0.0, UP, "x" * 902), TraceRecord(0.01, DOWN, "y" * 45)]
    assert plain_ocpp_ip_bytes(records, OFF).total == 1121 + 2537
    assert plain_ocpp_ip_bytes(records, OFF).payload == 947


def test_deflate_is_what_a_peer_can_inflate() -> None:
    """Each payload with the four bytes that RFC 7692 leaves out, fed to one inflater, gives the texts."""
    texts = [record.text for record in recordings.load("sim-vcp-2.1") if record.direction is UP]
    stream, inflater = DeflateStream(), zlib.decompressobj(wbits=-15)
    for text in texts:
        assert inflater.decompress(stream.compress(text) + b"\x00\x00\xff\xff").decode() == text


def test_deflate_is_smaller_than_plain_and_larger_than_nothing() -> None:
    records = recordings.load("sim-microocpp-1.6")
    payload = deflate_payload_bytes((record.direction, record.text) for record in records)
    deflated, plain = deflated_ocpp_ip_bytes(records, OFF), plain_ocpp_ip_bytes(records, OFF)
    assert deflated.payload == payload
    assert 0 < payload < plain.payload / 2
    assert deflated.handshake == plain.handshake
