"""The codec `adaptive`: as few bytes as there are.

    ┌──────────────────────────┬──────────┐
    │ messages, see `coder`    │ checksum │
    └──────────────────────────┴──────────┘
      0 bytes or more            2 bytes

The checksum is that of `carriage`. Where it has four bytes, the last two stand at the end of the coded messages. A frame is one decision "one more message
follows" after each message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from ocppress_codecs.account import UNITS_A_BYTE, Account, Part
from ocppress_codecs.adaptive import restoring, saving
from ocppress_codecs.adaptive.coder import BitReader, BitWriter, Coder
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.counting import CountingReader
from ocppress_codecs.adaptive.message import code_message
from ocppress_codecs.adaptive.model import Knowledge, Model, frame_context
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import SHORT_TEXT_BYTES_MAX, Progress, checked_text, checksum, covered, numbered
from ocppress_codecs.errors import DecodeError, EncodeError, LimitExceeded, Malformed, Truncated
from ocppress_codecs.interface import FRAME_BYTES_MAX, FRAME_TEXT_BYTES_MAX, Decoder, Encoder
from ocppress_codecs.rpc import Message, MessageType

__all__ = ["FORMAT_VERSION", "AdaptiveDecoder", "AdaptiveEncoder", "Direction"]

FORMAT_VERSION: Final = 1

_CHECKSUM_BYTES: Final = 2
_MORE_BITS: Final = 16


@final
class Direction:
    """One direction of an epoch: the model, and how far it has come."""

    __slots__ = ("_written", "_written_chain", "answered", "calls", "model", "progress")

    def __init__(self, knowledge: Knowledge, calls: CallLog, answered: CallLog) -> None:
        self.model: Model = Model(knowledge)
        self.calls: CallLog = calls
        self.answered: CallLog = answered
        self.progress: Progress = Progress(call_count=calls.count)
        self._written: bytes = b""
        """The text of what was written and is yet to be read back, with the chain after it."""
        self._written_chain: bytes = b""

    def write(self, messages: Sequence[Message], text: bytes, as_text: bool) -> tuple[bytes, list[int], Progress]:
        """A frame, with what it takes to `advance`; the model has learned from it. Raises `DecodeError` for what can't be written so."""
        model = self.model
        writer = BitWriter(model.table)
        progress = self.progress
        left = FRAME_TEXT_BYTES_MAX
        notes: list[int] = []
        for place, message in enumerate(messages):
            _, progress, note = code_message(writer, model, message, as_text, progress, self.answered, left)
            notes.append(note)
            left -= len(message.body)
            _more(writer, model, place + 1, len(messages))
        received, after = checksum(text, self.progress)
        self._written, self._written_chain = text, after.chain
        if len(received) > _CHECKSUM_BYTES:
            writer.raw(_MORE_BITS, int.from_bytes(received[_CHECKSUM_BYTES:], "big"))
        return writer.finish() + received[:_CHECKSUM_BYTES], notes, Progress(progress.call_count, progress.next_answer, after.chain)

    def read(self, frame: bytes, expected: Sequence[Message] | None = None, account: Account | None = None) -> list[Message]:
        """The messages of a frame; everything is kept. Raises `DecodeError` for bad ones and others than `expected`, and nothing has changed."""
        if len(frame) > FRAME_BYTES_MAX:
            raise LimitExceeded("frame_bytes", FRAME_BYTES_MAX, len(frame))
        if len(frame) < _CHECKSUM_BYTES:
            raise Truncated("a frame without checksum")
        model = self.model
        try:
            messages, notes, progress = self._read(frame, account)
            if expected is not None and messages != expected:
                raise Malformed("not what was given")
        except BaseException:
            model.undo()
            raise
        self.advance(messages, notes, progress)
        return messages

    def saved(self) -> bytes:
        """The state after the last frame."""
        return saving.saved(self.model, self.progress, self.calls)

    def restore(self, data: bytes) -> None:
        """Go on from a saved state. Raises `DecodeError`, and nothing has changed."""
        found = restoring.restored(data, self.model.knowledge)
        self.model = found.model
        self.progress = found.progress
        self._written = self._written_chain = b""
        self.calls.restore(found.call_count, found.notes)

    def advance(self, messages: Sequence[Message], notes: Sequence[int], progress: Progress) -> None:
        """Keep what the model has learned from a frame."""
        self.model.keep()
        self.progress = progress
        self._written = self._written_chain = b""
        for message, note in zip(messages, notes, strict=True):
            if message.type is MessageType.CALL:
                self.calls.add(note)

    def _read(self, frame: bytes, account: Account | None) -> tuple[list[Message], list[int], Progress]:
        model = self.model
        bits = BitReader(model.table, frame[:-_CHECKSUM_BYTES])
        reader: Coder = bits if account is None else CountingReader(bits, account)
        progress = self.progress
        messages: list[Message] = []
        notes: list[int] = []
        left = FRAME_TEXT_BYTES_MAX
        while True:
            if account is not None:
                account.begin()
            message, progress, note = code_message(reader, model, None, False, progress, self.answered, left)
            messages.append(message)
            notes.append(note)
            left -= len(message.body) + len('[2,"0",]')
            if left <= 0:
                raise LimitExceeded("frame_text_bytes", FRAME_TEXT_BYTES_MAX, FRAME_TEXT_BYTES_MAX - left)
            more = _more(reader, model, len(messages), 0)
            if account is not None:
                account.close(Part.CHOICES, "whether another message follows")
            if not more:
                break
        text = covered(messages)
        received = frame[-_CHECKSUM_BYTES:]
        if len(text) > SHORT_TEXT_BYTES_MAX:
            rest: int = reader.raw(_MORE_BITS, 0)
            received += rest.to_bytes(2, "big")
        if account is not None:
            account.frame(Part.CHECKSUM, "checksum", _CHECKSUM_BYTES * UNITS_A_BYTE)
            account.settle(len(frame))
        if not bits.read_all:
            raise Malformed("bytes after the last message")
        return messages, notes, checked_text(text, received, progress, self._written_chain if text == self._written else b"")


def _more(coder: Coder, model: Model, sent: int, count: int) -> int:
    """Whether another message follows in the frame; `count` is how many a writer has."""
    context = frame_context(model.lengths, sent)
    more = coder.pair(mixed(context, model.subject), mixed(context, 120), 1 if sent < count else 0)
    if not more:
        model.lengths = (model.lengths & 0xFFFF) << 16 | min(sent, 0xFFFF)
    return more


class AdaptiveEncoder(Encoder):
    """Writes frames, and reads each again before it lets go of it; what stays learned is what reading taught."""

    def __init__(self, knowledge: Knowledge, calls: CallLog, answered: CallLog) -> None:
        self.calls = calls
        self._direction = Direction(knowledge, calls, answered)

    def encode(self, batch: Sequence[Message]) -> bytes:
        direction = self._direction
        messages = numbered(batch, direction.progress)
        text = covered(messages)
        if len(text) > FRAME_TEXT_BYTES_MAX:
            raise EncodeError(f"{len(text)} bytes of text in one frame")
        problem = ""
        for as_text in (False, True):
            try:
                try:
                    frame = direction.write(messages, text, as_text)[0]
                finally:
                    direction.model.undo()
                direction.read(frame, messages)
            except DecodeError as error:
                problem = str(error)
                continue
            return frame
        raise EncodeError(f"not OCPP-J: {problem}")

    def saved(self) -> bytes:
        return self._direction.saved()

    def restore(self, saved: bytes) -> None:
        self._direction.restore(saved)


class AdaptiveDecoder(Decoder):
    """Reads what `AdaptiveEncoder` wrote."""

    def __init__(self, knowledge: Knowledge, calls: CallLog, answered: CallLog) -> None:
        self.calls = calls
        self._direction = Direction(knowledge, calls, answered)

    def decode(self, frame: bytes, account: Account | None = None) -> list[Message]:
        return self._direction.read(frame, account=account)

    def saved(self) -> bytes:
        return self._direction.saved()

    def restore(self, saved: bytes) -> None:
        self._direction.restore(saved)
