"""Stations that the CSMS has refused: they come back every few seconds, and asking the CSMS each time would cost the link more than all others.

A refusal is remembered by identity and credentials, for 10 minutes at first and twice as long after each further one. Whoever invents identities
or passwords without end isn't remembered, so refusals as such are rationed, too.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.bucket import Bucket
from ocppress_gateway.core.credentials import Authorization

__all__ = ["REFUSAL_S_MAX", "REFUSAL_S_MIN", "REFUSED_STATUSES", "Refusal", "RefusedUpgrades"]

REFUSED_STATUSES: Final = frozenset({401, 403, 404})
"""HTTP statuses by which a CSMS says that it doesn't want this station, or not with this password; others are passing troubles."""

REFUSAL_S_MIN: Final = 600.0
"""How long the first refusal is remembered: who mends it at the CSMS waits no longer than for a coffee."""

REFUSAL_S_MAX: Final = 3600.0
"""The longest: at some 500 bytes a question a wrong station costs 12 kB a day."""

REFUSALS_MAX: Final = 256
"""Refusals remembered, the oldest forgotten first: four for each of `STATIONS_PER_EDGE_MAX`."""

BURST: Final = 128
"""Questions at once to which the CSMS doesn't say yes: two for each of `STATIONS_PER_EDGE_MAX`, should nobody have entered any of them at the CSMS yet."""

REFILL_S: Final = 120.0
"""And one more after each such time: 720 a day, 0.4 MB, is the most that strangers on the local network can make the link pay."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the CSMS refused, and till when that is answered from here."""

    status: int
    reason: str
    until: float
    wait_s: float


class RefusedUpgrades:
    """Refusals of one edge, in memory only. `key` is random bytes of this process: what is kept of credentials is of no use to anybody."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._refusals: OrderedDict[bytes, Refusal] = OrderedDict()
        self._questions = Bucket(BURST, 1 / REFILL_S)

    def tag(self, identity: str, authorization: Authorization) -> bytes:
        """What identity and credentials are known by in this process."""
        digest = hashlib.blake2b(identity.encode(), key=self._key, digest_size=16)
        digest.update(b"\0" if authorization is None else b"\1" + authorization.encode())
        return digest.digest()

    def remembered(self, identity: str, authorization: Authorization, now: float) -> Refusal | None:
        """The refusal that still counts, if there is one."""
        refusal = self._refusals.get(self.tag(identity, authorization))
        return refusal if refusal is not None and now < refusal.until else None

    def may_ask(self, now: float) -> bool:
        """Whether a stranger may cost the link a question."""
        return self._questions.level(now) >= 1

    def asked(self, now: float) -> None:
        """A question goes to the CSMS."""
        self._questions.spend(1, now)

    def spared(self, now: float) -> None:
        """It wasn't answered with one of `REFUSED_STATUSES`: it doesn't count."""
        self._questions.spend(-1, now)

    def refused(self, identity: str, authorization: Authorization, status: int, reason: str, now: float) -> None:
        """The CSMS has refused, with one of `REFUSED_STATUSES`."""
        tag = self.tag(identity, authorization)
        before = self._refusals.pop(tag, None)
        wait_s = REFUSAL_S_MIN if before is None else min(before.wait_s * 2, REFUSAL_S_MAX)
        self._refusals[tag] = Refusal(status, reason, now + wait_s, wait_s)
        while len(self._refusals) > REFUSALS_MAX:
            self._refusals.popitem(last=False)

    def accepted(self, identity: str, authorization: Authorization) -> None:
        """The CSMS has accepted these credentials."""
        self._refusals.pop(self.tag(identity, authorization), None)
