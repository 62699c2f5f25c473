"""The asking end, blocking: one request, one answer."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from ocppress_gateway.control.place import CONNECT_S, check_path
from ocppress_gateway.control.protocol import ANSWER_BYTES_MAX, Answer, Request, read_answer, write_line
from ocppress_gateway.errors import GatewayError, RequestRefused

__all__ = ["ANSWER_S", "ask"]

ANSWER_S: Final = 10.0
"""A program answers at once what needs nobody else."""

_CHUNK_BYTES: Final = 64 * 1024


def ask(path: Path, request: Request, *, what: str, answer_s: float = ANSWER_S) -> Answer:
    """Put a request to the program whose socket is at `path`; `what` names it for people.

    Raises `GatewayError` if it isn't running or doesn't answer, `RequestRefused` with its reason if it does.
    """
    check_path(path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_S)
            connection.connect(str(path))
            connection.settimeout(answer_s)
            connection.sendall(write_line(request))
            line = _line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise GatewayError(f"no {what} is running with the state folder {path.parent}") from error
    except PermissionError as error:
        raise GatewayError(f"{path}: only the user who runs the {what} may ask it") from error
    except (TimeoutError, BlockingIOError) as error:
        raise GatewayError(f"the {what} doesn't answer") from error
    except OSError as error:
        raise GatewayError(f"{path}: {error.strerror or error}") from error
    try:
        answer = read_answer(line)
    except ValueError as error:
        raise GatewayError(f"the {what} broke off, or is of another version") from error
    if answer.error is not None:
        raise RequestRefused(answer.error)
    return answer


def _line(connection: socket.socket) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size <= ANSWER_BYTES_MAX:
        chunk = connection.recv(_CHUNK_BYTES)
        chunks.append(chunk)
        size += len(chunk)
        if not chunk or chunk.endswith(b"\n"):
            break
    return b"".join(chunks)
