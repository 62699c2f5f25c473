"""Attempts and sessions, by a clock of the test's."""

from __future__ import annotations

import pytest

from ocppress_gateway.admin.attempts import ADDRESSES_MAX, ATTEMPT_S, ATTEMPTS, Attempts
from ocppress_gateway.admin.sessions import SESSION_S, SESSIONS_MAX, Identity, Sessions
from ocppress_gateway.config_admin import Role

ANN = Identity("ann", Role.OPERATOR)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_attempts_run_out_and_come_back() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(ATTEMPTS):
        assert attempts.wait_s("10.0.0.1") == 0
        attempts.failed("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == pytest.approx(ATTEMPT_S)
    assert attempts.wait_s("10.0.0.2") == 0
    clock.now += ATTEMPT_S
    assert attempts.wait_s("10.0.0.1") == 0
    attempts.failed("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == pytest.approx(ATTEMPT_S)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("", "no address", True),
    ],
)
def test_who_is_the_same(one: str, other: str, same: bool) -> None:
    attempts = Attempts(Clock())
    for _ in range(ATTEMPTS):
        attempts.failed(one)
    assert (attempts.wait_s(other) > 0) is same


def test_an_enemy_with_many_addresses_costs_little() -> None:
    attempts = Attempts(Clock())
    for number in range(ADDRESSES_MAX + 100):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._buckets) == ADDRESSES_MAX


def test_a_session_ends() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookie = sessions.begin(ANN)
    session = sessions.of(cookie)
    assert session is not None
    assert session.identity == ANN
    assert session.is_csrf(session.csrf)
    assert not session.is_csrf("")
    assert not session.is_csrf("ü")
    assert sessions.of(cookie[:-1]) is None
    clock.now += SESSION_S
    assert sessions.of(cookie) is None
    clock.now -= SESSION_S
    assert sessions.of(cookie) is None, "it is forgotten"


def test_who_logs_out_is_out() -> None:
    sessions = Sessions(Clock())
    first, second = sessions.begin(ANN), sessions.begin(ANN)
    assert first != second
    sessions.end(first)
    sessions.end(first)
    assert sessions.of(first) is None
    assert sessions.of(second) is not None


def test_the_oldest_session_makes_room() -> None:
    sessions = Sessions(Clock())
    cookies = [sessions.begin(ANN) for _ in range(SESSIONS_MAX + 1)]
    assert sessions.of(cookies[0]) is None
    assert sessions.of(cookies[1]) is not None
