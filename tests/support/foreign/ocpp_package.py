"""The PyPI package `ocpp` (The Mobility House) on `websockets`: its `ChargePoint` class serves as station and as CSMS."""

from __future__ import annotations

import base64
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import ocpp.exceptions
import ocpp.v16
import ocpp.v21
import ocpp.v201
from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.exceptions import OCPPError
from ocpp.routing import on
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ocppress_codecs.rpc import OcppVersion
from tests.support.background import background
from tests.support.foreign.interface import PEER_WAIT_S, Answer, Csms, NotAdmitted, Package, Refusal, Script, Station, Wire

__all__ = ["OCPP_PACKAGE"]

_EDITIONS = {OcppVersion.V16: ocpp.v16, OcppVersion.V201: ocpp.v201, OcppVersion.V21: ocpp.v21}
_ERRORS = {error.code: error for error in OCPPError.__subclasses__() if hasattr(error, "code")}


class _Recorded:
    """The `recv` and `send` that `ChargePoint` uses, with a record of both."""

    def __init__(self, connection: ClientConnection | ServerConnection, wire: Wire) -> None:
        self._connection = connection
        self._wire = wire

    async def recv(self) -> str:
        text = await self._connection.recv(decode=True)
        self._wire.record(text, sent=False)
        return text

    async def send(self, text: str) -> None:
        self._wire.record(text, sent=True)
        await self._connection.send(text)


def _handler(edition: Any, action: str, answers: list[Answer]) -> Any:
    def handle(self: object, **payload: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Refusal):
            raise _ERRORS[answer.code]()
        return getattr(edition.call_result, action)(**camel_to_snake_case(answer))

    handle.__name__ = f"on_{action}"  # the package finds handlers by the name of the attribute
    return on(action)(handle)


class _Peer:
    """One `ChargePoint` of the package, with a handler for each action of the script."""

    def __init__(
        self, identity: str, version: OcppVersion, connection: ClientConnection | ServerConnection, wire: Wire, script: Script
    ) -> None:
        self.wire = wire
        self._edition: Any = _EDITIONS[version]
        handlers = {f"on_{action}": _handler(self._edition, action, list(answers)) for action, answers in script.items()}
        charge_point = type("ScriptedChargePoint", (self._edition.ChargePoint,), handlers)
        self._charge_point = charge_point(identity, _Recorded(connection, wire), response_timeout=PEER_WAIT_S)

    async def serve(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._charge_point.start()

    async def call(self, action: str, payload: dict[str, Any]) -> Answer:
        request = getattr(self._edition.call, action)(**camel_to_snake_case(payload))
        try:
            result = await self._charge_point.call(request, suppress=False)
        except OCPPError as error:
            return Refusal(error.code)
        answer: dict[str, Any] = remove_nones(snake_to_camel_case(serialize_as_dict(result)))
        return answer


def _basic(identity: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode()


@contextlib.asynccontextmanager
async def _open_station(url: str, identity: str, version: OcppVersion, password: str | None, answers: Script) -> AsyncIterator[Station]:
    headers = {} if password is None else {"Authorization": _basic(identity, password)}
    try:
        connection = await connect(
            f"{url}/{identity}", subprotocols=[Subprotocol(version.subprotocol)], additional_headers=headers, open_timeout=PEER_WAIT_S
        )
    except InvalidStatus as error:
        raise NotAdmitted(error.response.status_code) from None
    async with connection:
        if connection.subprotocol is None:
            raise NotAdmitted(None)
        peer = _Peer(identity, version, connection, Wire(), answers)
        async with background(peer.serve(), f"ocpp station {identity}"):
            yield peer


class _ListeningCsms:
    def __init__(self, version: OcppVersion, passwords: Mapping[str, str | None], script: Script) -> None:
        self._version = version
        self._passwords = passwords
        self._script = script
        self._wires: defaultdict[str, Wire] = defaultdict(Wire)
        self._peers: dict[str, _Peer] = {}
        self.url = ""

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        identity = request.path.rpartition("/")[2]
        if identity not in self._passwords:
            return connection.respond(404, "unknown station\n")
        password = self._passwords[identity]
        if password is not None and request.headers.get("Authorization") != _basic(identity, password):
            return connection.respond(401, "wrong password\n")
        return None

    def choose(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        wanted = Subprotocol(self._version.subprotocol)
        return wanted if wanted in offered else None

    async def serve(self, connection: ServerConnection) -> None:
        if connection.subprotocol is None:
            await connection.close(1002, "no common sub-protocol")
            return
        assert connection.request is not None
        identity = connection.request.path.rpartition("/")[2]
        peer = _Peer(identity, self._version, connection, self._wires[identity], self._script)
        self._peers[identity] = peer
        await peer.serve()

    def listens_on(self, server: Server) -> None:
        host, port = next(iter(server.sockets)).getsockname()
        self.url = f"ws://{host}:{port}/ocpp"

    def wire(self, identity: str) -> Wire:
        return self._wires[identity]

    async def call(self, identity: str, action: str, payload: dict[str, Any]) -> Answer:
        return await self._peers[identity].call(action, payload)


@contextlib.asynccontextmanager
async def _open_csms(version: OcppVersion, passwords: Mapping[str, str | None], answers: Script) -> AsyncIterator[Csms]:
    csms = _ListeningCsms(version, passwords, answers)
    async with serve(csms.serve, "127.0.0.1", 0, process_request=csms.admit, select_subprotocol=csms.choose) as server:
        csms.listens_on(server)
        yield csms


OCPP_PACKAGE = Package("ocpp", _open_station, _open_csms, missing=lambda: "")
