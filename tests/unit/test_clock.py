"""Deadlines across the link: never later than meant, whatever the delays; not much earlier without them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway.core.clock import CLOCK_AGE_MAX_S, CLOCK_DRIFT, STAMP_LIFE_MAX_S, LinkClock

LIFE_S = 30.0


def clocks(offset: float, greeting_s: float) -> tuple[LinkClock, LinkClock]:
    """Sender and receiver after a greeting: the sender's zero was taken `greeting_s` after the receiver's floor. The receiver's clock is
    `offset` ahead."""
    return LinkClock(zero=greeting_s, peer_floor=0.0), LinkClock(zero=offset, peer_floor=offset)


@given(
    offset=st.floats(-1e6, 1e6),
    greeting_s=st.floats(0, 20),
    drift=st.floats(-0.999 * CLOCK_DRIFT, 0.999 * CLOCK_DRIFT),
    sent_at=st.floats(20, 10 * 86400.0),
    left_s=st.floats(-3600, STAMP_LIFE_MAX_S),
    delay_s=st.floats(0, 3600),
)
def test_a_deadline_never_lives_longer_than_meant(
    offset: float, greeting_s: float, drift: float, sent_at: float, left_s: float, delay_s: float
) -> None:
    """All times on the sender's clock; `drift` is the rate of the receiver's."""
    sender, receiver = clocks(offset, greeting_s)
    stamp = sender.stamp(sent_at + left_s, sent_at)
    assert 0 <= stamp < 1 << 16
    arrived = sent_at + delay_s
    deadline = receiver.deadline(stamp, offset + arrived * (1 + drift))
    meant = offset + max(sent_at + left_s, sent_at - 1) * (1 + drift)
    slack = 1e-6 * (1 + abs(offset))  # of floating point
    assert deadline <= meant + slack


@given(offset=st.floats(-1e6, 1e6), age_s=st.floats(1, CLOCK_AGE_MAX_S), delay_s=st.floats(0, 5))
def test_without_long_delays_it_loses_little(offset: float, age_s: float, delay_s: float) -> None:
    sender, receiver = clocks(offset, greeting_s=0.2)
    now = offset + age_s + delay_s
    left = receiver.deadline(sender.stamp(age_s + LIFE_S, age_s), now) - now
    lost_s = 0.2 + 1.0 + CLOCK_DRIFT * (CLOCK_AGE_MAX_S + 5 + LIFE_S)  # greeting, whole seconds, age
    assert LIFE_S - delay_s - lost_s - 1e-3 <= left <= LIFE_S - delay_s + 1e-3


def test_stamps_around_the_modulus() -> None:
    sender, receiver = clocks(0.0, 0.0)
    for sent_at in (65535.0, 65536.0, 65537.5, 131071.0, 3 * 65536.0 - 15):
        stamp = sender.stamp(sent_at + LIFE_S, sent_at)
        left = receiver.deadline(stamp, sent_at + 0.1) - sent_at
        assert LIFE_S - 1 - CLOCK_DRIFT * sent_at - 0.2 <= left <= LIFE_S
        assert receiver.deadline(sender.stamp(sent_at - 1, sent_at), sent_at) <= sent_at


def test_what_has_passed_stays_passed() -> None:
    sender, receiver = clocks(0.0, 0.0)
    for expires_at in (float("-inf"), 0.0, 100.0):
        assert receiver.deadline(sender.stamp(expires_at, 100.0), 100.0) <= 100.0


def test_a_deadline_beyond_half_the_modulus_is_still_a_deadline() -> None:
    sender, receiver = clocks(0.0, 0.0)
    assert (
        100.0 + STAMP_LIFE_MAX_S * (1 - CLOCK_DRIFT) - 2
        <= receiver.deadline(sender.stamp(100.0 + 86400.0, 100.0), 100.0)
        <= 100.0 + STAMP_LIFE_MAX_S
    )
