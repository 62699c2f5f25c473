"""What passes of a station while somebody looks: bounded in number, size, pace and time, and masked before any of it is kept.

    look ──► Watch(on) ──► the machine ──► Observe, for each text ──► Tap: masked, cut ──► the newest rows
                                                                       └─ nobody looks any more, or it was long enough: Watch(off), all is forgotten

While nobody looks there is nothing here, and a message costs the machine the look at one attribute.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.jsontext import JsonError
from ocppress_codecs.rpc import Message, MessageType, parse, payload_text
from ocppress_gateway.core.events import Event, Handling, Observe, Watch
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.masking import MASK, elided, masked, printable

__all__ = [
    "LOOK_S",
    "PACE_MAX",
    "ROWS_MAX",
    "STRING_SHOWN_MAX",
    "TAPS_MAX",
    "TEXT_READ_MAX",
    "TEXT_SHOWN_MAX",
    "WATCH_S",
    "Row",
    "Tap",
    "Taps",
]

TAPS_MAX: Final = 8
"""Stations that are looked at together: more than the people who look for what is wrong."""

ROWS_MAX: Final = 50
"""Messages that are kept of each, the newest: a page of them."""

TEXT_SHOWN_MAX: Final = 1000
"""Characters that are kept of a text: most messages whole. With this, all taps together keep less than a megabyte."""

STRING_SHOWN_MAX: Final = 100
"""Characters of one string in it: of a certificate no more than its beginning and its end, of everything else in the field the whole."""

TEXT_READ_MAX: Final = 16 * 1024
"""Characters of a text that is masked at all, which takes a processor some milliseconds; of a longer one only its head is read."""

NAME_SHOWN_MAX: Final = 50
"""Characters of an action or a message id: OCPP's longest have fewer."""

PACE_MAX: Final = 50
"""Messages of one station in a second that are read; the others are only counted, so that who looks on doesn't slow down everybody else."""

LOOK_S: Final = 30.0
"""How long after the last look nobody looks any more: pages ask each few seconds."""

WATCH_S: Final = 900.0
"""How long it lasts at most; then somebody has to ask for it again. A page that is left open must not watch for ever."""


@dataclass(slots=True)
class Row:
    """A message that has passed."""

    number: int
    """From 1 on, as they passed."""
    unix_s: float
    up: bool
    """From the station."""
    kind: MessageType | None
    """None for what isn't OCPP-J: of that nothing more is shown, since nobody can tell what is in it."""
    action: str
    """Of an answer its CALL's, "" if that isn't known."""
    message_id: str
    """"" of an answer whose CALL isn't known."""
    text_bytes: int
    handling: Handling | None
    """None where it isn't known yet, or never."""
    text: str | None
    """The payload without secrets; None if it's too long to be masked, or not OCPP-J."""
    may_hold_secret: bool = True


class Tap:
    """Of one station."""

    def __init__(self, identity: str, now: float, unix_s: float) -> None:
        self.identity = identity
        self.began_unix_s = unix_s
        self.ends_unix_s = unix_s + WATCH_S
        self.left_out = 0
        """Messages that came too fast."""
        self.ends_at = now + WATCH_S
        self.looked_at = now
        self._rows: deque[Row] = deque()
        self._calls: dict[tuple[bool, str], Row] = {}
        """CALLs among the rows, by direction and id."""
        self._count = 0
        self._second = 0
        self._in_second = 0

    def rows(self, after: int = 0) -> Sequence[Row]:
        """Those that came after number `after`, the oldest first."""
        return [row for row in self._rows if row.number > after]

    def take(self, passed: Observe, unix_s: float) -> None:
        """A text of this station has passed."""
        if int(unix_s) != self._second:
            self._second, self._in_second = int(unix_s), 0
        self._in_second += 1
        if self._in_second > PACE_MAX:
            self.left_out += 1
            return
        self._count += 1
        row = Row(self._count, unix_s, passed.up, None, "", "", len(passed.text.encode(errors="replace")), passed.handling, None)
        try:
            message_id, message = parse(passed.text)
        except NotOcppJ:
            pass
        else:
            self._read(row, message_id, message, is_short=len(passed.text) <= TEXT_READ_MAX)
        self._rows.append(row)
        if len(self._rows) > ROWS_MAX:
            self._forget(self._rows.popleft())

    def _read(self, row: Row, message_id: str, message: Message, *, is_short: bool) -> None:
        row.kind = message.type
        row.action = elided(printable(message.action), NAME_SHOWN_MAX)
        asked: Row | None = None
        if message.type is MessageType.CALL:
            self._calls[row.up, message_id] = row
        elif message.type is not MessageType.SEND:
            # A CALLRESULTERROR complains of a result, so its CALL is of its own direction.
            asked = self._calls.get((row.up if message.type is MessageType.CALLRESULTERROR else not row.up, message_id))
        if asked is not None or message.type in (MessageType.CALL, MessageType.SEND):  # of others it may be of what wasn't OCPP-J
            row.message_id = elided(printable(message_id), NAME_SHOWN_MAX)
        if asked is not None:
            row.action = asked.action
            row.handling = row.handling or asked.handling
            asked.handling = asked.handling or row.handling
        if not is_short:
            return
        body = payload_text(message)
        if message.type in (MessageType.CALLERROR, MessageType.CALLRESULTERROR) and (asked is None or asked.may_hold_secret):
            body = body.partition(",")[0] + f',"{MASK}"'  # words of the peer's, which may repeat what was asked
        try:
            row.may_hold_secret = masked(body) != body
            row.text = elided(printable(masked(body, STRING_SHOWN_MAX)), TEXT_SHOWN_MAX)
        except JsonError:
            row.text = MASK

    def _forget(self, row: Row) -> None:
        for key, call in list(self._calls.items()):
            if call is row:
                del self._calls[key]


class Taps:
    """Those of a program that somebody has open. After `look` you must pass `take` each `Observe`."""

    def __init__(
        self, post: Callable[[Event], None], *, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """`post` gives the machine an event."""
        self._post = post
        self._clock = clock
        self._wall = wall
        self._taps: dict[str, Tap] = {}

    def look(self, identity: str) -> Tap | None:
        """The one that is open; keeps it so."""
        tap = self._taps.get(identity)
        if tap is not None:
            tap.looked_at = self._clock()
        return tap

    def open(self, identity: str) -> Tap:
        """The one that is open, or a new one. Only in an event loop. Raises `RequestRefused` if there are too many."""
        tap = self.look(identity)
        if tap is None:
            if len(self._taps) >= TAPS_MAX:
                raise RequestRefused(f"the messages of {TAPS_MAX} stations are looked at already: again in half a minute")
            tap = self._taps[identity] = Tap(identity, self._clock(), self._wall())
            self._post(Watch(identity, on=True))
            self._wait(tap)
        return tap

    def take(self, passed: Observe) -> None:
        """A text has passed."""
        tap = self._taps.get(passed.identity)
        if tap is not None:
            tap.take(passed, self._wall())

    def _wait(self, tap: Tap) -> None:
        wait_s = min(tap.looked_at + LOOK_S, tap.ends_at) - self._clock()
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._wait, tap)
        else:
            del self._taps[tap.identity]
            self._post(Watch(tap.identity, on=False))
