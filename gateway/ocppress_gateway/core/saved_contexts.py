"""A station's contexts as they outlive the cloud's process; `resumption` has when they are used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ocppress_codecs.interface import CodecName, Endpoint, Side
from ocppress_codecs.packing import expanded, packed
from ocppress_codecs.registry import FINGERPRINT_BYTES, fingerprint, open_endpoint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.identity import EDGE_NAME_PATTERN, IDENTITY_PATTERN

__all__ = ["LeavingContext", "SavedContext", "read_contexts", "write_contexts"]

STATE_BYTES_MAX: Final = 256 * 1024
"""A direction's state once it is expanded; `adaptive` makes at most 130 KiB."""

PACKED_LEVEL: Final = 3
"""Of zstd: quick, for there may be thousands."""

_Frames = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]


class SavedContext(msgspec.Struct, frozen=True, kw_only=True):
    """Both directions of one station after `sent` and `received` frames of an epoch, at the cloud's end."""

    edge: Annotated[str, msgspec.Meta(pattern=EDGE_NAME_PATTERN)]
    identity: Annotated[str, msgspec.Meta(pattern=IDENTITY_PATTERN)]
    codec: CodecName
    fingerprint: Annotated[bytes, msgspec.Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]
    version: OcppVersion
    epoch: Annotated[int, msgspec.Meta(gt=0, lt=2**32)]
    sent: _Frames
    received: _Frames
    encoder: bytes
    """Packed behind the state that all begin with, of which most is still there: some 4 KB rather than 60."""
    decoder: bytes

    def endpoint(self) -> Endpoint:
        """Encoder and decoder as they were. Raises `DecodeError` if that is not what was saved."""
        endpoint = open_endpoint(self.codec, self.version, Side.CLOUD)
        first = _first_state(self.codec, self.version)
        endpoint.encoder.restore(expanded(self.encoder, first, STATE_BYTES_MAX))
        endpoint.decoder.restore(expanded(self.decoder, first, STATE_BYTES_MAX))
        return endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingContext:
    """Contexts that a machine has let go of. To pack them takes milliseconds, which whoever stores them spends beside the machine."""

    edge: str
    identity: str
    codec: CodecName
    version: OcppVersion
    epoch: int
    sent: int
    received: int
    states: Callable[[], tuple[bytes, bytes] | None]
    """Encoder's and decoder's; None if nothing can be saved."""

    def saved(self) -> SavedContext | None:
        """What to keep, if anything."""
        states = self.states()
        if states is None:
            return None
        first = _first_state(self.codec, self.version)
        return SavedContext(
            edge=self.edge,
            identity=self.identity,
            codec=self.codec,
            fingerprint=fingerprint(self.codec),
            version=self.version,
            epoch=self.epoch,
            sent=self.sent,
            received=self.received,
            encoder=packed(states[0], first, PACKED_LEVEL),
            decoder=packed(states[1], first, PACKED_LEVEL),
        )


def write_contexts(contexts: Iterable[SavedContext]) -> bytes:
    """An edge's in one piece: a MessagePack array."""
    return msgspec.msgpack.encode(tuple(contexts))


def read_contexts(data: bytes) -> tuple[SavedContext, ...]:
    """What `write_contexts` has written. Raises `ValueError` for anything else."""
    return msgspec.msgpack.decode(data, type=tuple[SavedContext, ...])


@functools.cache
def _first_state(codec: CodecName, version: OcppVersion) -> bytes:
    """What both directions begin with; none where nothing is saved."""
    return open_endpoint(codec, version, Side.CLOUD).encoder.saved() or b""
