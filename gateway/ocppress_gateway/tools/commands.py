"""The command line of `encode`, `decode`, `measure` and `inspect`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Final

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion

__all__ = ["add_parsers"]

DEFAULT_DELAYS_S: Final = (0.0, 900.0)
"""What `measure` compares: no delay, and the 15 minutes of plan `saver`."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the four commands; each one's function is in `func`."""
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
        description="JSON, permessage-deflate and frames of recorded traces, in bytes, and where the bytes of the frames go."
        " All that was encoded is decoded again and compared; exit code 70 if anything differs.",
    )
    measure.add_argument("traces", type=Path, nargs="+", metavar="IN.jsonl")
    measure.add_argument("--json", action="store_true", help="one line of JSON on standard output, the tables on standard error")
    measure.add_argument(
        "--codec",
        choices=list(CodecName),
        nargs="+",
        metavar="NAME",
        help=f"codecs to compare, of {', '.join(CodecName)} (default: all)",
    )
    measure.add_argument(
        "--max-delay-s", type=_delay, nargs="+", default=list(DEFAULT_DELAYS_S), metavar="S", help="delays to compare (default: 0 900)"
    )
    _add_version(measure)
    measure.set_defaults(func=_measure)

    inspect = commands.add_parser(
        "inspect",
        help="what is in frames",
        description="Show the frames of a file with their messages, and what each took. A direction ends with its first frame that can't be"
        " decoded; the exit code is then 2.",
    )
    inspect.add_argument("frames", type=Path, metavar="IN.frames")
    inspect.add_argument("--detail", action="store_true", help="how each part was coded, and what it took")
    inspect.add_argument("--full", action="store_true", help="passwords and id tokens unmasked, long texts whole")
    inspect.add_argument("--limit", type=_count, metavar="N", help="end after this many frames")
    inspect.add_argument("--json", action="store_true", help="one line of JSON instead")
    inspect.set_defaults(func=_inspect)


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


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


# What they need is imported when they run: the other commands need none of it, and on a small board memory is short.


def _encode(args: argparse.Namespace) -> int:
    from ocppress_gateway.tools.running import encode

    return encode(args)


def _decode(args: argparse.Namespace) -> int:
    from ocppress_gateway.tools.running import decode

    return decode(args)


def _measure(args: argparse.Namespace) -> int:
    from ocppress_gateway.tools.running import measure

    return measure(args)


def _inspect(args: argparse.Namespace) -> int:
    from ocppress_gateway.tools.running import inspect

    return inspect(args)
