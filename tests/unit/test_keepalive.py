"""The search for the longest silence that a network allows."""

from __future__ import annotations

import random

import msgspec
import pytest

from ocppress_gateway.core.keepalive import AGAIN_S, INTERVALS_S, LOSSES_KNOWN, LOSSES_TRIED, NETWORKS_MAX, START_S, KeepaliveSearch
from ocppress_gateway.core.plan import idle_day_bytes


class Carrier:
    """Forgets a mapping after `forgets_s`; loses one connection in `one_in` besides."""

    def __init__(self, forgets_s: float, one_in: int = 0, seed: int = 1) -> None:
        self._forgets_s = forgets_s
        self._one_in = one_in
        self._random = random.Random(seed)
        self.now = 0.0
        self.lost = 0
        self.probes = 0

    def live(self, search: KeepaliveSearch, duration_s: float, *, charging: bool = False) -> None:
        """Nothing but probes."""
        end = self.now + duration_s
        while self.now < end:
            interval_s = search.interval_s(self.now, charging=charging)
            self.now += interval_s
            self.probes += 1
            if interval_s >= self._forgets_s or (self._one_in and self._random.randrange(self._one_in) == 0):
                self.lost += 1
                self.now += 60
                search.lost(interval_s + 60, interval_s, self.now)
            else:
                search.survived(interval_s)


def search(longest_s: float = 1500) -> KeepaliveSearch:
    found = KeepaliveSearch(longest_s=longest_s)
    found.on("wwan0")
    return found


@pytest.mark.parametrize(
    ("forgets_s", "found_s"), [(25 * 60 + 1, 1500), (9.5 * 60, 450), (300, 240), (125, 120), (100_000, 1500), (10, 60)]
)
def test_it_finds_the_longest_that_a_carrier_allows(forgets_s: float, found_s: int) -> None:
    subject, carrier = search(), Carrier(forgets_s)
    carrier.live(subject, 86_400)
    assert subject.interval_s(carrier.now, charging=False) == found_s
    assert forgets_s < 60 or carrier.lost <= LOSSES_TRIED + 2 * LOSSES_KNOWN, "a few connections, once: one step up, two down"


def test_the_search_pays_for_itself_within_a_day() -> None:
    carrier = Carrier(25 * 60 + 1)
    carrier.live(search(), 86_400)
    searched = carrier.probes * 80
    assert searched < 1.2 * (idle_day_bytes(1500) - idle_day_bytes(10**9)) + 10 * 80
    assert searched < 0.4 * (idle_day_bytes(START_S) - idle_day_bytes(10**9))


@pytest.mark.parametrize("seed", range(20))
def test_radio_that_is_lost_now_and_then_does_not_mislead_it_for_long(seed: int) -> None:
    subject, carrier = search(), Carrier(25 * 60 + 1, one_in=10, seed=seed)
    carrier.live(subject, 30 * 86_400)
    assert subject.interval_s(carrier.now, charging=False) >= 600


def test_nothing_is_tried_while_a_car_charges() -> None:
    subject, carrier = search(), Carrier(10_000)
    carrier.live(subject, 86_400, charging=True)
    assert subject.interval_s(carrier.now, charging=True) == START_S
    assert subject.interval_s(carrier.now, charging=False) > START_S


def test_other_traffic_after_a_silence_tells_as_much_as_a_probe() -> None:
    subject = search()
    note = subject.survived(1000)
    assert note is not None
    assert note.fields == {"seconds": 780}
    assert subject.interval_s(0, charging=True) == 780


def test_a_loss_without_a_silence_tells_nothing() -> None:
    subject = search()
    for _ in range(10):
        assert subject.lost(100, 330, 0.0) is None
    assert subject.interval_s(0, charging=True) == START_S


def test_what_was_too_long_is_tried_again_after_a_week() -> None:
    subject = search()
    assert [subject.lost(400, 330, 50.0) is None for _ in range(2)] == [True, False]
    assert subject.interval_s(60.0, charging=False) == 240
    assert subject.interval_s(50.0 + AGAIN_S, charging=False) == 330


def test_no_interval_is_longer_than_reachability_allows() -> None:
    subject, carrier = search(500), Carrier(10_000)
    carrier.live(subject, 86_400)
    assert subject.interval_s(carrier.now, charging=False) == 450
    assert search(30).interval_s(0, charging=False) == INTERVALS_S[0]


def test_a_fixed_interval_stays() -> None:
    subject = KeepaliveSearch(longest_s=1500, fixed_s=77)
    subject.survived(1000)
    for _ in range(5):
        assert subject.lost(100, 77, 0.0) is None
    assert subject.interval_s(0, charging=False) == 77


def test_networks_are_remembered_each_by_itself() -> None:
    subject, carrier = search(), Carrier(600)
    carrier.live(subject, 86_400)
    subject.on("eth0")
    assert subject.interval_s(carrier.now, charging=True) == START_S
    again = KeepaliveSearch(longest_s=1500)
    again.restore(subject.snapshot(carrier.now), 5.0)
    again.on("wwan0")
    assert again.interval_s(5.0, charging=False) == 450
    assert again.interval_s(5.0 + AGAIN_S, charging=False) == 600


def test_networks_are_bounded() -> None:
    subject = search()
    for number in range(100):
        subject.on(f"net{number}")
    assert len(msgspec.json.decode(subject.snapshot(0.0))[1]) <= NETWORKS_MAX


@pytest.mark.parametrize("data", [b"", b"[]", b"[2,[]]", b'[1,[["a",99,null,0]]]', b'[1,[["a",1,null,-1]]]', b'[1,[["a",1,null,0,0]]]'])
def test_a_snapshot_that_makes_no_sense_changes_nothing(data: bytes) -> None:
    subject = search()
    with pytest.raises(ValueError, match=r"\w"):
        subject.restore(data, 0.0)
    assert subject.interval_s(0, charging=True) == START_S
