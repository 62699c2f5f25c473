"""Which certificate an edge uses, and which renewed one it takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ocppress_gateway.edge.certificate import RENEWED_FILE, OwnCertificate
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.provisioning.certificates import (
    Credentials,
    issue_cloud,
    issue_edge,
    make_authority,
    renewed_edge,
)

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=100)
AUTHORITY = make_authority("ocppress", NOW)
OWN = issue_edge(AUTHORITY, "site-1", NOW)


def _key(credentials: Credentials) -> bytes:
    return credentials.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def _renewed(name: str = "site-1", authority: Credentials = AUTHORITY, key: bytes = _key(OWN), at: datetime = LATER) -> bytes:
    return _der(renewed_edge(authority, name, key, at))


def _self_signed() -> bytes:
    mine = OWN.certificate
    builder = x509.CertificateBuilder(mine.subject, mine.subject, OWN.key.public_key(), 1, NOW, LATER + timedelta(days=9999))
    for extension in mine.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(OWN.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _damaged() -> bytes:
    der = bytearray(_renewed())
    der[-1] ^= 1
    return bytes(der)


def _server_of_its_name() -> bytes:
    """By the CA, for the edge's key and name, but to be used as a cloud's."""
    old = issue_cloud(AUTHORITY, ["127.0.0.1"], NOW).certificate
    builder = x509.CertificateBuilder(old.issuer, OWN.certificate.subject, OWN.key.public_key(), 1, NOW, LATER + timedelta(days=9999))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(AUTHORITY.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], OwnCertificate]:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate_pem)
    (tmp_path / "edge.pem").write_bytes(OWN.certificate_pem)
    (tmp_path / "edge.key").write_bytes(OWN.key_pem)

    def own() -> OwnCertificate:
        return OwnCertificate(
            ca_file=tmp_path / "ca.pem",
            certificate_file=tmp_path / "edge.pem",
            key_file=tmp_path / "edge.key",
            state_folder=tmp_path / "state",
        )

    return own


def _serial(own: OwnCertificate) -> int:
    assert own.current is not None
    return own.current.serial


def test_a_renewed_certificate_is_kept_and_used_at_once_and_after_a_restart(make: Callable[[], OwnCertificate], tmp_path: Path) -> None:
    own = make()
    assert _serial(own) == OWN.certificate.serial_number
    der = _renewed()
    own.keep(der)
    assert _serial(own) == OWN.certificate.serial_number, "not before it is used"
    kept = tmp_path / "state" / RENEWED_FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in kept.parent.iterdir()] == [RENEWED_FILE]
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert own.use().serial == x509.load_der_x509_certificate(der).serial_number == _serial(own) == _serial(make())
    second = _renewed(at=LATER + timedelta(days=1))
    own.keep(second)
    assert own.use().serial == _serial(make()) == x509.load_der_x509_certificate(second).serial_number
    with pytest.raises(ValueError, match="doesn't follow"):
        own.keep(der)


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (lambda: b"", "DER"),
        (lambda: b"x" * 1024, "DER"),
        (lambda: _renewed()[:-1], "DER"),
        (_damaged, "isn't signed by the CA"),
        (_self_signed, "isn't signed by the CA"),
        (lambda: _renewed(authority=make_authority("ocppress", NOW)), "isn't signed by the CA"),
        (lambda: _renewed(authority=Credentials(OWN.key, AUTHORITY.certificate)), "isn't signed by the CA"),
        (lambda: _renewed(key=_key(issue_edge(AUTHORITY, "site-1", NOW))), "doesn't follow"),
        (lambda: _renewed("site-2"), "doesn't follow"),
        (lambda: _renewed(at=NOW - timedelta(days=1)), "doesn't follow"),
        (lambda: OWN.certificate.public_bytes(Encoding.DER), "doesn't follow"),
        (_server_of_its_name, "for other uses"),
    ],
)
def test_what_does_not_follow_is_not_kept(
    der: Callable[[], bytes], reason: str, make: Callable[[], OwnCertificate], tmp_path: Path
) -> None:
    own = make()
    with pytest.raises(ValueError, match=reason):
        own.keep(der())
    assert not (tmp_path / "state").exists()
    assert _serial(own) == OWN.certificate.serial_number


def test_what_was_kept_is_left_alone_once_the_edge_was_issued_anew(make: Callable[[], OwnCertificate], tmp_path: Path) -> None:
    own = make()
    own.keep(_renewed())
    anew = issue_edge(AUTHORITY, "site-1", NOW)
    (tmp_path / "edge.pem").write_bytes(anew.certificate_pem)
    (tmp_path / "edge.key").write_bytes(anew.key_pem)
    assert _serial(make()) == anew.certificate.serial_number
    (tmp_path / "edge.key").write_bytes(OWN.key_pem)
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize("content", [b"", b"\xff", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"])
def test_what_was_kept_and_damaged_is_left_alone(content: bytes, make: Callable[[], OwnCertificate], tmp_path: Path) -> None:
    own = make()
    own.keep(_renewed())
    (tmp_path / "state" / RENEWED_FILE).write_bytes(content)
    assert _serial(make()) == OWN.certificate.serial_number
