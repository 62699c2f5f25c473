from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ocppress_gateway import __version__, cli
from ocppress_gateway.config import EdgeConfig
from ocppress_gateway.errors import GatewayError, LinkLost, LinkRefused, RequestRefused, UsageError

EDGE = '[link]\nurl = "ws://h/"\nedge = "e"\n'


@pytest.fixture
def edge_file(tmp_path: Path) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(EDGE)
    return file


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"ocppress {__version__}\n"


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "ocppress_gateway", "--version"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, f"ocppress {__version__}\n")


@pytest.mark.parametrize("argv", [[], ["fly"], ["edge"], ["edge", "--config"], ["ca"], ["ca", "issue", "e"], ["demo", "--plan", "none"]])
def test_a_wrong_command_line_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == cli.USAGE
    assert "usage: ocppress" in capsys.readouterr().err


def test_check_shows_the_effective_configuration(edge_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edge", "--config", str(edge_file), "--check"]) == cli.OK
    shown = capsys.readouterr()
    assert json.loads(shown.out)["link"]["edge"] == "e"
    assert shown.err == f"{edge_file}: OK\n"


def test_check_shows_the_first_error(edge_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edge_file.write_text(EDGE + 'prot = "x"\n')
    assert cli.main(["edge", "--config", str(edge_file), "--check"]) == cli.CONFIG
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"ocppress: {edge_file}: Object contains unknown field `prot` (at $.link)\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("a"), cli.USAGE),
        (RequestRefused("e"), cli.REFUSED),
        (LinkLost("b"), cli.UNAVAILABLE),
        (LinkRefused("c"), cli.UNAVAILABLE),
        (GatewayError("d"), cli.UNAVAILABLE),
    ],
)
def test_an_error_is_one_line(
    error: GatewayError, code: int, edge_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_run_edge", _raises(error))
    monkeypatch.setattr(cli, "set_up", lambda log: None)
    assert cli.main(["edge", "--config", str(edge_file)]) == code
    assert capsys.readouterr().err == f"ocppress: {error}\n"


def test_an_interrupt_ends_with_130(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_run_edge", _raises(KeyboardInterrupt()))
    monkeypatch.setattr(cli, "set_up", lambda log: None)
    assert cli.main(["edge", "--config", str(edge_file)]) == cli.INTERRUPTED


def test_an_internal_error_keeps_its_traceback(edge_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(cli, "_run_edge", _raises(RuntimeError("broken")))
    monkeypatch.setattr(cli, "set_up", lambda log: None)
    assert cli.main(["edge", "--config", str(edge_file)]) == cli.INTERNAL
    assert "RuntimeError: broken" in caplog.text


def test_a_plain_link_is_warned_of(edge_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(cli, "_run_edge", lambda config: cli.OK)
    monkeypatch.setattr(cli, "set_up", lambda log: None)
    assert cli.main(["edge", "--config", str(edge_file)]) == cli.OK
    assert "not encrypted" in caplog.text


def _raises(error: BaseException) -> Callable[[EdgeConfig], int]:
    def run(config: EdgeConfig) -> int:
        raise error

    return run
