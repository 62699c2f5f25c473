from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ocppress_gateway.config import CloudConfig, EdgeConfig, cloud_from, edge_from
from ocppress_gateway.config_text import commented_toml, edges_entry, reference

EDGE = {"stations": {"port": 9001}, "link": {"url": "ws://h/", "edge": "e"}}
CLOUD = {"csms": {"url": "ws://h/{identity}"}, "edges": [{"name": "a", "stations": ["x", "y"]}, {"name": "b", "stations": ["*"]}]}


def test_a_commented_file_says_what_was_given() -> None:
    assert tomllib.loads(commented_toml(EdgeConfig, EDGE, "edge")) == {
        **EDGE,
        **{table: {} for table in ("timeouts", "outbox", "suppression", "sim", "log")},
    }
    assert tomllib.loads(commented_toml(CloudConfig, CLOUD, "cloud")) == {
        **CLOUD,
        **{table: {} for table in ("link", "transfers", "timeouts", "log")},
    }


def test_a_commented_default_is_the_default() -> None:
    text, _, _ = commented_toml(EdgeConfig, EDGE, "edge").partition("#[admin]")  # optional, with a table for each of many
    uncommented = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith(("# ", "#[")) and not line.endswith("=") else line
        for line in text.splitlines()
    )
    assert uncommented != text
    place = Path("/etc/ocppress/edge.toml")
    assert edge_from(tomllib.loads(uncommented), place) == edge_from(EDGE, place)


def test_every_key_is_explained() -> None:
    for kind, values in (EdgeConfig, EDGE), (CloudConfig, CLOUD):
        lines = commented_toml(kind, values, "heading").splitlines()
        for before, line in pairwise(lines):
            if "=" in line and not line.startswith("# ") and not line.startswith(("name =", "stations =")):
                assert before.startswith("# "), line
        assert not any(row.endswith("|  |") for row in reference(kind).splitlines()[2:])


def test_a_table_in_a_value_is_toml() -> None:
    bands = {"Current.Import": 0.1, "Voltage": 2.0}
    text = commented_toml(EdgeConfig, {**EDGE, "suppression": {"silence_s": 900.0, "bands": bands}}, "edge")
    assert tomllib.loads(text)["suppression"] == {"silence_s": 900.0, "bands": bands}


def test_a_value_that_is_not_declared_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="isn't declared"):
        commented_toml(EdgeConfig, {**EDGE, "prot": 1}, "edge")


def test_a_required_value_must_be_given() -> None:
    with pytest.raises(AssertionError, match=r"link\.url needs a value"):
        commented_toml(EdgeConfig, {}, "edge")


def test_an_entry_can_be_appended() -> None:
    text = commented_toml(CloudConfig, CLOUD, "cloud") + edges_entry("c", ['"quoted"', "z"])
    assert tomllib.loads(text)["edges"][2] == {"name": "c", "stations": ['"quoted"', "z"]}


@pytest.mark.parametrize(("kind", "build", "values"), [(EdgeConfig, edge_from, EDGE), (CloudConfig, cloud_from, CLOUD)])
def test_the_reference_has_every_key(kind: type[msgspec.Struct], build: Any, values: dict[str, Any]) -> None:
    keys = {row.split("`")[1].strip("[]") for row in reference(kind).splitlines()[2:]}
    config = build(values, Path("/x.toml"))
    assert {f"{name}.{inner}" for name in ("link", "timeouts", "log") for inner in getattr(config, name).__struct_fields__} <= keys
    assert set(config.__struct_fields__) <= keys
