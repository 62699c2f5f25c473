"""Looking at certificates: this end's own with key and authority, and what a server has shown."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ocppress_gateway.config import EdgeLinkTls
from ocppress_gateway.doctor.facts import CertificateFacts
from ocppress_gateway.edge.certificate import RENEWED_FILE
from ocppress_gateway.transports.tls import certificate_in

__all__ = ["certificate_facts", "link_certificate_file", "shown_facts"]

_OTHERS_READ: Final = 0o077
_RENEWED_AFTER: Final = 2 / 3


def link_certificate_file(tls: EdgeLinkTls, state_folder: Path) -> Path:
    """The certificate that the edge would use: the issued one, or what has come over the link since."""
    issued, renewed = certificate_in(tls.certificate_file), certificate_in(state_folder / RENEWED_FILE)
    return state_folder / RENEWED_FILE if issued is not None and renewed is not None and renewed.renews(issued) else tls.certificate_file


def certificate_facts(file: Path, key_file: Path, *, ca_file: Path | None, is_server: bool, is_renewal: bool = False) -> CertificateFacts:
    """A certificate of this end's. `ca_file` None: of whoever the far end trusts, which isn't known here. Raises `OSError` for files that can't be read."""
    common: dict[str, Any] = {"file": str(file), "key_file": str(key_file), "ca_file": str(ca_file or ""), "is_renewal": is_renewal}
    key_is_open = bool(key_file.stat().st_mode & _OTHERS_READ)
    try:
        leaf, *others = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        return CertificateFacts(unusable="it isn't a certificate in PEM", **common)
    unusable = _unusable(file, key_file)
    authorities: list[x509.Certificate] = []
    if ca_file is not None:
        try:
            authorities = x509.load_pem_x509_certificates(ca_file.read_bytes())
        except ValueError:
            unusable = unusable or f"{ca_file} isn't a certificate in PEM"
    signers = [issuer for issuer in (*others, *authorities) if _signed(leaf, issuer)]
    return _facts(
        leaf,
        unusable=unusable,
        key_is_open=key_is_open,
        not_of_ca=ca_file is not None and not signers,
        ca_ends_unix_s=max((signer.not_valid_after_utc.timestamp() for signer in signers), default=None),
        wrong_use=not _is_for(leaf, ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH),
        **common,
    )


def shown_facts(der: bytes | None) -> CertificateFacts | None:
    """What a server's certificate says; None for none, or one that can't be read."""
    try:
        return None if der is None else _facts(x509.load_der_x509_certificate(der))
    except ValueError:
        return None


def _facts(certificate: x509.Certificate, **more: Any) -> CertificateFacts:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    starts, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return CertificateFacts(
        name=str(names[0].value) if names else "",
        hosts=_hosts(certificate),
        starts_unix_s=starts,
        ends_unix_s=ends,
        renew_from_unix_s=starts + _RENEWED_AFTER * (ends - starts),
        **more,
    )


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def _is_for(certificate: x509.Certificate, use: x509.ObjectIdentifier) -> bool:
    try:
        return use in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # RFC 5280 4.2.1.12: without the extension, for anything


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _unusable(file: Path, key_file: Path) -> str:
    """Why OpenSSL doesn't take them together; never what is in them."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, key_file, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key_file} is another's"
        return f"{key_file} isn't an unencrypted private key in PEM"
    return ""
