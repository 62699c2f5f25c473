"""The table of statistics: however many places were changed, each keeps what it learned, and gives it back when that is undone."""

from __future__ import annotations

import random

import pytest
from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.contexts import STATE_MASK, TABLE_SIZE
from ocppress_codecs.adaptive.table import PLACES_MAX, Table, learned


def known() -> list[int]:
    source = random.Random(7)
    return [source.randrange(STATE_MASK + 1) for _ in range(TABLE_SIZE)]


def seen(table: Table, states: list[int], place: int, bit: int) -> None:
    """One decision, of the table and of the list that says what is expected."""
    if table.crowded:
        table.grow()
    slot = table.slot(place)
    entry: int = table.entries[slot]
    table.learn(slot, place, entry & STATE_MASK, bit)
    states[place] = learned(states[place], bit)


@pytest.mark.parametrize("places", [1, 190, 193, 3000, 6200, TABLE_SIZE])
def test_each_place_has_its_own_state(places: int) -> None:
    states = known()
    table = Table(vec[i64](states))
    source = random.Random(places)
    for place in source.sample(range(TABLE_SIZE), places) * 2:
        seen(table, states, place, source.getrandbits(1))
    assert table.states() == states


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_undoing_goes_back_to_what_was_kept(kept: int) -> None:
    states = known()
    table = Table(vec[i64](states))
    for place in range(kept):
        seen(table, states, place * 3 % TABLE_SIZE, 1)
    table.keep()
    before = list(states)
    for place in range(9000):
        seen(table, states, place * 5 % TABLE_SIZE, place & 1)
    assert table.states() == states != before
    table.undo()
    assert table.states() == before
    assert len(table.journal) == 0


def test_restoring_takes_no_more_than_what_differs() -> None:
    states = known()
    table = Table(vec[i64](states))
    changed = list(states)
    for place in range(0, TABLE_SIZE, 100):
        changed[place] ^= 1
    table.restore(changed)
    assert table.states() == changed
    assert len(table.entries) < TABLE_SIZE // 8
    table.undo()
    assert table.states() == changed, "what was restored is kept"


def test_a_decision_finds_room_in_whatever_group_it_comes_to() -> None:
    """All places of one group, as many at once as a decision can come to."""
    table = Table(vec[i64](known()))
    places = list(range(5, TABLE_SIZE, 64))
    for begin in range(0, len(places), PLACES_MAX):
        if table.crowded:
            table.grow()
        slots = [table.slot(place) for place in places[begin : begin + PLACES_MAX]]
        assert len(set(slots)) == len(slots)
        assert slots == [table.slot(place) for place in places[begin : begin + PLACES_MAX]], "each place stays in its slot"
    assert table.states() == known()
