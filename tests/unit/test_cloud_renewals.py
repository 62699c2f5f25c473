"""Which certificate a cloud sends to an edge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ocppress_gateway.cloud.renewals import Renewals
from ocppress_gateway.config import CloudLinkTls
from ocppress_gateway.core.certificate import Certificate, read_certificate
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.provisioning.certificates import LEAF_DAYS, issue_edge, make_authority, renewed_edge

NOW = datetime.now(UTC)
AUTHORITY = make_authority("ocppress", NOW)
LONG_AGO = NOW - timedelta(days=LEAF_DAYS - 100)


def _present() -> Certificate:
    return read_certificate(issue_edge(AUTHORITY, "site-1", LONG_AGO).certificate.public_bytes(Encoding.DER))


PRESENT = _present()


def _renewals(folder: Path, *, issues: bool = False) -> Renewals:
    (folder / "ca.pem").write_bytes(AUTHORITY.certificate_pem)
    (folder / "ca.key").write_bytes(AUTHORITY.key_pem)
    (folder / "renewals").mkdir(exist_ok=True)
    return Renewals(
        CloudLinkTls(
            ca_file=folder / "ca.pem",
            certificate_file=folder / "ca.pem",
            key_file=folder / "ca.key",
            renewals_folder=folder / "renewals",
            issuer_key_file=folder / "ca.key" if issues else None,
        )
    )


def _pem(name: str = "site-1", at: datetime = NOW, key: bytes = PRESENT.public_key) -> bytes:
    return renewed_edge(AUTHORITY, name, key, at)


def test_what_was_copied_there_is_sent(tmp_path: Path) -> None:
    renewals = _renewals(tmp_path)
    with pytest.raises(ValueError, match=r"site-1\.pem: No such file"):
        renewals.find(PRESENT)
    (tmp_path / "renewals/site-1.pem").write_bytes(_pem())
    assert read_certificate(renewals.find(PRESENT)).renews(PRESENT)


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (lambda: _pem("site-2"), "another key or name"),
        (lambda: _pem(at=LONG_AGO), "doesn't last longer"),
        (lambda: issue_edge(AUTHORITY, "site-1", NOW).certificate_pem, "another key or name"),
        (lambda: _pem(at=NOW + timedelta(days=2)), "isn't valid yet"),
        (lambda: b"", "PEM"),
        (lambda: b"\xff", "ascii"),
        (lambda: _pem().replace(b"M", b"N", 1), "DER"),
    ],
)
def test_what_would_not_do_is_not_sent_and_replaced_where_the_key_is(pem: Callable[[], bytes], reason: str, tmp_path: Path) -> None:
    file = tmp_path / "renewals/site-1.pem"
    renewals = _renewals(tmp_path)
    file.write_bytes(pem())
    with pytest.raises(ValueError, match=reason):
        renewals.find(PRESENT)
    made = _renewals(tmp_path, issues=True).find(PRESENT)
    assert read_certificate(made).renews(PRESENT)
    assert renewals.find(PRESENT) == made, "the folder is the memory"


def test_without_a_folder_there_is_nothing(tmp_path: Path) -> None:
    tls = CloudLinkTls(ca_file=tmp_path / "ca.pem", certificate_file=tmp_path / "ca.pem", key_file=tmp_path / "ca.key")
    with pytest.raises(ValueError, match="no `renewals_folder`"):
        Renewals(tls).find(PRESENT)


def test_a_folder_that_takes_nothing_is_said(tmp_path: Path) -> None:
    renewals = _renewals(tmp_path, issues=True)
    (tmp_path / "renewals").rmdir()
    with pytest.raises(StoreFailed, match="No such file"):
        renewals.find(PRESENT)
