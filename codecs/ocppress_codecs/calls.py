"""What both ends remember of the CALLs of one direction."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, final

__all__ = ["CallLog"]


@final
class CallLog:
    """A note for each CALL of one direction, from which the codec foresees the answer; 32 bits that mean something to the codec alone.

    The end that sends the CALLs writes it when it encodes, the other end when it decodes. Answers are encoded by the end that has
    decoded the CALL, and the sender's log always holds at least as much; so the last `REACH` CALLs can be relied on by both.
    """

    REACH: Final = 1024
    """How far back, counted from the newest CALL that the answering end has decoded, an answer may use its CALL's note."""

    KEPT: Final = 8192
    """What is kept, so that CALLs still on their way never push out one within the answering end's reach."""

    __slots__ = ("_notes", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._notes: array[int] = array("I")
        """Those of the newest CALLs, the last one last; the oldest are dropped when there are twice as many as are kept."""

    def add(self, note: int = 0) -> int:
        """Note the next CALL and return its number."""
        number = self.count
        self.count = number + 1
        self._notes.append(note)
        if len(self._notes) >= 2 * self.KEPT:
            del self._notes[: -self.KEPT]
        return number

    def note(self, number: int) -> int:
        """What the codec noted of CALL `number`, 0 if it is unknown or too old."""
        back = self.count - number
        return self._notes[-back] if 0 < back <= min(self.KEPT, len(self._notes)) else 0

    def newest_notes(self, reach: int) -> list[int]:
        """The notes of the last CALLs, at most `reach`, the newest last."""
        return [self.note(number) for number in range(max(0, self.count - reach), self.count)]

    def restore(self, count: int, notes: Sequence[int]) -> None:
        """Go on after `count` CALLs, of which the newest have these notes."""
        self.count = count
        self._notes = array("I", notes)

    def truncate(self, count: int) -> None:
        """Forget the CALLs from number `count` on: a frame that was encoded but not kept is undone."""
        forgotten = self.count - count
        if forgotten > 0:
            del self._notes[max(0, len(self._notes) - forgotten) :]
            self.count = count
