"""The positions of a fleet of clouds, in a Redis or Valkey that they share.

    save, claim, … ──► batch ──one round trip at the transaction's end──► server ──► outcomes

Each call is one script (`lua`), whole and alone; a batch isn't. Where its answer is lost some of it may be done, and it is sent again: that changes
nothing. What the server has taken is as durable as its own settings make it. Whoever replaces a server that has lost its newest writes only
lets messages be sent to the CSMS again, under the same ids; edges keep them until they know better.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import redis

from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext, read_contexts, write_contexts
from ocppress_gateway.core.stored import Claim, DeadLetter, Lane
from ocppress_gateway.errors import StoreFailed, StoreFull, StoreNewer
from ocppress_gateway.positions.base import DEAD_TEXT_MAX, INCARNATIONS_MAX, PositionsLimits
from ocppress_gateway.positions.lua import BURY, CLAIM, DROP, KEEP_CONTEXTS, RELEASE, SAVE, SCRIPTS
from ocppress_gateway.positions.server import PREFIX, ServerPlace, remark_on
from ocppress_gateway.positions.store import Claimed, Figures, Outcome, PositionsStore, size_of_letter, to_bytes, to_text

__all__ = ["CONTEXTS_S", "CONTEXT_BYTES_MAX", "FLEET_LIMITS", "LIFE_S", "SharedPositionsStore", "channel_of", "life_of", "owner_of"]

FORMAT: Final = 1
"""Of what is on the server; a cloud leaves a later one alone."""

CONTEXTS_S: Final = 24 * 3600
"""How long contexts wait for their edge: as those on a disk."""

CONTEXT_BYTES_MAX: Final = 1024 * 1024
"""An edge's contexts, some two hundred stations'; further ones begin new epochs."""

FLEET_LIMITS: Final = PositionsLimits(pairs_max=5_000_000)
"""Pairs of identity and incarnation: a million stations that have had four each, and room. Half a gigabyte of the server's memory."""

LIFE_S: Final = 30
"""How long a cloud counts as alive that says nothing any more; it says so three times as often."""

_Names = tuple[str, ...]
_POSITIONS: Final = f"{PREFIX}positions:"
_OWNER: Final = f"{PREFIX}edge:"
_CONTEXTS: Final = f"{PREFIX}contexts:"
_LIFE: Final = f"{PREFIX}life:"
_CHANNEL: Final = f"{PREFIX}taken:"
_COUNTS: Final = f"{PREFIX}counts"
_LETTERS: Final = f"{PREFIX}letters"
_IDS: Final = f"{PREFIX}letter-ids"
_FORMAT: Final = f"{PREFIX}format"
_PROBE: Final = f"{PREFIX}probe"

_LetterFields = tuple[bytes, bytes, str, bytes, bytes, bytes, int, float]


def life_of(run: str) -> str:
    """Where a cloud says that it lives."""
    return f"{_LIFE}{run}"


def channel_of(run: str) -> str:
    """Where a cloud is told which of its claims are gone: `EDGE NUMBER`."""
    return f"{_CHANNEL}{run}"


def owner_of(edge: str) -> str:
    """Where it stands which cloud speaks for an edge: `RUN NUMBER KEY`."""
    return f"{_OWNER}{edge}"


class SharedPositionsStore(PositionsStore):
    """Positions on a server. `run` is this cloud's life: random, without white space, and no other's."""

    def __init__(self, place: ServerPlace, run: str, *, limits: PositionsLimits = FLEET_LIMITS) -> None:
        super().__init__(place.name, limits)
        self._run = run
        self._client = redis.Redis(**place.options())
        self._batch: _Batch | None = None

    # --- life

    def open(self) -> None:
        with self._failures():
            _load_scripts(self._client)
            self._ask("SET", _FORMAT, FORMAT, "NX")
            found = self._ask("GET", _FORMAT)
            self.remark = remark_on(self.info())
            self._counted(self._ask("HMGET", _COUNTS, "pairs", "letters", "bytes"))
        if found != str(FORMAT).encode():
            raise StoreNewer(self._place, f"of format {found!r}, this release knows {FORMAT}")

    def close(self) -> None:
        self._client.close()

    def set_aside(self) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        assert self._batch is None, "one at a time"
        self._batch = _Batch()
        try:
            yield
            with self._failures():
                answers = self._batch.send(self._client)
            if answers:
                self._counted(answers)
        finally:
            self._batch = None

    def probe(self) -> None:
        self._collecting.ask("SET", _PROBE, 1)

    def sizes(self) -> tuple[int, int | None]:
        """The files are the server's."""
        return 0, None

    def obstacle(self) -> str | None:
        """None: what is full refuses one call, and concerns no other."""
        return None

    def obstacle_at(self) -> float | None:
        return None

    # --- within a transaction

    def save(self, identity: str, incarnation: bytes, lane: Lane, position: int, claim: Claim | None = None) -> Outcome[bool]:
        names = f"{_POSITIONS}{identity}", owner_of("" if claim is None else claim.edge), _COUNTS
        run = "" if claim is None else self._run
        answer = self._collecting.run(SAVE, names, run, incarnation, int(lane), position, INCARNATIONS_MAX, self.limits.pairs_max)

        def saved() -> bool:
            if answer() == b"full":
                raise StoreFull(self._place, f"full: {self.limits.pairs_max} outboxes are known")
            return bool(answer() == b"saved")

        return saved

    def bury(self, letter: DeadLetter) -> Outcome[int]:
        limits = self.limits
        answer = self._collecting.run(
            BURY,
            (_LETTERS, _IDS, _COUNTS),
            _id_of(letter),
            _packed(letter),
            size_of_letter(letter),
            limits.dead_letters_max,
            limits.dead_bytes_max,
        )

        def key() -> int:
            word, *figures = answer()
            if word == b"full":
                letters, size = map(int, figures)
                raise StoreFull(self._place, f"full: {letters} dead letters of {size // 1024} KiB wait for somebody to look at them")
            return int(figures[0])

        return key

    def drop(self, key: int) -> Outcome[bool]:
        letter = self.dead_letter(key)
        if letter is None:
            return lambda: False
        answer = self._collecting.run(DROP, (_LETTERS, _IDS, _COUNTS), key, _id_of(letter), size_of_letter(letter))
        return lambda: bool(answer())

    def claim(self, claim: Claim, key_print: str) -> Outcome[Claimed]:
        names = owner_of(claim.edge), f"{_CONTEXTS}{claim.edge}"
        answer = self._collecting.run(CLAIM, names, self._run, claim.number, key_print, claim.edge, _LIFE, _CHANNEL)

        def claimed() -> Claimed:
            word, *found = answer()
            if word == b"rival":
                return Claimed(rival=True)
            again, contexts = found
            return Claimed(others=again != b"again", contexts=_contexts(contexts))

        return claimed

    def release(self, claim: Claim) -> None:
        self._collecting.run(RELEASE, (owner_of(claim.edge),), self._run, claim.number)

    def keep_contexts(self, edge: str, contexts: Sequence[LeavingContext | SavedContext]) -> Outcome[int]:
        kept: list[SavedContext] = []
        size = 0
        for context in contexts:
            saved = context.saved() if isinstance(context, LeavingContext) else context
            if saved is None or size + len(saved.encoder) + len(saved.decoder) > CONTEXT_BYTES_MAX:
                continue
            kept.append(saved)
            size += len(saved.encoder) + len(saved.decoder)
        if not kept:
            return lambda: 0
        answer = self._collecting.run(KEEP_CONTEXTS, (owner_of(edge), f"{_CONTEXTS}{edge}"), self._run, write_contexts(kept), CONTEXTS_S)
        return lambda: len(kept) if answer() == b"kept" else 0

    # --- and outside of one

    def load(self, identity: str) -> dict[bytes, tuple[int, int]]:
        with self._failures():
            pairs = self._ask("HGETALL", f"{_POSITIONS}{identity}")
        found: dict[bytes, tuple[int, int]] = {}
        for incarnation, text in pairs.items():
            express, ordered, _ = map(int, text.split())
            found[incarnation] = express, ordered
        return found

    def dead(self, identity: str | None, limit: int) -> tuple[DeadLetter, ...]:
        with self._failures():
            ids = self._ask("HGETALL", _IDS)
        prefix = b"" if identity is None else _id(identity, "")
        found: list[DeadLetter] = []
        text = 0
        for key in sorted(int(key) for id_, key in ids.items() if id_.startswith(prefix)):
            if len(found) >= limit:
                break
            letter = self.dead_letter(key)
            if letter is None:
                continue
            text += len(letter.body)
            if found and text > DEAD_TEXT_MAX:
                break
            found.append(letter)
        return tuple(found)

    def dead_letter(self, key: int) -> DeadLetter | None:
        with self._failures():
            data = self._ask("HGET", _LETTERS, key)
        return None if data is None else _unpacked(data, key)

    def info(self) -> dict[str, Any]:
        """What the server says of itself. Raises `StoreFailed`."""
        with self._failures():
            found: dict[str, Any] = self._ask("INFO")
        return found

    # --- the server

    def _ask(self, *command: Any) -> Any:
        return _ask(self._client, *command)

    @property
    def _collecting(self) -> _Batch:
        assert self._batch is not None, "within a transaction"
        return self._batch

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """What goes wrong with the server may go better later."""
        try:
            yield
        except (redis.RedisError, OSError) as error:
            raise StoreFailed(self._place, str(error) or type(error).__name__) from error

    def _counted(self, counts: Sequence[bytes | None]) -> None:
        pairs, letters, size = (int(count or 0) for count in counts)
        self.figures = Figures(pairs, letters, size)


class _Batch:
    """What is asked in one round trip."""

    def __init__(self) -> None:
        self._asked: list[tuple[Any, ...]] = []
        self._answers: list[Any] = []

    def ask(self, *command: Any) -> Outcome[Any]:
        """Ask it with the others."""
        number = len(self._asked)
        self._asked.append(command)
        return lambda: self._answers[number]

    def run(self, script: str, names: _Names, *values: Any) -> Outcome[Any]:
        """Run a script with the others."""
        return self.ask("EVALSHA", _sum(script), len(names), *names, *values)

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._asked)

    def send(self, client: redis.Redis) -> list[Any]:
        """Ask all of it, and for the counts; returns those, nothing if nothing was asked."""
        if not self._asked:
            return []
        self.ask("HMGET", _COUNTS, "pairs", "letters", "bytes")
        try:
            self._answers = self._execute(client)
        except redis.exceptions.NoScriptError:  # the server has begun anew
            _load_scripts(client)
            self._answers = self._execute(client)
        counts: list[Any] = self._answers[-1]
        return counts

    def _execute(self, client: redis.Redis) -> list[Any]:
        with client.pipeline(transaction=False) as pipeline:
            for command in self._asked:
                _ask(pipeline, *command)
            return list(pipeline.execute())


def _ask(client: Any, *command: Any) -> Any:
    """`redis` types its answers for text and bytes alike, which tells nothing."""
    return client.execute_command(*command)


def _load_scripts(client: redis.Redis) -> None:
    for script in SCRIPTS:
        _ask(client, "SCRIPT LOAD", script)


def _sum(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _contexts(data: bytes) -> tuple[SavedContext, ...]:
    try:
        return read_contexts(data) if data else ()
    except (ValueError, msgspec.MsgspecError):  # of another release
        return ()


def _id(identity: str, message_id: str) -> bytes:
    return b"%b\0%b" % (identity.encode(), to_bytes(message_id))


def _id_of(letter: DeadLetter) -> bytes:
    return _id(letter.identity, letter.message_id)


def _packed(letter: DeadLetter) -> bytes:
    fields: _LetterFields = (
        letter.identity.encode(),
        to_bytes(letter.message_id),
        letter.version,
        to_bytes(letter.error_code),
        to_bytes(letter.error_description),
        to_bytes(letter.body),
        letter.attempts,
        float(letter.at_s),
    )
    return msgspec.msgpack.encode(fields)


def _unpacked(data: bytes, key: int) -> DeadLetter:
    identity, message_id, version, code, description, body, attempts, at_s = msgspec.msgpack.decode(data, type=_LetterFields)
    return DeadLetter(
        identity.decode(), to_text(message_id), version, to_text(body), to_text(code), to_text(description), attempts, at_s, key
    )
