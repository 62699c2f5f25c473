"""Probes and losses, as the counters show them, told to the search."""

from __future__ import annotations

from dataclasses import replace

from ocppress_gateway.core.events import Note
from ocppress_gateway.core.keepalive import LOSSES_TRIED, KeepaliveSearch
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.ledger.probing import Probing

START = WireCount(
    sent_segments=10,
    received_segments=10,
    sent_data_segments=5,
    received_data_segments=5,
    sent_bytes=1000,
    received_bytes=1000,
    retransmitted_segments=0,
    retransmitted_bytes=0,
    header_bytes=40,
)


class Connection:
    network = "wwan0"

    def __init__(self) -> None:
        self.keepalive_s: list[int] = []
        self.count = START

    def set_keepalive(self, keepalive_s: int) -> None:
        self.keepalive_s.append(keepalive_s)

    def probe(self) -> WireCount:
        self.count = replace(self.count, sent_segments=self.count.sent_segments + 1, received_segments=self.count.received_segments + 1)
        return self.count

    def message(self) -> WireCount:
        self.probe()
        self.count = replace(self.count, sent_data_segments=self.count.sent_data_segments + 1, sent_bytes=self.count.sent_bytes + 99)
        return self.count


class Site:
    """One edge whose counters are read each minute."""

    def __init__(self) -> None:
        self.charging = False
        self.notes: list[Note] = []
        self.now = 0.0
        self.probing = Probing(KeepaliveSearch(longest_s=1500), is_charging=lambda: self.charging, note=self.notes.append)
        self.connection = Connection()
        self.open(1)

    def open(self, number: int) -> None:
        self.connection = Connection()
        self.probing.opened(number, self.connection, self.now)
        self.probing.counted(number, self.connection.count, self.now)

    def probe(self) -> None:
        """A silence, and what ends it."""
        for _ in range(self.connection.keepalive_s[-1] // 60):
            self.read(1, self.connection.count)
        self.read(1, self.connection.probe())

    def read(self, number: int, count: WireCount) -> None:
        self.now += 60.0
        self.probing.counted(number, count, self.now)
        self.probing.adapt(self.now)


def test_an_answered_probe_makes_the_next_silence_longer() -> None:
    site = Site()
    site.probe()
    site.probe()
    assert site.connection.keepalive_s == [330, 450, 600]
    assert [note.fields for note in site.notes] == [{"seconds": 330}, {"seconds": 450}]
    assert site.probing.safe_s(site.now) == 450


def test_an_acknowledgement_that_comes_after_a_reading_tells_nothing() -> None:
    site = Site()
    for _ in range(5):
        site.read(1, site.connection.message())
        site.read(1, site.connection.probe())
    assert site.connection.keepalive_s == [330]


def test_traffic_tells_nothing() -> None:
    site = Site()
    for _ in range(5):
        site.read(1, site.connection.message())
    assert site.connection.keepalive_s == [330]


def test_while_a_car_charges_the_safe_interval_is_set() -> None:
    site = Site()
    site.charging = True
    site.read(1, site.connection.count)
    site.charging = False
    site.read(1, site.connection.count)
    assert site.connection.keepalive_s == [330, 240, 330]


def test_connections_lost_after_a_silence_make_it_shorter() -> None:
    site = Site()
    for number in range(1, LOSSES_TRIED + 1):
        site.now += 400.0
        site.probing.ended(number, site.now)
        site.open(number + 1)
    assert site.connection.keepalive_s == [240]
    assert site.notes[-1].fields["too_long_s"] == 330


def test_connections_lost_in_the_middle_of_traffic_do_not() -> None:
    site = Site()
    for number in range(1, 6):
        site.now += 400.0
        site.probing.counted(number, site.connection.message(), site.now)
        site.now += 100.0
        site.probing.ended(number, site.now)
        site.open(number + 1)
    assert site.connection.keepalive_s == [330]


def test_what_was_kept_and_makes_no_sense_is_said() -> None:
    site = Site()
    site.probing.restore(b"nonsense", 0.0)
    assert len(site.notes) == 1
    site.probe()
    other = Site()
    other.probing.restore(site.probing.snapshot(site.now), other.now)
    other.open(2)
    assert other.connection.keepalive_s == [450]
