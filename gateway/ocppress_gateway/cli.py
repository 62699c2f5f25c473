"""The command line: what there is to say, and how it ends.

Results go to standard output, everything else to standard error. Exit codes are those of BSD's sysexits where one fits.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ocppress_gateway import __version__
from ocppress_gateway.admin import command as admin_command
from ocppress_gateway.config import CloudConfig, CsmsConfig, EdgeConfig, effective_json, load_cloud, load_edge
from ocppress_gateway.control import commands as control_commands
from ocppress_gateway.demo import command as demo_command
from ocppress_gateway.doctor import command as doctor_command
from ocppress_gateway.errors import ConfigError, GatewayError, RequestRefused, UsageError
from ocppress_gateway.estimate import command as estimate_command
from ocppress_gateway.linkcheck import command as check_command
from ocppress_gateway.log import set_up
from ocppress_gateway.provisioning import command as ca_command
from ocppress_gateway.tools import commands as tools_commands

__all__ = ["CONFIG", "INTERNAL", "INTERRUPTED", "OK", "REFUSED", "UNAVAILABLE", "USAGE", "build_parser", "main"]

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 69
INTERNAL: Final = 70
CONFIG: Final = 78
INTERRUPTED: Final = 130

_NO_OPERATORS: Final = "the table `admin` has no effect while the edge only observes: nothing listens for operators"

_logger = logging.getLogger("ocppress")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never ends the process itself but for a wrong command line (2)."""
    args = build_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = args.func
    try:
        return command(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except GatewayError as error:
        print(f"ocppress: {error}", file=sys.stderr)
        return _exit_code(error)
    except Exception:
        _logger.exception("internal error")
        return INTERNAL


def build_parser() -> argparse.ArgumentParser:
    """All commands with their arguments; each command's function is in `func`."""
    parser = argparse.ArgumentParser(
        prog="ocppress", description="OCPP, compressed: a station's traffic over a cellular link for a small fraction of the bytes."
    )
    parser.add_argument("--version", action="version", version=f"ocppress {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo_command.add_parser(commands)
    edge = _add_program(commands, "edge", "the end at the stations", _edge)
    observing = edge.add_argument_group(
        "before there is a cloud", "stations and CSMS talk as ever, and what ocppress would save is reckoned"
    )
    observing.add_argument("--observe", action="store_true", help="pass everything on unchanged and record it in `state_folder`")
    observing.add_argument("--csms-url", metavar="URL", help="where stations go, with {identity} in it")
    observing.add_argument("--csms-ca", type=Path, metavar="FILE", help="certificates to trust for wss:// instead of the system's")
    control_commands.add_drain_parser(edge)
    _add_program(commands, "cloud", "the end at the CSMS", _cloud)
    control_commands.add_parsers(commands)
    doctor_command.add_parser(commands)
    check_command.add_parser(commands)
    tools_commands.add_parsers(commands)
    estimate_command.add_parser(commands)
    ca_command.add_parser(commands)
    admin_command.add_parser(commands)
    return parser


def _add_program(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, func: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=f"run {what}", description=f"Run {what} of the link until SIGTERM or Ctrl-C.")
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"the configuration, {name}.toml; needed")
    parser.add_argument("--check", action="store_true", help="only read the configuration and show the whole of it, defaults included")
    parser.set_defaults(func=partial(_configured, parser, func))
    return parser


def _configured(parser: argparse.ArgumentParser, func: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Not `required`, for a command of the edge's may have it behind its own name."""
    if args.config is None:
        parser.error("the following arguments are required: --config")
    return func(args)


def _edge(args: argparse.Namespace) -> int:
    if args.observe is not (args.csms_url is not None):
        raise UsageError("--observe and --csms-url go together")
    if not args.observe:
        return _program(args, load_edge, _run_edge)
    csms = _observed(args.csms_url, args.csms_ca)
    config = load_edge(args.config)
    remarks = [] if config.admin is None else [_NO_OPERATORS]
    if args.check:
        return _check(args.config, config, [f"stations go to {csms.url}", *remarks])
    set_up(config.log)
    for remark in remarks:
        _logger.warning(remark)
    return _run_observe(config, csms)


def _observed(url: str, ca_file: Path | None) -> CsmsConfig:
    """Where stations go that are only observed. Raises `UsageError` for a CSMS that can't be one."""
    try:
        return msgspec.convert({"url": url, "ca_file": None if ca_file is None else str(ca_file)}, CsmsConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"--csms-url: {error}") from None


def _cloud(args: argparse.Namespace) -> int:
    return _program(args, load_cloud, _run_cloud)


Config = TypeVar("Config", EdgeConfig, CloudConfig)


def _program(args: argparse.Namespace, load: Callable[[Path], Config], run: Callable[[Config], int]) -> int:
    config = load(args.config)
    if args.check:
        return _check(args.config, config, [config.link.remark] if isinstance(config, EdgeConfig) and config.link.remark else [])
    set_up(config.log)
    if config.link.tls is None:
        _logger.warning("the link is not encrypted and anyone may claim to be an edge: for development only")
    return run(config)


def _check(file: Path, config: EdgeConfig | CloudConfig, remarks: Sequence[str]) -> int:
    """Show what is understood of a configuration that can be used."""
    print(effective_json(config))
    for remark in remarks:
        print(f"{file}: {remark}", file=sys.stderr)
    print(f"{file}: OK", file=sys.stderr)
    return OK


# The programs are imported when they run: `ocppress --version` needs none of them.


def _run_edge(config: EdgeConfig) -> int:
    from ocppress_gateway.edge.program import run

    return run(config)


def _run_observe(config: EdgeConfig, csms: CsmsConfig) -> int:
    from ocppress_gateway.observe.program import run

    return run(config, csms)


def _run_cloud(config: CloudConfig) -> int:
    from ocppress_gateway.cloud.program import run

    return run(config)


def _exit_code(error: GatewayError) -> int:
    match error:
        case ConfigError():
            return CONFIG
        case UsageError():
            return USAGE
        case RequestRefused():
            return REFUSED
        case _:
            return UNAVAILABLE
