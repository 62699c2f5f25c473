"""The edge: a server for stations, one link to the cloud, and the machine between them."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from ocppress_gateway.config import EdgeConfig, EdgeLinkConfig, EdgeLinkTls
from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.control.place import EDGE_SOCKET
from ocppress_gateway.control.protocol import Answer, Request
from ocppress_gateway.core.certificate import Certificate, weeks_left
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.events import (
    AdmitStation,
    CheckCredentials,
    CloseLink,
    CloseStation,
    DistrustOutbox,
    Effect,
    Flush,
    ForgetCredentials,
    ForgetStored,
    KeepCredentials,
    Level,
    LinkHeard,
    LoadStored,
    Observe,
    OpenLink,
    PauseStation,
    PlanWanted,
    RefuseStation,
    RememberStation,
    ResumeStation,
    SendLink,
    SendStation,
    StoreMessage,
    TakeRenewal,
)
from ocppress_gateway.core.keepalive import SILENCES, START_S, KeepaliveSearch
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.ledger_events import LinkMessageCounted, TransferBegan, TransferEnded, Way
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.core.policy import Overrides
from ocppress_gateway.core.stored import OutboxEvent
from ocppress_gateway.core.told import Told
from ocppress_gateway.core.views import CertificateView, EdgeView
from ocppress_gateway.edge.certificate import OwnCertificate
from ocppress_gateway.edge.credentials import CredentialKeeper, credential_store
from ocppress_gateway.edge.operating import EdgeOperator
from ocppress_gateway.edge.server import StationServer
from ocppress_gateway.errors import ConfigError, GatewayError, StoreFailed
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.keeper import LedgerKeeper
from ocppress_gateway.ledger.sqlite import SqliteLedgerStore
from ocppress_gateway.outbox.base import OutboxLimits
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.outbox.worker import OutboxWorker
from ocppress_gateway.program import NO_EXTRA, Program, run_until_signal
from ocppress_gateway.storage.opening import Opening
from ocppress_gateway.transports.base import Connector
from ocppress_gateway.transports.psk import read_key, use_client_key
from ocppress_gateway.transports.tls import ResumingContext, certificate_in, station_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector

if TYPE_CHECKING:
    from ocppress_gateway.admin.server import AdminServer

__all__ = ["COMMAND_TIMEOUT_S", "EdgeProgram", "edge_settings", "link_connector", "outbox_limits", "own_certificate", "run"]

COMMAND_TIMEOUT_S: Final = 30.0
"""How long a station may take to answer one of the CSMS's CALLs (OCPP's guideline for any answer)."""

CERTIFICATE_LOOK_S: Final = 86_400.0
"""How often the edge looks how long its certificate still lasts."""

CERTIFICATE_FIRST_LOOK_S: Final = 3600.0
"""And the first time after its start: a renewal has had its chance by then."""

_ANY_HOST: Final = frozenset({"0.0.0.0", "::", ""})


class EdgeProgram(Program):
    """The edge in this process; see `Program`. `port` and `station_url` are there inside the context."""

    def __init__(
        self,
        machine: Machine,
        connector: Connector,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None = None,
        outbox: OutboxStore | None = None,
        credentials: LedgerStore | None = None,
        keeper: LedgerKeeper | None = None,
        certificate: OwnCertificate | None = None,
        station_certificate: Certificate | None = None,
        view: Callable[[float], EdgeView] | None = None,
        control: Path | None = None,
        admin: AdminConfig | None = None,
        serves_offline: bool = False,
        shutdown_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`host`, `port` (0 for any free one) and `ssl_context` are the stations' side, `connector` the way to the cloud.

        `outbox` and `credentials` are needed if the machine's settings say so, `keeper` and the machine's `view` with `control`, the operator's socket.
        `admin`, with `control`, is where operators look on; `serves_offline` what the machine's settings say, for them.
        `certificate` is the connector's, where it can be renewed, `station_certificate` that of `ssl_context`.
        """
        super().__init__(machine, logger=logging.getLogger("ocppress.edge"), shutdown_s=shutdown_s, control=control, clock=clock)
        self._connector = connector
        self._certificate = certificate
        self._station_certificate = station_certificate
        self._renewing: asyncio.Task[None] | None = None
        self._planning: asyncio.Task[None] | None = None
        self._host = host
        self._scheme = "ws" if ssl_context is None else "wss"
        self._keeper = keeper
        self.links.watch = keeper
        self._opening = Opening()
        self._outbox = None if outbox is None else OutboxWorker(outbox, self._reported)
        self._credentials: CredentialKeeper | None = None
        if credentials is not None:
            self._credentials = CredentialKeeper(credentials, self._driver.post_now, logger=self._logger)
        self._operator: EdgeOperator | None = None
        if keeper is not None and view is not None:
            self._operator = EdgeOperator(
                view,
                keeper,
                post=self._driver.post_now,
                measure=lambda: None if self._outbox is None else self._outbox.measure(),
                wire=self.links.wire_count,
                certificates=self._certificates,
                cloud=connector.address,
                clock=clock,
            )
        if admin is not None:
            self._admin = self._admin_server(admin, serves_offline)
        self._stations = StationServer(self._driver, host=host, port=port, ssl_context=ssl_context)

    @property
    def port(self) -> int:
        return self._stations.port

    @property
    def station_url(self) -> str:
        """What to enter in a station that appends its identity by itself; with `/IDENTITY` in one that doesn't."""
        host = "THIS-HOST" if self._host in _ANY_HOST else f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    def _admin_server(self, config: AdminConfig, serves_offline: bool) -> AdminServer:
        assert self._operator is not None, "what operators see is the operator's"
        try:
            from ocppress_gateway.admin.server import AdminServer  # whoever has no such table needs none of it
            from ocppress_gateway.admin.source_edge import EdgeSource
        except ImportError as error:
            raise GatewayError(NO_EXTRA) from error
        source = EdgeSource(
            self._operator, turn=self.stepped, is_stopping=lambda: self.is_stopping, taps=self.taps, serves_offline=serves_offline
        )
        return AdminServer(config, source)

    def flush(self, identity: str) -> None:
        """Let what is stored of a station wait no longer."""
        self._driver.post_now(Flush(identity))

    def _execute(self, effect: Effect) -> None:
        match effect:
            case SendStation():
                self._stations.send(effect.socket, effect.text)
            case SendLink():
                self.links.send(effect.link, effect.data)
                self._account(LinkMessageCounted(effect.link, Way.UP, len(effect.data), effect.frames))
            case LinkHeard():
                self._account(LinkMessageCounted(effect.link, Way.DOWN, effect.message_bytes, effect.frames))
            case Observe():
                self.taps.take(effect)
            case AdmitStation() | RefuseStation():
                self._stations.decide(effect)
            case CheckCredentials() | KeepCredentials() | ForgetCredentials():
                assert self._credentials is not None, "whoever keeps none isn't asked"
                self._credentials.ask(effect)
            case CloseStation():
                self._stations.close_station(effect.socket, effect.code, effect.reason)
            case PauseStation():
                self._stations.pause(effect.socket)
            case ResumeStation():
                self._stations.resume(effect.socket)
            case OpenLink():
                self.links.begin(effect.link)
                self._spawn(self.links.dial(effect.link, self._connector), f"link {effect.link}")
            case CloseLink():
                self.links.close(effect.link, effect.reason)
            case TakeRenewal():
                self._take_renewal(effect)
            case TransferBegan() | TransferEnded():
                if self._keeper is not None:
                    self._keeper.transfer(effect)
            case PlanWanted():
                if self._operator is not None and (self._planning is None or self._planning.done()):
                    self._planning = self._spawn(self._operator.plan_wanted(effect), "plan")
            case StoreMessage() | LoadStored() | ForgetStored() | RememberStation() | DistrustOutbox():
                self._ask_outbox(effect)
            case _:
                raise TypeError(f"the edge cannot do {type(effect).__name__}")

    def _take_renewal(self, effect: TakeRenewal) -> None:
        if self._certificate is not None and (self._renewing is None or self._renewing.done()):
            self._renewing = self._spawn(self._renew(self._certificate, effect.certificate), "renewal")

    async def _renew(self, own: OwnCertificate, der: bytes) -> None:
        try:
            await asyncio.to_thread(own.keep, der)
            kept = own.use()
        except (ValueError, OSError, StoreFailed, ConfigError) as error:
            self._say(Level.WARNING, "a renewed certificate from the cloud won't do", reason=str(error))
        else:
            days = round((kept.ends_unix_s - time.time()) / 86_400)
            self._say(Level.INFO, "the certificate is renewed, from the next connection on", serial=kept.serial_hex, days=days)

    async def _watch_certificate(self, own: OwnCertificate) -> NoReturn:
        """Warn, once a week, of a certificate that ends and hasn't been renewed."""
        told = Told()
        await asyncio.sleep(CERTIFICATE_FIRST_LOOK_S)
        while True:
            now = time.time()
            if own.current is not None and now >= own.current.renew_from_unix_s and told.first(weeks_left(own.current, now)):
                days = round((own.current.ends_unix_s - now) / 86_400)
                self._say(Level.WARNING, "this edge's certificate ends and the cloud has sent none to follow it", days=days)
            await asyncio.sleep(CERTIFICATE_LOOK_S)

    def _account(self, event: LinkMessageCounted) -> None:
        if self._keeper is not None:
            self._keeper.ledger.message(event)

    def _ask_outbox(self, effect: StoreMessage | LoadStored | ForgetStored | RememberStation | DistrustOutbox) -> None:
        if self._outbox is None:
            assert isinstance(effect, RememberStation), "without an outbox nothing is stored"
            return
        match effect:
            case StoreMessage():
                self._outbox.store(effect.ticket, effect.message)
            case LoadStored():
                self._outbox.load(effect.identity, effect.lane, effect.after, effect.text_max)
            case ForgetStored():
                self._outbox.forget(effect.identity, effect.lane, effect.position)
            case RememberStation():
                self._outbox.remember(effect.identity, effect.accepted, effect.heartbeat_interval_s)
            case DistrustOutbox():
                self._outbox.distrust(effect.reason)

    def _certificates(self) -> tuple[CertificateView, ...]:
        own = {
            "the link": None if self._certificate is None else self._certificate.current,
            "the stations' side": self._station_certificate,
        }
        return tuple(CertificateView.of(use, certificate, time.time()) for use, certificate in own.items() if certificate is not None)

    def _reported(self, event: OutboxEvent) -> None:
        self._opening.heard()
        self._driver.post_now(event)

    async def _answer(self, request: Request) -> Answer:
        assert self._operator is not None, "whoever listens can answer"
        return await self._operator.answer(request)

    async def _open(self) -> None:
        if self._keeper is not None:
            await self._keeper.begin()
        if self._outbox is not None:
            await self._opening.wait(self._outbox)
        if self._credentials is not None:
            await self._credentials.begin()
        try:
            await self._stations.start()
        except OSError as error:
            raise GatewayError(f"cannot listen for stations: {error.strerror or error}") from error
        self._say(Level.INFO, "listening for stations", url=f"{self.station_url}/IDENTITY", cloud=self._connector.address)

    async def _stop_listening(self) -> None:
        await self._stations.stop_listening()

    def _is_busy(self) -> bool:
        return len(self._stations) > 0 or len(self.links) > 0

    def _begin(self) -> None:
        if self._outbox is not None:
            self._spawn(self._outbox.ended(), "outbox")
        if self._keeper is not None:
            self._spawn(self._keeper.run(), "ledger")
        if self._credentials is not None:
            self._spawn(self._credentials.run(), "credentials")
        if self._operator is not None:
            self._spawn(self._operator.report_daily(), "daily report")
        if self._certificate is not None:
            self._spawn(self._watch_certificate(self._certificate), "certificate")

    async def _close(self) -> None:
        await self._stations.close()
        if self._outbox is not None:
            await self._outbox.close()
        if self._credentials is not None:
            await self._credentials.finish()
        if self._keeper is not None:
            await self._keeper.finish()


def edge_settings(config: EdgeConfig) -> EdgeSettings:
    """What the machine is to know of a configuration."""
    return EdgeSettings(
        edge="" if config.link.edge is None or config.link.over_mqtt else config.link.edge,  # the topic has it
        codec=config.link.codec,
        linger_s=config.link.linger_ms / 1000,
        station_timeout_s=config.timeouts.station_timeout_s,
        command_timeout_s=COMMAND_TIMEOUT_S,
        upgrade_wait_s=config.timeouts.upgrade_wait_s,
        link_grace_s=config.timeouts.link_grace_s,
        reconnect_min_s=config.timeouts.reconnect_min_s,
        reconnect_max_s=config.timeouts.reconnect_max_s,
        outbox=config.plan is not PlanName.TRANSPARENT,
        overrides=Overrides(frozenset(config.relay), frozenset(config.answer)),
        serves_offline=config.link.when_lost == "serve",
        station_grace_s=config.timeouts.station_grace_s,
        drain_s=config.timeouts.drain_s,
        reachability_s=config.link.reachability_s,
        suppression=config.suppression.settings,
        daily_bytes=config.stations.daily_bytes,
        keeps_credentials=True,
    )


def outbox_limits(config: EdgeConfig) -> OutboxLimits:
    """When the outbox shall refuse what is new."""
    return OutboxLimits(bytes_max=config.outbox.size_bytes, age_s_max=config.outbox.age_s)


def run(config: EdgeConfig) -> int:
    """Run the edge until SIGTERM; returns the exit code. Raises `ConfigError` for TLS files that can't be used, `GatewayError` for a port
    that is taken."""
    station_tls = config.stations.tls
    settings = edge_settings(config)
    sim = config.sim
    plan = Plan(PlanSettings(config.plan, sim.budget_bytes), keepalive_s=config.link.keepalive_s or START_S, now=time.monotonic())
    ledger = Ledger(LedgerSettings(sim.budget_bytes, sim.zone, sim.first_day, sim.rounding_bytes))
    machine = EdgeMachine(settings, random=random.SystemRandom().random, random_bytes=os.urandom, freshness=plan, wall_s=time.time)
    certificate = None if config.link.tls is None else own_certificate(config.link.tls, config.state_folder)
    program = EdgeProgram(
        machine,
        link_connector(config.link, None if certificate is None else certificate.context, config.link.keepalive_s or START_S),
        host=config.stations.host,
        port=config.stations.port,
        ssl_context=None
        if station_tls is None
        else station_server_context(certificate_file=station_tls.certificate_file, key_file=station_tls.key_file),
        outbox=SqliteOutboxStore(config.state_folder, limits=outbox_limits(config)) if settings.outbox else None,
        credentials=credential_store(config.state_folder),
        keeper=LedgerKeeper(
            ledger,
            plan,
            SqliteLedgerStore(config.state_folder),
            interface=sim.interface,
            logger=logging.getLogger("ocppress.ledger"),
            search=KeepaliveSearch(longest_s=config.link.reachability_s / SILENCES, fixed_s=config.link.keepalive_s),
        ),
        certificate=certificate,
        station_certificate=None if station_tls is None else certificate_in(station_tls.certificate_file),
        view=machine.view,
        control=config.state_folder / EDGE_SOCKET,
        admin=config.admin,
        serves_offline=settings.serves_offline,
        shutdown_s=config.timeouts.shutdown_s,
    )
    return run_until_signal(program)


def link_connector(link: EdgeLinkConfig, context: ResumingContext | None, keepalive_s: int) -> Connector:
    """What connects to the cloud, and probes after such a silence; `context` is that of `own_certificate`."""
    if link.over_mqtt:
        from ocppress_gateway.transports.mqtt.connector import MqttConnector  # whoever has no broker needn't load its client

        return MqttConnector(link.url, link.edge or "", context, keepalive_s=keepalive_s, ping_s=link.ping_s)
    return WebSocketConnector(link.url, context, keepalive_s=keepalive_s)


def own_certificate(tls: EdgeLinkTls, state_folder: Path) -> OwnCertificate:
    """The edge's certificate, the renewed one if there is one. Raises `ConfigError` for files that can't be used."""
    own = OwnCertificate(ca_file=tls.ca_file, certificate_file=tls.certificate_file, key_file=tls.key_file, state_folder=state_folder)
    if tls.psk_file is not None:
        assert tls.psk_name is not None, "they go together"
        use_client_key(own.context, tls.psk_name, read_key(tls.psk_file))
    return own
