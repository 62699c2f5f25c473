"""Asking the running program, by its control socket."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from typing import Final

from ocppress_gateway.control.client import ask
from ocppress_gateway.control.place import CONNECT_S
from ocppress_gateway.control.protocol import Status
from ocppress_gateway.doctor.facts import Running
from ocppress_gateway.doctor.probes import files_max
from ocppress_gateway.errors import GatewayError

__all__ = ["running"]

_CREDENTIALS: Final = struct.Struct("=iII")
"""struct ucred of unix(7): pid, uid, gid."""


def running(socket_file: Path, what: str) -> Running:
    """How the program stands whose socket this is; `what` names it."""
    pid = _pid_behind(socket_file)
    try:
        answer = ask(socket_file, Status(), what=what)
    except GatewayError as error:
        return Running(why_not=str(error), is_running=pid is not None, pid=pid)
    return Running(data=answer.data, is_running=True, pid=pid, files_max=None if pid is None else files_max(pid))


def _pid_behind(socket_file: Path) -> int | None:
    """The process that listens there; None if none does, or it may not be seen."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_S)
        connection.connect(str(socket_file))
        pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return int(pid) or None  # 0: of another PID namespace, as in a container
    return None
