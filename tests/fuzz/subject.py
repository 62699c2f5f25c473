"""Decoders under test: what must hold after each frame from a hostile peer, and how to look at it.

A frame ends in messages or in a `DecodeError`. Messages are OCPP-J again when they are written out, CALLs are numbered on. A refusal leaves the state as it
was. Whatever a peer that computes its checksums rightly has made of a state, it can be saved, restored and gone on with, by an encoder, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import DecodeError, IntegrityError, LimitExceeded
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX, CodecName, Encoder, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from ocppress_gateway.workloads.traces import Direction
from tests.fuzz.sessions import Session, Step

__all__ = ["DECODED", "FRAME_MS_MAX", "Subject", "Tried", "Violation", "forged", "outcome_of"]

DECODED: Final = "decoded"

FRAME_MS_MAX: Final = 6_000
"""Processor time that any frame may take, in pure Python on a slow machine. What takes longest is the largest text there is in repeated messages of a hundred
values each, in cbor-zstd: a third of this time."""

_STATE: Final = {CodecName.VERBATIM: "_progress", CodecName.CBOR_ZSTD: "_state"}
"""Where the codecs that save nothing keep their state, an object that is not changed."""


class Violation(Exception):
    """The codec broke a promise."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one frame: `outcome` is `decoded` or the error's code, with the limit's name where there is one."""

    outcome: str
    spent_ms: float
    error: DecodeError | None = None


def outcome_of(error: DecodeError) -> str:
    """How an error is counted."""
    return f"{error.code}: {error.limit}" if isinstance(error, LimitExceeded) else error.code


class Subject:
    """The decoders of both directions of one station."""

    def __init__(self, codec: CodecName, version: OcppVersion) -> None:
        self.codec = codec
        self.version = version
        # Both ends write their CALLs into the same two logs, as if each had encoded what the other decodes.
        self._logs = {direction: CallLog() for direction in Direction}
        self._decoders = {direction: self._open(direction.opposite.sender, self._logs).decoder for direction in Direction}

    @classmethod
    def after(cls, session: Session, place: int) -> Subject:
        """As the first `place` frames of a session leave it."""
        subject = cls(session.codec, session.version)
        for step in session.steps[:place]:
            subject.take(step)
        return subject

    def take(self, step: Step) -> None:
        """Decode a genuine frame. Raises `Violation` if it doesn't say what it should."""
        try:
            messages = self._decoders[step.direction].decode(step.frame)
        except DecodeError as error:
            raise Violation(f"a genuine frame was refused: {error!r}") from error
        if messages != list(step.messages):
            raise Violation("a genuine frame says something else")

    def tell(self, direction: Direction, frame: bytes) -> Tried:
        """Decode any bytes. Raises `Violation`; any other error is a violation, too."""
        decoder = self._decoders[direction]
        count = decoder.calls.count
        begun = time.thread_time()
        try:
            messages = decoder.decode(frame)
        except DecodeError as error:
            spent_ms = (time.thread_time() - begun) * 1000
            result = Tried(outcome_of(error), spent_ms, error)
        else:
            spent_ms = (time.thread_time() - begun) * 1000
            result = Tried(DECODED, spent_ms)
            _check_messages(messages, count)
        if spent_ms > FRAME_MS_MAX:
            raise Violation(f"{spent_ms:.0f} ms for {len(frame)} bytes")
        return result

    def state(self, direction: Direction) -> Any:
        """All that the decoder of `direction` has learned, to be compared and put back."""
        decoder = self._decoders[direction]
        if self.codec is CodecName.ADAPTIVE:
            return decoder.saved(), decoder.calls.count
        kept = getattr(decoder, _STATE[self.codec])
        if self.codec is CodecName.VERBATIM:
            return kept, decoder.calls.count
        context = kept.context
        return kept, decoder.calls.count, list(context.shapes.items()), list(context.strings), context.clock, context.window

    def put_back(self, direction: Direction, state: Any) -> None:
        """Undo what was decoded since `state` was taken."""
        decoder = self._decoders[direction]
        if self.codec is CodecName.ADAPTIVE:
            decoder.restore(state[0])
        else:
            setattr(decoder, _STATE[self.codec], state[0])
            decoder.calls.truncate(state[1])

    def check_heir(self, direction: Direction, messages: Sequence[Message]) -> None:
        """An encoder that goes on from the decoder's state writes `messages` so that the decoder reads them. Raises `Violation`."""
        decoder = self._decoders[direction]
        encoder = self._heir(direction)
        expected = _numbered(messages, decoder.calls.count)
        if decoder.decode(encoder.encode(messages)) != expected:
            raise Violation("another end that goes on from the same state is misunderstood")
        if decoder.saved() != encoder.saved():
            raise Violation("the ends differ after the same frame")

    def restore_outcome(self, direction: Direction, saved: bytes) -> str:
        """Whether the decoder takes `saved` for a state; if so, it must be one. Raises `Violation`."""
        decoder = self._decoders[direction]
        before = decoder.saved()
        try:
            decoder.restore(saved)
        except DecodeError as error:
            if decoder.saved() != before:
                raise Violation("a refused state has changed the decoder") from error
            return outcome_of(error)
        if decoder.saved() != saved:
            raise Violation("a state that was taken is saved as another one")
        return DECODED

    def _heir(self, direction: Direction) -> Encoder:
        decoder = self._decoders[direction]
        logs = {direction: CallLog(), direction.opposite: self._logs[direction.opposite]}
        encoder = self._open(direction.sender, logs).encoder
        if self.codec is CodecName.ADAPTIVE:
            encoder.restore(decoder.saved() or b"")
        else:
            setattr(encoder, _STATE[self.codec], getattr(decoder, _STATE[self.codec]))
        return encoder

    def _open(self, side: Side, logs: dict[Direction, CallLog]) -> Endpoint:
        up, down = logs[Direction.UP], logs[Direction.DOWN]
        sent, received = (up, down) if side is Side.EDGE else (down, up)
        return open_endpoint(self.codec, self.version, side, sent, received)


def forged(codec: CodecName, frame: bytes, error: DecodeError | None) -> bytes | None:
    """The frame that was refused for its checksum alone, with the right one; None if it wasn't, or has more to change than its last bytes."""
    if not isinstance(error, IntegrityError) or not error.expected:
        return None
    if codec is CodecName.ADAPTIVE and len(error.expected) > 2:
        return None  # half of it is among the coded messages
    return frame[: -len(error.expected)] + error.expected


def _check_messages(messages: Sequence[Message], count: int) -> None:
    if not messages:
        raise Violation("a frame without messages")
    text_bytes = 0
    for message in messages:
        text = render("", message)
        text_bytes += len(text.encode())
        if parse(text) != ("", message.with_call(None)):
            raise Violation(f"not OCPP-J as it is written: {text[:200]}")
        if message.type is MessageType.CALL and message.call != count:
            raise Violation(f"CALL {message.call} instead of {count}")
        count += message.type is MessageType.CALL
    if text_bytes > FRAME_TEXT_BYTES_MAX:
        raise Violation(f"{text_bytes} bytes of text")


def _numbered(messages: Sequence[Message], count: int) -> list[Message]:
    found = []
    for message in messages:
        is_call = message.type is MessageType.CALL
        found.append(message.with_call(count) if is_call else message)
        count += is_call
    return found
