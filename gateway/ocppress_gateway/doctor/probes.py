"""Looking at this machine: folder, clock, ports, limits, kernel settings. Nothing is written, and what can't be read is unknown."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pwd
import re
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ocppress_gateway.doctor.facts import ClockFacts, FolderFacts, PortFacts

__all__ = ["clock_facts", "file_system_of", "files_max", "folder_facts", "holder_of", "port_facts", "tcp_timestamps"]

_ENTRIES_MAX: Final = 1000
"""Files of a state folder that are looked at; a program makes a dozen."""

_ANY_MODE: Final = 0o077
_OWNER_WRITES: Final = 0o300

_TIME_ERROR: Final = 5
"""adjtimex(2): the clock isn't synchronised."""

_TIMEX_BYTES: Final = 256
"""Room for a struct timex, which has 208 on 64-bit Linux; all zero, it asks and sets nothing."""

_LISTENING: Final = "0A"
"""A state in /proc/net/tcp."""


def folder_facts(folder: Path, socket_name: str) -> FolderFacts:
    """What a state folder is like, or the place where it would be made. Raises `OSError` where it can't be looked at."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    status = place.stat()
    disk = os.statvfs(place)
    asker_is_root = os.geteuid() == 0
    exists = place == folder
    is_folder = place.is_dir()
    writable = os.access(place, os.W_OK | os.X_OK, effective_ids=True)
    if asker_is_root and status.st_uid != 0 and exists:
        writable = status.st_mode & _OWNER_WRITES == _OWNER_WRITES  # root can always; it's the owner who has to
    return FolderFacts(
        path=str(folder),
        socket_path_bytes=len(os.fsencode(folder / socket_name)),
        exists=exists,
        is_folder=is_folder,
        writable=writable,
        on_read_only=bool(disk.f_flag & os.ST_RDONLY),
        owner=_user(status.st_uid),
        asker=_user(os.geteuid()),
        asker_is_root=asker_is_root,
        others_may_look=bool(status.st_mode & _ANY_MODE),
        strangers=tuple(entry.name for entry, uid in _entries(folder) if uid != status.st_uid) if exists and is_folder else (),
        free_bytes=disk.f_bavail * disk.f_frsize,
        has_inodes=disk.f_files == 0 or disk.f_favail > 0,
        file_system=file_system_of(place),
    )


def _entries(folder: Path) -> list[tuple[os.DirEntry[str], int]]:
    """Files in a folder with their owners; none where it can't be read."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry, _ in zip(entries, range(_ENTRIES_MAX), strict=False):
            with contextlib.suppress(OSError):  # it has just gone
                found.append((entry, entry.stat(follow_symlinks=False).st_uid))
    return sorted(found, key=lambda pair: pair[0].name)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def file_system_of(place: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that a place is on (proc(5), mountinfo): of the longest mount point above it, the last where there are several."""
    best, kind = -1, ""
    resolved = place.resolve()
    with contextlib.suppress(OSError, IndexError):  # a kernel that writes it otherwise
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4]))
            if len(point.parts) >= best and resolved.is_relative_to(point):
                best, kind = len(point.parts), after.split()[0]
    return kind


def clock_facts(folder: Path) -> ClockFacts:
    """The clock, the kernel's word for it, and the newest file of the state folder."""
    newest = None
    for entry, _ in _entries(folder):
        with contextlib.suppress(OSError):
            newest = max(newest or 0.0, entry.stat(follow_symlinks=False).st_mtime)
    return ClockFacts(unix_s=time.time(), synchronised=_synchronised(), newest_file_unix_s=newest)


def _synchronised() -> bool | None:
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def port_facts(host: str, port: int, *, running_pid: int | None, is_running: bool) -> PortFacts:
    """Whether a program could listen there: by binding a socket that never listens, and letting go of it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        return PortFacts(host=host, port=port, free=False, error=error.strerror or str(error))
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, str(error))
        else:
            return PortFacts(host=host, port=port, free=True)
    pid, holder = holder_of(list(_listening(port)))
    ours = name == "EADDRINUSE" and is_running and (pid is None or pid == running_pid)
    return PortFacts(host=host, port=port, free=False, error=name, holder=holder, held_by_ours=ours)


def _listening(port: int) -> Iterator[str]:
    """Inodes of sockets that listen at a port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]


def holder_of(inodes: list[str]) -> tuple[int | None, str]:
    """The process that has one of these sockets, by number and for people; None and "" where only root could see it."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) in wanted for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return int(process.name), f"{name} (process {process.name})"
    return None, ""


def files_max(pid: int | None) -> int | None:
    """How many files a process may open, this one's user if None; None: no limit, or unknown."""
    if pid is None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("Max open files")).split()[3])
    return None


def tcp_timestamps() -> bool | None:
    """Whether this host offers them (ip-sysctl: 0 off, 1 and 2 on)."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/ipv4/tcp_timestamps").read_text(encoding="ascii")) != 0
    return None
