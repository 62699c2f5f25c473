"""The doctor in this process, and certificates that are wrong in one way each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ocppress_gateway.config import EdgeConfig, load
from ocppress_gateway.doctor.cloud import CloudDoctor
from ocppress_gateway.doctor.edge import EdgeDoctor
from ocppress_gateway.doctor.findings import Finding, Verdict
from ocppress_gateway.doctor.steps import run
from ocppress_gateway.provisioning.certificates import Credentials, read_credentials

__all__ = ["NOW", "PAST", "SOON", "authority_of", "examined", "put"]

NOW = datetime.now(UTC)
PAST = NOW - timedelta(days=6 * 365)
"""A certificate of then is over."""
SOON = NOW + timedelta(days=30)
"""One of then isn't valid yet."""


async def examined(file: Path, *, station: str | None = None) -> dict[str, Finding]:
    """What the doctor finds, by step. Each failure and warning comes with what helps."""
    config = load(file)
    doctor = EdgeDoctor(file, config, budget_is_set=True) if isinstance(config, EdgeConfig) else CloudDoctor(file, config, station=station)
    steps = doctor.steps()
    findings = [finding async for finding in run(steps)]
    assert [finding.step for finding in findings] == [step.name for step in steps]
    for finding in findings:
        assert bool(finding.remedy) is (finding.verdict in (Verdict.FAIL, Verdict.WARN)), finding
    return {finding.step: finding for finding in findings}


def authority_of(folder: Path) -> Credentials:
    """The authority that `ocppress ca` made in a folder."""
    return read_credentials((folder / "ca.key").read_bytes(), (folder / "ca.pem").read_bytes())


def put(folder: Path, name: str, credentials: Credentials) -> None:
    """In the place of a certificate and its key."""
    (folder / f"{name}.pem").write_bytes(credentials.certificate_pem)
    (folder / f"{name}.key").write_bytes(credentials.key_pem)
