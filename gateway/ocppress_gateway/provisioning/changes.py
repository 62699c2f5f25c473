"""What becomes of an edge later: a new certificate for its key, or none any more."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ocppress_gateway.config import EdgeEntry, cloud_from, load_cloud
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.provisioning.certificates import renewed, renewed_edge
from ocppress_gateway.provisioning.folder import PSK_FILE, PSK_FOLDER, RENEWALS_FOLDER, REVOKED_FILE, check_edge_name, read_pair, replace

__all__ = ["renew_cloud", "renew_edge", "revoke_edge", "without_edge"]


def renew_edge(folder: Path, edge: str, now: datetime) -> Path:
    """A new certificate for the key of an edge, in its folder and among the cloud's renewals; the latter is returned. An edge that shows the cloud no
    certificate, because it has a pre-shared key or is at a broker, isn't sent one: then the former is. Raises `UsageError`.

    The edge's key isn't needed, and may have left this folder.
    """
    home = _home(folder, edge)
    authority = read_pair(folder, "ca")
    present = _certificates(home)
    key = present[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = renewed_edge(authority, edge, key, now)
    own = home / f"edge-{len(present) + 1}.pem"
    replace(own, pem)
    if (home / PSK_FILE).exists() or (folder / "broker").is_dir():
        return own
    renewals = folder / "cloud" / RENEWALS_FOLDER
    renewals.mkdir(exist_ok=True)
    replace(renewals / f"{edge}.pem", pem)
    return renewals / f"{edge}.pem"


def renew_cloud(folder: Path, now: datetime) -> list[Path]:
    """A new certificate for the key of the cloud, and of the broker if there is one, in the place of the present one, which is kept as `…-old.pem`.
    Raises `UsageError`."""
    authority = read_pair(folder, "ca")
    files = []
    for name in ("cloud", "broker"):
        if name == "cloud" or (folder / name).is_dir():
            present = read_pair(folder / name, name)
            file = folder / name / f"{name}.pem"
            replace(file.with_name(f"{name}-old.pem"), present.certificate_pem)
            replace(file, renewed(authority, present.certificate, now).public_bytes(Encoding.PEM))
            files.append(file)
    return files


def revoke_edge(folder: Path, edge: str, today: date) -> Path | None:
    """Enter an edge's key in the list of revoked ones, take its entry from `cloud.toml`, and put its folder away; the list is returned, None for a
    cloud at a broker, which sees no certificates.

    Raises `UsageError`, or `ConfigError` if `cloud.toml` cannot be used.
    """
    home = _home(folder, edge)
    certificates = _certificates(home)
    cloud = folder / "cloud"
    config = load_cloud(cloud / "cloud.toml")
    listed = config.link.tls.revoked_file if config.link.tls is not None else None
    if listed is None and config.link.broker is None:
        raise UsageError(f'{cloud / "cloud.toml"} has no list to enter it in; add revoked_file = "{REVOKED_FILE}" to its [link.tls]')
    without = without_edge((cloud / "cloud.toml").read_text(), edge, cloud / "cloud.toml")
    key = certificates[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    serials = " ".join(f"{certificate.serial_number:02x}" for certificate in certificates)
    line = f"\n# {edge}, revoked {today}, certificates {serials}\n{hashlib.sha256(key).hexdigest()}\n"
    if listed is not None:
        replace(listed, listed.read_bytes() + line.encode())  # first of all: what follows may be repeated
    replace(cloud / "cloud.toml", without.encode())
    (cloud / RENEWALS_FOLDER / f"{edge}.pem").unlink(missing_ok=True)
    (cloud / PSK_FOLDER / f"{edge}.psk").unlink(missing_ok=True)
    home.with_name(f"{edge}.tar.gz").unlink(missing_ok=True)
    (folder / "revoked").mkdir(exist_ok=True)
    home.rename(folder / "revoked" / f"{edge}-{serials.split()[0]}")
    return listed


def without_edge(text: str, edge: str, file: Path) -> str:
    """The text of a `cloud.toml` without the entry of an edge, the rest untouched, as it is if there is no such entry. Raises `UsageError` where that
    can't be done without changing anything else."""
    kept = "".join(block for block in _blocks(text) if _edge_of(block) != edge)
    edges = tuple(entry for entry in cloud_from(tomllib.loads(text), file).edges if entry.name != edge)
    if _edges(kept, file) != edges:
        raise UsageError(f"the entry of {edge} in {file} is too intricate to be taken out; do it by hand, then repeat this")
    return kept


def _edges(text: str, file: Path) -> tuple[EdgeEntry, ...] | None:
    try:
        return cloud_from(tomllib.loads(text), file).edges
    except (tomllib.TOMLDecodeError, ConfigError):
        return None


def _blocks(text: str) -> Iterator[str]:
    """The text in pieces, so that each `[[edges]]` with its keys is one, without the blank lines and comments that follow it."""
    block: list[str] = []
    after: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            yield from ("".join(block), "".join(after))
            block, after = [line], []
        elif line.strip() and not line.lstrip().startswith("#"):
            block += [*after, line]
            after = []
        else:
            after.append(line)
    yield from ("".join(block), "".join(after))


def _edge_of(block: str) -> str | None:
    if not block.startswith("[[edges]]"):
        return None
    try:
        name = tomllib.loads(block)["edges"][0].get("name")
    except tomllib.TOMLDecodeError:
        return None  # a part of something larger; the comparison afterwards says so
    return name if isinstance(name, str) else None


def _home(folder: Path, edge: str) -> Path:
    check_edge_name(edge)
    home = folder / "edges" / edge
    if not home.is_dir():
        raise UsageError(f"{home} isn't there: `ocppress ca issue {edge}` makes it")
    return home


def _certificates(home: Path) -> list[x509.Certificate]:
    """All that were issued to an edge here, the first one first."""
    later = sorted(home.glob("edge-*.pem"), key=lambda file: int(re.sub(r"\D", "", file.stem) or 0))
    try:
        return [x509.load_pem_x509_certificate(file.read_bytes()) for file in (home / "edge.pem", *later)]
    except (OSError, ValueError) as error:
        raise UsageError(f"the certificates in {home} cannot be read: {error}") from error
