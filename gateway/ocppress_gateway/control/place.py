"""Where the socket is, and whether anybody listens on it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Final

from ocppress_gateway.errors import GatewayError

__all__ = ["CLOUD_SOCKET", "CONNECT_S", "EDGE_SOCKET", "SOCKET_PATH_BYTES_MAX", "check_path", "listen_at"]

EDGE_SOCKET: Final = "edge.sock"
CLOUD_SOCKET: Final = "cloud.sock"
"""Names in the state folder."""

SOCKET_PATH_BYTES_MAX: Final = 107
"""`sun_path` of Linux has 108 bytes, the last one zero (unix(7))."""

CONNECT_S: Final = 2.0
"""A socket that doesn't take connections for so long has a full backlog: its process hangs, but there is one."""


def check_path(path: Path) -> None:
    """Raise `GatewayError` for a path that no socket can have."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES_MAX:
        raise GatewayError(
            f"{path}: a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes, this one has {size}; set `state_folder` to a shorter one"
        )


def listen_at(path: Path) -> socket.socket:
    """A socket bound to `path`, mode 0600 before anybody can connect, in place of one that a dead process left.

    After this you must listen on it. Raises `GatewayError` if another process listens there, or something else is in its place.
    """
    check_path(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            listener.bind(str(path))
        path.chmod(0o600)
    except BaseException as error:
        listener.close()
        if isinstance(error, OSError):
            raise GatewayError(f"{path}: {error.strerror or error}") from error
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more, and nothing else."""
    if not path.is_socket():
        raise GatewayError(f"{path}: something that is no socket is in its place")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            pass  # its backlog is full
    raise GatewayError(f"{path}: another process listens there")
