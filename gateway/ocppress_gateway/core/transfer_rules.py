"""By which rules of the operator's a transfer around the gateway is refused, and what the CSMS is told.

    window        it would begin outside of it        OutsideWindow    the answer says when the next one begins
    percent_max   the SIM's month has used as much    OverBudget       by the edge's last report
    bytes_max     the file is larger                  TooLarge         where its server tells; else it isn't known, and passes

A rule that isn't set refuses nothing. A refusal is an answer at once: the gateway never alters what the CSMS says, so it can't put a time into its
message, and keeps no CALL past the time that its CSMS waits (rule R3). Whoever asked can ask again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.bypass import Transfer
from ocppress_gateway.core.ledger_events import Way

__all__ = ["NO_RULES", "Refusal", "TransferRules", "Window", "can_be_sized", "refusal_answer"]

UNIX_S_MAX: Final = 253_402_128_000.0
"""30 December 9999: whatever the time zone, what is later can still be written down."""

URL_CHARACTERS_MAX: Final = 2000
"""Of a firmware's location in OCPP 2.1, the longest that any version allows; nothing is asked of a longer one."""

_WITHOUT_STATUS: Final = frozenset({"UpdateFirmware", "GetDiagnostics"})
"""Actions of 1.6 whose answer has no status, so that only a CALLERROR refuses."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day, over midnight if `end` isn't after `begin`."""

    begin: time
    end: time
    zone: tzinfo

    def has(self, unix_s: float) -> bool:
        """Whether a moment is in it."""
        moment = self._local(unix_s).time()
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end

    def next_begin(self, unix_s: float) -> datetime:
        """When it begins for the first time after a moment."""
        local = self._local(unix_s)
        begin = datetime.combine(local.date(), self.begin, self.zone)
        return begin if begin > local else datetime.combine(local.date() + timedelta(days=1), self.begin, self.zone)

    def __str__(self) -> str:
        return f"{self.begin:%H:%M} to {self.end:%H:%M} ({self.zone})"

    def _local(self, unix_s: float) -> datetime:
        return datetime.fromtimestamp(min(unix_s, UNIX_S_MAX), self.zone)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transfer may not be. `code`: at most 20 characters, `text`: at most 255, ASCII."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TransferRules:
    """What is let through; None lets everything."""

    window: Window | None = None
    bytes_max: int | None = None
    """Of a file that a station is to fetch; 0: no transfer at all, either way."""
    percent_max: int | None = None
    """Of the SIM's budget."""

    def need_size(self, transfer: Transfer) -> bool:
        """Whether the size has to be known before the transfer may be let through."""
        return bool(self.bytes_max) and can_be_sized(transfer)

    def refusal(self, transfer: Transfer, *, now_unix_s: float, month_percent: int | None, size_bytes: int | None) -> Refusal | None:
        """Why this transfer is refused, or None. `month_percent` and `size_bytes` are None where they aren't known."""
        if self.bytes_max == 0:
            return Refusal("TooLarge", "the gateway lets no transfers through, they go over a SIM card")
        begins_at_s = max(now_unix_s, transfer.begins_at_s or now_unix_s)
        if self.window is not None and not self.window.has(begins_at_s):
            next_begin = self.window.next_begin(begins_at_s).isoformat(timespec="seconds")
            return Refusal(
                "OutsideWindow", f"the gateway lets transfers over the SIM card through from {self.window}, next at {next_begin}"
            )
        if self.percent_max is not None and month_percent is not None and month_percent >= self.percent_max:
            used = f"{month_percent} % of the SIM card's month are used"
            return Refusal("OverBudget", f"{used}, from {self.percent_max} % on the gateway lets no transfers through")
        if self.bytes_max is not None and size_bytes is not None and size_bytes > self.bytes_max:
            return Refusal("TooLarge", f"{size_bytes} bytes; the gateway lets {self.bytes_max} through over the SIM card")
        return None


NO_RULES: Final = TransferRules()
"""Everything is let through, and reported."""


def can_be_sized(transfer: Transfer) -> bool:
    """Whether somebody can be asked how large the file is."""
    scheme, mark, _ = transfer.url.partition("://")
    return transfer.way is Way.DOWN and bool(mark) and scheme.lower() in ("http", "https") and len(transfer.url) <= URL_CHARACTERS_MAX


def refusal_answer(version: OcppVersion, action: str, refusal: Refusal) -> Message:
    """What the CSMS gets instead of the station's answer."""
    if version is OcppVersion.V16 and action in _WITHOUT_STATUS:
        return Message(MessageType.CALLERROR, "", f'"GenericError",{json.dumps(refusal.text)},{{}}')
    if version is OcppVersion.V16:
        return Message(MessageType.CALLRESULT, "", '{"status":"Rejected"}')
    info = f'{{"reasonCode":{json.dumps(refusal.code)},"additionalInfo":{json.dumps(refusal.text)}}}'
    return Message(MessageType.CALLRESULT, "", f'{{"status":"Rejected","statusInfo":{info}}}')
