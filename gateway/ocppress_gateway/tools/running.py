"""What `encode`, `decode`, `measure` and `inspect` do, once their arguments are read."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ocppress_codecs.errors import DecodeError, EncodeError
from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import offers
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import UsageError
from ocppress_gateway.tools.coding import decoded, encoded
from ocppress_gateway.tools.conversation import Conversation, Identities
from ocppress_gateway.tools.dictionaries import left_out_for
from ocppress_gateway.tools.frames import Agreement, FramesError, read_frames, read_records, write_frames
from ocppress_gateway.tools.inspection import FrameReport, inspected
from ocppress_gateway.tools.listing import frame_lines
from ocppress_gateway.tools.measure import Measured, measure_trace, pooled
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.tools.tables import tables
from ocppress_gateway.workloads.logs.reading import TRACE, Log, open_log
from ocppress_gateway.workloads.traces import INFERENCE_MESSAGES, TraceRecord, infer_version, trace_line

__all__ = ["decode", "encode", "inspect", "measure"]

OK: Final = 0
NOT_EXACT: Final = 70
"""A message that didn't come back as it was: a mistake of ours, like any internal error."""

TABLE_COLUMNS: Final = 100
"""Width of the table where the output is no terminal."""


def encode(args: argparse.Namespace) -> int:
    """A trace to frames."""
    with _files():
        _refuse_same(args.trace, args.frames)
        log = open_log(args.trace)
        _tell(log)
        if len(log.stations) > 1:
            raise UsageError(f"{args.trace}: {len(log.stations)} stations in one log; frames are of one")
        records = log.records(log.stations[0])
        first = list(islice(records, INFERENCE_MESSAGES))
        version = OcppVersion(args.ocpp or infer_version(first))
        agreement = Agreement(CodecName(args.codec or offers()[0][0]), version)
        conversation = Conversation(version)
        batches = schedule(conversation.follow(chain(first, records)), args.max_delay_s)
        with args.frames.open("wb") as file:
            total = write_frames(file, agreement, encoded(batches, agreement))
    _warn_skipped(args.trace, conversation.skipped)
    print(f"{args.frames}: {total} bytes of frames, {agreement.codec}, OCPP {version}", file=sys.stderr)
    return OK


def decode(args: argparse.Namespace) -> int:
    """Frames to a trace."""
    with _files(), args.frames.open("rb") as source:
        _refuse_same(args.frames, args.trace)
        with args.trace.open("w", encoding="utf-8") as target:
            _write_trace(source, target)
    return OK


def _write_trace(source: BinaryIO, target: TextIO) -> None:
    identities = Identities()
    agreement, frames = read_frames(source)
    if agreement is not None:
        for heard in decoded(frames, agreement):
            text = identities.text(heard.direction, heard.message)
            target.write(trace_line(TraceRecord(heard.at_s, heard.direction, text)))


def measure(args: argparse.Namespace) -> int:
    """What traces cost."""
    # Each once: what is asked for twice is shown once.
    ways = [
        (CodecName(codec), delay_s)
        for codec in dict.fromkeys(args.codec or [name for name, _ in offers()])
        for delay_s in dict.fromkeys(args.max_delay_s)
    ]
    measured: list[Measured] = []
    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with _files(), progress:
        for path, log, station in _stations(args.traces):
            records = list(log.records(station))
            name = f"{path.name}: {station}" if len(log.stations) > 1 else path.name
            version = OcppVersion(args.ocpp or infer_version(records))
            task = progress.add_task(name, total=len(records) * len(ways))
            measured.append(
                measure_trace(
                    name,
                    records,
                    version,
                    ways,
                    left_out=left_out_for(path),
                    advance=partial(progress.advance, task),
                )
            )
            progress.remove_task(task)
            _warn_skipped(path, measured[-1].skipped)
    total = pooled(measured)
    _show(measured, total, to_stderr=args.json)
    if args.json:
        print(json.dumps({"traces": [asdict(one) for one in measured], "pooled": asdict(total)}))
    if not all(way.exact for way in total.coded):
        print("ocppress: not everything came back as it was", file=sys.stderr)
        return NOT_EXACT
    return OK


def _stations(paths: Sequence[Path]) -> Iterator[tuple[Path, Log, str]]:
    """Each station of each file."""
    for path in paths:
        log = open_log(path)
        _tell(log)
        for station in log.stations:
            yield path, log, station


def _tell(log: Log) -> None:
    """What a log was taken for, and what of it can't be used."""
    if log.shape != TRACE:
        print(
            f"{log.path}: a log of {log.shape}, stations: {len(log.stations)}, messages that can't be read: {log.unreadable}",
            file=sys.stderr,
        )


def _show(measured: Sequence[Measured], total: Measured, *, to_stderr: bool) -> None:
    console = Console(stderr=to_stderr)
    if not console.is_terminal:
        console = Console(stderr=to_stderr, width=TABLE_COLUMNS)
    for table in tables(measured, total):
        console.print(table)


def inspect(args: argparse.Namespace) -> int:
    """What is in frames."""
    reports: list[FrameReport] = []
    undecoded = 0
    damage: FramesError | None = None
    with _files(), _output(), args.frames.open("rb") as file:
        try:
            for report in inspected(islice(read_records(file), args.limit), detail=args.detail, full=args.full):
                undecoded += report.trouble is not None
                if args.json:
                    reports.append(report)
                else:
                    print("\n".join(frame_lines(report)))
        except FramesError as error:
            damage = error
        if args.json:
            print(json.dumps({"name": args.frames.name, "frames": list(map(asdict, reports)), "damage": damage and str(damage)}))
    if damage is not None:
        raise damage
    if undecoded:
        raise UsageError(f"{args.frames}: frames that can't be decoded: {undecoded}")
    return OK


def _refuse_same(source: Path, target: Path) -> None:
    """A file is read while the other is written."""
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target}: would be overwritten while it is read")


def _warn_skipped(path: Path, skipped: int) -> None:
    if skipped:
        print(f"{path}: texts that are not OCPP-J, left out: {skipped}", file=sys.stderr)


@contextmanager
def _output() -> Iterator[None]:
    """Whoever reads standard output may have seen enough before the end, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _files() -> Iterator[None]:
    """What is wrong with a file is for the person who named it."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
    except EncodeError as error:
        raise UsageError(f"a message that no frame can hold: {error}") from error
    except DecodeError as error:
        raise UsageError(f"a frame that can't be decoded ({error.code}): {error}") from error
