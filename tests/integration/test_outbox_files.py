"""The outbox's files: who may read them, who may have them open, and what becomes of them when they are damaged, newer, or somebody else's."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from ocppress_gateway.core.stored import Lane, OutboxOpened, StoredMessage
from ocppress_gateway.errors import StoreDamaged, StoreError, StoreFailed, StoreInUse, StoreNewer
from ocppress_gateway.outbox.base import FINGERPRINTS_MAX
from ocppress_gateway.outbox.sqlite import OUTBOX_FILE, SqliteOutboxStore
from ocppress_gateway.storage.database import Database
from ocppress_gateway.storage.files import SET_ASIDE_MAX
from tests.support.stores import message

TEXT = 10**9


@contextmanager
def _open(folder: Path) -> Iterator[SqliteOutboxStore]:
    store = SqliteOutboxStore(folder)
    try:
        store.open()
        yield store
    finally:
        store.close()


def _fill(folder: Path, count: int = 60, *, forget: int = 10) -> list[StoredMessage]:
    """Put messages of two stations into an outbox and close it; those that are left, in order."""
    messages = [message(number, identity=f"CP{number % 2}", fill=number * 40) for number in range(count)]
    with _open(folder) as store:
        for start in range(0, count, 10):
            with store.transaction():
                for one in messages[start : start + 10]:
                    store.insert(one)
        with store.transaction():
            store.forget("CP0", Lane.ORDERED, forget)
            store.remember("CP1", True, 300)
    return [one for number, one in enumerate(messages) if number % 2 or number >= 2 * forget]


def _bodies(store: SqliteOutboxStore) -> list[str]:
    """All bodies that can be loaded, sorted."""
    return sorted(one.body for identity in ("CP0", "CP1") for one in store.load(identity, Lane.ORDERED, 0, TEXT))


def _opened(store: SqliteOutboxStore) -> OutboxOpened:
    assert store.opened is not None
    return store.opened


def _damaged(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.damaged*"))


# --- who may


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "state"
    before = os.umask(0)
    try:
        with _open(folder) as store:
            with store.transaction():
                store.insert(message(1))
            files = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert files == {OUTBOX_FILE: 0o600, f"{OUTBOX_FILE}-wal": 0o600, "outbox.lock": 0o600}


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with _open(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_one_at_a_time(tmp_path: Path) -> None:
    with _open(tmp_path):
        second = SqliteOutboxStore(tmp_path)
        for _ in range(2):
            with pytest.raises(StoreInUse, match=rf"outbox.lock: in use by another process \({os.getpid()}\)"):
                second.open()
    with _open(tmp_path):
        pass


def test_a_newer_outbox_is_left_alone(tmp_path: Path) -> None:
    _fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / OUTBOX_FILE)) as connection:
        connection.execute("PRAGMA user_version=7")
    before = (tmp_path / OUTBOX_FILE).read_bytes()
    with pytest.raises(StoreNewer, match=r"made by a later version of ocppress \(schema 7, this one knows 1\)"), _open(tmp_path):
        pass
    assert (tmp_path / OUTBOX_FILE).read_bytes() == before
    assert _damaged(tmp_path) == []


@pytest.mark.parametrize("version", [0, 1])
def test_a_database_of_another_program_is_set_aside_untouched(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / OUTBOX_FILE)) as connection:
        connection.execute("CREATE TABLE message (key INTEGER PRIMARY KEY, note TEXT)")
        connection.execute(f"PRAGMA user_version={version}")
    before = (tmp_path / OUTBOX_FILE).read_bytes()
    with _open(tmp_path) as store:
        fault = _opened(store).fault
        assert fault is not None
        assert "0 messages were taken over" in fault
    (kept,) = _damaged(tmp_path)
    assert str(kept) in fault
    assert kept.read_bytes() == before


def test_an_empty_file_is_a_new_outbox(tmp_path: Path) -> None:
    (tmp_path / OUTBOX_FILE).touch()
    with _open(tmp_path) as store:
        assert _opened(store).fault is None


def test_schemas_are_led_from_version_to_version(tmp_path: Path) -> None:
    scripts = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)", "UPDATE a SET y = 3"]
    for count in (1, 2, 3, 3):
        database = Database(tmp_path / "x.sqlite", application_id=5, migrations=scripts[:count])
        database.open()
        found = database.execute("SELECT * FROM a").fetchall()
        assert found == [[], [(1, 2)], [(1, 3)]][count - 1]
        database.close()


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    scripts = ["CREATE TABLE a (x)", "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)"]
    for count in (1, 2, 1):
        database = Database(tmp_path / "x.sqlite", application_id=5, migrations=scripts[:count])
        with closing(database):
            if count == 2:
                with pytest.raises(sqlite3.OperationalError):
                    database.open()
            else:
                database.open()
                assert database.execute("SELECT * FROM a").fetchall() == []


# --- damage


def _flip(file: Path, random: Random, count: int) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(count):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    file.write_bytes(data)


def _overwrite_page(file: Path, random: Random, _: int) -> None:
    data = bytearray(file.read_bytes())
    page = random.randrange(len(data) // 4096)
    data[page * 4096 : (page + 1) * 4096] = random.randbytes(4096) if random.random() < 0.5 else bytes(4096)
    file.write_bytes(data)


def _cut(file: Path, random: Random, _: int) -> None:
    os.truncate(file, random.randrange(file.stat().st_size))


DAMAGES: dict[str, Callable[[Path, Random, int], None]] = {"bits": _flip, "page": _overwrite_page, "cut": _cut}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", range(10))
def test_damage_never_changes_a_message_and_costs_no_more_than_what_it_hit(tmp_path: Path, damage: str, seed: int) -> None:
    random = Random(seed)
    folder = tmp_path / "state"
    messages = _fill(folder)
    with _open(folder) as store:
        incarnation = _opened(store).incarnation
    DAMAGES[damage](folder / OUTBOX_FILE, random, random.choice([1, 1, 1, 5, 50]))
    expected = {one.body for one in messages}
    try:
        with _open(folder) as store:
            found = _bodies(store)
            opened = _opened(store)
    except StoreNewer:
        return  # a bit of the schema's version: somebody has to look
    assert set(found) <= expected
    assert len(found) == len(set(found))
    if opened.fault is None:
        assert len(found) == len(expected)
    else:
        assert opened.incarnation != incarnation
        assert len(_damaged(folder)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_page_that_is_lost_costs_no_more_than_its_messages(tmp_path: Path, seed: int) -> None:
    """Any but the first, which says how to read the others."""
    messages = _fill(tmp_path)
    random = Random(seed)
    with (tmp_path / OUTBOX_FILE).open("r+b") as file:
        file.seek(random.randrange(1, (tmp_path / OUTBOX_FILE).stat().st_size // 4096) * 4096)
        file.write(random.randbytes(4096))
    with _open(tmp_path) as store:
        assert _opened(store).fault is not None
        assert len(_bodies(store)) >= len(messages) - 10


def test_what_damage_left_is_taken_over_in_order(tmp_path: Path) -> None:
    messages = _fill(tmp_path)
    file = tmp_path / OUTBOX_FILE
    data = file.read_bytes()
    victim = messages[20]
    place = data.index(victim.body[:40].encode())
    file.write_bytes(data[:place] + b"#" + data[place + 1 :])
    with _open(tmp_path) as store:
        opened = _opened(store)
        assert opened.fault is not None
        assert opened.fault.startswith(
            "damaged (a message is not what was written): 49 messages were taken over into a new one, 1 could not be read;"
        )
        for identity in ("CP0", "CP1"):
            loaded = store.load(identity, Lane.ORDERED, 0, TEXT)
            assert [one.position for one in loaded] == list(range(1, len(loaded) + 1))
            left = [one for one in messages if one.identity == identity and one is not victim]
            assert [(one.body, one.fingerprint, one.stored_at_s, one.urgent) for one in loaded] == [
                (one.body, one.fingerprint, one.stored_at_s, one.urgent) for one in left
            ]
        records = {record.identity: record for record in opened.stations}
        assert records["CP1"].accepted
        assert len(records["CP0"].fingerprints) == 30 - (victim.identity == "CP0")
    with _open(tmp_path) as store:
        assert _opened(store).fault is None
        assert _opened(store).incarnation == opened.incarnation
        assert len(_bodies(store)) == 49


@pytest.mark.parametrize("lost", ["message WHERE key = (SELECT max(key) - 3 FROM message)", "station WHERE number = 1"])
def test_what_is_missing_is_noticed(tmp_path: Path, lost: str) -> None:
    messages = _fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / OUTBOX_FILE, isolation_level=None)) as connection:
        assert connection.execute(f"DELETE FROM {lost}").rowcount == 1
    with _open(tmp_path) as store:
        opened = _opened(store)
        assert opened.fault is not None
        assert "is missing" in opened.fault
        assert len(_bodies(store)) == len(messages) - lost.startswith("message")


def test_what_is_kept_of_a_station_stays_small(tmp_path: Path) -> None:
    with _open(tmp_path) as store:
        for number in range(10):
            with store.transaction():
                for extra in range(50):
                    store.insert(message(number * 50 + extra))
                store.forget("CP1", Lane.ORDERED, (number + 1) * 50)
        (size,) = store._database.execute("SELECT length(fingerprints) FROM station").fetchone()
    assert size == FINGERPRINTS_MAX * 16


def test_the_log_stays_bounded_where_sqlite_alone_would_let_it_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocppress_gateway.storage.database.LOG_BYTES_MAX", 200_000)
    with _open(tmp_path) as store:
        store._database.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(200):
            with store.transaction():
                store.insert(message(number, fill=3000))
            assert (tmp_path / f"{OUTBOX_FILE}-wal").stat().st_size < 250_000


def test_a_log_that_sqlite_could_not_move_into_a_damaged_file_is_kept_with_it(tmp_path: Path) -> None:
    database = Database(tmp_path / OUTBOX_FILE, application_id=5, migrations=["CREATE TABLE a (x)"])
    for number in range(SET_ASIDE_MAX + 2):
        (tmp_path / OUTBOX_FILE).write_text(f"file {number}")
        (tmp_path / f"{OUTBOX_FILE}-wal").write_text(f"log {number}")
        database.set_aside()
        assert list(tmp_path.glob(f"{OUTBOX_FILE}*")) == []
        database.put_damaged_away(datetime.now(UTC))
    expected = {f"{what} {number}" for what in ("file", "log") for number in range(2, SET_ASIDE_MAX + 2)}
    assert {file.read_text() for file in _damaged(tmp_path)} == expected
    for file in tmp_path.glob("*.damaged"):
        assert file.with_name(f"{file.name}-wal").read_text().split()[1] == file.read_text().split()[1]


def test_damage_that_is_found_while_the_outbox_is_open_is_found_again_by_the_next_process(tmp_path: Path) -> None:
    messages = _fill(tmp_path)
    with _open(tmp_path) as store:
        data = (tmp_path / OUTBOX_FILE).read_bytes()
        place = data.index(messages[-1].body[:40].encode())
        with (tmp_path / OUTBOX_FILE).open("r+b") as file:
            file.seek(place)
            file.write(b"#")
        store._database.execute("PRAGMA shrink_memory")  # what SQLite still has in memory isn't damaged
        with pytest.raises(StoreDamaged):
            _bodies(store)
        store.set_aside()
    with _open(tmp_path) as store:
        fault = _opened(store).fault
        assert fault is not None
        assert fault.startswith("damaged (found when it was open last): 49 messages")
        assert len(_bodies(store)) == 49


@pytest.mark.parametrize("until", ["set aside", "taken over"])
def test_a_death_while_a_damaged_outbox_is_taken_over_neither_loses_nor_doubles(
    tmp_path: Path, until: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    messages = _fill(folder)
    _set_first_byte_of_a_body(folder, messages[0])
    with monkeypatch.context() as patch:
        patch.setattr(Database, "put_damaged_away", _fail)
        if until == "set aside":
            patch.setattr(SqliteOutboxStore, "_take_over", _fail)
        with pytest.raises(StoreFailed, match="died here"), _open(folder):
            pass
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
    with _open(copy) as store:
        assert _opened(store).fault is not None
        assert _bodies(store) == sorted(one.body for one in messages[1:])
    assert len(_damaged(copy)) == 1


def _fail(*_: object) -> None:
    raise StoreFailed("here", "died here")


def _set_first_byte_of_a_body(folder: Path, one: StoredMessage) -> None:
    file = folder / OUTBOX_FILE
    data = file.read_bytes()
    place = data.index(one.body.encode())
    file.write_bytes(data[:place] + b"#" + data[place + 1 :])


def test_only_the_newest_damaged_files_are_kept(tmp_path: Path) -> None:
    incarnations = set()
    for number in range(SET_ASIDE_MAX + 3):
        _fill(tmp_path, 4, forget=0)
        with (tmp_path / OUTBOX_FILE).open("r+b") as file:
            file.write(f"damage {number}".encode().ljust(100))
        with _open(tmp_path) as store:
            incarnations.add(_opened(store).incarnation)
    assert len(incarnations) == SET_ASIDE_MAX + 3
    kept = sorted(file.read_bytes()[:8] for file in _damaged(tmp_path))
    assert kept == [f"damage {number}".encode() for number in range(3, SET_ASIDE_MAX + 3)]


def test_a_log_without_its_end_costs_the_newest_messages_alone(tmp_path: Path) -> None:
    """As if the disk had promised what it didn't do: what is left is still a beginning, and whole."""
    folder = tmp_path / "state"
    counts = []
    with _open(folder) as store:
        for number in range(50):
            with store.transaction():
                store.insert(message(number, identity="CP0"))
        size = (folder / f"{OUTBOX_FILE}-wal").stat().st_size
        for length in [*range(0, size, size // 40 + 1), size]:
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy)
            os.truncate(copy / f"{OUTBOX_FILE}-wal", length)
            with _open(copy) as shortened:
                loaded = shortened.load("CP0", Lane.ORDERED, 0, TEXT)
                assert _opened(shortened).fault is None
            assert [one.position for one in loaded] == list(range(1, len(loaded) + 1))
            assert [one.body for one in loaded] == [message(number).body for number in range(len(loaded))]
            counts.append(len(loaded))
            shutil.rmtree(copy)
    assert counts == sorted(counts)
    assert len(set(counts)) > 30
    assert counts[-1] == 50


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """What the other tests can't see: that SQLite is told to."""
    with _open(tmp_path) as store:
        settings = {
            name: store._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "locking_mode")
        }
    assert settings == {"synchronous": 2, "journal_mode": "wal", "locking_mode": "exclusive"}


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(StoreError) as caught, _open(tmp_path / "state"):
        pass
    assert str(tmp_path / "state") in str(caught.value)
