"""Edges by name, and their connections, as the cloud's machine knows them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.cloud_station import CloudStation, CsmsState
from ocppress_gateway.core.parts import Control, Hello
from ocppress_gateway.core.report import Report
from ocppress_gateway.core.session import LinkSession, SessionState
from ocppress_gateway.core.stored import Claim
from ocppress_gateway.core.views import CertificateView, CloudEdgeView

__all__ = ["CloudEdge", "CloudLink", "rivals"]


@dataclass(slots=True, eq=False)
class CloudEdge:
    """An edge by name: what outlives its connections."""

    name: str
    stations: OrderedDict[str, CloudStation] = field(default_factory=OrderedDict)
    slots: dict[int, CloudStation] = field(default_factory=dict)
    codec: CodecName = CodecName.VERBATIM
    incarnation: bytes = b""
    """Of its outbox; empty where it has none."""
    link: CloudLink | None = None
    up_at: float = 0.0
    report: Report | None = None
    """What it has told of itself last."""
    lost_at: float | None = None
    renewal_sent_at: float | None = None
    claim: Claim | None = None
    """By which right this cloud speaks for it, where there are others; None once it doesn't."""

    def month_percent(self) -> int | None:
        """What its SIM has used of the month's budget, by its last report."""
        return None if self.report is None else self.report.month_percent

    def tell(self, part: Control, now: float) -> None:
        """Say something to it, if it is connected."""
        if self.link is not None:
            self.link.session.control(part, now)

    def view(self, now: float, unix_s: float) -> CloudEdgeView:
        """For status."""
        certificate = None if self.link is None else self.link.certificate
        return CloudEdgeView(
            name=self.name,
            up_s=None if self.link is None else now - self.up_at,
            down_s=None if self.lost_at is None else now - self.lost_at,
            codec=self.codec.value,
            report=self.report,
            certificate=None if certificate is None else CertificateView.of(self.name, certificate, unix_s),
            stations=sum(station.state is not CsmsState.CLOSED for station in self.stations.values()),
        )


@dataclass(slots=True, eq=False)
class CloudLink:
    """A connection, and whose it is once it has said hello."""

    session: LinkSession
    peer: str
    greet_by: float
    certificate: Certificate | None = None
    look_at: float | None = None
    """When its certificate's age is to be looked at."""
    edge: CloudEdge | None = None
    hello: Hello | None = None
    """What waits for the edge to be claimed."""

    def next_deadline(self) -> float | None:
        """When there is something to do about it."""
        if self.session.closing:
            return None
        if self.session.state is SessionState.GREETING:
            return self.greet_by
        return earlier(self.session.next_deadline(), self.look_at)


def rivals(connected: CloudLink, newcomer: CloudLink) -> bool:
    """Whether two connections of one edge's name have certificates of different keys: then one of them isn't that edge, and it isn't for
    the newcomer to say which. A renewed certificate has the same key."""
    ours, theirs = connected.certificate, newcomer.certificate
    return ours is not None and theirs is not None and ours.public_key != theirs.public_key
