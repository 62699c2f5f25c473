"""What one way to carry meter readings takes, in the build that this process has imported: one line of JSON, for `bench.cpu`.

Two ends play workload `ac22`, one message per frame, answers included. Timed are its meter readings of eight values, TransactionEvent of OCPP 2.0.1, once
half of them have warmed up the contexts; memory is counted when all have been played, by another run, as counting takes time.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ocppress_codecs import rpc
from ocppress_codecs.interface import CodecName, Encoder, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.tools.conversation import Conversation, Said
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction

__all__ = ["COMPILED", "PURE", "VALUES", "WORKLOAD", "ZLIB", "Spread", "Timing", "build", "timing"]

WORKLOAD: Final = "ac22"
VALUES: Final = 8
ZLIB: Final = "zlib"
"""In the place of a codec: deflate with its context kept, as permessage-deflate has it, and JSON parsed by the standard library."""

PURE: Final = "pure"
COMPILED: Final = "compiled"

_SEED: Final = 1
_READING: Final = '"triggerReason":"MeterValuePeriodic"'


@dataclass(frozen=True, slots=True)
class Spread:
    """Processor time in microseconds."""

    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one codec in one build; memory is that of one end for one station, both directions."""

    codec: str
    build: str
    messages: int
    encode_us: Spread
    decode_us: Spread
    parse_us: Spread
    """From the text of a WebSocket message to what the codec takes; for zlib to Python's objects."""
    frame_bytes: float
    """Mean."""
    fresh_bytes: int
    used_bytes: int
    saved_bytes: int | None
    """As it can be written to disk; None if it can't."""
    shared_bytes: int
    """Once per process, however many stations there are."""


class _Ways(NamedTuple):
    encode: Callable[[Said], bytes]
    decode: Callable[[bytes], object]


class _Carrier:
    """Both ends of one station."""

    def __init__(self, codec: str) -> None:
        self.ways: dict[Direction, _Ways] = {}
        self.end: Endpoint | None = None
        self.parse: Callable[[str], object] = rpc.parse
        if codec == ZLIB:
            self.ways = {direction: _deflating() for direction in Direction}
            self.parse = json.loads
            return
        self.end, far = (open_endpoint(CodecName(codec), OcppVersion.V201, side) for side in (Side.EDGE, Side.CLOUD))
        for direction, encoder, decoder in (
            (Direction.UP, self.end.encoder, far.decoder),
            (Direction.DOWN, far.encoder, self.end.decoder),
        ):
            self.ways[direction] = _Ways(_encoding(encoder), decoder.decode)

    def saved_bytes(self) -> int | None:
        if self.end is None:
            return None
        saved = self.end.encoder.saved(), self.end.decoder.saved()
        return None if None in saved else sum(len(state or b"") for state in saved)


def _encoding(encoder: Encoder) -> Callable[[Said], bytes]:
    return lambda said: encoder.encode([said.message])


def _deflating() -> _Ways:
    deflate, inflate = zlib.compressobj(level=9, wbits=-15), zlib.decompressobj(wbits=-15)
    return _Ways(lambda said: deflate.compress(said.text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH), inflate.decompress)


def build() -> str:
    """Which build this process has imported."""
    return PURE if Path(str(rpc.__file__)).suffix == ".py" else COMPILED


def timing(codec: str, messages: int) -> Timing:
    """Play as many readings to warm up as are then timed."""
    played = list(_played(2 * messages))
    memory = _memory(codec, [said for _, said in played])
    encode_us: list[float] = []
    decode_us: list[float] = []
    parse_us: list[float] = []
    sizes: list[int] = []
    clock = time.thread_time_ns
    carrier = _Carrier(codec)
    for number, said in played:
        ways = carrier.ways[said.direction]
        gotten = clock()
        carrier.parse(said.text)
        parsed = clock()
        frame = ways.encode(said)
        encoded = clock()
        ways.decode(frame)
        decoded = clock()
        if number > messages:
            parse_us.append((parsed - gotten) / 1000)
            encode_us.append((encoded - parsed) / 1000)
            decode_us.append((decoded - encoded) / 1000)
            sizes.append(len(frame))
    return Timing(
        codec, build(), messages, _spread(encode_us), _spread(decode_us), _spread(parse_us), round(statistics.fmean(sizes), 1), *memory
    )


def _played(readings: int) -> Iterator[tuple[int, Said]]:
    """What is said until there were so many readings; each reading with its number, 1 first, anything else with 0."""
    count = 0
    records = generate(WORKLOADS[WORKLOAD], days=365, seed=_SEED)
    for said in Conversation(OcppVersion.V201).follow(records):
        reading = _READING in said.text and said.text.count('"value":') == VALUES
        count += reading
        yield count if reading else 0, said
        if count == readings:
            return


def _spread(times: list[float]) -> Spread:
    ordered = sorted(times)
    return Spread(round(statistics.median(ordered), 1), round(ordered[len(ordered) * 99 // 100], 1))


def _memory(codec: str, said: list[Said]) -> tuple[int, int, int | None, int]:
    """Bytes of a fresh end, of a used one, of what is saved of it, and of what all share, if nothing was opened before."""
    tracemalloc.start()
    before = _traced()
    carrier = _Carrier(codec)
    del carrier
    shared = _traced() - before
    carrier = _Carrier(codec)
    fresh = _traced() - before - shared
    for one in said:
        ways = carrier.ways[one.direction]
        ways.decode(ways.encode(one))
    used = _traced() - before - shared
    tracemalloc.stop()
    # There are two ends.
    return fresh // 2, used // 2, carrier.saved_bytes(), shared


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def main() -> int:
    """Arguments: codec or `zlib`, number of readings."""
    codec, messages = sys.argv[1:]
    print(json.dumps(asdict(timing(codec, int(messages)))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
