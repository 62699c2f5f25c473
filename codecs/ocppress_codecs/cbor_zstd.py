"""The codec `cbor-zstd`: plain formats with libraries everywhere, CBOR (RFC 8949) and zstd (RFC 8878).

    ┌───────────────────┬──────────┐
    │ messages (CBOR)   │ checksum │      small frames: as they are; the first byte is below 0xfd
    └───────────────────┴──────────┘
    ┌──────┬────────────┬──────────┐      fd  zstd, 2 bytes of checksum
    │ mark │ content    │ checksum │      fe  CBOR, 4 bytes
    └──────┴────────────┴──────────┘      ff  zstd, 4 bytes

The CBOR is that of `messages`, the checksum that of `carriage`. zstd is without magic number, content size, dictionary id and checksum of its own,
and has as raw dictionary the trained one and then the context's window.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ocppress_codecs import packing
from ocppress_codecs.account import UNITS_A_BYTE, Account, Part
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import SHORT_TEXT_BYTES_MAX, Progress, checked, checksum, committed, covered, numbered
from ocppress_codecs.errors import DecodeError, EncodeError, LimitExceeded, Truncated
from ocppress_codecs.interface import FRAME_BYTES_MAX, FRAME_TEXT_BYTES_MAX, Decoder, Encoder
from ocppress_codecs.messages import read_messages, write_messages
from ocppress_codecs.rpc import Message
from ocppress_codecs.shapes import Context

__all__ = ["FORMAT_VERSION", "CborZstdDecoder", "CborZstdEncoder", "State", "first_state"]

FORMAT_VERSION: Final = 1

_MARK_ZSTD_SHORT: Final = 0xFD
_MARK_CBOR_LONG: Final = 0xFE
_MARK_ZSTD_LONG: Final = 0xFF
"""Initial bytes that no CBOR item has (RFC 8949, 3)."""

_ZSTD_BYTES_MIN: Final = 20
"""CBOR from which zstd is tried; its own frame and block headers take 8 bytes or more."""


@dataclass(frozen=True, slots=True)
class State:
    """One direction of an epoch, the same at both ends."""

    dictionary: bytes
    """CBOR messages from which zstd copies; `context` began with them."""
    context: Context
    """Not changed once it is in a state."""
    progress: Progress


class CborZstdEncoder(Encoder):
    """Writes frames, and reads each again before it lets go of it."""

    def __init__(self, calls: CallLog, state: State) -> None:
        self.calls = calls
        self._state = replace(state, progress=Progress(call_count=calls.count))

    def encode(self, batch: Sequence[Message]) -> bytes:
        messages = numbered(batch, self._state.progress)
        text = covered(messages)
        if len(text) > FRAME_TEXT_BYTES_MAX:
            raise EncodeError(f"{len(text)} bytes of text in one frame")
        for as_text in (False, True):
            frame = self._frame(messages, text, as_text=as_text)
            try:
                back, state = _read(frame, self._state)
            except DecodeError as error:
                problem = str(error)
                continue
            if back == messages:
                self._state = state
                committed(messages, self.calls)
                return frame
            problem = "not what was given"
        raise EncodeError(f"not OCPP-J: {problem}")

    def _frame(self, messages: Sequence[Message], text: bytes, *, as_text: bool) -> bytes:
        plain = write_messages(messages, self._state.context.copy(), self._state.progress, as_text=as_text)
        long = len(text) > SHORT_TEXT_BYTES_MAX
        content = bytes((_MARK_CBOR_LONG,)) + plain if long else plain
        if len(plain) >= _ZSTD_BYTES_MIN:
            packed = packing.packed(plain, self._state.dictionary + self._state.context.window)
            mark = _MARK_ZSTD_LONG if long else _MARK_ZSTD_SHORT
            content = min(content, bytes((mark,)) + packed, key=len)
        return content + checksum(text, self._state.progress)[0]


class CborZstdDecoder(Decoder):
    """Reads what `CborZstdEncoder` wrote."""

    def __init__(self, calls: CallLog, state: State) -> None:
        self.calls = calls
        self._state = replace(state, progress=Progress(call_count=calls.count))

    def decode(self, frame: bytes, account: Account | None = None) -> list[Message]:
        messages, self._state = _read(frame, self._state, account)
        committed(messages, self.calls)
        return messages


def _read(frame: bytes, state: State, account: Account | None = None) -> tuple[list[Message], State]:
    if len(frame) > FRAME_BYTES_MAX:
        raise LimitExceeded("frame_bytes", FRAME_BYTES_MAX, len(frame))
    mark = frame[0] if frame else 0
    checksum_bytes = 4 if mark >= _MARK_CBOR_LONG else 2
    plain, received = frame[mark >= _MARK_ZSTD_SHORT : -checksum_bytes], frame[-checksum_bytes:]
    if not plain:
        raise Truncated("a frame without messages")
    content_bytes = len(plain)
    if mark in (_MARK_ZSTD_SHORT, _MARK_ZSTD_LONG):
        plain = packing.expanded(plain, state.dictionary + state.context.window, FRAME_BYTES_MAX)
    context = state.context.copy()
    messages, progress = read_messages(plain, context, state.progress, account)
    if account is not None:
        # What zstd made of it can't be told apart: each item has its share.
        account.squeeze(content_bytes * UNITS_A_BYTE)
        if mark >= _MARK_ZSTD_SHORT:
            account.frame(Part.FRAMING, "mark", UNITS_A_BYTE)
        account.frame(Part.CHECKSUM, "checksum", checksum_bytes * UNITS_A_BYTE)
    return messages, State(state.dictionary, context, checked(messages, received, progress))


@functools.cache
def first_state(dictionary: bytes) -> State:
    """The state that an epoch begins with: as if the messages of `dictionary` had been received. Raises `DecodeError`."""
    context = Context()
    if dictionary:
        read_messages(dictionary, context, Progress())
    context.window = b""
    return State(dictionary, context, Progress())
