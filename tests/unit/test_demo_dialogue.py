"""What the demo counts as delivered, and how a dialogue ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.demo.dialogue import Closing, play
from ocppress_gateway.demo.ends import End, EndLost
from ocppress_gateway.demo.replay import Script
from ocppress_gateway.demo.tally import Account
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN
CALL = '[2,"a", "Authorize",{"idTag":"1.00"}]'
ANSWER = '[3,"a",{"idTagInfo":{"status":"Accepted"}}]'
LATER = '[2,"b","Heartbeat",{}]'
LATER_ANSWER = '[3,"b",{}]'
RECORDS = [TraceRecord(0.0, UP, CALL), TraceRecord(1.0, DOWN, ANSWER), TraceRecord(9.0, UP, LATER), TraceRecord(10.0, DOWN, LATER_ANSWER)]


class _Wire(End):
    """An end whose texts arrive at the other, as `change` has them; None: never."""

    def __init__(self, change: Callable[[str], str | None]) -> None:
        self.sent = 0
        self.delivered = 0
        self.far: _Wire
        self._change = change
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, text: str) -> None:
        self.sent += 1
        if (changed := self._change(text)) is not None:
            self.far._waiting.put_nowait(changed)

    async def receive(self) -> str:
        text = await self._waiting.get()
        if text == "gone":
            raise EndLost("gone")
        return text


class _Played:
    """A dialogue between two ends; `up` and `down` are what becomes of texts on their way."""

    def __init__(self, up: Callable[[str], str | None], down: Callable[[str], str | None]) -> None:
        self.station, self.csms = _Wire(up), _Wire(down)
        self.station.far, self.csms.far = self.csms, self.station
        self.account = Account("test", OcppVersion.V16)
        self.sent: list[str] = []

    def run(self, speed: float, closing: Callable[[], Closing]) -> _Played:
        async def main() -> None:
            script = Script(RECORDS, OcppVersion.V16)
            await play(script, speed, station=self.station, csms=self.csms, account=self.account, closing=closing())

        asyncio.run(main())
        return self

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.station.sent, self.csms.sent, self.csms.delivered, self.station.delivered


def _renamed(text: str) -> str:
    """As a gateway passes texts on: another id, no white space."""
    return text.replace('"a"', '"x"').replace('"b"', '"y"').replace(" ", "")


def _named_back(text: str) -> str:
    assert '"x"' in text or '"y"' in text, "the answer has the id under which the CALL arrived"
    return text.replace('"x"', '"a"').replace('"y"', '"b"')


def _patient() -> Closing:
    return Closing(10.0)


def test_ids_and_white_space_make_no_difference() -> None:
    played = _Played(_renamed, _named_back).run(1e6, _patient)
    assert played.counts == (2, 2, 2, 2)
    assert played.account.trouble is None
    assert played.account.json_bytes == sum(len(record.text) for record in RECORDS)
    assert played.account.span_s == 10.0


def test_one_digit_less_is_not_delivered() -> None:
    played = _Played(lambda text: _renamed(text).replace("1.00", "1.0"), _named_back).run(1e6, _patient)
    assert played.counts == (2, 2, 1, 2)
    assert played.account.trouble is not None


def test_what_never_arrives_ends_it() -> None:
    played = _Played(_renamed, lambda text: None).run(1e6, lambda: Closing(0.01))
    assert played.counts == (1, 1, 1, 0)
    assert played.account.trouble == "a message didn't arrive in time"


def test_a_lost_connection_ends_it() -> None:
    played = _Played(lambda text: "gone", _named_back).run(1e6, _patient)
    assert played.counts == (1, 0, 0, 0)
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
    assert played.counts == (1, 1, 1, 1)
    assert played.account.trouble is None


def test_every_message_has_the_time_of_the_recording() -> None:
    played = _Played(_renamed, _named_back)
    played.account = account = _Timed("test", OcppVersion.V16)
    played.run(1e6, _patient)
    assert account.times_s == [0.0, 1.0, 9.0, 10.0]


class _Timed(Account):
    def __init__(self, name: str, version: OcppVersion) -> None:
        super().__init__(name, version)
        self.times_s: list[float] = []

    def text(self, direction: Direction, text: str) -> None:
        super().text(direction, text)
        self.times_s.append(self.now_s)
