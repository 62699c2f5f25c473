"""`ocppress password`: a hash for the configuration."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from typing import Final

from ocppress_gateway.admin.passwords import PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, hashed_password, hashed_token, new_token
from ocppress_gateway.errors import UsageError

__all__ = ["add_parser"]

_LINE_MAX: Final = 4 * PASSWORD_CHARACTERS_MAX + 2
"""Characters read of standard input: what is longer is no password."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `password`."""
    parser = commands.add_parser(
        "password",
        help="the hash of a password, for `[[admin.users]]`",
        description="Read a password from the terminal, without echo, or from standard input, its first line, and print its hash, for `password_hash` in"
        f" `[[admin.users]]`. It has {PASSWORD_CHARACTERS_MIN} characters or more.",
    )
    parser.add_argument("--token", action="store_true", help="instead make a new token, and print it with its hash for `[[admin.tokens]]`")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead")
    parser.set_defaults(func=_password)


def _password(args: argparse.Namespace) -> int:
    if args.token:
        token = new_token()
        found = {"token": token, "token_hash": hashed_token(token)}
    else:
        try:
            found = {"password_hash": hashed_password(_read())}
        except ValueError as error:
            raise UsageError(str(error)) from error
    print(json.dumps(found) if args.json else "\n".join(f'{name} = "{value}"' for name, value in found.items()))
    return 0


def _read() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LINE_MAX).removesuffix("\n").removesuffix("\r")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise UsageError("the two differ")
    return password
