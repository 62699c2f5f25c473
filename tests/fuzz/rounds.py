"""One round: a session is played, and at a few of its places its decoder is told thousands of changed frames.

Everything follows from the seed, the round's number and the codec; so two builds of the codec, pure and compiled, must come to the same outcomes, and from
hostile frames to the same states, which `Tally.digest` tells in one word.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from ocppress_codecs.errors import EncodeError
from ocppress_codecs.interface import CodecName
from tests.fuzz.mutations import mutated
from tests.fuzz.reproducers import Reproducer
from tests.fuzz.sessions import Session, session
from tests.fuzz.subject import DECODED, Subject, Tried, Violation, forged

__all__ = ["FRAMES_A_PLACE", "PLACES", "Found", "Slowest", "Tally", "play_round"]

PLACES: Final = 8
"""Places of a session that are disturbed in one round."""

FRAMES_A_PLACE: Final = 800

STATES_SHARE: Final = 0.1
STATES_A_PLACE: Final = 4
"""At how many of the places, and how often, saved states are changed."""

FORGED_SHARE: Final = 0.005
"""Of the frames that were refused for their checksum alone; to look at what they have done takes as long as a hundred others."""

HEIR_SHARE: Final = 0.1
"""Of the frames that by chance, or because they say the same in other bytes, were decoded: how many are looked at like forged ones."""

_FORGED_IN_A_ROW_MAX: Final = 12
"""Frames with right checksums that one decoder is told before its state is put back."""

_HASH_BYTES: Final = 16


class Found(Exception):
    """A broken promise, as it can be found again."""

    def __init__(self, reproducer: Reproducer) -> None:
        super().__init__(reproducer.problem)
        self.reproducer = reproducer


@dataclass
class Slowest:
    """The frame of its size that took longest."""

    spent_ms: float = 0.0
    size: int = 0
    where: str = ""


@dataclass
class Tally:
    """What became of the frames of one codec."""

    frames: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """By outcome; `forged` ones had the right checksum, `state` ones are saved states."""
    slowest: dict[int, Slowest] = field(default_factory=dict)
    """By the frame's size, as the number of bits of its length."""
    digest: bytes = b""
    """Of all outcomes, and of the states that forged frames led to, in their order."""

    def count(self, kind: str, tried: Tried, frame: bytes, where: str) -> None:
        """One more frame."""
        self.frames += 1
        self.outcomes[kind + tried.outcome] += 1
        slowest = self.slowest.setdefault(len(frame).bit_length(), Slowest())
        if tried.spent_ms > slowest.spent_ms:
            slowest.spent_ms, slowest.size, slowest.where = tried.spent_ms, len(frame), where

    def merge(self, other: Tally) -> None:
        """Add what another worker counted."""
        self.frames += other.frames
        self.outcomes.update(other.outcomes)
        for bits, slow in other.slowest.items():
            if slow.spent_ms > self.slowest.setdefault(bits, Slowest()).spent_ms:
                self.slowest[bits] = slow
        self.digest = hashlib.sha256(self.digest + other.digest).digest()


Watch = Callable[[bytes], None]
"""Told each frame before it is decoded, so that one that never ends is known."""


def play_round(codec: CodecName, names: tuple[str, ...], seed: str, number: int, tally: Tally, watch: Watch) -> None:
    """Play round `number` into `tally`. Raises `Found`."""
    source = Random(f"{seed} {codec} {number}")
    played = session(source.choice(names), codec)
    others = [step.frame for step in played.steps] + [step.frame for step in session(source.choice(names), codec).steps]
    places = set(source.sample(range(len(played.steps)), k=min(PLACES, len(played.steps))))
    subject = Subject(codec, played.version)
    for place, step in enumerate(played.steps):
        if place in places:
            _Place(subject, played, place, others, source, tally, watch).disturb()
        subject.take(step)


class _Place:
    """One place of a session, while it is disturbed."""

    def __init__(
        self, subject: Subject, played: Session, place: int, others: list[bytes], source: Random, tally: Tally, watch: Watch
    ) -> None:
        self._subject = subject
        self._played = played
        self._place = place
        self._step = played.steps[place]
        self._others = others
        self._source = source
        self._tally = tally
        self._watch = watch
        self._told: list[bytes] = []
        """Since the state was as the session left it."""
        self._saved: bytes | None = None
        self._outcomes: list[str] = []

    def disturb(self) -> None:
        try:
            self._tell_many()
            if self._played.codec is CodecName.ADAPTIVE and self._source.random() < STATES_SHARE:
                self._restore_many()
        except Exception as error:  # whatever it is, it is what this is for
            raise Found(self._reproducer(repr(error))) from error
        words = " ".join(self._outcomes).encode()
        self._tally.digest = hashlib.sha256(self._tally.digest + words).digest()

    def _tell_many(self) -> None:
        subject, direction, source = self._subject, self._step.direction, self._source
        before = subject.state(direction)
        forging = source.random() < 0.5
        for _ in range(FRAMES_A_PLACE):
            base = self._step.frame if source.random() < 0.8 else source.choice(self._others)
            frame = mutated(base, self._others, source)
            if frame == self._step.frame:
                continue
            tried = self._tell("", frame)
            if tried.outcome == DECODED:
                if source.random() < HEIR_SHARE:
                    self._check_heir()
                self._put_back(before)
            elif forging:
                right = forged(self._played.codec, frame, tried.error)
                if right is not None and source.random() < FORGED_SHARE:
                    self._check_unchanged(before)
                    self._forge_on(right)
                    self._check_heir()
                    self._put_back(before)
        self._check_unchanged(before)

    def _forge_on(self, frame: bytes) -> None:
        """Go on as a peer that computes its checksums: each frame is one that the state takes."""
        self._tell("forged ", frame)
        for _ in range(self._source.randrange(_FORGED_IN_A_ROW_MAX)):
            frame = mutated(self._source.choice((self._step.frame, frame)), self._others, self._source)
            tried = self._tell("", frame)
            right = forged(self._played.codec, frame, tried.error)
            if right is not None:
                self._tell("forged ", right)

    def _tell(self, kind: str, frame: bytes) -> Tried:
        self._told.append(frame)
        self._watch(frame)
        tried = self._subject.tell(self._step.direction, frame)
        self._outcomes.append(tried.outcome)
        self._tally.count(kind, tried, frame, f"{self._played.name}, place {self._place}: {frame[:24].hex()}")
        return tried

    def _check_heir(self) -> None:
        """What hostile frames have made of the state can be gone on with."""
        subject, direction = self._subject, self._step.direction
        subject.check_heir(direction, self._step.messages)
        if self._played.codec is CodecName.ADAPTIVE:
            self._outcomes.append(hashlib.sha256(subject.state(direction)[0]).hexdigest()[:8])

    def _put_back(self, before: object) -> None:
        self._subject.put_back(self._step.direction, before)
        self._told.clear()

    def _check_unchanged(self, before: object) -> None:
        if self._subject.state(self._step.direction) != before:
            raise Violation("a refused frame has changed the state")

    def _restore_many(self) -> None:
        """Changed states, their hash as it should be."""
        subject, direction, source = self._subject, self._step.direction, self._source
        before = subject.state(direction)
        for _ in range(STATES_A_PLACE):
            self._told.clear()
            self._saved = changed_state(before[0], source)
            outcome = subject.restore_outcome(direction, self._saved)
            self._outcomes.append(outcome)
            self._tally.outcomes[f"state {outcome}"] += 1
            if outcome == DECODED:
                for _ in range(8):
                    frame = mutated(self._step.frame, self._others, source)
                    right = forged(self._played.codec, frame, self._tell("", frame).error)
                    if right is not None:
                        self._tell("forged ", right)
                try:
                    subject.check_heir(direction, self._step.messages)
                except EncodeError as error:
                    if "CALL number" not in str(error):
                        raise
                    self._tally.outcomes["state at the last CALL"] += 1
                subject.put_back(direction, before)
        self._saved = None

    def _reproducer(self, problem: str) -> Reproducer:
        saved = base64.b64encode(self._saved).decode() if self._saved is not None else None
        told = tuple(frame.hex() for frame in self._told)
        return Reproducer(problem, self._played.codec, self._played.name, self._place, told, saved)


def changed_state(saved: bytes, source: Random) -> bytes:
    """A saved state with a few bytes changed, most of them near its end, where what isn't mere statistics stands; with the hash of that."""
    content = bytearray(saved[:-_HASH_BYTES])
    for _ in range(source.choice((1, 1, 2, 5))):
        size = len(content)
        begin = 0 if source.random() < 0.2 else size * 2 // 3
        place = source.randrange(begin, size)
        piece = source.choice(
            (
                source.randbytes(1),
                source.randbytes(8),
                b"\x7f" + b"\xff" * 7,
                b"\x80" + bytes(7),
                b"\xff" * 8,
                bytes(8),
                bytes(2),
                b"\xff\xff",
            )
        )
        way = source.randrange(8)
        if way == 0:
            del content[place : place + source.choice((1, 4, 100))]
        elif way == 1:
            content[place:place] = piece
        elif way == 2:
            other = source.randrange(begin, size)
            content[place : place + 40] = content[other : other + 40]
        else:
            content[place : place + len(piece)] = piece
    return bytes(content) + hashlib.blake2s(content, digest_size=_HASH_BYTES).digest()
