"""What the outbox writes to the disk for each workload: `bench/results/outbox.json`, for the README of the gateway.

Run from the project's root: python -m bench.outbox [--folder FOLDER]

A week of each workload goes through the real outbox in virtual time: each message that the edge may answer early is stored when the station sends
it, and all that wait are forgotten when the plan's delay is over. Bytes are the kernel's count of pages that it has to write (`write_bytes` in
/proc), so FOLDER must be on a disk; the file system's own journal is not among them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.core.policy import MessageClass, class_of, is_transaction
from ocppress_gateway.core.repeats import fingerprint
from ocppress_gateway.core.stored import Lane, OutboxEvent, Stored, StoredMessage
from ocppress_gateway.outbox.calls import OutboxCalls
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.files import thread_written_bytes
from ocppress_gateway.workloads.generator import WORKLOADS, Workload, generate
from ocppress_gateway.workloads.traces import Direction

__all__ = ["RESULTS", "Written", "main", "measured", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "outbox.json"

DELAYS_S: Final = (60.0, 900.0)
"""Those of plans `live` and `saver`."""

DAYS: Final = 7
SEED: Final = 1
IDENTITY: Final = "CP001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one workload with one delay comes to, over `days`."""

    workload: str
    delay_s: float
    days: int
    messages: int
    body_bytes: int
    commits: int
    written_bytes: int
    file_bytes: int


class _Clock:
    """The time of the traffic, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _SteppedOutbox(OutboxCalls):
    """An outbox on the clock of the traffic."""

    def __init__(self, folder: Path) -> None:
        self._traffic = _Clock()
        self._newest = {Lane.EXPRESS: 0, Lane.ORDERED: 0}
        super().__init__(SqliteOutboxStore(folder, clock=self._traffic), self._hear, self._traffic)

    def open(self) -> None:
        """Nothing: the first step does it."""

    def run_until(self, end: float) -> None:
        """Do what is due by then."""
        while (due_at := self._desk.due_at()) is not None and due_at <= end:
            self._traffic.now = max(self._traffic.now, due_at)
            for result in self._desk.step():
                result()
        self._traffic.now = end

    def forget_all(self) -> None:
        """The CSMS has answered everything."""
        for lane, position in self._newest.items():
            self.forget(IDENTITY, lane, position)

    def close(self) -> None:
        """End in order; what that writes is counted."""
        self._desk.close()

    def _hear(self, event: OutboxEvent) -> None:
        if isinstance(event, Stored):
            self._newest[Lane(event.ticket % 2)] = event.position

    def _submit(self, call: Call) -> None:
        self._desk.submit(call)


def measured(name: str, delay_s: float, *, days: int = DAYS, folder: Path | None = None) -> Written:
    """Run a workload through an outbox in a new folder below `folder` (the system's for temporary files if None)."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        outbox = _SteppedOutbox(Path(temporary))
        before = thread_written_bytes(threading.get_native_id())
        count = body_bytes = 0
        flush_at: float | None = None
        for message in _batched(WORKLOADS[name], days):
            if flush_at is not None and flush_at <= message.stored_at_s:
                outbox.run_until(flush_at)
                outbox.forget_all()
                flush_at = None
            outbox.run_until(message.stored_at_s)
            outbox.store(count * 2 + message.lane, message)
            outbox.run_until(message.stored_at_s)
            count += 1
            body_bytes += len(message.body.encode())
            flush_at = flush_at or message.stored_at_s + delay_s
        measure = outbox.measure()
        outbox.close()
        after = thread_written_bytes(threading.get_native_id())
    return Written(
        workload=name,
        delay_s=delay_s,
        days=days,
        messages=count,
        body_bytes=body_bytes,
        commits=measure.commits,
        written_bytes=(after or 0) - (before or 0),
        file_bytes=measure.file_bytes,
    )


def table(results: Iterable[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    return "\n".join(_rows(results))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all, write the file and print the table; 1 where the kernel counts no bytes."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.outbox", description="Measure what the outbox writes to the disk for each workload."
    )
    parser.add_argument(
        "--folder", type=Path, help="where to put the outboxes, on a disk; the system's place for temporary files by default"
    )
    folder = parser.parse_args(argv).folder
    results: list[dict[str, Any]] = []
    for name in WORKLOADS:
        for delay_s in DELAYS_S:
            written = measured(name, delay_s, folder=folder)
            if not written.written_bytes:
                print("the kernel counts no bytes written there: --folder must be on a disk, and /proc be mounted", file=sys.stderr)
                return 1
            results.append(asdict(written))
            print(f"{name}, delay {delay_s:g} s: {written.messages:,} messages, {written.written_bytes:,} bytes, done")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0


def _batched(workload: Workload, days: int) -> Iterator[StoredMessage]:
    """What the edge may answer itself, when the station sends it."""
    for record in generate(workload, days=days, seed=SEED):
        _, message = parse(record.text)
        if record.direction is not Direction.UP or class_of(OcppVersion.V201, message) is not MessageClass.BATCH:
            continue
        assert record.ts is not None, "generated records have times"
        lane, mark = (Lane.ORDERED, fingerprint(message)) if is_transaction(message) else (Lane.EXPRESS, b"")
        yield StoredMessage(IDENTITY, lane, 0, OcppVersion.V201.value, message.body, False, mark, record.ts)


def _rows(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "| workload, delay | messages a day | bytes of text each | commits a day | bytes written a message | MB written a day | GB a year |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for one in results:
        days, messages, written = one["days"], one["messages"], one["written_bytes"]
        cells = [
            f"{one['workload']}, {one['delay_s'] / 60:g} min",
            f"{messages / days:,.0f}",
            f"{one['body_bytes'] / messages:,.0f}",
            f"{one['commits'] / days:,.0f}",
            f"{written / messages:,.0f}",
            f"{written / days / 1e6:.1f}",
            f"{written / days * 365 / 1e9:.1f}",
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
