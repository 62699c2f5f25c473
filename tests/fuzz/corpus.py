"""The corpus: hostile bytes that the tests replay.

found-*.json           what once broke a promise, see `reproducers`
outcomes-CODEC.json    changed frames of each outcome, by the code of this release; `python -m tests.fuzz.corpus` writes them
guided-QUESTION.txt    inputs that coverage led to, one a line in hexadecimal, see `guided`
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from tests.fuzz.mutations import mutated
from tests.fuzz.sessions import QUICK_NAMES, session
from tests.fuzz.subject import DECODED, Subject, forged

__all__ = ["CORPUS", "Example", "guided_file", "main", "outcomes_file", "read_guided", "read_outcomes", "write_guided"]

CORPUS: Final = Path(__file__).parent / "corpus"

EXAMPLES: Final = 12
"""Frames of each outcome."""

EXAMPLE_BYTES_MAX: Final = 200
_PLACES: Final = 10
_FRAMES_A_PLACE: Final = 300


@dataclass(frozen=True, slots=True)
class Example:
    """A frame, where it is told, and what becomes of it."""

    session: str
    place: int
    frame: str
    outcome: str


def outcomes_file(codec: CodecName) -> Path:
    """The file of a codec's examples."""
    return CORPUS / f"outcomes-{codec}.json"


def read_outcomes(codec: CodecName) -> tuple[str, list[Example]]:
    """The fingerprint of the codec that a file is of, and its examples."""
    content = json.loads(outcomes_file(codec).read_text())
    return content["fingerprint"], [Example(**entry) for entry in content["examples"]]


def guided_file(question: str) -> Path:
    """The file of a question's inputs."""
    return CORPUS / f"guided-{question}.txt"


def read_guided(question: str) -> list[bytes]:
    """The inputs of a question."""
    file = guided_file(question)
    return [bytes.fromhex(line) for line in file.read_text().splitlines()] if file.exists() else []


def write_guided(question: str, inputs: Sequence[bytes]) -> None:
    """The reverse."""
    lines = sorted({data.hex() for data in inputs}, key=lambda line: (len(line), line))
    guided_file(question).write_text("".join(line + "\n" for line in lines))


def main() -> None:
    """Write the examples of all codecs."""
    CORPUS.mkdir(exist_ok=True)
    for codec in CodecName:
        examples = _examples(codec)
        content = {"fingerprint": fingerprint(codec).hex(), "examples": [asdict(example) for example in examples]}
        outcomes_file(codec).write_text(json.dumps(content, indent=1) + "\n")
        print(f"{len(examples):4} examples in {outcomes_file(codec).name}")


def _examples(codec: CodecName) -> list[Example]:
    source = random.Random(f"examples of {codec}")
    found: list[Example] = []
    counts: Counter[str] = Counter()
    for name in QUICK_NAMES:
        played = session(name, codec)
        others = [step.frame for step in played.steps]
        for place in sorted(source.sample(range(len(played.steps)), k=_PLACES)):
            subject = Subject.after(played, place)
            step = played.steps[place]
            before = subject.state(step.direction)
            for _ in range(_FRAMES_A_PLACE):
                frame = mutated(step.frame, others, source)
                tried = subject.tell(step.direction, frame)
                outcomes = [(frame, tried.outcome)]
                right = forged(codec, frame, tried.error) if isinstance(tried.error, DecodeError) else None
                if right is not None and counts[DECODED] < EXAMPLES:
                    outcomes.append((right, subject.tell(step.direction, right).outcome))
                if DECODED in (outcome for _, outcome in outcomes):
                    subject.put_back(step.direction, before)
                for data, outcome in outcomes:
                    if len(data) <= EXAMPLE_BYTES_MAX and counts[outcome] < EXAMPLES and data != step.frame:
                        counts[outcome] += 1
                        found.append(Example(name, place, data.hex(), outcome))
    return found


if __name__ == "__main__":
    main()
