"""What is asked of any bytes: a function for each target that raises if a promise is broken.

    adaptive, cbor-zstd, verbatim    a place of a session, and a frame to decode there; once more with the right checksum if only that was wrong
    states                           changes to a saved state, restored with the hash that they have, and gone on with
    texts                            a station's text, parsed, and carried by each codec if it is OCPP-J

The first byte of an input for a decoder or a state chooses the place. `seeds` are inputs to begin with.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ocppress_codecs.errors import EncodeError, NotOcppJ
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.jsontext import minified
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import MESSAGE_ID_CHARACTERS_MAX, MessageType, OcppVersion, parse, render
from tests.fuzz.sessions import QUICK_NAMES, Step, session
from tests.fuzz.subject import DECODED, Subject, Violation, forged

__all__ = ["QUESTIONS", "STATES", "TEXTS", "ask", "seeds"]

STATES: Final = "states"
TEXTS: Final = "texts"
QUESTIONS: Final = (*(codec.value for codec in CodecName), STATES, TEXTS)

_PLACES: Final = 8
"""Places that an input's first byte chooses from, over all sessions."""

LOOK_EVERY: Final = 16
"""Of the refused frames, every which is looked at for what it may have changed."""

_HASH_BYTES: Final = 16
_SEEDS_OF_A_PLACE: Final = 12


def ask(question: str, data: bytes) -> None:
    """One of `QUESTIONS`, of any bytes. Raises `Violation`, or whatever a broken codec raises."""
    if question == TEXTS:
        _ask_of_text(data)
    elif data:
        place = _places(CodecName.ADAPTIVE if question == STATES else CodecName(question))[data[0] % _PLACES]
        if question == STATES:
            _ask_of_state(place, data[1:])
        else:
            _ask_of_frame(place, data[1:])


def seeds(question: str) -> Iterator[bytes]:
    """Inputs that go far."""
    if question == TEXTS:
        for codec_session in (session(name, CodecName.VERBATIM) for name in QUICK_NAMES):
            yield from (render("19", message).encode() for step in codec_session.steps[:40] for message in step.messages[:1])
        return
    codec = CodecName.ADAPTIVE if question == STATES else CodecName(question)
    for number, (name, place) in enumerate(_named_places(codec)):
        for step in session(name, codec).steps[place : place + _SEEDS_OF_A_PLACE]:
            yield bytes((number,)) + (step.frame if question != STATES else b"\x00\x40\x08" + bytes(8) + step.frame)


def _named_places(codec: CodecName) -> list[tuple[str, int]]:
    """Two of each session: at its start and in its middle."""
    places = []
    for name in QUICK_NAMES:
        places += [(name, 1), (name, len(session(name, codec).steps) // 2)]
    return places


@dataclass(frozen=True, slots=True)
class _Place:
    """A decoder in the state that a session has left it in, the session's next frame, and the state."""

    subject: Subject
    step: Step
    state: Any

    def put_back(self) -> None:
        self.subject.put_back(self.step.direction, self.state)

    def check_unchanged(self) -> None:
        if self.subject.state(self.step.direction) != self.state:
            self.put_back()
            raise Violation("a refused frame has changed the state")


@functools.cache
def _places(codec: CodecName) -> list[_Place]:
    places = []
    for name, place in _named_places(codec):
        subject, step = Subject.after(session(name, codec), place), session(name, codec).steps[place]
        places.append(_Place(subject, step, subject.state(step.direction)))
    return places


def _ask_of_frame(place: _Place, frame: bytes) -> None:
    subject, direction = place.subject, place.step.direction
    tried = subject.tell(direction, frame)
    # To look at a state takes as long as a hundred frames; one that is spoilt stays so until somebody looks.
    looks = zlib.crc32(frame) % LOOK_EVERY == 0
    if tried.outcome == DECODED:
        place.put_back()
        return
    if looks:
        place.check_unchanged()
    right = forged(subject.codec, frame, tried.error)
    if right is not None:
        try:
            subject.tell(direction, right)
            if looks:
                subject.check_heir(direction, place.step.messages)
        finally:
            place.put_back()


def _ask_of_state(place: _Place, changes: bytes) -> None:
    """Changes are u16 place from the end, u8 length, bytes to put there; what is left over is a frame to decode."""
    subject, direction = place.subject, place.step.direction
    content = bytearray(place.state[0][:-_HASH_BYTES])
    while len(changes) > 3 and changes[2] <= len(changes) - 3 and changes[2] < 32:
        begin = len(content) - 1 - int.from_bytes(changes[:2], "big") % len(content)
        content[begin : begin + changes[2]] = changes[3 : 3 + changes[2]]
        changes = changes[3 + changes[2] :]
    changed = bytes(content) + hashlib.blake2s(content, digest_size=_HASH_BYTES).digest()
    if subject.restore_outcome(direction, changed) != DECODED:
        return
    try:
        right = forged(subject.codec, changes, subject.tell(direction, changes).error)
        if right is not None:
            subject.tell(direction, right)
        subject.check_heir(direction, place.step.messages)
    except EncodeError as error:
        if "CALL number" not in str(error):
            raise
    finally:
        place.put_back()


def _ask_of_text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass" if data[:1] == b"\xed" else "replace")
    try:
        message_id, message = parse(text)
    except NotOcppJ as error:
        if error.message_id is not None and len(error.message_id) > MESSAGE_ID_CHARACTERS_MAX:
            raise Violation("a message id that is too long") from error
        return
    if parse(render(message_id, message)) != (message_id, message) or minified(text)[4:].count(message.body) == 0:
        raise Violation("the message is not that of the text")
    for codec in CodecName:
        sender, receiver = (open_endpoint(codec, OcppVersion.V16, side) for side in Side)
        try:
            frame = sender.encoder.encode([message])
        except EncodeError:
            if any("\ud800" <= character <= "\udfff" for character in message.body):
                continue  # UTF-8 has no lone surrogates, so no station can send one
            raise
        (back,) = receiver.decoder.decode(frame)
        if back.body != message.body or back.type is not MessageType(message.type):
            raise Violation("the message is carried as another one")
