"""Which transactions of one station run, as far as its messages and the CSMS's answers tell."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ocppress_codecs.rpc import Message
from ocppress_gateway.core.answers import members
from ocppress_gateway.core.policy import own_members

__all__ = ["Transactions"]

REMEMBERED_MAX: Final = 64
"""Running transactions of one station, a connector's each."""

SILENCE_S: Final = 24 * 3600.0
"""A transaction of which nothing was heard for so long has ended without a word, with its station's memory for instance."""


class Transactions:
    """Those known to run. After a restart, that is none until they say something. `now` in seconds of the machine's clock."""

    def __init__(self) -> None:
        self._heard_at: OrderedDict[str, float] = OrderedDict()
        """By the text of the id, a JSON token."""

    def count(self, now: float) -> int:
        """How many run."""
        while self._heard_at and now - next(iter(self._heard_at.values())) >= SILENCE_S:
            self._heard_at.popitem(last=False)
        return len(self._heard_at)

    def take(self, message: Message, now: float) -> None:
        """A message of a transaction, from the station."""
        if message.action == "TransactionEvent":
            transaction = members(_last(message, "transactionInfo")).get("transactionId", "")
            ended = _last(message, "eventType") == '"Ended"'
        else:
            transaction, ended = _last(message, "transactionId"), message.action == "StopTransaction"
        if ended:
            self._heard_at.pop(transaction, None)
        elif transaction:
            self._runs(transaction, now)

    def started(self, answer: Message, now: float) -> None:
        """The CSMS's CALLRESULT to a StartTransaction of 1.6, which has the id."""
        transaction = members(answer.body).get("transactionId", "")
        if transaction:
            self._runs(transaction, now)

    def _runs(self, transaction: str, now: float) -> None:
        self._heard_at[transaction] = now
        self._heard_at.move_to_end(transaction)
        if len(self._heard_at) > REMEMBERED_MAX:
            self._heard_at.popitem(last=False)


def _last(message: Message, name: str) -> str:
    """The text of the payload's own member of this name, of a repeated one the last; "" without one."""
    return own_members(message).get(name, ("",))[-1]
