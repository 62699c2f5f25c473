"""Renewed certificates for edges: from the folder that `ocppress ca renew` fills, or made here where the CA's key is.

The folder is the memory: what the cloud has issued by itself is in it, too, so that an edge is sent the same one until it uses it.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from ocppress_gateway.config import CloudLinkTls
from ocppress_gateway.core.certificate import CERTIFICATE_BYTES_MAX, Certificate, read_certificate
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.provisioning.certificates import Credentials, read_credentials, renewed_edge
from ocppress_gateway.storage.files import write_private_file

__all__ = ["Renewals"]


class Renewals:
    """Finds the next certificate of an edge. Its methods wait for the disk."""

    def __init__(self, tls: CloudLinkTls) -> None:
        """Raises `ConfigError`."""
        self._folder = tls.renewals_folder
        self._issuer: Credentials | None = None
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigError(self._folder, "", "isn't a folder for renewed certificates")
        if tls.issuer_key_file is not None:
            try:
                self._issuer = read_credentials(tls.issuer_key_file.read_bytes(), tls.ca_file.read_bytes())
            except (OSError, ValueError) as error:
                raise ConfigError(tls.issuer_key_file, "", f"cannot be used as the CA's key: {error}") from error

    def find(self, present: Certificate) -> bytes:
        """What is to follow `present`, in DER. Raises `ValueError`, with the reason, where there is nothing."""
        if self._folder is None:
            raise ValueError("no `renewals_folder`")
        file = self._folder / f"{present.name}.pem"
        try:
            return _renewal(file, present)
        except (OSError, ValueError) as error:
            if self._issuer is None:
                raise ValueError(f"{file}: {error.strerror if isinstance(error, OSError) else error}") from error
        write_private_file(file, renewed_edge(self._issuer, present.name, present.public_key, datetime.now(UTC)))
        return _renewal(file, present)


def _renewal(file: Path, present: Certificate) -> bytes:
    der = ssl.PEM_cert_to_DER_cert(file.read_text(encoding="ascii").strip())
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise ValueError(f"larger than {CERTIFICATE_BYTES_MAX} bytes")
    found = read_certificate(der)
    if not found.renews(present):
        raise ValueError("it is for another key or name, or doesn't last longer")
    if found.starts_unix_s > time.time():
        raise ValueError("it isn't valid yet, and this cloud would refuse it")
    return der
