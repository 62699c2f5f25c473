"""`ocppress doctor` where edge and cloud meet at a mosquitto: what that lets them do, and what it doesn't."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ocppress_gateway.doctor.findings import Finding, Verdict
from tests.support.doctoring import examined
from tests.support.mosquitto import made_mosquitto, needs_mosquitto
from tests.support.processes import Files, Process, change, make_files


async def _files(folder: Path) -> Files:
    return await make_files(folder, "ws://127.0.0.1:1/{identity}", broker=True)


async def _found(files: Files, step: str = "broker") -> tuple[Finding, Finding]:
    """At the edge and at the cloud."""
    return (await examined(files.edge))[step], (await examined(files.cloud))[step]


@needs_mosquitto
def test_a_broker_that_takes_both_and_has_no_cloud_yet(tmp_path: Path) -> None:
    async def main() -> None:
        files = await _files(tmp_path)
        async with made_mosquitto(files.broker, files.cloud_port):
            edge, cloud = await _found(files)
            assert (edge.verdict, cloud.verdict) == (Verdict.FAIL, Verdict.PASS), (edge, cloud)
            assert "no cloud has ever been there" in edge.found
            assert edge.fields["topic_aliases"] >= 1
            async with Process.running("cloud", "--config", files.cloud) as running:
                await running.said("listening for edges")
                edge, cloud = await _found(files)
                assert (edge.verdict, cloud.verdict) == (Verdict.PASS, Verdict.SKIP), (edge, cloud)
                assert "the cloud is there" in edge.found
                assert not [line for line in running.lines if " WARNING " in line or " ERROR " in line]
                async with Process.running("edge", "--config", files.edge) as linked:
                    await linked.said("link up")
                    findings = await examined(files.edge)
                    assert findings["broker"].verdict is Verdict.SKIP
                    assert findings["running edge"].verdict is Verdict.PASS
                    assert not [line for line in linked.lines if "link lost" in line]

    asyncio.run(main())


@needs_mosquitto
def test_a_broker_that_refuses(tmp_path: Path) -> None:
    async def main() -> None:
        files = await _files(tmp_path)
        edge, _ = await _found(files, "broker")
        assert edge.found == "skipped because `TCP` failed"
        conf = files.broker / "mosquitto.conf"
        whole = conf.read_text()
        change(conf, ("use_identity_as_username true", "use_identity_as_username false"))
        async with made_mosquitto(files.broker, files.cloud_port):
            for finding in await _found(files):
                assert finding.verdict is Verdict.FAIL
                assert "Not authorized" in finding.found
                assert "access list" in finding.remedy
        conf.write_text(whole)
        (files.broker / "acl").write_text("user cloud\ntopic read u/+/+\n")
        async with made_mosquitto(files.broker, files.cloud_port):
            edge, cloud = await _found(files)
            assert (edge.verdict, cloud.verdict) == (Verdict.FAIL, Verdict.FAIL), (edge, cloud)
            assert "lets site-1 not" in edge.found
            assert "publish to `u/+/site-1`" in edge.remedy
            assert "not publish to d/0/-" in cloud.found

    asyncio.run(main())


@needs_mosquitto
def test_a_broker_that_listens_without_tls(tmp_path: Path) -> None:
    async def main() -> None:
        files = await _files(tmp_path)
        conf = files.broker / "mosquitto.conf"
        conf.write_text(f"listener {files.cloud_port} 127.0.0.1\nallow_anonymous true\n")
        async with made_mosquitto(files.broker, files.cloud_port):
            findings = await examined(files.edge)
            assert (findings["TLS"].verdict, findings["broker"].verdict) == (Verdict.FAIL, Verdict.SKIP)
            assert "scheme" in findings["TLS"].remedy

    asyncio.run(main())
