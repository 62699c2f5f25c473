"""The npm package `ocpp-rpc` (Gareth Hughes), as station and as CSMS, each a Node process of `tests/integration/node/peer.js`.

Strict validation is on for 1.6 and 2.0.1: the package checks every message against OCPP's schemas, and whatever it finds fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from ocppress_codecs.rpc import OcppVersion
from tests.support.background import background
from tests.support.foreign.interface import PEER_WAIT_S, Answer, Csms, NotAdmitted, Package, Refusal, Script, Station, Wire

__all__ = ["OCPP_RPC"]

_FOLDER = Path(__file__).parents[2] / "integration" / "node"
_LINE_BYTES_MAX = 16 * 1024 * 1024


def _missing() -> str:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (_FOLDER / "node_modules" / "ocpp-rpc").is_dir():
        return "ocpp-rpc is not installed: run npm ci in tests/integration/node"
    return ""


class _NodePeer:
    """One Node process and what it has told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._wires: defaultdict[str, Wire] = defaultdict(Wire)
        self._opened: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.invalid: list[str] = []
        self.url = ""

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(json.loads(line))
        if not self.started.done():
            self.started.set_exception(RuntimeError("the Node process ended before it was ready; its stderr has the reason"))

    def _take(self, record: dict[str, Any]) -> None:
        if "frame" in record:
            self._wires[record["identity"]].record(record["frame"], sent=record["sent"])
        elif "number" in record:
            self._calls.pop(record["number"]).set_result(Refusal(record["error"]) if "error" in record else record["answer"])
        elif "ready" in record or "refused" in record:
            self.started.set_result(record)
        elif "opened" in record:
            self.opened(record["opened"])
        elif "invalid" in record:
            self.invalid.append(f"{record['identity']}: {record['invalid']}")

    def opened(self, identity: str) -> None:
        self._opened[identity].set()

    def wire(self, identity: str) -> Wire:
        return self._wires[identity]

    async def call(self, identity: str, action: str, payload: dict[str, Any]) -> Answer:
        async with asyncio.timeout(PEER_WAIT_S):
            await self._opened[identity].wait()
            number = next(self._numbers)
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._calls[number] = answer
            request = {"number": number, "identity": identity, "action": action, "payload": payload}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            return await answer


class _NodeStation:
    def __init__(self, peer: _NodePeer, identity: str) -> None:
        self._peer = peer
        self._identity = identity

    @property
    def wire(self) -> Wire:
        return self._peer.wire(self._identity)

    async def call(self, action: str, payload: dict[str, Any]) -> Answer:
        return await self._peer.call(self._identity, action, payload)


@contextlib.asynccontextmanager
async def _node(role: str, settings: dict[str, Any]) -> AsyncIterator[tuple[_NodePeer, dict[str, Any]]]:
    """Run one Node process for as long as the block; it ends by itself when its stdin is closed, so none outlives the tests."""
    process = await asyncio.create_subprocess_exec(
        "node", "peer.js", role, json.dumps(settings), cwd=_FOLDER, limit=_LINE_BYTES_MAX,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    peer = _NodePeer(process)
    try:
        async with background(peer.listen(), f"ocpp-rpc {role}"):
            async with asyncio.timeout(PEER_WAIT_S):
                started = await peer.started
            yield peer, started
            assert not peer.invalid, f"ocpp-rpc's strict validation: {peer.invalid}"
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(PEER_WAIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def _open_station(url: str, identity: str, version: OcppVersion, password: str | None, answers: Script) -> AsyncIterator[Station]:
    settings = {
        "url": url,
        "identity": identity,
        "password": password,
        "subprotocol": version.subprotocol,
        "answers": _spelled(answers),
    }
    async with _node("station", settings) as (peer, started):
        if "refused" in started:
            raise NotAdmitted(started["refused"])
        peer.opened(identity)
        yield _NodeStation(peer, identity)


@contextlib.asynccontextmanager
async def _open_csms(version: OcppVersion, passwords: Mapping[str, str | None], answers: Script) -> AsyncIterator[Csms]:
    settings = {"subprotocols": [version.subprotocol], "passwords": dict(passwords), "answers": _spelled(answers)}
    async with _node("csms", settings) as (peer, started):
        peer.url = f"ws://127.0.0.1:{started['ready']['port']}/ocpp"
        yield peer


def _spelled(answers: Script) -> dict[str, list[dict[str, Any]]]:
    return {
        action: [{"error": answer.code} if isinstance(answer, Refusal) else answer for answer in of_action]
        for action, of_action in answers.items()
    }


OCPP_RPC = Package("ocpp-rpc", _open_station, _open_csms, missing=_missing)
