"""The files of the positions' store: damage costs positions, never messages."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ocppress_gateway.core.stored import Lane
from ocppress_gateway.errors import StoreInUse, StoreNewer
from ocppress_gateway.positions.sqlite import POSITIONS_FILE, SqlitePositionsStore
from tests.support.stores import letter

INCARNATIONS = [bytes([number]) * 8 for number in range(3)]


def _open(folder: Path) -> SqlitePositionsStore:
    store = SqlitePositionsStore(folder)
    store.open()
    return store


def _fill(folder: Path) -> dict[tuple[str, bytes], tuple[int, int]]:
    """Save positions of many stations, and close the store."""
    expected = {}
    with closing(_open(folder)) as store, store.transaction():
        for number in range(200):
            for incarnation in INCARNATIONS:
                expected[f"CP{number}", incarnation] = number, number * 7
                for lane in Lane:
                    store.save(f"CP{number}", incarnation, lane, expected[f"CP{number}", incarnation][lane])
        store.bury(letter(1))
    return expected


@pytest.mark.parametrize("seed", range(20))
def test_damage_never_makes_a_position_higher(tmp_path: Path, seed: int) -> None:
    expected = _fill(tmp_path)
    random = Random(seed)
    file = tmp_path / POSITIONS_FILE
    data = bytearray(file.read_bytes())
    for _ in range(random.choice([1, 10, 300])):
        data[random.randrange(100, len(data))] ^= 1 << random.randrange(8)
    file.write_bytes(data)
    with closing(_open(tmp_path)) as store:
        for number in range(200):
            for incarnation, positions in store.load(f"CP{number}").items():
                assert expected[f"CP{number}", incarnation] == positions
        if store.fault is not None:
            assert [str(damaged) for damaged in tmp_path.glob("*.damaged")] == [store.fault.rsplit(" ", 1)[1]]
        with store.transaction():
            store.save("CP1", INCARNATIONS[0], Lane.ORDERED, 999)
        assert store.load("CP1")[INCARNATIONS[0]][Lane.ORDERED] == 999


def test_a_position_that_was_changed_is_forgotten_and_the_others_are_not(tmp_path: Path) -> None:
    _fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / POSITIONS_FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE pair SET ordered = ordered + 1 WHERE identity = 'CP5' AND incarnation = ?", (INCARNATIONS[1],))
    with closing(_open(tmp_path)) as store:
        assert store.fault is None
        assert set(store.load("CP5")) == {INCARNATIONS[0], INCARNATIONS[2]}
        assert set(store.load("CP6")) == set(INCARNATIONS)


def test_a_store_that_was_set_aside_by_the_last_process_is_reported(tmp_path: Path) -> None:
    _fill(tmp_path)
    with closing(_open(tmp_path)) as store:
        store.set_aside()
    with closing(_open(tmp_path)) as store:
        assert store.fault is not None
        assert store.fault.startswith("damaged (found when it was open last): positions and dead letters are forgotten; the old file is ")
        assert store.load("CP5") == {}
    with closing(_open(tmp_path)) as store:
        assert store.fault is None


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    _fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / POSITIONS_FILE)) as connection:
        connection.execute("PRAGMA user_version=9")
    store = SqlitePositionsStore(tmp_path)
    with closing(store), pytest.raises(StoreNewer):
        store.open()
    assert list(tmp_path.glob("*.damaged*")) == []


def test_one_at_a_time_and_beside_an_outbox_in_the_same_folder(tmp_path: Path) -> None:
    with closing(_open(tmp_path)):
        with pytest.raises(StoreInUse):
            _open(tmp_path)
        assert {file.name for file in tmp_path.iterdir()} >= {POSITIONS_FILE, "positions.lock"}
