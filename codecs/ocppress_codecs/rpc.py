"""The OCPP-J message (Part 4, chapter 4): split and joined as text, never converted.

    [2,"19223201","Heartbeat",{}]
     │      │          └─ body: all that follows the id, here  "Heartbeat",{}
     │      └─ message id: regenerated at the far end, so it is kept beside the message
     └─ message type

`parse` gives the id and a `Message`; `render` makes a text again. What lies between carries `Message.body` exactly.
"""

from __future__ import annotations

import enum
import json
from json.encoder import encode_basestring_ascii
from typing import Final, final

from mypy_extensions import mypyc_attr

from ocppress_codecs.compact import members
from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.jsontext import JsonError, tokens

__all__ = [
    "MESSAGE_ID_CHARACTERS_MAX",
    "Message",
    "MessageType",
    "OcppVersion",
    "action_of",
    "parse",
    "payload_text",
    "render",
]

MESSAGE_ID_CHARACTERS_MAX: Final = 255
"""OCPP allows 36; stations in the field exceed it, and the id never crosses the link."""


class OcppVersion(enum.StrEnum):
    """The editions of OCPP-J carried here; the value is the one in the sub-protocol's name."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"

    @property
    def subprotocol(self) -> str:
        """The WebSocket sub-protocol, as registered with IANA."""
        return f"ocpp{self.value}"


class MessageType(enum.IntEnum):
    """MessageTypeId of OCPP-J; CALLRESULTERROR and SEND since 2.1."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5
    SEND = 6


_MEMBERS_MAX: Final = 5
"""Of a message: type, id, and of an error code, description and details."""

_HAS_ACTION: Final = frozenset({MessageType.CALL, MessageType.SEND})
_IS_ERROR: Final = frozenset({MessageType.CALLERROR, MessageType.CALLRESULTERROR})


@final
@mypyc_attr(acyclic=True)
class Message:
    """One OCPP-J message without its id.

    `body` is the exact text after the id without insignificant white space: `"Heartbeat",{}` for a CALL or SEND,
    `{}` for a CALLRESULT, `"NotSupported","",{}` for the errors. `action` is its first member decoded, "" for
    answers. `call` ties messages together without ids: a CALL's own number in its direction and epoch (0, 1, …; set by
    whoever counts), for CALLRESULT and CALLERROR the number of the other direction's CALL that it answers, for
    CALLRESULTERROR the number of the CALL in its own direction whose result it complains of. None where there is no
    such CALL. Not a dataclass, as such a one takes six times as long to make, and every message is made several times.
    """

    __slots__ = ("action", "body", "call", "type")

    def __init__(self, type: MessageType, action: str, body: str, call: int | None = None) -> None:  # noqa: A002 - it is the attribute's name
        self.type: Final[MessageType] = type
        self.action: Final[str] = action
        self.body: Final[str] = body
        self.call: Final[int | None] = call

    def with_call(self, call: int | None) -> Message:
        """The same message, tied to CALL number `call`."""
        return Message(self.type, self.action, self.body, call)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Message)
            and self.type is other.type
            and self.call == other.call
            and self.body == other.body
            and self.action == other.action
        )

    def __hash__(self) -> int:
        return hash((self.type, self.action, self.body, self.call))

    def __repr__(self) -> str:
        return f"Message({self.type!r}, {self.action!r}, {self.body!r}, {self.call!r})"


def parse(text: str) -> tuple[str, Message]:
    """Split one WebSocket text message into its id and the rest.

    Raises `NotOcppJ`, whose attributes say whether and under which id to answer.
    """
    found = members(text, _MEMBERS_MAX)
    if found is None:
        try:
            parts = tokens(text)
        except JsonError as error:
            raise NotOcppJ(str(error)) from None
        found = _members(parts)
    if not found:
        raise NotOcppJ("not a JSON array with members")
    number = found[0]
    message_id = _string(found[1]) if len(found) > 1 else None
    if message_id is not None and len(message_id) > MESSAGE_ID_CHARACTERS_MAX:
        message_id = None
    if number not in _TYPES:
        unknown = number.isdigit() and message_id is not None
        raise NotOcppJ(f"message type {number[:20]}", message_id=message_id, well_formed_unknown=unknown)
    message_type = _TYPES[number]
    answerable = message_type is MessageType.CALL
    if message_id is None:
        raise NotOcppJ("the message id cannot be read", answerable=answerable)
    rest = found[2:]
    action = ""
    reason = ""
    if message_type in _HAS_ACTION:
        name = _string(rest[0]) if rest else None
        if name is None:
            reason = "the action is missing or not a string"
        elif len(rest) != 2 or rest[1][0] != "{":
            reason = "the payload is missing or not an object"
        action = name or ""
    elif message_type in _IS_ERROR:
        # errorDetails that are a string, or left out, occur in the field: carried as they are.
        if not 1 <= len(rest) <= 3 or _string(rest[0]) is None or (len(rest) > 1 and _string(rest[1]) is None):
            reason = "errorCode or errorDescription are missing or not strings"
    elif len(rest) != 1 or rest[0][0] != "{":
        reason = "the payload is missing or not an object"
    if reason:
        raise NotOcppJ(reason, message_id=message_id, answerable=answerable)
    return message_id, Message(message_type, action, ",".join(rest))


def render(message_id: str, message: Message) -> str:
    """The text of `message` under `message_id`, without insignificant white space."""
    # What json.dumps does of a string, without its detours.
    return f"[{int(message.type)},{encode_basestring_ascii(message_id)},{message.body}]"


def payload_text(message: Message) -> str:
    """The payload object's exact text; for the errors the three members after the id. Raises `ValueError` for a body that begins with no string."""
    return message.body[len(_action_token(message.body)) + 1 :] if message.type in _HAS_ACTION else message.body


def action_of(message_type: MessageType, body: str) -> str:
    """The action in the body of a message that `parse` has accepted, "" for answers."""
    if message_type not in _HAS_ACTION:
        return ""
    action = json.loads(_action_token(body))
    assert isinstance(action, str)
    return action


def _action_token(body: str) -> str:
    """The JSON string that a body begins with."""
    token = body[: body.index('"', 1) + 1]
    return tokens(f"[{body}]")[1] if "\\" in token else token


_TYPES: Final = {str(member.value): member for member in MessageType}


def _members(parts: list[str]) -> list[str]:
    """The texts of an array's members; none if the value is not an array."""
    found: list[str] = []
    current: list[str] = []
    depth = 0
    for token in parts[1:-1] if parts[0] == "[" else []:
        if token == "," and depth == 0:
            found.append("".join(current))
            current = []
            continue
        if token in ("{", "["):
            depth += 1
        elif token in ("}", "]"):
            depth -= 1
        current.append(token)
    if current:
        found.append("".join(current))
    return found


def _string(member: str) -> str | None:
    if member[0] != '"':
        return None
    if "\\" not in member:
        return member[1:-1]
    value = json.loads(member)
    assert isinstance(value, str)
    return value
