"""The cloud's own Heartbeats to the CSMS, for a station whose edge answers it by itself; and the CSMS's clock, which the answers tell.

OCPP lets any message stand for a Heartbeat (G02.FR.04), so one goes only when the CSMS has heard nothing for the interval.
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.rpc import Message, MessageType

__all__ = ["HEARTBEAT", "Heartbeats"]

HEARTBEAT: Final = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')

TELL_TIME_S: Final = 3600.0
"""How often the edge is told the CSMS's time, when something goes to it anyway: two crystals differ by 0.4 s in that time."""

INTERVAL_S_MIN: Final = 10
"""A CSMS that asks for more Heartbeats gets these."""


class Heartbeats:
    """Of one station at the cloud; times in seconds of the machine's clock."""

    def __init__(self) -> None:
        self.interval_s = 0
        """As the last accepted BootNotification's answer had it; 0: none go."""
        self._put_at = 0.0
        self._time: tuple[float, float] | None = None
        self._told_at: float | None = None

    def put(self, now: float) -> None:
        """A CALL goes to the CSMS."""
        self._put_at = now

    @property
    def due_at(self) -> float | None:
        """When a Heartbeat is due."""
        return self._put_at + max(self.interval_s, INTERVAL_S_MIN) if self.interval_s else None

    def answered(self, unix_s: float, now: float) -> None:
        """The CSMS's clock, from its answer."""
        self._time = unix_s, now

    def news(self, now: float) -> int | None:
        """The CSMS's time in milliseconds since 1970 if the edge should hear it; counts as told."""
        if self._time is None or (self._told_at is not None and now - self._told_at < TELL_TIME_S):
            return None
        self._told_at = now
        unix_s, at = self._time
        return int((unix_s + now - at) * 1000)
