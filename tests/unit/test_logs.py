"""Logs of other programs: lines as these programs write them, read back as what was said."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from ocpp.v16 import ChargePoint

from ocppress_gateway.errors import UsageError
from ocppress_gateway.workloads.logs.reading import Log, open_log
from ocppress_gateway.workloads.logs.shapes import moment
from ocppress_gateway.workloads.traces import Direction, TraceRecord, trace_line

BOOT = '[2,"1","BootNotification",{"chargePointVendor":"Ümlaut","chargePointModel":"A:B [1]"}]'
ANSWER = '[3,"1",{"status":"Accepted","currentTime":"2024-01-01T12:00:01Z","interval":230.10}]'
TRIGGER = '[2, "t1", "TriggerMessage", {"requestedMessage": "Heartbeat"}]'
TRIGGERED = '[3,"t1",{"status":"Accepted"}]'
NOON = 1_704_110_400.0

UP, DOWN = Direction.UP, Direction.DOWN
SAID = [(UP, BOOT), (DOWN, ANSWER), (DOWN, TRIGGER), (UP, TRIGGERED)]


def line(**members: object) -> str:
    return json.dumps(members)


STEVE = "d.r.i.s.o.w.WebSocketLogger (qtp1311135309-19299) - [chargeBoxId=CP_1, sessionId=d7264f05-8702]"
SHAPES: dict[str, tuple[str, list[str]]] = {
    "home assistant": (
        "Home Assistant",
        [
            f"2024-01-01 12:00:00.000 DEBUG (MainThread) [ocpp] CP_1: receive message {BOOT}",
            f"2024-01-01 12:00:01.500 INFO (MainThread) [ocpp] CP_1: send {ANSWER}",
            "2024-01-01 12:00:01.600 WARNING (MainThread) [homeassistant.loader] You are using a custom integration ocpp",
            f"2024-01-01 12:00:02.000 INFO (MainThread) [custom_components.ocpp] CP_1: send message {TRIGGER}",
            f"2024-01-01 12:00:03.000 INFO (MainThread) [ocpp] CP_1: receive message {TRIGGERED}",
        ],
    ),
    "steve": (
        "SteVe",
        [
            f"[INFO ] 2024-01-01 12:00:00,000 {STEVE} Received: {BOOT}",
            f"[INFO ] 2024-01-01 12:00:01,500 {STEVE} Sending: {ANSWER}",
            f"[DEBUG] 2024-01-01 12:00:01,600 {STEVE} Sending ping message",
            f"[INFO ] 2024-01-01 12:00:02,000 {STEVE} Sending: {TRIGGER}",
            f"[INFO ] 2024-01-01 12:00:03,000 {STEVE} Received: {TRIGGERED}",
        ],
    ),
    "evcc": (
        "evcc",
        [
            "[main  ] INFO 2024/01/01 11:59:59 evcc 0.128.2",
            f"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_1: {BOOT}",
            f"evcc  | [ocpp  ] TRACE 2024/01/01 12:00:01 send CP_1: {ANSWER}",
            f"[ocpp  ] TRACE 2024/01/01 12:00:02 sent CP_1: {TRIGGER}",
            f"Jan 01 12:00:03 pvm evcc[25224]: [ocpp  ] TRACE 2024/01/01 12:00:03 received JSON message from CP_1: {TRIGGERED}",
        ],
    ),
    "ocpp library of a CSMS": (
        "ocpp library",
        [
            f"2024-01-01 12:00:00,000 - ocpp - INFO - CP_1: receive message {BOOT}",
            f"2024-01-01 12:00:01,500 - ocpp - INFO - CP_1: send {ANSWER}",
            f"2024-01-01 12:00:02,000 - ocpp - INFO - CP_1: send {TRIGGER}",
            f"2024-01-01 12:00:03,000 - ocpp - INFO - CP_1: receive message {TRIGGERED}",
        ],
    ),
    "ocpp library of a station": (
        "ocpp library",
        [
            f"2024-01-01 12:00:00,000 INFO:ocpp:CP_1: send {BOOT}",
            f"2024-01-01 12:00:01,500 INFO:ocpp:CP_1: receive message {ANSWER}",
            f"2024-01-01 12:00:02,000 INFO:ocpp:CP_1: receive message {TRIGGER}",
            f"2024-01-01 12:00:03,000 INFO:ocpp:CP_1: send {TRIGGERED}",
        ],
    ),
    "JSON lines with words": (
        "JSON lines",
        [
            line(time="2024-01-01T12:00:00Z", cp="CP_1", direction="IN", message=BOOT),
            line(time="2024-01-01T13:00:01.500+01:00", cp="CP_1", direction="out", message=ANSWER),
            line(time="2024-01-01T12:00:02Z", cp="CP_1", direction="out", level="info", msg=TRIGGER),
            line(time="2024-01-01T12:00:03Z", cp="CP_1", direction="in", payload=TRIGGERED),
        ],
    ),
    "JSON lines without directions": (
        "JSON lines",
        [line(ts=int((NOON + at_s) * 1000), charger="CP_1", data=text) for at_s, (_, text) in zip((0, 1.5, 2, 3), SAID, strict=True)],
    ),
    "CitrineOS's messages": (
        "JSON lines",
        [
            f'{{"stationId":"CP_1","event":"message","origin":"cs","message":{BOOT},"info":{{"timestamp":"2024-01-01T12:00:00.000Z"}}}}',
            f'{{"stationId":"CP_1","origin":"csms","message":{ANSWER},"timestamp":"2024-01-01T12:00:01.500Z"}}',
            f'{{"stationId":"CP_1","origin":"csms","message":{TRIGGER},"timestamp":"2024-01-01T12:00:02.000Z"}}',
            f'{{"stationId":"CP_1","origin":"cs","message":{TRIGGERED},"timestamp":"2024-01-01T12:00:03.000Z"}}',
        ],
    ),
    "a container's lines": (
        "JSON lines",
        [
            line(log=f"INFO:ocpp:CP_1: {way} {text}\n", stream="stderr", time=f"2024-01-01T12:00:0{at_s}Z")
            for at_s, way, (_, text) in zip((0, 1.5, 2, 3), ("receive message", "send", "send", "receive message"), SAID, strict=True)
        ],
    ),
}


@pytest.fixture
def log(tmp_path: Path) -> Callable[[str], Log]:
    def opened(text: str) -> Log:
        file = tmp_path / "some.log"
        file.write_text(text, encoding="utf-8")
        return open_log(file)

    return opened


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_gives_what_was_said(name: str, log: Callable[[str], Log]) -> None:
    shape, lines = SHAPES[name]
    read = log("\n".join(lines) + "\n")
    assert (read.shape, read.stations, read.unreadable) == (shape, ("CP_1",), 0)
    records = list(read.records("CP_1"))
    assert [(record.direction, record.text) for record in records] == SAID
    times = [record.ts for record in records]
    assert times == pytest.approx([NOON, NOON + (1 if name == "evcc" else 1.5), NOON + 2, NOON + 3])


@pytest.mark.parametrize("name", SHAPES)
def test_a_packed_log_is_the_same(name: str, tmp_path: Path, log: Callable[[str], Log]) -> None:
    text = "\r\n".join(SHAPES[name][1])
    packed = tmp_path / "some.log.gz"
    packed.write_bytes(gzip.compress(text.encode(), mtime=0))
    assert list(open_log(packed).records("CP_1")) == list(log(text).records("CP_1"))


def test_the_ocpp_library_s_own_log_is_read(tmp_path: Path) -> None:
    # What the library of this machine writes, whatever its version.
    file = tmp_path / "ocpp.log"
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s:%(name)s:%(message)s"))
    logger = logging.getLogger("ocpp.test_logs")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    class Connection:
        def __init__(self) -> None:
            self.texts = iter([BOOT])
            self.sent: list[str] = []

        async def recv(self) -> str:
            return next(self.texts)

        async def send(self, text: str) -> None:
            self.sent.append(text)

    connection = Connection()
    with suppress(StopIteration, RuntimeError):
        asyncio.run(ChargePoint("CP_1", connection, logger=logger).start())
    handler.close()
    logger.removeHandler(handler)
    read = open_log(file)
    assert (read.shape, read.stations) == ("ocpp library", ("CP_1",))
    assert [(record.direction, record.text) for record in read.records("CP_1")] == [(UP, BOOT), (DOWN, connection.sent[0])]


def test_a_message_over_several_lines_is_kept_as_it_is(log: Callable[[str], Log]) -> None:
    text = '[2,"317097467","Heartbeat",\n{\n\n"timestamp": "2021-03-17T19:24:54Z"\n}]'
    prefix = "2021-03-17 20:24:56 INFO (MainThread) [ocpp] WallboxPulsar: "
    read = log(f'{prefix}receive message {text}\n{prefix}send [3,"317097467",{{}}]\n')
    assert [record.text for record in read.records("WallboxPulsar")] == [text, '[3,"317097467",{}]']


def test_stations_are_told_apart_and_what_cannot_be_read_is_counted(log: Callable[[str], Log]) -> None:
    read = log(
        f"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_1: {BOOT}\n"
        f"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_2: {BOOT}\n"
        '[ocpp  ] TRACE 2024/01/01 12:00:01 recv CP_2: [2,"9","DataTransfer",{"vendorId":"EV>\n'
        f"[ocpp  ] TRACE 2024/01/01 12:00:02 send CP_2: {ANSWER}\n"
        "[site  ] DEBUG 2024/01/01 12:00:03 site power: 5357W\n"
    )
    assert (read.stations, read.unreadable, read.other_lines) == (("CP_1", "CP_2"), 1, 1)
    assert len(list(read.records("CP_1"))) == 1
    assert len(list(read.records("CP_2"))) == 2


def test_a_log_without_times_has_those_that_its_messages_name(log: Callable[[str], Log]) -> None:
    read = log(f"INFO:ocpp:CP_1: receive message {BOOT}\nINFO:ocpp:CP_1: send {ANSWER}\n")
    assert [record.ts for record in read.records("CP_1")] == [None, NOON + 1]


def test_our_own_traces_are_read_packed_too(tmp_path: Path) -> None:
    records = [TraceRecord(NOON, UP, BOOT), TraceRecord(None, DOWN, "not OCPP-J")]
    packed = tmp_path / "some.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(map(trace_line, records)).encode(), mtime=0))
    read = open_log(packed)
    assert list(read.records(read.stations[0])) == records


def test_what_is_no_log_is_refused_with_its_first_line_but_no_secrets(log: Callable[[str], Log]) -> None:
    with pytest.raises(UsageError) as refused:
        log('\nGET /CP_1 AuthorizationKey="abcdefgh" idTag=04AABBCC \x1b[31m' + "x" * 500 + "\nnothing\n")
    words = str(refused.value)
    assert "no OCPP-J found" in words
    assert "SteVe" in words
    assert "JSON lines" in words
    assert "GET /CP_1" in words
    assert not any(secret in words for secret in ("abcdefgh", "04AABBCC", "\x1b", "x" * 200))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"x" * 5000, mtime=0)[:30], "damaged gzip"),
        (b"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_1: [2,\n", "none of its 1 messages"),
        (b"{" * 100_000, "no OCPP-J found"),
        (b'{"message":' + b"[" * 100_000 + b"\n", "no OCPP-J found"),
        (bytes(range(256)) * 100, "no OCPP-J found"),
    ],
)
def test_hostile_files_end_with_a_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        open_log(file)


def test_there_may_not_be_too_many_stations(log: Callable[[str], Log]) -> None:
    with pytest.raises(UsageError, match="more than 1000 stations"):
        log("".join(f"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_{number}: {BOOT}\n" for number in range(1001)))


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    good = f"[ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_1: {BOOT}\n"
    file.write_text(good + "x" * (9 * 1024 * 1024) + good + good, encoding="utf-8")
    assert len(list(open_log(file).records("CP_1"))) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01 12:00:00.250 x", NOON + 0.25),
        ("2024/01/01 12:00:00", NOON),
        ("2023-01-01 00:00:00\t2024-01-01 12:00:00,5", NOON + 0.5),
        ("2024-01-01T14:00:00.123456789+0200", NOON + 0.123456789),
        ("2024-13-01 12:00:00", None),
        ("noon", None),
    ],
)
def test_times_of_every_spelling(text: str, expected: float | None) -> None:
    assert moment(text) == (None if expected is None else pytest.approx(expected))
