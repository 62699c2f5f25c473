"""Which class and which turn a message has: pure functions of its version and text.

Nothing here changes a message or raises: what cannot be read for certain, an event type that stands in a payload twice for
instance, is in the class that promises least to the station, `RELAY`. The classes speak of what a station sends; an answer goes
as its CALL does.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.compact import pairs
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, payload_text
from ocppress_gateway.core.answers import decoded
from ocppress_gateway.core.empty_answers import EMPTY_ANSWER_ACTIONS

__all__ = [
    "ANSWERABLE",
    "NO_OVERRIDES",
    "MessageClass",
    "Overrides",
    "Turn",
    "class_of",
    "is_transaction",
    "is_urgent",
    "own_members",
    "turn_of",
]


class MessageClass(enum.StrEnum):
    """Who owns a station's CALL, and who may answer it."""

    RELAY = "relay"
    """Waits for the CSMS's answer."""

    BATCH = "batch"
    """May be answered by the edge once it is on disk, and delivered within the plan's delay."""

    HEARTBEAT = "heartbeat"
    """May be answered by the edge from its own knowledge."""


class Turn(enum.IntEnum):
    """What goes before what, on the link and at a socket (rule R4); within a turn, what came first goes first."""

    PROMPT = 0
    """Somebody waits for the answer, or it is one."""

    EXPRESS = 1
    """What the edge may answer, and has no transaction: it never overtakes what was stored of its kind."""

    ORDERED = 2
    """Transactions."""


SENT_BY_CSMS: Final = frozenset({"UpdateFirmware", "CostUpdated", "NotifyWebPaymentStarted"})
"""Actions with an empty answer that travel towards the station: one that comes from a station is a mistake, for the CSMS to refuse."""

URGENT_ACTIONS: Final = frozenset(
    {"StatusNotification", "SecurityEventNotification", "NotifyEvent", "NotifyDERAlarm", "NotifyDERStartStop"}
)
"""Actions that somebody may be waiting for (rule R5): a status, an alarm."""

_PERIODIC_TRIGGERS: Final = frozenset({"MeterValuePeriodic", "MeterValueClock", "ChargingStateChanged"})
"""triggerReasons of a TransactionEvent Updated to which a CSMS has nothing to say that could not come later."""

_TRANSACTION_ACTIONS: Final = frozenset({"TransactionEvent", "StartTransaction", "StopTransaction"})


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the operator decides otherwise, by action: `relay` more, or `answer` more of `ANSWERABLE`."""

    relay: frozenset[str] = frozenset()
    answer: frozenset[str] = frozenset()


NO_OVERRIDES: Final = Overrides()

ANSWERABLE: Final = frozenset({"TransactionEvent"})
"""Actions whose answer has no required member but may have content: the operator can say that his CSMS sends none that matters."""


def class_of(version: OcppVersion, message: Message, overrides: Overrides = NO_OVERRIDES) -> MessageClass:
    """The class of a station's `message`; `RELAY` for answers and SENDs, to which nobody waits for an answer."""
    if message.type is not MessageType.CALL or message.action in overrides.relay:
        return MessageClass.RELAY
    if message.action == "Heartbeat":
        return MessageClass.HEARTBEAT
    if message.action in EMPTY_ANSWER_ACTIONS[version]:
        return MessageClass.RELAY if message.action in SENT_BY_CSMS else MessageClass.BATCH
    if version is not OcppVersion.V16 and message.action == "TransactionEvent" and _may_be_answered(message, overrides):
        return MessageClass.BATCH
    return MessageClass.RELAY


def is_urgent(message: Message) -> bool:
    """Whether a batched `message` is flushed within seconds (rule R5)."""
    if message.action == "TransactionEvent":
        triggers = own_members(message).get("triggerReason", ())
        return [decoded(trigger) for trigger in triggers] == ["ChargingStateChanged"]
    return message.action in URGENT_ACTIONS


def is_transaction(message: Message) -> bool:
    """Whether a station's `message` reports on a transaction.

    In 2.x TransactionEvent; in 1.6 StartTransaction, StopTransaction, and MeterValues with a transactionId. No version has another's, so none is
    asked for: an outbox may hold messages of the version that its station spoke before, and the far end counts them as they were.
    """
    if message.type is not MessageType.CALL:
        return False
    if message.action == "MeterValues":
        return any(value != "null" for value in own_members(message).get("transactionId", ()))
    return message.action in _TRANSACTION_ACTIONS


def turn_of(version: OcppVersion, message: Message) -> Turn:
    """When it is `message`'s turn; what a CSMS sends and all answers are `PROMPT`."""
    if is_transaction(message):
        return Turn.ORDERED
    if message.type is not MessageType.CALL or message.action in SENT_BY_CSMS:
        return Turn.PROMPT
    return Turn.EXPRESS if message.action in EMPTY_ANSWER_ACTIONS[version] else Turn.PROMPT


def _may_be_answered(message: Message, overrides: Overrides) -> bool:
    found = own_members(message)
    event_types, trigger_reasons = found.get("eventType", ()), found.get("triggerReason", ())
    if "idToken" in found or len(event_types) != 1 or len(trigger_reasons) != 1:
        return False
    if message.action in overrides.answer:
        return True
    return decoded(event_types[0]) == "Updated" and decoded(trigger_reasons[0]) in _PERIODIC_TRIGGERS


@functools.lru_cache(1)
def own_members(message: Message) -> Mapping[str, Sequence[str]]:
    """The texts of the values that the payload's own members have, by name, nested members not counted.

    An object may repeat a member, so each name has all of them in order; none if the body is not JSON. What has just come is asked for its
    class, its turn and its transaction one after the other, and reading it is most of what an edge does for it: so the last answer is kept.
    """
    try:
        payload = payload_text(message)
    except ValueError:
        return {}
    found: dict[str, list[str]] = {}
    for name, value in pairs(payload) or ():
        found.setdefault(decoded(name), []).append(value)
    return found
