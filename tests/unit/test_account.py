"""The account of a frame: it adds up to the frame's length in every codec, and says what was for what."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.account import FRAME, UNITS_A_BIT, UNITS_A_BYTE, Account, Part
from ocppress_codecs.adaptive import clocks, forecasts
from ocppress_codecs.adaptive.coder import BitReader, BitWriter
from ocppress_codecs.adaptive.contexts import TABLE_SIZE, UNKNOWN
from ocppress_codecs.adaptive.counting import CountingReader
from ocppress_codecs.adaptive.fields import CANDIDATES, TIME_CANDIDATES
from ocppress_codecs.adaptive.table import Table
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, OcppVersion, parse
from ocppress_gateway.tools.coding import Opened, encoded, opened
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.frames import Agreement
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import recordings

UUID = '"0b0a7b0e-52c1-4d3c-9c9e-2f1f6c1d4a77"'


def call(action: str, payload: str) -> Message:
    return parse(f'[2,"","{action}",{payload}]')[1]


def meter(minute: int, value: str, transaction: str = UUID) -> Message:
    return call("MeterValues", f'{{"transactionId":{transaction},"timestamp":"2026-03-02T08:{minute:02}:00Z","value":{value}}}')


def accounts(codec: CodecName, batches: Iterable[list[Message]]) -> Iterator[tuple[bytes, Account]]:
    """The frames of `batches`, one direction, with their accounts."""
    encoder = open_endpoint(codec, OcppVersion.V16, Side.EDGE).encoder
    decoder = open_endpoint(codec, OcppVersion.V16, Side.CLOUD).decoder
    for batch in batches:
        frame, account = encoder.encode(batch), Account()
        assert [message.body for message in decoder.decode(frame, account)] == [message.body for message in batch]
        yield frame, account


def parts_of(account: Account) -> Counter[str]:
    """Bits by part."""
    found: Counter[str] = Counter()
    for item in account.items:
        found[item.part] += item.cost
    return Counter({part: cost // UNITS_A_BIT for part, cost in found.items()})


def opened_recording(name: str, codec: CodecName, delay_s: float) -> Iterator[Opened]:
    agreement = Agreement(codec, recordings.version(name))
    said = Conversation(agreement.version).follow(recordings.load(name))
    return opened(list(encoded(schedule(said, delay_s), agreement)), agreement)


@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("delay_s", [0, 900])
@pytest.mark.parametrize("name", recordings.names())
def test_the_items_of_a_frame_add_up_to_its_length(name: str, delay_s: float, codec: CodecName) -> None:
    for one in opened_recording(name, codec, delay_s):
        items = one.account.items
        assert sum(item.cost for item in items) == len(one.sent.frame) * UNITS_A_BYTE
        assert {item.message for item in items} == {FRAME, *range(len(one.messages))}
        assert all(item.cost >= 0 for item in items if item.part is not Part.ROUNDING)
        assert (Part.ROUNDING in {item.part for item in items}) <= (codec is CodecName.ADAPTIVE)


ODD: list[Message] = [
    call("DataTransfer", f'{{"vendorId":"x","data":"{"a long text, " * 400}"}}'),
    call("DataTransfer", f'{{"vendorId":"x","data":"{random.Random(5).randbytes(3000).hex()}"}}'),
    call("DataTransfer", '{"vendorId":"x","data":"\\u20ac \\/ €","n":2e+01,"e":"","w":"Available","k":[null,true,[]]}'),
    call("DataTransfer", json.dumps({f"name{number:x}": number for number in range(700)}, separators=(",", ":"))),
    call("Heartbeat", '{"x":1,"x":2}'),
    call("Heartbeat", "{}"),
]


@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("together", [True, False])
def test_they_do_so_for_large_and_odd_messages(codec: CodecName, together: bool) -> None:
    """Messages that go as text, literals by zstd, more than 512 values, checksums of four bytes."""
    batches = [ODD, ODD] if together else [[message] for message in ODD + ODD]
    checksums = []
    for frame, account in accounts(codec, batches):
        assert sum(item.cost for item in account.items) == len(frame) * UNITS_A_BYTE
        checksums.append(parts_of(account)[Part.CHECKSUM])
    assert checksums == ([32, 32] if together else [32, 32, 16, 32, 16, 16] * 2)


def test_a_decision_costs_the_logarithm_of_its_probability() -> None:
    source = random.Random(1)
    decisions = [(source.randrange(32, 65505), source.randrange(2)) for _ in range(500)]
    writer = BitWriter(Table(vec[i64]([UNKNOWN] * TABLE_SIZE)))
    for probability, bit in decisions:
        writer.code(probability, bit)
        writer.uniform(5, 21)
    frame = writer.finish()
    account = Account()
    account.begin()
    reader = CountingReader(BitReader(Table(vec[i64]([UNKNOWN] * TABLE_SIZE)), frame), account)
    for probability, bit in decisions:
        assert reader.code(probability, 0) == bit
        assert reader.uniform(5, 0) == 21
        account.close(Part.NUMBERS, "")
    exact = [5 - math.log2((probability if bit else 65536 - probability) / 65536) for probability, bit in decisions]
    assert [item.cost / UNITS_A_BIT for item in account.items] == pytest.approx(exact, abs=1 / UNITS_A_BIT)
    assert 0 <= 8 * len(frame) - sum(exact) <= 9, "this is what the coder makes of it"


@pytest.mark.parametrize("delay_s", [0, 900])
@pytest.mark.parametrize("name", recordings.names())
def test_rounding_is_about_half_a_byte(name: str, delay_s: float) -> None:
    """It is what is left of a frame after its decisions: were their costs wrong, it would be anything."""
    found = [
        sum(item.cost for item in one.account.items if item.part is Part.ROUNDING) / UNITS_A_BIT
        for one in opened_recording(name, CodecName.ADAPTIVE, delay_s)
    ]
    assert max(found) <= 8.1
    assert -0.5 <= sum(found) / len(found) <= 4.5


@pytest.mark.parametrize("codec", CodecName)
def test_counting_changes_nothing(codec: CodecName) -> None:
    encoder = open_endpoint(codec, OcppVersion.V16, Side.EDGE).encoder
    ends = [open_endpoint(codec, OcppVersion.V16, Side.CLOUD).decoder for _ in range(2)]
    for message in [*ODD, *(meter(minute, str(230 + minute % 3)) for minute in range(20))]:
        frame = encoder.encode([message, message])
        assert ends[0].decode(frame, Account()) == ends[1].decode(frame)
        assert ends[0].saved() == ends[1].saved() == encoder.saved()


@pytest.mark.parametrize("codec", CodecName)
def test_a_frame_that_cannot_be_decoded_leaves_the_decoder_as_it_was(codec: CodecName) -> None:
    encoder = open_endpoint(codec, OcppVersion.V16, Side.EDGE).encoder
    decoder = open_endpoint(codec, OcppVersion.V16, Side.CLOUD).decoder
    frame = encoder.encode([meter(1, "230.1")])
    account = Account()
    with pytest.raises(DecodeError):
        decoder.decode(frame[:-1] + bytes((frame[-1] ^ 1,)), account)
    assert account.items, "what was read until then"
    assert decoder.decode(frame)[0].body == meter(1, "230.1").body


@pytest.mark.parametrize("codec", [CodecName.ADAPTIVE, CodecName.CBOR_ZSTD])
def test_each_part_counts_to_its_kind(codec: CodecName) -> None:
    batches = [
        [meter(1, "230.1")],
        [meter(2, "230.2")],
        [meter(3, "987654.3")],
        [meter(37, "987654.3")],
        [meter(38, "987654.3", '"another"')],
        [meter(39, "987654.3")],
    ]
    first, second, value, time, string, reference = (parts_of(account) for _, account in accounts(codec, batches))
    assert first[Part.NEW_SHAPES] > 30, "keys and punctuation"
    assert 122 <= first[Part.STRINGS] <= 160, "a random UUID and little else"
    assert second[Part.NEW_SHAPES] == second[Part.STRINGS] == 0
    assert value[Part.NUMBERS] > 20 > value[Part.TIMES]
    assert time[Part.TIMES] > 8 > time[Part.NUMBERS]
    assert string[Part.STRINGS] > 20 > string[Part.REFERENCES]
    assert reference[Part.STRINGS] == 0 < reference[Part.REFERENCES]


def test_verbatim_counts_the_texts_bytes() -> None:
    ((_, account),) = accounts(CodecName.VERBATIM, [[meter(1, "230.1"), meter(2, '"Available"')]])
    bits = {part: 8 * size for part, size in ((Part.STRINGS, 2 * len(UUID)), (Part.NUMBERS, len("230.1")), (Part.TIMES, 2 * 22))}
    found = parts_of(account)
    assert {part: found[part] for part in bits} == bits
    assert found[Part.CHOICES] == found[Part.FRAMING] - 8 == 16


def test_values_are_told_with_their_places_and_errors() -> None:
    *_, (_, account) = accounts(CodecName.ADAPTIVE, [[meter(minute, "230.5")] for minute in range(9)] + [[meter(12, "230.2")]])
    values = {item.hole: (item.token, item.error) for item in account.items if item.hole >= 0}
    assert values == {0: (UUID, None), 1: ('"2026-03-02T08:12:00Z"', 180), 2: ("230.2", -3)}
    assert account.shapes == {0: ['"MeterValues",{"transactionId":', ',"timestamp":', ',"value":', "}"]}


@pytest.mark.parametrize("total", [15, 7, 4, 1, 1_000_003])
def test_what_zstd_made_of_items_is_shared_out_exactly(total: int) -> None:
    account = Account()
    account.begin()
    shares = (3, 0, 4, 1, 7)
    for share in shares:
        account.spend(share)
        account.tell(Part.NUMBERS, "")
        account.value(0, "1")
    account.squeeze(total)
    costs = [item.cost for item in account.items]
    assert sum(costs) == total
    assert costs[1] == 0
    assert costs == pytest.approx([total * share / sum(shares) for share in shares], abs=1)


def test_every_way_to_predict_has_its_words() -> None:
    assert (len(forecasts.WAYS), len(clocks.WAYS)) == (CANDIDATES, TIME_CANDIDATES)
    assert len({*forecasts.WAYS, *clocks.WAYS}) == CANDIDATES + TIME_CANDIDATES - 1, "all differ; both know `as last time`"
