"""What `ocppress status` and `ocppress dead` say of snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import msgspec
import pytest

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.conversation import Counters
from ocppress_gateway.core.ledger_day import DayAccount
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import DiskHealth, read_report, write_report
from ocppress_gateway.core.views import (
    CertificateView,
    EdgeView,
    LinkView,
)
from ocppress_gateway.status.cloud import cloud_data, cloud_lines
from ocppress_gateway.status.dead import letter_data, letter_lines, letters_lines
from ocppress_gateway.status.edge import day_report, edge_data, edge_lines
from ocppress_gateway.status.words import age, size, table
from tests.support.statuses import CLOUD_STATION, FRESH, LETTER, LINK, OUTBOX, POSITIONS, STATION, cloud_status, edge_status


def test_an_edge_says_what_there_is() -> None:
    said = edge_lines(edge_status())
    assert said[0] == "edge 1.2.3, up 1 d 1 h"
    assert said[1].startswith("link to wss://cloud.example.com:8886/ up for 1 h 2 min, codec adaptive")
    assert said[2] == "outbox: 2,468 messages to be delivered; on disk 1,240, 400 kB"
    assert said[3] == "  the oldest came 2026-02-25 06:13:20Z, 2 h 0 min ago"
    row = next(line for line in said if line.startswith("CP001"))
    assert row.split() == ["CP001", "2.0.1", "admitted", "1", "min", "yes", "-1.2", "s", "3", "1,234", "9", "4", "1"]
    assert any(line.startswith("plan auto, now live") for line in said)
    assert max(map(len, said)) <= 100


def test_one_station_alone() -> None:
    assert not any("CP001" in line for line in edge_lines(edge_status(), "CP002"))
    assert [one["identity"] for one in edge_data(edge_status(), "CP002")["stations"]] == ["CP002"]
    assert cloud_data(cloud_status(), "CP009")["stations"] == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LinkView(state="connecting", up_s=None, down_s=None, retry_in_s=None, codec="", connections=1), "never up yet (connecting)"),
        (
            LinkView(state="down", up_s=None, down_s=65.0, retry_in_s=4.0, codec="", connections=3),
            "down for 1 min 5 s (down, tried again in 4 s)",
        ),
    ],
)
def test_a_link_that_is_down(link: LinkView, words: str) -> None:
    assert words in edge_lines(edge_status(EdgeView(link=link, stations=(), counters=Counters().view())))[1]


def test_certificates_say_when_they_end() -> None:
    status = replace(edge_status(), certificates=(FRESH, replace(FRESH, use="the stations' side", is_due=True)))
    lines = [line for line in edge_lines(status) if line.startswith("certificate")]
    assert lines == [
        "certificate of site-1: ends 2030-03-17 17:46:40Z",
        "certificate of the stations' side: ends 2030-03-17 17:46:40Z, RENEW IT (`ocppress ca renew`)",
    ]
    assert [one["is_due"] for one in edge_data(status)["certificates"]] == [False, True]
    cloud = replace(cloud_status(), certificate=replace(FRESH, use="this cloud"))
    assert "certificate of this cloud: ends 2030-03-17 17:46:40Z" in cloud_lines(cloud)
    row = next(line for line in cloud_lines(cloud) if line.startswith("site-1  up"))
    assert row.endswith("2030-03-17 17:46:40Z")
    assert cloud_data(cloud)["edges"][0]["certificate"]["ends_unix_s"] == FRESH.ends_unix_s


def test_a_certificate_is_due_in_its_last_third() -> None:
    certificate = Certificate("site-1", 1, b"key", starts_unix_s=0.0, ends_unix_s=300.0)
    assert [CertificateView.of("it", certificate, at_s).is_due for at_s in (0.0, 199.0, 200.0, 301.0)] == [False, False, True, True]


def test_what_a_station_has_used_of_its_day_is_said_where_there_is_a_limit() -> None:
    limited = replace(STATION, allowance_percent=130)
    status = edge_status(EdgeView(link=LINK, stations=(limited,), counters=Counters().view()))
    heads, row = (line for line in edge_lines(status) if line.startswith(("station", "CP001")))
    assert heads.endswith("of daily_mb")
    assert row.endswith("130 %")
    assert not any("daily_mb" in line for line in edge_lines(edge_status()))


def test_trouble_is_said() -> None:
    status = replace(edge_status(), outbox=replace(OUTBOX, trouble="disk full"))
    assert "  TROUBLE, nothing is answered early: disk full" in edge_lines(status)
    cloud = replace(cloud_status(), positions=replace(POSITIONS, trouble="slow"))
    assert "  TROUBLE, stored messages wait: slow" in cloud_lines(cloud)


def test_a_cloud_says_what_there_is() -> None:
    said = "\n".join(cloud_lines(cloud_status()))
    for words in (
        "dead letters: 2, 900 B",
        "site-2  down for 1 min 1 s",
        "not seen since the start: site-3",
        "CP001    site-1",
    ):
        assert words in said
    assert "pw-secret" not in said
    assert "pw-secret" not in str(cloud_data(cloud_status()))


def test_a_cloud_says_which_answers_reached_no_station_and_what_relaying_would_cost() -> None:
    row = next(line for line in cloud_lines(cloud_status()) if "totalCost" in line)
    assert row.split() == ["CP001", "TransactionEvent", "totalCost", "4", "9", "2", "h", "0", "min", "750", "kB"]
    (content,) = CLOUD_STATION.contents
    early = replace(
        cloud_status(),
        view=replace(cloud_status().view, stations=(replace(CLOUD_STATION, contents=(replace(content, relayed_month_bytes=None),)),)),
    )
    row = next(line for line in cloud_lines(early) if "totalCost" in line)
    assert row.split()[-1] == "-"


def test_a_cloud_says_what_it_has_stopped() -> None:
    assert not any("rejected late" in line for line in cloud_lines(cloud_status()))
    counters = replace(cloud_status().view.counters, stops_asked=2, stops_accepted=1)
    said = cloud_lines(replace(cloud_status(), view=replace(cloud_status().view, counters=counters)))
    assert "transactions rejected late: 2 RequestStopTransactions sent, 1 accepted" in said


def test_a_cloud_shows_what_its_edges_have_reported() -> None:
    row = next(line for line in cloud_lines(cloud_status()) if "2026-03-01" in line)
    assert row.split() == ["site-1", "2026-03-01", "14.0", "kB", "-", "3", "%", "auto", "live", "0", "-2", "s", "good", "1.2.3"]
    assert [edge["report"] and edge["report"]["day"] for edge in cloud_data(cloud_status())["edges"]] == ["2026-03-01", None]


def test_an_edge_reports_a_day() -> None:
    account = DayAccount()
    account.add_estimated(Way.UP, 70)
    report = day_report(edge_status(), date(2026, 3, 1), account)
    assert (report.ours_bytes, report.others_bytes, report.outbox_messages, report.clock_offset_s) == (70, None, 2468, -1)
    assert (report.disk, report.plan, report.version) == (DiskHealth.GOOD, PlanName.AUTO, "1.2.3")
    assert read_report(write_report(report)) == report
    assert day_report(replace(edge_status(), outbox=replace(OUTBOX, trouble="slow")), report.day, account).disk is DiskHealth.FAILING


def test_data_is_json() -> None:
    for data in (edge_data(edge_status()), cloud_data(cloud_status())):
        assert msgspec.json.decode(msgspec.json.encode(data)).keys() == data.keys()


def test_a_list_of_letters_has_nothing_of_their_content() -> None:
    said = "\n".join(letters_lines([LETTER], 3)) + str(letter_data(LETTER))
    assert "secret" not in said
    assert "1 of 3" in said
    assert letters_lines([], 0) == ["no dead letters"]


def test_a_letter_by_itself_is_masked_unless_asked_for_in_full() -> None:
    masked = letter_lines(LETTER, full=False)
    assert masked[-1] == '"TransactionEvent",{"idToken":{"idToken":"***","type":"Central"},"seqNo":1}'
    assert letter_lines(LETTER, full=True)[-1] == LETTER.body
    assert letter_data(LETTER, body=True)["masked"] is True
    assert all("\x1b" not in line for line in masked), "nothing moves the terminal's cursor"
    assert letter_lines(replace(LETTER, body='"X",{"a":'), full=False)[-1] == "***"


def test_a_mask_hides_what_the_csms_repeats_of_the_letter() -> None:
    assert "04A2-secret" not in "\n".join(letter_lines(LETTER, full=False)) + str(letter_data(LETTER, body=True))
    assert "04A2-secret" in "\n".join(letter_lines(LETTER, full=True))


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (25_000_000, "25.0 MB"), (10**12, "1000 GB")]
)
def test_size(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (-1.0, "0 s"), (59.9, "59 s"), (61.0, "1 min 1 s"), (7260.0, "2 h 1 min"), (90_000.0, "1 d 1 h")]
)
def test_age(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_a_table_holds_its_columns_whatever_is_in_it() -> None:
    said = table(("name", "n"), [("a\nb\x1b[1m", 1), ("x" * 200, 1000), ("", None)])
    assert len(said) == 4
    assert all(line.isprintable() and len(line) <= 48 + 2 + 5 for line in said)
    assert said[1].endswith("    1")
