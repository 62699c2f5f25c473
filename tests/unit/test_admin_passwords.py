"""Hashes of passwords and tokens, and the command that makes them."""

from __future__ import annotations

import getpass
import io
import json
import re
import sys

import pytest

from ocppress_gateway import cli
from ocppress_gateway.admin.passwords import PASSWORD_CHARACTERS_MAX, hashed_password, hashed_token, is_password
from ocppress_gateway.config_admin import PASSWORD_HASH, TOKEN_HASH

PASSWORD = "correct horse battery"


def test_a_password_is_its_own() -> None:
    hashed = hashed_password(PASSWORD)
    assert re.match(PASSWORD_HASH, hashed)
    assert is_password(PASSWORD, hashed)
    assert not is_password(PASSWORD + " ", hashed)
    assert not is_password("", hashed)
    assert hashed_password(PASSWORD) != hashed, "each has a salt of its own"


def test_a_hash_of_another_program_is_understood() -> None:
    # RFC 7914, section 12, has none of 32 bytes; this one is `hashlib.scrypt(b"pleaseletmein...", salt=16 * b"s", n=2**14, r=8, p=1, dklen=32)`.
    import base64
    import hashlib

    digest = hashlib.scrypt(b"pleaseletmein...", salt=b"s" * 16, n=2**14, r=8, p=1, dklen=32, maxmem=2**26)
    salt, wanted = (base64.b64encode(data).decode().rstrip("=") for data in (b"s" * 16, digest))
    assert is_password("pleaseletmein...", f"$scrypt$ln=14,r=8,p=1${salt}${wanted}")


@pytest.mark.parametrize("password", ["", "short", "e" * 11, "e" * (PASSWORD_CHARACTERS_MAX + 1)])
def test_a_password_of_an_odd_length_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="12 to 256 characters"):
        hashed_password(password)


def test_what_is_tried_beyond_the_longest_is_wrong() -> None:
    longest = "e" * PASSWORD_CHARACTERS_MAX
    hashed = hashed_password(longest)
    assert is_password(longest, hashed)
    assert not is_password(longest + "e", hashed)
    assert not is_password(longest * 1000, hashed)


def test_the_command_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\nnot this\n"))
    assert cli.main(["password"]) == cli.OK
    out, err = capsys.readouterr()
    hashed = out.removeprefix('password_hash = "').removesuffix('"\n')
    assert is_password(PASSWORD, hashed)
    assert PASSWORD not in out + err


def test_the_command_asks_twice_without_echo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [PASSWORD, PASSWORD, PASSWORD, "another one entirely"]
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: answers.pop(0))
    assert cli.main(["password", "--json"]) == cli.OK
    assert is_password(PASSWORD, json.loads(capsys.readouterr().out)["password_hash"])
    assert cli.main(["password"]) == cli.USAGE
    out, err = capsys.readouterr()
    assert (out, err) == ("", "ocppress: the two differ\n")


def test_the_command_refuses_a_short_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert cli.main(["password"]) == cli.USAGE
    assert capsys.readouterr().err == "ocppress: a password has 12 to 256 characters\n"


def test_the_command_makes_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    made = []
    for _ in range(2):
        assert cli.main(["password", "--token", "--json"]) == cli.OK
        made.append(json.loads(capsys.readouterr().out))
    assert made[0]["token"] != made[1]["token"]
    for one in made:
        assert len(one["token"]) >= 43
        assert re.match(TOKEN_HASH, one["token_hash"])
        assert hashed_token(one["token"]) == one["token_hash"]
