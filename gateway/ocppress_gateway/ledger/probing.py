"""Sets how often the link is probed, and learns from its counters which silences a network allows.

TCP_INFO ──segments that came without data: a probe was answered──► KeepaliveSearch ──interval──► TCP_KEEPIDLE, Plan
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.keepalive import KeepaliveSearch
from ocppress_gateway.core.wire_count import WireCount

__all__ = ["Probed", "Probing"]


class Probed(Protocol):
    """A connection, as far as it is probed."""

    @property
    def network(self) -> str:
        """Of which network it is, "" where that isn't known."""

    def set_keepalive(self, keepalive_s: int) -> None:
        """Probe after so much silence."""


class _Watched:
    def __init__(self, connection: Probed, now: float) -> None:
        self.connection = connection
        self.interval_s = 0
        self.count: WireCount | None = None
        self.read_at = now
        self.heard_at = now
        """The reading that showed what came last,"""
        self.heard_after = now
        """and the one before."""


class Probing:
    """Between the search and the connections of one edge. `now` is monotonic seconds."""

    def __init__(self, search: KeepaliveSearch, *, is_charging: Callable[[], bool], note: Callable[[Note], None]) -> None:
        self._search = search
        self._is_charging = is_charging
        self._note = note
        self._watched: dict[int, _Watched] = {}

    def safe_s(self, now: float) -> int:
        """The interval that is known to be short enough."""
        return self._search.interval_s(now, charging=True)

    def opened(self, number: int, connection: Probed, now: float) -> None:
        """A connection is up."""
        self._search.on(connection.network)
        self._watched[number] = _Watched(connection, now)
        self.adapt(now)

    def counted(self, number: int, count: WireCount, now: float) -> None:
        """A reading of the connection's counters."""
        watched = self._watched.get(number)
        if watched is None:
            return
        before, watched.count = watched.count, count
        read_at, watched.read_at = watched.read_at, now
        if before is None or count.received_segments == before.received_segments:
            return
        no_data = count.sent_data_segments == before.sent_data_segments and count.received_data_segments == before.received_data_segments
        # Only after a silence that long is it a probe's answer: it may acknowledge what was sent just before the last reading.
        if no_data and now - watched.heard_after >= watched.interval_s:
            self._say(self._search.survived(watched.interval_s))
        watched.heard_at, watched.heard_after = now, read_at

    def ended(self, number: int, now: float) -> None:
        """The connection is gone."""
        watched = self._watched.pop(number, None)
        if watched is not None:
            self._say(self._search.lost(now - watched.heard_at, watched.interval_s, now))

    def adapt(self, now: float) -> None:
        """After each round of readings."""
        interval_s = self._search.interval_s(now, charging=self._is_charging())
        for watched in self._watched.values():
            if watched.interval_s != interval_s:
                watched.interval_s = interval_s
                watched.connection.set_keepalive(interval_s)

    def snapshot(self, now: float) -> bytes:
        """For `restore`, in a later process."""
        return self._search.snapshot(now)

    def restore(self, data: bytes, now: float) -> None:
        """What makes no sense is said, and the search begins anew."""
        try:
            self._search.restore(data, now)
        except ValueError as error:
            self._note(Note(Level.WARNING, "what was kept of the search for a longer silence makes no sense", {"reason": str(error)}))

    def _say(self, note: Note | None) -> None:
        if note is not None:
            self._note(note)
