"""Rule R1's memory: a station that repeats a transaction message gets one delivery and one answer.

A station that lost its socket, or patience, sends the message again under another id, unchanged but perhaps for `offline`. What it sent
is known by a
fingerprint of action and payload without that member; in 2.x that covers transactionId and seqNo.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from ocppress_codecs.jsontext import tokens
from ocppress_codecs.rpc import Message
from ocppress_gateway.core.answers import EMPTY_ANSWER
from ocppress_gateway.core.limits import REPEAT_MEMORY_S, REPEATS_REMEMBERED_MAX, REPEATS_TEXT_MAX

__all__ = ["Fingerprint", "RefusedMemory", "RepeatMemory", "fingerprint"]

Fingerprint = bytes

REFUSED_ASKED_AGAIN: Final = 10
"""A message that the CSMS has refused and that the station repeats unchanged goes through each tenth time: the CSMS may have been mended."""

REFUSED_REMEMBERED_MAX: Final = 64
"""Refused messages remembered per station."""


_OFFLINE: Final = '"offline"'


def fingerprint(message: Message) -> Fingerprint:
    """16 bytes over a CALL's action and payload, its member `offline` left out."""
    if _OFFLINE not in message.body:  # most of a day's: a body is carried without white space, so that its tokens joined are itself
        return _digest(f"[{message.body}]")
    parts = tokens(f"[{message.body}]")
    # [ "Action" , { … } ]: the payload's own members are at depth 2.
    kept: list[str] = []
    depth = 0
    index = 0
    while index < len(parts):
        token = parts[index]
        if depth == 2 and token == _OFFLINE and parts[index + 1] == ":" and parts[index + 2] in ("true", "false"):
            index += 3
            if parts[index] == ",":
                index += 1
            elif kept[-1] == ",":
                kept.pop()
            continue
        depth += (token in ("{", "[")) - (token in ("}", "]"))
        kept.append(token)
        index += 1
    return _digest("".join(kept))


def _digest(text: str) -> Fingerprint:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class RepeatMemory:
    """Answers to one station's transaction messages; bounded in number, text and age."""

    def __init__(self) -> None:
        self._known: dict[Fingerprint, tuple[Message, float]] = {}  # the oldest first
        self._text = 0

    def answered(self, key: Fingerprint, answer: Message, now: float) -> None:
        """The CSMS's CALLRESULT has come."""
        self._forget(key)
        # Most answers are empty, and a cloud remembers hundreds of each station: one object is enough for all.
        is_empty = answer.type is EMPTY_ANSWER.type and answer.body == EMPTY_ANSWER.body
        self._known[key] = (EMPTY_ANSWER if is_empty else answer, now + REPEAT_MEMORY_S)
        self._text += len(answer.body)
        while self._known and (self._is_full or next(iter(self._known.values()))[1] <= now):
            self._forget(next(iter(self._known)))

    @property
    def _is_full(self) -> bool:
        return len(self._known) > REPEATS_REMEMBERED_MAX or self._text > REPEATS_TEXT_MAX

    @property
    def answered_empty(self) -> tuple[Fingerprint, ...]:
        """What was answered `{}`, by this end above all, the newest last."""
        return tuple(key for key, (answer, _) in self._known.items() if answer.body == EMPTY_ANSWER.body)

    def _forget(self, key: Fingerprint) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._text -= len(known[0].body)

    def answer(self, key: Fingerprint, now: float) -> Message | None:
        """The answer that came, for any CALL; None if there is none or it is too old."""
        known = self._known.get(key)
        return known[0] if known is not None and now < known[1] else None


class RefusedMemory:
    """Rule R6: the CALLERRORs of one station's transaction messages, for a station that goes on repeating them."""

    def __init__(self) -> None:
        self._known: OrderedDict[Fingerprint, tuple[Message, float, int]] = OrderedDict()

    def refused(self, key: Fingerprint, answer: Message, now: float) -> None:
        """The CSMS's CALLERROR has come."""
        self._known[key] = (answer, now + REPEAT_MEMORY_S, 0)
        self._known.move_to_end(key)
        if len(self._known) > REFUSED_REMEMBERED_MAX:
            self._known.popitem(last=False)

    def answer(self, key: Fingerprint, now: float) -> Message | None:
        """The CALLERROR that came, None if there is none, or if it is time to ask the CSMS again."""
        known = self._known.get(key)
        if known is None or now >= known[1]:
            return None
        answer, until, times = known
        if times + 1 >= REFUSED_ASKED_AGAIN:
            del self._known[key]
            return None
        self._known[key] = (answer, until, times + 1)
        return answer
