"""The list of edges that are locked out, which a person can read and copy.

    # EDGE, serial numbers, date: for people                     a comment
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08      SHA-256 of a certificate's SubjectPublicKeyInfo

It names keys, not serial numbers, so that it holds for every certificate of an edge, also one that a cloud has renewed by itself. And it isn't a
CRL (RFC 5280 5): that has a date after which a server that checks it has to refuse everybody.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.errors import ConfigError

__all__ = ["RevokedKeys"]

_FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Ten thousand edges with their comments take half of it."""

_KEY_PRINT: Final = re.compile(r"[0-9a-f]{64}\Z")

_logger = logging.getLogger("ocppress.link")


class RevokedKeys:
    """The list in a file, read again whenever that has changed."""

    def __init__(self, file: Path) -> None:
        """Raises `ConfigError`."""
        self._file = file
        self._seen: tuple[int, ...] = ()
        self._keys: frozenset[str] = frozenset()
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise ConfigError(file, "", f"cannot be used as a list of revoked keys: {error}") from error

    def __contains__(self, certificate: Certificate) -> bool:
        """Whether its key is on the list. A list that has become unreadable doesn't let back in whom the last good one has locked out."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            _logger.error(
                "the list of revoked keys cannot be read, the last one holds", extra={"fields": {"file": self._file, "reason": str(error)}}
            )
        return certificate.key_print in self._keys

    def __len__(self) -> int:
        """How many keys the last good list has."""
        return len(self._keys)

    def _read(self) -> None:
        status = self._file.stat()
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen == self._seen:
            return
        self._seen = seen  # also of a bad one, which is so reported once
        if status.st_size > _FILE_BYTES_MAX:
            raise ValueError(f"larger than {_FILE_BYTES_MAX} bytes")
        lines = [line.partition("#")[0].strip() for line in self._file.read_text(encoding="utf-8").splitlines()]
        keys = frozenset(line for line in lines if line)
        bad = next((number for number, line in enumerate(lines, 1) if line and not _KEY_PRINT.match(line)), None)
        if bad is not None:
            raise ValueError(f"line {bad} isn't the SHA-256 of a key in hexadecimal")
        self._keys = keys
