"""The doctor's steps at a cloud."""

from __future__ import annotations

import asyncio
import ssl
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ocppress_gateway import __version__
from ocppress_gateway.config import CloudConfig, CloudLinkTls
from ocppress_gateway.control.place import CLOUD_SOCKET
from ocppress_gateway.core.broker_topics import broker_place
from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.doctor import judging, judging_running, judging_way
from ocppress_gateway.doctor.certificates import certificate_facts
from ocppress_gateway.doctor.csms import ask_csms
from ocppress_gateway.doctor.facts import Peer, Running
from ocppress_gateway.doctor.findings import Finding, failed, passed, skipped, warned
from ocppress_gateway.doctor.operators import operators_place, operators_provider
from ocppress_gateway.doctor.probes import clock_facts, files_max, folder_facts, port_facts, tcp_timestamps
from ocppress_gateway.doctor.running import running
from ocppress_gateway.doctor.steps import Step
from ocppress_gateway.doctor.store import ask_store
from ocppress_gateway.doctor.way import STEP_S, Way
from ocppress_gateway.masking import masked_token
from ocppress_gateway.positions.server import ServerPlace
from ocppress_gateway.status.words import count
from ocppress_gateway.transports.revoked import RevokedKeys
from ocppress_gateway.transports.tls import ResumingContext, certificate_in, csms_client_context, link_client_context

__all__ = ["CloudDoctor"]

_STORES_BYTES = 64 * 1024 * 1024
"""Positions take a row each, contexts 4 KB a station over a restart, dead letters what people leave there."""

_RENEW = "`ocppress ca renew --cloud` makes the next: copy it here and restart the cloud"


class CloudDoctor:
    """One examination. `station`: an identity whose upgrade is tried at the CSMS, None for none."""

    def __init__(self, file: Path, config: CloudConfig, *, station: str | None) -> None:
        self._file = file
        self._config = config
        self._station = station
        self._running = Running()
        self._offset_s: float | None = None
        self._csms = self._way_to_csms()

    def steps(self) -> list[Step]:
        """In their order."""
        return [
            Step("configuration", self._configuration),
            Step("state folder", self._state_folder),
            Step("clock", self._clock),
            Step("open files", self._open_files),
            Step("link certificate", self._link_certificate),
            Step("revoked edges", self._revoked),
            Step("renewals", self._renewals),
            *self._edges_side(),
            Step("fleet's store", self._store),
            Step("CSMS certificate", self._csms_certificate),
            *self._csms.steps("CSMS certificate"),
            Step("upgrade", self._upgrade, (self._csms.last,)),
            Step("clock against the CSMS", self._clock_offset, ("upgrade",)),
            Step("operators' listener", self._operators),
            Step("operators' OpenID provider", self._provider),
            Step("running cloud", self._runs),
            Step("packets", self._packets),
        ]

    def _edges_side(self) -> list[Step]:
        if self._config.link.broker is None:
            return [Step("edge listener", self._edge_listener)]
        place = broker_place(self._config.link.broker)
        tls = self._config.link.tls
        context = None if tls is None else partial(_broker_context, tls)
        way = Way(Peer.BROKER, place.host, place.port, setting="`[link] broker`", context=context, prefix="broker ")
        return [*way.steps("link certificate"), Step("broker", self._broker, (way.last,))]

    # --- this machine

    async def _configuration(self) -> Finding:
        config = self._config
        self._running = await asyncio.to_thread(running, config.state_folder / CLOUD_SOCKET, "cloud")
        found = f"{self._file}: a cloud for {count(len(config.edges), 'edge')}, to {masked_token(config.csms.url)}"
        if config.link.tls is None:
            remedy = "`ocppress ca` makes certificates and configurations for a link that is encrypted"
            return warned(
                "configuration", f"{found}; the link isn't encrypted and anyone may claim to be an edge: for development only", remedy
            )
        if not config.edges:
            return warned("configuration", found, "enter the edges that may connect: `ocppress ca issue` prints each one's entry")
        return passed("configuration", found)

    async def _state_folder(self) -> Finding:
        return judging.folder(await asyncio.to_thread(folder_facts, self._config.state_folder, CLOUD_SOCKET), needs_bytes=_STORES_BYTES)

    async def _clock(self) -> Finding:
        tls = self._config.link.tls
        starts = None if tls is None else certificate_facts(tls.certificate_file, tls.key_file, ca_file=None, is_server=True).starts_unix_s
        return judging.clock(await asyncio.to_thread(clock_facts, self._config.state_folder), certificate_starts_unix_s=starts or None)

    async def _open_files(self) -> Finding:
        edges = self._config.edges
        of_running = self._running.files_max is not None
        return judging.files(
            self._running.files_max if of_running else files_max(None),
            edges=len(edges),
            stations=sum(len(edge.stations) for edge in edges),
            any_station=any("*" in edge.stations for edge in edges),
            of_running=of_running,
        )

    async def _link_certificate(self) -> Finding:
        tls = self._config.link.tls
        if tls is None:
            return skipped("link certificate", "the link isn't encrypted")
        is_server = self._config.link.broker is None
        facts = certificate_facts(tls.certificate_file, tls.key_file, ca_file=tls.ca_file, is_server=is_server)
        return judging.certificate("link certificate", facts, unix_s=time.time(), renews=_RENEW)

    async def _revoked(self) -> Finding:
        tls = self._config.link.tls
        if tls is None or tls.revoked_file is None:
            return skipped(
                "revoked edges", "no `revoked_file` is set" if self._config.link.broker is None else "the broker decides who connects"
            )
        revoked = RevokedKeys(tls.revoked_file)  # raises what is wrong with it, as the cloud's start would
        return passed("revoked edges", f"{tls.revoked_file} locks out {count(len(revoked), 'key')}", keys=len(revoked))

    async def _renewals(self) -> Finding:
        """The folder, and certificates in it that no edge will take."""
        folder = None if self._config.link.tls is None else self._config.link.tls.renewals_folder
        if folder is None:
            return skipped("renewals", "no `renewals_folder` is set")
        names = {edge.name for edge in self._config.edges}
        files = sorted(await asyncio.to_thread(lambda: list(folder.glob("*.pem"))))
        strange = [
            file.name for file in files if file.stem not in names or (found := certificate_in(file)) is None or found.name != file.stem
        ]
        if not folder.is_dir():
            remedy = "make it, or take `renewals_folder` out: edges whose certificates end are sent none now"
            return failed("renewals", f"{folder} isn't there", remedy)
        if strange:
            remedy = "each has the name of an edge in `[[edges]]`, and is that edge's certificate: `ocppress ca renew EDGE` makes them so"
            return warned("renewals", f"{folder}: {', '.join(strange[:8])} can be sent to nobody", remedy)
        return passed("renewals", f"{folder} has {count(len(files), 'certificate')}")

    # --- the edges' side

    async def _edge_listener(self) -> Finding:
        link = self._config.link
        found = await asyncio.to_thread(
            port_facts, link.host, link.port, running_pid=self._running.pid, is_running=self._running.is_running
        )
        return judging.port("edge listener", found, setting="[link]")

    async def _broker(self) -> Finding:
        from ocppress_gateway.doctor.broker import ask_broker  # whoever has no broker needn't load its client

        link = self._config.link
        if self._running.is_running:
            return skipped(
                "broker", "the cloud is running, and the broker would take this for it; `running cloud` says which edges are linked"
            )
        context = None if link.tls is None else _broker_context(link.tls)
        return judging_way.broker(await ask_broker(link.broker or "", CLOUD_NAME, context, is_edge=False, within_s=STEP_S), is_edge=False)

    async def _store(self) -> Finding:
        fleet = self._config.fleet
        if fleet is None:
            return skipped("fleet's store", "this cloud is no part of a fleet")
        place = ServerPlace(url=fleet.store, user=fleet.user, password_file=fleet.password_file, ca_file=fleet.ca_file)
        return judging_way.store(await asyncio.to_thread(ask_store, place))

    # --- the CSMS's side

    def _way_to_csms(self) -> Way:
        csms = self._config.csms
        parts = urlsplit(csms.url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        context = self._csms_context if parts.scheme == "wss" else None
        return Way(Peer.CSMS, parts.hostname or "", port, setting="`[csms] url`", context=context, prefix="CSMS ")

    def _csms_context(self) -> ssl.SSLContext:
        csms = self._config.csms
        return csms_client_context(ca_file=csms.ca_file, certificate_file=csms.certificate_file, key_file=csms.key_file)

    async def _csms_certificate(self) -> Finding:
        csms = self._config.csms
        if csms.certificate_file is None or csms.key_file is None:
            return skipped("CSMS certificate", "the cloud shows the CSMS none (`[csms] certificate_file`)")
        facts = certificate_facts(csms.certificate_file, csms.key_file, ca_file=None, is_server=False)
        return judging.certificate(
            "CSMS certificate", facts, unix_s=time.time(), renews="have whoever issued it for the CSMS issue the next"
        )

    async def _upgrade(self) -> Finding:
        csms = self._config.csms
        if self._station is None:
            return skipped(
                "upgrade", "no `--station` says with which identity; take one that no station uses, for the CSMS would take this for it"
            )
        known = (self._running.data or {}).get("stations") or []
        if any(one.get("identity") == self._station for one in known):
            return skipped(
                "upgrade", f"the running cloud serves {self._station}, which this would disturb; `running cloud` says how it stands"
            )
        context = self._csms_context() if csms.url.startswith("wss") else None
        answer = await ask_csms(csms.url, self._station, context, within_s=csms.connect_timeout_s)
        self._offset_s = answer.clock_offset_s
        return judging_way.upgraded(answer)

    async def _clock_offset(self) -> Finding:
        return judging.offset("clock against the CSMS", self._offset_s, "the CSMS")

    # --- the running cloud

    async def _operators(self) -> Finding:
        return await operators_place(self._config.admin, self._running)

    async def _provider(self) -> Finding:
        return await operators_provider(self._config.admin)

    async def _runs(self) -> Finding:
        return judging_running.cloud_runs(self._running, version=__version__)

    async def _packets(self) -> Finding:
        return judging.timestamps("packets", on=tcp_timestamps(), at_cloud=True)


def _broker_context(tls: CloudLinkTls) -> ResumingContext:
    return link_client_context(ca_file=tls.ca_file, certificate_file=tls.certificate_file, key_file=tls.key_file)
