from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.cloud.program import cloud_settings
from ocppress_gateway.config import cloud_from, edge_from, effective_json, load_cloud, load_edge
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.suppression import SuppressionSettings
from ocppress_gateway.core.transfer_rules import NO_RULES, TransferRules, Window
from ocppress_gateway.edge.program import edge_settings, outbox_limits
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.outbox.base import OutboxLimits

EDGE: Mapping[str, Any] = {"link": {"url": "ws://localhost:8886/", "edge": "dev"}}
CLOUD: Mapping[str, Any] = {"csms": {"url": "ws://localhost/ocpp/{identity}"}}


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "csms.pem").touch()
    for name in ("csms.pem", str(tmp_path / "csms.pem")):
        config = cloud_from({"csms": {"url": "wss://localhost/{identity}", "ca_file": name}}, tmp_path / "cloud.toml")
        assert config.csms.ca_file == tmp_path / "csms.pem"


def test_a_sim_in_bytes_and_its_zone(tmp_path: Path) -> None:
    sim = {"budget_mb": 0.3, "time_zone": "Africa/Nairobi", "first_day": 31, "interface": "wwan0.7", "rounding_bytes": 1024}
    config = edge_from({**EDGE, "sim": sim}, tmp_path / "edge.toml")
    assert config.sim.budget_bytes == 300_000
    assert config.sim.zone == ZoneInfo("Africa/Nairobi")
    assert edge_from(EDGE, tmp_path / "edge.toml").sim.zone is UTC


def test_reads_toml(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[link]\nurl = "ws://h/"\nedge = "e"\ncodec = "verbatim"\n[timeouts]\nshutdown_s = 3\n')
    config = load_edge(file)
    assert config.link.codec is CodecName.VERBATIM
    assert config.timeouts.shutdown_s == 3.0


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"prot": 1}, "", "unknown field `prot`"),
        ({"stations": {"prot": 1}}, "$.stations", "unknown field `prot`"),
        ({"plan": "fast"}, "$.plan", "Invalid enum value 'fast'"),
        ({"sim": {"interface": "../wwan0"}}, "$.sim.interface", "matching regex"),
        ({"sim": {"interface": "sixteen-letters-"}}, "$.sim.interface", "matching regex"),
        ({"sim": {"budget_mb": 0}}, "$.sim.budget_mb", "> 0"),
        ({"sim": {"first_day": 32}}, "$.sim.first_day", "<= 31"),
        ({"sim": {"rounding_bytes": -1}}, "$.sim.rounding_bytes", ">= 0"),
        ({"sim": {"time_zone": "Europe/Atlantis"}}, "$.sim", "isn't known on this machine"),
        ({"sim": {"time_zone": "Europe"}}, "$.sim", "isn't known on this machine"),
        ({"sim": {"time_zone": "/etc/passwd"}}, "$.sim", "isn't known on this machine"),
        ({"state_dir": "state"}, "", "unknown field `state_dir`"),
        ({"stations": {"tls": {"certificate_file": "", "key_file": "x"}}}, "$.stations.tls.certificate_file", "name of a file"),
        ({"stations": {"tls": {"certificate_file": 1, "key_file": "x"}}}, "$.stations.tls.certificate_file", "name of a file"),
        ({"stations": {"port": 65536}}, "$.stations.port", "<= 65535"),
        ({"stations": {"tls": {"certificate_file": "no", "key_file": "no"}}}, "$.stations.tls.certificate_file", "No such file"),
        ({"link": {"url": "ws://h/"}}, "$.link", "needs `edge`"),
        ({"link": {"url": "wss://h/"}}, "$.link", "needs the table `tls`"),
        (
            {"link": {"url": "wss://h/", "edge": "e", "tls": dict.fromkeys(["ca_file", "certificate_file", "key_file"], "x")}},
            "$.link",
            "names",
        ),
        (
            {"link": {"url": "ws://h/", "edge": "e", "tls": dict.fromkeys(["ca_file", "certificate_file", "key_file"], "x")}},
            "$.link",
            "`tls` is",
        ),
        ({"link": {"url": "http://h/", "edge": "e"}}, "$.link", "must be `ws://"),
        ({"link": {"url": "ws://", "edge": "e"}}, "$.link", "must be `ws://"),
        ({"link": {"url": "ws://h :1/", "edge": "e"}}, "$.link", "must be `ws://"),
        ({"link": {"url": "ws://h:70000/", "edge": "e"}}, "$.link", "not a URL"),
        ({"link": {"url": "ws://user:secret@h/", "edge": "e"}}, "$.link", "password"),
        ({"link": {"url": "ws://h/?a", "edge": "e"}}, "$.link", "must not contain `?`"),
        ({"link": {"url": "mqtt://h/"}}, "$.link", "needs `edge`"),
        ({"link": {"url": "mqtts://h/", "edge": "e"}}, "$.link", "needs the table `tls`"),
        ({"link": {"url": "mqtt://h/", "edge": "cloud"}}, "$.link", "can't be `cloud`"),
        ({"link": {"url": "mqtt://h/a+b/", "edge": "e"}}, "$.link", "what all topics begin with"),
        ({"link": {"url": "mqtt://h//a", "edge": "e"}}, "$.link", "what all topics begin with"),
        ({"link": {"url": f"mqtt://h/{'a' * 65}", "edge": "e"}}, "$.link", "what all topics begin with"),
        ({"link": {"url": "ws://h/", "edge": "../e"}}, "$.link.edge", "matching regex"),
        ({"link": {"url": "ws://h/", "edge": "e\n"}}, "$.link.edge", "matching regex"),
        ({"link": {"url": "ws://h/", "edge": "e", "codec": "gzip"}}, "$.link.codec", "Invalid enum value"),
        ({"timeouts": {"shutdown_s": float("nan")}}, "$.timeouts.shutdown_s", "Expected `float`"),
        ({"timeouts": {"shutdown_s": float("inf")}}, "$.timeouts.shutdown_s", "Expected `float`"),
        ({"timeouts": {"shutdown_s": 0}}, "$.timeouts.shutdown_s", "Expected `float`"),
        ({"timeouts": {"station_timeout_s": 4.9}}, "$.timeouts.station_timeout_s", ">= 5.0"),
        ({"timeouts": {"reconnect_min_s": 61}}, "$.timeouts", "`reconnect_min_s` is more"),
        ({"outbox": {"size_mib": 0}}, "$.outbox.size_mib", ">= 1"),
        ({"outbox": {"size_mib": 2000}}, "$.outbox.size_mib", "<= 1024"),
        ({"outbox": {"size_mib": "64"}}, "$.outbox.size_mib", "Expected `int`"),
        ({"outbox": {"age_days": 0}}, "$.outbox.age_days", "> 0"),
        ({"outbox": {"age_days": float("nan")}}, "$.outbox.age_days", "Expected `float`"),
        ({"outbox": {"age_days": 366}}, "$.outbox.age_days", "<= 365"),
        ({"outbox": {"bytes_max": 1}}, "$.outbox", "unknown field `bytes_max`"),
        ({"suppression": {"silence_s": -1}}, "$.suppression.silence_s", ">= 0"),
        ({"suppression": {"silence_s": 86401}}, "$.suppression.silence_s", "<= 86400"),
        ({"suppression": {"silence_s": 900, "bands": {"Voltage": -1}}}, "$.suppression.bands[...]", ">= 0"),
        ({"suppression": {"silence_s": 900, "bands": {"Voltage": float("inf")}}}, "$.suppression.bands[...]", "<= 1000000000"),
        ({"suppression": {"silence_s": 900, "bands": {"Voltage": float("nan")}}}, "$.suppression.bands[...]", "Expected `float`"),
        ({"suppression": {"silence_s": 900, "bands": {"Current": {"Import": 1}}}}, "$.suppression", 'in quotes: "Current.Import"'),
        ({"suppression": {"silence_s": 900, "bands": {"Voltag": 1}}}, "$.suppression", "no measurand of OCPP; is it 'Voltage'?"),
        ({"suppression": {"silence_s": 900, "bands": {"x": 1}}}, "$.suppression", "'x', which is no measurand of OCPP"),
        ({"suppression": {"bands": {"Voltage": 1}}}, "$.suppression", "of no use without `silence_s`"),
    ],
)
def test_refuses_an_edge(change: dict[str, Any], place: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        edge_from({**EDGE, **change}, tmp_path / "edge.toml")
    assert caught.value.place == place
    assert reason in caught.value.reason
    assert caught.value.file == tmp_path / "edge.toml"


def _edges(*entries: tuple[str, list[str]]) -> dict[str, Any]:
    return {"edges": [{"name": name, "stations": stations} for name, stations in entries]}


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"csms": {}}, "$.csms", "missing required field `url`"),
        ({"csms": {"url": "ws://h/"}}, "$.csms", "exactly once"),
        ({"csms": {"url": "ws://h/{identity}/{identity}"}}, "$.csms", "exactly once"),
        ({"csms": {"url": "ws://h/{identity}/{version}"}}, "$.csms", "no other braces"),
        ({"csms": {"url": "ws://{identity}/ocpp"}}, "$.csms", "belongs in the path"),
        ({"csms": {"url": "ws://h/{identity}", "ca_file": "ca.pem"}}, "$.csms", "is for a `wss://` CSMS"),
        ({"csms": {"url": "wss://h/{identity}", "key_file": "a.key"}}, "$.csms", "go together"),
        ({"csms": {"url": "ws://h/{identity}", "key_file": "a.key", "certificate_file": "a.pem"}}, "$.csms", "is for a `wss://` CSMS"),
        ({"transfers": {"window": "1-5"}}, "$.transfers.window", "matching regex"),
        ({"transfers": {"window": "01:00-24:00"}}, "$.transfers.window", "matching regex"),
        ({"transfers": {"window": "01:00-01:00"}}, "$.transfers", "has no length"),
        ({"transfers": {"time_zone": "Europe/Atlantis"}}, "$.transfers", "isn't known on this machine"),
        ({"transfers": {"mb_max": -1}}, "$.transfers.mb_max", ">= 0"),
        ({"transfers": {"hosts": ["http://h/"]}}, "$.transfers.hosts[0]", "matching regex"),
        (_edges(("a", [])), "$.edges[0].stations", "length >= 1"),
        (_edges(("a", ["CP 1"])), "$.edges[0].stations[0]", "matching regex"),
        (_edges(("a", ["C" * 49])), "$.edges[0].stations[0]", "matching regex"),
        (_edges(("a", ["*", "CP1"])), "$.edges[0]", "either"),
        (_edges(("a", ["CP1"]), ("a", ["CP2"])), "", "edge 'a' stands in `edges` 2 times"),
        (_edges(("a", ["CP1"]), ("b", ["CP1"])), "", "station 'CP1' stands in `edges` 2 times"),
    ],
)
def test_refuses_a_cloud(change: dict[str, Any], place: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        cloud_from({**CLOUD, **change}, tmp_path / "cloud.toml")
    assert caught.value.place == place
    assert reason in caught.value.reason


def test_takes_every_character_of_an_identity(tmp_path: Path) -> None:
    identity = "aZ09*+=:|@._-"
    config = cloud_from({**CLOUD, **_edges(("a", [identity]), ("b", ["*"]), ("c", ["*"]))}, tmp_path / "cloud.toml")
    assert config.edges[0].stations == (identity,)


def test_what_is_dropped_and_what_may_wait_is_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    begin = '[link]\nurl = "ws://h/"\nedge = "e"\n'
    file.write_text(begin)
    assert edge_settings(load_edge(file)).suppression is None
    assert outbox_limits(load_edge(file)) == OutboxLimits()
    file.write_text(
        begin
        + '[suppression]\nsilence_s = 900\n[suppression.bands]\nVoltage = 2\n"Current.Import" = 0.1\n[outbox]\nsize_mib = 2\nage_days = 0.5\n'
    )
    config = load_edge(file)
    assert edge_settings(config).suppression == SuppressionSettings(900.0, {"Voltage": 2.0, "Current.Import": 0.1})
    limits = outbox_limits(config)
    assert (limits.bytes_max, limits.age_s_max, limits.commit_pause_s) == (2_097_152, 43_200.0, OutboxLimits().commit_pause_s)


def test_a_cloud_stops_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text('[csms]\nurl = "ws://h/{identity}"\n')
    assert not cloud_settings(load_cloud(file)).stops_late_rejected
    assert cloud_settings(load_cloud(file)).relayed_bytes > 0
    file.write_text('stop_late_rejected = true\n[csms]\nurl = "ws://h/{identity}"\n')
    assert cloud_settings(load_cloud(file)).stops_late_rejected


@pytest.mark.parametrize(
    ("data", "place", "reason"),
    [
        (b"a = ", "", "not TOML: Invalid value (at end of document)"),
        (b"a = 1\n\xff", "byte 6", "not UTF-8"),
        (b"#" * (1024 * 1024 + 1), "", "larger than 1048576 bytes"),
    ],
)
def test_refuses_what_is_not_toml(data: bytes, place: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_cloud(file)
    assert (caught.value.place, caught.value.reason) == (place, reason)


def test_transfers_are_let_through_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    def rules(**keys: Any) -> TransferRules:
        return cloud_from({**CLOUD, "transfers": keys}, tmp_path / "cloud.toml").transfers.rules

    assert rules() == NO_RULES
    window = Window(time(22, 30), time(4), ZoneInfo("Europe/Berlin"))
    assert rules(window="22:30-04:00", time_zone="Europe/Berlin") == TransferRules(window)
    assert rules(mb_max=2.5, budget_percent_max=80) == TransferRules(None, 2_500_000, 80)
    assert rules(mb_max=0) == TransferRules(None, 0)


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_edge(tmp_path / "edge.toml")


def test_effective_configuration_can_be_read_again(tmp_path: Path) -> None:
    config = edge_from(EDGE, tmp_path / "edge.toml")
    shown = json.loads(effective_json(config))
    assert shown["timeouts"]["station_timeout_s"] == config.timeouts.station_timeout_s
    without_nulls = {name: _without_nulls(value) for name, value in shown.items()}
    assert edge_from(without_nulls, Path("/elsewhere/edge.toml")) == config


def test_is_frozen(tmp_path: Path) -> None:
    config = edge_from(EDGE, tmp_path / "edge.toml")
    with pytest.raises(AttributeError):
        msgspec.structs.replace(config).plan = PlanName.LIVE  # type: ignore[misc]  # what is tested


def _without_nulls(value: Any) -> Any:
    return {name: inner for name, inner in value.items() if inner is not None} if isinstance(value, dict) else value
