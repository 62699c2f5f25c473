"""A recording as a script for two players: who says what, in which order. Pure.

    recorded   up CALL 1   up CALL 2   down answer 2   down answer 1   up CALL 3 (nobody answered)   down answer to nothing
    script     up CALL 1   down answer 1   up CALL 2   down answer 2

The script keeps the recording's order but for one thing: neither side calls again before its last CALL is answered, as OCPP has it.
Left out, and counted, is what can't be played that way: a CALL that the recording leaves unanswered, an answer whose CALL isn't in it, a
transaction message that repeats one before it (the gateway answers that from memory), and what isn't OCPP-J.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.policy import is_transaction
from ocppress_gateway.core.repeats import Fingerprint, fingerprint
from ocppress_gateway.tools.conversation import Conversation, Said
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = ["Exchange", "Script", "Turn"]

Exchange = tuple[Direction, int]
"""A CALL and its answers: who called, and the number of the CALL among those of that side."""

_ANSWERS: Final = frozenset({MessageType.CALLRESULT, MessageType.CALLERROR})


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the script; `text` as recorded, `exchange` None for a SEND."""

    at_s: float
    """When, in the recording's time."""
    direction: Direction
    exchange: Exchange | None
    text: str
    message: Message

    @property
    def begins(self) -> bool:
        """Whether something begins with it: a CALL or a SEND."""
        return self.message.type in (MessageType.CALL, MessageType.SEND)


class Script:
    """The turns of one recording, made one after the other. `left_out` counts messages, all of them once the turns have ended."""

    def __init__(self, records: Iterable[TraceRecord], version: OcppVersion) -> None:
        self.version = version
        self._records = records
        self._conversation = Conversation(version)
        self._left_out = 0

    @property
    def left_out(self) -> int:
        return self._left_out + self._conversation.skipped

    def leave_out(self) -> None:
        """A message that turns out not to be playable."""
        self._left_out += 1

    def turns(self) -> Iterator[Turn]:
        """The turns, in order; to be asked for once."""
        return self._one_call_at_a_time(self._without_repeats(self._whole_exchanges()))

    def _whole_exchanges(self) -> Iterator[Turn]:
        """What came before a CALL's answer waits until that is there, or it is known that none comes."""
        held: deque[Turn] = deque()
        unanswered: set[Exchange] = set()
        for said in self._conversation.follow(self._records):
            turn = Turn(said.at_s, said.direction, _exchange(said), said.text, said.message)
            if turn.exchange is None:
                if turn.message.type is not MessageType.SEND:
                    self._left_out += 1
                    continue
            elif turn.message.type is MessageType.CALL:
                unanswered.add(turn.exchange)
            else:
                unanswered.discard(turn.exchange)
            held.append(turn)
            while held and held[0].exchange not in unanswered:
                yield held.popleft()
        for turn in held:
            if turn.exchange in unanswered:
                self._left_out += 1
            else:
                yield turn

    def _without_repeats(self, turns: Iterator[Turn]) -> Iterator[Turn]:
        seen: set[Fingerprint] = set()
        repeats: set[Exchange] = set()
        for turn in turns:
            if turn.direction is Direction.UP and turn.exchange is not None and is_transaction(turn.message):
                key = fingerprint(turn.message)
                if key in seen:
                    repeats.add(turn.exchange)
                seen.add(key)
            if turn.exchange in repeats:
                self._left_out += 1
            else:
                yield turn

    def _one_call_at_a_time(self, turns: Iterator[Turn]) -> Iterator[Turn]:
        under_way: dict[Direction, Exchange] = {}
        waiting: dict[Direction, OrderedDict[Exchange, list[Turn]]] = {direction: OrderedDict() for direction in Direction}
        for turn in turns:
            if turn.exchange is None:
                yield turn
                continue
            caller, _ = turn.exchange
            if turn.exchange in waiting[caller]:
                waiting[caller][turn.exchange].append(turn)
            elif turn.message.type is MessageType.CALL and caller in under_way:
                waiting[caller][turn.exchange] = [turn]
            else:
                yield turn
                _follow(under_way, turn)
                while waiting[caller] and caller not in under_way:
                    _, later = waiting[caller].popitem(last=False)
                    for turn in later:
                        yield turn
                        _follow(under_way, turn)


def _exchange(said: Said) -> Exchange | None:
    if said.message.call is None:
        return None
    return (said.direction.opposite if said.message.type in _ANSWERS else said.direction, said.message.call)


def _follow(under_way: dict[Direction, Exchange], turn: Turn) -> None:
    """Keep which exchange of each side waits for its answer."""
    assert turn.exchange is not None, "a SEND waits for nothing"
    if turn.message.type is MessageType.CALL:
        under_way[turn.exchange[0]] = turn.exchange
    elif turn.message.type in _ANSWERS:
        del under_way[turn.exchange[0]]
