"""Looks for the frames that keep a decoder busy longest: the slowest of each size are changed again and again.

    python -m tests.fuzz.slowest --seconds 120 --codec adaptive

It begins with frames of sessions, and with the largest texts there are, as a million values, member names, brackets or escapes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ocppress_codecs.errors import EncodeError
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX, CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.workloads.traces import Direction
from tests.fuzz.mutations import mutated
from tests.fuzz.sessions import NAMES, session
from tests.fuzz.subject import DECODED, Subject

__all__ = ["largest_bodies", "main", "search"]

POOL_MAX: Final = 12
"""Frames of each size that are changed further."""

ROUND_FRAMES: Final = 150
_FREE: Final = 40


@dataclass(frozen=True, slots=True)
class Slow:
    """A frame at a place, and the processor time that it took."""

    spent_ms: float
    name: str
    place: int
    frame: bytes
    outcome: str


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.slowest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long, for each codec (default: %(default)s)")
    parser.add_argument("--seed", default="1", help="what the frames follow from (default: %(default)s)")
    parser.add_argument("--codec", action="append", choices=list(CodecName), help="this codec, may be repeated (default: all)")
    options = parser.parse_args(arguments)
    for codec in map(CodecName, options.codec or list(CodecName)):
        print(f"{codec}, processor time by size of the frame:")
        for slow in search(codec, options.seconds, options.seed):
            size = len(slow.frame)
            a_byte = slow.spent_ms * 1000 / max(size, 1)
            where = f"{slow.outcome}, {slow.name}, place {slow.place}"
            print(f"    {slow.spent_ms:>9,.2f} ms  {size:>9,} bytes  {a_byte:>10,.1f} us/byte  {where}")
    return 0


def search(codec: CodecName, seconds: float, seed: str) -> list[Slow]:
    """The slowest frame of each size found within `seconds`, small ones first."""
    source = Random(f"{seed} {codec}")
    pools: dict[int, list[Slow]] = {}
    for slow in _largest(codec):
        _keep(pools, slow)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pool = source.choice(list(pools.values()))
        known = source.choice(pool)
        name, place = known.name, known.place
        if name == _NOWHERE or source.random() < 0.3:
            name = source.choice(NAMES)
            place = source.randrange(len(session(name, codec).steps))
        played = session(name, codec)
        step = played.steps[place]
        subject = Subject.after(played, place)
        before = subject.state(step.direction)
        others = [other.frame for other in played.steps[max(0, place - 20) : place + 20]] + [known.frame]
        for _ in range(ROUND_FRAMES):
            frame = mutated(source.choice((known.frame, step.frame)), others, source)
            tried = subject.tell(step.direction, frame)
            if tried.outcome == DECODED:
                subject.put_back(step.direction, before)
            _keep(pools, Slow(tried.spent_ms, name, place, frame, tried.outcome))
            if time.monotonic() > end:
                break
    return [pool[0] for _, pool in sorted(pools.items())]


_NOWHERE: Final = "the largest text"


def _largest(codec: CodecName) -> Iterator[Slow]:
    for place, body in enumerate(largest_bodies()):
        try:
            frame = open_endpoint(codec, OcppVersion.V16, Side.EDGE).encoder.encode([Message(MessageType.CALLRESULT, "", body)])
        except EncodeError:
            continue
        tried = Subject(codec, OcppVersion.V16).tell(Direction.UP, frame)
        yield Slow(tried.spent_ms, _NOWHERE, place, frame, tried.outcome)


def largest_bodies() -> list[str]:
    """Payloads of about as much text as a frame may carry, of as many tokens as there can be of one kind."""
    room = FRAME_TEXT_BYTES_MAX - _FREE
    pieces = ("0,", '"",', "[],", '"\\n",', '"2026-03-02T08:00:00Z",', "-0.50,", '"00ff10a0",')
    bodies = ['{"a":[' + piece * (room // len(piece)) + "0]}" for piece in pieces]
    return [*bodies, "{" + '"a":0,' * (room // 6) + '"a":0}', '{"a":"' + "\\n" * (room // 2) + '"}']


def _keep(pools: dict[int, list[Slow]], slow: Slow) -> None:
    pool = pools.setdefault(len(slow.frame).bit_length(), [])
    pool.append(slow)
    pool.sort(key=lambda each: -each.spent_ms)
    del pool[POOL_MAX:]


if __name__ == "__main__":
    sys.exit(main())
