"""The cloud: a listener for edges, a client to the CSMS, and the machine between them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import secrets
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ocppress_gateway.cloud.contexts import ContextsFile
from ocppress_gateway.cloud.csms import CsmsClient
from ocppress_gateway.cloud.history import ReportHistory, report_store
from ocppress_gateway.cloud.operating import CloudOperator
from ocppress_gateway.cloud.renewals import Renewals
from ocppress_gateway.cloud.sizing import TransferSizing
from ocppress_gateway.config import CloudConfig, EdgeEntry, FleetConfig, LinkTls
from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.control.place import CLOUD_SOCKET
from ocppress_gateway.control.protocol import Answer, Request
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.cloud import CloudMachine, CloudSettings
from ocppress_gateway.core.events import (
    Bury,
    ClaimEdge,
    CloseCsms,
    CloseLink,
    ContextsFound,
    Effect,
    ExpectSigns,
    FindRenewal,
    KeepReport,
    Level,
    LoadPositions,
    Observe,
    OpenCsms,
    ReleaseEdge,
    RenewalFound,
    ReplayEnded,
    SaveContext,
    SavePosition,
    SendCsms,
    SendLink,
    SizeTransfer,
    TransferSized,
)
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import Claim, PositionsEvent, PositionsOpened
from ocppress_gateway.core.views import CloudView
from ocppress_gateway.cost.month import relayed_ip_bytes
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.errors import GatewayError, StoreFailed
from ocppress_gateway.positions.server import ServerPlace
from ocppress_gateway.positions.sqlite import SqlitePositionsStore
from ocppress_gateway.positions.store import PositionsStore
from ocppress_gateway.positions.worker import PositionsWorker
from ocppress_gateway.program import NO_EXTRA, Program, run_until_signal
from ocppress_gateway.proxied_server import networks
from ocppress_gateway.storage.opening import Opening
from ocppress_gateway.transports.base import Connection, Listener
from ocppress_gateway.transports.psk import read_key, use_server_keys
from ocppress_gateway.transports.revoked import RevokedKeys
from ocppress_gateway.transports.tls import ServerContext, certificate_in, csms_client_context, link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketListener

if TYPE_CHECKING:
    from ocppress_gateway.admin.server import AdminServer
    from ocppress_gateway.cloud.fleet import FleetWatch

__all__ = ["CloudOperations", "CloudProgram", "CloudStores", "cloud_settings", "run"]

CONTEXTS_S_MIN: Final = 1.0
"""How long contexts may be saved at least, where the sockets' closing took all of `shutdown_s`: those of some hundred stations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStores:
    """What outlives the process; None for what isn't there."""

    positions: PositionsStore | None = None
    """Needed if an edge has an outbox."""
    contexts: ContextsFile | None = None
    """Where those are that the next process goes on with."""
    fleet: tuple[ServerPlace, str, Callable[[], Collection[Claim]]] | None = None
    """Where other clouds have their positions, too: the server, the name of this cloud's life, and the machine's claims."""
    history: ReportHistory | None = None
    """What edges have told of their days."""


NO_STORES: Final = CloudStores()
"""Nothing outlives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOperations:
    """What operators are shown of a cloud with positions, and where."""

    view: Callable[[float], CloudView]
    """The machine's."""
    control: Path
    """The socket of `ocppress status` and its like."""
    admin: AdminConfig | None = None
    """Where operators look on over HTTP; None for nowhere."""
    edges: Mapping[str, frozenset[str]]
    """Those that may connect, with their stations."""
    certificate: Certificate | None = None
    """The cloud's own."""


class CloudProgram(Program):
    """The cloud in this process; see `Program`."""

    def __init__(
        self,
        machine: Machine,
        listener: Listener,
        *,
        csms_url: str,
        csms_ssl_context: ssl.SSLContext | None = None,
        connect_timeout_s: float = 7.0,
        stores: CloudStores = NO_STORES,
        operations: CloudOperations | None = None,
        renewals: Renewals | None = None,
        private_hosts: Iterable[str] | None = None,
        shutdown_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`listener` is the edges' side. `csms_url` has one `{identity}`, `csms_ssl_context` None means the system's certificates. `renewals` is for a
        listener that sees certificates. Servers are asked for files' sizes, `private_hosts` besides public ones, unless that is None.
        """
        control = None if operations is None else operations.control
        super().__init__(machine, logger=logging.getLogger("ocppress.cloud"), shutdown_s=shutdown_s, control=control, clock=clock)
        self._listener = listener
        self._numbers = itertools.count(1)
        self._csms_url = csms_url
        self._renewals = renewals
        self._contexts = stores.contexts
        self._history = stores.history
        self._leaving: list[LeavingContext | SavedContext] = []
        self._kept_contexts = [0, 0]
        self._save_until: float | None = None
        self._opening = Opening()
        self._store = stores.positions
        self._positions = None if stores.positions is None else PositionsWorker(stores.positions, self._reported)
        self._fleet: FleetWatch | None = None
        if stores.fleet is not None:
            from ocppress_gateway.cloud.fleet import FleetWatch  # whoever is alone needs no client of the server

            self._fleet = FleetWatch(*stores.fleet, report=self._reported)
        self._operator: CloudOperator | None = None
        if operations is not None:
            assert self._positions is not None, "operators see dead letters"
            self._operator = CloudOperator(
                operations.view,
                self._positions,
                post=self._driver.post_now,
                csms=csms_url,
                certificate=operations.certificate,
                say=self._say,
                clock=clock,
            )
            if operations.admin is not None:
                self._admin = self._admin_server(operations.admin, self._operator, operations.edges)
        self._sizing: TransferSizing | None = None
        if private_hosts is not None:
            self._sizing = TransferSizing(self._driver.post_now, self._spawn, private_hosts=private_hosts)
        self._csms = CsmsClient(self._driver, self._spawn, url=csms_url, connect_timeout_s=connect_timeout_s, ssl_context=csms_ssl_context)

    def _admin_server(self, config: AdminConfig, operator: CloudOperator, edges: Mapping[str, frozenset[str]]) -> AdminServer:
        try:
            from ocppress_gateway.admin.server import AdminServer  # whoever has no such table needs none of it
            from ocppress_gateway.admin.source_cloud import CloudSource
        except ImportError as error:
            raise GatewayError(NO_EXTRA) from error
        source = CloudSource(
            operator,
            turn=self.stepped,
            is_stopping=lambda: self.is_stopping,
            taps=self.taps,
            edges=edges,
            obstacle=lambda: self._listener.obstacle,
            history=lambda edge, days: () if self._history is None else self._history.of(edge, days),
        )
        return AdminServer(config, source)

    def _execute(self, effect: Effect) -> None:
        match effect:
            case SendLink():
                self.links.send(effect.link, effect.data)
            case SendCsms():
                self._csms.send(effect.socket, effect.text)
            case Observe():
                self.taps.take(effect)
            case OpenCsms():
                self._csms.open(effect)
            case CloseCsms():
                self._csms.close_csms(effect.socket, effect.code, effect.reason)
            case ExpectSigns():
                self.links.expect(effect.link, effect.within_s)
            case CloseLink():
                self.links.close(effect.link, effect.reason)
            case LoadPositions() | SavePosition() | Bury() | ClaimEdge() | ReleaseEdge():
                self._ask_positions(effect)
            case SaveContext():
                if self._fleet is not None and not self._leaving:
                    asyncio.get_running_loop().call_soon(self._keep_contexts)
                self._leaving.append(effect.context)
            case SizeTransfer():
                self._size(effect)
            case FindRenewal():
                self._spawn(self._find_renewal(effect), "renewal")
            case KeepReport():
                if self._history is not None:
                    self._history.keep(effect.edge, effect.report)
            case ReplayEnded():
                assert self._operator is not None, "replays are an operator's"
                self._operator.replay_ended(effect)
            case _:
                raise TypeError(f"the cloud cannot do {type(effect).__name__}")

    def _size(self, effect: SizeTransfer) -> None:
        if self._sizing is not None:
            self._sizing.size(effect)
        else:
            self._driver.post_now(TransferSized(effect.identity, effect.ticket, None, "nobody is asked"))

    async def _find_renewal(self, effect: FindRenewal) -> None:
        assert self._renewals is not None, "who sees certificates can renew them"
        try:
            found = RenewalFound(effect.link, await asyncio.to_thread(self._renewals.find, effect.certificate))
        except (ValueError, StoreFailed) as error:
            found = RenewalFound(effect.link, None, str(error))
        self._driver.post_now(found)

    def _ask_positions(self, effect: LoadPositions | SavePosition | Bury | ClaimEdge | ReleaseEdge) -> None:
        assert self._positions is not None, "edges with an outbox need a cloud with positions"
        match effect:
            case LoadPositions():
                self._positions.load(effect.identity)
            case SavePosition():
                self._positions.save(effect.identity, effect.incarnation, effect.lane, effect.position, effect.claim)
            case ClaimEdge():
                self._positions.claim(effect.claim, effect.key_print)
            case ReleaseEdge():
                self._positions.release(effect.claim)
            case Bury():
                self._positions.bury(replace(effect.letter, at_s=time.time()))

    def _reported(self, event: PositionsEvent) -> None:
        self._opening.heard()
        if isinstance(event, PositionsOpened) and self._store is not None and self._store.remark is not None:
            self._say(Level.WARNING, "the server of positions isn't set up to keep them", reason=self._store.remark)
        self._driver.post_now(event)

    async def _answer(self, request: Request) -> Answer:
        assert self._operator is not None, "whoever listens can answer"
        return await self._operator.answer(request)

    async def _open(self) -> None:
        if self._positions is not None:
            await self._opening.wait(self._positions)
        if self._history is not None:
            await self._history.begin()
        if self._contexts is not None:
            await self._take_contexts(self._contexts)
        self._csms.start()
        try:
            await self._listener.serve(self._accepted)
        except OSError as error:
            raise GatewayError(f"cannot listen for edges: {error.strerror or error}") from error
        self._say(Level.INFO, "listening for edges", address=self._listener.address, csms=self._csms_url)

    async def _take_contexts(self, contexts: ContextsFile) -> None:
        found = await asyncio.to_thread(contexts.take)
        if found.fault is not None:
            self._say(Level.WARNING, "saved contexts are not used, new epochs begin", reason=found.fault)
        if found.contexts:
            self._say(Level.INFO, "contexts of the last life are there", stations=len(found.contexts))
            self._driver.post_now(ContextsFound(found.contexts))

    async def _save_contexts(self, contexts: ContextsFile) -> None:
        """Once nobody uses them any more."""
        leaving, self._leaving = self._leaving, []
        if not leaving:
            return
        left_s = 0.0 if self._save_until is None else self._save_until - asyncio.get_running_loop().time()
        try:
            kept = await asyncio.to_thread(contexts.save, leaving, max(CONTEXTS_S_MIN, left_s))
        except StoreFailed as error:
            self._say(Level.WARNING, "contexts can't be saved, new epochs begin at the next start", reason=error.reason)
        else:
            self._say(Level.INFO, "contexts saved", stations=kept.contexts, left_out=kept.left_out, file_kb=round(kept.file_bytes / 1000))

    def _keep_contexts(self) -> None:
        """In a fleet, as soon as they are let go of: their edges are with another cloud within seconds."""
        assert self._positions is not None, "a fleet has a store"
        by_edge: dict[str, list[LeavingContext | SavedContext]] = {}
        for context in self._leaving:
            by_edge.setdefault(context.edge, []).append(context)
        self._leaving.clear()
        for edge, contexts in by_edge.items():
            self._kept_contexts[1] += len(contexts)
            self._positions.keep_contexts(edge, contexts, self._contexts_kept)

    def _contexts_kept(self, count: int) -> None:
        self._kept_contexts[0] += count

    async def _accepted(self, connection: Connection) -> None:
        await self.links.carry(next(self._numbers), connection)

    def _begin(self) -> None:
        if self._positions is not None:
            self._spawn(self._positions.ended(), "positions")
        if self._fleet is not None:
            self._spawn(self._fleet.run(), "fleet")
        if self._history is not None:
            self._spawn(self._history.run(), "reports")

    async def _stop_listening(self) -> None:
        """Edges that connect now are turned away by the machine, with a reason; in a fleet they don't get here."""
        if self._fleet is not None:
            self._listener.refuse()
        self._save_until = asyncio.get_running_loop().time() + self._shutdown_s

    def _is_busy(self) -> bool:
        return len(self._csms) > 0 or len(self.links) > 0

    async def _close(self) -> None:
        await self._listener.close()
        await self._csms.close()
        if self._contexts is not None:
            await self._save_contexts(self._contexts)
        if self._history is not None:
            await self._history.finish()
        if self._positions is not None:
            await self._positions.close()
        if self._fleet is not None:
            await self._fleet.close()
            kept, leaving = self._kept_contexts
            self._say(Level.INFO, "contexts saved", stations=kept, left_out=leaving - kept)


def cloud_settings(config: CloudConfig) -> CloudSettings:
    """What the machine is to know of a configuration."""
    return CloudSettings(
        edges={edge.name: frozenset(edge.stations) for edge in config.edges},
        linger_s=0.0,
        command_timeout_s=config.timeouts.command_timeout_s,
        call_timeout_s=config.csms.call_timeout_s,
        link_grace_s=config.timeouts.link_grace_s,
        retry_wait_min_s=config.csms.retry_wait_min_s,
        retry_random_s=config.csms.retry_random_s,
        retry_repeat_times=config.csms.retry_repeat_times,
        attempts_max=config.csms.message_attempts,
        attempt_interval_s=config.csms.message_attempt_interval_s,
        stops_late_rejected=config.stop_late_rejected,
        fleet=config.fleet is not None,
        relayed_bytes=relayed_ip_bytes(Conditions()),
        transfers=config.transfers.rules,
    )


def run(config: CloudConfig) -> int:
    """Run the cloud until SIGTERM; returns the exit code. Raises `ConfigError` for TLS files that can't be used, `GatewayError` for a port
    that is taken."""
    tls = config.link.tls
    if tls is not None:
        _warn_of_end(tls)
    machine = CloudMachine(cloud_settings(config), random=random.SystemRandom().random, random_bytes=os.urandom, wall_s=time.time)
    fleet = None if config.fleet is None else (_server(config.fleet), secrets.token_hex(8), lambda: machine.claims)
    program = CloudProgram(
        machine,
        _listener(config),
        csms_url=config.csms.url,
        csms_ssl_context=csms_client_context(
            ca_file=config.csms.ca_file, certificate_file=config.csms.certificate_file, key_file=config.csms.key_file
        ),
        connect_timeout_s=config.csms.connect_timeout_s,
        stores=CloudStores(
            positions=SqlitePositionsStore(config.state_folder) if fleet is None else _shared_positions(*fleet[:2]),
            contexts=ContextsFile(config.state_folder) if fleet is None else None,
            fleet=fleet,
            history=ReportHistory(report_store(config.state_folder), logger=logging.getLogger("ocppress.cloud")),
        ),
        operations=CloudOperations(
            view=machine.view,
            control=config.state_folder / CLOUD_SOCKET,
            admin=config.admin,
            edges=machine.settings.edges,
            certificate=None if tls is None else certificate_in(tls.certificate_file),
        ),
        renewals=None if tls is None else Renewals(tls),
        private_hosts=config.transfers.hosts,
        shutdown_s=config.timeouts.shutdown_s,
    )
    return run_until_signal(program)


def _server(fleet: FleetConfig) -> ServerPlace:
    return ServerPlace(url=fleet.store, user=fleet.user, password_file=fleet.password_file, ca_file=fleet.ca_file)


def _shared_positions(place: ServerPlace, run: str) -> PositionsStore:
    try:
        from ocppress_gateway.positions.shared import SharedPositionsStore  # whoever is alone needs no client of the server
    except ModuleNotFoundError as error:
        raise GatewayError("`[fleet]` needs the package `redis`: pip install 'ocppress[fleet]'") from error
    return SharedPositionsStore(place, run)


def _warn_of_end(tls: LinkTls) -> None:
    """No edge could connect after it."""
    own, now = certificate_in(tls.certificate_file), time.time()
    if own is not None and now >= own.renew_from_unix_s:
        fields = {"days": round((own.ends_unix_s - now) / 86_400)}
        logging.getLogger("ocppress.cloud").warning(
            "this cloud's certificate ends, `ocppress ca renew --cloud` makes the next", extra={"fields": fields}
        )


def _listener(config: CloudConfig) -> Listener:
    link, tls = config.link, config.link.tls
    if link.broker is None:
        return WebSocketListener(
            host=link.host,
            port=link.port,
            ssl_context=None if tls is None else _link_context(tls, config.edges),
            revoked=None if tls is None or tls.revoked_file is None else RevokedKeys(tls.revoked_file),
            balancers=networks(link.proxy_from),
        )
    from ocppress_gateway.transports.mqtt.listener import MqttListener  # whoever has no broker needn't load its client

    return MqttListener(
        link.broker,
        None if tls is None else link_client_context(ca_file=tls.ca_file, certificate_file=tls.certificate_file, key_file=tls.key_file),
    )


def _link_context(tls: LinkTls, edges: Sequence[EdgeEntry]) -> ServerContext:
    context = link_server_context(ca_file=tls.ca_file, certificate_file=tls.certificate_file, key_file=tls.key_file)
    keys = {edge.name: read_key(edge.psk_file) for edge in edges if edge.psk_file is not None}
    if keys:
        use_server_keys(context, keys)
    return context
