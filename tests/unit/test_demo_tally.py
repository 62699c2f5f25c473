"""The demo's counters, against packets counted by hand."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.parts import Ack, Attach, FramePart, Piece, Welcome, write_parts
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.demo.figures import figures
from ocppress_gateway.demo.table import story, table
from ocppress_gateway.demo.tally import Account, LinkTap, Tally, connection_ip_bytes
from ocppress_gateway.workloads.traces import Direction
from tests.support.wire_counts import wire_count

UP, DOWN = Direction.UP, Direction.DOWN


def _tally() -> tuple[Tally, LinkTap, Account]:
    account = Account("one", OcppVersion.V201)
    tally = Tally({"ONE": account})
    return tally, tally.tap(), account


@pytest.mark.parametrize(("header_bytes", "syn_bytes"), [(40, 52), (52, 60), (60, 72), (72, 80)])
def test_ip_bytes_of_a_connection(header_bytes: int, syn_bytes: int) -> None:
    # SYN, SYN-ACK, ACK, then 100 bytes up and 50 down, each with a bare ACK.
    count = wire_count(sent_segments=4, received_segments=3, sent_bytes=100, received_bytes=50, header_bytes=header_bytes)
    assert connection_ip_bytes(count, closed=False) == 2 * syn_bytes + 5 * header_bytes + 150
    assert connection_ip_bytes(count, closed=True) == 2 * syn_bytes + (5 + 4) * header_bytes + 150


def test_frames_are_counted_by_station_and_the_rest_as_framing() -> None:
    tally, tap, account = _tally()
    attach = write_parts([Attach(slot=3, attachment=1, identity="ONE", subprotocols=["ocpp2.0.1"], authorization=None, epoch=1)])
    small = write_parts([FramePart(3, 1, b"12345", expiry=9), Ack(3, 1)])
    begun = write_parts([Piece(3, 1, b"x" * 4000)])
    ended = write_parts([FramePart(3, 1, b"y" * 10)])
    for direction, data in ((UP, attach), (UP, small), (DOWN, begun), (DOWN, ended)):
        tap.link_message(direction, data)
    assert account.link_payload_bytes == 5 + 4000 + 10
    message_bytes = len(attach) + len(small) + len(begun) + len(ended)
    layers = tally.layers([wire_count(sent_segments=9, received_segments=9, sent_bytes=3000, received_bytes=3000)], closed=False)
    assert layers is not None
    assert layers.payload == 4015
    assert layers.framing == message_bytes - 4015
    assert layers.tls == 6000 - message_bytes
    assert layers.tcp_ip == 18 * 40 + 2 * 12
    assert layers.total == layers.payload + layers.framing + layers.tls + layers.tcp_ip


def test_the_link_is_up_with_the_welcome() -> None:
    _, tap, _ = _tally()
    assert not tap.is_up.is_set()
    tap.link_message(DOWN, write_parts([Welcome("cbor-zstd", [])]))
    assert tap.is_up.is_set()


def test_links_are_counted_together_though_their_slots_are_the_same() -> None:
    one, two = Account("one", OcppVersion.V201), Account("two", OcppVersion.V201)
    tally = Tally({"ONE": one, "TWO": two})
    said = 0
    for identity, size in (("ONE", 100), ("TWO", 7)):
        tap = tally.tap()
        for part in (
            Attach(slot=0, attachment=1, identity=identity, subprotocols=["ocpp2.0.1"], authorization=None, epoch=1),
            FramePart(0, 1, b"x" * size),
        ):
            data = write_parts([part])
            said += len(data)
            tap.link_message(UP, data)
    assert (one.link_payload_bytes, two.link_payload_bytes) == (100, 7)
    counted = wire_count(sent_segments=9, received_segments=9, sent_bytes=3000, received_bytes=3000)
    layers = tally.layers([counted, counted], closed=False)
    assert layers is not None
    assert layers.framing == said - 107
    assert layers.tls == 2 * 6000 - said


def _an_hourly_message(account: Account, hours: int) -> None:
    for hour in range(hours + 1):
        account.time_stands(3600.0 * hour)
        account.text(UP, "x" * 200, 3600.0 * hour)
        account.accepted += 1
        account.frame(UP, 20, last=True)


def test_a_month_is_made_of_whole_days() -> None:
    one_day, a_day_and_a_half = _tally()[2], _tally()[2]
    _an_hourly_message(one_day, 24)
    _an_hourly_message(a_day_and_a_half, 36)
    assert one_day.month_bytes(Conditions()) == a_day_and_a_half.month_bytes(Conditions())


def test_there_is_no_month_of_less_than_an_hour() -> None:
    account = _tally()[2]
    _an_hourly_message(account, 0)
    assert account.month_bytes(Conditions()) is None
    _an_hourly_message(account, 1)
    assert account.month_bytes(Conditions()) is not None


def test_all_is_well_only_if_all_was_delivered() -> None:
    tally, _, account = _tally()
    _an_hourly_message(account, 2)
    counted = [wire_count(sent_segments=9, received_segments=9, sent_bytes=3000, received_bytes=3000)]

    def all_delivered() -> bool:
        return figures(tally, counted, plan=PlanName.SAVER, elapsed_s=1.0, closed=True).all_delivered

    assert not all_delivered()
    account.delivered = account.accepted
    assert all_delivered()
    account.trouble = "gone"
    assert not all_delivered()


def test_the_recording_s_time_passes_only_while_nothing_is_under_way() -> None:
    now = 100.0
    account = Account("one", OcppVersion.V201, clock=lambda: now)
    account.time_stands(5.0)
    now += 1
    assert account.now_s == 5.0
    account.time_passes(5.0, 30.0, 10.0)
    now += 2
    assert account.now_s == 25.0
    now += 2
    assert account.now_s == 30.0, "no further than the next message"


def test_a_machine_that_does_not_keep_up_has_its_own_speed() -> None:
    now = 0.0
    account = Account("one", OcppVersion.V201, clock=lambda: now)
    assert account.speed(1000.0) == 1000.0
    for at_s in range(0, 600, 60):
        account.time_stands(at_s)
        now += 0.5
    assert account.speed(1000.0) == 120.0
    assert account.speed(100.0) == 100.0, "never faster than wanted"


@pytest.mark.parametrize(
    "counts", [[], [wire_count(sent_segments=9, received_segments=9, sent_bytes=3000, received_bytes=3000)]], ids=["unknown", "counted"]
)
def test_the_table_fits_in_80_columns(counts: list[WireCount]) -> None:
    tally, _, account = _tally()
    account.name = "a-recording-with-quite-a-long-name"
    account.wall_s = 0.5
    _an_hourly_message(account, 500)
    account.delivered = 500
    shown = figures(tally, counts, plan=PlanName.SAVER, elapsed_s=1.0, closed=True)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table(shown, wanted_s=15))
    text = console.export_text()
    # Nothing is cut: each number stands there whole, and the station's name over two lines.
    assert "…" not in text
    assert f"{501 * 200:,}" in text
    assert f"{shown.plain_ip_bytes:,}" in text or not counts
    assert "500 DELIVERED" in "".join(story(shown))
