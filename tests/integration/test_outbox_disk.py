"""The outbox on disks that are full, too small, read-only, or cut off from power in the middle of a write."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ocppress_gateway.core.stored import Lane, StoredMessage
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.outbox.sqlite import OUTBOX_FILE, SqliteOutboxStore
from tests.support.stores import message

TEXT = 10**9
LOG = f"{OUTBOX_FILE}-wal"


@contextlib.contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """No file may grow beyond this: a write that would fails, whoever makes it (EFBIG; Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _store(store: SqliteOutboxStore, one: StoredMessage) -> int:
    with store.transaction():
        return store.insert(one)


def _is_stored(store: SqliteOutboxStore, one: StoredMessage) -> bool:
    try:
        _store(store, one)
    except StoreFailed:
        return False
    return True


def _check(folder: Path, stored: list[StoredMessage]) -> None:
    """What is there is what was stored, and it goes on."""
    store = SqliteOutboxStore(folder)
    store.open()
    assert store.opened is not None
    assert store.opened.fault is None
    loaded = store.load("CP1", Lane.ORDERED, 0, TEXT)
    assert [one.body for one in loaded] == [one.body for one in stored]
    assert [one.position for one in loaded] == list(range(1, len(stored) + 1))
    assert _store(store, message(0)) == len(stored) + 1
    store.close()


def test_a_full_disk_loses_nothing_and_is_used_again_when_there_is_room(tiny_disk: Path) -> None:
    folder = tiny_disk / "state"
    store = SqliteOutboxStore(folder)
    store.open()
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    stored = []
    failures = 0
    for number in range(300):
        one = message(number, fill=3000)
        if _is_stored(store, one):
            stored.append(one)
        else:
            failures += 1
            if failures == 20:
                assert [one.body for one in store.load("CP1", Lane.ORDERED, 0, TEXT)] == [one.body for one in stored], "it can be read"
                ballast.unlink()
        if failures == 40:
            break
    assert failures == 40
    assert len(stored) > 50
    assert store.figures.messages == len(stored)
    shutil.copytree(folder, tiny_disk.parent / "killed")
    store.close()
    _check(tiny_disk.parent / "killed", stored)


def test_a_disk_that_is_full_from_the_start_is_used_when_there_is_room(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(2_000_000))
    store = SqliteOutboxStore(tiny_disk / "state")
    for _ in range(3):
        with pytest.raises(StoreFailed):
            store.open()
    ballast.unlink()
    store.open()
    assert _store(store, message(1)) == 1
    store.close()


def test_a_read_only_file_system_is_used_when_it_can_be_written(tiny_disk: Path) -> None:
    folder = tiny_disk / "state"
    _store_one(folder)
    _remount(tiny_disk, "ro")
    store = SqliteOutboxStore(folder)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            store.open()
    _remount(tiny_disk, "rw")
    store.open()
    assert _store(store, message(2)) == 2
    store.close()


def _store_one(folder: Path) -> None:
    store = SqliteOutboxStore(folder)
    store.open()
    _store(store, message(1))
    store.close()


def _remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


@pytest.mark.parametrize("seed", range(5))
def test_writes_that_fail_at_any_place_lose_nothing(tmp_path: Path, seed: int) -> None:
    """The log can't grow beyond a limit that moves: commits fail in the middle of their pages, and later ones take their place."""
    random = Random(seed)
    store = SqliteOutboxStore(tmp_path / "state")
    store.open()
    store._database.execute("PRAGMA wal_autocheckpoint=20")
    stored: list[StoredMessage] = []
    refused: list[StoredMessage] = []
    for number in range(300):
        one = message(number, fill=random.choice([0, 3000, 30_000]))
        with _file_size_limit(random.choice([10**9, random.randrange(10_000, 130_000)])):
            (stored if _is_stored(store, one) else refused).append(one)
        if one in refused and number % 10 == 0:
            shutil.copytree(tmp_path / "state", tmp_path / "killed")
            _check_after_a_failure(tmp_path / "killed", stored, one)
            shutil.rmtree(tmp_path / "killed")
    assert len(refused) > 20
    assert len(stored) > 100
    store.close()
    _check(tmp_path / "state", stored)


def _check_after_a_failure(folder: Path, stored: list[StoredMessage], refused: StoredMessage) -> None:
    """What a failed commit has left in the log may be taken for a commit by the next process, and only by that."""
    store = SqliteOutboxStore(folder)
    store.open()
    bodies = [one.body for one in store.load("CP1", Lane.ORDERED, 0, TEXT)]
    assert bodies[: len(stored)] == [one.body for one in stored]
    assert bodies[len(stored) :] in ([], [refused.body])
    store.close()


SECTOR = 512

LOG_HEADER_BYTES = 32
"""With the salts that the frames after it must have (sqlite.org/fileformat2.html, 4.1)."""


def _torn(before: bytes, after: bytes, random: Random) -> bytes:
    """A file of which some sectors were written and some weren't when the power went."""
    kind = random.choice(["beginning", "sectors", "nothing", "all"])
    if kind in ("nothing", "all"):
        return before if kind == "nothing" else after
    size = max(len(before), len(after))
    old, new = before.ljust(size, b"\0"), after.ljust(size, b"\0")
    end = random.randrange(size + 1)
    if kind == "beginning":
        return new[:end] + old[end:]
    share = random.random()
    return b"".join((new if random.random() < share else old)[at : at + SECTOR] for at in range(0, size, SECTOR))


def _torn_log(before: bytes, after: bytes, random: Random) -> bytes:
    """A log of which some sectors were written.

    One that begins anew, over frames that are in the file, has its new header on disk before any frame is written (sqlite.org/src/info/ff5be73dee):
    no disk that keeps its word has new frames under the old header, which would make old ones valid again.
    """
    return _torn(after[:LOG_HEADER_BYTES] + before[LOG_HEADER_BYTES:], after, random)


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _power_cuts(root: Path, seed: int, commits: int) -> None:
    """Each commit, and the moving of the log into the file that may go with it, cut off at a random place.

    SQLite waits for the disk between the two: before the commit is in the log for certain the file doesn't change, and then the log is whole.
    """
    random = Random(seed)
    store = SqliteOutboxStore(root / "state")
    store.open()
    store._database.execute("PRAGMA wal_autocheckpoint=8")
    file, log = root / "state" / OUTBOX_FILE, root / "state" / LOG
    stored: list[StoredMessage] = []
    forgotten = 0
    moved = 0
    for number in range(commits):
        before = _read(file), _read(log)
        group = [message(number * 10 + extra, fill=random.choice([0, 500, 9000])) for extra in range(random.choice([1, 1, 3]))]
        with store.transaction():
            if random.random() < 0.3 and stored:
                forgotten = random.randint(forgotten, len(stored))
                store.forget("CP1", Lane.ORDERED, forgotten)
            for one in group:
                store.insert(one)
        after = _read(file), _read(log)
        moved += before[0] != after[0]
        for image, acknowledged in (
            ((before[0], _torn_log(before[1], after[1], random)), stored),
            ((_torn(before[0], after[0], random), after[1]), stored + group),
        ):
            cut = root / "cut"
            cut.mkdir()
            (cut / OUTBOX_FILE).write_bytes(image[0])
            (cut / LOG).write_bytes(image[1])
            _survives(cut, acknowledged, stored + group)
            shutil.rmtree(cut)
        stored += group
    store.close()
    assert moved > commits / 20, "the log was moved now and then"


def _survives(folder: Path, acknowledged: list[StoredMessage], asked: list[StoredMessage]) -> None:
    store = SqliteOutboxStore(folder)
    store.open()
    assert store.opened is not None
    assert store.opened.fault is None
    (record,) = store.opened.stations or (None,)
    if record is None:
        assert not acknowledged
    else:
        newest, delivered = record.newest[Lane.ORDERED], record.delivered[Lane.ORDERED]
        assert newest in (len(acknowledged), len(asked)), "all of a commit or nothing"
        bodies = [one.body for one in store.load("CP1", Lane.ORDERED, 0, TEXT)]
        assert bodies == [one.body for one in asked[delivered:newest]]
    store.close()


@pytest.mark.parametrize("seed", range(3))
def test_power_cuts(tmp_path: Path, seed: int) -> None:
    _power_cuts(tmp_path, seed, commits=60)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_soak_power_cuts(tmp_path: Path, seed: int) -> None:
    _power_cuts(tmp_path, seed, commits=600)
