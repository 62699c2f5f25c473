"""`ocppress edge --observe` between real programs: nothing is changed, what passed is recorded, and what has a secret in it isn't."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from websockets.exceptions import InvalidStatus

from ocppress_gateway.config import CsmsConfig
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.baseline import Baseline
from ocppress_gateway.observe.program import ObservingProgram
from ocppress_gateway.observe.reckoning import reckoned
from ocppress_gateway.observe.recorder import FOLDER, STATION_BYTES_MAX, Recorder
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceRecord, read_trace, trace_line
from tests.support.commands import run
from tests.support.processes import Process, free_port, until
from tests.support.raw_peers import RawCsms, RawStation

PASSWORD = "a-planted-password"
KEY = "0123456789ABCDEF0123456789ABCDEF"
ODD = '[2,"ütf-\\u00e9","DataTransfer",{"vendorId":"v","data":"230.10","data":2e+01 ,\n"x":-0}]'
CALLS = [
    '[2,"1","BootNotification",{"chargePointVendor":"v","chargePointModel":"m"}]',
    ODD,
    '[2,"2","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T08:00:00Z","sampledValue":[{"value":"230.10"}]}]}]',
]
SECRET = f'[2,"k","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{KEY}"}}]'
ANSWER = '[3,"k",{"status":"Accepted"}]'


def _answers(text: str) -> Sequence[str]:
    message = json.loads(text)
    return [f'[3,{json.dumps(message[1])},{{"currentTime":"2026-03-01T08:00:00.10Z"}}]'] if message[0] == 2 else []


def _configuration(folder: Path, port: int) -> Path:
    file = folder / "edge.toml"
    file.write_text(f'[stations]\nhost = "127.0.0.1"\nport = {port}\n[link]\nurl = "ws://127.0.0.1:1/"\nedge = "none"\n', encoding="utf-8")
    return file


def test_texts_pass_unchanged_and_are_recorded(tmp_path: Path) -> None:
    heard: list[str] = []

    async def main() -> list[str]:
        port = await free_port()
        async with RawCsms(handler=_answers) as csms:
            arguments = ("edge", "--config", _configuration(tmp_path, port), "--observe", "--csms-url", csms.url)
            async with Process.running(*arguments) as edge:
                await edge.said("only observing")
                basic = "Basic " + base64.b64encode(f"CS-1:{PASSWORD}".encode()).decode()
                async with RawStation(f"ws://127.0.0.1:{port}/any/CS-1", subprotocols=["ocpp1.6"], authorization=basic) as station:
                    for call in CALLS:
                        await station.send(call)
                        heard.append(await station.receive())
                    await csms.send("CS-1", SECRET)
                    assert await station.receive() == SECRET
                    await station.send(ANSWER)
                    assert await csms.received("CS-1", len(CALLS) + 1) == [*CALLS, ANSWER]
                    assert csms.authorizations["CS-1"] == [basic]
                    await edge.end(signal.SIGTERM)
                    assert await station.closed() == 1001
            return edge.lines

    lines = asyncio.run(main())
    assert any("observed messages=6 next=" in line and "estimate" in line for line in lines)
    (file,) = (tmp_path / "state" / FOLDER).iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    records = list(read_trace(file))
    assert [record.text for record in records if record.direction is Direction.UP] == CALLS
    assert [record.text for record in records if record.direction is Direction.DOWN] == heard
    assert [secret for secret in (PASSWORD, KEY) if secret in file.read_text() + "\n".join(lines)] == []


async def _status(port: int) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with RawStation(f"ws://127.0.0.1:{port}/CS-1", subprotocols=["ocpp1.6"]):
            pass
    return refused.value.response.status_code


def test_what_the_csms_refuses_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        port = await free_port()
        async with RawCsms(admit=lambda identity, authorization, subprotocols: 401) as csms:
            arguments = ("edge", "--config", _configuration(tmp_path, port), "--observe", "--csms-url", csms.url)
            async with Process.running(*arguments) as edge:
                await edge.said("only observing")
                assert await _status(port) == 401
                await csms.crash()
                assert await _status(port) == 502

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--observe"], "--observe and --csms-url go together"),
        (["--csms-url", "ws://localhost/{identity}"], "--observe and --csms-url go together"),
        (["--observe", "--csms-url", "ws://localhost/"], "must contain `{identity}` exactly once"),
        (["--observe", "--csms-url", "http://localhost/{identity}"], "--csms-url"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = run("edge", "--config", _configuration(tmp_path, 1), *arguments, exit_code=2)
    assert words in done.stderr


ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n'


def test_a_check_looks_at_where_stations_go(tmp_path: Path) -> None:
    file = _configuration(tmp_path, 1)
    observing = ("edge", "--config", file, "--check", "--observe", "--csms-url")
    done = run(*observing, "wss://csms/{identity}")
    assert json.loads(done.stdout)["stations"]["port"] == 1
    assert done.stderr.splitlines() == [f"{file}: stations go to wss://csms/{{identity}}", f"{file}: OK"]
    for wrong, words in (
        ("wss://csms/", "must contain `{identity}` exactly once"),
        ("wss://u:pw@csms/{identity}", "must not contain a user"),
    ):
        assert words in run(*observing, wrong, exit_code=2).stderr
    file.write_text(file.read_text() + ADMIN, encoding="utf-8")
    assert "the table `admin` has no effect" in run(*observing, "wss://csms/{identity}").stderr


def test_a_table_that_has_no_effect_is_warned_of(tmp_path: Path) -> None:
    async def main() -> None:
        file = _configuration(tmp_path, await free_port())
        file.write_text(file.read_text() + ADMIN, encoding="utf-8")
        async with Process.running("edge", "--config", file, "--observe", "--csms-url", "ws://127.0.0.1:9/{identity}") as edge:
            assert "WARNING" in await edge.said("the table `admin` has no effect")
            await edge.said("only observing")

    asyncio.run(main())


def test_a_month_is_reckoned_from_what_was_observed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    records = list(generate(WORKLOADS["home"], days=1, seed=1))[:150]
    for record in records:
        assert record.ts is not None
        recorder.add("CP-1", record.direction, record.text, record.ts)
    recorder.flush()
    found = asyncio.run(reckoned(recorder.files[0]))
    assert not isinstance(found, str), found
    assert set(found) == {"days", *Baseline, *PlanName}
    assert found["plain"] > found["permessage-deflate"] > found["live"] > found["saver"] > 0
    assert found["days"] == pytest.approx(((records[-1].ts or 0) - (records[0].ts or 0)) / 86_400, abs=0.01)


def test_the_log_says_what_a_month_would_cost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(tmp_path)
    for record in list(generate(WORKLOADS["home"], days=1, seed=1))[:100]:
        assert record.ts is not None
        recorder.add("CP-1", record.direction, record.text, record.ts)
    recorder.flush()
    words = "a month as observed so far, in MB"

    async def main() -> None:
        csms = CsmsConfig(url="ws://localhost/{identity}")
        async with ObservingProgram(host="127.0.0.1", port=0, ssl_context=None, csms=csms, recorder=recorder, reckon_first_s=0.0):
            await until(lambda: words in caplog.messages)

    caplog.set_level("INFO")
    asyncio.run(main())
    (said,) = (record for record in caplog.records if record.message == words)
    assert said.__dict__["fields"].keys() == {"station", "days", *Baseline, *PlanName}


def test_too_little_is_said_to_be(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add("CP-1", Direction.UP, CALLS[0], 1.8e9)
    recorder.flush()
    found = asyncio.run(reckoned(recorder.files[0]))
    assert isinstance(found, str)
    assert "an estimate needs 600 s" in found


def test_a_recorder_has_a_limit(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    line = trace_line(TraceRecord(1.8e9, Direction.UP, CALLS[2])).encode()
    with (folder / "CP-1.jsonl").open("wb") as file:
        file.truncate(STATION_BYTES_MAX - len(line))
    recorder = Recorder(tmp_path)
    for _ in range(2):
        recorder.add("CP-1", Direction.UP, CALLS[2], 1.8e9)
    recorder.flush()
    assert (recorder.recorded, recorder.lost) == (1, 1)
    assert (folder / "CP-1.jsonl").stat().st_size == STATION_BYTES_MAX


def test_whatever_stations_say_is_recorded_as_it_was(tmp_path: Path) -> None:
    random = Random(1)
    expected = []
    recorder = Recorder(tmp_path)
    for name in recordings.names():
        for record in recordings.load(name)[:50]:
            recorder.add("CP-1", record.direction, record.text, 1.8e9)
            expected.append((record.direction, record.text))
            if random.random() < 0.1:
                recorder.flush()
    recorder.flush()
    assert [(record.direction, record.text) for record in read_trace(recorder.files[0])] == expected
