"""`kill -9` at any moment: what was said to be stored is there, where it was said, and nothing else takes its place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

from ocppress_gateway.core.stored import Lane
from ocppress_gateway.outbox.sqlite import OUTBOX_FILE, SqliteOutboxStore
from tests.support.stores import message
from tests.support.storing_process import STATIONS

Key = tuple[str, Lane]

FIRST_LINE_S = 30.0


class _Lives:
    """One outbox and all that its processes have said of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = Random(seed)
        self._first_number = 1
        self._asked: set[int] = set()
        self._incarnations: set[str] = set()
        self.numbers: dict[Key, dict[int, int]] = defaultdict(dict)
        """Per lane: position to the number of the message there."""
        self._forgotten: dict[Key, int] = defaultdict(int)

    def live(self) -> None:
        """Start a process, kill it at some moment, and look at what is left."""
        lines = self._run_and_kill()
        asked = {int(words[1]) for words in lines if words[0] == "ask"}
        for words in lines:
            if words[0] == "opened":
                self._incarnations.add(words[1])
            elif words[0] == "stored":
                key, position, number = (words[1], Lane(int(words[2]))), int(words[3]), int(words[4])
                assert position not in self.numbers[key], "a position is given once"
                self.numbers[key][position] = number
            elif words[0] == "forget":
                key = words[1], Lane(int(words[2]))
                self._forgotten[key] = max(self._forgotten[key], int(words[3]))
        self._asked |= asked
        self._first_number = max(asked, default=self._first_number) + 1
        self._look()

    def _run_and_kill(self) -> list[list[str]]:
        program = [sys.executable, "-m", "tests.support.storing_process", self._folder, self._random.randrange(10**6), self._first_number]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(list(map(str, program)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        said = b""
        wait_s = self._random.choice([0.0, self._random.random() * 0.3])
        deadline = None if wait_s or not self._incarnations else time.monotonic() + self._random.random() * 0.6
        give_up = time.monotonic() + FIRST_LINE_S
        while deadline is None or time.monotonic() < deadline:
            said += process.stdout.read() or b""
            if deadline is None and b"\n" in said:
                deadline = time.monotonic() + wait_s
            assert time.monotonic() < give_up, "it says nothing"
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.001)
        process.kill()
        process.wait()
        os.set_blocking(process.stdout.fileno(), True)
        rest, errors = process.communicate()
        assert errors == b""
        lines = (said + rest).decode().splitlines(keepends=True)
        return [line.split() for line in lines if line.endswith("\n")]

    def _look(self) -> None:
        store = SqliteOutboxStore(self._folder)
        store.open()
        assert store.opened is not None
        assert store.opened.fault is None
        self._incarnations.add(store.opened.incarnation.hex())
        assert len(self._incarnations) == 1
        records = {record.identity: record for record in store.opened.stations}
        for key in [(identity, lane) for identity in STATIONS for lane in Lane]:
            identity, lane = key
            known = self.numbers[key]
            record = records.get(identity)
            newest, delivered = (0, 0) if record is None else (record.newest[lane], record.delivered[lane])
            assert newest >= max(known, default=0)
            assert delivered <= self._forgotten[key]
            loaded = store.load(identity, lane, 0, 10**9)
            assert [one.position for one in loaded] == list(range(delivered + 1, newest + 1))
            for one in loaded:
                number = int.from_bytes(one.fingerprint, "big")
                assert number in self._asked
                assert known.setdefault(one.position, number) == number, "where it was said"
                assert one.body.startswith(message(number).body[:-4]), "and what was said"
        store.close()


@pytest.mark.parametrize("seed", range(2))
def test_kills(tmp_path: Path, seed: int) -> None:
    lives = _Lives(tmp_path / "state", seed)
    for _ in range(8):
        lives.live()
    assert sum(map(len, lives.numbers.values())) > 100


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 104))
def test_soak_kills(tmp_path: Path, seed: int) -> None:
    lives = _Lives(tmp_path / "state", seed)
    # A slow machine stores less in a life, so it has more of them.
    kills = 0
    while kills < 150 or sum(map(len, lives.numbers.values())) < 10_000:
        lives.live()
        kills += 1
    print(f"seed {seed}: {kills} kills, {sum(map(len, lives.numbers.values()))} messages stored")
    assert (tmp_path / "state" / OUTBOX_FILE).stat().st_size < 64 * 1024 * 1024
