"""Notes of CALLs: the newest can be relied on, the oldest are forgotten, the end can be taken back."""

from __future__ import annotations

from ocppress_codecs.calls import CallLog


def filled(count: int) -> CallLog:
    log = CallLog()
    for number in range(count):
        assert log.add(number + 1) == number
    return log


def test_notes_are_found_by_number() -> None:
    log = filled(3)
    assert log.count == 3
    assert [log.note(number) for number in (-1, 0, 2, 3, 2**32)] == [0, 1, 3, 0, 0]
    assert log.newest_notes(2) == [2, 3]
    assert log.newest_notes(9) == [1, 2, 3]


def test_as_many_as_are_kept_are_found_at_any_time() -> None:
    log = CallLog()
    for number in range(5 * CallLog.KEPT):
        log.add(number & 0xFFFF)
        if number % 1000 == 0:
            oldest = max(0, log.count - CallLog.KEPT)
            assert log.note(oldest) == oldest & 0xFFFF
            assert log.note(oldest - 1) == 0
            assert log.note(number) == number & 0xFFFF
    assert len(log.newest_notes(10**6)) == log.count


def test_the_end_can_be_taken_back() -> None:
    log = filled(5)
    log.truncate(7)
    assert log.count == 5
    log.truncate(2)
    assert (log.count, log.note(1), log.note(2)) == (2, 2, 0)
    assert log.add(99) == 2
    assert log.newest_notes(3) == [1, 2, 99]


def test_a_log_goes_on_where_another_was_saved() -> None:
    log = CallLog()
    log.restore(1000, [7, 8])
    assert [log.note(number) for number in (997, 998, 999, 1000)] == [0, 7, 8, 0]
    assert log.newest_notes(4) == [0, 0, 7, 8]
    assert log.add(9) == 1000
    assert log.newest_notes(2) == [8, 9]
    log.truncate(500)
    assert log.newest_notes(3) == [0, 0, 0]
