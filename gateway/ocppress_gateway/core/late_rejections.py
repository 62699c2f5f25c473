"""Transactions whose idToken the CSMS rejects when their station has its answer already: by the operator's option the gateway stops them (rule R7).

    TransactionEvent answered early ──► CSMS ──► {"idTokenInfo":{"status":"Blocked"}} ──► RequestStopTransaction ──► Accepted: done
                                                                                    └──► anything else: again with the next message

2.x only: an answer to a 1.6 MeterValues has no idTagInfo. Asked is at most once at a time and a few times in all; a CSMS that accepts the token after
all is heard too.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, payload_text
from ocppress_gateway.core.answers import members
from ocppress_gateway.core.lanes import Outgoing, Relay

__all__ = ["STOP_ATTEMPTS_MAX", "LateRejections", "Rejected"]

STOP_ATTEMPTS_MAX: Final = 5
"""RequestStopTransactions for one transaction; a station that doesn't know it, or never answers, would have one with each meter value."""

TRANSACTIONS_REMEMBERED_MAX: Final = 32
"""Rejected transactions of one station, the one rejected longest ago forgotten first: it has a few connectors."""

TRANSACTION_ID_CHARACTERS_MAX: Final = 36
"""Characters of a transactionId (2.x Part 2, RequestStopTransactionRequest); one that is longer can't be stopped."""

ACTION: Final = "RequestStopTransaction"

NO_SOCKET: Final = 0
"""Sockets are numbered from 1."""


@dataclass(slots=True, eq=False)
class Rejected:
    """A transaction that the CSMS rejects."""

    transaction: str
    """Its id, as its station writes it: a JSON string."""
    status: str
    """What the CSMS says of its idToken."""
    attempts: int = 0
    relay: Relay | None = None
    """The CALL that is under way."""
    done: bool = False

    @property
    def transaction_id(self) -> str:
        """For people."""
        return _text(self.transaction)

    @property
    def gives_up(self) -> bool:
        """Whether its station won't be asked again, though it hasn't accepted."""
        return not self.done and self.attempts >= STOP_ATTEMPTS_MAX


class LateRejections:
    """Those of one station. `now` in seconds of the machine's clock."""

    def __init__(self) -> None:
        self._rejected: OrderedDict[str, Rejected] = OrderedDict()

    def heard(self, call: Message, answer: Message, now: float) -> Rejected | None:
        """The CSMS has answered a TransactionEvent that was answered early: the transaction that is to be stopped now, if there is one."""
        said = members(payload_text(call))
        transaction = members(said.get("transactionInfo", "")).get("transactionId", "")
        if not _is_id(transaction):
            return None
        status = _text(members(members(answer.body).get("idTokenInfo", "")).get("status", ""))
        rejected = self._rejected.get(transaction)
        if said.get("eventType") == '"Ended"' or (status == "Accepted" and rejected is not None and not rejected.done):
            self._rejected.pop(transaction, None)
            return None
        if rejected is None:
            if status in ("", "Accepted"):
                return None
            rejected = self._rejected[transaction] = Rejected(transaction, status)
            if len(self._rejected) > TRANSACTIONS_REMEMBERED_MAX:
                self._rejected.popitem(last=False)
        under_way = rejected.relay is not None and now < rejected.relay.expires_at
        return None if under_way or rejected.done or rejected.gives_up else rejected

    def ask(self, rejected: Rejected, expires_at: float) -> Outgoing:
        """The CALL that stops a transaction, its id spelled as its station does (2.x F03). It comes from no socket, so that no CSMS gets its answer."""
        relay = Relay(NO_SOCKET, rejected.transaction, expires_at, action=ACTION)
        rejected.attempts += 1
        rejected.relay = relay
        message = Message(MessageType.CALL, ACTION, f'"{ACTION}",{{"transactionId":{rejected.transaction}}}')
        return Outgoing(message, expires_at, relay)

    def answered(self, relay: Relay, accepted: bool) -> Rejected | None:
        """The station's answer to a CALL, in time or late; the transaction that it is about, None if the CALL isn't one of these or it is no news."""
        rejected = self._rejected.get(relay.message_id) if relay.socket == NO_SOCKET else None
        if rejected is None or rejected.done:
            return None
        if rejected.relay is relay:
            rejected.relay = None
        rejected.done = accepted
        return rejected


def _is_id(token: str) -> bool:
    return 0 < len(_text(token)) <= TRANSACTION_ID_CHARACTERS_MAX


def _text(token: str) -> str:
    """A string token's value; "" for anything else."""
    return str(json.loads(token)) if token[:1] == '"' else ""
