"""What systemd is told (sd_notify(3)): that the program is ready, that it stops, and, for its watchdog, that it is alive.

    NOTIFY_SOCKET=/run/systemd/notify  or  @abstract      a datagram each: READY=1, STOPPING=1, WATCHDOG=1
    WATCHDOG_USEC=60000000  WATCHDOG_PID=17               say it more often than each 60 s, if you are process 17

Without these variables nobody is told anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

__all__ = ["ServiceManager"]

_BEATS: Final = 3
"""How often within the watchdog's time: one that is late or lost does no harm."""

_logger = logging.getLogger("ocppress")


class ServiceManager:
    """The manager that has started this process, or nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` as systemd has made it; what makes no sense in it counts as nothing."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        self._told_of_failure = False
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "")
        is_span = watched and usec.isascii() and usec.isdigit() and int(usec) > 0
        self.watchdog_s: float | None = int(usec) / 1e6 if self._address and is_span else None
        """After so long without a sign of life the process is killed; None: nobody watches."""

    def ready(self) -> None:
        """It serves now: what waits for it may start."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """It has been told to stop, and does."""
        self._tell("STOPPING=1")

    async def beat(self, alive: Callable[[], Awaitable[None]]) -> None:
        """If somebody watches, say that it is alive, each time after `alive` has returned, until this is cancelled."""
        while self.watchdog_s is not None:
            await alive()
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / _BEATS)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto(state.encode(), self._address)
        except OSError as error:
            if not self._told_of_failure:
                self._told_of_failure = True
                fields = {"state": state, "reason": error.strerror or str(error)}
                _logger.warning("the service manager can't be told", extra={"fields": fields})
