"""What is kept of messages while somebody looks: how much, how long, whose answer is whose, and none of their secrets."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.rpc import MessageType
from ocppress_gateway import taps as taps_module
from ocppress_gateway.core.events import Event, Handling, Observe, Watch
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.taps import (
    NAME_SHOWN_MAX,
    PACE_MAX,
    ROWS_MAX,
    STRING_SHOWN_MAX,
    TAPS_MAX,
    TEXT_READ_MAX,
    TEXT_SHOWN_MAX,
    WATCH_S,
    Row,
    Tap,
    Taps,
)

UP, DOWN = True, False


def _rows(*passed: tuple[bool, str] | tuple[bool, str, Handling]) -> list[Row]:
    tap = Tap("CP001", 0.0, 1000.0)
    for number, (up, text, *handling) in enumerate(passed):
        tap.take(Observe("CP001", up, text, *handling), 1000.0 + number)
    return list(tap.rows())


def test_an_answer_is_shown_with_its_call() -> None:
    call, answer = _rows((UP, '[2,"1","MeterValues",{"connectorId":1}]'), (DOWN, '[3,"1",{}]', Handling.EARLY))
    assert (call.number, call.unix_s, call.up, call.kind, call.action, call.message_id) == (
        1,
        1000.0,
        UP,
        MessageType.CALL,
        "MeterValues",
        "1",
    )
    assert (call.text_bytes, call.text) == (39, '{"connectorId":1}')
    assert (answer.number, answer.up, answer.kind, answer.action, answer.text) == (2, DOWN, MessageType.CALLRESULT, "MeterValues", "{}")
    assert (call.handling, answer.handling) == (Handling.EARLY, Handling.EARLY)


def test_at_a_cloud_the_call_says_whose_it_is() -> None:
    call, answer = _rows((UP, '[2,"1","MeterValues",{}]', Handling.EARLY), (DOWN, '[3,"1",{}]'))
    assert (call.handling, answer.handling) == (Handling.EARLY, Handling.EARLY)
    call, answer = _rows((DOWN, '[2,"1","Reset",{}]'), (UP, '[3,"1",{}]', Handling.RELAYED))
    assert (call.handling, answer.handling) == (Handling.RELAYED, Handling.RELAYED)


def test_an_answer_of_the_other_direction_is_another_calls() -> None:
    _, answer = _rows((UP, '[2,"1","MeterValues",{}]'), (UP, '[3,"1",{}]'))
    assert (answer.action, answer.handling) == ("", None)


def test_a_complaint_about_a_result_goes_the_way_of_its_call() -> None:
    _, _, complaint = _rows(
        (UP, '[2,"1","Authorize",{}]'), (DOWN, '[3,"1",{}]', Handling.RELAYED), (UP, '[5,"1","FormatViolation","no status",{}]')
    )
    assert (complaint.action, complaint.text) == ("Authorize", '"FormatViolation","no status",{}')


def test_what_is_not_ocppj_is_counted_and_not_shown() -> None:
    (row, answer) = _rows((UP, '[2,"hunter2",{}]'), (DOWN, '[4,"hunter2","FormationViolation","",{}]', Handling.HERE))
    assert (row.kind, row.action, row.message_id, row.text_bytes, row.text) == (None, "", "", 16, None)
    assert (answer.action, answer.message_id, answer.text) == ("", "", '"FormationViolation","***"')


@pytest.mark.parametrize(
    "asked",
    [
        '[2,"1","Authorize",{"idTag":"hunter2"}]',
        '[2,"1","GetLog",{"log":{"remoteLocation":"ftp://u:hunter2@host/"}}]',
        '[2,"other","Heartbeat",{}]',
    ],
    ids=["a token", "a URL", "nobody knows what"],
)
def test_what_the_peer_says_of_an_error_may_repeat_what_was_asked(asked: str) -> None:
    error = (DOWN, '[4,"1","NotSupported","no such token hunter2",{"it":"hunter2"}]', Handling.RELAYED)
    assert _rows((UP, asked), error)[-1].text == '"NotSupported","***"'


def test_what_it_says_of_a_call_without_a_secret_is_shown() -> None:
    (_, error) = _rows(
        (UP, '[2,"1","StatusNotification",{}]'), (DOWN, '[4,"1","OccurrenceConstraintViolation","connectorId is missing",{}]')
    )
    assert error.text == '"OccurrenceConstraintViolation","connectorId is missing",{}'
    long = json.dumps({"idTag": "hunter2", "x": "y" * TEXT_READ_MAX})
    assert _rows((UP, f'[2,"1","Authorize",{long}]'), (DOWN, '[4,"1","X","hunter2",{}]'))[-1].text == '"X","***"'


def test_texts_are_cut() -> None:
    many = {f"member{number}": number for number in range(300)}
    whole, cut, unread = _rows(
        (UP, f'[2,"1","DataTransfer",{json.dumps({"data": "x" * 200})}]'),
        (UP, f'[2,"2","DataTransfer",{json.dumps(many)}]'),
        (UP, f'[2,"3","DataTransfer",{json.dumps({"data": "x" * TEXT_READ_MAX})}]'),
    )
    assert whole.text is not None
    assert cut.text is not None
    assert len(whole.text) == len('{"data":}') + STRING_SHOWN_MAX
    assert len(cut.text) == TEXT_SHOWN_MAX
    assert (unread.text, unread.action) == (None, "DataTransfer")
    assert unread.text_bytes > TEXT_READ_MAX


def test_a_name_is_cut_and_made_visible() -> None:
    (row,) = _rows((UP, f'[2,"{"i" * 200}","\\u202e\\u001b[2J{"a" * 200}",{{}}]'))
    assert len(row.message_id) == len(row.action) == NAME_SHOWN_MAX
    assert row.action.startswith("\\u202e\\u001b[2Jaa")


def test_the_newest_are_kept() -> None:
    rows = _rows(*[(UP, f'[2,"{number}","Heartbeat",{{}}]') for number in range(ROWS_MAX + 7)], (DOWN, '[3,"0",{}]', Handling.HERE))
    assert [row.number for row in rows] == list(range(9, ROWS_MAX + 9))
    assert rows[-1].action == "", "its CALL is forgotten"


def test_of_a_flood_only_so_many_are_read() -> None:
    tap = Tap("CP001", 0.0, 1000.0)
    for second in (1000.0, 1001.0):
        for _ in range(PACE_MAX + 5):
            tap.take(Observe("CP001", UP, '[2,"1","Heartbeat",{}]'), second)
    assert tap.left_out == 10
    assert [row.number for row in tap.rows(after=2 * PACE_MAX - 1)] == [2 * PACE_MAX]


@given(st.text())
def test_any_text_passes(text: str) -> None:
    (row,) = _rows((UP, text))
    assert row.text is None or row.text.isprintable()


# --- opening and closing


def _run(monkeypatch: pytest.MonkeyPatch, look_s: float = 0.05, watch_s: float = WATCH_S) -> tuple[Taps, list[Event]]:
    monkeypatch.setattr(taps_module, "LOOK_S", look_s)
    monkeypatch.setattr(taps_module, "WATCH_S", watch_s)
    posted: list[Event] = []
    return Taps(posted.append), posted


def test_it_ends_when_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        taps, posted = _run(monkeypatch)
        taps.take(Observe("CP001", UP, '[2,"1","Heartbeat",{}]'))
        tap = taps.open("CP001")
        assert posted == [Watch("CP001", on=True)]
        taps.take(Observe("CP001", UP, '[2,"1","Heartbeat",{}]'))
        taps.take(Observe("CP002", UP, '[2,"1","Heartbeat",{}]'))
        assert taps.open("CP001") is tap
        assert len(tap.rows()) == 1, "neither another station's nor what came before"
        for _ in range(8):
            await asyncio.sleep(0.02)
            assert taps.look("CP001") is tap, "whoever looks keeps it"
        await asyncio.sleep(0.15)
        assert posted == [Watch("CP001", on=True), Watch("CP001", on=False)]
        assert taps.look("CP001") is None
        assert list(taps.open("CP001").rows()) == []

    asyncio.run(main())


def test_it_ends_after_its_time_however_often_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        taps, posted = _run(monkeypatch, watch_s=0.1)
        taps.open("CP001")
        for _ in range(20):
            taps.look("CP001")
            await asyncio.sleep(0.01)
        assert posted[-1] == Watch("CP001", on=False)

    asyncio.run(main())


def test_only_so_many_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        taps, posted = _run(monkeypatch)
        for number in range(TAPS_MAX):
            taps.open(f"CP{number}")
        with pytest.raises(RequestRefused, match="8 stations"):
            taps.open("CP9")
        assert len(posted) == TAPS_MAX
        await asyncio.sleep(0.15)
        taps.open("CP9")

    asyncio.run(main())
