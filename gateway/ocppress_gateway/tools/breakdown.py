"""Where the bytes of frames go, by what they are for and by action: the accounts of many frames added up, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.account import FRAME, UNITS_A_BYTE, Part
from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.tools.coding import Opened
from ocppress_gateway.tools.frames import AGREEMENT_BYTES
from ocppress_gateway.workloads.traces import Direction

__all__ = ["NO_CALL", "PART_WORDS", "ActionLog", "Breakdown", "Share", "pooled_actions", "pooled_parts"]

NO_CALL: Final = "(no CALL)"
"""In the place of an action: answers whose CALL is unknown."""

PART_WORDS: Final = {
    Part.NEW_SHAPES: "first sight of shapes",
    Part.STRINGS: "first sight and other strings",
    Part.TIMES: "timestamps",
    Part.NUMBERS: "numeric values",
    Part.REFERENCES: "strings seen before",
    Part.CHOICES: "choice of shape and kind",
    Part.FRAMING: "marks, counts, lengths",
    Part.ROUNDING: "rounding to bytes",
    Part.CHECKSUM: "checksum",
    Part.OPENING: "opening",
}
"""The parts for people, in the order of tables."""


@dataclass(frozen=True, slots=True)
class Share:
    """What the messages of one action took, answers included. `bytes` is a whole number of 2**-19: sums are exact."""

    messages: int
    bytes: float


class ActionLog:
    """Knows the actions of CALLs, so that an answer counts to its CALL's."""

    def __init__(self) -> None:
        self._actions: dict[Direction, dict[int | None, str]] = {direction: {} for direction in Direction}

    def action(self, direction: Direction, message: Message) -> str:
        """Of each message of a conversation, in the order of decoding."""
        if message.type is MessageType.SEND:
            return message.action
        if message.type is MessageType.CALL:
            self._actions[direction][message.call] = message.action
            return message.action
        caller = direction if message.type is MessageType.CALLRESULTERROR else direction.opposite
        return self._actions[caller].get(message.call, NO_CALL)


class Breakdown:
    """Adds up the frames of one conversation.

    What a frame needs as such (checksum, rounding, opening) is shared out equally among its messages where it is told by action.
    """

    def __init__(self) -> None:
        self._log = ActionLog()
        self._opened: set[Direction] = set()
        self._parts: Counter[Part] = Counter()
        self._messages: Counter[str] = Counter()
        self._costs: Counter[str] = Counter()

    def add(self, opened: Opened) -> None:
        """The next frame."""
        direction = opened.sent.direction
        actions = [self._log.action(direction, message) for message in opened.messages]
        self._messages.update(actions)
        shared = 0
        if direction not in self._opened:
            self._opened.add(direction)
            shared = AGREEMENT_BYTES * UNITS_A_BYTE
            self._parts[Part.OPENING] += shared
        for item in opened.account.items:
            self._parts[item.part] += item.cost
            if item.message == FRAME:
                shared += item.cost
            else:
                self._costs[actions[item.message]] += item.cost
        each, rest = divmod(shared, len(actions))
        for place, action in enumerate(actions):
            self._costs[action] += each + (place < rest)

    def parts(self) -> dict[Part, float]:
        """Bytes by what they are for; every part is there."""
        return {part: self._parts[part] / UNITS_A_BYTE for part in PART_WORDS}

    def actions(self) -> dict[str, Share]:
        """Bytes by action, the most expensive one first."""
        return _sorted({action: Share(self._messages[action], cost / UNITS_A_BYTE) for action, cost in self._costs.items()})


def pooled_parts(several: Iterable[dict[Part, float]]) -> dict[Part, float]:
    """The sum of several conversations' `parts`."""
    total = dict.fromkeys(PART_WORDS, 0.0)
    for one in several:
        for part, size in one.items():
            total[part] += size
    return total


def pooled_actions(several: Iterable[dict[str, Share]]) -> dict[str, Share]:
    """The sum of several conversations' `actions`."""
    total: dict[str, Share] = {}
    for one in several:
        for action, share in one.items():
            before = total.get(action, Share(0, 0.0))
            total[action] = Share(before.messages + share.messages, before.bytes + share.bytes)
    return _sorted(total)


def _sorted(actions: dict[str, Share]) -> dict[str, Share]:
    return dict(sorted(actions.items(), key=lambda entry: (-entry[1].bytes, entry[0])))
