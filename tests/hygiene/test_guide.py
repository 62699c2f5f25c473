"""The field guide quotes what the programs say: each line of the log, each command and each setting that it names is theirs."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Final

import pytest

from ocppress_gateway.cli import build_parser
from ocppress_gateway.config import CloudConfig, EdgeConfig
from ocppress_gateway.config_text import reference
from tests.support.tree import ROOT

GUIDE: Final = (ROOT / "deploy" / "GUIDE.md").read_text(encoding="utf-8")
LINES: Final = re.findall(r"^\| `([^`]+)` \|", GUIDE.split("## By line of the log")[1].split("\n## ")[0], re.MULTILINE)
QUOTED: Final = sorted(set(re.findall(r"`([^`\n]+)`", GUIDE)))
COMMANDS: Final = [words for words in QUOTED if words.startswith("ocppress ") and "--" in words]
SETTINGS: Final = [words for words in QUOTED if re.fullmatch(r"[a-z]+(_[a-z]+)+", words)]
SOURCE: Final = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "gateway" / "ocppress_gateway").rglob("*.py"))
NOT_SETTINGS: Final = {"retry_s"}
"""Fields of log lines."""


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_log_is_one_that_a_program_says(line: str) -> None:
    assert f'"{line}' in SOURCE


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parser: argparse.ArgumentParser, message: str) -> None:
        pytest.fail(f"{parser.prog}: {message}")

    monkeypatch.setattr(argparse.ArgumentParser, "error", fail)
    assert callable(build_parser().parse_args(shlex.split(command)[1:]).func)


def test_each_setting_is_one() -> None:
    known = set(re.findall(r"\w+", reference(EdgeConfig) + reference(CloudConfig)))
    assert [name for name in SETTINGS if name not in known | NOT_SETTINGS] == []


def test_the_guide_quotes_enough_to_be_tested() -> None:
    assert min(len(LINES), len(COMMANDS), len(SETTINGS)) > 5
