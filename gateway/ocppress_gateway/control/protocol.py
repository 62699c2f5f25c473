"""What may be asked of a running program, and what it answers.

    {"ask":"status","station":"CP001"}\n                                     ──►
    {"lines":["edge 0.1.0, up 3 h 12 min",…],"data":{"program":"edge",…}}\n  ◄──
    {"error":"there is no dead letter 7"}\n                                  ◄── or so

One request a connection. `lines` are for people, `data` for `--json`; the program makes both, so that they are of its version.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ocppress_gateway.core.identity import IDENTITY_PATTERN

__all__ = [
    "ANSWER_BYTES_MAX",
    "REQUEST_BYTES_MAX",
    "Answer",
    "DeadDrop",
    "DeadList",
    "DeadReplay",
    "DeadShow",
    "Drain",
    "Request",
    "Status",
    "read_answer",
    "read_request",
    "write_line",
]

REQUEST_BYTES_MAX: Final = 4096
"""The longest request has an identity of 48 characters."""

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""A dead letter of 1 MiB, each of its characters escaped, once as a line and once as data, is not half of it."""

LETTERS_MAX: Final = 1000
"""Dead letters that one list has."""

Identity = Annotated[str, msgspec.Meta(pattern=IDENTITY_PATTERN)]
Key = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask"):
    """Base of the requests."""


class Status(_Request, frozen=True, kw_only=True, tag="status"):
    """How the program stands; with `station`, of its stations only that one."""

    station: Identity | None = None


class Drain(_Request, frozen=True, kw_only=True, tag="drain"):
    """Send all that is stored of a station now, or with `look` only say how it stands; answered at once."""

    station: Identity
    look: bool = False


class DeadList(_Request, frozen=True, kw_only=True, tag="dead list"):
    """The oldest dead letters, without what is in them."""

    station: Identity | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LETTERS_MAX)] = 100


class DeadShow(_Request, frozen=True, kw_only=True, tag="dead show"):
    """One dead letter with its text; `full` without masks."""

    key: Key
    full: bool = False


class DeadReplay(_Request, frozen=True, kw_only=True, tag="dead replay"):
    """Put a dead letter to the CSMS again; answers when the CSMS has."""

    key: Key


class DeadDrop(_Request, frozen=True, kw_only=True, tag="dead drop"):
    """Forget a dead letter."""

    key: Key


Request = Status | Drain | DeadList | DeadShow | DeadReplay | DeadDrop


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a request; `error`, for people, if nothing did."""

    lines: list[str] = []
    data: dict[str, Any] = {}
    error: str | None = None


_requests: Final = msgspec.json.Decoder(Request)
_answers: Final = msgspec.json.Decoder(Answer)


def read_request(line: bytes) -> Request:
    """Raises `ValueError`, with a text for people."""
    try:
        request: Request = _requests.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not understood: {str(error)[:200]}") from error
    return request


def read_answer(line: bytes) -> Answer:
    """Raises `ValueError`."""
    try:
        return _answers.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def write_line(message: Request | Answer) -> bytes:
    """With its line end; lone surrogates, which UTF-8 has no room for, become question marks."""
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:
        assert isinstance(message, Answer), "identities are ASCII"
        return msgspec.json.encode(_encodable(msgspec.to_builtins(message))) + b"\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
