"""Saved states that somebody has changed, with a hash that fits: refused, whatever it is, and nothing has changed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import pytest

from ocppress_codecs.adaptive import saving
from ocppress_codecs.adaptive.fields import CANDIDATES
from ocppress_codecs.adaptive.model import FIELDS_MAX, SHAPES_MAX, STRING_BYTES_MAX, Model
from ocppress_codecs.errors import DecodeError, LimitExceeded, Malformed, Truncated
from ocppress_codecs.interface import CodecName, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import OcppVersion, parse

METER: Final = (
    '[2,"","MeterValues",{"connectorId":1,"transactionId":"T-%d","meterValue":[{"timestamp":"2026-03-02T08:%02d:00Z","sampledValue":['
    '{"value":"%d","measurand":"Energy.Active.Import.Register"}]}]}]'
)
I64_MAX: Final = 2**63 - 1

_BLOCKS: Final = 1 + saving.FINGERPRINT_BYTES


def open_cloud() -> Endpoint:
    return open_endpoint(CodecName.ADAPTIVE, OcppVersion.V16, Side.CLOUD)


def model_after_meter_values() -> tuple[Endpoint, Model]:
    edge, cloud = open_endpoint(CodecName.ADAPTIVE, OcppVersion.V16, Side.EDGE), open_cloud()
    for number in range(4):
        cloud.decoder.decode(edge.encoder.encode([parse(METER % (number % 2, number, 1000 + number))[1]]))
    return cloud, cloud.decoder._direction.model  # type: ignore[attr-defined]


def parts_of(saved: bytes) -> tuple[bytes, bytes, bytes]:
    """Model, text, and progress with CALLs."""
    model_bytes = int.from_bytes(saved[_BLOCKS : _BLOCKS + 4], "big")
    model = saved[_BLOCKS + 4 :][:model_bytes]
    rest = saved[_BLOCKS + 4 + model_bytes : -saving.HASH_BYTES]
    text_bytes = int.from_bytes(rest[:4], "big")
    return model, rest[4 : 4 + text_bytes], rest[4 + text_bytes :]


def joined(saved: bytes, model: bytes, text: bytes, progress: bytes) -> bytes:
    """A state of these parts, its hash as it should be."""
    content = saved[:_BLOCKS] + b"".join([len(model).to_bytes(4, "big"), model, len(text).to_bytes(4, "big"), text, progress])
    return content + saving.hash_of(content)


def refused(saved: bytes) -> DecodeError:
    cloud, _ = model_after_meter_values()
    before = cloud.decoder.saved()
    with pytest.raises(DecodeError) as caught:
        cloud.decoder.restore(saved)
    assert cloud.decoder.saved() == before
    return caught.value


def field_saved(kind: int, change: Callable[[list[int]], None]) -> bytes:
    """The state in which the last field of `kind` has other numbers."""
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    model, text, progress = parts_of(saved)
    form = {saving.NUMBER: saving.NUMBER_FIELD, saving.TIME: saving.TIME_FIELD}[kind]
    place = _place_of_field(model, kind) + saving.HEAD.size
    values = list(form.unpack_from(model, place))
    change(values)
    model = model[:place] + form.pack(*values) + model[place + form.size :]
    return joined(saved, model, text, progress)


def _place_of_field(model: bytes, wanted: int) -> int:
    """Where the last field of a kind stands: read from the front, for a model's fields come last."""
    cloud, known = model_after_meter_values()
    sizes = [len(saving._field_bytes(number, known.fields.keys[number], known.fields.items[number])) for number in known.fields.ranked()]  # type: ignore[arg-type]
    place = len(model)
    for size in sizes:
        place -= size
        if saving.HEAD.unpack_from(model, place)[2] == wanted:
            return place
    raise AssertionError(f"no field of kind {wanted} in {cloud}")


def test_the_parts_join_to_the_whole() -> None:
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    assert joined(saved, *parts_of(saved)) == saved
    assert field_saved(saving.NUMBER, lambda values: None) == saved
    assert field_saved(saving.TIME, lambda values: None) == saved


def test_a_number_field_has_numbers_that_can_be_reckoned_with() -> None:
    wide = (2, 3, 4, 5, 6, 7, 8, *range(-4, 0))
    costs = range(12, 12 + CANDIDATES)
    cases = [(place, value) for place in wide for value in (I64_MAX, -I64_MAX - 1)]
    cases += [(place, 65535) for place in (*costs, 12 + CANDIDATES)]
    for place, value in [*cases, (0, 2), (1, 19), (11, CANDIDATES)]:

        def change(values: list[int], place: int = place, value: int = value) -> None:
            values[place] = value

        assert isinstance(refused(field_saved(saving.NUMBER, change)), Malformed), (place, value)


def test_a_time_field_is_of_a_timestamp() -> None:
    for place, value in (
        (0, 8),
        (1, -1),
        (1, 2**32),
        (2, I64_MAX),
        (3, -I64_MAX),
        (4, I64_MAX),
        (5, -1),
        (5, I64_MAX),
        (6, I64_MAX),
        (7, I64_MAX),
        (9, 7),
    ):

        def change(values: list[int], place: int = place, value: int = value) -> None:
            values[place] = value

        assert isinstance(refused(field_saved(saving.TIME, change)), Malformed)


def test_a_state_may_end_nowhere_but_at_its_end() -> None:
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    content = saved[: -saving.HASH_BYTES]
    for size in (*range(_BLOCKS, _BLOCKS + 12), 1000, 40_000, 50_000, 60_000, *range(len(content) - 60, len(content))):
        cut = content[: min(size, len(content) - 1)]
        assert isinstance(refused(cut + saving.hash_of(cut)), Truncated | Malformed)
    assert isinstance(refused(content + b"\0" + saving.hash_of(content + b"\0")), Malformed)
    model, text, progress = parts_of(saved)
    assert isinstance(refused(joined(saved, model + b"\0", text, progress)), Truncated)
    assert isinstance(refused(joined(saved, model[:-1], text, progress)), Truncated | Malformed)
    assert isinstance(refused(joined(saved, model, text, progress + b"\0")), Malformed)
    assert isinstance(refused(saved + bytes(1_000_000)), LimitExceeded)


def slots_saved(
    change: Callable[[list[tuple[int, bytes]], list[tuple[int, bytes]], list[tuple[int, bytes]]], None], history: bytes | None = None
) -> bytes:
    """The state with other shapes, words and strings, each with its number."""
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    model, text, progress = parts_of(saved)
    place = 0
    groups: list[list[tuple[int, bytes]]] = []
    for _ in range(3):
        (count,) = struct.unpack_from(">H", text, place)
        place += 2
        group = []
        for _ in range(count):
            number, size = saving.SLOT.unpack_from(text, place)
            place += saving.SLOT.size
            group.append((number, text[place : place + size]))
            place += size
        groups.append(group)
    change(*groups)
    parts = []
    for group in groups:
        parts.append(len(group).to_bytes(2, "big"))
        parts += [saving.SLOT.pack(number, len(data)) + data for number, data in group]
    return joined(saved, model, b"".join(parts) + (text[place:] if history is None else history), progress)


def test_what_is_remembered_must_be_what_a_message_can_be_made_of() -> None:
    cloud, _ = model_after_meter_values()
    assert slots_saved(lambda shapes, words, strings: None) == cloud.decoder.saved()
    shape = b'3{"x":\x01}'
    for bad_shape in (
        b"",
        b"7{}",
        b'3{"x":\x01',
        b'3{"a\x01":1}',
        b'3{"a":1\x01}',
        b"2\x01,{}",
        b'3{ "x":\x01}',
        b'3{"\xff":\x01}',
        shape + shape,
    ):
        assert isinstance(refused(slots_saved(lambda shapes, words, strings, data=bad_shape: shapes.append((50, data)))), Malformed)  # type: ignore[misc]
    for bad_string in (b"", b"x", b'"a', b'"a","b"', b"true", b"{}", b' "a"', b'"\xff"', b'"\n"'):
        assert isinstance(refused(slots_saved(lambda shapes, words, strings, data=bad_string: strings.append((50, data)))), Malformed)  # type: ignore[misc]
    assert isinstance(refused(slots_saved(lambda shapes, words, strings: words.append((50, b"\xff")))), Malformed)
    assert isinstance(
        refused(slots_saved(lambda shapes, words, strings: strings.append((50, b'"' + b"x" * STRING_BYTES_MAX + b'"')))), LimitExceeded
    )
    assert isinstance(
        refused(slots_saved(lambda shapes, words, strings: shapes.append((50, b'3{"a":[' + b"\x01," * 512 + b"\x01]}")))), LimitExceeded
    )
    assert isinstance(refused(slots_saved(lambda shapes, words, strings: None, history=bytes(100_000))), LimitExceeded)


def test_numbers_and_keys_are_used_once() -> None:
    for change in (
        lambda shapes, words, strings: shapes.append((SHAPES_MAX, b"3{}")),
        lambda shapes, words, strings: shapes.append((shapes[0][0], b"3{}")),
        lambda shapes, words, strings: shapes.append((50, shapes[0][1])),
        lambda shapes, words, strings: strings.append((50, strings[0][1])),
        lambda shapes, words, strings: shapes.extend(
            (10 + place, b'3{"%04d":%s}' % (place, b'"%s"' % (b"x" * 4000))) for place in range(8)
        ),
    ):
        assert isinstance(refused(slots_saved(change)), Malformed)


def test_fields_are_of_a_known_kind_and_number() -> None:
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    model, text, progress = parts_of(saved)
    for number, key, kind in ((FIELDS_MAX, 1, saving.TEXT), (0, 1, saving.TEXT), (70, 1, 9)):
        added = model + saving.HEAD.pack(number, key, kind) + b"\0"
        assert isinstance(refused(joined(saved, added, text, progress)), Malformed)
    added = model + saving.HEAD.pack(70, 1, saving.TEXT) + b"\0"
    cloud.decoder.restore(joined(saved, added, text, progress))


def test_progress_is_that_of_a_direction() -> None:
    cloud, _ = model_after_meter_values()
    saved = cloud.decoder.saved()
    assert saved is not None
    model, text, progress = parts_of(saved)
    rest = progress[saving.PROGRESS.size :]
    for calls, answer, notes in ((2**32 + 1, 0, 4), (4, 2**32 + 1, 4), (5, 0, 4), (3, 0, 4)):
        assert isinstance(refused(joined(saved, model, text, saving.PROGRESS.pack(calls, answer, notes) + rest)), Malformed)
