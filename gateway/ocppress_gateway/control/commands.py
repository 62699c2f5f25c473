"""`ocppress status`, `ocppress dead` and `ocppress edge drain`: arguments, one question to the running program, and its answer on standard output."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from ocppress_gateway.config import CloudConfig, EdgeConfig, load, load_cloud, load_edge
from ocppress_gateway.control.client import ANSWER_S, ask
from ocppress_gateway.control.place import CLOUD_SOCKET, EDGE_SOCKET
from ocppress_gateway.control.protocol import LETTERS_MAX, Answer, DeadDrop, DeadList, DeadReplay, DeadShow, Drain, Request, Status
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.masking import printable

__all__ = ["add_drain_parser", "add_parsers"]

POLL_S: Final = 0.5
"""Between two looks at a drain."""

FLUSH_AGAIN_S: Final = 10.0
"""Between two flushes of it: each asks the cloud, over the SIM, what the CSMS has answered, and gets new messages going."""

REPLAY_S: Final = 300.0
"""A dead letter waits for its turn and for the CSMS, each for `call_timeout_s` at most."""

DRAIN_S: Final = 60.0


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `status` and `dead`."""
    status = commands.add_parser(
        "status",
        help="how a running edge or cloud stands",
        description="How a running edge or cloud stands: link, stations, outbox or dead letters, and at an edge the SIM's month and the plan.",
    )
    status.add_argument("station", nargs="?", type=_identity, metavar="STATION", help="of the stations, only this one")
    status.add_argument("--config", type=Path, required=True, metavar="FILE", help="the program's configuration, edge.toml or cloud.toml")
    _add_json(status)
    status.set_defaults(func=_status)

    dead = commands.add_parser(
        "dead",
        help="transaction messages that the CSMS has refused for good",
        description="Dead letters: transaction messages that stations know to be delivered, and that the CSMS has refused for good. The cloud keeps them until"
        " they are replayed or dropped.",
    )
    actions = dead.add_subparsers(title="commands", required=True, metavar="COMMAND")
    letters = actions.add_parser("list", help="which there are", description="Which dead letters there are, the oldest first.")
    letters.add_argument("--station", type=_identity, metavar="STATION", help="only those of this station")
    letters.add_argument(
        "--limit", type=_limit, default=100, metavar="N", help=f"at most so many, up to {LETTERS_MAX} (default: %(default)s)"
    )
    _finish(letters, _dead_list)
    show = actions.add_parser("show", help="one with its text", description="One dead letter with its text, tokens and passwords masked.")
    _add_key(show)
    show.add_argument("--full", action="store_true", help="mask nothing")
    _finish(show, _dead_show)
    replay = actions.add_parser(
        "replay",
        help="put one to the CSMS again",
        description="Put a dead letter to the CSMS again, with its message id, over its station's open CSMS socket. It is dropped once the CSMS has answered"
        " with a result, and kept otherwise.",
    )
    _add_key(replay)
    _finish(replay, _dead_replay)
    drop = actions.add_parser("drop", help="forget one", description="Forget a dead letter for good.")
    _add_key(drop)
    _finish(drop, _dead_drop)


def add_drain_parser(edge: argparse.ArgumentParser) -> None:
    """Add `drain` to the edge's parser, which does without it, too."""
    actions = edge.add_subparsers(title="commands for an edge that runs", metavar="COMMAND")
    drain = actions.add_parser(
        "drain",
        help="send all that is stored of a station now",
        description="Have a running edge send all that it has stored of a station, and wait until the CSMS has answered it; the exit code is 1 if not all is.",
    )
    drain.add_argument("station", type=_identity, metavar="STATION")
    drain.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="the edge's configuration, edge.toml")
    drain.add_argument("--timeout-s", type=_seconds, default=DRAIN_S, metavar="S", help="how long to wait (default: %(default)g)")
    _add_json(drain)
    drain.set_defaults(func=_drain)


def _finish(parser: argparse.ArgumentParser, func: Any) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's configuration, cloud.toml")
    _add_json(parser)
    parser.set_defaults(func=func)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead")


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", type=_key, metavar="KEY", help="its number in the list")


def _identity(text: str) -> str:
    if re.match(IDENTITY_PATTERN, text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no identity of a station")
    return text


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:17]) <= 2**53):
        raise argparse.ArgumentTypeError(f"{text!r} is no key; `ocppress dead list` has them")
    return int(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LETTERS_MAX):
        raise argparse.ArgumentTypeError(f"{text!r} isn't from 1 to {LETTERS_MAX}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} isn't from 0 to 86400 seconds")
    return seconds


# --- the commands


def _status(args: argparse.Namespace) -> int:
    config = load(args.config)
    what = "edge" if isinstance(config, EdgeConfig) else "cloud"
    return _print(args, _asked(config, Status(station=args.station), what))


def _dead_list(args: argparse.Namespace) -> int:
    return _of_cloud(args, DeadList(station=args.station, limit=args.limit))


def _dead_show(args: argparse.Namespace) -> int:
    return _of_cloud(args, DeadShow(key=args.key, full=args.full))


def _dead_replay(args: argparse.Namespace) -> int:
    return _of_cloud(args, DeadReplay(key=args.key), answer_s=REPLAY_S)


def _dead_drop(args: argparse.Namespace) -> int:
    return _of_cloud(args, DeadDrop(key=args.key))


def _of_cloud(args: argparse.Namespace, request: Request, *, answer_s: float = ANSWER_S) -> int:
    return _print(args, _asked(load_cloud(args.config), request, "cloud", answer_s=answer_s))


def _drain(args: argparse.Namespace) -> int:
    config = load_edge(args.config)
    began_at = flushed_at = time.monotonic()
    data = _asked(config, Drain(station=args.station), "edge").data
    shown = ""
    while data["undelivered"] and time.monotonic() - began_at < args.timeout_s:
        words = f"{data['undelivered']} not answered by the CSMS, {data['waiting']} of them not sent"
        words += "" if data["link_up"] else "; the link is down"
        words += "; the station isn't here" if data["state"] == "absent" else ""
        if words != shown:
            shown = words
            print(f"{args.station}: {words}", file=sys.stderr)
        time.sleep(POLL_S)
        if time.monotonic() - flushed_at >= FLUSH_AGAIN_S:
            flushed_at = time.monotonic()
            data = _asked(config, Drain(station=args.station), "edge").data
        else:
            data = _asked(config, Drain(station=args.station, look=True), "edge").data
    drained = not data["undelivered"]
    words = "nothing is left" if drained else f"{data['undelivered']} left after {args.timeout_s:g} s"
    _print(args, Answer(lines=[f"{args.station}: {words}"], data={**data, "drained": drained}))
    return 0 if drained else 1


def _asked(config: EdgeConfig | CloudConfig, request: Request, what: str, *, answer_s: float = ANSWER_S) -> Answer:
    name = EDGE_SOCKET if isinstance(config, EdgeConfig) else CLOUD_SOCKET
    return ask(config.state_folder / name, request, what=what, answer_s=answer_s)


def _print(args: argparse.Namespace, answer: Answer) -> int:
    if args.json:
        print(msgspec.json.encode(answer.data).decode())
    else:
        print("\n".join(map(printable, answer.lines)))
    return 0
