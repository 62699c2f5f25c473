"""What a page says in a line each: what there would have been without the gateway."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ocppress_gateway.admin.facts import cloud_facts, edge_facts
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.ledger_events import ComparisonCounted
from tests.support.statuses import REPORT, cloud_status, edge_status

INSTEAD = ("permessage-deflate instead", "Plain OCPP instead")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_fleet_is_compared_where_edges_have_told_of_it() -> None:
    status = cloud_status()
    first, second = status.view.edges
    of_former = replace(first, name="site-4", report=replace(REPORT, ours_bytes=9_000_000, plain_kb=None, deflate_kb=None))

    def said(*edges: object) -> dict[str, str]:
        return {fact.label: fact.value for fact in cloud_facts(replace(status, view=replace(status.view, edges=edges)))}  # type: ignore[arg-type]

    other = replace(second, report=replace(REPORT, ours_bytes=5_000, plain_kb=90, deflate_kb=19))
    facts = said(first, other, of_former)
    assert facts["Last day told"] == "19.0 kB by 2 edges"
    assert [facts[label] for label in INSTEAD] == ["114 kB, 6.0 times as much", "400 kB, 21.1 times as much"]
    assert not {"Last day told", *INSTEAD} & said(second, of_former).keys()


def test_an_edges_month_is_compared_once_something_was_reckoned() -> None:
    assert not {"Of which ours", *INSTEAD} & {fact.label for fact in edge_facts(edge_status())}
    ledger = Ledger(LedgerSettings(25_000_000, UTC))
    ledger.step(ComparisonCounted(plain_bytes=310_000, deflate_bytes=95_000), 0.0, NOW)
    ledger.tick(4000.0, NOW)
    month = replace(ledger.month(), counted_bytes=14_000, estimated_bytes=5_000)
    facts = {fact.label: fact.value for fact in edge_facts(replace(edge_status(), month=month))}
    assert facts["Of which ours"] == "19.0 kB"
    assert [facts[label] for label in INSTEAD] == ["95.0 kB, 5.0 times as much", "310 kB, 16.3 times as much"]
