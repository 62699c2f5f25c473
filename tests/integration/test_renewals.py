"""Certificates that are renewed over the link, with edge and cloud as two processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.provisioning.certificates import LEAF_DAYS, read_credentials, renewed_edge
from ocppress_gateway.transports.tls import certificate_in
from tests.support.processes import Change, Files, Process, change, make_files, ocppress
from tests.support.raw_peers import RawCsms, RawStation

LASTS_S = 12
"""How long the edge's first certificate still lasts when the edge starts."""

KNOWN_CA_KEY: Change = ("#issuer_key_file =", 'issuer_key_file = "../ca.key"')


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    return [f'[3,"{message_id}",{{"status":"Accepted"}}]'] if message.type is MessageType.CALL else []


def _in(file: Path) -> Certificate:
    found = certificate_in(file)
    assert found is not None, file
    return found


async def _exchange(files: Files) -> None:
    async with RawStation(f"{files.url}/CS-1") as station:
        await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
        assert await station.receive() == '[3,"1",{"status":"Accepted"}]'


@contextlib.asynccontextmanager
async def _files(folder: Path, cloud_changes: Sequence[Change] = ()) -> AsyncIterator[Files]:
    """With a certificate of the edge that ends in `LASTS_S`."""
    async with RawCsms(handler=_answer) as csms:
        files = await make_files(folder, csms.url, cloud_changes=cloud_changes)
        authority = folder / "ocppress-ca"
        issuer = read_credentials((authority / "ca.key").read_bytes(), (authority / "ca.pem").read_bytes())
        file = files.edge.with_name("edge.pem")
        began = datetime.now(UTC) + timedelta(seconds=LASTS_S) + timedelta(days=1) - timedelta(days=LEAF_DAYS)
        file.write_bytes(renewed_edge(issuer, "site-1", _in(file).public_key, began))
        yield files


def _renewed_file(files: Files) -> Path:
    return files.edge.parent / "state" / "renewed.pem"


async def _renewed_and_used(files: Files, cloud: Process, edge: Process) -> None:
    first, ends = _in(files.edge.with_name("edge.pem")), asyncio.get_running_loop().time() + LASTS_S
    await edge.said("link up")
    await _exchange(files)
    await cloud.said("an edge's renewed certificate goes to it edge=site-1")
    said = await edge.said("the certificate is renewed")
    kept = _in(_renewed_file(files))
    assert kept.renews(first)
    assert f"serial={kept.serial_hex}" in said
    assert kept == _in(files.cloud.parent / "renewals" / "site-1.pem")
    await asyncio.sleep(max(0.0, ends - asyncio.get_running_loop().time()) + 1)


def test_a_renewal_that_was_copied_to_the_cloud_takes_the_place_of_what_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with _files(tmp_path) as files:
            ocppress("ca", "renew", "site-1", "--dir", tmp_path / "ocppress-ca")
            async with Process.running("edge", "--config", files.edge) as edge:
                async with Process.running("cloud", "--config", files.cloud) as cloud:
                    await _renewed_and_used(files, cloud, edge)
                # The first certificate is over: only the renewed one opens the link again, and there is nothing more to send.
                async with Process.running("cloud", "--config", files.cloud) as cloud:
                    await edge.said("link up", 2)
                    await _exchange(files)
                    assert not [line for line in cloud.lines if "renewed" in line or "WARNING" in line]
                    # And so it is after a restart of the edge, by a resumed session or not.
            async with (
                Process.running("cloud", "--config", files.cloud),
                Process.running("edge", "--config", files.edge) as edge,
            ):
                await edge.said("link up")
                await _exchange(files)

    asyncio.run(main())


def test_a_cloud_that_has_the_cas_key_renews_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        async with _files(tmp_path, [KNOWN_CA_KEY]) as files, Process.running("edge", "--config", files.edge) as edge:
            async with Process.running("cloud", "--config", files.cloud) as cloud:
                await _renewed_and_used(files, cloud, edge)
            async with Process.running("cloud", "--config", files.cloud):
                await edge.said("link up", 2)
                await _exchange(files)

    asyncio.run(main())


def test_an_end_that_nothing_follows_is_said_and_a_wrong_renewal_is_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with _files(tmp_path) as files:
            # A renewal of another edge's key, under this one's name.
            ocppress("ca", "issue", "site-2", "--dir", tmp_path / "ocppress-ca", "--stations", "CP2")
            other = (tmp_path / "ocppress-ca/edges/site-2/edge.pem").read_bytes()
            (files.cloud.parent / "renewals" / "site-1.pem").write_bytes(other)
            async with (
                Process.running("cloud", "--config", files.cloud) as cloud,
                Process.running("edge", "--config", files.edge) as edge,
            ):
                await edge.said("link up")
                said = await cloud.said("an edge's certificate ends and there is none to follow it edge=site-1 days=0")
                assert "it is for another key or name" in said
                await _exchange(files)
                assert not [line for line in edge.lines if "renewed" in line]
            assert not _renewed_file(files).exists()

    asyncio.run(main())


def test_an_issuer_that_is_not_the_ca_is_no_beginning(tmp_path: Path) -> None:
    async def main() -> None:
        async with _files(tmp_path, [("#issuer_key_file =", 'issuer_key_file = "cloud.key"')]) as files:
            async with Process.running("cloud", "--config", files.cloud) as cloud:
                assert await cloud.ended() == 78
                assert "cannot be used as the CA's key" in cloud.lines[-1]
            change(files.cloud, ('issuer_key_file = "cloud.key"', "#"), ('renewals_folder = "renewals"', 'renewals_folder = "nowhere"'))
            async with Process.running("cloud", "--config", files.cloud) as cloud:
                assert await cloud.ended() == 78
                assert "isn't a folder for renewed certificates" in cloud.lines[-1]

    asyncio.run(main())
