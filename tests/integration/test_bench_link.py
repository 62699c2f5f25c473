"""What the link costs on a real wire, against what was measured of such links before (IP bytes both ways, TCP timestamps off)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from bench import link
from bench.namespaces import reason_against

ROOT: Final = Path(__file__).parents[2]

_TUNED: Final = {
    ("full", 0): 2873,
    ("resumed", 0): 1458,
    ("keepalive", 0): 80,
    **{("flush", size): bytes_ for size, bytes_ in ((20, 128), (60, 168), (120, 228), (300, 410), (1000, 1110))},
    **{("relay", size): bytes_ for size, bytes_ in ((20, 193), (60, 233), (120, 293), (300, 475), (1000, 1175))},
}
"""A WebSocket with the best of every habit, measured with other programs: what costs more than 5 % above has lost a habit."""


def check(results: list[dict[str, object]]) -> None:
    assert {(one["what"], one["payload_bytes"]) for one in results} == set(_TUNED)
    for one in results:
        what, size, ip_bytes = one["what"], one["payload_bytes"], one["ip_bytes"]
        assert isinstance(what, str)
        assert isinstance(size, int)
        assert isinstance(ip_bytes, int | float)
        assert 0.6 * _TUNED[what, size] < ip_bytes <= 1.05 * _TUNED[what, size], one


def test_nothing_costs_more_than_it_must() -> None:
    if reason := reason_against():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "bench.link", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout.splitlines()[-1]))


def test_the_results_on_record_are_of_the_kind() -> None:
    check(json.loads(link.RESULTS.read_text()))
