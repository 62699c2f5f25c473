"""Keys and certificates of the link: P-256, one private CA, leaves as small as OpenSSL's strict check lets them be.

A leaf crosses the cellular link in each full TLS handshake, so it has nothing that isn't checked: a short issuer and subject, a 64-bit
serial number, an 8-byte key identifier (RFC 5280 4.2.1.2 leaves its making open) and what the certificate may be used for, so that no
edge can pose as a cloud. The stations that an edge may speak for are in `cloud.toml`, where they can be changed without a new
certificate and cost nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "Credentials",
    "issue_cloud",
    "issue_edge",
    "issue_station_server",
    "make_authority",
    "read_credentials",
    "renewed",
    "renewed_edge",
]

AUTHORITY_DAYS: Final = 20 * 365
"""Longer than the hardware at the edges lasts: a new authority means a visit to each."""

LEAF_DAYS: Final = 5 * 365
"""Renewed over the link from two thirds of it on: an edge may have been away for twenty months and still gets its next one."""

_CLOCK_SKEW: Final = timedelta(days=1)
"""A certificate is valid from a day ago, for machines whose clocks are behind."""

_KEY_IDENTIFIER_BYTES: Final = 8

_COMMON_NAME_MAX: Final = 64
"""RFC 5280, ub-common-name. All of a longer host's name is in the alternative ones."""

_DNS_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
"""Names as RFC 1035 has them."""

_WILDCARD: Final = "*."
"""In front of a cloud's name: each edge has a name of its own there (RFC 9525 6.3), by which a load balancer tells it from others."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """The key as unencrypted PKCS #8."""
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def names(self) -> list[str]:
        """The DNS names and addresses that a server's certificate is valid for, in the order in which they were given."""
        alternative = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name.value) for name in alternative]


def make_authority(name: str, now: datetime) -> Credentials:
    """A new CA; its name is in every certificate that it signs, so a short one is better."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(_key_identifier(key)), critical=False)
    )
    return Credentials(key, builder.sign(key, hashes.SHA256()))


def issue_cloud(authority: Credentials, hosts: Sequence[str], now: datetime) -> Credentials:
    """A server certificate for a cloud that edges reach under `hosts`, which are DNS names, `*.` in front for one name
    each, or IP addresses; `ValueError` if not."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([_host(host, with_wildcard=True) for host in hosts])
    return Credentials(key, _signed(authority, "cloud", key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, now, names))


def renewed(authority: Credentials, certificate: x509.Certificate, now: datetime) -> x509.Certificate:
    """The next certificate of a cloud or broker: the same key, name, use and hosts."""
    name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    (usage,) = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    hosts = [extension.value for extension in certificate.extensions if isinstance(extension.value, x509.SubjectAlternativeName)]
    return _signed(authority, str(name), _public_key(certificate), usage, now, *hosts)


def issue_edge(authority: Credentials, edge: str, now: datetime) -> Credentials:
    """A client certificate whose common name is the edge's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Credentials(key, _signed(authority, edge, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, now))


def renewed_edge(authority: Credentials, edge: str, public_key: bytes, now: datetime) -> bytes:
    """The next certificate of an edge, in PEM, for the same key, its SubjectPublicKeyInfo in DER. Raises `ValueError` for a key of another kind."""
    key = serialization.load_der_public_key(public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not a key on an elliptic curve")
    return _signed(authority, edge, key, ExtendedKeyUsageOID.CLIENT_AUTH, now).public_bytes(serialization.Encoding.PEM)


def issue_station_server(authority: Credentials, hosts: Sequence[str], now: datetime) -> Credentials:
    """A server certificate for an edge that stations reach under `hosts`; it lasts as long as its authority, for a station renews no
    certificate of its CSMS. Old stations look for the server's name in the common name. `ValueError` as for `issue_cloud`."""
    key = ec.generate_private_key(ec.SECP256R1())
    days = (authority.certificate.not_valid_after_utc - now.astimezone(UTC)).days
    names = _names(hosts)
    return Credentials(
        key, _signed(authority, hosts[0][:_COMMON_NAME_MAX], key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, now, names, days=days)
    )


def read_credentials(key_pem: bytes, certificate_pem: bytes) -> Credentials:
    """What `Credentials` wrote. Raises `ValueError` if it is anything else."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise ValueError("the key is not that of the certificate")
    return Credentials(key, certificate)


def _signed(
    authority: Credentials,
    name: str,
    key: ec.EllipticCurvePublicKey,
    usage: x509.ObjectIdentifier,
    now: datetime,
    *more: x509.ExtensionType,
    days: int = LEAF_DAYS,
) -> x509.Certificate:
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(name), issuer.subject, key, now, days)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "those of `ocppress ca` have no other"
    return key


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int) -> x509.CertificateBuilder:
    start = now.astimezone(UTC).replace(microsecond=0) - _CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(secrets.randbits(64) + 1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def _key_identifier(key: ec.EllipticCurvePrivateKey) -> bytes:
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return hashlib.sha256(point).digest()[:_KEY_IDENTIFIER_BYTES]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_host(host) for host in hosts])


def _host(host: str, *, with_wildcard: bool = False) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = host.removeprefix(_WILDCARD) if with_wildcard else host
        if not _DNS_NAME.fullmatch(name) or (name != host and "." not in name):
            raise ValueError(f"{host!r} is neither a DNS name nor an IP address") from None
        return x509.DNSName(host)


_AUTHORITY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
