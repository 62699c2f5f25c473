"""What the demo counts as delivered, and how a dialogue ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from ocppress_codecs.rpc import MessageType, OcppVersion, parse
from ocppress_gateway.demo.dialogue import Closing, play
from ocppress_gateway.demo.ends import End, EndLost
from ocppress_gateway.demo.replay import Script
from ocppress_gateway.demo.tally import Account
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN
CALL = '[2,"a", "Authorize",{"idTag":"1.00"}]'
ANSWER = '[3,"a",{"idTagInfo":{"status":"Accepted"}}]'
LATER = '[2,"b","StatusNotification",{"connectorId":1}]'
LATER_ANSWER = '[3,"b",{}]'
RECORDS = [TraceRecord(0.0, UP, CALL), TraceRecord(1.0, DOWN, ANSWER), TraceRecord(9.0, UP, LATER), TraceRecord(10.0, DOWN, LATER_ANSWER)]

COMMAND, COMMAND_ANSWER = '[2,"c","Reset",{"type":"Soft"}]', '[3,"c",{"status":"Accepted"}]'
METERS = [f'[2,"m{number}","MeterValues",{{"connectorId":1,"transactionId":7,"meterValue":[{number}]}}]' for number in range(3)]

INCARNATION = "0123456789abcdef"


class _Wire(End):
    """An end whose texts arrive at the other, as `change` has them; None: never."""

    def __init__(self, change: Callable[[str], str | None]) -> None:
        self.sent = 0
        self.far: _Wire
        self._change = change
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, text: str) -> None:
        self.sent += 1
        if (changed := self._change(text)) is not None:
            self.far.arrives(changed)

    def arrives(self, text: str) -> None:
        self._waiting.put_nowait(text)

    async def receive(self) -> str:
        text = await self._waiting.get()
        if text == "gone":
            raise EndLost("gone")
        return text


class _Played:
    """A dialogue between two ends; `up` and `down` are what becomes of texts on their way."""

    def __init__(self, up: Callable[[str], str | None], down: Callable[[str], str | None], records: list[TraceRecord] = RECORDS) -> None:
        self.station, self.csms = _Wire(up), _Wire(down)
        self.station.far, self.csms.far = self.csms, self.station
        self.account = Account("test", OcppVersion.V16)
        self.flush: Callable[[], None] = lambda: None
        self._records = records

    def run(self, speed: float, closing: Callable[[], Closing]) -> _Played:
        async def main() -> None:
            script = Script(self._records, OcppVersion.V16)
            await play(
                script,
                speed,
                station=self.station,
                csms=self.csms,
                account=self.account,
                closing=closing(),
                delay_s=lambda: 60.0,
                flush=lambda: self.flush(),
            )

        asyncio.run(main())
        return self

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.station.sent, self.csms.sent, self.account.accepted, self.account.delivered


def _renamed(text: str) -> str:
    """As a gateway passes texts on: another id, no white space."""
    return text.replace('"a"', '"x"').replace('"b"', '"y"').replace(" ", "")


def _named_back(text: str) -> str:
    assert '"x"' in text or '"y"' in text, "the answer has the id under which the CALL arrived"
    return text.replace('"x"', '"a"').replace('"y"', '"b"')


def _patient() -> Closing:
    return Closing(10.0)


def _hasty() -> Closing:
    return Closing(0.01)


def test_ids_and_white_space_make_no_difference() -> None:
    played = _Played(_renamed, _named_back).run(1e6, _patient)
    assert played.counts == (2, 2, 4, 4)
    assert played.account.trouble is None
    assert played.account.json_bytes == sum(len(record.text) for record in RECORDS)
    assert played.account.span_s == 10.0


@pytest.mark.parametrize("digits", ["1.0", "1.01"])
def test_another_digit_is_not_delivered(digits: str) -> None:
    played = _Played(lambda text: _renamed(text).replace("1.00", digits), _named_back).run(1e6, _hasty)
    assert played.counts == (1, 0, 1, 0)
    assert played.account.trouble == "a message arrived that is not the one that was sent"


def test_another_answer_is_not_delivered() -> None:
    played = _Played(_renamed, lambda text: _named_back(text).replace("Accepted", "Blocked")).run(1e6, _hasty)
    assert played.counts == (1, 1, 2, 1)
    assert played.account.trouble == "an answer arrived that is not the one that was sent"


def test_what_never_arrives_ends_it() -> None:
    played = _Played(_renamed, lambda text: None).run(1e6, _hasty)
    assert played.counts == (1, 1, 2, 1)
    assert played.account.trouble == "a message didn't arrive in time"


def test_a_lost_connection_ends_it() -> None:
    played = _Played(lambda text: "gone", _named_back).run(1e6, _patient)
    assert played.counts == (1, 0, 1, 0)
    assert played.account.trouble == "gone"


def test_after_stop_nothing_begins_but_answers_still_come() -> None:
    closing: list[Closing] = []

    def begin() -> Closing:
        closing.append(_patient())
        return closing[0]

    def up(text: str) -> str:
        closing[0].stop.set()
        return _renamed(text)

    # At this speed the second CALL would be due after a day: only `stop` can end it.
    played = _Played(up, _named_back).run(1e-4, begin)
    assert played.counts == (1, 1, 2, 2)
    assert played.account.trouble is None


def test_a_command_and_its_answer_cross_at_their_place() -> None:
    records = [TraceRecord(0.0, DOWN, COMMAND), TraceRecord(1.0, UP, COMMAND_ANSWER), *RECORDS]
    played = _Played(
        lambda text: _renamed(text).replace('"z"', '"c"'),
        lambda text: text.replace('"c"', '"z"') if '"c"' in text else _named_back(text),
        records,
    ).run(1e6, _patient)
    assert played.account.trouble is None
    assert played.counts == (3, 3, 6, 6)


# --- a gateway that answers early


class _EarlyEdge:
    """Answers MeterValues and Heartbeats itself; what it keeps reaches the CSMS in the end, and `change` says how: ids and texts."""

    def __init__(self, change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]] = lambda kept: kept, answer: str = "{}") -> None:
        self.kept: list[tuple[str, str]] = []
        self.played = _Played(self._up, lambda text: None if INCARNATION in text else text, self._records())
        self.played.flush = self._flush
        self._change = change
        self._answer = answer

    def _records(self) -> list[TraceRecord]:
        texts = [*METERS, '[2,"h","Heartbeat",{}]']
        answered = [(text, parse(text)[0]) for text in texts]
        return [
            record
            for place, (text, message_id) in enumerate(answered)
            for record in (
                TraceRecord(place, UP, text),
                TraceRecord(place + 0.5, DOWN, f'[3,"{message_id}",{{"currentTime":"2026-01-01T00:00:00Z"}}]'),
            )
        ]

    def _up(self, text: str) -> str | None:
        message_id, message = parse(text)
        if message.action == "Heartbeat":
            self.played.station.arrives(f'[3,"{message_id}",{{"currentTime":"2026-02-01T00:00:00.000Z"}}]')
            return None
        assert message.type is MessageType.CALL
        self.kept.append((f"{INCARNATION}o{len(self.kept) + 1}", text))
        self.played.station.arrives(f'[3,"{message_id}",{self._answer}]')
        return None

    def _flush(self) -> None:
        for message_id, text in self._change(self.kept):
            self.played.csms.arrives(json.dumps([2, message_id, *json.loads(text)[2:]]))

    def run(self) -> Account:
        self.played.run(1e6, _hasty)
        return self.played.account


def test_what_was_answered_early_arrives_in_the_end() -> None:
    edge = _EarlyEdge()
    account = edge.run()
    assert account.trouble is None
    assert (account.accepted, account.delivered, account.answered_early, account.heartbeats_at_edge) == (3, 3, 3, 1)
    assert edge.played.csms.sent == 3, "the CSMS answers what it gets"
    assert account.messages == 8, "at the station's socket every CALL has its answer"


def test_a_heartbeat_that_no_station_sent_is_the_cloud_s() -> None:
    account = _EarlyEdge(lambda kept: [("cloud-1", '[2,"","Heartbeat",{}]'), *kept]).run()
    assert account.trouble is None
    assert (account.delivered, account.heartbeats_of_cloud) == (3, 1)


@pytest.mark.parametrize(
    ("change", "delivered", "trouble"),
    [
        (lambda kept: kept[:2], 2, "a message didn't arrive in time"),
        (lambda kept: [kept[1], kept[0], kept[2]], 0, "a message arrived that is not the one that was sent"),
        (lambda kept: [kept[0], kept[0]], 1, "a message arrived twice"),
        (lambda kept: [kept[0], (kept[1][0], kept[0][1])], 1, "a message arrived that is not the one that was sent"),
    ],
    ids=["one is missing", "out of order", "twice", "twice under another id"],
)
def test_what_was_answered_early_must_arrive_in_order_and_once(
    change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]], delivered: int, trouble: str
) -> None:
    account = _EarlyEdge(change).run()
    assert (account.accepted, account.delivered) == (3, delivered)
    assert account.trouble == trouble


def test_an_early_answer_is_empty() -> None:
    account = _EarlyEdge(answer='{"status":"Accepted"}').run()
    assert account.trouble == "the edge answered early with more than an empty answer"


def test_a_csms_that_lags_far_behind_holds_the_station_up() -> None:
    edge = _EarlyEdge()
    waited: list[float] = []

    def near() -> float:
        waited.append(len(edge.kept))
        return -10.0  # as if all were late by then

    async def main() -> None:
        script = Script(edge._records(), OcppVersion.V16)
        played = edge.played
        await play(script, 1e6, station=played.station, csms=played.csms, account=played.account, closing=_hasty(), delay_s=near)

    asyncio.run(main())
    assert edge.played.account.trouble == "a message didn't arrive in time"
    assert waited[-1] == len(edge.kept) == 1, "the second one isn't said before the first has arrived"


# --- the recording's time


def test_every_message_has_the_time_of_the_recording() -> None:
    played = _Played(_renamed, _named_back)
    played.account = account = _Timed("test", OcppVersion.V16)
    played.run(1e6, _patient)
    assert account.times_s == [0.0, 1.0, 9.0, 10.0]


class _Timed(Account):
    def __init__(self, name: str, version: OcppVersion) -> None:
        super().__init__(name, version)
        self.times_s: list[float] = []

    def text(self, direction: Direction, text: str, at_s: float) -> None:
        super().text(direction, text, at_s)
        self.times_s.append(at_s)
