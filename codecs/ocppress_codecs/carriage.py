"""What all codecs share: numbering of CALLs instead of message ids, and the checksum that ends each frame.

    text of a frame      [2,"0","Heartbeat",{}]⏎[3,"4",{}]⏎          ids are CALL numbers, "" where there is none
    chain                BLAKE2s-128(chain before, text)             16 zero bytes at the epoch's start
    checksum             first 2 bytes of the chain, 4 if the text is longer than SHORT_TEXT_BYTES_MAX

The chain covers every text since the epoch began. So a difference that 16 bits miss in one frame is found by the next frame, and a frame
that was lost, repeated or swapped is found even if it would decode. A CRC is linear: related texts can share its low bits.

The reference of a message to its CALL is one unsigned number: 0 as expected, 1 no CALL, 2 + zigzag(difference from what was expected).
Expected is, for CALLRESULT and CALLERROR, the CALL after the one answered last; for CALLRESULTERROR the newest CALL of its own direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2s
from typing import Final, final

from mypy_extensions import mypyc_attr

from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import EncodeError, IntegrityError, LimitExceeded, Malformed, NotOcppJ
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX
from ocppress_codecs.rpc import Message, MessageType, parse, render

__all__ = [
    "CALL_NUMBER_MAX",
    "REFERENCE_EXPECTED",
    "REFERENCE_NONE",
    "SHORT_TEXT_BYTES_MAX",
    "Progress",
    "checked",
    "checked_text",
    "checksum",
    "committed",
    "covered",
    "numbered",
    "reference",
    "resolved",
    "validated",
]

CALL_NUMBER_MAX: Final = 2**32 - 1
"""CALLs in one epoch; at one a second it lasts 136 years, and it fits the integers of any language."""

SHORT_TEXT_BYTES_MAX: Final = 4096
"""Text up to which a checksum has 16 bits. It is what a batch usually holds; in the frame of a larger one, which takes hundreds of
bytes, two more are under one per cent, and a difference missed there would do the most harm."""

REFERENCE_EXPECTED: Final = 0
REFERENCE_NONE: Final = 1

_CALL: Final = MessageType.CALL
_CALLRESULT: Final = MessageType.CALLRESULT
_CALLERROR: Final = MessageType.CALLERROR
_SEND: Final = MessageType.SEND


@final
@mypyc_attr(acyclic=True)
class Progress:
    """How far one direction of an epoch has come: the same at both ends after the same frame. Not changed but replaced."""

    __slots__ = ("call_count", "chain", "next_answer")

    def __init__(self, call_count: int = 0, next_answer: int = 0, chain: bytes = bytes(16)) -> None:
        self.call_count: Final[int] = call_count
        self.next_answer: Final[int] = next_answer
        self.chain: Final[bytes] = chain

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Progress)
            and self.call_count == other.call_count
            and self.next_answer == other.next_answer
            and self.chain == other.chain
        )


def numbered(batch: Sequence[Message], progress: Progress) -> list[Message]:
    """`batch` as the far end will see it: CALLs with their numbers, SENDs without. Raises `EncodeError`."""
    if not batch:
        raise EncodeError("an empty batch")
    call_count = progress.call_count
    result: list[Message] = []
    for message in batch:
        call = message.call
        if message.type is _CALL:
            call = call_count
            call_count += 1
        elif message.type is _SEND:
            call = None
        if call is not None and not 0 <= call <= CALL_NUMBER_MAX:
            raise EncodeError(f"CALL number {call}")
        result.append(message if call == message.call else message.with_call(call))
    return result


def reference(message: Message, progress: Progress) -> tuple[int, Progress]:
    """The number that refers `message` to its CALL, and the progress after it."""
    message_type = message.type
    if message_type is _CALL:
        return REFERENCE_EXPECTED, _called(progress)
    if message_type is _SEND:
        return REFERENCE_EXPECTED, progress
    if message.call is None:
        return REFERENCE_NONE, progress
    difference = message.call - _expected(message_type, progress)
    if _is_answer(message_type):
        progress = _answered(progress, message.call)
    if difference == 0:
        return REFERENCE_EXPECTED, progress
    return 2 + (2 * difference if difference > 0 else -2 * difference - 1), progress


def resolved(message_type: MessageType, number: int, progress: Progress) -> tuple[int | None, Progress]:
    """The reverse of `reference`: the CALL that reference `number` means, and the progress after it. Raises `Malformed`."""
    if message_type is _CALL:
        if number != REFERENCE_EXPECTED or progress.call_count > CALL_NUMBER_MAX:
            raise Malformed("a CALL with a reference, or one too many")
        return progress.call_count, _called(progress)
    if message_type is _SEND:
        if number != REFERENCE_EXPECTED:
            raise Malformed("a SEND with a reference")
        return None, progress
    if number == REFERENCE_NONE:
        return None, progress
    call = _expected(message_type, progress)
    if number != REFERENCE_EXPECTED:
        zigzag = number - 2
        call += -(zigzag + 1) // 2 if zigzag % 2 else zigzag // 2
    if not 0 <= call <= CALL_NUMBER_MAX:
        raise Malformed(f"CALL number {call}")
    return call, _answered(progress, call) if _is_answer(message_type) else progress


def _is_answer(message_type: MessageType) -> bool:
    return message_type is _CALLRESULT or message_type is _CALLERROR


def _expected(message_type: MessageType, progress: Progress) -> int:
    return progress.next_answer if _is_answer(message_type) else progress.call_count - 1


def _called(progress: Progress) -> Progress:
    return Progress(progress.call_count + 1, progress.next_answer, progress.chain)


def _answered(progress: Progress, call: int) -> Progress:
    return Progress(progress.call_count, call + 1, progress.chain)


def validated(message_type: MessageType, body: str) -> str:
    """The action of a body that came as text, which must be OCPP-J without insignificant white space. Raises `Malformed`."""
    try:
        message = parse(render("", Message(message_type, "", body)))[1]
    except NotOcppJ as error:
        raise Malformed(f"a body that is not OCPP-J: {error.reason}") from None
    if message.body != body:
        raise Malformed("a body with white space")
    return message.action


def covered(messages: Sequence[Message]) -> bytes:
    """The text of a frame, which its checksum covers and its limit counts. Raises `EncodeError` for lone surrogates."""
    lines: list[str] = []
    for message in messages:
        call = message.call
        lines.append(f'[{int(message.type)},"{"" if call is None else call}",{message.body}]\n')
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"text that UTF-8 can't hold: {error.reason}") from error


def checksum(text: bytes, progress: Progress, chain: bytes = b"") -> tuple[bytes, Progress]:
    """The checksum of a frame with this text, and the progress with the chain moved on, to `chain` if that is known."""
    chain = chain or blake2s(progress.chain + text, digest_size=16).digest()
    return chain[: 2 if len(text) <= SHORT_TEXT_BYTES_MAX else 4], Progress(progress.call_count, progress.next_answer, chain)


def checked(messages: Sequence[Message], received: bytes, progress: Progress) -> Progress:
    """The progress after a frame of `messages` that ended in `received`. Raises `LimitExceeded`, `Malformed`, `IntegrityError`."""
    return checked_text(covered(messages), received, progress)


def checked_text(text: bytes, received: bytes, progress: Progress, chain: bytes = b"") -> Progress:
    """`checked`, where the text that the messages stand for is known, and `chain` after it if that is known, too."""
    if len(text) > FRAME_TEXT_BYTES_MAX:
        raise LimitExceeded("frame_text_bytes", FRAME_TEXT_BYTES_MAX, len(text))
    expected, progress = checksum(text, progress, chain)
    if len(received) != len(expected):
        raise Malformed(f"a checksum of {len(received)} bytes instead of {len(expected)}")
    if received != expected:
        raise IntegrityError("the checksum differs", expected)
    return progress


def committed(messages: Sequence[Message], calls: CallLog) -> None:
    """Note the CALLs of a frame that was encoded or decoded for good."""
    for message in messages:
        if message.type is _CALL:
            calls.add()
