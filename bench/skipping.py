"""A process whose clocks can be told to skip: what nobody would see happen doesn't take its time.

    real  ──┬─traffic─┬─skip 290 s─┬─traffic──►      time.monotonic(), time.time() and every asyncio loop agree, and only go forward

`install` comes before any import that binds `time.monotonic`, as the gateway's programs do. Timers fire when the skipped clock says so. What the kernel
times is real: acknowledgements, repetitions, keepalive probes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["Clocks", "FarClocks", "install", "real_monotonic"]

real_monotonic: Final = time.monotonic
_real_time: Final = time.time

_NO_TIMER_S: Final = 1e9
_LINE_BYTES_MAX: Final = 4096


class _WatchedSelector(selectors.EpollSelector):
    """Knows since when its loop has had nothing to do."""

    idle_since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.idle_since = None if timeout is not None and timeout <= 0 else real_monotonic()
        try:
            return super().select(timeout)
        finally:
            self.idle_since = None


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.watched = _WatchedSelector()
        super().__init__(self.watched)

    def next_at(self) -> float | None:
        """When its next timer is due."""
        timers: list[asyncio.TimerHandle] = list(self._scheduled)  # type: ignore[attr-defined]
        return min((timer.when() for timer in timers if not timer.cancelled()), default=None)


class Clocks:
    """This process's."""

    def __init__(self, unix_s: float) -> None:
        """`unix_s`: the wall time at this moment."""
        self.skipped_s = 0.0
        self.loops: list[_Loop] = []
        self._skipped_at = 0.0
        self._wall_offset_s = unix_s - real_monotonic()

    def monotonic(self) -> float:
        """Seconds, skipped ones included."""
        return real_monotonic() + self.skipped_s

    def unix(self) -> float:
        """The wall clock."""
        return self.monotonic() + self._wall_offset_s

    def idle_s(self) -> float:
        """For how long, really, no loop has had anything to do; 0 while one has."""
        now = real_monotonic()
        since = [loop.watched.idle_since for loop in self.loops if not loop.is_closed()]
        # A loop that was idle when time was skipped may not have woken yet.
        return min((0.0 if at is None or at <= self._skipped_at else now - at for at in since), default=0.0)

    def next_s(self) -> float:
        """Until the next timer of any loop."""
        times = [at for loop in self.loops if not loop.is_closed() and (at := loop.next_at()) is not None]
        return min(times) - self.monotonic() if times else _NO_TIMER_S

    def skip(self, seconds: float) -> None:
        """So much later it is at once; loops wake and do what is due."""
        self._skipped_at = real_monotonic()
        self.skipped_s += seconds
        for loop in self.loops:
            with contextlib.suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(lambda: None)

    def serve(self, place: Path, words: Mapping[str, Any]) -> None:
        """In a thread: obey whoever connects to this Unix socket, a line of JSON each way. `words`: further commands, functions without arguments."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(place))
        listener.listen(1)
        threading.Thread(target=self._obey, args=(listener, words), name="clocks", daemon=True).start()

    def _obey(self, listener: socket.socket, words: Mapping[str, Any]) -> None:
        connection, _ = listener.accept()
        with connection.makefile("rw") as lines:
            for line in iter(lambda: lines.readline(_LINE_BYTES_MAX), ""):
                word, argument = json.loads(line)
                if word == "skip":
                    self.skip(argument)
                    answer: Any = None
                elif word == "look":
                    answer = [self.idle_s(), self.next_s()]
                else:
                    answer = words[word]()
                lines.write(json.dumps(answer) + "\n")
                lines.flush()


class FarClocks:
    """Those of another process that serves them."""

    def __init__(self, place: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(place))
        self._lines = self._socket.makefile("rw")

    def ask(self, word: str, argument: float | None = None) -> Any:
        """What the other process answers. Raises `EOFError` if it has gone."""
        self._lines.write(json.dumps([word, argument]) + "\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            raise EOFError("the other process has gone")
        return json.loads(line)


def install(unix_s: float) -> Clocks:
    """Put the skipping clocks in the places of the real ones, for all that is imported from now on and every loop made from now on."""
    clocks = Clocks(unix_s)

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            loop = _Loop()
            clocks.loops.append(loop)
            return loop

    time.monotonic = clocks.monotonic
    time.time = clocks.unix
    asyncio.set_event_loop_policy(Policy())
    return clocks


def main(arguments: list[str]) -> int:
    """`python -m bench.skipping UNIX_S MODULE …`: the module's `main(clocks, …)` with these clocks in place."""
    unix_s, module, *rest = arguments
    clocks = install(float(unix_s))
    code: int = importlib.import_module(module).main(clocks, rest)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
