"""What one station may cost the link in a day, where the operator has set it: a broken or hostile one must not eat what the SIM has for all.

    within it            everything goes
    used up              transactions, BootNotification and Authorize go on; every other CALL is refused with a CALLERROR that says why
    used up twice over   its socket is closed, and it isn't let in, until an hour's part of it is there again

Nothing of a transaction is ever dropped here: what the edge has answered stays in the outbox, and a station whose socket is closed keeps the
rest by itself, as OCPP has it. It fills evenly over the day rather than at midnight, so that no clock matters.
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.bucket import Bucket
from ocppress_gateway.core.policy import is_transaction

__all__ = ["ASK_BYTES", "REFUSED", "SEND_BYTES", "Allowance", "goes_on"]

DAY_S: Final = 86_400.0

SEND_BYTES: Final = 120
"""Of a link message beside its frames, shared by the stations in it: headers of IP, TCP, TLS and WebSocket, and the acknowledgement."""

ASK_BYTES: Final = 500
"""Of an upgrade that the CSMS is asked about, and of its end."""

_GO_ON: Final = frozenset({"BootNotification", "Authorize"})
"""Without the first a station does nothing at all, for the second somebody is waiting."""

REFUSED: Final = Message(
    MessageType.CALLERROR, "", '"GenericError","The station has used up its bytes on the cellular link (daily_mb of the ocppress edge)",{}'
)


class Allowance:
    """One station's, in bytes."""

    def __init__(self, daily_bytes: int) -> None:
        self.daily_bytes = daily_bytes
        self._bucket = Bucket(daily_bytes, daily_bytes / DAY_S)
        self._shut = False
        self._alarmed = False

    def spend(self, byte_count: float, now: float) -> None:
        """The link has carried, or will carry, so much for it."""
        self._bucket.spend(byte_count, now)

    def used_percent(self, now: float) -> int:
        """Of a day's; 0 while there is a whole day's left."""
        return round(100 * (1 - self._bucket.level(now) / self.daily_bytes))

    def is_used_up(self, now: float) -> bool:
        """Whether only what matters goes on."""
        return self._bucket.level(now) <= 0

    def is_shut(self, now: float) -> bool:
        """Whether nothing goes on."""
        level = self._bucket.level(now) + self.daily_bytes
        self._shut = level <= 0 or (self._shut and level < self.daily_bytes * 3600 / DAY_S)
        return self._shut

    def takes_alarm(self, now: float) -> bool:
        """Whether to raise an alarm: once, until there is some of it again."""
        used_up = self.is_used_up(now)
        raised = used_up and not self._alarmed
        self._alarmed = used_up or (self._alarmed and self._bucket.level(now) < self.daily_bytes * 3600 / DAY_S)
        return raised


def goes_on(message: Message) -> bool:
    """Whether a station's message crosses the link even if it has used up its allowance."""
    return message.action in _GO_ON or is_transaction(message)
