"""A link whose wire is cut without a word, in network namespaces: how many probes have to be lost, and how long that takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.namespaces import Namespaces, cut, mend, namespaces, reason_against

ROOT = Path(__file__).parents[2]


@pytest.fixture
def names() -> Iterator[Namespaces]:
    if reason := reason_against():
        pytest.skip(reason)
    with namespaces() as found:
        yield found


def started(namespace: str, end: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.support.silent_link", end]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("cut_s", [3.0, 100.0])
def test_a_silent_link_outlives_a_lost_probe_and_no_more(cut_s: float, names: Namespaces) -> None:
    cloud = started(names.cloud, "cloud")
    edge = started(names.edge, "edge")
    try:
        time.sleep(1)
        cut(names)
        if cut_s < 50:
            time.sleep(cut_s)
            mend(names)
        said, _ = edge.communicate(timeout=60)
    finally:
        for process in (edge, cloud):
            process.kill()
            process.communicate()
    if cut_s < 50:
        assert said == "alive\n"
    else:
        after_s, _, reason = said.partition(" ")
        assert 6 < float(after_s) < 13, said
        assert reason == "the connection was lost\n"
