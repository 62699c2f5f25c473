"""Numbers and window of a link over a broker, with two ends that talk through lists."""

from __future__ import annotations

import random

import pytest

from ocppress_gateway.transports.mqtt.flow import (
    NONCE_BYTES,
    PAYLOAD_BYTES_MAX,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
    Control,
    Flow,
    FlowError,
    Kind,
    closed,
    opening,
    parse,
)


def _data(payload: bytes) -> tuple[int, int, bytes]:
    said = parse(payload)
    assert not isinstance(said, Control)
    return said


def _taken(payload: bytes) -> int:
    said = parse(payload)
    assert isinstance(said, Control)
    assert said.kind is Kind.TAKEN
    return said.body[0]


def test_the_pictures_of_the_docstring() -> None:
    assert Flow(7).data(b"x") == b"\x07\x01x"
    assert opening(7, bytes(8)) == b"\x07\x00\x01\x01" + bytes(8)
    assert closed(255, "no") == b"\xff\x00\x02no"
    assert parse(b"\x07\x00\x03\x09") == Control(7, Kind.TAKEN, b"\x09")
    assert parse(b"\x07\x09x") == (7, 9, b"x")


def test_messages_of_all_sizes_keep_both_ends_going() -> None:
    """Whatever the reader's pace: the sender never stops for good, and never has more under way than the window."""
    rng = random.Random(1)
    sender, receiver = Flow(1), Flow(1)
    arrived: list[bytes] = []
    stops = 0
    sent = 0
    while sent < 20_000:
        size = rng.choice((1, 60, 300, 16384))
        if sender.has_room(size):
            _, sequence, message = _data(sender.data(bytes(size)))
            receiver.accept(sequence, len(message))
            arrived.append(message)
            sent += 1
            assert len(arrived) <= WINDOW_MESSAGES
            assert sum(map(len, arrived)) <= WINDOW_BYTES
        else:
            stops += 1
            assert arrived, "full for good"
        for _ in range(rng.choice((0, 1, 3)) if sender.has_room(size) else 1):
            if arrived and (taken := receiver.read(len(arrived.pop(0)))) is not None:
                sender.taken(_taken(taken))
    assert stops > 100


@pytest.mark.parametrize("wrong", [0, 1, 3, 255], ids=["one too old", "repeated", "one lost", "older"])
def test_any_message_but_the_next_ends_it(wrong: int) -> None:
    receiver = Flow(1)
    receiver.accept(1, 1)
    with pytest.raises(FlowError, match="lost, repeated or overtaken"):
        receiver.accept(wrong, 1)


def test_after_255_comes_1() -> None:
    sender, receiver = Flow(1), Flow(1)
    for number in range(600):
        _, sequence, _ = _data(sender.data(b"x"))
        assert sequence == number % 255 + 1
        receiver.accept(sequence, 1)
        if (taken := receiver.read(1)) is not None:
            sender.taken(_taken(taken))


@pytest.mark.parametrize(("size", "count"), [(1, WINDOW_MESSAGES), (16384, 4)])
def test_more_than_the_window_ends_it(size: int, count: int) -> None:
    receiver = Flow(1)
    for number in range(count):
        receiver.accept(number + 1, size)
    with pytest.raises(FlowError, match="more than it may"):
        receiver.accept(count + 1, size)


def test_an_old_taken_opens_nothing() -> None:
    sender = Flow(1)
    for _ in range(150):
        sender.data(b"x")
    sender.taken(100)
    for _ in range(150):
        sender.data(b"x")
    assert not sender.has_room(1)
    for old in (0, 50, 99, 100):
        sender.taken(old)
        assert not sender.has_room(1), old
    sender.taken(101)
    assert sender.has_room(1)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\x01", b"\x01\x01", b"\x01\x00", bytes(PAYLOAD_BYTES_MAX + 1)),
        *(b"\x01\x00\x04", b"\x01\x00\x00", b"\x01\x00\x03", b"\x01\x00\x03ab", b"\x01\x00\x01"),
        *(b"\x01\x00\x01\x02" + bytes(NONCE_BYTES), opening(1, bytes(NONCE_BYTES - 1)), opening(1, bytes(NONCE_BYTES + 1))),
    ],
)
def test_nonsense_is_refused(payload: bytes) -> None:
    with pytest.raises(FlowError):
        parse(payload)


def test_a_reason_can_be_printed() -> None:
    said = parse(closed(1, "é" * 200))
    assert isinstance(said, Control)
    assert len(said.reason) <= 100
    nasty = parse(b"\x01\x00\x02\x1b[31m\nred\xff")
    assert isinstance(nasty, Control)
    assert nasty.reason.isprintable()
