"""What the edge asks of its outbox: messages on disk before they are answered, in order, until they are forgotten.

All calls return at once; what comes of them is reported later, in the event loop, as an event of `core.stored`. Nothing in the outbox is ever
dropped to make room: it refuses what is new, and the station's own queue takes over.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.stored import Lane, OutboxEvent, StoredMessage

__all__ = [
    "COMMIT_PAUSE_S",
    "FINGERPRINTS_MAX",
    "OUTBOX_AGE_S_MAX",
    "OUTBOX_BYTES_MAX",
    "SLOW_COMMIT_S",
    "STATIONS_MAX",
    "Outbox",
    "OutboxLimits",
    "OutboxMeasure",
    "Report",
]

OUTBOX_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of messages: three months of a busy DC charger's, and little on the smallest eMMC."""

OUTBOX_AGE_S_MAX: Final = 14 * 24 * 3600.0
"""A link that has been down for longer needs a person; until then the stations keep what is new, for their queues have room still."""

COMMIT_PAUSE_S: Final = 0.05
"""Commits begin at least this far apart, so that what comes meanwhile shares the next: flash wears by the commit. A message that finds
the outbox idle doesn't wait."""

SLOW_COMMIT_S: Final = 2.0
"""A commit that takes longer is reported: a card that is about to fail does that, and stations time out after some tens of seconds."""

FINGERPRINTS_MAX: Final = 128
"""Transaction messages of a station that are known again after a restart; it repeats what is minutes old."""

STATIONS_MAX: Final = 1024
"""Identities that an outbox knows. None is ever forgotten, for its positions must go on; an edge has 64 at a time."""

Report = Callable[[OutboxEvent], None]
"""Takes an event; called in the event loop (or by whoever runs a `memory` outbox), never from within a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """When the outbox refuses what is new, and how often it writes."""

    bytes_max: int = OUTBOX_BYTES_MAX
    age_s_max: float = OUTBOX_AGE_S_MAX
    commit_pause_s: float = COMMIT_PAUSE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMeasure:
    """How the outbox stands, for `status`."""

    trouble: str | None
    """The reason of the last `OutboxTrouble`."""
    messages: int
    """Messages that are there; one that was forgotten within the last minute may be among them."""
    message_bytes: int
    """What they count against `bytes_max`."""
    oldest_stored_at_s: float | None
    """Unix seconds of the oldest message, as the clock stood then; None without messages."""
    oldest_age_s: float | None
    """Its age, counted while the outbox was open; over `age_s_max` nothing new is stored."""
    file_bytes: int
    """All files of the outbox together."""
    written_bytes: int | None
    """Bytes written since it was opened, as the kernel counts them; None where it doesn't."""
    commits: int
    last_commit_s: float | None
    faults: int
    """Commits and reads that failed since it was opened, by the disk's fault."""


class Outbox(abc.ABC):
    """The outbox as the edge's driver sees it."""

    @abc.abstractmethod
    def open(self) -> None:
        """Begin, once: `OutboxOpened` soon, or, with `OutboxTrouble` before it, when the disk allows. Until then nothing is stored."""

    @abc.abstractmethod
    def store(self, ticket: int, message: StoredMessage) -> None:
        """Store a message whose position is 0: `Stored` or `NotStored`, in the order of the calls."""

    @abc.abstractmethod
    def load(self, identity: str, lane: Lane, after_position: int, text_max: int) -> None:
        """Read messages after a position: `Loaded`, with at most `text_max` characters of bodies, but one message at least if there is one.

        Never has a message that isn't reported as `Stored` yet, nor one that is forgotten. If the disk fails, it comes when it works
        again.
        """

    @abc.abstractmethod
    def forget(self, identity: str, lane: Lane, position: int) -> None:
        """All up to this position was answered by the CSMS. It takes effect on disk with one of the next commits; lost with a crash before
        that, the messages are there again."""

    @abc.abstractmethod
    def remember(self, identity: str, accepted: bool, heartbeat_interval_s: int) -> None:
        """The CSMS has answered a BootNotification, with Accepted or not. On disk with one of the next commits."""

    @abc.abstractmethod
    def distrust(self, reason: str) -> None:
        """The far end knows of positions that this outbox never gave out: it has gone back in time, by a disk that lied or a backup that was
        put back, and would give them out again. It is set aside like a damaged one, which ends the program, and begins a new incarnation."""

    @abc.abstractmethod
    def measure(self) -> OutboxMeasure:
        """How the outbox stood after its last commit; at once, also while the disk hangs."""
