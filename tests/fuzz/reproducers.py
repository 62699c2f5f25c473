"""What was found, as files: bytes to give to a decoder at a place of a session, one after the other.

    {"problem": "…", "codec": "adaptive", "session": "workload home, 0 s", "place": 17, "frames": ["8233312811"], "saved": null}

`frames` are told to the decoder of the session's step `place`, before that step; `saved`, in base64, is a state that it is to restore before them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ocppress_codecs.interface import CodecName
from tests.fuzz.sessions import session
from tests.fuzz.subject import DECODED, Subject, Violation

__all__ = ["Reproducer", "load", "replay", "save", "smallest"]


@dataclass(frozen=True, slots=True)
class Reproducer:
    """Hostile bytes, and what they did when they were found."""

    problem: str
    codec: CodecName
    session: str
    place: int
    frames: tuple[str, ...]
    saved: str | None = None


def save(reproducer: Reproducer, folder: Path) -> Path:
    """Write a file, named by its content."""
    text = json.dumps(asdict(reproducer), indent=1) + "\n"
    file = folder / f"{reproducer.codec}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def load(file: Path) -> Reproducer:
    """The reverse of `save`."""
    content = json.loads(file.read_text())
    content["codec"] = CodecName(content["codec"])
    content["frames"] = tuple(content["frames"])
    return Reproducer(**content)


def replay(reproducer: Reproducer) -> list[str]:
    """The outcomes of the frames. Raises `Violation`, or whatever a broken codec raises."""
    played = session(reproducer.session, reproducer.codec)
    step = played.steps[reproducer.place]
    subject = Subject.after(played, reproducer.place)
    outcomes: list[str] = []
    genuine = True
    if reproducer.saved is not None:
        outcomes.append(subject.restore_outcome(step.direction, base64.b64decode(reproducer.saved)))
        genuine = outcomes[-1] != DECODED
    for frame in reproducer.frames:
        before = subject.state(step.direction)
        outcomes.append(subject.tell(step.direction, bytes.fromhex(frame)).outcome)
        if outcomes[-1] == DECODED:
            genuine = False
        elif subject.state(step.direction) != before:
            raise Violation("a refused frame has changed the state")
    if genuine:
        subject.take(step)
    else:
        subject.check_heir(step.direction, step.messages)
    return outcomes


def smallest(reproducer: Reproducer) -> Reproducer:
    """With the last frame alone, or as few of the last ones as do it too; the same if none do."""
    for count in (1, 2, 4, 8, 16, 32):
        fewer = Reproducer(**{**asdict(reproducer), "frames": _last(reproducer.frames, count)})
        try:
            replay(fewer)
        except Exception:  # whatever it is, it was found again
            return fewer
    return reproducer


def _last(frames: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(frames[-count:])
