"""What a renewed certificate has to be before the edge uses it.

It comes from the cloud, which is not the CA: it is taken only if the CA has signed it for this edge's own key and name, for the same uses, for
longer. The edge's clock has no say, for it may be wrong. This module is imported when a renewal arrives: `cryptography` takes some MB.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

__all__ = ["checked_renewal"]


def checked_renewal(der: bytes, *, own_file: Path, ca_file: Path) -> bytes:
    """The renewed certificate in PEM. Raises `ValueError` for one that isn't a successor of the one in `own_file`, `OSError` where a file can't be read."""
    own = x509.load_pem_x509_certificate(own_file.read_bytes())
    authorities = x509.load_pem_x509_certificates(ca_file.read_bytes())
    new = x509.load_der_x509_certificate(der)
    if new.public_key() != own.public_key():
        raise ValueError("it is for another key")
    if new.subject != own.subject:
        raise ValueError("it is for another name")
    if new.not_valid_after_utc <= own.not_valid_after_utc:
        raise ValueError("it doesn't last longer")
    if _uses(new) != _uses(own):
        raise ValueError("it is for other uses")
    if not any(_signed(new, authority) for authority in authorities):
        raise ValueError("it isn't signed by the CA")
    return new.public_bytes(Encoding.PEM)


def _uses(certificate: x509.Certificate) -> list[x509.Extension[x509.ExtensionType]]:
    """All that a CA says about a certificate besides whose it is, but for the CA's own key identifier."""
    return [extension for extension in certificate.extensions if not isinstance(extension.value, x509.AuthorityKeyIdentifier)]


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
