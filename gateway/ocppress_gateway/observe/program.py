"""Who only observes: the stations' server on one side, a CSMS client on the other, a recorder between them."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import Final, NoReturn

from ocppress_gateway.cloud.csms import CsmsClient
from ocppress_gateway.config import CsmsConfig, EdgeConfig
from ocppress_gateway.control.protocol import Answer, Request
from ocppress_gateway.core.events import (
    AdmitStation,
    CloseCsms,
    CloseStation,
    Effect,
    Level,
    Observe,
    OpenCsms,
    RefuseStation,
    SendCsms,
    SendStation,
)
from ocppress_gateway.core.observing import ObservingMachine
from ocppress_gateway.edge.server import StationServer
from ocppress_gateway.errors import GatewayError, StoreFailed
from ocppress_gateway.observe.reckoning import reckoned
from ocppress_gateway.observe.recorder import Recorder
from ocppress_gateway.program import Program, run_until_signal
from ocppress_gateway.transports.tls import csms_client_context, station_server_context
from ocppress_gateway.workloads.traces import Direction

__all__ = ["ObservingProgram", "run"]

FLUSH_S: Final = 5.0
"""How long a record may wait to be written."""

RECKON_FIRST_S: Final = 900.0
"""When to reckon for the first time: less than ten minutes of a station say nothing of its month."""

RECKON_S: Final = 6 * 3600.0
"""How often then: it takes a small board a minute of its processor."""


class ObservingProgram(Program):
    """In this process; see `Program`. `port` is there inside the context."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        csms: CsmsConfig,
        recorder: Recorder,
        shutdown_s: float = 10.0,
        reckon_first_s: float = RECKON_FIRST_S,
    ) -> None:
        """`host`, `port` (0 for any free one) and `ssl_context` are the stations' side."""
        super().__init__(ObservingMachine(), logger=logging.getLogger("ocppress.observe"), shutdown_s=shutdown_s)
        self._recorder = recorder
        self._csms_url = csms.url
        self._reckon_first_s = reckon_first_s
        self._stations = StationServer(self._driver, host=host, port=port, ssl_context=ssl_context)
        self._csms = CsmsClient(
            self._driver,
            self._spawn,
            url=csms.url,
            connect_timeout_s=csms.connect_timeout_s,
            ssl_context=csms_client_context(ca_file=csms.ca_file),
        )

    @property
    def port(self) -> int:
        return self._stations.port

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Observe():
                self._recorder.add(effect.identity, Direction.UP if effect.up else Direction.DOWN, effect.text, time.time())
            case SendCsms():
                self._csms.send(effect.socket, effect.text)
            case SendStation():
                self._stations.send(effect.socket, effect.text)
            case OpenCsms():
                self._csms.open(effect)
            case CloseCsms():
                self._csms.close_csms(effect.socket, effect.code, effect.reason)
            case AdmitStation() | RefuseStation():
                self._stations.decide(effect)
            case CloseStation():
                self._stations.close_station(effect.socket, effect.code, effect.reason)
            case _:
                raise TypeError(f"who only observes cannot do {type(effect).__name__}")

    async def _open(self) -> None:
        self._csms.start()
        try:
            await self._stations.start()
        except OSError as error:
            raise GatewayError(f"cannot listen for stations: {error.strerror or error}") from error
        self._say(Level.INFO, "listening for stations, and only observing", port=self.port, csms=self._csms_url)

    def _begin(self) -> None:
        self._spawn(self._record(), "recorder")
        self._spawn(self._reckon(), "reckoning")

    async def _record(self) -> NoReturn:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        lost = self._recorder.lost
        try:
            await asyncio.to_thread(self._recorder.flush)
        except StoreFailed as error:
            self._say(Level.WARNING, "what has passed can't be recorded", reason=error.reason)
        if self._recorder.lost > lost:
            self._say(Level.WARNING, "there is no room for more of what passes", lost=self._recorder.lost)

    async def _reckon(self) -> NoReturn:
        await asyncio.sleep(self._reckon_first_s)
        while True:
            for file in self._recorder.files:
                found = await reckoned(file)
                if isinstance(found, str):
                    self._say(Level.INFO, "nothing to reckon yet", station=file.stem, reason=found)
                else:
                    self._say(Level.INFO, "a month as observed so far, in MB", station=file.stem, **found)
            await asyncio.sleep(RECKON_S)

    async def _answer(self, request: Request) -> Answer:
        raise AssertionError("nobody listens for operators")

    async def _stop_listening(self) -> None:
        await self._stations.stop_listening()

    def _is_busy(self) -> bool:
        return len(self._stations) > 0 or len(self._csms) > 0

    async def _close(self) -> None:
        await self._stations.close()
        await self._csms.close()
        await self._flush()
        files = " ".join(map(str, self._recorder.files))
        self._say(Level.INFO, "observed", messages=self._recorder.recorded, next=f"ocppress estimate {files}" if files else "")


def run(config: EdgeConfig, csms: CsmsConfig) -> int:
    """Observe until SIGTERM; returns the exit code. Raises `ConfigError` for files that can't be used, `GatewayError` for a port that is taken."""
    tls = config.stations.tls
    program = ObservingProgram(
        host=config.stations.host,
        port=config.stations.port,
        ssl_context=None if tls is None else station_server_context(certificate_file=tls.certificate_file, key_file=tls.key_file),
        csms=csms,
        recorder=Recorder(config.state_folder),
        shutdown_s=config.timeouts.shutdown_s,
    )
    return run_until_signal(program)
