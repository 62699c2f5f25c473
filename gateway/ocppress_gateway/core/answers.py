"""The few places where the gateway looks into an answer or writes one: pure, on tokens, so that nothing else changes by a character."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from ocppress_codecs.compact import pairs
from ocppress_codecs.jsontext import JsonError, tokens
from ocppress_codecs.rpc import Message, MessageType

__all__ = [
    "EMPTY_ANSWER",
    "FINAL_ERRORS",
    "BootAnswer",
    "boot_answer",
    "content_of",
    "csms_time_s",
    "decoded",
    "error_of",
    "heartbeat_answer",
    "is_accepted",
    "members",
    "with_messages_in_queue",
]

EMPTY_ANSWER: Final = Message(MessageType.CALLRESULT, "", "{}")

FINAL_ERRORS: Final = frozenset(
    {
        "NotImplemented",
        "NotSupported",
        "FormatViolation",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurrenceConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "SecurityError",
        "ProtocolError",
        "MessageTypeNotSupported",
    }
)
"""Error codes (1.6-J 4.2.3; 2.x Part 4, 4.3) after which the same text will be refused again; with both spellings that editions have."""

INTERVAL_S_MAX: Final = 7 * 24 * 3600
"""Of a BootNotification's answer; OCPP wants a Heartbeat a day at least (G02.FR.07), so what is longer is a mistake."""

BootAnswer = tuple[bool, int]
"""Whether the station is accepted, and its heartbeat interval in seconds, 0 if none can be read."""


def members(payload: str) -> dict[str, str]:
    """The members of an object by name, each with the text of its value; of a repeated one the last counts. Empty if it is no object."""
    return {decoded(name): value for name, value in pairs(payload) or ()}


def decoded(token: str) -> str:
    """A string token's value; other tokens as they are."""
    if token[0] != '"':
        return token
    return str(json.loads(token)) if "\\" in token else token[1:-1]


def boot_answer(answer: Message) -> BootAnswer:
    """What the answer to a BootNotification says."""
    found = members(answer.body) if answer.type is MessageType.CALLRESULT else {}
    interval = found.get("interval", "")
    seconds = int(interval) if interval.isascii() and interval.isdigit() and len(interval) < 9 else 0
    return found.get("status") == '"Accepted"', min(seconds, INTERVAL_S_MAX)


def is_accepted(answer: Message) -> bool:
    """Whether a station's answer to a command says that it carries it out."""
    return answer.type is MessageType.CALLRESULT and members(answer.body).get("status") == '"Accepted"'


def csms_time_s(answer: Message) -> float | None:
    """`currentTime` of an answer to BootNotification or Heartbeat, in Unix seconds; None if there is none that can be read."""
    found = members(answer.body) if answer.type is MessageType.CALLRESULT else {}
    text = found.get("currentTime", "")
    try:
        moment = datetime.fromisoformat(str(json.loads(text)))
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < 2**47 / 1000 else None


def heartbeat_answer(unix_s: float) -> Message:
    """The answer to a Heartbeat at this time, without the fraction that OCPP recommends to leave out (2.x Part 2, 3.1)."""
    moment = datetime.fromtimestamp(int(unix_s), UTC)
    return Message(MessageType.CALLRESULT, "", f'{{"currentTime":"{moment:%Y-%m-%dT%H:%M:%SZ}"}}')


CONTENT: Final = frozenset({"totalCost", "chargingPriority", "updatedPersonalMessage", "updatedPersonalMessageExtra", "transactionLimit"})
"""Members of a TransactionEventResponse that the station would act on (2.x Part 2, 1.84.2)."""


def content_of(answer: Message) -> list[str]:
    """What a TransactionEventResponse says that its station would act on, by member; unknown members and a stray `status` don't count."""
    if answer.body == "{}":
        return []
    found = members(answer.body)
    names = sorted(name for name in found if name in CONTENT)
    if "idTokenInfo" in found and members(found["idTokenInfo"]).get("status") != '"Accepted"':
        names.append("idTokenInfo")
    return names


def error_of(answer: Message) -> tuple[str, str]:
    """Code and description of a CALLERROR."""
    parts = [str(json.loads(token)) for token in tokens(f"[{answer.body}]")[1:4:2] if token[0] == '"']
    return parts[0], parts[1] if len(parts) > 1 else ""


def with_messages_in_queue(answer: Message) -> Message:
    """The answer to GetTransactionStatus (E14.FR.04, FR.07) of a station whose messages wait in the gateway."""
    try:
        parts = tokens(answer.body)
    except JsonError:
        return answer
    depth = 0
    for place, token in enumerate(parts):
        if depth == 1 and token == '"messagesInQueue"' and parts[place + 1] == ":" and parts[place + 2] == "false":
            parts[place + 2] = "true"
            return Message(answer.type, answer.action, "".join(parts), answer.call)
        depth += (token in ("{", "[")) - (token in ("}", "]"))
    return answer
