"""One connection of the link, as both ends see it: its state, its clock, and who sends next.

    CONNECTING ──opened──► GREETING ──greeted──► OPEN
         │                     │                  │
         └───────lost──────────┴───────lost───────┴──► LOST

The edge opens connections and says hello; the cloud's sessions begin as opened. While OPEN, whatever waits goes out in one link message:
control
parts first, then one frame or piece per station in turn, until `LINK_MESSAGE_BYTES_MAX`; acknowledgements ride along. The next message
waits until the
kernel has taken this one, so that an express message is never behind more than that.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from typing import Final

from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.clock import CLOCK_AGE_MAX_S, LinkClock
from ocppress_gateway.core.conversation import Conversation
from ocppress_gateway.core.ledger_events import FrameShare
from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX, PIECE_BYTES
from ocppress_gateway.core.parts import Control, Goodbye, Part, RenewedClock, TakeClock, write_parts

__all__ = ["TRANSITIONS", "LinkSession", "SessionEvent", "SessionState"]

CONTROLS_WAITING_MAX: Final = 256
"""Control parts that wait for the link: four for each station. Beyond that a peer asks and doesn't read the answers, or stations come and go
faster than the link can tell."""

PART_HEADER_BYTES_MAX: Final = 8
"""First byte, slot, expiry and a length of four bytes."""

UNHEARD_BYTES: Final = 2 * 1024
"""Frames after which a link message ends while the peer hasn't said anything since the greeting. A link message counts only once it has arrived whole,
and on a link that keeps breaking a backlog in one piece would begin anew each time."""

RIDING_BYTES_MAX: Final = 42
"""What rides along for a station: an acknowledgement of 4 bytes, the delivered positions in at most 24, the CSMS's time in at most 14."""
CLOCK_PARTS_BYTES: Final = 6


class SessionState(enum.StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    OPEN = "open"
    LOST = "lost"


class SessionEvent(enum.StrEnum):
    """What moves a connection on."""

    OPENED = "opened"
    GREETED = "greeted"
    LOST = "lost"


TRANSITIONS: Final[dict[SessionState, dict[SessionEvent, SessionState]]] = {
    SessionState.CONNECTING: {SessionEvent.OPENED: SessionState.GREETING, SessionEvent.LOST: SessionState.LOST},
    SessionState.GREETING: {SessionEvent.GREETED: SessionState.OPEN, SessionEvent.LOST: SessionState.LOST},
    SessionState.OPEN: {SessionEvent.LOST: SessionState.LOST},
    SessionState.LOST: {},
}


class LinkSession:
    """One connection. The machine tells it what happened; it says what to send and when."""

    def __init__(self, link: int, linger_s: float, *, takes_clock: bool) -> None:
        self.link = link
        self._takes_clock = takes_clock
        self._clock_asked_at: float | None = None
        self._next_zero: float | None = None
        self._zero_told_at: float | None = None
        self.state = SessionState.CONNECTING
        self.clock: LinkClock | None = None
        self.closing = False
        """This end has asked for the connection's end: nothing is sent or listened to any more."""
        self.goodbye_said = False
        """Either end has said goodbye: the connection's end is no loss."""
        self._linger_s = linger_s
        self._heard = False
        self._controls: deque[Control] = deque()
        self._writing = False
        self._send_at: float | None = None
        self._turn = 0
        self.rider: Control | None = None
        """Goes with the next link message that has a frame; one at a time, for they are rare."""
        self.shares: list[FrameShare] = []
        """Whose frames the last link message has."""

    def moved(self, event: SessionEvent) -> None:
        """Take a transition; an illegal one is a mistake of the machine."""
        self.state = TRANSITIONS[self.state][event]

    @property
    def is_open(self) -> bool:
        """Whether stations' traffic flows."""
        return self.state is SessionState.OPEN

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: the connection may be closed. One that was never greeted has nothing to lose."""
        return not self.is_open or not (self._writing or self._controls)

    @property
    def is_writing(self) -> bool:
        """Whether a link message isn't with the kernel yet."""
        return self._writing

    @property
    def crowded(self) -> bool:
        """Whether too many control parts wait: nothing that makes more of them should be taken on."""
        return len(self._controls) >= CONTROLS_WAITING_MAX

    def drained(self, conversations: Iterable[Conversation]) -> bool:
        """Whether all that could be sent is with the kernel."""
        return not self.is_open or not (
            self._writing or self._controls or any(_due_at(conversation) is not None for conversation in conversations)
        )

    def hurry(self, now: float) -> None:
        """Send what waits without waiting for company."""
        self._send_at = now

    def heard(self) -> None:
        """The peer has said something; since the greeting it means that what is sent arrives."""
        self._heard = self.is_open

    def control(self, part: Control, now: float) -> None:
        """Queue a control part; it goes before any frame, and without waiting for company."""
        self._controls.append(part)
        self._send_at = now
        self.goodbye_said |= isinstance(part, Goodbye)

    def kernel_has_it(self) -> None:
        """The last link message is with the kernel."""
        self._writing = False

    def greeting(self, part: Control) -> bytes:
        """The hello, welcome or refusal, sent outside the queue: nothing else may go before it."""
        self._writing = True
        self.goodbye_said |= isinstance(part, Goodbye)
        return write_parts([part])

    def next_deadline(self) -> float | None:
        """When `next_message` will have something."""
        return None if self._writing or self.closing or not self.is_open else self._send_at

    def wake(self, conversations: Iterable[Conversation], now: float) -> None:
        """Something may wait to be sent: set the time, `linger_s` from when the first is due, so that neighbours share a packet."""
        if not self.is_open or (self._send_at is not None and self._send_at <= now + self._linger_s):
            return
        due: float | None = None
        for conversation in conversations:
            due = earlier(due, _due_at(conversation))
        self._send_at = None if due is None else max(due, now) + self._linger_s

    def next_message(self, conversations: list[Conversation], now: float) -> bytes:
        """The next link message, b"" if it isn't time. What is over time must have been taken out."""
        if self._writing or self.closing or not self.is_open or self._send_at is None or now < self._send_at:
            return b""
        parts: list[Part] = []
        size = 0
        room = LINK_MESSAGE_BYTES_MAX - RIDING_BYTES_MAX * len(conversations) - CLOCK_PARTS_BYTES
        room -= 0 if self.rider is None else len(write_parts([self.rider]))
        while self._controls:
            control_bytes = len(write_parts([self._controls[0]]))
            if size + control_bytes > room:
                break
            parts.append(self._controls.popleft())
            size += control_bytes
        self.shares = []
        frames = [] if self._controls else self._frames(conversations, now, size, room)
        for conversation in conversations:
            parts += conversation.riding(bool(parts or frames), now)
        if frames and self.rider is not None:
            parts.append(self.rider)
            self.rider = None
        parts += frames
        if parts:
            # After the frames, whose deadlines are stamped with the old zero.
            parts += self._clock_parts(now)
        # Whatever made this message due, all that waits goes with it and after it.
        more = bool(self._controls) or any(_due_at(conversation) is not None for conversation in conversations)
        self._send_at = now if more and parts else None
        if not parts:
            return b""
        self._writing = True
        message = write_parts(parts)
        assert len(message) <= LINK_MESSAGE_BYTES_MAX, "the parts were counted wrongly"
        return message

    # --- the clock's renewal (see `clock`); the new zero is the moment of hearing, stamps count from it once the peer has been told

    def clock_taken(self, now: float) -> None:
        """The edge wants the cloud's zero taken anew."""
        self._next_zero = now

    def clock_renewed(self, now: float) -> None:
        """The peer's stamps count from its new zero from here on. Raises `ValueError` if it wasn't asked to."""
        floor = self._clock_asked_at if self._takes_clock else self._zero_told_at
        if floor is None or self.clock is None:
            raise ValueError("a clock was renewed that nobody asked to")
        self.clock.peer_floor = floor
        self._clock_asked_at = self._zero_told_at = None
        if self._takes_clock:
            self._next_zero = now

    def _clock_parts(self, now: float) -> list[Part]:
        assert self.clock is not None, "an open session has a clock"
        parts: list[Part] = []
        if self._next_zero is not None:
            parts.append(RenewedClock())
            self.clock.zero = self._next_zero
            self._zero_told_at = now
            self._next_zero = None
        if self._takes_clock and self._clock_asked_at is None and now - self.clock.peer_floor > CLOCK_AGE_MAX_S:
            parts.append(TakeClock())
            self._clock_asked_at = now
        return parts

    def _frames(self, conversations: list[Conversation], now: float, size: int, room: int) -> list[Part]:
        assert self.clock is not None, "an open session has a clock"
        frames: list[Part] = []
        waiting = deque(conversations[self._turn :] + conversations[: self._turn])
        self._turn = (self._turn + 1) % max(len(conversations), 1)
        while waiting and size + PIECE_BYTES + PART_HEADER_BYTES_MAX <= room and (self._heard or size < UNHEARD_BYTES):
            conversation = waiting.popleft()
            channel = conversation.channel
            if channel is None or not conversation.may_send:
                continue
            if not channel.has_unsent and channel.window_open:
                batch = conversation.lanes.take_batch()
                if batch:
                    channel.encode(batch)
            if channel.has_unsent:
                actions = channel.part_actions
                part = channel.next_part(conversation.slot, self.clock, now)
                self.shares.append(FrameShare(conversation.identity, len(part.data), actions))
                frames.append(part)
                size += len(part.data) + PART_HEADER_BYTES_MAX
                waiting.append(conversation)
        return frames


def _due_at(conversation: Conversation) -> float | None:
    """When something of a station should leave, None if there is nothing that can."""
    channel = conversation.channel
    if channel is None or not conversation.may_send:
        return None
    if channel.has_unsent or conversation.owes_news:
        return 0.0
    return conversation.lanes.due_at() if channel.window_open else None
