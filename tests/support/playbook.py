"""A machine's play: what goes in, what has to come out, and time in between.

    play([
        ("in", StationText(7, '[2,"1","Heartbeat",{}]')),      an event
        ("out", [Link(1, Carried(0, '2:"Heartbeat",{}'))]),    all effects since the last "out", notes left out
        ("far", Carried(0, '3:{}', call=0)),                   what the far end of the link says
        ("tick", 30.0),                                        time passes; the machine's deadlines ring on the way
    ])

The far end is a row of real channels without a machine, so that frames can be read and written here as `Carried`. Every `SendLink` is
with the kernel at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ocppress_codecs.calls import CallLog
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.events import Effect, LinkHeard, LinkMessage, LinkSent, Note, SaveContext, SendLink, Tick
from ocppress_gateway.core.lanes import Outgoing
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.core.parts import FramePart, Part, Piece, read_parts, write_parts
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext

__all__ = ["Carried", "Link", "Play"]

TICKS_MAX = 1000
"""Deadlines that may ring within one "tick"; more is a machine that spins."""


@dataclass(frozen=True)
class Carried:
    """A frame's messages, each as `type:body`; `call` is the number of the last one's CALL; `stored` CALLs have no deadline."""

    slot: int
    texts: tuple[str, ...]
    call: int | None
    stored: bool

    def __init__(self, slot: int, *texts: str, call: int | None = None, stored: bool = False) -> None:
        object.__setattr__(self, "slot", slot)
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "call", call)
        object.__setattr__(self, "stored", stored)


@dataclass(frozen=True)
class Link:
    """A link message by its parts, frames as `Carried`."""

    link: int
    parts: tuple[object, ...]

    def __init__(self, link: int, *parts: object) -> None:
        object.__setattr__(self, "link", link)
        object.__setattr__(self, "parts", parts)


class Play:
    """One machine, its clock, and the far end of its link. `side` is where the machine stands."""

    def __init__(self, machine: Machine, side: Side) -> None:
        self.machine = machine
        self.now = 0.0
        self.link = 0
        self.notes: list[Note] = []
        self.leaving: list[LeavingContext | SavedContext] = []
        """What the machine has given to be saved."""
        self._far_side = Side.CLOUD if side is Side.EDGE else Side.EDGE
        self._channels: dict[int, Channel] = {}
        self._clock = LinkClock(0.0, 0.0)
        self._effects: list[object] = []

    # --- the far end

    def greeted(self, link: int) -> None:
        """A connection is open, and the far end's clock begins."""
        self.link = link
        self._clock = LinkClock(self.now, self.now)

    def channel(self, slot: int, version: OcppVersion, epoch: int) -> Channel:
        """The far end begins a station's epoch."""
        endpoint = open_endpoint(CodecName.VERBATIM, version, self._far_side)
        self._channels[slot] = Channel(version, epoch, endpoint)
        return self._channels[slot]

    def renewed(self, slot: int, version: OcppVersion, epoch: int, *, sent: Sequence[str] = (), received: Sequence[str] = ()) -> None:
        """The far end begins a new epoch in which these earlier CALLs keep their numbers."""
        logs = CallLog(), CallLog()
        for log, actions in zip(logs, (sent, received), strict=True):
            for _ in actions:
                log.add()
        self._channels[slot] = Channel(version, epoch, open_endpoint(CodecName.VERBATIM, version, self._far_side, *logs))

    def effects(self) -> list[object]:
        """All effects since the last "out", notes left out."""
        effects, self._effects = self._effects, []
        return effects

    def frame(self, carried: Carried, life_s: float = 30.0) -> bytes:
        """The far end's next frame, a small one, as a link message."""
        return write_parts(self.parts(carried, life_s))

    def parts(self, carried: Carried, life_s: float = 30.0) -> list[Part]:
        """The far end's next frame, and the pieces before it if it is a large one."""
        channel = self._channels[carried.slot]
        batch = []
        for place, text in enumerate(carried.texts):
            type_text, _, body = text.partition(":")
            kind = MessageType(int(type_text))
            call = carried.call if place == len(carried.texts) - 1 else None
            expires = kind in (MessageType.CALL, MessageType.SEND) and not carried.stored
            batch.append(Outgoing(Message(kind, action_of(kind, body), body, call), self.now + life_s if expires else None))
        channel.encode(batch)
        parts: list[Part] = []
        while channel.has_unsent:
            parts.append(channel.next_part(carried.slot, self._clock, self.now))
        return parts

    def _read(self, data: bytes) -> list[object]:
        read: list[object] = []
        for part in read_parts(data):
            if isinstance(part, FramePart):
                batch = self._channels[part.slot].take_frame(part, self._clock, self.now)
                texts = [f"{message.type.value}:{message.body}" for message in batch.messages]
                last = batch.messages[-1]
                asks = last.type in (MessageType.CALL, MessageType.SEND)
                stored = part.expiry is None and any(message.type is MessageType.CALL for message in batch.messages)
                read.append(Carried(part.slot, *texts, call=None if asks else last.call, stored=stored))
            elif isinstance(part, Piece):
                self._channels[part.slot].take_piece(part.number, part.data)
            else:
                read.append(part)
        return read

    # --- the play

    def play(self, steps: Sequence[tuple[str, Any]]) -> None:
        for number, (kind, what) in enumerate(steps):
            match kind:
                case "in":
                    self._step(what)
                case "far":
                    for part in self.parts(what) if isinstance(what, Carried) else [what]:
                        self._step(LinkMessage(self.link, write_parts([part])))
                case "tick":
                    self._pass(what)
                case "out":
                    effects = self.effects()
                    assert effects == what, f"step {number}\nexpected {what}\ngot      {effects}"
                case _:
                    raise ValueError(kind)

    def _step(self, event: Any) -> None:
        for effect in self.machine.step(event, self.now):
            self._take(effect)

    def _take(self, effect: Effect) -> None:
        if isinstance(effect, Note):
            self.notes.append(effect)
        elif isinstance(effect, LinkHeard):
            pass  # the ledger's
        elif isinstance(effect, SaveContext):
            self.leaving.append(effect.context)
        elif isinstance(effect, SendLink):
            self._effects.append(Link(effect.link, *self._read(effect.data)))
            self._step(LinkSent(effect.link))
        else:
            self._effects.append(effect)

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(TICKS_MAX):
            deadline = self.machine.next_deadline()
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self._step(Tick())
        else:
            raise AssertionError("the machine asks for deadlines that its step doesn't move")
        self.now = until
        self._step(Tick())

    def noted(self, words: str) -> bool:
        """Whether the machine has said this since it was asked last."""
        found = any(note.words == words for note in self.notes)
        self.notes.clear()
        return found
