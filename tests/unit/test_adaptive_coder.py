"""The arithmetic coder and its numbers: what is written is read back, in as few bytes as there are."""

from __future__ import annotations

import random

import pytest
from librt.vecs import append, vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.coder import WORK_A_BYTE, WORK_BASE, WORK_MAX, ZERO_BYTES_MAX, BitReader, BitWriter
from ocppress_codecs.adaptive.contexts import COUNT_BITS, OWN_BASE, TABLE_SIZE, UNKNOWN, mixed
from ocppress_codecs.adaptive.logistic import SQUASHED, STRETCHED, squash
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma, code_residual
from ocppress_codecs.adaptive.table import Table
from ocppress_codecs.errors import LimitExceeded, Malformed


def fresh(state: int = UNKNOWN) -> Table:
    return Table(vec[i64]([state] * TABLE_SIZE))


def written(bits: list[tuple[int, int]]) -> bytes:
    """The frame of decisions (probability, bit)."""
    writer = BitWriter(fresh())
    for probability, bit in bits:
        writer.code(probability, bit)
    return writer.finish()


def read(frame: bytes, probabilities: list[int]) -> list[int]:
    reader = BitReader(fresh(), frame)
    return [reader.code(probability, 0) for probability in probabilities]


def test_what_is_expected_takes_no_byte() -> None:
    assert written([]) == b""
    assert written([(65504, 1)] * 1000) == b""
    assert read(b"", [65504] * 1000) == [1] * 1000


def test_one_surprise_takes_two_bytes() -> None:
    """A decision of 1 in 2048 has 11 bits of information."""
    assert len(written([(65504, 0)])) == 2


@pytest.mark.parametrize("seed", range(20))
def test_any_decisions_come_back(seed: int) -> None:
    source = random.Random(seed)
    bits = []
    for _ in range(source.randrange(400)):
        probability = source.choice([32, 65504, 32768, source.randrange(32, 65505)])
        bits.append((probability, int(source.randrange(65536) < probability)))
    assert read(written(bits), [probability for probability, _ in bits]) == [bit for _, bit in bits]


def test_carries_run_through_bytes_that_left() -> None:
    """The number that the frame stands for lies in the range that exact arithmetic finds, though what left had to be raised now and then."""
    source = random.Random(3)
    carries = 0
    for _ in range(300):
        bits = [(source.randrange(20000, 45000), source.randrange(2)) for _ in range(200)]
        low, extent, shift = 0, 0xFFFFFFFF, 0
        for probability, bit in bits:
            bound = (extent >> 16) * max(probability, 65536 - probability)
            before = low
            low, extent = (low, bound) if bit == (probability >= 32768) else (low + bound, extent - bound)
            carries += (before ^ low) >> 40 != 0
            while extent < 1 << 24:
                low, extent, shift = low << 8, extent << 8, shift + 8
        frame = int.from_bytes(written(bits), "big")
        places = 32 + shift - 8 * len(written(bits))
        assert low <= frame << places < low + extent
    assert carries > 5, "two bytes or more that had left changed"


def test_frames_are_no_longer_than_their_information() -> None:
    """Bits of even odds take a bit each, and at most a byte at the end."""
    source = random.Random(1)
    for count in range(1, 80):
        assert len(written([(32768, source.randrange(2)) for _ in range(count)])) <= (count + 7) // 8 + 1


def test_raw_bits_take_their_number() -> None:
    writer = BitWriter(fresh())
    assert writer.raw(62, (1 << 62) - 2) == (1 << 62) - 2
    assert writer.raw(0, 0) == 0
    assert writer.raw(16, 0xABCD) == 0xABCD
    frame = writer.finish()
    assert len(frame) == 10
    reader = BitReader(fresh(), frame)
    assert (reader.raw(62, 0), reader.raw(0, 0), reader.raw(16, 0)) == ((1 << 62) - 2, 0, 0xABCD)


@pytest.mark.parametrize("seed", range(5))
def test_raw_bytes_are_what_single_ones_are(seed: int) -> None:
    source = random.Random(seed)
    pieces = [source.choice([b"\xff", b"\0", source.randbytes(1)]) * source.randrange(60) for _ in range(40)]
    whole, single = BitWriter(fresh()), BitWriter(fresh())
    for piece in pieces:
        assert whole.raw_bytes(piece, len(piece)) == piece
        for byte in piece:
            single.uniform(8, byte)
        for writer in (whole, single):
            writer.code(40000, 1)
    frame = whole.finish()
    assert frame == single.finish()
    whole_reader, single_reader = BitReader(fresh(), frame), BitReader(fresh(), frame)
    for piece in pieces:
        assert whole_reader.raw_bytes(b"", len(piece)) == piece
        assert bytes(single_reader.uniform(8, 0) for _ in piece) == piece
        for reader in (whole_reader, single_reader):
            assert reader.code(40000, 0) == 1


def test_raw_bytes_end_where_a_reader_does() -> None:
    assert BitReader(fresh(), b"abcd").raw_bytes(b"", 40) != b""
    with pytest.raises(LimitExceeded) as caught:
        BitReader(fresh(), b"abcd").raw_bytes(b"", 10**9)
    assert caught.value.limit == "zero_bytes"
    with pytest.raises(Malformed):
        BitReader(fresh(), b"\xff\xff\xff\xfe" + b"\xff" * 40).raw_bytes(b"", 40)


def test_zeros_past_the_end_are_counted() -> None:
    reader = BitReader(fresh(), b"")
    with pytest.raises(LimitExceeded) as caught:
        reader.raw(16 * ZERO_BYTES_MAX, 0)
    assert caught.value.limit == "zero_bytes"
    writer = BitWriter(fresh())
    writer.raw(16 * ZERO_BYTES_MAX, 0)
    frame = writer.finish()
    assert ZERO_BYTES_MAX <= len(frame) < 2 * ZERO_BYTES_MAX
    assert BitReader(fresh(), frame).raw(16 * ZERO_BYTES_MAX, 0) == 0


def test_work_is_counted() -> None:
    table = fresh()
    writer = BitWriter(table)
    writer.check_work()
    for _ in range(WORK_MAX - 100):
        table.journal = append(table.journal, 0)
    writer.charge(100)
    writer.check_work()
    writer.charge(1)
    with pytest.raises(LimitExceeded):
        writer.check_work()


@pytest.mark.parametrize(("size", "allowed"), [(0, WORK_BASE), (10, WORK_BASE + 10 * WORK_A_BYTE), (10**6, WORK_MAX)])
def test_a_frame_may_cause_work_in_proportion_to_its_bytes(size: int, allowed: int) -> None:
    reader = BitReader(fresh(), bytes(size))
    reader.charge(allowed)
    reader.check_work()
    reader.charge(1)
    with pytest.raises(LimitExceeded) as caught:
        reader.check_work()
    assert (caught.value.limit, caught.value.maximum, caught.value.actual) == ("work", allowed, allowed + 1)


def test_contexts_learn_and_can_be_undone() -> None:
    table = fresh()
    writer = BitWriter(table)
    for _ in range(100):
        writer.bit(5, 1)
        writer.pair(6, 7, 0)
    states = table.states()
    assert states[5] >> COUNT_BITS > 65000
    assert states[OWN_BASE + 6] >> COUNT_BITS < 500
    assert len(writer.finish()) < 4
    table.undo()
    assert table.states() == [UNKNOWN] * TABLE_SIZE
    assert len(table.journal) == 0


@pytest.mark.parametrize("seed", range(10))
def test_numbers_come_back(seed: int) -> None:
    source = random.Random(seed)
    steps = [
        (source.randrange(3), source.randrange(8), source.randrange(25), source.randrange(-(1 << source.randrange(1, 61)), 1 << 48))
        for _ in range(100)
    ]
    writer = BitWriter(fresh())
    for kind, lean, expected, value in steps:
        match kind:
            case 0:
                code_gamma(writer, mixed(1, lean), abs(value) % (1 << 48))
            case 1:
                code_choice(writer, mixed(2, lean), 3, abs(value) % 8)
            case _:
                assert code_residual(writer, mixed(3, lean), mixed(4, 0), expected, lean, value) == value
    reader = BitReader(fresh(), writer.finish())
    for kind, lean, expected, value in steps:
        match kind:
            case 0:
                assert code_gamma(reader, mixed(1, lean), 0) == abs(value) % (1 << 48)
            case 1:
                assert code_choice(reader, mixed(2, lean), 3, 0) == abs(value) % 8
            case _:
                assert code_residual(reader, mixed(3, lean), mixed(4, 0), expected, lean, 0) == value


def test_numbers_without_end_are_refused() -> None:
    """A frame of zeros says what is likelier, here ever one more."""
    ones = 0xFFFF << COUNT_BITS
    with pytest.raises(Malformed):
        code_gamma(BitReader(fresh(ones), b""), 0, 0)
    with pytest.raises(Malformed):
        code_residual(BitReader(fresh(ones), b""), 0, 0, 0, 0, 0)


def test_the_logistic_scale_is_monotonous_and_inverts() -> None:
    assert sorted(SQUASHED) == list(SQUASHED)
    assert sorted(STRETCHED) == list(STRETCHED)
    assert (squash(-9999), squash(0), squash(9999)) == (1, 2047, 4094)
    for probability in range(2, 4094):
        assert squash(STRETCHED[probability]) >= probability
        assert squash(STRETCHED[probability] - 1) < probability
