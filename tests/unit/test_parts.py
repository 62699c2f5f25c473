"""The link's bytes: each part as drawn, back again, and whatever else arrives ends in `PartError`."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocppress_codecs.interface import FRAME_BYTES_MAX
from ocppress_gateway.core.certificate import CERTIFICATE_BYTES_MAX
from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX, STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.parts import (
    CONTROL_BYTES_MAX,
    PROTOCOL_VERSION,
    REASON_CHARACTERS_MAX,
    Ack,
    Attach,
    Check,
    Checked,
    ChoosePlan,
    Detach,
    Eject,
    FlushStation,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    PartError,
    Piece,
    Renewal,
    RenewedClock,
    Spoken,
    StationWelcome,
    TakeClock,
    Verdict,
    Welcome,
    for_people,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.plan import CHOICE_CHARACTERS_MAX

PICTURES: list[tuple[str, list[Part]]] = [
    # 1 nnnn t s l
    ("88 a1b2", [FramePart(0, 1, b"\xa1\xb2")]),
    ("8a 05 a1", [FramePart(5, 1, b"\xa1")]),
    ("8c 012c a1", [FramePart(0, 1, b"\xa1", expiry=300)]),
    ("fe 3f ffff a1", [FramePart(63, 15, b"\xa1", expiry=0xFFFF)]),
    ("89 01 a1 90 b1", [FramePart(0, 1, b"\xa1"), FramePart(0, 2, b"\xb1")]),
    ("80", [FramePart(0, 0, b"")]),
    # 0 1 1 nnnn s
    ("62 02 a1b2", [Piece(0, 1, b"\xa1\xb2")]),
    ("7f 07 00", [Piece(7, 15, b"")]),
    ("60 8001" + "aa" * 128, [Piece(0, 0, b"\xaa" * 128)]),
    # 0 1 0 0 0 0 0 s
    ("40 0102", [Ack(0, 0x102)]),
    ("41 09 ffff", [Ack(9, 0xFFFF)]),
    # 0 0 kkkkkk
    ("05 03 82 03 07", [Detach(3, 7)]),
    ("06 08 84 03 07 1903f0 61 78", [Eject(3, 7, 1008, "x")]),
    ("0f 0a 82 64 6c697665 63 776879", [ChoosePlan("live", "why")]),
    ("10 07 81 65 4350303031", [FlushStation("CP001")]),
    ("08 01 80", [TakeClock()]),
    ("09 01 80", [RenewedClock()]),
    ("40 0001 09 01 80 88 a1", [Ack(0, 1), RenewedClock(), FramePart(0, 1, b"\xa1")]),
    ("", []),
]


@pytest.mark.parametrize(("picture", "parts"), PICTURES)
def test_pictures(picture: str, parts: list[Part]) -> None:
    assert write_parts(parts).hex() == picture.replace(" ", "")
    assert read_parts(bytes.fromhex(picture)) == parts


def test_numbers_are_written_modulo_their_width() -> None:
    assert read_parts(write_parts([FramePart(0, 17, b""), Piece(0, 33, b""), Ack(0, 0x10003)])) == [
        FramePart(0, 1, b""),
        Piece(0, 1, b""),
        Ack(0, 3),
    ]


SLOTS = st.integers(0, STATIONS_PER_EDGE_MAX - 1)
COUNTS = st.integers(0, 2**32 - 1)
ATTACHMENTS = st.integers(1, 2**32 - 1)
IDENTITIES = st.from_regex(r"[A-Za-z0-9*+=:|@._-]{1,48}", fullmatch=True).filter(lambda name: name not in {".", ".."})
WORDS = st.text(max_size=32)
REASONS = st.text(max_size=REASON_CHARACTERS_MAX)
DATA = st.binary(max_size=300)

HELLOS = st.builds(
    Hello,
    COUNTS,
    WORDS,
    st.lists(st.tuples(WORDS, st.binary(max_size=8)), max_size=4),
    st.lists(st.builds(KnownStation, SLOTS, IDENTITIES, COUNTS, COUNTS, st.booleans(), COUNTS, COUNTS), max_size=4),
    oldest=COUNTS,
).filter(lambda hello: hello.oldest <= hello.protocol)
CONTROLS = st.one_of(
    HELLOS,
    st.builds(Welcome, WORDS, st.lists(st.builds(StationWelcome, COUNTS, st.booleans(), st.booleans(), COUNTS), max_size=4), COUNTS),
    st.builds(
        Attach,
        SLOTS,
        ATTACHMENTS,
        IDENTITIES,
        st.lists(WORDS, max_size=3),
        st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=100),
        COUNTS,
    ),
    st.builds(Verdict, SLOTS, ATTACHMENTS, st.integers(100, 599), WORDS, COUNTS, REASONS),
    st.builds(Detach, SLOTS, ATTACHMENTS),
    st.builds(Eject, SLOTS, ATTACHMENTS, st.sampled_from([1001, 1002, 1008]), REASONS),
    st.builds(Goodbye, REASONS, st.integers(0, 3600)),
    st.builds(TakeClock),
    st.builds(RenewedClock),
    st.builds(ChoosePlan, WORDS, st.text(max_size=CHOICE_CHARACTERS_MAX)),
    st.builds(FlushStation, IDENTITIES),
    st.builds(Renewal, st.binary(min_size=1, max_size=CERTIFICATE_BYTES_MAX)),
)
PARTS = st.one_of(
    st.builds(FramePart, SLOTS, st.integers(0, 15), DATA, st.none() | st.integers(0, 0xFFFF)),
    st.builds(Piece, SLOTS, st.integers(0, 15), DATA),
    st.builds(Ack, SLOTS, st.integers(0, 0xFFFF)),
    CONTROLS,
)


@given(st.lists(PARTS, max_size=8))
def test_round_trip(parts: list[Part]) -> None:
    assert read_parts(write_parts(parts)) == parts


def only_parts_or_part_error(data: bytes) -> None:
    try:
        parts = read_parts(data)
    except PartError:
        return
    assert read_parts(write_parts(parts)) == parts


@given(st.binary(max_size=200))
@example(b"\x05" * 3)
def test_random_bytes_are_parts_or_an_error(data: bytes) -> None:
    only_parts_or_part_error(data)


@given(st.lists(PARTS, min_size=1, max_size=4), st.data())
def test_mutated_messages_are_parts_or_an_error(parts: list[Part], data: st.DataObject) -> None:
    message = bytearray(write_parts(parts))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(message) - 1, 0)))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if change == "flip" and message:
            message[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "cut":
            del message[place:]
        elif change == "insert":
            message[place:place] = data.draw(st.binary(min_size=1, max_size=6))
        else:
            message += message[place:]
    only_parts_or_part_error(bytes(message[:LINK_MESSAGE_BYTES_MAX]))


def control(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + varint(len(body)) + body


def varint(number: int) -> bytes:
    """Four bytes, whatever the number."""
    return bytes([number & 127 | 128, number >> 7 & 127 | 128, number >> 14 & 127 | 128, number >> 21])


def as_control(kind: int, value: object) -> bytes:
    return control(kind, cbor2.dumps(value))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes.fromhex("8a"), "1 bytes announced, 0 left"),
        (bytes.fromhex("8c01"), "2 bytes announced, 1 left"),
        (bytes.fromhex("8905aa"), "5 bytes announced, 1 left"),
        (bytes.fromhex("89 ffffffff01"), "more than 4 bytes"),
        (b"\x89" + varint(FRAME_BYTES_MAX + 1), "is over"),
        (bytes.fromhex("4000"), "2 bytes announced"),
        (bytes.fromhex("42 0001"), "unknown part 0x42"),
        (bytes.fromhex("00"), "unknown part 0x00"),
        (bytes.fromhex("11 01 80"), "unknown part 0x11"),
        (control(5, b"\x80" * (CONTROL_BYTES_MAX + 1)), f"over {CONTROL_BYTES_MAX}"),
        (control(5, b""), "Detach"),
        (control(5, bytes.fromhex("820307 00")), "followed by something"),
        (control(5, bytes.fromhex("9f0307ff")), "shortest"),
        (control(5, bytes.fromhex("82 1803 07")), "shortest"),
        (control(5, bytes.fromhex("d9d9f7 820307")), "shortest"),
        (as_control(5, [3]), "at least length 2"),
        (as_control(5, [3, 7, 1]), "at most length 2"),
        (as_control(5, {3: 7}), "Expected `array`"),
        (as_control(5, [STATIONS_PER_EDGE_MAX, 7]), "int"),
        (as_control(5, [-1, 7]), "int"),
        (as_control(5, [3, 0]), "int"),
        (as_control(5, [3, 2**32]), "int"),
        (as_control(5, [3, 2**70000]), "Detach"),
        (as_control(5, [3, 1.0]), "int"),
        (as_control(7, ["bye", -(2**70)]), "int"),
        (as_control(7, ["x" * (REASON_CHARACTERS_MAX + 1), 0]), "str"),
        (as_control(6, [3, 7, 1006, ""]), "Eject"),
        (as_control(4, [3, 7, 600, "", 1, ""]), "int"),
        (as_control(3, [3, 7, "a b", ["ocpp1.6"], None, 0]), "Attach"),
        (as_control(3, [3, 7, "CP001\n", ["ocpp1.6"], None, 0]), "Attach"),
        (as_control(3, [3, 7, "x" * 49, ["ocpp1.6"], None, 0]), "Attach"),
        (as_control(3, [3, 7, "CP001", ["ocpp1.6"], "Basic eA==\r\nX: y", 0]), "Attach"),
        (as_control(3, [3, 7, "CP001", ["ocpp1.6"] * 9, None, 0]), "Attach"),
        (control(2, b"\x82\x61v" + b"\x81" * 8 + b"\x01"), "Welcome"),
        (as_control(1, [2, "whatever", "follows"]), "link protocol 2, this end speaks 1"),
        (as_control(32, [PROTOCOL_VERSION + 1]), "link protocol 2, this end speaks 1"),
        (as_control(1, [PROTOCOL_VERSION, "too", "short"]), "Hello"),
        (as_control(1, [1, "edge", [], [], b"", 0, 1, "more"]), "at most length 7"),
        (as_control(1, [1, "edge", [], [], b"", 0, 2]), "Hello: link protocols from 2 to 1"),
        (as_control(1, [2, "edge", [], [], b"", 0, 3, "more"]), "Hello: link protocols from 3 to 2"),
        (as_control(32, [1, "edge", [], 2]), "Check: link protocols from 2 to 1"),
        (as_control(2, ["verbatim", [], 2, "more"]), "at most length 3"),
        (as_control(1, [2**70000, "", [], []]), "Hello: "),
        (b"\x80" + bytes(LINK_MESSAGE_BYTES_MAX), "bytes in one link message"),
    ],
)
def test_malformed_messages(data: bytes, reason: str) -> None:
    with pytest.raises(PartError, match=reason):
        read_parts(data)


GREETINGS = [
    (
        Hello(
            1, "site-1", [("verbatim", b"\x01\x02\x03\x04")], [KnownStation(0, "CP001", 2, 0x01010101, True, 3, 4)], b"outbox01", 2250, 1
        ),
        "0138870166736974652d31818268766572626174696d4401020304818700654350303031021a01010101f50304486f7574626f7830311908ca01",
    ),
    (Welcome("adaptive", [StationWelcome(0x01010101, True, False, 7)], 1), "02158368616461707469766581841a01010101f5f40701"),
    (Check(1, "site-1", [("verbatim", b"\x01\x02\x03\x04")], 1), "201a840166736974652d31818268766572626174696d440102030401"),
    (Checked("site-1", "adaptive", 1_772_000_000_123, True, 1), "211c8566736974652d316861646170746976651b0000019c936e387bf501"),
]


@pytest.mark.parametrize(("greeting", "recorded"), GREETINGS, ids=lambda value: type(value).__name__)
def test_greetings_of_protocol_1_stay_as_they_are(greeting: Hello | Welcome | Check | Checked, recorded: str) -> None:
    """As the first release writes them; one that can't read them speaks another version, and for a while this one, too."""
    assert write_parts([greeting]).hex() == recorded.replace(" ", "")
    assert read_parts(bytes.fromhex(recorded)) == [greeting]


LATER = [
    (1, [2, "edge", [["verbatim", b"1234"]], [], b"", 60, 1], Hello(2, "edge", [("verbatim", b"1234")], [], b"", 60, 1)),
    (1, [9, "edge", [], [], b"", 0, 9], Hello(9, "edge", [], [], b"", 0, 9)),
    (32, [2, "edge", [["verbatim", b"1234"]], 1], Check(2, "edge", [("verbatim", b"1234")], 1)),
]


@pytest.mark.parametrize(("kind", "known", "part"), LATER)
def test_of_a_later_version_is_read_what_is_known(kind: int, known: list[object], part: Hello | Check) -> None:
    assert read_parts(as_control(kind, known)) == [part]
    assert read_parts(as_control(kind, [*known, "new", {"and": [1, 2]}])) == [part]


def test_the_newest_version_that_both_speak() -> None:
    assert Spoken(1, 3).common(Spoken(2, 5)) == Spoken(2, 5).common(Spoken(1, 3)) == 3
    assert Spoken(1, 1).common(Spoken(1, 2)) == 1
    assert Spoken(1, 1).common(Spoken(2, 2)) is None
    assert (str(Spoken(1, 1)), str(Spoken(1, 3))) == ("1", "1 to 3")


def test_nothing_secret_in_the_repr_of_an_attach() -> None:
    assert "Basic" not in repr(Attach(0, 1, "CP001", ["ocpp1.6"], "Basic c2VjcmV0", 0))


def test_reasons_fit_any_part_and_any_log_line() -> None:
    reason = for_people("no\r\nX-Header: \ud800" + "y" * 500)
    assert reason.startswith("no??X-Header: ?yyy")
    assert read_parts(write_parts([Goodbye(reason, 0)])) == [Goodbye(reason, 0)]
