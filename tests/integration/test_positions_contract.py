"""The contract of a store of positions (`positions.base`), over all kinds of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ocppress_gateway.core.stored import (
    POSITION_MAX,
    Buried,
    DeadLetter,
    Lane,
    NotBuried,
    PositionNotSaved,
    PositionSaved,
    PositionsLoaded,
    PositionsOpened,
    PositionsTrouble,
)
from ocppress_gateway.positions.base import COMMIT_PAUSE_S, COMMIT_PAUSE_S_MAX, DEAD_TEXT_MAX, INCARNATIONS_MAX, PositionsLimits
from ocppress_gateway.positions.store import size_of_letter
from ocppress_gateway.storage.desk import RETRY_S_MAX
from tests.support.stores import POSITIONS_KINDS, PositionsRig, letter, positions_rig

ONE = b"incarn 1"
EXPRESS, ORDERED = Lane.EXPRESS, Lane.ORDERED


@pytest.fixture(params=POSITIONS_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rig(kind: str, tmp_path: Path) -> Iterator[PositionsRig]:
    found = positions_rig(kind, tmp_path)
    yield found
    found.close()


def _save(rig: PositionsRig, *saves: tuple[str, bytes, Lane, int]) -> None:
    rig.run()
    rig.heard()
    for save in saves:
        rig.positions.save(*save)
    rig.run()
    assert rig.heard(PositionSaved, PositionNotSaved) == [PositionSaved(*save) for save in saves]


def _load(rig: PositionsRig, identity: str = "CP1") -> dict[bytes, tuple[int, int]]:
    rig.run()
    rig.heard()
    rig.positions.load(identity)
    rig.run()
    (loaded,) = rig.heard(PositionsLoaded)
    assert loaded.identity == identity
    return dict(loaded.positions)


def _bury(rig: PositionsRig, *letters: DeadLetter) -> list[int]:
    rig.run()
    rig.heard()
    for one in letters:
        rig.positions.bury(one)
    rig.run()
    buried = rig.heard(Buried)
    assert [(event.identity, event.message_id) for event in buried] == [(one.identity, one.message_id) for one in letters]
    return [event.key for event in buried]


def _dead(rig: PositionsRig, identity: str | None = None, limit: int = 1000) -> list[DeadLetter]:
    found: list[Sequence[DeadLetter]] = []
    rig.positions.dead(identity, limit, found.append)
    assert found == [], "not from within the call"
    rig.run()
    (letters,) = found
    return list(letters)


def _drop(rig: PositionsRig, key: int) -> bool:
    found: list[bool] = []
    rig.positions.drop(key, found.append)
    rig.run()
    (dropped,) = found
    return dropped


def _keyed(letters: Sequence[DeadLetter], keys: Sequence[int]) -> list[DeadLetter]:
    return [replace(one, key=key) for one, key in zip(letters, keys, strict=True)]


# --- positions


def test_a_new_store_knows_nothing(rig: PositionsRig) -> None:
    rig.run()
    assert rig.heard(PositionsOpened) == [PositionsOpened(None)]
    assert _load(rig) == {}


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_positions_outlive_the_process(rig: PositionsRig, how: str) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 5), ("CP1", ONE, EXPRESS, 2), ("CP2", ONE, ORDERED, POSITION_MAX), ("CP1", b"\x00" * 8, EXPRESS, 1))
    if how == "restart":
        rig.restart()
    else:
        rig.kill()
    assert _load(rig) == {ONE: (2, 5), b"\x00" * 8: (1, 0)}
    assert _load(rig, "CP2") == {ONE: (0, POSITION_MAX)}
    assert _load(rig, "CP3") == {}


def test_a_position_never_goes_back(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 5), ("CP1", ONE, ORDERED, 3), ("CP1", ONE, EXPRESS, 0))
    assert _load(rig) == {ONE: (0, 5)}
    another = b"another "
    _save(rig, ("CP1", another, ORDERED, 1), ("CP1", ONE, ORDERED, 3), ("CP1", another, EXPRESS, 2), ("CP1", ONE, EXPRESS, 1))
    assert _load(rig) == {ONE: (1, 5), another: (2, 1)}


def test_a_load_sees_what_was_saved_before_it(rig: PositionsRig) -> None:
    rig.run()
    for position in range(1, 20):
        rig.positions.save("CP1", ONE, ORDERED, position)
    rig.positions.load("CP1")
    rig.run()
    *saved, loaded = rig.heard(PositionSaved, PositionsLoaded)
    assert saved == [PositionSaved("CP1", ONE, ORDERED, position) for position in range(1, 20)]
    assert loaded == PositionsLoaded("CP1", {ONE: (0, 19)})


def test_the_last_few_incarnations_are_kept(rig: PositionsRig) -> None:
    incarnations = [bytes([number]) * 8 for number in range(INCARNATIONS_MAX + 2)]
    first, second, *others, last = incarnations
    _save(rig, *(("CP1", incarnation, ORDERED, 1) for incarnation in [first, second, *others]))
    assert set(_load(rig)) == {second, *others}
    _save(rig, ("CP1", second, ORDERED, 1))
    _save(rig, ("CP1", last, EXPRESS, 9), ("CP2", first, ORDERED, 4))
    assert set(_load(rig)) == {second, *others[1:], last}, "the one that was saved longest ago is gone"
    assert _load(rig, "CP2") == {first: (0, 4)}
    assert rig.positions.measure().pairs == INCARNATIONS_MAX + 1
    rig.kill()
    assert set(_load(rig)) == {second, *others[1:], last}
    assert rig.positions.measure().pairs == INCARNATIONS_MAX + 1


def test_a_position_that_finds_the_store_idle_is_saved_at_once(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 1))
    rig.positions.save("CP1", ONE, ORDERED, 2)
    rig.run(0.0)
    assert rig.heard(PositionSaved)


def test_stations_share_a_commit(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 1))
    before = rig.positions.measure().commits
    for number in range(100):
        rig.positions.save(f"CP{number}", ONE, ORDERED, 7)
        rig.run(COMMIT_PAUSE_S / 100)
    rig.run(COMMIT_PAUSE_S)
    assert len(rig.heard(PositionSaved)) == 100
    assert rig.positions.measure().commits <= before + 3


def test_commits_with_company_are_further_apart(rig: PositionsRig) -> None:
    """Of 200 stations, each as fast as its positions are saved, and of one that is alone again."""
    stations = [f"CP{number}" for number in range(200)]

    def commits_of(names: list[str], seconds: float) -> int:
        before = rig.positions.measure().commits
        until = rig.now + seconds
        for name in names:
            rig.positions.save(name, ONE, ORDERED, next(positions))
        while rig.now < until:
            rig.run(0.001)
            for saved in rig.heard(PositionSaved):
                rig.positions.save(saved.identity, ONE, ORDERED, next(positions))
        rig.run()
        rig.heard(PositionSaved)
        return rig.positions.measure().commits - before

    positions = itertools.count(1)
    rig.run()
    assert commits_of(stations, 1.0) == pytest.approx(1.0 / COMMIT_PAUSE_S_MAX, abs=2)
    assert commits_of(stations[:1], 1.0) == pytest.approx(1.0 / COMMIT_PAUSE_S, abs=10)


@pytest.mark.parametrize(("writes", "pause_s"), [(0, 0.01), (1, 0.01), (2, 0.01), (6, 0.03), (10, 0.05), (1000, 0.05)])
def test_the_pause_grows_with_the_company(writes: int, pause_s: float) -> None:
    assert PositionsLimits().pause_s(writes) == pytest.approx(pause_s)


def test_too_many_outboxes_wait_for_room(kind: str, tmp_path: Path) -> None:
    rig = positions_rig(kind, tmp_path, PositionsLimits(pairs_max=3))
    _save(rig, *((f"CP{number}", ONE, ORDERED, 1) for number in range(3)))
    rig.positions.save("CP3", ONE, ORDERED, 1)
    rig.positions.save("CP2", ONE, ORDERED, 2)
    rig.run(300)
    refused, saved = rig.heard(PositionNotSaved, PositionSaved)
    assert isinstance(refused, PositionNotSaved)
    assert refused.identity == "CP3"
    assert saved == PositionSaved("CP2", ONE, ORDERED, 2)
    assert _load(rig, "CP3") == {}
    rig.close()


# --- a disk that fails


def test_positions_are_saved_when_the_disk_works_again(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 1))
    rig.break_disk()
    rig.positions.save("CP1", ONE, ORDERED, 2)
    rig.positions.save("CP2", ONE, EXPRESS, 7)
    rig.run(0.5)
    rig.positions.save("CP1", ONE, EXPRESS, 3)
    rig.run(600)
    saves = [("CP1", ONE, ORDERED, 2), ("CP2", ONE, EXPRESS, 7), ("CP1", ONE, EXPRESS, 3)]
    trouble, *refused = rig.heard(PositionsTrouble, PositionSaved, PositionNotSaved)
    assert trouble == PositionsTrouble("no space left on the disk")
    assert refused == [PositionNotSaved(*save, "no space left on the disk") for save in saves], "once each"
    rig.repair_disk()
    rig.run(RETRY_S_MAX)
    over, *saved = rig.heard(PositionsTrouble, PositionSaved, PositionNotSaved)
    assert over == PositionsTrouble(None)
    assert saved == [PositionSaved(*save) for save in saves]
    rig.kill()
    assert _load(rig) == {ONE: (3, 2)}


def test_positions_that_waited_for_the_disk_are_saved_before_later_ones(rig: PositionsRig) -> None:
    rig.run()
    rig.break_disk()
    rig.positions.save("CP1", ONE, ORDERED, 1)
    rig.run(600)
    rig.repair_disk()
    rig.now += RETRY_S_MAX
    rig.positions.save("CP1", ONE, ORDERED, 2)
    rig.run()
    assert [event.position for event in rig.heard(PositionSaved)] == [1, 2]


def test_a_letter_is_not_kept_by_a_disk_that_fails(rig: PositionsRig) -> None:
    rig.run()
    rig.break_disk()
    rig.positions.bury(letter(1))
    rig.run()
    assert rig.heard(Buried, NotBuried) == [NotBuried("CP1", "id-1", "no space left on the disk")]
    rig.repair_disk()
    rig.run(RETRY_S_MAX)
    assert _dead(rig) == []
    assert _bury(rig, letter(1))
    assert rig.positions.measure().dead_letters == 1


def test_closing_saves_what_waits(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 1))
    rig.positions.save("CP1", ONE, ORDERED, 2)
    rig.restart()
    assert rig.heard(PositionSaved) == [PositionSaved("CP1", ONE, ORDERED, 2)]
    assert _load(rig) == {ONE: (0, 2)}


# --- dead letters


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_letters_outlive_the_process(rig: PositionsRig, how: str) -> None:
    letters = [letter(1), letter(2, identity="CP2"), letter(3)]
    keys = _bury(rig, *letters)
    assert len(set(keys)) == 3
    if how == "restart":
        rig.restart()
    else:
        rig.kill()
    expected = _keyed(letters, keys)
    assert _dead(rig) == expected
    assert _dead(rig, "CP1") == [expected[0], expected[2]]
    assert _dead(rig, "CP3") == []
    assert _dead(rig, limit=2) == expected[:2]
    assert _dead(rig, limit=0) == []
    found: list[DeadLetter | None] = []
    for key in (keys[1], max(keys) + 1):
        rig.positions.dead_letter(key, found.append)
    rig.run()
    assert found == [expected[1], None]


def test_a_letter_is_kept_once(rig: PositionsRig) -> None:
    (key,) = _bury(rig, letter(1))
    assert _bury(rig, replace(letter(1), attempts=9), replace(letter(1), identity="CP2")) == [key, key + 1]
    assert [one.attempts for one in _dead(rig)] == [3, 3]


def test_a_dropped_letter_is_gone_and_its_key_with_it(rig: PositionsRig) -> None:
    keys = _bury(rig, letter(1), letter(2))
    assert _drop(rig, keys[1])
    assert not _drop(rig, keys[1])
    rig.kill()
    assert not _drop(rig, keys[1])
    (key,) = _bury(rig, letter(3))
    assert key > keys[1]
    assert _dead(rig) == _keyed([letter(1), letter(3)], [keys[0], key])


def test_a_list_has_no_more_text_than_memory_takes_and_one_letter_at_least(rig: PositionsRig) -> None:
    letters = [letter(number, fill=DEAD_TEXT_MAX // 3) for number in range(4)]
    keys = _bury(rig, *letters, letter(9, fill=DEAD_TEXT_MAX))
    assert _dead(rig) == _keyed(letters[:2], keys[:2])
    for key in keys[:4]:
        _drop(rig, key)
    assert len(_dead(rig)) == 1


@pytest.mark.parametrize("by", ["number", "bytes"])
def test_when_there_is_no_room_a_letter_is_refused_and_none_is_dropped(kind: str, by: str, tmp_path: Path) -> None:
    size = size_of_letter(letter(1))
    limits = PositionsLimits(dead_letters_max=5) if by == "number" else PositionsLimits(dead_bytes_max=5 * size)
    rig = positions_rig(kind, tmp_path, limits)
    letters = [letter(number) for number in range(5)]
    keys = _bury(rig, *letters)
    for _ in range(2):
        rig.positions.bury(letter(5))
        rig.positions.bury(letter(4))
        rig.run()
        refused, known = rig.heard(Buried, NotBuried)
        assert isinstance(refused, NotBuried)
        assert refused.reason.startswith("full: 5 dead letters")
        assert known == Buried("CP1", "id-4", keys[4])
        rig.kill()
    assert _dead(rig) == _keyed(letters, keys)
    assert rig.heard(PositionsTrouble) == [], "positions are saved as ever"
    _drop(rig, keys[0])
    assert _bury(rig, letter(5))
    rig.close()


def test_the_figures_are_right(rig: PositionsRig) -> None:
    _save(rig, ("CP1", ONE, ORDERED, 1), ("CP2", ONE, ORDERED, 1))
    keys = _bury(rig, letter(1), letter(2), letter(3))
    _drop(rig, keys[0])
    for _ in range(2):
        measure = rig.positions.measure()
        expected = 2, 2, size_of_letter(letter(2)) + size_of_letter(letter(3))
        assert (measure.pairs, measure.dead_letters, measure.dead_bytes) == expected
        assert (measure.trouble, measure.faults) == (None, 0)
        rig.restart()
        rig.run()
