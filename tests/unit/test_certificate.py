"""What is read of a certificate, against what `cryptography` reads of the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ocppress_gateway.core.certificate import CERTIFICATE_BYTES_MAX, Certificate, read_certificate, weeks_left
from ocppress_gateway.provisioning.certificates import issue_cloud, issue_edge, make_authority, renewed_edge

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY_S = 86_400


def _own(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, *names: x509.NameAttribute[str], ends: datetime
) -> bytes:
    subject = x509.Name(names)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(0xFFFF_0000_1111_2222)
        .not_valid_before(NOW)
        .not_valid_after(ends)
    )
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()).public_bytes(Encoding.DER)


def _made() -> dict[str, bytes]:
    authority = make_authority("ocppress", NOW)
    common = x509.NameAttribute(NameOID.COMMON_NAME, "edge-ä")
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o" * 60)
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "authority": authority.certificate.public_bytes(Encoding.DER),
        "edge": issue_edge(authority, "site-1", NOW).certificate.public_bytes(Encoding.DER),
        "cloud": issue_cloud(authority, [f"{'c' * 60}.{number}.example.com" for number in range(30)], NOW).certificate.public_bytes(
            Encoding.DER
        ),
        "rsa": _own(rsa.generate_private_key(65537, 2048), organization, common, ends=NOW + timedelta(days=1)),
        "ed25519": _own(ed25519.Ed25519PrivateKey.generate(), common, ends=NOW + timedelta(days=1)),
        "after 2050": _own(key, common, ends=datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)),
        "no name": _own(key, organization, ends=NOW + timedelta(days=1)),
        "two names": _own(key, common, common, ends=NOW + timedelta(days=1)),
    }


MADE = _made()


@pytest.mark.parametrize("kind", MADE)
def test_the_fields_are_those_that_cryptography_reads(kind: str) -> None:
    expected = x509.load_der_x509_certificate(MADE[kind])
    names = [str(attribute.value) for attribute in expected.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    assert read_certificate(MADE[kind]) == Certificate(
        names[0] if len(names) == 1 else "",
        expected.serial_number,
        expected.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        expected.not_valid_before_utc.timestamp(),
        expected.not_valid_after_utc.timestamp(),
    )


def test_what_is_cut_off_or_damaged_is_an_error_and_nothing_worse() -> None:
    rng = random.Random(1)
    for der in MADE.values():
        for size in range(len(der)):
            with pytest.raises(ValueError, match="DER"):
                read_certificate(der[:size])
        for _ in range(300):
            damaged = bytearray(der)
            damaged[rng.randrange(len(der))] = rng.randrange(256)
            try:
                read_certificate(bytes(damaged))
            except ValueError:
                continue
    for nonsense in (b"", b"\x30", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"x" * 1000):
        with pytest.raises(ValueError, match="DER"):
            read_certificate(nonsense)


def test_what_renews_what() -> None:
    authority = make_authority("ocppress", NOW)
    credentials = issue_edge(authority, "site-1", NOW)
    present = read_certificate(credentials.certificate.public_bytes(Encoding.DER))

    def renewed(name: str, days: int, key: bytes = present.public_key) -> Certificate:
        pem = renewed_edge(authority, name, key, NOW + timedelta(days=days))
        return read_certificate(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))

    other = read_certificate(issue_edge(authority, "site-1", NOW + timedelta(days=1)).certificate.public_bytes(Encoding.DER))
    assert renewed("site-1", 1).renews(present)
    assert renewed("site-1", 1).key_print == present.key_print
    assert renewed("site-1", 1).serial != present.serial
    for refused in (renewed("site-1", 0), renewed("site-1", -1), renewed("site-2", 1), other, present):
        assert not refused.renews(present)


def test_two_thirds_of_its_life_and_the_weeks_that_are_left() -> None:
    certificate = Certificate("x", 1, b"", 0.0, 90.0 * DAY_S)
    assert certificate.renew_from_unix_s == 60 * DAY_S
    assert not certificate.is_over(90.0 * DAY_S)
    assert certificate.is_over(90.0 * DAY_S + 1)
    assert [weeks_left(certificate, days * DAY_S) for days in (60, 76, 89, 90, 91)] == [4, 2, 0, 0, -1]


def test_a_renewed_certificate_is_no_larger_and_has_room_in_its_part() -> None:
    authority = make_authority("n" * 64, NOW)
    edge = issue_edge(authority, "e" * 32, NOW)
    der = edge.certificate.public_bytes(Encoding.DER)
    pem = renewed_edge(authority, "e" * 32, read_certificate(der).public_key, NOW)
    sizes = {len(der), len(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))}
    assert max(sizes) - min(sizes) <= 3, "signatures and serial numbers are shorter now and then"
    assert max(sizes) < CERTIFICATE_BYTES_MAX / 2
