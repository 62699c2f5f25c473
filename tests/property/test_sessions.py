"""Sessions that go wrong in every way a link, a restart or an attacker can bring about: no end ever hears what nobody said.

A checksum of 16 bits misses one difference in 65,536; what it missed is found by the next frame, as each checksum covers all texts before. So where frames
must be refused, the first or the second is.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ocppress_codecs.errors import DecodeError, EncodeError
from ocppress_codecs.interface import CodecName, Decoder, Endpoint, Side
from ocppress_codecs.jsontext import DEPTH_MAX
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of, parse, render
from tests.fuzz.mutations import mutated
from tests.support.strategies import any_messages, messages

BATCHES = st.lists(any_messages(), min_size=1, max_size=3)
SIDES = st.sampled_from(Side)
NOT_OCPPJ = st.sampled_from(
    ["", "{", "[]", '"x"', "{} ", "\x01", '{"a":\x01}', '{"a":1,}', '"Heartbeat",{},{}', "{}\n", "\ud800", '{"\ud800":1}']
)


def numbered(batch: list[Message], count: int) -> list[Message]:
    """As the far end will see it."""
    found = []
    for message in batch:
        is_call = message.type is MessageType.CALL
        found.append(message.with_call(count) if is_call else message)
        count += is_call
    return found


def other(side: Side) -> Side:
    return Side.CLOUD if side is Side.EDGE else Side.EDGE


def decode_all(decoder: Decoder, frames: list[bytes]) -> None:
    for frame in frames:
        decoder.decode(frame)


class Session(RuleBasedStateMachine):
    """Both ends of a station's epochs. `codec` is set by a subclass."""

    codec: CodecName

    @initialize(version=st.sampled_from(OcppVersion))
    def open(self, version: OcppVersion) -> None:
        self.version = version
        self.ends = {side: open_endpoint(self.codec, version, side) for side in Side}
        self.frames: dict[Side, list[bytes]] = {side: [] for side in Side}
        """Of the epoch, by sender."""
        self.saved: dict[Side, list[bytes]] = {side: [] for side in Side}
        """States of the epoch, by sender."""

    @rule(side=SIDES, batch=BATCHES)
    def send(self, side: Side, batch: list[Message]) -> None:
        self.deliver(side, *self.encode(side, batch))

    @rule(side=SIDES, first=BATCHES, second=BATCHES)
    def swap(self, side: Side, first: list[Message], second: list[Message]) -> None:
        early, late = self.encode(side, first), self.encode(side, second)
        if self.is_refused(side, late[0]):
            self.deliver(side, *early)
            self.deliver(side, *late)

    @precondition(lambda self: any(self.frames.values()))
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from([side for side in Side if self.frames[side]]))
        self.is_refused(side, data.draw(st.sampled_from(self.frames[side])))

    @precondition(lambda self: any(self.frames.values()))
    @rule(side=SIDES, batch=BATCHES, seed=st.integers(0, 2**32))
    def disturb(self, side: Side, batch: list[Message], seed: int) -> None:
        frame, expected = self.encode(side, batch)
        source = random.Random(seed)
        for _ in range(5):
            changed = mutated(frame, [*self.frames[side], frame], source)
            if changed != frame and not self.is_refused(side, changed, or_says=expected):
                return
        self.deliver(side, frame, expected)

    @rule(side=SIDES, batch=BATCHES, body=NOT_OCPPJ, place=st.integers(0, 3))
    def ask_the_impossible(self, side: Side, batch: list[Message], body: str, place: int) -> None:
        encoder = self.ends[side].encoder
        before, count = encoder.saved(), encoder.calls.count
        for bad in ([], [*batch[:place], Message(MessageType.CALLRESULT, "", body), *batch[place:]]):
            with pytest.raises(EncodeError):
                encoder.encode(bad)
        assert (encoder.saved(), encoder.calls.count) == (before, count)

    @rule(side=SIDES, lost=BATCHES, batches=st.tuples(BATCHES, BATCHES))
    def lose(self, side: Side, lost: list[Message], batches: tuple[list[Message], list[Message]]) -> None:
        self.encode(side, lost)
        frames = [self.encode(side, batch)[0] for batch in batches]
        self.must_be_found(side, frames)
        self.reset()

    @rule()
    def reset(self) -> None:
        """A new epoch, in which CALLs that were open keep their numbers: those that both ends know."""
        logs = {side: self.ends[side].encoder.calls for side in Side}
        for side in Side:
            logs[side].truncate(min(logs[side].count, self.ends[other(side)].decoder.calls.count))
        opened = {}
        for side in Side:
            sent, received = self.ends[side].encoder.calls, self.ends[side].decoder.calls
            opened[side] = open_endpoint(self.codec, self.version, side, sent, received)
        self.ends = opened
        self.forget()

    @precondition(lambda self: self.codec is CodecName.ADAPTIVE)
    @rule(side=SIDES)
    def restart(self, side: Side) -> None:
        """One end comes back with what it has saved."""
        self.ends[side] = self.with_saved(side, *(half.saved() for half in (self.ends[side].encoder, self.ends[side].decoder)))

    @precondition(lambda self: any(self.saved.values()))
    @rule(data=st.data(), batches=st.tuples(BATCHES, BATCHES))
    def restart_with_an_old_state(self, data: st.DataObject, batches: tuple[list[Message], list[Message]]) -> None:
        side = data.draw(st.sampled_from([side for side in Side if self.saved[side]]))
        old = data.draw(st.sampled_from(self.saved[side]))
        self.ends[side].encoder.restore(old)
        frames = [self.ends[side].encoder.encode(batch) for batch in batches]
        self.must_be_found(side, frames)
        self.ends = {end: open_endpoint(self.codec, self.version, end) for end in Side}
        self.forget()

    def teardown(self) -> None:
        for side in Side if hasattr(self, "ends") else ():
            assert self.ends[side].encoder.saved() == self.ends[other(side)].decoder.saved()

    def encode(self, side: Side, batch: list[Message]) -> tuple[bytes, list[Message]]:
        encoder = self.ends[side].encoder
        if self.codec is CodecName.ADAPTIVE and len(self.saved[side]) < 4:
            self.saved[side].append(encoder.saved() or b"")
        expected = numbered(batch, encoder.calls.count)
        return encoder.encode(batch), expected

    def deliver(self, side: Side, frame: bytes, expected: list[Message]) -> None:
        assert self.receiver(side).decode(frame) == expected
        self.frames[side].append(frame)

    def is_refused(self, side: Side, frame: bytes, or_says: list[Message] | None = None) -> bool:
        """A frame that nobody sent now. If it is taken, it says what was to be said, in other bytes, or the next one finds it; the epoch ends."""
        decoder = self.receiver(side)
        before = decoder.saved()
        try:
            found = decoder.decode(frame)
        except DecodeError:
            assert decoder.saved() == before
            return True
        if found != or_says:
            with pytest.raises(DecodeError):
                decoder.decode(frame)
        self.ends = {end: open_endpoint(self.codec, self.version, end) for end in Side}
        self.forget()
        return False

    def must_be_found(self, side: Side, frames: list[bytes]) -> None:
        with pytest.raises(DecodeError):
            decode_all(self.receiver(side), frames)

    def receiver(self, side: Side) -> Decoder:
        return self.ends[other(side)].decoder

    def forget(self) -> None:
        self.frames = {side: [] for side in Side}
        self.saved = {side: [] for side in Side}

    def with_saved(self, side: Side, encoder: Any, decoder: Any) -> Endpoint:
        end = open_endpoint(self.codec, self.version, side)
        end.encoder.restore(encoder)
        end.decoder.restore(decoder)
        return end


def _test_of(session_codec: CodecName) -> Any:
    class OfCodec(Session):
        codec = session_codec

    case = OfCodec.TestCase
    case.settings = settings(max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    return case


TestVerbatim = _test_of(CodecName.VERBATIM)
TestCborZstd = _test_of(CodecName.CBOR_ZSTD)
TestAdaptive = _test_of(CodecName.ADAPTIVE)


@pytest.mark.parametrize("codec", CodecName)
@settings(deadline=None, max_examples=60)
@given(batch=st.lists(any_messages(), min_size=1, max_size=6))
def test_any_valid_ocpp_and_any_odd_json_come_back(codec: CodecName, batch: list[Message]) -> None:
    edge, cloud = (open_endpoint(codec, OcppVersion.V21, side) for side in Side)
    for _ in range(2):
        expected = numbered(batch, edge.encoder.calls.count)
        assert cloud.decoder.decode(edge.encoder.encode(batch)) == expected


@pytest.mark.parametrize("codec", CodecName)
@settings(deadline=None, max_examples=40)
@given(
    here=st.lists(messages(), min_size=1, max_size=4),
    there=st.lists(messages(), min_size=1, max_size=4),
    batches=st.tuples(BATCHES, BATCHES),
)
def test_contexts_that_differ_are_found(
    codec: CodecName, here: list[Message], there: list[Message], batches: tuple[list[Message], list[Message]]
) -> None:
    edge, cloud = (open_endpoint(codec, OcppVersion.V16, side) for side in Side)
    elsewhere = open_endpoint(codec, OcppVersion.V16, Side.EDGE)
    if numbered(here, 0) == numbered(there, 0):
        there = [*there, Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')]
    edge.encoder.encode(here)
    cloud.decoder.decode(elsewhere.encoder.encode(there))
    frames = [edge.encoder.encode(batch) for batch in batches]
    with pytest.raises(DecodeError):
        decode_all(cloud.decoder, frames)


ENORMOUS = {
    "plain": '"' + "x" * 1_000_000 + '"',
    "escapes": '"' + "\\ud83d\\n" * 100_000 + '"',
    "wide": '"' + "漢🔌" * 150_000 + '"',
    "number": "1" * 100_000 + "." + "0" * 100_000 + "e-7",
    "deep": "[" * (DEPTH_MAX - 2) + "]" * (DEPTH_MAX - 2),
    "members": "{" + ",".join(['"a":1'] * 20_000) + "}",
    "values": "[" + ",".join(['"2026-03-02T08:00:00Z"', '"00ff10a0"', "-0.50"] * 4_000) + "]",
}


@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("value", ENORMOUS.values(), ids=ENORMOUS.keys())
def test_enormous_values_come_back(codec: CodecName, value: str) -> None:
    message = parse(f'[3,"",{{"x":{value}}}]')[1]
    edge, cloud = (open_endpoint(codec, OcppVersion.V16, side) for side in Side)
    assert cloud.decoder.decode(edge.encoder.encode([message])) == [message]


@settings(max_examples=200)
@given(message=any_messages())
def test_a_message_is_what_its_text_says(message: Message) -> None:
    assert parse(render("19", message)) == ("19", message.with_call(None))
    assert action_of(message.type, message.body) == message.action
