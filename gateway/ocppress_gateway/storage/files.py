"""The files of a store: a private folder, a lock for one process, damaged files with a dated name, bytes counted."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ocppress_gateway.errors import StoreFailed, StoreInUse

__all__ = [
    "SET_ASIDE_MAX",
    "FileLock",
    "failures",
    "make_private_file",
    "make_private_folder",
    "put_away",
    "remove_private_file",
    "size_of",
    "thread_written_bytes",
    "write_private_file",
]

SET_ASIDE_MAX: Final = 3
"""Damaged files that are kept, the newest: a card that goes bad makes one after the other, and each may have the store's whole size."""


class FileLock:
    """A file that one process at a time holds; the kernel lets go of it when the process ends, however it does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take it, or keep it. Raises `StoreInUse`, `StoreFailed`."""
        if self._descriptor is not None:
            return
        with failures(self._file):
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with failures(self._file):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except StoreFailed as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            if isinstance(error.__cause__, BlockingIOError):
                raise StoreInUse(self._file, f"in use by another process ({holder or 'unknown'})") from None
            raise
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # the number is for people; a full disk must not keep the store from being read
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of it. The file stays: to remove it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def failures(place: Path) -> Iterator[None]:
    """Turn what the system says about a file into `StoreFailed`."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(place, error.strerror or str(error)) from error


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into; one that is there stays as it is. Raises `StoreFailed`."""
    with failures(folder):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            _sync(folder.parent)


def make_private_file(file: Path) -> None:
    """Make an empty file for its owner alone, if there is none. Raises `StoreFailed`."""
    with failures(file):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def remove_private_file(file: Path, bytes_max: int) -> bytes | None:
    """What `write_private_file` wrote, which is gone from the disk for good when this returns; None if there is none. Raises `StoreFailed`.

    A longer file than `bytes_max` is cut there.
    """
    with failures(file):
        _new(file).unlink(missing_ok=True)  # one that died while it wrote
        try:
            with file.open("rb") as existing:
                data = existing.read(bytes_max)
        except FileNotFoundError:
            return None
        file.unlink()
        _sync(file.parent)
        return data


def _new(file: Path) -> Path:
    return file.with_name(f".{file.name}.new")


def write_private_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of whatever a file for its owner alone has, whole or not at all. Raises `StoreFailed`."""
    new = _new(file)
    with failures(file):
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as output:
            output.write(data)
            output.flush()
            os.fsync(output.fileno())
        new.replace(file)
        _sync(file.parent)


def put_away(file: Path, now: datetime) -> Path:
    """Give `name.damaged`, and its log, the name `name-DATE.damaged`, and remove the oldest beyond `SET_ASIDE_MAX`. Raises `StoreFailed`."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = file.with_name(f"{file.stem}-{stamp}{file.suffix}")
    with failures(file):
        with contextlib.suppress(FileNotFoundError):
            log_of(file).rename(log_of(kept))
        file.rename(kept)
        # Not by the date in the name: the clock may have been set back.
        others = sorted(set(file.parent.glob(f"{file.stem}-*{file.suffix}")) - {kept}, key=lambda other: other.stat().st_mtime_ns)
        for old in others[: -(SET_ASIDE_MAX - 1)]:
            old.unlink()
            log_of(old).unlink(missing_ok=True)
        _sync(file.parent)
    return kept


def log_of(file: Path) -> Path:
    """The write-ahead log of an SQLite file."""
    return file.with_name(f"{file.name}-wal")


def size_of(*files: Path) -> int:
    """Bytes of the files that exist."""
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def thread_written_bytes(thread_id: int) -> int | None:
    """Bytes that a thread of this process, by its native id, has caused to be written to disks, in whole pages of the kernel's cache; None where it
    doesn't count them, or once the thread has gone."""
    try:
        text = Path(f"/proc/self/task/{thread_id}/io").read_text(encoding="ascii")
    except OSError:
        return None
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes:")), None)


def _sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
