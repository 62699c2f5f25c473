"""The edge's own certificate: which file it is in, and what becomes of a renewed one.

The configuration's folder is the operator's and often read-only. A renewed certificate is written to the state folder, and the one that lasts longer
is used; one for another key or name, because the edge has been issued anew, is left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ocppress_gateway.core.certificate import Certificate, read_certificate
from ocppress_gateway.storage.files import make_private_folder, write_private_file
from ocppress_gateway.transports.tls import ResumingContext, certificate_in, link_client_context

__all__ = ["RENEWED_FILE", "OwnCertificate"]

RENEWED_FILE: Final = "renewed.pem"
"""In the state folder."""


class OwnCertificate:
    """The certificate in use, and the TLS context that has it."""

    def __init__(self, *, ca_file: Path, certificate_file: Path, key_file: Path, state_folder: Path) -> None:
        """Raises `ConfigError`."""
        self._ca_file = ca_file
        self._key_file = key_file
        self._issued_file = certificate_file
        self._renewed_file = state_folder / RENEWED_FILE
        issued, renewed = certificate_in(certificate_file), certificate_in(self._renewed_file)
        follows = issued is not None and renewed is not None and renewed.renews(issued)
        self.current = renewed if follows else issued
        """None for one whose fields can't be read, which can be used but not renewed."""
        self.context: ResumingContext = link_client_context(
            ca_file=ca_file, certificate_file=self._renewed_file if follows else certificate_file, key_file=key_file
        )

    def keep(self, der: bytes) -> None:
        """Check a renewed certificate and write it, whole or not at all; after this call `use`. Waits for the disk. Raises `ValueError` for one that
        won't do, `OSError` or `StoreFailed` where it can't be kept."""
        from ocppress_gateway.edge.renewal import checked_renewal

        if self.current is None or not read_certificate(der).renews(self.current):
            raise ValueError("it doesn't follow the present one")
        pem = checked_renewal(der, own_file=self._issued_file, ca_file=self._ca_file)
        make_private_folder(self._renewed_file.parent)
        write_private_file(self._renewed_file, pem)

    def use(self) -> Certificate:
        """From the next connection on, what `keep` has kept. Raises `ConfigError`."""
        self.context.use(self._renewed_file, self._key_file)
        kept = certificate_in(self._renewed_file)
        assert kept is not None, "it has been written just now"
        self.current = kept
        return kept
