"""What the documents say is so: generated parts are current, examples load, commands exist."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from ocppress_codecs.account import Part
from ocppress_gateway import __version__
from ocppress_gateway.cli import build_parser
from ocppress_gateway.config import load_cloud, load_edge
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.tools.breakdown import Share
from ocppress_gateway.tools.inspection import FrameReport, MessageReport, OpeningReport, Piece, Trouble
from ocppress_gateway.tools.measure import Coded, Measured
from scripts.documents import DOCUMENTS, EXAMPLES, PARTS, with_parts
from tests.support.tree import ROOT

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS: Final = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
"""Every line in a shell block of the README."""


def test_each_generated_part_stands_in_one_document() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS]
    assert sorted(PARTS) == sorted(part for text in texts for part in re.findall("<!-- generated:([a-z-]+) -->", text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_generated_parts_are_current(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert with_parts(text) == text, "run `make documents`"


@pytest.mark.parametrize("name", EXAMPLES)
def test_generated_files_are_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == EXAMPLES[name](), "run `make documents`"


def test_every_configuration_in_deploy_is_generated() -> None:
    assert {str(file.relative_to(ROOT)) for file in (ROOT / "deploy").rglob("*.toml")} == {
        name for name in EXAMPLES if name.endswith(".toml")
    }


def test_development_configurations_fit_together() -> None:
    edge, cloud = load_edge(ROOT / "deploy/dev/edge.toml"), load_cloud(ROOT / "deploy/dev/cloud.toml")
    assert edge.link.url == f"ws://{cloud.link.host}:{cloud.link.port}/"
    assert edge.link.edge == cloud.edges[0].name


def test_examples_with_tls_load_beside_the_files_that_the_authority_makes(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    folder = tmp_path / "authority"
    make_authority_folder(folder, name="test", hosts=["localhost"], csms_url="ws://localhost/{identity}", now=now)
    make_edge_folder(folder, "site-1", stations=["CP001"], cloud_url=None, now=now)
    for example, place, load in (
        ("deploy/examples/edge.toml", folder / "edges/site-1/edge.toml", load_edge),
        ("deploy/examples/cloud.toml", folder / "cloud/cloud.toml", load_cloud),
    ):
        place.write_text((ROOT / example).read_text(encoding="utf-8"), encoding="utf-8")
        load(place)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_readme_exist(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line, comments=True)
    match words[0].rsplit("/", 1)[-1]:
        case "ocppress":
            _parses(words[1:], monkeypatch)
        case "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        case other:
            assert other in {"git", "cd", "pip", "python3", "activate", "."}, f"{other} isn't known here"


def _parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parser: argparse.ArgumentParser, message: str) -> None:
        pytest.fail(f"{parser.prog}: {message}")

    monkeypatch.setattr(argparse.ArgumentParser, "error", fail)
    if words == ["--version"]:
        return  # prints and exits; tested with the command line
    assert callable(build_parser().parse_args(words).func)


def test_keys_of_json_are_explained() -> None:
    shapes = (Measured, Coded, Share, FrameReport, OpeningReport, MessageReport, Piece, Trouble)
    keys = {field.name for shape in shapes for field in fields(shape)} | {*Part}
    assert sorted(key for key in keys if not re.search(rf"`(coded\[\]\.)?{key}`", README)) == []


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b", changelog, re.MULTILINE)
