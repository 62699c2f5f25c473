"""Connections' counters become layers, which always add up to what was counted."""

from __future__ import annotations

import pytest

from ocppress_gateway.core.ledger_day import REST, DayAccount, Layer
from ocppress_gateway.core.ledger_events import FrameShare, LinkCounted, LinkDialled, LinkEnded, LinkMessageCounted, Way
from ocppress_gateway.core.ledger_links import (
    DNS_BYTES,
    FIN_SEGMENTS,
    LINKS_MAX,
    REFUSED_BYTES,
    SYN_BYTES,
    TOLD_MAX,
    LinkAccounts,
    websocket_header_bytes,
)
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.wire import Conditions, tls_bytes
from ocppress_gateway.cost.wire import websocket_header_bytes as header_bytes_of_the_cost_model
from ocppress_gateway.workloads.traces import Direction
from tests.support.wire_counts import wire_count

UP, DOWN = Way.UP, Way.DOWN

GREETED = wire_count(
    sent_segments=6,
    received_segments=5,
    sent_data_segments=3,
    received_data_segments=3,
    sent_bytes=500,
    received_bytes=700,
)
"""After the handshake."""


class _Connection:
    """A connection whose counters a test moves on."""

    def __init__(self, *, header_bytes: int = 40) -> None:
        self.accounts = LinkAccounts()
        self.book = DayAccount()
        self.count = GREETED
        self.read(header_bytes=header_bytes)

    def read(self, **more: int) -> DayAccount:
        """Read with these counters grown by so much; returns what that has booked."""
        grown = {name: more.pop(name, 0) + getattr(self.count, name) for name in WireCount.__dataclass_fields__ if name != "header_bytes"}
        self.count = wire_count(**grown, header_bytes=more.pop("header_bytes", self.count.header_bytes))
        assert not more
        booked = DayAccount()
        self.accounts.counted(LinkCounted(1, self.count), booked)
        self.book.add(booked)
        return booked

    def say(self, way: Way, message_bytes: int, *frames: FrameShare) -> None:
        self.accounts.message(LinkMessageCounted(1, way, message_bytes, frames))


def _layers(book: DayAccount, way: Way) -> dict[str, int]:
    return {layer.value: count for layer in Layer if (count := book.layer_bytes(layer, way))}


def test_all_up_to_the_first_reading_is_handshake() -> None:
    connection = _Connection()
    assert _layers(connection.book, UP) == {"handshake": 6 * 40 + 500}
    assert _layers(connection.book, DOWN) == {"handshake": 5 * 40 + 700}


@pytest.mark.parametrize(("header_bytes", "up", "down"), [(40, 20, 12), (60, 20, 12), (52, 8, 8), (72, 8, 8)])
def test_options_of_the_syns_are_estimated(header_bytes: int, up: int, down: int) -> None:
    assert _Connection(header_bytes=header_bytes).book.estimated == [up, down]


def test_a_message_is_payload_framing_tls_and_headers() -> None:
    connection = _Connection()
    connection.say(UP, 63, FrameShare("CP1", 60, {"MeterValues": 1000}))
    booked = connection.read(sent_segments=1, sent_data_segments=1, received_segments=1, sent_bytes=63 + 6 + 22)
    assert _layers(booked, UP) == {"payload": 60, "framing": 3 + 6, "tls": 22, "tcp_ip": 40}
    assert _layers(booked, DOWN) == {"tcp_ip": 40}
    assert (booked.stations, booked.actions) == ({"CP1": [60, 0]}, {"MeterValues": [60, 0]})


def test_a_message_costs_what_the_cost_model_says() -> None:
    for message_bytes in (20, 125, 126, 1000, 16_000):
        for way, direction in ((UP, Direction.UP), (DOWN, Direction.DOWN)):
            assert websocket_header_bytes(message_bytes, way) == header_bytes_of_the_cost_model(message_bytes, direction)
    assert tls_bytes(66) == 22
    assert Conditions().segment_bytes == 40


def test_a_frames_bytes_go_to_its_actions_by_their_text() -> None:
    connection = _Connection()
    connection.say(DOWN, 100, FrameShare("CP1", 50, {"Reset": 20, "": 80}), FrameShare("CP2", 40, {"Reset": 1}))
    booked = connection.read(received_segments=1, received_data_segments=1, received_bytes=124)
    assert booked.stations == {"CP1": [0, 50], "CP2": [0, 40]}
    assert booked.actions == {"Reset": [0, 50], "": [0, 40]}


def test_a_frame_without_actions_has_none() -> None:
    connection = _Connection()
    connection.say(UP, 10, FrameShare("CP1", 10))
    assert connection.read(sent_bytes=38, sent_segments=1, sent_data_segments=1).actions == {"": [10, 0]}


def test_probes_are_told_from_acknowledgements() -> None:
    connection = _Connection()
    probe = connection.read(sent_segments=1, received_segments=1)
    assert _layers(probe, UP) == _layers(probe, DOWN) == {"keepalive": 40}
    # A message with its acknowledgement, and a probe with its own, in one reading.
    both = connection.read(sent_segments=2, sent_data_segments=1, received_segments=2, sent_bytes=50)
    assert _layers(both, UP) == {"tls": 50, "tcp_ip": 40, "keepalive": 40}
    assert _layers(both, DOWN) == {"tcp_ip": 40, "keepalive": 40}


def test_what_is_sent_again_is_counted_apart() -> None:
    connection = _Connection()
    connection.say(UP, 100, FrameShare("CP1", 99))
    booked = connection.read(
        sent_segments=3, sent_data_segments=3, sent_bytes=3 * 128, retransmitted_segments=2, retransmitted_bytes=2 * 128
    )
    assert _layers(booked, UP) == {"payload": 99, "framing": 7, "tls": 22, "tcp_ip": 40, "retransmission": 2 * (40 + 128)}


def test_what_is_told_before_it_is_counted_waits() -> None:
    connection = _Connection()
    connection.say(UP, 101, FrameShare("CP1", 100, {"Authorize": 1}))
    assert _layers(connection.read(), UP) == {}
    assert _layers(connection.read(sent_bytes=30, sent_segments=1, sent_data_segments=1), UP) == {"payload": 30, "tcp_ip": 40}
    assert _layers(connection.read(sent_bytes=99), UP) == {"payload": 70, "framing": 7, "tls": 22}
    assert connection.book.actions == {"Authorize": [100, 0]}


def test_what_is_counted_before_it_is_told_is_made_up_for() -> None:
    connection = _Connection()
    early = connection.read(received_bytes=126, received_segments=1, received_data_segments=1)
    assert _layers(early, DOWN) == {"tls": 126, "tcp_ip": 40}
    connection.say(DOWN, 102, FrameShare("CP1", 100))
    for _ in range(5):
        connection.say(DOWN, 10, FrameShare("CP1", 9))
        connection.read(received_bytes=10 + 2 + 22, received_segments=1, received_data_segments=1)
    assert connection.book.layer_bytes(Layer.PAYLOAD, DOWN) == 100 + 5 * 9
    assert connection.book.layer_bytes(Layer.FRAMING, DOWN) + connection.book.layer_bytes(Layer.TLS, DOWN) == 26 + 5 * (1 + 2 + 22)


def test_an_end_is_estimated_once() -> None:
    connection = _Connection()
    before = sum(connection.book.estimated)
    for _ in range(2):
        connection.accounts.ended(LinkEnded(1), 10.0, connection.book)
    assert sum(connection.book.estimated) - before == 2 * FIN_SEGMENTS * 40


def test_a_reading_after_the_end_counts_for_nothing() -> None:
    connection = _Connection()
    connection.accounts.ended(LinkEnded(1), 10.0, connection.book)
    assert connection.read(sent_bytes=1000).ours_bytes == 0


def test_a_connection_that_is_forgotten_is_not_counted_again() -> None:
    connection = _Connection()
    for number in range(2, LINKS_MAX + 2):
        connection.accounts.dialled(LinkDialled(number, looks_up=False), 0.0, connection.book)
    assert connection.read(sent_bytes=1000).ours_bytes == 0


def test_a_reading_that_has_not_grown_counts_for_nothing() -> None:
    assert _Connection().read().ours_bytes == 0


@pytest.mark.parametrize(("after_s", "syns"), [(0.0, 1), (0.9, 1), (1.0, 2), (2.9, 2), (3.0, 3), (30.0, 5), (1e6, 7), (-5.0, 1)])
def test_a_connection_that_was_not_made_costs_its_syns(after_s: float, syns: int) -> None:
    accounts, book = LinkAccounts(), DayAccount()
    accounts.dialled(LinkDialled(1, looks_up=False), 100.0, book)
    accounts.ended(LinkEnded(1), 100.0 + after_s, book)
    assert book.estimated == [syns * SYN_BYTES, 0]


def test_a_refusal_costs_a_handshake() -> None:
    accounts, book = LinkAccounts(), DayAccount()
    accounts.dialled(LinkDialled(1, looks_up=False), 0.0, book)
    accounts.ended(LinkEnded(1, refused=True), 1.0, book)
    assert book.estimated == [REFUSED_BYTES[UP], REFUSED_BYTES[DOWN]]


def test_a_name_costs_its_lookup() -> None:
    accounts, book = LinkAccounts(), DayAccount()
    accounts.dialled(LinkDialled(1, looks_up=True), 0.0, book)
    assert book.estimated == [DNS_BYTES[UP], DNS_BYTES[DOWN]]


def test_memory_is_bounded_whatever_is_told() -> None:
    accounts, book = LinkAccounts(), DayAccount()
    for number in range(TOLD_MAX + 10):
        accounts.message(LinkMessageCounted(1, UP, 2, (FrameShare("CP1", 1, {f"Action{number}": 1}),)))
    link = accounts._links[1]
    assert len(link.told[UP].payload) == TOLD_MAX + 1
    assert link.told[UP].payload[REST, REST] == 10
    for number in range(100):
        accounts.dialled(LinkDialled(number, looks_up=False), 0.0, book)
    assert len(accounts._links) == LINKS_MAX
