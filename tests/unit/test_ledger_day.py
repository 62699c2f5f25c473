"""A day's account: adding, bounds, bytes."""

from __future__ import annotations

import msgspec
import pytest

from ocppress_gateway.core.ledger_day import NAMES_MAX, REST, DayAccount, Layer, shared_out
from ocppress_gateway.core.ledger_events import Way

UP, DOWN = Way.UP, Way.DOWN


def _full() -> DayAccount:
    account = DayAccount(rounding=7)
    for place, layer in enumerate(Layer):
        if layer is not Layer.PAYLOAD:
            account.add_counted(UP, layer, 10**place)
    account.add_payload(UP, "CP1", "MeterValues", 5)
    account.add_payload(DOWN, "CP2", "", 6)
    account.add_estimated(DOWN, 8)
    account.add_sim(UP, 3_000_000)
    return account


def test_lines() -> None:
    account = _full()
    assert account.counted_bytes == 1_111_110 + 5 + 6
    assert account.ours_bytes == account.counted_bytes + 8
    assert account.others_bytes == 3_000_000 - account.ours_bytes
    assert account.total_bytes == 3_000_000 + 7
    assert account.layer_bytes(Layer.PAYLOAD) == 11
    assert account.layer_bytes(Layer.PAYLOAD, DOWN) == 6


def test_an_interface_that_shows_less_than_ours_is_not_believed() -> None:
    account = DayAccount(estimated=[100, 0], sim=[40, 0])
    assert (account.total_bytes, account.others_bytes) == (100, 0)


def test_adding_adds_everything() -> None:
    twice = DayAccount.sum([_full(), _full()])
    assert twice.counted == [2 * count for count in _full().counted]
    assert (twice.estimated, twice.sim, twice.rounding) == ([0, 16], [6_000_000, 0], 14)
    assert twice.stations == {"CP1": [10, 0], "CP2": [0, 12]}
    assert twice.actions == {"MeterValues": [10, 0], "": [0, 12]}


def test_comes_back_from_its_bytes() -> None:
    assert DayAccount.decoded(_full().encoded()) == _full()


def test_names_are_bounded_and_printable() -> None:
    account = DayAccount()
    for number in range(200):
        account.add_payload(UP, f"CP{number}", f"Action{number}", 1)
    assert len(account.stations) == len(account.actions) == NAMES_MAX + 1
    assert account.stations[REST] == account.actions[REST] == [200 - NAMES_MAX, 0]
    odd = DayAccount()
    for action in ("\ud800", "a" * 65, "line\nfeed"):
        odd.add_payload(UP, "CP1", action, 1)
    assert odd.actions == {REST: [3, 0]}
    assert DayAccount.decoded(odd.encoded()) == odd


def test_the_largest_account_is_small() -> None:
    account = DayAccount()
    for number in range(200):
        account.add_payload(UP, f"{number:048}", f"{number:064}", 2**40)
    assert len(account.encoded()) < 12_000


def test_an_account_from_before_transfers_were_booked_is_read() -> None:
    values = [[0] * 14, [3, 0], [0, 9000], 0, {}, {}]
    account = DayAccount.decoded(msgspec.msgpack.encode(values))
    assert (account.others_bytes, account.transfers_bytes) == (8997, 0)
    account.add_transfers(5000)
    assert DayAccount.decoded(account.encoded()).transfers_bytes == 5000


def test_transfers_are_part_of_the_others() -> None:
    account = DayAccount()
    account.add_transfers(500)
    assert (account.transfers_bytes, account.others_bytes, account.total_bytes) == (0, 0, 0)
    account.add_sim(DOWN, 300)
    account.add_estimated(UP, 100)
    assert (account.transfers_bytes, account.others_bytes, account.total_bytes) == (200, 200, 300)
    both = DayAccount.sum([account, account])
    assert both.transfers == 1000


def test_what_there_would_have_been_is_in_no_sum() -> None:
    account = DayAccount()
    account.add_estimated(Way.UP, 70)
    account.add_comparison(9_000, 3_000)
    both = DayAccount.sum([account, DayAccount.decoded(account.encoded())])
    assert (both.plain, both.deflate) == (18_000, 6_000)
    assert (both.total_bytes, both.ours_bytes, both.counted_bytes) == (140, 140, 0)


@pytest.mark.parametrize(
    "values",
    [
        [[0] * 13],
        [[-1] + [0] * 13],
        [[2**63] + [0] * 13],
        [[1] + [0] * 13, [0, 0], [0, 0], 0, {}, {}],
        [[1] + [0] * 13, [0, 0], [0, 0], 0, {"CP1": [0, 1]}, {"": [1, 0]}],
        [[0] * 14, [0, 0], [0, 0], 0, {}, {}, -9],
        [[0] * 14, [0, 0], [0, 0], 0, {}, {}, 9, -9],
        [[0] * 14, [0, 0], [0, 0], 0, {}, {}, 9, 9, 9, 9],
        [[0] * 14, [0], [0, 0], 0, {}, {}],
        "text",
    ],
)
def test_refuses_what_it_cannot_have_written(values: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        DayAccount.decoded(msgspec.msgpack.encode(values))


@pytest.mark.parametrize(
    ("count", "weights", "shares"),
    [
        (10, {"a": 1, "b": 1, "c": 1}, {"a": 3, "b": 3, "c": 4}),
        (7, {"a": 100}, {"a": 7}),
        (1, {"a": 1, "b": 99}, {"a": 0, "b": 1}),
        (5, {}, {"": 5}),
        (5, {"a": 0}, {"": 5}),
    ],
)
def test_sharing_out_loses_nothing(count: int, weights: dict[str, int], shares: dict[str, int]) -> None:
    assert shared_out(count, weights) == shares
    assert sum(shares.values()) == count
