"""What the ledger books and says of files that go around the gateway."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_events import LinkCounted, LinkDialled, TransferBegan, TransferEnded, Way
from ocppress_gateway.core.ledger_transfers import TOLD_BYTES_MIN, TRANSFER_S_MAX, TRANSFERS_MAX
from tests.support.ledgers import Books, settings
from tests.support.wire_counts import wire_count

FIRMWARE = TransferBegan("CP1", Way.DOWN, "UpdateFirmware")
OVER = TransferEnded("CP1", Way.DOWN)
WENT = "a transfer went around the gateway"


def _books() -> Books:
    books = Books.settled(Ledger(settings(budget_bytes=10_000_000)))
    books.others(0)
    return books


def _said(notes: list[Note]) -> list[tuple[str, Any]]:
    """What was said of ends, at a level that is seen."""
    return [(note.fields["station"], note.fields["mb_at_most"]) for note in notes if note.words == WENT and note.level >= Level.WARNING]


def _day(books: Books) -> tuple[int, int]:
    return books.month().others_bytes, books.month().transfers_bytes


def test_what_passes_between_beginning_and_end_is_booked_and_told() -> None:
    books = _books()
    books.others(400_000)
    books.tell(FIRMWARE)
    assert [note.words for note in books.tick()] == ["a station transfers a file around the gateway"]
    for _ in range(3):
        books.pass_time(60)
        books.others(1_000_000)
        assert books.tick() == []
    books.tell(OVER)
    (note,) = books.tick()
    assert note.words == WENT
    assert note.level is Level.WARNING
    fields = {"station": "CP1", "action": "UpdateFirmware", "way": "down"}
    assert note.fields == {**fields, "mb_at_most": 3.0, "budget_percent": 30.0}
    books.others(250_000)
    assert _day(books) == (3_650_000, 3_000_000)


def test_ours_is_none_of_it() -> None:
    books = _books()
    books.tell(LinkDialled(1, looks_up=False), LinkCounted(1, wire_count()), FIRMWARE)
    before = books.month().counted_bytes
    books.tell(LinkCounted(1, wire_count(sent_bytes=200_000, sent_segments=200)))
    ours = books.month().counted_bytes - before
    assert ours > 200_000
    books.others(ours + 50_000 + before)
    books.tell(OVER)
    books.tick()
    others, transfers = _day(books)
    assert transfers == others
    assert 40_000 < transfers <= 50_000 + before


def test_a_transfer_for_later_begins_then_or_when_its_station_says_so() -> None:
    for says in (False, True):
        books = _books()
        books.tell(TransferBegan("CP1", Way.DOWN, "UpdateFirmware", in_s=3600))
        books.others(100_000)
        books.tell(OVER)  # of the one before
        books.pass_time(1800 if says else 3600)
        books.others(100_000)
        if says:
            books.tell(TransferBegan("CP1", Way.DOWN, "FirmwareStatusNotification"))
        books.pass_time(60)
        books.others(700_000)
        books.tell(OVER)
        assert _said(books.tick()) == [("CP1", 0.7)]
        assert _day(books) == (900_000, 700_000)


def test_a_station_that_says_nothing_more_is_watched_for_hours_and_not_for_days() -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.pass_time(TRANSFER_S_MAX - 60)
    books.others(500_000)
    assert _said(books.tick()) == []
    books.pass_time(60)
    books.others(20_000)
    assert _said(books.tick()) == [("CP1", 0.52)]
    books.pass_time(60)
    books.others(90_000)
    books.tell(OVER)
    assert books.tick() == []
    assert _day(books) == (610_000, 520_000)


def test_two_at_once_are_booked_once() -> None:
    books = _books()
    books.tell(FIRMWARE, TransferBegan("CP2", Way.UP, "GetLog"))
    books.others(300_000)
    books.tell(OVER)
    books.others(100_000)
    books.tell(TransferEnded("CP2", Way.UP), OVER)
    assert _said(books.tick()) == [("CP1", 0.3), ("CP2", 0.4)]
    assert _day(books) == (400_000, 400_000)


def test_one_that_takes_the_place_of_another() -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.others(300_000)
    books.tell(FIRMWARE)
    books.others(100_000)
    books.tell(TransferBegan("CP1", Way.DOWN, "UpdateFirmware", in_s=60))
    assert _said(books.tick()) == [("CP1", 0.4)]
    books.others(50_000)
    assert _day(books) == (450_000, 400_000)


def test_ours_that_is_booked_late_is_taken_for_a_transfer_once_at_most() -> None:
    books = _books()
    books.tell(LinkDialled(1, looks_up=False), LinkCounted(1, wire_count()), FIRMWARE)
    books.others(books.month().ours_bytes)
    for number in range(1, 21):
        before = books.month().counted_bytes
        books.others(1000)  # which the connection's counters have later
        books.tell(LinkCounted(1, wire_count(sent_bytes=1000 * number, sent_segments=number, sent_data_segments=number)))
        books.others(books.month().counted_bytes - before - 1000)
    assert books.month().account.transfers <= 1000
    books.others(64_000)
    assert 64_000 <= books.month().account.transfers <= 65_000


def test_without_the_interface_nothing_is_known() -> None:
    books = Books.settled(Ledger(settings()))
    books.tell(FIRMWARE, OVER)
    words = [note.words for note in books.tick()]
    assert words[1:] == ["a transfer is over; what it took shows only with `interface` of `[sim]`"]
    assert books.month().transfers_bytes == 0


@pytest.mark.parametrize("count", [0, TOLD_BYTES_MIN - 1])
def test_a_station_on_another_network_is_no_warning(count: int) -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.others(count)
    books.tell(OVER)
    assert _said(books.tick()) == []


def test_stations_without_number_are_watched_in_numbers() -> None:
    books = _books()
    for number in range(2 * TRANSFERS_MAX):
        books.tell(TransferBegan(f"CP{number}", Way.DOWN, "UpdateFirmware"))
    books.others(50_000)
    for number in range(2 * TRANSFERS_MAX):
        books.tell(TransferEnded(f"CP{number}", Way.DOWN))
    assert len(_said(books.tick())) == TRANSFERS_MAX


def _restarted(books: Books, *, now: float = 0.0) -> Books:
    """The next process reads as soon as it has begun, as the keeper does."""
    books.save()
    later = books.restart(settings(budget_bytes=10_000_000), now=now)
    later.others(0)
    return later


def test_a_transfer_outlives_the_process() -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.others(300_000)
    later = _restarted(books, now=70_000.0)
    later.others(100_000)  # some of it while nobody looked
    again = _restarted(later)
    again.others(50_000)
    assert again.tick() == [], "that it has begun was said"
    again.tell(OVER)
    assert _said(again.tick()) == [("CP1", 0.45)]
    again.others(9_000)
    assert _day(again) == (459_000, 450_000)


def test_a_transfer_that_is_to_come_begins_in_the_next_process() -> None:
    books = _books()
    books.tell(TransferBegan("CP1", Way.DOWN, "UpdateFirmware", in_s=600))
    books.pass_time(400)
    books.others(20_000)
    later = _restarted(books, now=5.0)
    later.pass_time(199)
    later.others(30_000)
    assert later.tick() == []
    later.pass_time(2)
    later.others(0)
    assert [note.words for note in later.tick()] == ["a station transfers a file around the gateway"]
    later.others(40_000)
    later.tell(OVER)
    assert _said(later.tick()) == [("CP1", 0.04)]


def test_a_station_that_says_nothing_more_has_its_hours_all_lives_together() -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.pass_time(TRANSFER_S_MAX - 100)
    books.others(20_000)
    later = _restarted(books)
    later.pass_time(99)
    later.others(1_000)
    assert _said(later.tick()) == []
    later.pass_time(2)
    later.others(1_000)
    assert _said(later.tick()) == [("CP1", 0.022)]


def test_a_process_that_never_looked_keeps_what_it_was_given() -> None:
    books = _books()
    books.tell(FIRMWARE)
    books.others(300_000)
    books.save()
    never = books.restart(settings(budget_bytes=10_000_000))
    later = _restarted(never)
    later.tell(OVER)
    assert _said(later.tick()) == [("CP1", 0.3)]


def test_a_state_without_transfers_is_read() -> None:
    books = _books()
    books.save()
    state = msgspec.msgpack.decode(books.saved["ledger"])
    assert state.pop() == []
    books.saved["ledger"] = msgspec.msgpack.encode(state)
    assert books.restart(settings()).tick() == []


def test_what_is_held_until_the_clock_is_believed_is_booked_too() -> None:
    books = Books(Ledger(settings()))
    books.others(0)
    books.tell(FIRMWARE)
    books.others(70_000)
    assert books.month().undated.transfers_bytes == books.month().transfers_bytes == 70_000
    books.pass_time(3600)
    books.tick()
    assert books.month().undated.transfers_bytes == 0
    assert books.month().transfers_bytes == 70_000
