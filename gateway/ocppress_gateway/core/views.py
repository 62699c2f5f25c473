"""How the machines stand, for `ocppress status`: plain snapshots that hold no secret and no payload. Times in seconds, ages at the moment of asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.report import Report

__all__ = [
    "SILENT_S",
    "CertificateView",
    "CloudEdgeView",
    "CloudStationView",
    "CloudView",
    "ContentView",
    "CountersView",
    "EdgeStationView",
    "EdgeView",
    "LinkView",
]

SILENT_S: Final = 24 * 3600.0
"""How long a station may say nothing before something is wrong: its Heartbeats and meter values come more often than daily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """How long a certificate lasts."""

    use: str
    """Whose, or for what."""
    ends_unix_s: float
    is_due: bool
    """It is in its last third, or over: another should follow."""

    @classmethod
    def of(cls, use: str, certificate: Certificate, unix_s: float) -> CertificateView:
        """As it is at this time."""
        return cls(use=use, ends_unix_s=certificate.ends_unix_s, is_due=unix_s >= certificate.renew_from_unix_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountersView:
    """What became of messages at this end since the program began (`conversation.Counters`)."""

    calls_taken: int
    answers_given: int
    calls_put: int
    calls_over_time: int
    answers_without_call: int
    repeats: int
    answered_early: int
    suppressed: int
    delivered: int
    dead_letters: int
    stops_asked: int
    stops_accepted: int
    transfers: int
    """CALLs of the CSMS that ask for a transfer around the gateway; those of them that were refused."""
    transfers_refused: int
    routes_taken: int
    """Answers of stations that accept an address which may lead around the gateway."""
    not_ocppj: int
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """The edge's connection to the cloud."""

    state: str
    """A value of `SessionState`, or `down` between two connections."""
    up_s: float | None
    """For how long traffic has been flowing; None while it isn't."""
    down_s: float | None
    """For how long it hasn't; None before the first connection, too."""
    retry_in_s: float | None
    codec: str
    connections: int
    """How often one was tried since the program began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStationView:
    """A station at the edge."""

    identity: str
    state: str
    ocpp: str
    accepted: bool
    """Whether its last BootNotification was answered so: else nothing is answered early."""
    clock_offset_s: float | None
    """The edge's clock less the CSMS's; None before the CSMS has told its time."""
    heard_s: float | None
    """How long ago something of the station's came last; None if nothing has since the program began."""
    waiting: int
    """Messages that wait to be sent, stored or not."""
    undelivered: int
    """Stored messages that the CSMS hasn't answered, as far as the edge knows."""
    answered_early: int
    suppressed: int
    repeats: int
    allowance_percent: int | None
    """How much of `daily_mb` it has used up: from 100 on only transactions go on, from 200 on it is sent away; None where none is set."""
    epoch: int
    frames_sent: int
    frames_received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """The edge's machine."""

    link: LinkView
    stations: tuple[EdgeStationView, ...]
    counters: CountersView


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentView:
    """A CSMS's answers that said something to a station which no longer heard it (rule R7)."""

    action: str
    member: str
    count: int
    """Answers with this member."""
    messages: int
    """Messages of this action that were answered early and that the CSMS has answered, whatever it said."""
    over_s: float
    """In which time."""
    relayed_month_bytes: int | None
    """What it would cost to relay them, in a month at this pace; None while the time is too short to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStationView:
    """A station at the cloud."""

    identity: str
    edge: str
    state: str
    """Of its CSMS socket."""
    ocpp: str
    heard_s: float | None
    """How long ago something of the station's came last, which its edge may have kept back for as long as the plan says; None if nothing has since the
    program began."""
    retry_in_s: float | None
    """When its CSMS socket is tried again."""
    waiting: int
    """CALLs that wait for the CSMS, stored at the edge or not."""
    undelivered: int
    """Those of them that are stored at the edge."""
    repeats: int
    contents: tuple[ContentView, ...]
    epoch: int
    frames_sent: int
    frames_received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEdgeView:
    """An edge at the cloud."""

    name: str
    up_s: float | None
    down_s: float | None
    """For how long its link has been down; None while it is up."""
    codec: str
    report: Report | None
    """The last one that it has sent since the program began."""
    certificate: CertificateView | None
    """With which it has connected; None where the cloud sees none, as at a broker, and while it is away."""
    stations: int
    """Stations that are here now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudView:
    """The cloud's machine."""

    edges: tuple[CloudEdgeView, ...]
    never_seen: tuple[str, ...]
    """Edges that may connect and haven't since the program began."""
    stations: tuple[CloudStationView, ...]
    counters: CountersView
