"""Alert rules and dashboards: that Prometheus and Grafana take them, and that they ask for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from tests.support.tree import ROOT

PROMETHEUS: Final = ROOT / "deploy/prometheus"
RULES: Final = PROMETHEUS / "ocppress.rules.yml"
DASHBOARDS: Final = sorted((ROOT / "deploy/grafana").glob("*.json"))
METRIC: Final = re.compile(r"\bocppress_[a-z_]+")

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")

DASHBOARD: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "panels", "templating", "time"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": {"type": "string", "minLength": 1},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "time": {"type": "object", "required": ["from", "to"]},
        "templating": {
            "type": "object",
            "properties": {
                "list": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "type"],
                        "properties": {"type": {"enum": ["query", "adhoc", "constant", "datasource", "interval", "textbox", "custom"]}},
                    },
                }
            },
        },
        "panels": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/panel"}},
    },
    "$defs": {
        "source": {"type": "object", "required": ["type", "uid"], "additionalProperties": False, "properties": {"type": {}, "uid": {}}},
        "panel": {
            "type": "object",
            "required": ["id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig"],
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "type": {"enum": ["timeseries", "stat", "bargauge"]},
                "datasource": {"$ref": "#/$defs/source"},
                "gridPos": {
                    "type": "object",
                    "required": ["h", "w", "x", "y"],
                    "properties": {
                        "h": {"type": "integer", "minimum": 1},
                        "w": {"type": "integer", "minimum": 1, "maximum": 24},
                        "x": {"type": "integer", "minimum": 0, "maximum": 23},
                        "y": {"type": "integer", "minimum": 0},
                    },
                },
                "targets": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["refId", "expr", "datasource"],
                        "properties": {"datasource": {"$ref": "#/$defs/source"}},
                    },
                },
                "fieldConfig": {
                    "type": "object",
                    "required": ["defaults", "overrides"],
                    "properties": {
                        "defaults": {
                            "type": "object",
                            "properties": {
                                "thresholds": {
                                    "type": "object",
                                    "required": ["mode", "steps"],
                                    "properties": {"mode": {"enum": ["absolute", "percentage"]}},
                                }
                            },
                        }
                    },
                },
            },
        },
    },
}
"""What Grafana's schema of dashboards (kinds/dashboard/dashboard_kind.cue of its sources, version 11) says of the parts that are used here."""


def _promtool(*arguments: str | Path, folder: Path = PROMETHEUS) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _queries(dashboard: Path) -> list[str]:
    return [target["expr"] for panel in json.loads(dashboard.read_text())["panels"] for target in panel["targets"]]


@needs_promtool
def test_rules_are_understood_and_alert() -> None:
    _promtool("check", "rules", RULES.name)
    _promtool("test", "rules", "ocppress.test.yml")


@needs_promtool
def test_the_configuration_is_understood(tmp_path: Path) -> None:
    (tmp_path / RULES.name).write_bytes(RULES.read_bytes())
    (tmp_path / "ocppress.token").touch()
    (tmp_path / "prometheus.yml").write_bytes((PROMETHEUS / "prometheus.yml").read_bytes())
    _promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_each_alert_says_whom_it_calls_and_what_helps() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_have_grafana_s_shape(dashboard: Path) -> None:
    whole = json.loads(dashboard.read_text())
    jsonschema.Draft202012Validator(DASHBOARD).validate(whole)
    assert len({panel["id"] for panel in whole["panels"]}) == len(whole["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells


@needs_promtool
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_queries_of_dashboards_are_prometheus_s(dashboard: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query.replace("$instance", ".*")} for number, query in enumerate(_queries(dashboard))]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    _promtool("check", "rules", "queries.yml", folder=tmp_path)


def test_all_that_is_asked_for_is_served() -> None:
    served = set()
    for side in "edge", "cloud":
        module = pytest.importorskip(f"ocppress_gateway.admin.metrics_{side}")
        served |= {metric.full_name for metric in module.METRICS}
    asked = {name for rule in _rules() for name in METRIC.findall(rule["expr"])}
    asked |= {name for dashboard in DASHBOARDS for query in _queries(dashboard) for name in METRIC.findall(query)}
    asked |= {name for dashboard in DASHBOARDS for name in METRIC.findall(json.dumps(json.loads(dashboard.read_text())["templating"]))}
    assert asked - served == set()
