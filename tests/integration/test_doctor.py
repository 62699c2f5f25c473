"""`ocppress doctor` at edges and clouds that are really broken: what it finds, what helps, and what it leaves alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ocppress_gateway.doctor.findings import Finding, Verdict
from ocppress_gateway.provisioning.certificates import issue_cloud, issue_edge, make_authority
from tests.support.doctoring import NOW, PAST, SOON, authority_of, examined, put
from tests.support.processes import WAIT_S, Files, Process, change, free_port, make_files, ocppress, open_gateway
from tests.support.raw_peers import RawCsms, RawStation
from tests.support.redis_server import needs_redis, running_redis

CSMS_GONE = "ws://127.0.0.1:1/{identity}"


async def _doctor(file: Path, *arguments: str, files_max: int | None = None) -> tuple[int, str]:
    """Exit code and standard output of the real command."""
    limit = [] if files_max is None else ["prlimit", f"--nofile={files_max}"]
    process = await asyncio.create_subprocess_exec(
        *(*limit, sys.executable, "-m", "ocppress_gateway", "doctor", "--config", str(file), *arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * WAIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode()


@contextlib.asynccontextmanager
async def _cloud(files: Files) -> AsyncIterator[Process]:
    async with Process.running("cloud", "--config", files.cloud) as cloud:
        await cloud.said("listening for edges")
        yield cloud


def _verdicts(findings: dict[str, Finding], *steps: str) -> list[str]:
    return [findings[step].verdict.value for step in steps]


def _tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All that a change would show in."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


# --- nothing is wrong


def test_an_edge_that_runs_is_well_and_keeps_its_link(tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms, open_gateway(tmp_path, csms.url) as gateway, RawStation(f"{gateway.url}/CP001"):
            edge_file = tmp_path / "ocppress-ca" / "edges" / "site-1" / "edge.toml"
            change(edge_file, ("#budget_mb = 25.0", "budget_mb = 25.0"))
            code, out = await _doctor(edge_file, "--json")
            result = json.loads(out.splitlines()[-1])
            assert (code, result["ok"], result["counts"]["fail"]) == (0, True, 0), out
            steps = {step["step"]: step for step in result["steps"]}
            passed = {name for name, step in steps.items() if step["verdict"] == "pass"}
            assert passed >= {"configuration", "state folder", "link certificate", "look-up", "TCP", "TLS", "hello", "station listener"}, (
                out
            )
            assert passed >= {"running edge", "stations", "budget", "clock against the cloud"}, out
            assert steps["hello"]["linked"] is True
            assert steps["stations"]["connected"] == ["CP001"]
            assert steps["station listener"]["held_by_running"] is True
            assert not [line for line in gateway.edge.lines + gateway.cloud.lines if "link lost" in line or " WARNING " in line]
            code, out = await _doctor(edge_file)
            assert code == 0
            assert out.splitlines()[-1].endswith("0 failed, 3 skipped")

    asyncio.run(main())


def test_a_cloud_that_runs_is_well_and_no_station_notices(tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms, open_gateway(tmp_path, csms.url) as gateway, RawStation(f"{gateway.url}/CP001") as station:
            cloud_file = tmp_path / "ocppress-ca" / "cloud" / "cloud.toml"
            findings = await examined(cloud_file, station="CP001")
            assert {finding.step for finding in findings.values() if finding.verdict is Verdict.FAIL} == set()
            assert "serves CP001, which this would disturb" in findings["upgrade"].found
            assert findings["running cloud"].fields["csms_sockets_open"] == 1
            assert findings["open files"].found.startswith("the running cloud may open")
            findings = await examined(cloud_file, station="nobody")
            assert findings["upgrade"].verdict is Verdict.PASS, findings["upgrade"]
            assert findings["clock against the CSMS"].verdict is Verdict.PASS
            assert abs(findings["clock against the CSMS"].fields["clock_offset_s"]) < 5
            await station.send('[2,"1","Heartbeat",{}]')
            await csms.received("CP001", 1)
            assert csms.close_codes["CP001"] == [], "its socket has stayed"

    asyncio.run(main())


def test_it_changes_nothing_and_shows_no_secret(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        before = _tree(tmp_path)
        said = ""
        for file in files.edge, files.cloud:
            for arguments in ([], ["--json"]):
                code, out = await _doctor(file, *arguments)
                assert code == 1
                said += out
        assert _tree(tmp_path) == before
        secrets = [line for file in tmp_path.rglob("*.key") for line in file.read_text().splitlines()]  # noqa: ASYNC240 - nothing else runs
        assert secrets
        assert not [line for line in secrets if line in said]

    asyncio.run(main())


# --- what stands before the way


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    async def main() -> None:
        file = tmp_path / "edge.toml"
        file.write_text('[link]\nurl = "ws://127.0.0.1:1/"\nedge = "x"\ncolour = "red"\n')
        code, out = await _doctor(file, "--json")
        first, rest = json.loads(out)["steps"]
        assert (code, first["verdict"], rest["verdict"]) == (1, "fail", "skip")
        assert "colour" in first["found"]
        assert first["remedy"]
        assert rest["found"] == "skipped because `configuration` failed"

    asyncio.run(main())


def test_a_station_is_only_for_clouds(tmp_path: Path) -> None:
    async def main() -> None:
        file = tmp_path / "edge.toml"
        file.write_text('[link]\nurl = "ws://127.0.0.1:1/"\nedge = "x"\n')
        assert (await _doctor(file, "--station", "CP001"))[0] == 2

    asyncio.run(main())


def test_a_state_folder_on_a_read_only_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)], check=False).returncode:
        pytest.skip("only root can mount")
    try:

        async def main() -> None:
            files = await make_files(tmp_path, CSMS_GONE, edge_changes=[('#state_folder = "state"', f'state_folder = "{folder}/state"')])
            finding = (await examined(files.edge))["state folder"]
            assert finding.verdict is Verdict.FAIL
            assert "read-only file system" in finding.found
            assert "mount it writable" in finding.remedy

        asyncio.run(main())
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_state_folder_that_is_not_ones_own(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        folder = files.edge.parent / "state"
        folder.mkdir(mode=0o700)
        assert (await examined(files.edge))["state folder"].verdict is Verdict.PASS
        folder.chmod(0o755)
        finding = (await examined(files.edge))["state folder"]
        assert (finding.verdict, finding.remedy) == (Verdict.WARN, f"`chmod 700 {folder}`")
        folder.chmod(0o500)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        finding = (await examined(files.edge))["state folder"]
        assert finding.verdict is Verdict.FAIL
        assert "can't write to it" in finding.found
        folder.chmod(0o700)
        if os.geteuid() == 0:
            (folder / "outbox.sqlite").touch()
            finding = (await examined(files.edge))["state folder"]
            assert finding.verdict is Verdict.FAIL
            assert "outbox.sqlite in it to others" in finding.found
            assert finding.remedy.endswith(f"{folder}`")

    asyncio.run(main())


def test_a_state_folder_whose_name_is_too_long(tmp_path: Path) -> None:
    async def main() -> None:
        changes = [('#state_folder = "state"', f'state_folder = "{"x" * 120}"')]
        files = await make_files(tmp_path, CSMS_GONE, edge_changes=changes)
        finding = (await examined(files.edge))["state folder"]
        assert finding.verdict is Verdict.FAIL
        assert "at most 107" in finding.remedy

    asyncio.run(main())


def test_a_clock_that_has_gone_back(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        folder = files.edge.parent / "state"
        folder.mkdir(mode=0o700)
        (folder / "outbox.sqlite").touch()
        tomorrow = NOW.timestamp() + 86_400
        os.utime(folder / "outbox.sqlite", (tomorrow, tomorrow))
        finding = (await examined(files.edge))["clock"]
        assert finding.verdict is Verdict.FAIL
        assert "it has gone back" in finding.found

    asyncio.run(main())


def test_certificates_of_ones_own_that_are_no_good(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        home, authority = files.edge.parent, authority_of(files.cloud.parent.parent)
        wrong = {
            "ended": issue_edge(authority, "site-1", PAST),
            "is valid from": issue_edge(authority, "site-1", SOON),
            "wasn't signed by the authority": issue_edge(make_authority("other", NOW), "site-1", NOW),
            "made for another use": issue_cloud(authority, ["127.0.0.1"], NOW),
        }
        for words, credentials in wrong.items():
            put(home, "edge", credentials)
            findings = await examined(files.edge)
            assert findings["link certificate"].verdict is Verdict.FAIL, words
            assert words in findings["link certificate"].found
            assert findings["clock"].verdict is (Verdict.FAIL if words == "is valid from" else findings["clock"].verdict)
        put(home, "edge", issue_edge(authority, "site-1", NOW))
        (home / "edge.key").write_bytes(issue_edge(authority, "site-1", NOW).key_pem)
        findings = await examined(files.edge)
        assert "is another's" in findings["link certificate"].found
        (home / "edge.key").write_text("nonsense")
        assert "isn't an unencrypted private key" in (await examined(files.edge))["link certificate"].found
        (home / "edge.pem").write_text("nonsense")
        assert "isn't a certificate in PEM" in (await examined(files.edge))["link certificate"].found
        put(home, "edge", issue_edge(authority, "site-1", NOW))
        (home / "edge.key").chmod(0o644)
        finding = (await examined(files.edge))["link certificate"]
        assert (finding.verdict, finding.remedy) == (Verdict.WARN, f"`chmod 600 {home / 'edge.key'}`")

    asyncio.run(main())


# --- the way to a cloud


def test_a_cloud_that_is_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        findings = await examined(files.edge)
        assert _verdicts(findings, "look-up", "TCP", "TLS", "hello", "packets") == ["pass", "fail", "skip", "skip", "skip"]
        assert findings["hello"].found == "skipped because `TCP` failed"
        assert "is the cloud running" in findings["TCP"].remedy
        change(files.edge, ("wss://127.0.0.1", "wss://no-such-host.invalid"))
        findings = await examined(files.edge)
        assert _verdicts(findings, "look-up", "TCP", "TLS") == ["fail", "skip", "skip"]
        assert "name server" in findings["look-up"].remedy

    asyncio.run(main())


def test_clouds_whose_certificate_the_edge_does_not_accept(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        authority = authority_of(files.cloud.parent.parent)
        cases = {
            "of an authority that isn't trusted": (issue_cloud(make_authority("other", NOW), ["127.0.0.1"], NOW), "different authorities"),
            "has ended on": (issue_cloud(authority, ["127.0.0.1"], PAST), "ocppress ca renew --cloud"),
            "the clock: the cloud's certificate isn't valid yet": (issue_cloud(authority, ["127.0.0.1"], SOON), "timedatectl"),
            "isn't for 127.0.0.1; it is for cloud.example": (issue_cloud(authority, ["cloud.example"], NOW), "`[link] url`"),
            "can't be accepted: unsuitable": (issue_edge(authority, "cloud", NOW), "ocppress ca"),
        }
        for words, (credentials, helps) in cases.items():
            put(files.cloud.parent, "cloud", credentials)
            async with _cloud(files):
                findings = await examined(files.edge)
            assert _verdicts(findings, "TCP", "TLS", "hello") == ["pass", "fail", "skip"], words
            assert words in findings["TLS"].found
            assert helps in findings["TLS"].remedy

    asyncio.run(main())


def test_a_cloud_that_does_not_accept_the_edge(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        ours = (files.cloud.parent / "ca.pem").read_bytes()
        (files.cloud.parent / "ca.pem").write_bytes(make_authority("other", NOW).certificate_pem)
        async with _cloud(files):
            finding = (await examined(files.edge))["TLS"]
        assert finding.verdict is Verdict.FAIL
        assert "the cloud says no" in finding.found
        (files.cloud.parent / "ca.pem").write_bytes(ours)
        change(files.cloud, ('name = "site-1"', 'name = "other"'))
        async with _cloud(files):
            findings = await examined(files.edge)
        assert _verdicts(findings, "TLS", "hello") == ["pass", "fail"]
        assert findings["hello"].found == "the cloud says: no such edge: 'site-1'"
        assert "cloud.toml" in findings["hello"].remedy

    asyncio.run(main())


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def _speaks_old_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a server of TLS 1.2 answers a client that has only 1.3: the alert `protocol_version` (RFC 8446 6.2)."""
    await reader.read(100)
    writer.write(bytes.fromhex("15 0303 0002 02 46"))
    writer.close()


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (_hangs_up, "cut in the handshake"),
        (_speaks_http, "speaks no TLS"),
        (_speaks_old_tls, "no common version or cipher of TLS"),
    ],
    ids=["hangs up", "HTTP", "TLS 1.2"],
)
def test_what_listens_is_no_cloud(talk: Talk, words: str, tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        async with await asyncio.start_server(talk, "127.0.0.1", files.cloud_port):
            findings = await examined(files.edge)
        assert _verdicts(findings, "TCP", "TLS", "hello") == ["pass", "fail", "skip"]
        assert words in findings["TLS"].found

    asyncio.run(main())


# --- the stations' side


def test_a_listener_that_another_program_has(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        assert (await examined(files.edge))["station listener"].verdict is Verdict.PASS
        async with await asyncio.start_server(_hangs_up, "127.0.0.1", files.edge_port):
            finding = (await examined(files.edge))["station listener"]
        assert finding.verdict is Verdict.FAIL
        assert f"(process {os.getpid()})" in finding.found
        change(files.edge, ('host = "127.0.0.1"', 'host = "192.0.2.1"'))
        finding = (await examined(files.edge))["station listener"]
        assert finding.verdict is Verdict.FAIL
        assert "isn't an address of this machine" in finding.found

    asyncio.run(main())


def test_a_certificate_for_stations(tmp_path: Path) -> None:
    authority = tmp_path / "ca"
    ocppress("ca", "init", "--dir", authority, "--host", "127.0.0.1")
    ocppress("ca", "issue", "site-1", "--dir", authority, "--stations", "*", "--station-host", "edge.local")
    file = authority / "edges" / "site-1" / "edge.toml"
    finding = asyncio.run(examined(file))["station certificate"]
    assert (finding.verdict, finding.fields["hosts"]) == (Verdict.PASS, ["edge.local"])
    put(file.parent, "station", issue_cloud(authority_of(authority), ["edge.local"], PAST))
    finding = asyncio.run(examined(file))["station certificate"]
    assert finding.verdict is Verdict.FAIL
    assert "ended" in finding.found


def test_the_interface_of_the_sim(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE, edge_changes=[("[sim]", '[sim]\ninterface = "lo"\nbudget_mb = 5')])
        async with _cloud(files):
            findings = await examined(files.edge)
        assert _verdicts(findings, "SIM interface", "budget") == ["pass", "pass"]
        assert "the way to the cloud is over it" in findings["SIM interface"].found
        change(files.edge, ('interface = "lo"', 'interface = "wwan77"'))
        finding = (await examined(files.edge))["SIM interface"]
        assert finding.verdict is Verdict.FAIL
        assert "is the modem plugged in" in finding.remedy

    asyncio.run(main())


# --- the cloud's other side


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        ("401 Unauthorized", Verdict.PASS, "wants the station's password"),
        ("404 Not Found", Verdict.WARN, "404"),
        ("302 Found", Verdict.FAIL, "a redirection"),
        ("200 OK", Verdict.FAIL, "200"),
        ("502 Bad Gateway", Verdict.FAIL, "502"),
        ("", Verdict.FAIL, "not HTTP"),
    ],
)
def test_what_a_csms_says_to_an_upgrade(status: str, verdict: Verdict, words: str, tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def csms(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            asked.append(request)
            head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nDate: Wed, 01 Jan 2020 00:00:00 GMT\r\n\r\n"
            writer.write(head.encode() if status else b"nonsense\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(csms, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            files = await make_files(tmp_path, f"ws://127.0.0.1:{port}/ocpp/{{identity}}")
            findings = await examined(files.cloud, station="a=b")
        assert findings["upgrade"].verdict is verdict, findings["upgrade"]
        assert words in findings["upgrade"].found
        (request,) = [one for one in asked if one]
        assert request.startswith(b"GET /ocpp/a%3Db HTTP/1.1\r\n")
        assert b"Authorization" not in request
        clock = findings["clock against the CSMS"].verdict
        assert clock is (Verdict.SKIP if verdict is Verdict.FAIL else Verdict.FAIL), "years apart"

    asyncio.run(main())


def test_a_csms_that_the_cloud_does_not_trust(tmp_path: Path) -> None:
    async def main() -> None:
        authority = make_authority("CSMS", NOW)
        put(tmp_path, "csms", issue_cloud(authority, ["127.0.0.1"], NOW))
        (tmp_path / "csms-ca.pem").write_bytes(authority.certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "csms.pem", tmp_path / "csms.key")
        async with RawCsms(ssl_context=context) as csms:
            files = await make_files(tmp_path, csms.url)
            findings = await examined(files.cloud, station="nobody")
            assert _verdicts(findings, "CSMS TCP", "CSMS TLS", "upgrade") == ["pass", "fail", "skip"]
            assert "ca_file" in findings["CSMS TLS"].remedy
            change(files.cloud, ("[csms]", f'[csms]\nca_file = "{tmp_path}/csms-ca.pem"'))
            findings = await examined(files.cloud, station="nobody")
            assert _verdicts(findings, "CSMS TCP", "CSMS TLS", "upgrade") == ["pass", "pass", "pass"]
            findings = await examined(files.cloud)
            assert _verdicts(findings, "CSMS TLS", "upgrade") == ["pass", "skip"]
            assert list(csms.texts) == []

    asyncio.run(main())


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="there is no prlimit here")
def test_a_cloud_with_too_few_open_files(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        stations = ", ".join(f'"S{number}"' for number in range(300))
        files.cloud.write_text(files.cloud.read_text() + f'\n[[edges]]\nname = "site-2"\nstations = [{stations}]\n')
        for limit, verdict in (256, "fail"), (500, "warn"), (4096, "pass"):
            _, out = await _doctor(files.cloud, "--json", files_max=limit)
            (step,) = [step for step in json.loads(out)["steps"] if step["step"] == "open files"]
            assert (step["limit"], step["verdict"]) == (limit, verdict), step
            assert verdict == "pass" or "LimitNOFILE" in step["remedy"]

    asyncio.run(main())


def test_lists_of_edges_that_cannot_be_used(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        ocppress("ca", "renew", "site-1", "--dir", files.cloud.parent.parent)
        assert _verdicts(await examined(files.cloud), "revoked edges", "renewals") == ["pass", "pass"]
        (files.cloud.parent / "revoked.txt").write_text("site-1\n")
        renewals = files.cloud.parent / "renewals"
        (renewals / "stranger.pem").write_bytes((renewals / "site-1.pem").read_bytes())
        findings = await examined(files.cloud)
        assert _verdicts(findings, "revoked edges", "renewals") == ["fail", "warn"]
        assert "line 1" in findings["revoked edges"].found
        assert "stranger.pem" in findings["renewals"].found
        shutil.rmtree(renewals)
        assert (await examined(files.cloud))["renewals"].verdict is Verdict.FAIL

    asyncio.run(main())


@needs_redis
def test_the_store_of_a_fleet(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        assert (await examined(files.cloud))["fleet's store"].verdict is Verdict.SKIP
        password = tmp_path / "store.password"
        password.write_text("open sesame\n")
        with running_redis(tmp_path / "careless") as server:
            server.client().config_set("requirepass", "open sesame")
            change(files.cloud, ("#[fleet]\n", f'[fleet]\nstore = "{server.place.url}"\n'))
            finding = (await examined(files.cloud))["fleet's store"]
            assert finding.verdict is Verdict.FAIL
            assert "password_file" in finding.remedy
            change(files.cloud, ("[fleet]\n", f'[fleet]\npassword_file = "{password}"\n'))
            finding = (await examined(files.cloud))["fleet's store"]
            assert finding.verdict is Verdict.WARN, finding
            assert "appendonly" in finding.found
            assert "sesame" not in repr(finding)
            url = server.place.url
        finding = (await examined(files.cloud))["fleet's store"]
        assert finding.verdict is Verdict.FAIL
        assert url in finding.found
        with running_redis(tmp_path / "careful", "--appendonly", "yes") as server:
            server.client().config_set("requirepass", "open sesame")
            change(files.cloud, (url, server.place.url))
            assert (await examined(files.cloud))["fleet's store"].verdict is Verdict.PASS

    asyncio.run(main())


def test_where_operators_look_on(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        assert (await examined(files.edge))["operators' listener"].verdict is Verdict.SKIP
        port = await free_port()
        change(files.edge, ("#[admin]\n", f'[admin]\nlisten = "127.0.0.1:{port}"\n'))
        assert (await examined(files.edge))["operators' listener"].verdict is Verdict.PASS
        async with await asyncio.start_server(_hangs_up, "127.0.0.1", port):
            finding = (await examined(files.edge))["operators' listener"]
        assert (finding.verdict, finding.remedy) == (Verdict.FAIL, "stop that one, or set another `port` in `[admin] listen`")

    asyncio.run(main())


def test_a_program_that_hangs(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, CSMS_GONE)
        (files.edge.parent / "state").mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
            mute.bind(str(files.edge.parent / "state" / "edge.sock"))
            mute.listen(4)
            findings = await examined(files.edge)
        assert findings["running edge"].verdict is Verdict.FAIL
        assert "doesn't answer" in findings["running edge"].found

    asyncio.run(main())
