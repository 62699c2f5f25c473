"""A site in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocppress_gateway.errors import ConfigError
from ocppress_gateway.workloads.generator import generate
from ocppress_gateway.workloads.site import Site, read_site, workload_of
from ocppress_gateway.workloads.traces import infer_version


def site(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_a_site_names_is_what_its_station_says(tmp_path: Path) -> None:
    read = read_site(
        site(tmp_path, 'sessions_a_day = 3\nsession_min = 60\ninterval_s = 120\nheartbeat_s = 900\nmeasurands = ["Wh", "SoC"]\ncurrent = "ac"')
    )
    records = list(generate(workload_of(read), days=1, seed=1))
    calls = [json.loads(record.text) for record in records if record.text.startswith("[2,")]
    periodic = [call[3] for call in calls if call[2] == "TransactionEvent" and call[3]["triggerReason"] == "MeterValuePeriodic"]
    assert sum(call[2] == "Authorize" for call in calls) == 3
    assert sum(call[2] == "Heartbeat" for call in calls) == 95
    assert 3 * 26 <= len(periodic) <= 3 * 33
    for event in periodic:
        values = event["meterValue"][0]["sampledValue"]
        assert [value["measurand"] for value in values] == ["Energy.Active.Import.Register", "SoC"]
    assert infer_version(records) == "2.0.1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stations = 0", "stations"),
        ("station = 1", "station"),
        ("sessions_a_day = 30\nsession_min = 60", "don't fit into a day"),
        ('measurands = ["W", "kWh"]', "kWh"),
        ('ocpp = "1.6"', "1.6"),
        ("stations = ", "Invalid value"),
        ("#" * 70_000, "larger than 65536 bytes"),
    ],
)
def test_what_is_no_site_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_site(site(tmp_path, text))


def test_the_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_site(tmp_path / "none.toml")


@pytest.mark.parametrize("current", ["ac", "dc"])
@pytest.mark.parametrize("connectors", [1, 2])
def test_sessions_of_a_connector_come_one_after_the_other(current: str, connectors: int) -> None:
    described = Site(current=current, connectors=connectors, sessions_a_day=6, session_min=200)  # type: ignore[arg-type]
    open_on: set[int] = set()
    for record in generate(workload_of(described), days=2, seed=3):
        message = json.loads(record.text)
        if message[0] == 2 and message[2] == "TransactionEvent":
            connector = message[3]["evse"]["id"]
            if message[3]["eventType"] == "Started":
                assert connector not in open_on
                open_on.add(connector)
            elif message[3]["eventType"] == "Ended":
                open_on.remove(connector)
