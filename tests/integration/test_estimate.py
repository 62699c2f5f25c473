"""`ocppress estimate` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocppress_gateway.cli import main
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.simulation.month import run_month
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, infer_version, iso_time
from tests.support.commands import run, write_trace

PLANS = ["transparent", "live", "2min", "5min", "saver", "auto"]


def test_a_log_is_estimated_as_its_trace_is(tmp_path: Path) -> None:
    records = list(generate(WORKLOADS["home"], days=1, seed=1))[:400]
    log = tmp_path / "evcc.log"
    words = {Direction.UP: "recv", Direction.DOWN: "send"}
    log.write_text(
        "".join(
            f"[ocpp  ] TRACE {iso_time(record.ts or 0).replace('-', '/').replace('T', ' ')} {words[record.direction]} CP_1: {record.text}\n"
            for record in records
        ),
        encoding="utf-8",
    )
    done = run("estimate", log, "--plans-only", "--json", "--price-per-mb", "2", "--rounding-kb", "1")
    assert "evcc" in done.stderr
    (report,) = json.loads(done.stdout.splitlines()[-1])["sources"]
    assert [one["plan"] for one in report["plans"]] == PLANS
    assert all(one["exact"] for one in report["plans"])
    # The same function on the same messages: the same bytes.
    month = run_month(
        records, infer_version(records), plan=PlanName.SAVER, conditions=Conditions(), days=None, budget_bytes=25_000_000, seed=1
    )
    saver = report["plans"][4]
    assert saver["ip_bytes_month"] == round(month.cost.total)
    # 91 connections a month, each with half of a KB more.
    assert saver["billed_bytes_month"] == saver["ip_bytes_month"] + 91 * 512
    assert saver["price_month"] == pytest.approx(2 * saver["billed_bytes_month"] / 1e6)
    assert (
        report["baselines"]["plain"]["ip_bytes_month"]
        > report["baselines"]["permessage-deflate"]["ip_bytes_month"]
        > saver["ip_bytes_month"]
    )


def test_settings_of_a_site_are_compared(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("stations = 10\nsessions_a_day = 1\nsession_min = 30\n", encoding="utf-8")
    done = run("estimate", "--site", site, "--days", "1", "--json")
    (report,) = json.loads(done.stdout)["sources"]
    assert report["stations"] == 10
    difference = {one["label"]: one["difference_bytes"] for one in report["settings"]}
    assert difference["keepalive every 4 min"] > difference["keepalive every 9.5 min"] > 0
    assert difference["IPv6"] > difference["TCP timestamps on"] > 0
    assert difference["a meter reading every 30 s"] > 0 > difference["a meter reading every 120 s"]
    # A reading each minute is two packets and more of its own then; statuses are a few a day.
    assert difference['relay = ["TransactionEvent"]'] > difference['relay = ["StatusNotification"]'] > 0
    assert "MB for 10" in done.stderr


def test_what_cannot_be_estimated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = write_trace(tmp_path / "short.jsonl", recordings.load(recordings.names()[0])[:4])
    unknown = tmp_path / "some.log"
    unknown.write_text("hello\n", encoding="utf-8")
    site = tmp_path / "site.toml"
    site.write_text("sessions_a_day = 0\n", encoding="utf-8")
    for arguments, code, words in (
        ([str(short)], 2, "s long; an estimate needs 600 s at least"),
        ([str(unknown)], 2, "no OCPP-J found"),
        ([str(tmp_path / "none.log")], 2, "No such file"),
        (["--site", str(site)], 78, "sessions_a_day"),
        ([], 2, "takes either files, or --site FILE, or a site in flags"),
        ([str(short), "--interval-s", "60"], 2, "takes either files"),
        (["--measurands", "kWh"], 2, "kWh"),
    ):
        assert main(["estimate", *arguments]) == code
        assert words in capsys.readouterr().err


def test_the_command_line_says_what_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["estimate", "--price-per-mb", "cheap", "x.log"])
    assert "'cheap' is not a number" in capsys.readouterr().err
