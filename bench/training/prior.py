"""Makes `codecs/ocppress_codecs/data/prior-1.bin`: what both ends of the codec `adaptive` know from the start.

The codec itself learns it, by carrying a corpus: the names of OCPP, the least message of each schema, the recordings of station programs that ship with the
gateway, invented traffic and generated workloads. No recording of a real charger is used. What is kept of it is in `ocppress_codecs/adaptive/prior.py`.

To measure fairly, a recording is compressed with a prior that has none of its station program: `train_prior(exclude="microocpp")`.
"""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from bench.training.dictionary import schema_messages
from bench.training.invented import messages_of_v2, messages_of_v16
from ocppress_codecs.adaptive.characters import STATIC_SIZE, first_weights
from ocppress_codecs.adaptive.coder import BitWriter
from ocppress_codecs.adaptive.contexts import TABLE_SIZE, UNKNOWN
from ocppress_codecs.adaptive.frames import Direction as Side
from ocppress_codecs.adaptive.history import PRIOR_INDEX_SIZE
from ocppress_codecs.adaptive.literals import code_literal
from ocppress_codecs.adaptive.model import Knowledge, Model
from ocppress_codecs.adaptive.prior import content_of, packed
from ocppress_codecs.adaptive.skeletons import lexemes, split
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import covered, numbered
from ocppress_codecs.names import names
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of
from ocppress_codecs.scalars import Text
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import generator, recordings
from ocppress_gateway.workloads.traces import Direction

__all__ = ["PRIOR_FILE", "main", "train_prior"]

PRIOR_FILE: Final = Path(__file__).parents[2] / "codecs/ocppress_codecs/data/prior-1.bin"

GENERATED: Final = ("home", "ac22", "dc10")
GENERATED_RECORDS: Final = 1200
GENERATED_SEED: Final = 5

COUNT_MAX: Final = 5
"""How many decisions what is known weighs as, at most: what a station does itself soon weighs more."""

TEXT_BYTES_MAX: Final = 40 * 1024

_WORDS_MAX: Final = 7000

Batches = list[tuple[Direction, list[Message]]]


def main() -> None:
    """Write the prior."""
    PRIOR_FILE.write_bytes(packed(train_prior()))


@functools.cache
def train_prior(exclude: str | None = None) -> bytes:
    """The content of the prior from everything but the recordings `sim-{exclude}-*`."""
    corpus = list(_corpus(exclude))
    words = _words(corpus)
    text = "\n".join((*names().words, *names().keys)) + "\n" + ",".join(word for word in names().words if "." in word) + "\n"
    trainer = _Trainer(words, text.encode())
    trainer.spell()
    for conversation in corpus:
        trainer.carry(conversation)
    texts = dict.fromkeys(itertools.chain(text.split("\n")[:-1], _texts(corpus)))
    known = "\n".join(texts).encode()[:TEXT_BYTES_MAX] + b"\n"
    return trainer.content(words, known)


def _corpus(exclude: str | None) -> Iterator[Batches]:
    """Conversations, the least like daily traffic first."""
    for version in ("v16", "v201", "v21"):
        yield _alone(schema_messages(version))
    yield _alone(messages_of_v16())
    yield _alone(messages_of_v2())
    for name in GENERATED:
        records = itertools.islice(generator.generate(generator.WORKLOADS[name], days=1, seed=GENERATED_SEED), GENERATED_RECORDS)
        yield [(batch.direction, list(batch.messages)) for batch in schedule(Conversation(OcppVersion.V201).follow(records), 900.0)]
    for delay_s in (0.0, 900.0):
        for name in recordings.names():
            if recordings.station_program(name) != exclude:
                said = Conversation(recordings.version(name)).follow(recordings.load(name))
                yield [(batch.direction, list(batch.messages)) for batch in schedule(said, delay_s)]
        yield _alone(messages_of_v16())
        yield _alone(messages_of_v2())


def _alone(messages: Iterable[tuple[MessageType, str]]) -> Batches:
    """Messages that nobody answers, and answers each to the CALL before it."""
    found: Batches = []
    calls = 0
    for kind, body in messages:
        if kind in (MessageType.CALL, MessageType.SEND):
            number = calls if kind is MessageType.CALL else None
            calls += kind is MessageType.CALL
            found.append((Direction.UP, [Message(kind, action_of(kind, body), body, number)]))
        else:
            found.append((Direction.DOWN, [Message(kind, "", body, calls - 1 if calls else None)]))
    return found


def _words(corpus: list[Batches]) -> list[str]:
    """Parts of skeletons, the frequent ones first."""
    counts: collections.Counter[str] = collections.Counter()
    for conversation in corpus:
        seen: set[str] = set()
        for _, messages in conversation:
            for message in messages:
                skeleton, _ = split(message.type.value, message.body)
                if skeleton not in seen:
                    seen.add(skeleton)
                    counts.update(lexemes(skeleton))
    for name in (*names().keys, *names().words):
        counts[f'"{name}"'] += 1
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ordered if "\n" not in word][:_WORDS_MAX]


def _texts(corpus: list[Batches]) -> Iterator[str]:
    """Strings among the values, and whole words."""
    for conversation in corpus:
        for _, messages in conversation:
            for message in messages:
                for value in split(message.type.value, message.body)[1]:
                    if isinstance(value, Text) and value.token[0] == '"' and 8 <= len(value.token) <= 400 and not _is_random(value.token):
                        yield value.token[1:-1]


def _is_random(token: str) -> bool:
    """Identifiers never come again."""
    return sum(character.isdigit() for character in token) * 3 > len(token)


class _Trainer:
    """A model whose tables all conversations share; the rest begins anew with each."""

    def __init__(self, words: list[str], text: bytes) -> None:
        self._knowledge = Knowledge(
            vec[i64]([UNKNOWN] * TABLE_SIZE), vec[i64]([0] * STATIC_SIZE), first_weights(), words, {}, text, PRIOR_INDEX_SIZE, b""
        )
        self._trained = [UNKNOWN] * STATIC_SIZE
        self._models = {direction: self._fresh(None) for direction in Direction}

    def _fresh(self, before: Model | None) -> Model:
        model = Model(self._knowledge)
        model.following.training = True
        model.characters.trained = self._trained
        if before is not None:
            model.table = before.table
            model.characters = before.characters
        return model

    def spell(self) -> None:
        """Learn how names are spelled."""
        model = self._models[Direction.UP]
        for name in (*names().words, *names().keys):
            writer = BitWriter(model.table)
            code_literal(writer, model, f'"{name}"', 0, '""', 1000)
            model.keep()

    def carry(self, conversation: Batches) -> None:
        """Learn from a conversation."""
        shared = self._models[Direction.UP]
        logs = {direction: CallLog() for direction in Direction}
        sides: dict[Direction, Side] = {}
        for direction in Direction:
            side = sides[direction] = Side(self._knowledge, logs[direction], logs[direction.opposite])
            side.model = self._fresh(shared)
        for direction, messages in conversation:
            side = sides[direction]
            batch = numbered(messages, side.progress)
            _, notes, progress = side.write(batch, covered(batch), False)
            side.advance(batch, notes, progress)
        self._models = {direction: sides[direction].model for direction in Direction}

    def content(self, words: list[str], text: bytes) -> bytes:
        """The prior's content."""
        model = self._models[Direction.UP]
        return content_of(model.table.states(), self._trained, model.characters.weights, words, self._knowledge.following, text, COUNT_MAX)


if __name__ == "__main__":
    main()
