"""`core.alarms` beside a dictionary that is searched each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway.core.alarms import Alarms, earlier

_KEYS = st.integers(0, 5)
_TIMES = st.integers(0, 20).map(float)
_SETTINGS = st.tuples(_KEYS, st.none() | _TIMES)


@given(st.lists(_SETTINGS | _TIMES, max_size=300))
def test_alarms_come_when_they_are_set_for_however_often_they_were_set_anew(steps: list[tuple[int, float | None] | float]) -> None:
    alarms: Alarms[int] = Alarms()
    expected: dict[int, float] = {}
    for step in steps:
        if isinstance(step, tuple):
            key, at = step
            alarms.set(key, at)
            expected.pop(key, None)
            if at is not None:
                expected[key] = at
        else:
            due = alarms.take_due(step)
            assert sorted(due) == sorted(key for key, at in expected.items() if at <= step)
            assert [expected[key] for key in due] == sorted(expected[key] for key in due)
            for key in due:
                del expected[key]
        assert alarms.next() == min(expected.values(), default=None)


def test_a_key_that_is_put_off_for_ever_takes_no_room() -> None:
    alarms: Alarms[int] = Alarms()
    for number in range(10_000):
        alarms.set(1, float(number))
        alarms.set(2, float(-number))
        alarms.set(3 + number % 100, None if number % 3 else float(number))
    assert len(alarms._heap) < 400


def test_the_earlier_of_two_times() -> None:
    assert earlier(None, None) is None
    assert earlier(1.0, None) == earlier(None, 1.0) == earlier(1.0, 2.0) == earlier(2.0, 1.0) == 1.0
