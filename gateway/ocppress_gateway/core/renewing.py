"""Edges' certificates that come to their end: each is looked for once a day, and the next one goes to the edge with other frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ocppress_gateway.core.certificate import weeks_left
from ocppress_gateway.core.cloud_edges import CloudLink
from ocppress_gateway.core.events import Effect, FindRenewal, Level, Note, RenewalFound
from ocppress_gateway.core.parts import Renewal
from ocppress_gateway.core.told import Told

__all__ = ["RenewalWatch"]

RENEWAL_LOOK_S: Final = 86_400.0
"""How often an edge's certificate is looked at, and how often it is sent one that it doesn't use: a connection can last for months."""


class RenewalWatch:
    """Of all edges. `told` is what has been said once, `wall_s` Unix seconds."""

    def __init__(self, told: Told, wall_s: Callable[[], float]) -> None:
        self._told = told
        self._wall_s = wall_s

    def look(self, link: CloudLink, now: float, out: list[Effect]) -> None:
        """Look at a connection's certificate, if it is time."""
        if link.look_at is None or link.certificate is None or link.edge is None or link.session.closing or now < link.look_at:
            return
        link.look_at = now + RENEWAL_LOOK_S
        if self._wall_s() < link.certificate.renew_from_unix_s:
            return
        sent_at = link.edge.renewal_sent_at
        if sent_at is None or now >= sent_at + RENEWAL_LOOK_S:
            out.append(FindRenewal(link.session.link, link.certificate))

    def found(self, event: RenewalFound, link: CloudLink, now: float, out: list[Effect]) -> None:
        """What came of `FindRenewal`."""
        if link.edge is None or link.certificate is None:
            return
        if event.certificate is not None:
            link.session.rider = Renewal(event.certificate)
            link.edge.renewal_sent_at = now
            out.append(Note(Level.INFO, "an edge's renewed certificate goes to it", {"edge": link.edge.name}))
        elif self._told.first("no renewal", link.edge.name, weeks_left(link.certificate, self._wall_s())):
            days = round((link.certificate.ends_unix_s - self._wall_s()) / 86_400)
            words = "an edge's certificate ends and there is none to follow it"
            out.append(Note(Level.WARNING, words, {"edge": link.edge.name, "days": days, "reason": event.reason}))
