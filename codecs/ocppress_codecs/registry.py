"""The codecs by name, and what two ends compare before they use one."""

from __future__ import annotations

import hashlib
from typing import Final

from ocppress_codecs import cbor_zstd, verbatim
from ocppress_codecs.adaptive import frames as adaptive
from ocppress_codecs.adaptive import prior as priors
from ocppress_codecs.adaptive.model import Knowledge
from ocppress_codecs.calls import CallLog
from ocppress_codecs.dictionary import Dictionary, shipped
from ocppress_codecs.interface import CodecName, Endpoint, Side
from ocppress_codecs.names import names_bytes
from ocppress_codecs.rpc import OcppVersion

__all__ = ["FINGERPRINT_BYTES", "fingerprint", "offers", "open_endpoint"]

FINGERPRINT_BYTES: Final = 4
"""Enough to tell the few releases apart that can ever meet; it guards against mistakes, not against attackers."""


def open_endpoint(
    name: CodecName,
    version: OcppVersion,
    side: Side,
    sent: CallLog | None = None,
    received: CallLog | None = None,
    *,
    dictionary: Dictionary | None = None,
    prior: Knowledge | None = None,
) -> Endpoint:
    """A fresh endpoint, at the start of an epoch. The far end opens its own with the same arguments but `side`.

    `sent` and `received` are the CALLs of the epoch before, where some are still open and shall keep their numbers; the far end has the same the
    other way round. `dictionary` (of cbor-zstd) and `prior` (of adaptive) are the shipped ones if None; different ones are for measuring.
    """
    sent = CallLog() if sent is None else sent
    received = CallLog() if received is None else received
    if name is CodecName.VERBATIM:
        return Endpoint(verbatim.VerbatimEncoder(sent), verbatim.VerbatimDecoder(received))
    if name is CodecName.ADAPTIVE:
        knowledge = prior or priors.shipped()
        return Endpoint(adaptive.AdaptiveEncoder(knowledge, sent, received), adaptive.AdaptiveDecoder(knowledge, received, sent))
    state = cbor_zstd.first_state((dictionary or shipped()).for_version(version))
    return Endpoint(cbor_zstd.CborZstdEncoder(sent, state), cbor_zstd.CborZstdDecoder(received, state))


def fingerprint(name: CodecName) -> bytes:
    """4 bytes that two ends have in common exactly if they can use this codec together."""
    if name is CodecName.VERBATIM:
        shared = f"{name} {verbatim.FORMAT_VERSION}\n".encode()
    elif name is CodecName.ADAPTIVE:
        shared = f"{name} {adaptive.FORMAT_VERSION}\n".encode() + names_bytes() + priors.shipped().fingerprint
    else:
        shared = f"{name} {cbor_zstd.FORMAT_VERSION}\n".encode() + names_bytes() + shipped().data
    return hashlib.blake2s(shared, digest_size=FINGERPRINT_BYTES).digest()


def offers() -> list[tuple[CodecName, bytes]]:
    """All codecs with their fingerprints, the preferred one first."""
    return [(name, fingerprint(name)) for name in (CodecName.ADAPTIVE, CodecName.CBOR_ZSTD, CodecName.VERBATIM)]
