"""The contract of ledger stores, and what befalls the file of one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_events import InterfaceCounted
from ocppress_gateway.errors import StoreDamaged, StoreFailed, StoreInUse
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.memory import MemoryLedgerStore
from ocppress_gateway.ledger.sqlite import LEDGER_FILE, SqliteLedgerStore
from tests.support.ledgers import Books, settings
from tests.support.tree import PACKAGES

OpenStore = Callable[[], LedgerStore]
"""A store over what another one has left, as after a restart."""


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    entries: dict[str, bytes] = {}
    opened: list[LedgerStore] = []

    def open_() -> LedgerStore:
        for store in opened:
            store.close()
        opened.append(MemoryLedgerStore(entries) if request.param == "memory" else SqliteLedgerStore(tmp_path))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


# --- the contract


def test_begins_empty(open_store: OpenStore) -> None:
    assert open_store().load() == {}


def test_what_is_saved_is_there_after_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    store.load()
    store.save({"ledger": b"1", "day/2026-03-01": b"", "plan": bytes(range(256))})
    store.save({"ledger": b"2", "day/2026-03-01": None, "day/1970-01-01": None})
    assert store.load() == {"ledger": b"2", "plan": bytes(range(256))}
    assert open_store().load() == {"ledger": b"2", "plan": bytes(range(256))}


def test_can_be_saved_to_without_having_been_read(open_store: OpenStore) -> None:
    open_store().save({"ledger": b"1"})
    assert open_store().load() == {"ledger": b"1"}


def test_nothing_to_save_is_saved(open_store: OpenStore) -> None:
    open_store().save({})
    assert open_store().load() == {}


def test_what_is_set_aside_is_gone(open_store: OpenStore) -> None:
    store = open_store()
    store.save({"ledger": b"nonsense"})
    store.set_aside()
    assert store.load() == {}
    store.save({"ledger": b"sense"})
    assert open_store().load() == {"ledger": b"sense"}


def test_can_be_closed_twice_and_used_again(open_store: OpenStore) -> None:
    store = open_store()
    store.save({"ledger": b"1"})
    store.close()
    store.close()
    assert store.load() == {"ledger": b"1"}


def test_a_ledger_comes_back(open_store: OpenStore) -> None:
    books = Books.settled(Ledger(settings()))
    books.others(0)
    books.others(1234)
    open_store().save(books.ledger.changes())
    later = Ledger(settings())
    later.restore(open_store().load())
    later.tick(0.0, books.wall)
    assert later.month() == books.month()


# --- the file


def _saved(folder: Path) -> Path:
    """A closed file with a year in it."""
    store = SqliteLedgerStore(folder)
    store.save({f"day/{number}": bytes([number % 256]) * 120 for number in range(400)})
    store.close()
    return folder / LEDGER_FILE


def _flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0xFF
    file.write_bytes(data)


def _loaded(folder: Path) -> dict[str, bytes]:
    """What another process would find."""
    store = SqliteLedgerStore(folder)
    try:
        return store.load()
    finally:
        store.close()


def test_no_sqlite_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"not a database" * 1000)
    store = SqliteLedgerStore(tmp_path)
    with pytest.raises(StoreDamaged):
        store.load()
    kept = store.set_aside()
    assert kept.read_bytes().startswith(b"not a database")
    assert store.load() == {}
    store.save({"ledger": b"1"})
    store.close()
    assert _loaded(tmp_path) == {"ledger": b"1"}


@pytest.mark.parametrize("part", [0.05, 0.2, 0.4, 0.6, 0.8, 0.99])
def test_a_flipped_bit_is_never_a_figure(tmp_path: Path, part: float) -> None:
    """Whatever byte it is in: either it is found, or it was in no entry."""
    file = _saved(tmp_path)
    whole = _loaded(tmp_path)
    _flip(file, int(file.stat().st_size * part))
    with contextlib.suppress(StoreDamaged):
        assert _loaded(tmp_path) == whole


def test_flipped_bits_within_an_entry_are_found(tmp_path: Path) -> None:
    file = _saved(tmp_path)
    _flip(file, file.read_bytes().index(bytes([77]) * 120) + 60)
    with pytest.raises(StoreDamaged):
        _loaded(tmp_path)


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    file = _saved(tmp_path)
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(StoreDamaged):
        _loaded(tmp_path)


def test_two_processes_cannot_have_it(tmp_path: Path) -> None:
    first = SqliteLedgerStore(tmp_path)
    first.load()
    with pytest.raises(StoreInUse):
        SqliteLedgerStore(tmp_path).load()
    first.close()
    assert _loaded(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed):
        SqliteLedgerStore(tmp_path / "file" / "state").load()


def test_a_save_that_fails_is_no_loss(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path)
    store.save({"ledger": b"1"})
    store._database.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreFailed, match="read-only"):
        store.save({"ledger": b"2"})
    store._database.execute("PRAGMA query_only = 0")
    store.save({"plan": b"3"})
    assert store.load() == {"ledger": b"1", "plan": b"3"}
    store.close()


_WRITER = """
import sys
from pathlib import Path
from ocppress_gateway.ledger.sqlite import SqliteLedgerStore

store = SqliteLedgerStore(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    store.save({"a": b"%d" % number, "b": b"%d" % number, f"day/{number % 50}": bytes(200)})
    print(number, flush=True)
"""


def test_a_killed_process_leaves_its_last_save_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES.values()))}
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        for _ in range(200):
            said = int(writer.stdout.readline())
        writer.kill()
    loaded = _loaded(tmp_path)
    assert loaded["a"] == loaded["b"]
    assert int(loaded["a"]) >= said


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["ledger", "plan", "day/1", "day/2", "day/3"]), st.none() | st.binary(max_size=300), max_size=4),
        max_size=6,
    )
)
@hypothesis_settings(max_examples=30)
def test_any_saves_are_those_of_a_dictionary(saves: list[dict[str, bytes | None]]) -> None:
    memory = MemoryLedgerStore()
    with tempfile.TemporaryDirectory() as folder:
        disk = SqliteLedgerStore(Path(folder))
        for changes in saves:
            memory.save(changes)
            disk.save(changes)
        assert disk.load() == memory.load()
        disk.close()


def test_a_year_of_saves_is_small_and_writes_little(tmp_path: Path) -> None:
    """Sizes, not times: what a save adds to the log is one page and its header."""
    books = Books.settled(Ledger(settings()), wall=datetime(2026, 3, 1, tzinfo=UTC))
    books.tell(InterfaceCounted("boot", 0, 0))
    store = SqliteLedgerStore(tmp_path)
    for day in range(400):
        books.pass_time(86_400)
        books.tell(InterfaceCounted("boot", 1000 * day, 1000 * day))
        store.save(books.ledger.changes())
    store.close()
    assert (tmp_path / LEDGER_FILE).stat().st_size <= 64 * 1024
    log = tmp_path / f"{LEDGER_FILE}-wal"
    store.save({**books.ledger.changes(), "plan": bytes(60)})
    before = log.stat().st_size
    for _ in range(5):
        books.pass_time(600)
        books.tell(InterfaceCounted("boot", 10**6, 10**6))
        store.save({**books.ledger.changes(), "plan": bytes(60)})
    assert (log.stat().st_size - before) / 5 <= 4096 + 24
    store.close()
