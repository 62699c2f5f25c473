"""What every codec offers: an `Endpoint` per station, end of the link and epoch.

An endpoint is a pair of an `Encoder` for what this end sends and a `Decoder` for what it receives. One epoch is the life of one
endpoint at each end: both begin empty, each frame moves one encoder and the far end's decoder by the same step, and
frames are decoded in the order in which they were encoded, each once. Whoever loses a step starts a new epoch.

Message ids are not carried. A CALL has a number instead: its place among the CALLs of its direction and epoch, 0 first.
An encoder counts the CALLs it encodes and a decoder those it decodes, so both know the number without sending it.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.account import Account
from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import Malformed
from ocppress_codecs.rpc import Message, OcppVersion

__all__ = [
    "FRAME_BYTES_MAX",
    "FRAME_TEXT_BYTES_MAX",
    "CodecName",
    "Decoder",
    "Encoder",
    "Endpoint",
    "Side",
]

FRAME_TEXT_BYTES_MAX: Final = 2 * 1024 * 1024
"""Text that one frame may expand to. Twice the largest message the gateway takes, so that a batch with one still fits."""

FRAME_BYTES_MAX: Final = FRAME_TEXT_BYTES_MAX + 1024
"""A frame never grows beyond the text it carries but for a header and a checksum."""


class Side(enum.StrEnum):
    """Which end of the link an endpoint stands at; the edge sends up, the cloud down."""

    EDGE = "edge"
    CLOUD = "cloud"


class CodecName(enum.StrEnum):
    """The codecs, as named in the hello and on the command line."""

    VERBATIM = "verbatim"
    CBOR_ZSTD = "cbor-zstd"
    ADAPTIVE = "adaptive"


class Encoder(abc.ABC):
    """Turns batches into frames; one direction of one station in one epoch."""

    calls: CallLog
    """The CALLs encoded so far; `calls.count` is the number that the next CALL will have."""

    @abc.abstractmethod
    def encode(self, batch: Sequence[Message]) -> bytes:
        """One frame that carries `batch`, in order.

        CALLs get the numbers `calls.count`, `calls.count + 1`, …; their `call` is ignored. The frame has been decoded again and compared
        before this returns. After this you must hand the frame to the far end's decoder before any later one.
        Raises `EncodeError` (state unchanged) if the batch is empty or exceeds `FRAME_TEXT_BYTES_MAX`, or, with thousands of messages, a codec's limit of work.
        """

    def saved(self) -> bytes | None:
        """This direction's state, the same bytes as those of the far end's decoder after the same frames; None if this codec saves nothing."""
        return None

    def restore(self, saved: bytes) -> None:
        """Go on from what `saved` gave, in the place of this state. Raises `DecodeError` (state unchanged) for anything else, or of another release."""
        raise Malformed("this codec saves nothing")


class Decoder(abc.ABC):
    """Turns frames back into batches; one direction of one station in one epoch."""

    calls: CallLog
    """The CALLs decoded so far."""

    @abc.abstractmethod
    def decode(self, frame: bytes, account: Account | None = None) -> list[Message]:
        """The batch that `frame` carries, CALLs with their numbers; `account`, a fresh one, gets what each part of the frame took.

        Raises `DecodeError` (state unchanged): then the contexts differ or the peer is hostile, and you must start a new epoch.
        """

    def saved(self) -> bytes | None:
        """This direction's state, the same bytes as those of the far end's encoder after the same frames; None if this codec saves nothing."""
        return None

    def restore(self, saved: bytes) -> None:
        """Go on from what `saved` gave, in the place of this state. Raises `DecodeError` (state unchanged) for anything else, or of another release."""
        raise Malformed("this codec saves nothing")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The two contexts of one station at one end."""

    encoder: Encoder
    decoder: Decoder


EndpointFactory = Callable[[OcppVersion, Side], Endpoint]
