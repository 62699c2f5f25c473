"""One run of the demo, from the cast to the last figures."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.live import Live

from ocppress_gateway.config import LogConfig
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.demo.cast import Role, cast
from ocppress_gateway.demo.dialogue import Closing, play
from ocppress_gateway.demo.figures import Figures, figures
from ocppress_gateway.demo.table import table
from ocppress_gateway.demo.tally import Account, Tally
from ocppress_gateway.demo.world import World, open_world
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.log import set_up

__all__ = ["Options", "run"]

UNBOUNDED_S: Final = 25.0
"""About how long everything is to take where no end is set."""

WIND_UP_S: Final = 3.0
"""Before an end that is set: half for what waits at the edges and for answers, half to close; a third of the run if that is less."""

PATIENCE_S: Final = 30.0
"""How long one message may take on a machine with much else to do; it is normally some milliseconds."""

REFRESH_S: Final = 0.25
"""Between two tables."""

REFRESH_SHARE: Final = 0.05
"""Part of the time that the tables may take: they count everything anew."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user wants; `duration_s` None: until everything has been played once."""

    duration_s: float | None
    trace: Path | None
    plan: PlanName


def run(options: Options, console: Console) -> Figures:
    """Run the demo, with the table on `console`; Ctrl-C ends it early. Raises `UsageError` for a trace that can't be used, `GatewayError`."""
    return asyncio.run(_Run(options, console).run())


class _Run:
    def __init__(self, options: Options, console: Console) -> None:
        self._begun_at = time.monotonic()
        self._options = options
        self._console = console
        self._wind_up_s = min(WIND_UP_S, (options.duration_s or UNBOUNDED_S) / 3)
        sending_s = (options.duration_s or UNBOUNDED_S) - self._wind_up_s
        self._roles = cast(options.trace, sending_s=sending_s, endless=options.duration_s is not None)
        self._tally = Tally({role.identity: Account(role.name, role.version) for role in self._roles})

    async def run(self) -> Figures:
        closing = self._closing()
        live = Live(console=self._console, auto_refresh=False, transient=True)
        with live, TemporaryDirectory(prefix="ocppress-demo-") as folder:
            set_up(LogConfig(level="warning"))  # now that standard error is the table's, so that lines stand above it
            async with open_world(Path(folder), self._tally, self._roles, self._options.plan) as world:
                async with asyncio.TaskGroup() as group:
                    showing = group.create_task(self._show(live, world), name="demo table")
                    players = [group.create_task(self._play(role, world, closing), name=f"demo {role.name}") for role in self._roles]
                    await asyncio.wait(players)
                    showing.cancel()
                set_up(LogConfig(level="error"))  # that the link goes now is no news
            final = self._figures(world, closed=True)
        self._console.print(table(final, wanted_s=self._options.duration_s))
        return final

    def _closing(self) -> Closing:
        """The end: at its time, or at the first Ctrl-C; the second one is as usual."""
        loop = asyncio.get_running_loop()
        closing = Closing(PATIENCE_S)
        if self._options.duration_s is not None:
            end_at = self._begun_at + self._options.duration_s  # the loop's clock is the monotonic one
            closing.give_up_at = end_at - self._wind_up_s / 2
            loop.call_at(end_at - self._wind_up_s, closing.stop.set)

        def interrupt(number: signal.Signals) -> None:
            closing.stop.set()
            loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt, number)
        return closing

    async def _play(self, role: Role, world: World, closing: Closing) -> None:
        account = self._tally.accounts[role.identity]
        try:
            async with world.ends(role) as (station, csms):
                await play(
                    role.script,
                    role.speed,
                    station=station,
                    csms=csms,
                    account=account,
                    closing=closing,
                    delay_s=lambda: world.delay_s(role),
                    flush=lambda: world.flush(role),
                )
        except GatewayError as error:
            account.trouble = str(error)

    async def _show(self, live: Live, world: World) -> None:
        while live.console.is_terminal:
            begun_at = time.monotonic()
            live.update(table(self._figures(world, closed=False), wanted_s=self._options.duration_s), refresh=True)
            await asyncio.sleep(max(REFRESH_S, (time.monotonic() - begun_at) / REFRESH_SHARE))

    def _figures(self, world: World, *, closed: bool) -> Figures:
        return figures(
            self._tally,
            world.wire_counts(),
            plan=self._options.plan,
            elapsed_s=time.monotonic() - self._begun_at,
            closed=closed,
        )
