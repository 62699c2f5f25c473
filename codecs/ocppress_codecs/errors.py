"""What can go wrong in a codec, as data.

CodecError
├── EncodeError            our side gave something that the format cannot hold: a mistake of ours
└── DecodeError            the peer's bytes are not acceptable: reset the context, never guess
    ├── Truncated          the frame ends too early
    ├── Malformed          the frame cannot have come from an encoder of this codec
    ├── IntegrityError     the checksum over the decoded text differs: the contexts differ
    └── LimitExceeded      a named limit; checked before anything is allocated

NotOcppJ                   a text that is not an OCPP-J message (see `rpc`), with what to answer
"""

from __future__ import annotations

__all__ = [
    "CodecError",
    "DecodeError",
    "EncodeError",
    "IntegrityError",
    "LimitExceeded",
    "Malformed",
    "NotOcppJ",
    "Truncated",
]


class CodecError(Exception):
    """Base of what codecs raise; `code` is stable and goes into logs, metrics and vectors."""

    code = "codec"


class EncodeError(CodecError):
    """A batch that no frame can hold. The encoder's state is as it was before."""

    code = "encode"


class DecodeError(CodecError):
    """A frame that cannot be decoded. The decoder's state is as it was before."""

    code = "decode"


class Truncated(DecodeError):
    """The frame ends before what it announces."""

    code = "truncated"


class Malformed(DecodeError):
    """The frame breaks the format."""

    code = "malformed"


class IntegrityError(DecodeError):
    """The checksum of the frame is not that of the decoded text; `expected` is the one that would be, b"" where it isn't a frame that was refused."""

    code = "integrity"

    def __init__(self, reason: str, expected: bytes = b"") -> None:
        super().__init__(reason)
        self.expected = expected


class LimitExceeded(DecodeError):
    """The frame asks for more than a named limit allows."""

    code = "limit"

    def __init__(self, limit: str, maximum: int, actual: int) -> None:
        super().__init__(f"{limit}: at most {maximum}, got {actual}")
        self.limit = limit
        self.maximum = maximum
        self.actual = actual


class NotOcppJ(Exception):
    """A text that is not an OCPP-J message.

    `message_id` is the id of the CALL that could still be read, else None. `answerable` is false where the text
    is an answer or a SEND, which are never answered. `well_formed_unknown` marks a well-formed message of a type
    that this edition doesn't know; the 2026-02 errata of OCPP 2.x have it ignored.
    """

    def __init__(
        self,
        reason: str,
        *,
        message_id: str | None = None,
        answerable: bool = True,
        well_formed_unknown: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message_id = message_id
        self.answerable = answerable
        self.well_formed_unknown = well_formed_unknown
