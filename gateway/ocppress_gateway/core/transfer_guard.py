"""What becomes of a CSMS's CALLs that lead a station around the gateway: one station's, at the cloud.

    CALL ──► no transfer ─────────────────────────────────────────────────► station
       └──► transfer ──► rules without its size ──► refused: answered here
                            └──► SizeTransfer ─────────────────────────────► station, and the size is told when it is known
                                    └──► `bytes_max` is set: waits ──► TransferSized ──► rules ──► station, or answered here

While one waits for its size the CSMS's further CALLs wait behind it, for their order is the CSMS's.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ocppress_codecs.rpc import Message, OcppVersion
from ocppress_gateway.core.bypass import CONCERNED, Route, Transfer, routes_of, routes_taken, transfer_of
from ocppress_gateway.core.conversation import Counters
from ocppress_gateway.core.events import Effect, Level, Note, SizeTransfer, TransferSized
from ocppress_gateway.core.lanes import Relay
from ocppress_gateway.core.limits import WAITING_TEXT_MAX
from ocppress_gateway.core.transfer_rules import Refusal, TransferRules, can_be_sized, refusal_answer
from ocppress_gateway.masking import elided, masked_url

__all__ = ["ROUTE_TAKEN", "TransferGuard", "TransferGuards"]

ROUTE_TAKEN: Final = "a station has taken an address that may lead around the gateway"
"""What is said of an answer that accepts a route: the one error that is no fault, but somebody has to look."""

SIZE_WAIT_S: Final = 6.0
"""How long a CALL waits for a size: whoever finds it gives up after 5 s."""

LIFE_WAITED_MAX: Final = 0.5
"""Share of the time that a CALL has left which it waits at most: the rest is for its way."""

SIZES_AWAITED_MAX: Final = 4
"""Transfers of a station that have gone on and whose size is to be told; a station has one of each kind."""

ROUTES_AWAITED_MAX: Final = 4
"""CALLs with routes whose answers are waited for; a CSMS has one under way."""

NAME_CHARACTERS_MAX: Final = 64
"""Of a setting's name in the log."""


@dataclass(slots=True)
class TransferGuards:
    """What the guards of all stations share."""

    rules: TransferRules
    wall_s: Callable[[], float]
    """Unix seconds."""
    counters: Counters
    tickets: int = 0

    def new_ticket(self) -> int:
        self.tickets += 1
        return self.tickets


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A CALL that waits for its size, no later than `until`."""

    ticket: int
    version: OcppVersion
    relay: Relay
    message: Message
    transfer: Transfer
    until: float


class TransferGuard:
    """That of one station."""

    def __init__(
        self,
        identity: str,
        shared: TransferGuards,
        *,
        month_percent: Callable[[], int | None],
        let_through: Callable[[Relay, Message], None],
        answer: Callable[[Relay, Message, list[Effect]], None],
    ) -> None:
        """`month_percent` is the SIM's, of its budget, None while that isn't known. `let_through` sends a CALL on its way, `answer` the CSMS an answer."""
        self._identity = identity
        self._shared = shared
        self._month_percent = month_percent
        self._let_through = let_through
        self._answer = answer
        self._waiting: _Waiting | None = None
        self._behind: deque[tuple[Relay, Message]] = deque()
        self._to_be_told: OrderedDict[int, Transfer] = OrderedDict()
        self._routes: deque[tuple[Relay, tuple[Route, ...]]] = deque(maxlen=ROUTES_AWAITED_MAX)

    def take(self, version: OcppVersion, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        """A CALL of the CSMS; false if it doesn't go on now: then `let_through` or `answer` is called for it."""
        if self._waiting is not None:
            self._behind.append((relay, message))
            if sum(len(other.body) for _, other in self._behind) > WAITING_TEXT_MAX:
                self._decide(self._waiting, None, "too much waits behind it", now, out)
            return False
        if message.action not in CONCERNED:
            return True
        transfer = transfer_of(message)
        if transfer is not None:
            return self._take_transfer(version, relay, message, transfer, now, out)
        if routes := routes_of(message):
            self._routes.append((relay, routes))
            self._tell_routes(
                Level.WARNING, "the CSMS gives a station an address that may lead around the gateway", message.action, routes, out
            )
        return True

    def sized(self, event: TransferSized, now: float, out: list[Effect]) -> None:
        """It is known how large a file is, or that it can't be known."""
        if self._waiting is not None and self._waiting.ticket == event.ticket:
            self._decide(self._waiting, event.size_bytes, event.reason, now, out)
            return
        transfer = self._to_be_told.pop(event.ticket, None)
        if transfer is not None:
            level = Level.INFO if event.size_bytes is None else Level.WARNING
            out.append(
                self._note(level, "size of a transfer around the gateway", **_shown(transfer), **_size(event.size_bytes, event.reason))
            )

    def answered(self, relay: Relay, answer: Message, out: list[Effect]) -> None:
        """The station's answer to a CALL."""
        for asking, routes in self._routes:
            if asking is relay and (taken := routes_taken(routes, answer)):
                self._shared.counters.routes_taken += 1
                self._tell_routes(Level.ERROR, ROUTE_TAKEN, relay.action, taken, out)

    def forget(self) -> None:
        """The CSMS has given its CALLs up."""
        self._waiting = None
        self._behind.clear()
        self._routes.clear()

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do."""
        return None if self._waiting is None else self._waiting.until

    def expire(self, now: float, out: list[Effect]) -> None:
        """Wait no longer than is worth it."""
        if self._waiting is not None and now >= self._waiting.until:
            self._decide(self._waiting, None, "it wasn't found out in time", now, out)

    def _take_transfer(
        self, version: OcppVersion, relay: Relay, message: Message, transfer: Transfer, now: float, out: list[Effect]
    ) -> bool:
        self._shared.counters.transfers += 1
        refusal = self._refusal(transfer, None)
        if refusal is None and can_be_sized(transfer):
            ticket = self._shared.new_ticket()
            out.append(SizeTransfer(self._identity, ticket, transfer.url))
            if self._shared.rules.need_size(transfer):
                until = now + min(SIZE_WAIT_S, LIFE_WAITED_MAX * (relay.expires_at - now))
                self._waiting = _Waiting(ticket, version, relay, message, transfer, until)
                return False
            self._to_be_told[ticket] = transfer
            if len(self._to_be_told) > SIZES_AWAITED_MAX:
                self._to_be_told.popitem(last=False)
        return self._pass_or_refuse(version, relay, transfer, refusal, {}, out)

    def _decide(self, waiting: _Waiting, size_bytes: int | None, reason: str, now: float, out: list[Effect]) -> None:
        """The CALL that waits waits no longer, and those behind it follow."""
        self._waiting = None
        refusal = self._refusal(waiting.transfer, size_bytes)
        if self._pass_or_refuse(waiting.version, waiting.relay, waiting.transfer, refusal, _size(size_bytes, reason), out):
            self._let_through(waiting.relay, waiting.message)
        behind, self._behind = self._behind, deque()
        for relay, message in behind:
            if self.take(waiting.version, relay, message, now, out):
                self._let_through(relay, message)

    def _refusal(self, transfer: Transfer, size_bytes: int | None) -> Refusal | None:
        return self._shared.rules.refusal(
            transfer, now_unix_s=self._shared.wall_s(), month_percent=self._month_percent(), size_bytes=size_bytes
        )

    def _pass_or_refuse(
        self, version: OcppVersion, relay: Relay, transfer: Transfer, refusal: Refusal | None, size: dict[str, Any], out: list[Effect]
    ) -> bool:
        if refusal is None:
            out.append(self._note(Level.WARNING, "the CSMS asks for a transfer that goes around the gateway", **_shown(transfer), **size))
            return True
        self._shared.counters.transfers_refused += 1
        out.append(self._note(Level.WARNING, "a transfer around the gateway is refused", **_shown(transfer), **size, why=refusal.text))
        self._answer(relay, refusal_answer(version, transfer.action, refusal), out)
        return False

    def _tell_routes(self, level: Level, words: str, action: str, routes: tuple[Route, ...], out: list[Effect]) -> None:
        for route in routes:
            out.append(self._note(level, words, action=action, name=elided(route.name, NAME_CHARACTERS_MAX), url=masked_url(route.url)))

    def _note(self, level: Level, words: str, **fields: Any) -> Note:
        return Note(level, words, {"station": self._identity, **fields})


def _shown(transfer: Transfer) -> dict[str, Any]:
    return {"action": transfer.action, "way": transfer.way.value, "url": masked_url(transfer.url)}


def _size(size_bytes: int | None, reason: str) -> dict[str, Any]:
    return {"size": "unknown", "reason": reason} if size_bytes is None else {"mb": round(size_bytes / 1e6, 3)}
