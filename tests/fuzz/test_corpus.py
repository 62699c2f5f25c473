"""What was found once is found no more, and hostile frames of each outcome still have it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from tests.fuzz.corpus import CORPUS, EXAMPLES, read_guided, read_outcomes
from tests.fuzz.questions import QUESTIONS, ask
from tests.fuzz.reproducers import load, replay
from tests.fuzz.sessions import session
from tests.fuzz.subject import DECODED, Subject

FOUND: Final = sorted(CORPUS.glob("found-*.json"))


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
def test_what_once_broke_a_promise(file: Path) -> None:
    assert replay(load(file))


@pytest.mark.parametrize("codec", CodecName)
def test_changed_frames_have_the_outcome_they_had(codec: CodecName) -> None:
    version, examples = read_outcomes(codec)
    assert version == fingerprint(codec).hex(), "the format has changed: python -m tests.fuzz.corpus"
    outcomes = [example.outcome for example in examples]
    assert {DECODED, "malformed", "truncated", "integrity"} <= set(outcomes)
    assert max(outcomes.count(outcome) for outcome in outcomes) <= EXAMPLES
    for name, place in {(example.session, example.place): None for example in examples}:
        played = session(name, codec)
        subject = Subject.after(played, place)
        step = played.steps[place]
        before = subject.state(step.direction)
        for example in examples:
            if (example.session, example.place) == (name, place):
                assert subject.tell(step.direction, bytes.fromhex(example.frame)).outcome == example.outcome
                if example.outcome == DECODED:
                    subject.check_heir(step.direction, step.messages)
                    subject.put_back(step.direction, before)
                assert subject.state(step.direction) == before
        subject.take(step)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_coverage_led_to(question: str) -> None:
    inputs = read_guided(question)
    assert inputs, "nothing to ask: python -m tests.fuzz.guided"
    for data in inputs:
        ask(question, data)
