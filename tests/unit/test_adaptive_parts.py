"""The parts of the model: what a message is taken apart into, what is remembered, what is foreseen."""

from __future__ import annotations

import random

import pytest

from ocppress_codecs.adaptive import clocks, forecasts
from ocppress_codecs.adaptive.fields import NumberField, TimeField, cost_of
from ocppress_codecs.adaptive.first_sight import checked_skeleton
from ocppress_codecs.adaptive.forecasts import Readings
from ocppress_codecs.adaptive.history import HISTORY_BYTES_MAX, History, Source, index_of
from ocppress_codecs.adaptive.plans import CURRENT, ENERGY, OTHER, POWER, VOLTAGE, plan_of
from ocppress_codecs.adaptive.skeletons import HOLE, filled, fitted, keys_before, lexemes, split
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.adaptive.successors import CANDIDATES_MAX, NUMBER_MAX, Successors, candidates
from ocppress_codecs.errors import Malformed
from ocppress_codecs.scalars import Number, Text, Time, token_of

STATUS = '"StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2026-03-02T08:00:00Z","info":"x"}'
SAMPLED = '{"value":"230.1","measurand":"Voltage","phase":"L1","unit":"V"}'


def test_a_skeleton_keeps_what_stays_the_same() -> None:
    skeleton, values = split(2, STATUS)
    assert skeleton == (
        f'2"StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":{HOLE},"info":{HOLE}}}'
    )
    assert values == [Time(0, "Z", 1772438400), Text('"x"')]
    assert filled(skeleton[1:].split(HOLE), [token_of(value) for value in values]) == STATUS


def test_the_action_stays_though_it_be_a_vendors() -> None:
    assert split(2, '"Vendor.Own",{"a":"Vendor.Own"}') == (f'2"Vendor.Own",{{"a":{HOLE}}}', [Text('"Vendor.Own"')])


def test_digits_in_strings_are_numbers_only_where_meters_write_them() -> None:
    assert split(3, '{"value":"12","idTag":"12","x":"1.5","y":12,"z":999999999999999}')[1] == [
        Number(True, 0, 12),
        Text('"12"'),
        Number(True, 1, 15),
        Number(False, 0, 12),
        Text("999999999999999"),
    ]


def test_numbers_beside_a_connectors_name_stay() -> None:
    body = '{"connectorId":1,"evseId":123,"id":[1],"x":2}'
    assert split(3, body) == (f'3{{"connectorId":1,"evseId":{HOLE},"id":[{HOLE}],"x":{HOLE}}}', [Number(False, 0, n) for n in (123, 1, 2)])


@pytest.mark.parametrize(
    ("known", "body"),
    [
        (STATUS, STATUS.replace('"x"', '"230.10"').replace("08:00:00Z", "09:01:02.5Z")),
        (f"[{SAMPLED}]", f"[{SAMPLED.replace('230.1', '-7')}]"),
        ('{"value":"12","evseId":123}', '{"value":"13","evseId":999}'),
        ('{"a":"x","b":[1,2]}', '{"a":"},","b":[3,"y"]}'),
        ("{}", "{}"),
    ],
)
def test_a_body_is_fitted_to_a_skeleton_that_it_is_of(known: str, body: str) -> None:
    segments = split(3, known)[0][1:].split(HOLE)
    skeleton, values = split(3, body)
    assert skeleton[1:].split(HOLE) == segments
    assert fitted(segments, keys_before(segments), body) == values


@pytest.mark.parametrize(
    ("known", "body"),
    [
        ('{"evseId":123}', '{"evseId":12}'),
        ('{"a":"x"}', '{"a":"Accepted"}'),
        ('{"a":"x"}', '{"a":true}'),
        ('{"a":"x"}', '{"a":[]}'),
        ('{"a":"x","b":1}', '{"a":"x"}'),
        ('{"a":"x"}', '{"a":"x"}}'),
        ('{"a":"x"}', '{"a":"x","a":"x"}'),
        ('{"a":"x","b":"y"}', '{"a":"x","b":"y","b":"y"}'),
        ('"Vendor","x"', '"Vendor"'),
    ],
)
def test_a_body_is_not_fitted_to_another_skeleton(known: str, body: str) -> None:
    segments = split(3, known)[0][1:].split(HOLE)
    assert split(3, body)[0][1:].split(HOLE) != segments
    assert fitted(segments, keys_before(segments), body) is None


def test_lexemes_join_to_the_skeleton() -> None:
    skeleton = split(2, STATUS)[0]
    parts = lexemes(skeleton)
    assert "".join(parts) == skeleton[1:]
    assert parts[:6] == ["", '"StatusNotification"', ",{", '"connectorId"', ":", "1"]
    assert parts[-2:] == ["}", ""]


@pytest.mark.parametrize(
    "skeleton",
    [
        "3",
        "3[]",
        "3{} ",
        "7{}",
        "3{" + HOLE + ":1}",
        "2" + HOLE + ",{}",
        "2{}",
        '2"x"',
        "4" + HOLE + ",{}",
        '4{},"",{}',
        '3{"a":' + HOLE + HOLE + "}",
        "3" + "[" * 70 + "]" * 70,
    ],
)
def test_bad_skeletons_are_refused(skeleton: str) -> None:
    with pytest.raises(Malformed):
        checked_skeleton(skeleton)


@pytest.mark.parametrize(
    "skeleton", ["3{}", '2"x",{}', f'3{{"a":[{HOLE},{HOLE}]}}', f'4"GenericError",{HOLE}', f'4{HOLE},"",{{"a":{HOLE}}}']
)
def test_good_skeletons_are_taken(skeleton: str) -> None:
    checked_skeleton(skeleton)


def test_a_plan_knows_what_is_measured() -> None:
    body = (
        '"MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-03-02T08:00:00Z","sampledValue":['
        '{"value":"7","measurand":"Power.Active.Import","unit":"kW"},{"value":"5"},'
        + SAMPLED
        + ',{"value":16,"measurand":"Current.Import","phase":"L1-N","unitOfMeasure":{"unit":"kVA"}}]}],"transactionId":5}'
    )
    plan = plan_of(split(2, body)[0])
    assert [hole.role for hole in plan.holes] == [OTHER, POWER, ENERGY, VOLTAGE, CURRENT, OTHER]
    assert [hole.kilo for hole in plan.holes] == [False, True, False, False, True, False]
    assert [hole.phase for hole in plan.holes] == [0, 0, 0, 1, 1, 0]
    order = plan.order
    assert [plan.holes[place].role for place in order[-2:]] == [POWER, ENERGY]
    assert len({hole.field for hole in plan.holes}) == 6


def test_fields_are_those_of_the_connector() -> None:
    one, other = (plan_of(split(2, STATUS.replace("1", number, 1))[0]).holes[1].field for number in "12")
    assert one != other
    assert plan_of(split(2, STATUS.replace("Available", "Occupied"))[0]).holes[1].field == one


def test_readings_of_one_message_are_kept_apart() -> None:
    reading = '{"timestamp":"2026-03-02T08:00:00Z","sampledValue":[' + SAMPLED + "]}"
    plan = plan_of(split(2, '"MeterValues",{"connectorId":1,"meterValue":[' + reading + "," + reading + "]}")[0])
    assert [hole.group for hole in plan.holes] == [1, 1, 2, 2]
    assert plan.holes[1].field == plan.holes[3].field


def test_slots_forget_what_was_unused_longest() -> None:
    slots: Slots[str, str] = Slots(3, 100)
    numbers = [slots.insert(name, name.upper(), 10) for name in "abc"]
    assert numbers == [0, 1, 2]
    slots.touch(0)
    assert slots.ranked() == [0, 2, 1]
    assert slots.insert("d", "D", 10) == 1
    assert slots.find("b") == -1
    assert slots.insert("e", "E", 95) == 0, "the heavy one takes the room of all"
    assert (slots.numbers, slots.weight) == ({"e": 0}, 95)


def test_slots_can_be_undone() -> None:
    slots: Slots[str, str] = Slots(3, 100)
    for name in "ab":
        slots.insert(name, name, 10)
    slots.keep()
    before = (slots.items[:], slots.keys[:], slots.stamps[:], dict(slots.numbers), slots.weight, slots.clock)
    slots.insert("c", "c", 10)
    slots.touch(0)
    slots.replace(1, "B")
    slots.insert("d", "d", 95)
    slots.undo()
    assert (slots.items, slots.keys, slots.stamps, slots.numbers, slots.weight, slots.clock) == before


def test_successors_are_the_last_ones_first() -> None:
    known = {7: 0}
    successors = Successors(16, known)
    for number in (1, 2, 3, 4, 5, 2, NUMBER_MAX):
        successors.follow(9, successors.find(9), number)
    assert candidates(successors.find(9)) == [NUMBER_MAX, 2, 5, 4]
    assert len(candidates(successors.find(9))) == CANDIDATES_MAX
    assert candidates(successors.find(8)) == []
    successors.keep()
    successors.follow(9 + 16 + (1 << 22), 0, 1)
    assert candidates(successors.find(9)) == [], "another context took its place"
    successors.undo()
    assert candidates(successors.find(9))[0] == NUMBER_MAX


def test_history_finds_the_last_occurrence() -> None:
    history = History()
    history.add(b"configuration")
    history.add(b"confirmation")
    place = history.own.find(b"conf")
    assert history.own.text[place : place + 7] == b"irmatio"
    assert history.own.find(b"none") == 0
    assert Source(b"abcd", 16).find(b"abcd") == 4


def test_history_is_bounded_and_can_be_undone() -> None:
    history = History()
    for number in range(1500):
        history.add(b"line %d" % number)
    history.keep()
    assert history.own.index is not None
    text, index = history.own.text, history.own.index[:]
    for number in range(1500):
        history.add(b"other %d" % number)
        assert len(history.own.text) <= HISTORY_BYTES_MAX
    history.add(bytes(2 * HISTORY_BYTES_MAX))
    assert len(history.own.text) <= HISTORY_BYTES_MAX
    history.undo()
    assert (history.own.text, history.own.index) == (text, index)
    history.add(b"a little")
    history.undo()
    assert (history.own.text, history.own.index) == (text, index)
    assert index == index_of(text, len(index)), "the index is that of the text, whatever it went through"


@pytest.mark.parametrize("size", [7, 16, 4096])
def test_a_short_text_is_searched_for_what_an_index_would_give(size: int) -> None:
    source = random.Random(size)
    for _ in range(100):
        text = bytes(source.choices(b"abc", k=source.randrange(200)))
        short = Source(text, size)
        indexed = Source(text, size)
        indexed.index = index_of(text, size)
        assert short.index is None
        for tail in {text[place : place + 4] for place in range(len(text) - 3)} | {b"aaaa", b"none"}:
            assert short.find(tail) == indexed.find(tail)


def test_a_text_that_becomes_long_gets_an_index_and_loses_it_when_undone() -> None:
    history = History()
    history.add(b"abcd")
    history.keep()
    for _ in range(20):
        history.add(b"some more of that text")
    assert history.own.index == index_of(history.own.text, 4096)
    history.undo()
    assert history.own.text == b"abcd\n"
    assert not history.own.index


def test_costs_are_logarithms() -> None:
    assert [cost_of(error) for error in (0, 1, -3, 255, 1 << 40)] == [0, 16, 32, 128, 256]
    assert all(cost_of(error) <= cost_of(error + 1) for error in range(5000))


VOLTS, AMPERES, WATTS, REGISTER = plan_of(
    '2"MeterValues",{"meterValue":[{"sampledValue":['
    + ",".join(
        f'{{"value":{HOLE},"measurand":"{measurand}"}}'
        for measurand in ("Voltage", "Current.Import", "Power.Active.Import", "Energy.Active.Import.Register")
    )
    + "]}]}"
).holes


def test_power_is_foreseen_by_voltage_and_current() -> None:
    readings = Readings()
    forecasts.note(NumberField(False, 1, 2300), VOLTS, readings, 0, None)
    forecasts.note(NumberField(False, 2, 1000), AMPERES, readings, 0, None)
    made = forecasts.forecast(NumberField(False, 0, 500), WATTS, readings, 0, 0)
    assert 2300 in made.candidates


def test_energy_is_foreseen_by_power_and_time() -> None:
    field = NumberField(False, 0, 10_000)
    first = Readings()
    forecasts.note(NumberField(False, 0, 3600), WATTS, first, 1_000_000, None)
    forecasts.note(field, REGISTER, first, 1_000_000, None)
    readings = Readings()
    forecasts.note(NumberField(False, 0, 3600), WATTS, readings, 1_060_000, None)
    made = forecasts.forecast(field, REGISTER, readings, 1_060_000, 0)
    assert 10_060 in made.candidates


def test_a_line_is_followed() -> None:
    field = NumberField(False, 0, 100)
    errors = []
    for value in range(93, -400, -7):
        made = forecasts.forecast(field, VOLTS, Readings(), 0, 0)
        errors.append(made.predicted - value)
        field = forecasts.learn(field, VOLTS, Readings(), 0, made, value)
    assert errors[-20:] == [0] * 20


def test_a_periodic_series_is_followed_through_its_jitter() -> None:
    jitters = [(place * 7919) % 50 for place in range(200)]
    field = TimeField(3, "Z", 1_000_000_000_000, 0)
    errors = []
    for place, jitter in enumerate(jitters):
        value = 1_000_000_000_000 + 60_000 * (place + 1) + jitter
        # The clock is elsewhere: other messages have moved it on.
        found = clocks.candidates_of(field, value - 20_123)
        errors.append(value - found[field.best])
        field = clocks.learn(field, value - 20_123, found, found[field.best], value)
    assert all(-30 <= error <= 30 for error in errors[50:])
