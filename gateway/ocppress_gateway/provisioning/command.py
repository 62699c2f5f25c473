"""`ocppress ca`: the arguments, and what to do next."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["add_parser"]

_FOLDER: Final = Path("ocppress-ca")
_LOOPBACK: Final = ["localhost", "127.0.0.1"]
_CSMS_URL: Final = "ws://127.0.0.1:9000/{identity}"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ca` with its two sub-commands."""
    parser = commands.add_parser(
        "ca", help="make the certificates of the link", description="A private certification authority for the link."
    )
    actions = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    init = actions.add_parser(
        "init", help="make an authority and the cloud's folder", description="Make an authority and the cloud's folder."
    )
    _add_folder(init)
    init.add_argument("--name", default="ocppress", help="the authority's name, in every certificate (default: %(default)s)")
    init.add_argument(
        "--host",
        action="append",
        metavar="HOST",
        help=f"a DNS name or address under which edges reach the cloud; repeat for more (default: {', '.join(_LOOPBACK)})",
    )
    init.add_argument("--csms-url", default=_CSMS_URL, metavar="URL", help="the stations' URL at the CSMS (default: %(default)s)")
    init.add_argument(
        "--broker", action="store_true", help="edges and cloud meet at an MQTT broker, which is reached under --host; its folder, too"
    )
    init.set_defaults(func=_init)

    issue = actions.add_parser("issue", help="make a new edge's folder", description="Make a new edge's folder and enter it in cloud.toml.")
    issue.add_argument("edge", metavar="EDGE", help="the edge's name")
    issue.add_argument("--stations", required=True, metavar="ID,ID…", help="identities of its stations; '*' for any")
    _add_folder(issue)
    issue.add_argument(
        "--cloud-url",
        metavar="URL",
        help="wss://HOST:PORT/ of the cloud, mqtts://HOST:PORT/ of the broker (default: from the cloud's folder)",
    )
    issue.set_defaults(func=_issue)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, default=_FOLDER, metavar="DIR", help="the authority's folder (default: %(default)s)")


# What makes certificates is imported when one is made: `edge` and `cloud` need none of it, and on a small board memory is short.


def _init(args: argparse.Namespace) -> int:
    from ocppress_gateway.provisioning.folder import make_authority_folder

    make_authority_folder(
        args.dir, name=args.name, hosts=args.host or _LOOPBACK, csms_url=args.csms_url, now=datetime.now(UTC), with_broker=args.broker
    )
    if args.broker:
        print(f"{args.dir / 'broker'}: copy it to the broker, then, in that folder: mosquitto -c mosquitto.conf", file=sys.stderr)
    print(f"{args.dir / 'cloud'}: copy it to the cloud, then: ocppress cloud --config cloud.toml", file=sys.stderr)
    print(f"{args.dir / 'ca.key'}: whoever has it can pose as cloud and edges; keep it off both", file=sys.stderr)
    return 0


def _issue(args: argparse.Namespace) -> int:
    from ocppress_gateway.provisioning.folder import make_edge_folder

    stations = [identity.strip() for identity in args.stations.split(",")]
    entry = make_edge_folder(args.dir, args.edge, stations=stations, cloud_url=args.cloud_url, now=datetime.now(UTC))
    print(entry.strip())
    print(f"{args.dir / 'edges' / args.edge}: copy it to the edge, then: ocppress edge --config edge.toml", file=sys.stderr)
    print(
        f"The entry above is in {args.dir / 'cloud' / 'cloud.toml'}; append it where the cloud runs, and restart the cloud", file=sys.stderr
    )
    return 0
