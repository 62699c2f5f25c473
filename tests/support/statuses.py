"""How an edge and a cloud might stand: snapshots with something of everything, for tests of what shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from ocppress_gateway.core.conversation import Counters
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.core.report import DiskHealth, Report
from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.core.views import (
    CertificateView,
    CloudEdgeView,
    CloudStationView,
    CloudView,
    ContentView,
    EdgeStationView,
    EdgeView,
    LinkView,
)
from ocppress_gateway.outbox.base import OutboxMeasure
from ocppress_gateway.positions.base import PositionsMeasure
from ocppress_gateway.status.cloud import CloudStatus
from ocppress_gateway.status.edge import EdgeStatus

__all__ = ["CLOUD_STATION", "FRESH", "LETTER", "LINK", "OUTBOX", "POSITIONS", "REPORT", "STATION", "cloud_status", "edge_status"]

LINK = LinkView(state="open", up_s=3720.0, down_s=None, retry_in_s=None, codec="adaptive", connections=2)
STATION = EdgeStationView(
    identity="CP001",
    state="admitted",
    ocpp="2.0.1",
    accepted=True,
    clock_offset_s=-1.2,
    heard_s=75.0,
    waiting=3,
    undelivered=1234,
    answered_early=9,
    suppressed=4,
    repeats=1,
    allowance_percent=None,
    epoch=7,
    frames_sent=5,
    frames_received=4,
)
FRESH = CertificateView(use="site-1", ends_unix_s=1_900_000_000.0, is_due=False)
OUTBOX = OutboxMeasure(
    trouble=None,
    messages=1240,
    message_bytes=400_000,
    oldest_stored_at_s=1_772_000_000.0,
    oldest_age_s=7200.0,
    file_bytes=500_000,
    written_bytes=None,
    commits=12,
    last_commit_s=0.004,
    faults=0,
)
POSITIONS = PositionsMeasure(
    trouble=None, pairs=1, dead_letters=2, dead_bytes=900, file_bytes=40_000, written_bytes=1, commits=1, last_commit_s=0.1, faults=0
)
CLOUD_STATION = CloudStationView(
    identity="CP001",
    edge="site-1",
    state="waiting",
    ocpp="1.6",
    heard_s=7300.0,
    retry_in_s=12.0,
    waiting=2,
    undelivered=1,
    repeats=0,
    contents=(ContentView(action="TransactionEvent", member="totalCost", count=4, messages=9, over_s=7200.0, relayed_month_bytes=750_000),),
    epoch=1,
    frames_sent=0,
    frames_received=3,
)
LETTER = DeadLetter(
    "CP001",
    "00ff00ff00ff00ffo7",
    "2.0.1",
    '"TransactionEvent",{"idToken":{"idToken":"04A2-secret","type":"Central"},"seqNo":1}',
    "NotSupported",
    "token 04A2-secret is \x1b[2Junknown",
    3,
    1_772_000_000.0,
    7,
)
REPORT = Report(
    day=date(2026, 3, 1),
    ours_bytes=14_000,
    others_bytes=None,
    month_bytes=800_000,
    budget_kb=25_000,
    projection_kb=None,
    plan=PlanName.AUTO,
    step=PlanName.LIVE,
    outbox_messages=0,
    clock_offset_s=-2,
    disk=DiskHealth.GOOD,
    version="1.2.3",
)


def edge_status(view: EdgeView | None = None) -> EdgeStatus:
    """An edge with two stations."""
    ledger = Ledger(LedgerSettings(25_000_000, UTC))
    ledger.tick(0.0, datetime(2026, 3, 1, tzinfo=UTC))
    return EdgeStatus(
        version="1.2.3",
        uptime_s=90_000.0,
        cloud="wss://cloud.example.com:8886/",
        view=view or EdgeView(link=LINK, stations=(STATION, replace(STATION, identity="CP002")), counters=Counters().view()),
        wire=None,
        outbox=OUTBOX,
        month=ledger.month(),
        plan=Plan(PlanSettings(PlanName.AUTO, 25_000_000), keepalive_s=240, now=0.0).view(0.0),
    )


def cloud_status() -> CloudStatus:
    """A cloud with an edge that is linked, one that isn't, and one that never was."""
    edges = (
        CloudEdgeView(name="site-1", up_s=10.0, down_s=None, codec="adaptive", report=REPORT, certificate=FRESH, stations=1),
        CloudEdgeView(name="site-2", up_s=None, down_s=61.0, codec="verbatim", report=None, certificate=None, stations=0),
    )
    view = CloudView(edges=edges, never_seen=("site-3",), stations=(CLOUD_STATION,), counters=Counters().view())
    return CloudStatus(version="1.2.3", uptime_s=5.0, csms="wss://user:pw-secret@csms/{identity}", view=view, positions=POSITIONS)
