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
from ocppress_gateway.config import PING_BYTES

ROOT: Final = Path(__file__).parents[2]

_TUNED: Final = {
    ("full", 0): 2873,
    ("resumed", 0): 1458,
    ("keepalive", 0): 80,
    **{("flush", size): bytes_ for size, bytes_ in ((20, 128), (60, 168), (120, 228), (300, 410), (1000, 1110))},
    **{("relay", size): bytes_ for size, bytes_ in ((20, 193), (60, 233), (120, 293), (300, 475), (1000, 1175))},
}
"""A WebSocket with the best of every habit, measured with other programs: what costs more than 5 % above has lost a habit."""

_BROKER: Final = {
    ("full", 0): 4005,
    ("resumed", 0): 2407,
    ("keepalive", 0): 80,
    ("ping", 0): PING_BYTES,
    **{("flush", size): bytes_ for size, bytes_ in ((20, 139), (60, 179), (120, 240), (300, 420), (1000, 1120))},
    **{("relay", size): _TUNED["relay", size] + 40 for size in (20, 60, 120, 300, 1000)},
}
"""Over a mosquitto at QoS 0, measured with a bare client and a topic of 12 characters; a relay is a topic and an expiry dearer than WebSocket's."""


def check(results: list[dict[str, object]], transports: set[str]) -> None:
    assert {one["transport"] for one in results} == transports
    for transport in transports:
        tuned = _TUNED if transport == "websocket" else _BROKER
        rows = [one for one in results if one["transport"] == transport]
        assert {(one["what"], one["payload_bytes"]) for one in rows} == set(tuned)
        for one in rows:
            what, size, ip_bytes = one["what"], one["payload_bytes"], one["ip_bytes"]
            assert isinstance(what, str)
            assert isinstance(size, int)
            assert isinstance(ip_bytes, int | float)
            assert 0.6 * tuned[what, size] < ip_bytes <= 1.05 * tuned[what, size], one


def test_nothing_costs_more_than_it_must() -> None:
    if reason := reason_against():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "bench.link", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout.splitlines()[-1]), set(link.TRANSPORTS) if link.mosquitto() else {"websocket"})


def test_the_results_on_record_are_of_the_kind() -> None:
    check(json.loads(link.RESULTS.read_text()), set(link.TRANSPORTS))
