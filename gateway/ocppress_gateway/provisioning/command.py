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
    """Add `ca` with its sub-commands."""
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
        help="a DNS name or address under which edges reach the cloud, '*.NAME' for a name of its own for each, by which a load balancer can tell"
        f" them apart; repeat for more (default: {', '.join(_LOOPBACK)})",
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
    issue.add_argument(
        "--station-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a name or address under which stations reach the edge, for a certificate that they can trust; repeat for more (default: no TLS there)",
    )
    issue.add_argument(
        "--psk",
        action="store_true",
        help="a pre-shared key for the link, too: a connection then costs as little after a restart; Python 3.13 or later at both ends",
    )
    issue.set_defaults(func=_issue)

    renew = actions.add_parser(
        "renew",
        help="make a new certificate for an edge's key",
        description="Make a new certificate for the same key, which the cloud sends to its edge over the link: nothing secret travels.",
    )
    which = renew.add_mutually_exclusive_group(required=True)
    which.add_argument("edge", metavar="EDGE", nargs="?", help="the edge's name")
    which.add_argument("--cloud", action="store_true", help="the cloud's own certificate instead, to be copied to it")
    _add_folder(renew)
    renew.set_defaults(func=_renew)

    revoke = actions.add_parser(
        "revoke",
        help="lock an edge out",
        description="Enter an edge's key in the list of revoked ones, and take its entry from cloud.toml; `issue` can then make it anew.",
    )
    revoke.add_argument("edge", metavar="EDGE", help="the edge's name")
    _add_folder(revoke)
    revoke.set_defaults(func=_revoke)


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
    from ocppress_gateway.provisioning.folder import PSK_FOLDER, make_edge_folder

    stations = [identity.strip() for identity in args.stations.split(",")]
    now = datetime.now(UTC)
    entry = make_edge_folder(
        args.dir,
        args.edge,
        stations=stations,
        cloud_url=args.cloud_url,
        now=now,
        station_hosts=list(dict.fromkeys(args.station_host)),
        with_psk=args.psk,
    )
    print(entry.strip())
    folder = args.dir / "edges" / args.edge
    print(f"{folder}, or {folder}.tar.gz: copy it to the edge, then: ocppress edge --config edge.toml", file=sys.stderr)
    print(f"{folder / 'stations.txt'}: what to set in its stations", file=sys.stderr)
    if args.psk:
        file = args.dir / "cloud" / PSK_FOLDER / f"{args.edge}.psk"
        print(
            f"{file}: secret; copy it to the same place below cloud.toml, mode 0600. Both ends need Python 3.13 or later", file=sys.stderr
        )
    print(
        f"The entry above is in {args.dir / 'cloud' / 'cloud.toml'}; append it where the cloud runs, and restart the cloud", file=sys.stderr
    )
    return 0


def _renew(args: argparse.Namespace) -> int:
    from ocppress_gateway.provisioning.changes import renew_cloud, renew_edge
    from ocppress_gateway.provisioning.folder import RENEWALS_FOLDER

    now = datetime.now(UTC)
    if args.cloud:
        for file in renew_cloud(args.dir, now):
            print(f"{file}: copy it to the {file.stem} in the place of its own, and restart that", file=sys.stderr)
    else:
        file = renew_edge(args.dir, args.edge, now)
        if file.parent.name == RENEWALS_FOLDER:
            what = "copy it to `renewals_folder` of the cloud, which sends it once two thirds of the present one are over"
        else:
            what = "the cloud can't send it, for the edge shows it no certificate: copy it to the edge in the place of edge.pem, and restart the edge"
        print(f"{file}: {what}", file=sys.stderr)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from ocppress_gateway.provisioning.changes import revoke_edge

    file = revoke_edge(args.dir, args.edge, datetime.now(UTC).date())
    if file is None:
        print(f"Let the broker refuse {args.edge}, by a CRL of its own or its access list: the cloud sees no certificates", file=sys.stderr)
    else:
        print(f"{file}: copy it to the cloud, in the place of its own; within a minute the edge is locked out", file=sys.stderr)
    print(f"Take the entry of {args.edge} from cloud.toml where the cloud runs; that counts from its next start", file=sys.stderr)
    return 0
