"""The command line of `encode`, `decode` and `measure`."""

from __future__ import annotations

import argparse
import json
import math
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
from rich.table import Table

from ocppress_codecs.errors import DecodeError, EncodeError
from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import offers
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import UsageError
from ocppress_gateway.tools.coding import decoded, encoded
from ocppress_gateway.tools.conversation import Conversation, Identities
from ocppress_gateway.tools.dictionaries import left_out_for
from ocppress_gateway.tools.frames import Agreement, read_frames, write_frames
from ocppress_gateway.tools.measure import Measured, measure_trace, pooled
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads.traces import INFERENCE_MESSAGES, TraceRecord, infer_version, read_trace, trace_line

__all__ = ["add_parsers"]

OK: Final = 0
NOT_EXACT: Final = 70
"""A message that didn't come back as it was: a mistake of ours, like any internal error."""

DEFAULT_DELAYS_S: Final = (0.0, 900.0)
"""What `measure` compares: no delay, and the 15 minutes of plan `saver`."""

TABLE_COLUMNS: Final = 160
"""Width of the table where the output is no terminal."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the three commands; each one's function is in `func`."""
    encode = commands.add_parser("encode", help="a recorded trace to frames", description="Put a recorded trace through the codec.")
    encode.add_argument("trace", type=Path, metavar="IN.jsonl")
    encode.add_argument("frames", type=Path, metavar="OUT.frames")
    encode.add_argument(
        "--max-delay-s",
        type=_delay,
        default=0.0,
        metavar="S",
        help="how long messages that may wait do so, in the trace's time (default 0)",
    )
    encode.add_argument("--codec", choices=list(CodecName), help="default: the one that edge and cloud would agree on")
    _add_version(encode)
    encode.set_defaults(func=_encode)

    decode = commands.add_parser(
        "decode", help="frames back to a trace", description="Turn frames back into a trace, with new message ids."
    )
    decode.add_argument("frames", type=Path, metavar="OUT.frames")
    decode.add_argument("trace", type=Path, metavar="BACK.jsonl")
    decode.set_defaults(func=_decode)

    measure = commands.add_parser(
        "measure",
        help="what recorded traces cost",
        description="JSON, permessage-deflate and frames of recorded traces, in bytes; all that was encoded is decoded again and compared.",
    )
    measure.add_argument("traces", type=Path, nargs="+", metavar="IN.jsonl")
    measure.add_argument("--json", action="store_true", help="one line of JSON on standard output, the table on standard error")
    measure.add_argument(
        "--max-delay-s", type=_delay, nargs="+", default=list(DEFAULT_DELAYS_S), metavar="S", help="delays to compare (default: 0 900)"
    )
    _add_version(measure)
    measure.set_defaults(func=_measure)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ocpp", choices=list(OcppVersion), help="the trace's version; found from its messages otherwise")


def _delay(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _encode(args: argparse.Namespace) -> int:
    with _files():
        _refuse_same(args.trace, args.frames)
        records = read_trace(args.trace)
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


def _decode(args: argparse.Namespace) -> int:
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


def _measure(args: argparse.Namespace) -> int:
    ways = [(codec, delay_s) for codec, _ in offers() for delay_s in args.max_delay_s]
    measured: list[Measured] = []
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with _files(), progress:
        for path in args.traces:
            records = list(read_trace(path))
            version = OcppVersion(args.ocpp or infer_version(records))
            task = progress.add_task(path.name, total=len(records) * len(ways))
            measured.append(
                measure_trace(
                    path.name,
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


def _show(measured: Sequence[Measured], total: Measured, *, to_stderr: bool) -> None:
    console = Console(stderr=to_stderr)
    if not console.is_terminal:
        console = Console(stderr=to_stderr, width=TABLE_COLUMNS)
    table = Table(title="bytes of both directions; in brackets how many times smaller than permessage-deflate")
    for heading in ("trace", "OCPP"):
        table.add_column(heading, no_wrap=True)
    for heading in ("messages", "JSON", "deflate", *(f"{way.codec}\n{way.max_delay_s:g} s" for way in total.coded)):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in [*measured, total]:
        if one is total:
            table.add_section()
        cells = [
            f"{way.frame_bytes:,} ({one.deflate_bytes / max(1, way.frame_bytes):.2f})" if way.exact else "NOT EXACT" for way in one.coded
        ]
        table.add_row(one.name, one.version, f"{one.messages:,}", f"{one.json_bytes:,}", f"{one.deflate_bytes:,}", *cells)
    console.print(table)


def _refuse_same(source: Path, target: Path) -> None:
    """A file is read while the other is written."""
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target}: would be overwritten while it is read")


def _warn_skipped(path: Path, skipped: int) -> None:
    if skipped:
        print(f"{path}: texts that are not OCPP-J, left out: {skipped}", file=sys.stderr)


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
