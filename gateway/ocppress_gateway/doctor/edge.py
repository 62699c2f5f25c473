"""The doctor's steps at an edge."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

from ocppress_gateway import __version__
from ocppress_gateway.config import EdgeConfig
from ocppress_gateway.control.place import EDGE_SOCKET
from ocppress_gateway.core.broker_topics import broker_place
from ocppress_gateway.doctor import judging, judging_running, judging_way
from ocppress_gateway.doctor.certificates import certificate_facts, link_certificate_file
from ocppress_gateway.doctor.facts import Peer, Running
from ocppress_gateway.doctor.findings import Finding, failed, passed, skipped, warned
from ocppress_gateway.doctor.operators import operators_place, operators_provider
from ocppress_gateway.doctor.probes import clock_facts, folder_facts, port_facts
from ocppress_gateway.doctor.running import running
from ocppress_gateway.doctor.steps import Step
from ocppress_gateway.doctor.way import STEP_S, Way
from ocppress_gateway.edge.program import link_connector, own_certificate
from ocppress_gateway.ledger.interface import read_interface
from ocppress_gateway.linkcheck.steps import PROBES_OFF_S, LinkCheck, Trouble
from ocppress_gateway.transports.tls import ResumingContext

__all__ = ["EdgeDoctor"]

_STORE_BESIDES_BYTES = 32 * 1024 * 1024
"""What the outbox's log and the other stores take besides its own size."""

_ISSUE = "`ocppress ca renew EDGE` makes the next, which the cloud sends over the link; copy it by hand if no link can come up any more"


class EdgeDoctor:
    """One examination. `budget_is_set`: the file itself says what the month may cost."""

    def __init__(self, file: Path, config: EdgeConfig, *, budget_is_set: bool) -> None:
        self._file = file
        self._config = config
        self._budget_is_set = budget_is_set
        self._running = Running()
        self._way = self._way_to_cloud()
        self._offset_s: float | None = None
        self._timestamps: bool | None = None
        self._network = ""

    def steps(self) -> list[Step]:
        """In their order."""
        link = self._config.link
        hello = Step("broker", self._broker, (self._way.last,)) if link.over_mqtt else Step("hello", self._hello, (self._way.last,))
        return [
            Step("configuration", self._configuration),
            Step("state folder", self._state_folder),
            Step("clock", self._clock),
            Step("link certificate", self._link_certificate),
            *self._way.steps("link certificate"),
            hello,
            Step("clock against the cloud", self._clock_offset, (hello.name,)),
            Step("station listener", self._station_listener),
            Step("station certificate", self._station_certificate),
            Step("operators' listener", self._operators),
            Step("operators' OpenID provider", self._provider),
            Step("running edge", self._runs),
            Step("stations", self._stations),
            Step("packets", self._packets, (hello.name,)),
            Step("SIM interface", self._interface),
            Step("budget", self._budget),
        ]

    # --- this machine

    async def _configuration(self) -> Finding:
        config = self._config
        self._running = await asyncio.to_thread(running, config.state_folder / EDGE_SOCKET, "edge")
        found = f"{self._file}: an edge, plan `{config.plan.value}`, to {config.link.url}"
        if config.link.tls is None:
            remedy = "`ocppress ca` makes certificates and configurations for a link that is encrypted"
            return warned("configuration", f"{found}, not encrypted: for development only", remedy)
        return passed("configuration", found)

    async def _state_folder(self) -> Finding:
        needs_bytes = self._config.outbox.size_bytes + _STORE_BESIDES_BYTES
        return judging.folder(await asyncio.to_thread(folder_facts, self._config.state_folder, EDGE_SOCKET), needs_bytes=needs_bytes)

    async def _clock(self) -> Finding:
        tls = self._config.link.tls
        starts = None if tls is None else certificate_facts(tls.certificate_file, tls.key_file, ca_file=None, is_server=False).starts_unix_s
        return judging.clock(await asyncio.to_thread(clock_facts, self._config.state_folder), certificate_starts_unix_s=starts or None)

    async def _link_certificate(self) -> Finding:
        tls = self._config.link.tls
        if tls is None:
            return skipped("link certificate", "the link isn't encrypted")
        file = link_certificate_file(tls, self._config.state_folder)
        facts = certificate_facts(file, tls.key_file, ca_file=tls.ca_file, is_server=False, is_renewal=file != tls.certificate_file)
        return judging.certificate("link certificate", facts, unix_s=time.time(), renews=_ISSUE)

    # --- the way to the cloud

    def _way_to_cloud(self) -> Way:
        link = self._config.link
        if link.over_mqtt:
            place = broker_place(link.url)
            peer, host, port = Peer.BROKER, place.host, place.port
        else:
            parts = urlsplit(link.url)
            peer, host, port = Peer.CLOUD, parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
        return Way(peer, host, port, setting="`[link] url`", context=None if link.tls is None else self._context)

    def _context(self) -> ResumingContext:
        tls = self._config.link.tls
        assert tls is not None, "only for a link that has it"
        return own_certificate(tls, self._config.state_folder).context

    async def _hello(self) -> Finding:
        """What the cloud would answer to a hello, by the code of `ocppress check-link`: an edge that runs keeps its link."""
        link = self._config.link
        check = LinkCheck(link, link_connector(link, None if link.tls is None else self._context(), PROBES_OFF_S))
        try:
            greeting = await check.greet()
        except Trouble as trouble:
            return failed("hello", str(trouble), trouble.remedy)
        step, self._timestamps, self._network = greeting.step, greeting.has_timestamps, greeting.network
        self._offset_s = step.fields["clock_offset_s"]
        if step.fields["codec"] != str(link.codec):
            return warned("hello", step.words, step.warning, **step.fields)
        return passed("hello", step.words, **step.fields)

    async def _broker(self) -> Finding:
        from ocppress_gateway.doctor.broker import ask_broker  # whoever has no broker needn't load its client

        link = self._config.link
        if self._running.is_running:
            return skipped("broker", "the edge is running, and the broker would take this for it; `running edge` says how its link is")
        context = None if link.tls is None else self._context()
        return judging_way.broker(await ask_broker(link.url, link.edge or "", context, is_edge=True, within_s=STEP_S), is_edge=True)

    async def _clock_offset(self) -> Finding:
        if self._config.link.over_mqtt:
            return skipped("clock against the cloud", "a broker says no time; the cloud's `ocppress status` has each edge's")
        return judging.offset("clock against the cloud", self._offset_s, "the cloud")

    # --- the stations' side

    async def _station_listener(self) -> Finding:
        where = self._config.stations
        found = await asyncio.to_thread(
            port_facts, where.host, where.port, running_pid=self._running.pid, is_running=self._running.is_running
        )
        return judging.port("station listener", found, setting="[stations]")

    async def _station_certificate(self) -> Finding:
        tls = self._config.stations.tls
        if tls is None:
            return skipped(
                "station certificate", "stations have no TLS here (`[stations.tls]`): their passwords can be read on their network"
            )
        facts = certificate_facts(tls.certificate_file, tls.key_file, ca_file=None, is_server=True)
        renews = "issue another for stations (`ocppress ca issue --station-host`), of an authority that they trust"
        return judging.certificate("station certificate", facts, unix_s=time.time(), renews=renews)

    # --- the running edge, and what it costs

    async def _operators(self) -> Finding:
        return await operators_place(self._config.admin, self._running)

    async def _provider(self) -> Finding:
        return await operators_provider(self._config.admin)

    async def _runs(self) -> Finding:
        return judging_running.edge_runs(self._running, version=__version__)

    async def _stations(self) -> Finding:
        return judging_running.stations(self._running)

    async def _packets(self) -> Finding:
        return judging.timestamps("packets", on=self._timestamps, at_cloud=False)

    async def _interface(self) -> Finding:
        name = self._config.sim.interface
        readable = name is not None and read_interface(name) is not None
        return judging.interface(name, readable=readable, used=self._network)

    async def _budget(self) -> Finding:
        return judging_running.budget(self._config.sim.budget_mb, is_set=self._budget_is_set, running=self._running)
