"""Secrets appear nowhere: two real programs at debug level, everything that goes wrong, and a search through all that they leave behind and say, to
operators, too.

Passwords and keys may be in no file and no line at all. Tokens (idToken, idTag) are in the station's own messages, which wait in the outbox and among
the dead letters; everywhere else they are masked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from websockets.exceptions import InvalidStatus

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.admin.api import endpoints
from ocppress_gateway.cloud.contexts import CONTEXTS_FILE, ContextsFile
from ocppress_gateway.edge.credentials import CREDENTIALS_FILE
from ocppress_gateway.ledger.sqlite import LEDGER_FILE
from ocppress_gateway.outbox.sqlite import OUTBOX_FILE
from ocppress_gateway.positions.sqlite import POSITIONS_FILE
from tests.support.admin import OPERATOR, PASSWORD, PEOPLE, admin_change
from tests.support.processes import WAIT_S, Files, Lives, change, make_files
from tests.support.raw_peers import RawCsms, RawStation

OLD, NEW, WRONG = "Old-0z7-planted-password", "New-0z7-planted-password", "Wrong-0z7-planted-passw"
TOKEN = "0Z7PLANTEDTOKEN0000"
KEY_LINE = "0z7plantedlineofaprivatekey"


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"CS-1:{password}".encode()).decode()


OPERATORS = [OPERATOR, PASSWORD, *(one[name] for one in (*PEOPLE["users"], *PEOPLE["tokens"]) for name in one if name.endswith("_hash"))]
SESSIONS: list[str] = []
"""Cookies of those that the test has begun."""
PASSWORDS = [KEY_LINE, *(form for password in (OLD, NEW, WRONG) for form in (password, _basic(password).split()[1]))]
COMMANDS = {
    "SetNetworkProfile": f'{{"configurationSlot":1,"connectionData":{{"basicAuthPassword":"{OLD}","ocppCsmsUrl":"wss://CS-1:{OLD}@csms/","apn":{{"apnPassword":"{OLD}"}}}}}}',
    "ChangeConfiguration": f'{{"key":"AuthorizationKey","value":"{OLD}"}}',
    "GetLog": f'{{"log":{{"remoteLocation":"https://logs/up?X-Amz-Signature={OLD}"}}}}',
    "DataTransfer": f'{{"vendorId":"v","data":"-----BEGIN PRIVATE KEY-----\\n{KEY_LINE}"}}',
    "InstallCertificate": f'{{"customData":{{"vendorId":"v","inner":"{{\\"idTag\\":\\"{TOKEN}\\",\\"password\\":\\"{OLD}\\"}}"}}}}',
    "RequestStartTransaction": f'{{"remoteStartId":1,"idToken":{{"idToken":"{TOKEN}","type":"Central"}}}}',
}
"""What a CSMS asks of a station, with secrets wherever OCPP or a vendor has them."""
UPDATED = (
    '{"eventType":"Updated","triggerReason":"MeterValuePeriodic","seqNo":%d,"timestamp":"2026-03-01T08:00:00Z",'
    f'"transactionInfo":{{"transactionId":"T1"}},"customData":{{"vendorId":"x","idTag":"{TOKEN}"}}}}'
)


class _Csms:
    """Accepts one password, and refuses transactions with words that it should have kept to itself."""

    def __init__(self) -> None:
        self.password = OLD

    def admit(self, identity: str, authorization: str | None, subprotocols: Sequence[str]) -> int | str:
        return "ocpp2.0.1" if authorization == _basic(self.password) else 401

    def answer(self, text: str) -> Sequence[str]:
        message_id, message = parse(text)
        if message.type is not MessageType.CALL:
            return []
        if message.action == "TransactionEvent":
            return [f'[4,"{message_id}","NotSupported","no such token {TOKEN}",{{"password":"{OLD}"}}]']
        return [f'[3,"{message_id}",{{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}}]']


async def _said(outputs: list[str], *arguments: str | Path) -> None:
    """Run a command, and keep what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ocppress_gateway", *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate()
    outputs += [out.decode(), err.decode()]


async def _looked_on(outputs: list[str], url: str) -> None:
    """Ask for all that operators may see, as nobody, with a wrong token and with a right one; keep every answer, headers and all."""
    await _browsed(outputs, url)  # before too many wrong tokens have been sent
    paths = [endpoint.path.format(identity="CS-1") for endpoint in endpoints("cloud")]
    async with ClientSession(url) as client:
        for token in (None, f"{OPERATOR}x", OPERATOR):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            for path in ("/healthz", "/readyz", "/api/v1/openapi.json", f"/{OPERATOR}", "/api/v1/stations?search=%00", *paths):
                async with client.get(path, headers=headers) as response:
                    outputs.append(f"{response.status} {response.headers} {(await response.read()).decode(errors='replace')}")
            for body in ('{"plan":', '{"plan":"auto","reason":[]}', '{"plan":"auto","reason":"as it was"}'):
                async with client.put(
                    "/api/v1/stations/CS-1/plan", data=body, headers={**headers, "Content-Type": "application/json"}
                ) as response:
                    outputs.append(f"{response.status} {response.headers} {await response.text()}")


async def _browsed(outputs: list[str], url: str) -> None:
    """Log in, wrongly and rightly, and keep every page; the session's cookie is in none."""
    async with ClientSession(url, cookie_jar=CookieJar(unsafe=True)) as client:
        for name, password in ((PASSWORD, "x"), ("ann", OPERATOR), ("ann", PASSWORD)):
            async with client.post("/login", data={"name": name, "password": password}) as response:
                outputs.append(await response.text())
        (cookie,) = (cookie.value for cookie in client.cookie_jar)
        for path in (
            "/",
            "/login",
            "/stations/CS-1",
            "/stations/CS-1/days.svg",
            "/stations/CS-1/month.svg",
            "/dead-letters",
            f"/{OPERATOR}",
        ):
            async with client.get(path, headers={"Accept": "text/html"}) as response:
                outputs.append(f"{response.headers} {await response.text()}")
        assert "What its SIM has used" in "".join(outputs)
        SESSIONS.append(cookie)


async def _refused(url: str, password: str | None) -> None:
    with pytest.raises(InvalidStatus):
        async with RawStation(f"{url}/CS-1", authorization=None if password is None else _basic(password)):
            pass


async def _raw(port: int, head: str) -> None:
    """A request that is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await asyncio.wait_for(reader.read(), 5)
    writer.transport.abort()


async def _talk(station: RawStation, csms: RawCsms) -> None:
    """What a station says, and what neither should have said."""
    await station.send('[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]')
    assert json.loads(await station.receive())[0] == 3
    await station.send(f'[2,"a","Authorize",{{"idToken":{{"idToken":"{TOKEN}","type":"Central"}}}}]')
    assert json.loads(await station.receive())[0] == 3
    for number in (1, 2):
        await station.send(f'[2,"t{number}","TransactionEvent",{UPDATED % number}]')
        assert json.loads(await station.receive())[0] == 3
    broken = (f'[2,"x","Authorize",{{"idToken":"{TOKEN}"', f'["{OLD}"]', f'[2,"{TOKEN}x","Authorize",["{OLD}"]]', f"{OLD} {TOKEN}")
    for text in broken:
        await station.send(text)
        await csms.send("CS-1", text)
        assert json.loads(await station.receive())[0] == 4
    await station.send(f'[7,"{OLD}"]')  # a later OCPP's, which isn't answered
    await station.send(f'[3,"nobody asked",{{"idToken":"{TOKEN}","password":"{OLD}"}}]')
    await station.send(f'[4,"nobody asked","InternalError","{OLD} {TOKEN}",{{}}]')


def _is_refused(csms: RawCsms, number: int) -> bool:
    return any(text.startswith(f'[4,"s{number}"') for text in csms.texts["CS-1"])


async def _command(station: RawStation, csms: RawCsms) -> None:
    """The CSMS says things that nobody else should see; the station refuses each with words that repeat them."""
    for number, (action, payload) in enumerate(COMMANDS.items()):
        await csms.send("CS-1", f'[2,"s{number}","{action}",{payload}]')
        while f'"{action}"' not in (text := await station.receive()):
            pass
        await station.send(f'[4,"{json.loads(text)[1]}","InternalError","not {OLD} {TOKEN} {KEY_LINE}",{{"x":"{OLD}"}}]')
        await csms.until(partial(_is_refused, csms, number))


async def _watched(urls: Sequence[str]) -> list[str]:
    """What operators see of the station's messages, by page and by REST; the first time it is nothing yet."""
    outputs: list[str] = []
    for url in urls:
        async with ClientSession(url, headers={"Authorization": f"Bearer {OPERATOR}"}) as client:
            for path in ("/api/v1/stations/CS-1/messages", "/stations/CS-1/messages"):
                async with client.get(path) as response:
                    assert response.status == 200
                    outputs.append(await response.text())
    return outputs


async def _change_password(station: RawStation, csms: RawCsms) -> None:
    setting = f'{{"attributeValue":"{NEW}","component":{{"name":"SecurityCtrlr"}},"variable":{{"name":"BasicAuthPassword"}}}}'
    await csms.send("CS-1", f'[2,"c","SetVariables",{{"setVariableData":[{setting}]}}]')
    while '"SetVariables"' not in (text := await station.receive()):
        pass
    result = '{"attributeStatus":"Accepted","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}'
    await station.send(f'[3,"{json.loads(text)[1]}",{{"setVariableResult":[{result}]}}]')
    await csms.until(lambda: any(text.startswith('[3,"c"') for text in csms.texts["CS-1"]))


async def _run(files: Files, csms: RawCsms, behaviour: _Csms, outputs: list[str]) -> list[str]:
    """All lines that the programs say."""
    state = files.edge.parent / "state"
    async with (
        Lives("cloud", "--config", files.cloud, ready="listening for edges") as cloud,
        Lives("edge", "--config", files.edge, ready="listening for stations") as edge,
    ):
        await edge.process.said("link up")
        await _refused(files.url, WRONG)
        await _refused(files.url, WRONG)
        await _raw(files.edge_port, f"GET /CS-1 HTTP/1.1\r\nAuthorization: {_basic(OLD)}\x01\r\n\r\n")
        await _raw(files.edge_port, f"{OLD} /CS-1 {TOKEN}\r\n\r\n")
        await _raw(files.cloud_port, f"GET /{OLD} HTTP/1.1\r\nAuthorization: {_basic(OLD)}\r\n\r\n")
        async with RawStation(f"{files.url}/CS-1", authorization=_basic(OLD)) as station:
            urls = [(await one.process.said("listening for operators url=")).rpartition("url=")[2].strip() for one in (edge, cloud)]
            await _watched(urls)
            await _talk(station, csms)
            await _command(station, csms)
            watched = await _watched(urls)
            for action in ("Authorize", *COMMANDS):
                assert all(f'"action":"{action}"' in found or f"<b>{action}</b>" in found for found in watched), action
            await _said(outputs, "edge", "drain", "CS-1", "--config", files.edge)
            await cloud.process.said("kept as a dead letter")
            for program in (files.edge, files.cloud):
                await _said(outputs, "status", "--config", program)
                await _said(outputs, "status", "--config", program, "--json")
            await _said(outputs, "dead", "list", "--config", files.cloud)
            await _said(outputs, "dead", "list", "--json", "--config", files.cloud)
            await _said(outputs, "dead", "show", "1", "--config", files.cloud)
            await _said(outputs, "dead", "replay", "1", "--config", files.cloud)
            for url in urls:
                await _looked_on(outputs, url)
            await _watched(urls)
            await _change_password(station, csms)
            watched += await _watched(urls)
            assert sum('{\\"setVariableData\\":[{\\"attributeValue\\":\\"***\\"' in found for found in watched) == len(urls)
            outputs += watched
            behaviour.password = NEW
            await cloud.kill()
            await cloud.start()
            await edge.process.said("again=true")
            await station.send('[2,"last","Heartbeat",{}]')
        await _refused(files.url, OLD)
        await cloud.kill()
        await edge.process.said("link lost", 2)
        await edge.kill()
        for name in (OUTBOX_FILE, CREDENTIALS_FILE, LEDGER_FILE):
            (state / name).write_bytes(b"no database at all" * 1000)
            (state / f"{name}-wal").unlink(missing_ok=True)  # it would mend the file
        await edge.start()
        await edge.process.said("link not made")
        await _refused(files.url, OLD)
        await cloud.start()
        await edge.process.said("link up")
        async with RawStation(f"{files.url}/CS-1", authorization=_basic(NEW)) as station:
            await station.send('[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]')
            assert json.loads(await station.receive())[0] == 3
            await cloud.stop()
            await edge.process.said("link closed")
            await edge.stop()
    return edge.lines + cloud.lines


async def _wrong_files(files: Files, outputs: list[str]) -> None:
    """Configurations with secrets where none belong, and keys that are none."""
    key = files.edge.parent / "edge.key"
    good, key_text = files.edge.read_text(), key.read_text()
    for before, after in (
        ('url = "wss://', f'url = "wss://CS-1:{OLD}@'),
        ('#plan = "auto"', f'password = "{OLD}"'),
        ('#plan = "auto"', f"plan = {OLD}"),
        ('key_file = "edge.key"', 'key_file = "ca.pem"'),
        ('certificate_file = "edge.pem"', 'certificate_file = "edge.key"'),
    ):
        change(files.edge, (before, after))
        await _said(outputs, "edge", "--config", files.edge)
        files.edge.write_text(good)
    for broken in (key_text[:-60], key_text.replace("PRIVATE", "SECRET"), OLD):
        key.write_text(broken)
        await _said(outputs, "edge", "--config", files.edge)
    key.write_text(key_text)


def _keys(folder: Path) -> list[str]:
    """The lines of all private keys below."""
    return [line for key in folder.rglob("*.key") for line in key.read_text().splitlines() if not line.startswith("-")]


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_secrets_appear_nowhere(tmp_path: Path) -> None:
    outputs: list[str] = []

    async def main() -> tuple[list[str], list[Path], list[str]]:
        behaviour = _Csms()
        async with RawCsms(admit=behaviour.admit, handler=behaviour.answer) as csms:
            quick = ("#reconnect_max_s = 60.0", "reconnect_max_s = 1.0")
            look_on = admin_change()
            files = await make_files(tmp_path, csms.url, log_level="debug", edge_changes=[quick, look_on], cloud_changes=[look_on])
            lines = await _run(files, csms, behaviour, outputs)
            keys = _keys(tmp_path)
            await _wrong_files(files, outputs)
            return lines, [file for program in (files.edge, files.cloud) for file in _files(program.parent / "state")], keys

    lines, state, keys = asyncio.run(main())
    assert len(keys) >= 9, "of the authority, the cloud and the edge"
    said = "\n".join(lines + outputs)
    for words in (
        "station refused",
        "kept as a dead letter",
        "text is not OCPP-J",
        "request is not HTTP",
        "new ones begin",
        "new password",
        '"idTag":"***"',
        "listening for operators",
        "a token was wrong",
        "a password was wrong",
        "logged in user=ann",
        "an operator changes the plan",
        "ocppress_edge_ip_bytes_total{",
        '"action":"TransactionEvent"',
    ):
        assert words in said, f"{words}: the run doesn't do what it is there for"
    assert [secret for secret in (*PASSWORDS, *keys, TOKEN, *OPERATORS, *SESSIONS) if secret in said] == []
    own_messages = (OUTBOX_FILE.partition(".")[0], POSITIONS_FILE.partition(".")[0], CONTEXTS_FILE.partition(".")[0])
    assert {file.name.partition(".")[0].partition("-")[0] for file in state} >= {"outbox", "credentials", "ledger", "positions", "contexts"}
    assert any(TOKEN.encode() in file.read_bytes() for file in state if file.name.startswith(own_messages)), (
        "the search finds what is there"
    )
    for file in state:
        secrets = [*PASSWORDS, *keys] + ([] if file.name.startswith(own_messages) else [TOKEN])
        found = [secret for secret in secrets if secret.encode() in file.read_bytes()]
        assert found == [], file
    (saved,) = (file.parent for file in state if file.name == CONTEXTS_FILE)
    (context,) = ContextsFile(saved).take().contexts
    expanded = [half.saved() or b"" for half in (context.endpoint().encoder, context.endpoint().decoder)]
    assert any(b"BootNotification" in data for data in expanded), "the search finds what is there"
    assert [secret for secret in (*PASSWORDS, *keys) for data in expanded if secret.encode() in data] == []
