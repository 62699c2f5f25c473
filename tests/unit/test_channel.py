"""Two channels back to back: numbering, loss, resending, new epochs, pieces, window, acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import DecodeError, LimitExceeded
from ocppress_codecs.interface import FRAME_BYTES_MAX, CodecName, Decoder, Encoder, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.channel import RELAYS_KEPT, Channel, ReceivedBatch
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.lanes import Outgoing, Relay, Storing
from ocppress_gateway.core.limits import ACK_BYTES, ACK_FRAMES, ACK_RIDE_FRAMES, PIECE_BYTES, TEXT_PER_FRAME_BYTE, UNACKED_BYTES_MAX
from ocppress_gateway.core.parts import FramePart, Piece
from ocppress_gateway.core.stored import Lane

EPOCH = 77
CODECS = list(CodecName)


class Quick(Encoder):
    """Encodes everything to one byte, for a test of 65,536 frames."""

    def __init__(self) -> None:
        self.calls = CallLog()

    def encode(self, batch: Sequence[Message]) -> bytes:
        return b"x"


class Pair:
    """An edge's and a cloud's channel, and clocks that agree."""

    def __init__(self, codec: CodecName = CodecName.VERBATIM) -> None:
        self.codec = codec
        self.edge = Channel(OcppVersion.V201, EPOCH, open_endpoint(codec, OcppVersion.V201, Side.EDGE))
        self.cloud = Channel(OcppVersion.V201, EPOCH, open_endpoint(codec, OcppVersion.V201, Side.CLOUD))
        self.clock = LinkClock(0.0, 0.0)

    @property
    def edge_decoder(self) -> Decoder:
        return open_endpoint(self.codec, OcppVersion.V201, Side.EDGE).decoder

    def up(self, now: float = 0.0) -> list[ReceivedBatch]:
        return self.carry(self.edge, self.cloud, now)

    def down(self, now: float = 0.0) -> list[ReceivedBatch]:
        return self.carry(self.cloud, self.edge, now)

    def carry(self, sender: Channel, receiver: Channel, now: float) -> list[ReceivedBatch]:
        batches = []
        while sender.has_unsent:
            part = sender.next_part(0, self.clock, now)
            # On the wire the number is modulo 16.
            part = replace(part, number=part.number % 16)
            if isinstance(part, Piece):
                receiver.take_piece(part.number, part.data)
            else:
                batches.append(receiver.take_frame(part, self.clock, now))
        return batches

    def lose(self, sender: Channel) -> None:
        while sender.has_unsent:
            sender.next_part(0, self.clock, 0.0)

    def renew(self, epoch: int = EPOCH + 1) -> None:
        """Both ends, as the hello and the welcome have it."""
        edge_received, cloud_received = self.edge.received, self.cloud.received
        self.cloud.renew(epoch, partial(open_endpoint, self.codec, OcppVersion.V201, Side.CLOUD), edge_received)
        self.edge.renew(epoch, partial(open_endpoint, self.codec, OcppVersion.V201, Side.EDGE), cloud_received)

    def resume(self) -> None:
        edge_received, cloud_received = self.edge.received, self.cloud.received
        self.cloud.resume(edge_received)
        self.edge.resume(cloud_received)


def call(n: object, expires_at: float = 30.0, relay: Relay | None = None) -> Outgoing:
    return Outgoing(Message(MessageType.CALL, "Authorize", f'"Authorize",{{"n":"{n}"}}'), expires_at, relay)


def answer(number: int) -> Outgoing:
    return Outgoing(Message(MessageType.CALLRESULT, "", '{"ok":true}', number))


def bodies(batches: list[ReceivedBatch]) -> list[str]:
    return [message.body for batch in batches for message in batch.messages]


def numbers(batches: list[ReceivedBatch]) -> list[int | None]:
    return [message.call for batch in batches for message in batch.messages]


@pytest.mark.parametrize("codec", CODECS)
def test_frames_arrive_with_numbers_and_the_earliest_deadline(codec: CodecName) -> None:
    pair = Pair(codec)
    pair.edge.encode([call(1, 30.0), call(2, 28.0)])
    pair.edge.encode([answer(0)])
    first, second = pair.up(now=10.0)
    assert bodies([first]) == ['"Authorize",{"n":"1"}', '"Authorize",{"n":"2"}']
    assert numbers([first, second]) == [0, 1, 0]
    assert first.deadline is not None
    assert 26.5 < first.deadline <= 28.0
    assert second.deadline is None


def test_more_than_sixteen_frames() -> None:
    pair = Pair()
    for number in range(40):
        pair.edge.encode([call(number)])
    assert numbers(pair.up()) == list(range(40))
    assert pair.edge.sent == pair.cloud.received == 40


def test_a_frame_out_of_turn_is_refused() -> None:
    pair = Pair()
    for number in range(3):
        pair.edge.encode([call(number)])
    first, second, third = (pair.edge.next_part(0, pair.clock, 0.0) for _ in range(3))
    assert isinstance(first, FramePart)
    assert isinstance(second, FramePart)
    assert isinstance(third, FramePart)
    pair.cloud.take_frame(first, pair.clock, 0.0)
    for other in (first, third):
        with pytest.raises(ValueError, match="came after frame 1"):
            pair.cloud.take_frame(other, pair.clock, 0.0)
    assert numbers([pair.cloud.take_frame(second, pair.clock, 0.0)]) == [1]


# --- relays


def test_relays_learn_their_numbers_and_are_taken_once() -> None:
    pair = Pair()
    relays = [Relay(1, str(number), 30.0) for number in range(2)]
    pair.edge.encode([answer(0), call("a", relay=relays[0])])
    pair.edge.encode([call("b", relay=relays[1])])
    assert [relay.number for relay in relays] == [0, 1]
    assert pair.edge.take_relay(1) is relays[1]
    assert pair.edge.take_relay(1) is None
    assert pair.edge.take_relay(None) is None
    assert pair.edge.take_relay(99) is None
    for number in range(RELAYS_KEPT):
        pair.edge.encode([call(number, relay=Relay(1, "x", 30.0))])
    assert pair.edge.take_relay(0) is None, "the oldest is given up"
    assert pair.edge.take_relay(2) is not None


def test_voided_calls_are_over_time_and_answers_are_not() -> None:
    pair = Pair()
    pair.edge.encode([call(1)])
    pair.edge.encode([answer(0)])
    pair.edge.void_calls()
    calls, answers = pair.up(now=5.0)
    assert calls.deadline is not None
    assert calls.deadline <= 5.0
    assert answers.deadline is None
    pair.resume()
    pair.edge.encode([call(2)])
    (later,) = pair.up(now=5.0)
    assert later.deadline is not None
    assert later.deadline > 5.0


# --- pieces


@pytest.mark.parametrize("size", [PIECE_BYTES - 30, PIECE_BYTES, 3 * PIECE_BYTES + 5])
def test_a_large_frame_goes_in_pieces(size: int) -> None:
    pair = Pair()
    pair.edge.encode([call("x" * size)])
    pieces = []
    while pair.edge.has_unsent:
        pieces.append(pair.edge.next_part(0, pair.clock, 0.0))
    assert all(isinstance(piece, Piece) and len(piece.data) == PIECE_BYTES for piece in pieces[:-1])
    assert isinstance(pieces[-1], FramePart)
    assert 0 < len(pieces[-1].data) <= PIECE_BYTES
    assert pieces[-1].expiry is not None
    pair.edge.resume(0)
    assert len(bodies(pair.up())[0]) > size


def test_a_frame_lost_halfway_is_sent_again_from_its_start() -> None:
    pair = Pair()
    pair.edge.encode([call("x" * 3 * PIECE_BYTES)])
    piece = pair.edge.next_part(0, pair.clock, 0.0)
    pair.cloud.take_piece(piece.number, piece.data)
    pair.resume()
    assert len(bodies(pair.up())) == 1


def test_pieces_of_another_frame_and_of_too_large_a_frame_are_refused() -> None:
    pair = Pair()
    with pytest.raises(ValueError, match="frame 2 modulo 16"):
        pair.cloud.take_piece(2, b"x")
    pair.cloud.take_piece(1, bytes(FRAME_BYTES_MAX))
    with pytest.raises(LimitExceeded):
        pair.cloud.take_piece(1, b"x")


# --- acknowledgements


def test_acknowledgements_are_lazy_and_ride() -> None:
    pair = Pair()
    for count in range(1, ACK_FRAMES + 1):
        pair.edge.encode([call(count)])
        pair.up()
        if count < ACK_RIDE_FRAMES:
            assert pair.cloud.acknowledgement(riding=True) is None
        if count < ACK_FRAMES:
            assert pair.cloud.acknowledgement(riding=False) is None
            assert not pair.cloud.owes_acknowledgement
    assert pair.cloud.owes_acknowledgement
    ack = pair.cloud.acknowledgement(riding=False)
    assert ack is not None
    assert ack.number == ACK_FRAMES
    assert pair.cloud.acknowledgement(riding=True) is None
    for _ in range(ACK_RIDE_FRAMES):
        pair.edge.encode([call(0)])
    pair.up()
    ack = pair.cloud.acknowledgement(riding=True)
    assert ack is not None
    assert ack.number == ACK_FRAMES + ACK_RIDE_FRAMES


def test_an_acknowledgement_frees_what_was_kept() -> None:
    pair = Pair()
    for number in range(3):
        pair.edge.encode([call(number)])
    pair.up()
    pair.edge.acknowledged(2)
    pair.edge.acknowledged(2)
    assert pair.edge.can_resume(0, 2)
    assert not pair.edge.can_resume(0, 1), "frame 2 can't be sent again"
    pair.edge.resume(2)
    assert pair.edge.next_part(0, pair.clock, 0.0).number == 3


def test_frames_that_were_never_sent_cannot_be_acknowledged() -> None:
    pair = Pair()
    pair.edge.encode([call(1)])
    with pytest.raises(ValueError, match="1 acknowledged, 0 sent"):
        pair.edge.acknowledged(1)
    pair.lose(pair.edge)
    pair.edge.acknowledged(1)
    with pytest.raises(ValueError, match="acknowledged"):
        pair.edge.acknowledged(0)


def test_acknowledgements_around_their_modulus() -> None:
    pair = Pair()
    pair.edge = Channel(OcppVersion.V201, EPOCH, Endpoint(Quick(), pair.edge_decoder))
    for _ in range(0x10000 + 50):
        pair.edge.encode([call(1)])
        pair.lose(pair.edge)
        if pair.edge.sent % 60 == 0:
            pair.edge.acknowledged(pair.edge.sent % 0x10000)
    assert pair.edge.can_resume(0, pair.edge.sent)
    assert not pair.edge.can_resume(0, pair.edge.sent - 60)
    pair.edge.acknowledged(pair.edge.sent % 0x10000)
    assert pair.edge.window_open


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("fill", ["x" * 3_000, "x" * 100_000])
def test_the_window_closes_and_what_the_peer_owes_by_then_opens_it(codec: CodecName, fill: str) -> None:
    pair = Pair(codec)
    text = 0
    for number in range(100_000):
        if not pair.edge.window_open:
            break
        outgoing = call(f"{number}{fill}")
        text += len(outgoing.message.body)
        pair.edge.encode([outgoing])
    assert text <= 1.01 * UNACKED_BYTES_MAX * TEXT_PER_FRAME_BYTE + 2 * len(fill)
    pair.up()
    assert pair.cloud.owes_acknowledgement
    ack = pair.cloud.acknowledgement(riding=False)
    assert ack is not None
    pair.edge.acknowledged(ack.number % 0x10000)
    assert pair.edge.window_open


def test_few_large_frames_are_acknowledged_for_their_size() -> None:
    pair = Pair()
    pair.edge.encode([call("x" * (ACK_BYTES // 2))])
    pair.up()
    assert not pair.cloud.owes_acknowledgement
    pair.edge.encode([call("y" * (ACK_BYTES // 2))])
    pair.up()
    assert pair.cloud.owes_acknowledgement


# --- lost connections and contexts


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_a_lost_connection_costs_nothing(codec: CodecName, arrived: int) -> None:
    pair = Pair(codec)
    for number in range(3):
        pair.edge.encode([call(number)])
    got: list[ReceivedBatch] = []
    for _ in range(arrived):
        part = pair.edge.next_part(0, pair.clock, 0.0)
        assert isinstance(part, FramePart)
        got.append(pair.cloud.take_frame(part, pair.clock, 0.0))
    pair.lose(pair.edge)
    assert pair.cloud.can_resume(pair.edge.sent, pair.edge.received)
    pair.resume()
    pair.edge.encode([call(3)])
    got += pair.up()
    assert numbers(got) == [0, 1, 2, 3]
    assert bodies(got) == [f'"Authorize",{{"n":"{number}"}}' for number in range(4)]


def test_numbers_that_cannot_be_true_are_not_resumed() -> None:
    pair = Pair()
    for number in range(4):
        pair.edge.encode([call(number)])
    pair.up()
    for count in range(2):
        pair.cloud.encode([answer(count)])
    pair.down()
    pair.edge.acknowledged(3)
    assert pair.edge.can_resume(2, 4)
    assert pair.edge.can_resume(2, 3)
    assert not pair.edge.can_resume(2, 2), "acknowledged, so not kept"
    assert not pair.edge.can_resume(2, 5), "never sent"
    assert not pair.edge.can_resume(1, 4), "more received than was sent"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_a_new_epoch_keeps_what_is_kept_and_the_numbers_of_calls(codec: CodecName, arrived: int) -> None:
    pair = Pair(codec)
    relays = [Relay(1, str(number), 30.0) for number in range(5)]
    got: list[ReceivedBatch] = []
    pair.cloud.encode([call("down")])
    pair.down()
    for number in range(3):
        pair.edge.encode([answer(0), call(number, relay=relays[number])])
    for _ in range(arrived):
        part = pair.edge.next_part(0, pair.clock, 0.0)
        assert isinstance(part, FramePart)
        got.append(pair.cloud.take_frame(part, pair.clock, 0.0))
    pair.lose(pair.edge)
    pair.renew()
    assert (pair.edge.epoch, pair.cloud.epoch) == (EPOCH + 1, EPOCH + 1)
    pair.edge.encode([call(3, relay=relays[3]), call(4, relay=relays[4])])
    got += pair.up()
    assert [number for number, body in zip(numbers(got), bodies(got), strict=True) if "Authorize" in body] == [0, 1, 2, 3, 4]
    assert [relay.number for relay in relays] == [0, 1, 2, 3, 4]
    for number in (4, 2, 0):
        pair.cloud.encode([answer(number)])
    assert [pair.edge.take_relay(number) for number in numbers(pair.down())] == [relays[4], relays[2], relays[0]]


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_that_does_not_decode_leaves_the_channel_as_it_was(codec: CodecName) -> None:
    pair = Pair(codec)
    pair.edge.encode([call(0)])
    pair.up()
    pair.edge.encode([call(1)])
    part = pair.edge.next_part(0, pair.clock, 0.0)
    assert isinstance(part, FramePart)
    broken = replace(part, data=part.data[:-1] + bytes([part.data[-1] ^ 1]))
    with pytest.raises(DecodeError):
        pair.cloud.take_frame(broken, pair.clock, 0.0)
    assert pair.cloud.received == 1
    pair.renew()
    assert numbers(pair.up()) == [1]


def test_voided_calls_stay_void_in_a_new_epoch() -> None:
    pair = Pair()
    pair.edge.encode([call(0)])
    pair.edge.void_calls()
    pair.renew()
    (batch,) = pair.up(now=5.0)
    assert batch.deadline is not None
    assert batch.deadline <= 5.0


# --- saved


def saving_pair() -> Pair:
    pair = Pair(CodecName.ADAPTIVE)
    pair.cloud = Channel(
        OcppVersion.V201, EPOCH, open_endpoint(pair.codec, OcppVersion.V201, Side.CLOUD), is_secret=lambda body: '"n":"13"' in body
    )
    return pair


def test_what_was_never_sent_or_read_wrongly_is_not_saved() -> None:
    pair = saving_pair()
    assert pair.cloud.saved() is not None
    pair.cloud.encode([call(1)])
    assert pair.cloud.saved() is None
    pair.down()
    assert pair.cloud.saved() is not None
    pair.cloud.intact = False
    assert pair.cloud.saved() is None


def test_a_secret_keeps_a_context_from_being_saved_until_the_epoch_ends() -> None:
    pair = saving_pair()
    pair.edge.encode([call(12), call(13)])
    pair.up()
    pair.cloud.encode([call(2)])
    pair.down()
    assert pair.cloud.saved() is None
    reopen = partial(open_endpoint, pair.codec, OcppVersion.V201)
    pair.cloud.renew(78, partial(reopen, Side.CLOUD), 1)
    assert pair.cloud.saved() is not None
    pair.cloud.encode([call(13)])
    pair.edge.renew(78, partial(reopen, Side.EDGE), 1)
    pair.down()
    assert pair.cloud.saved() is None


def test_what_a_new_epoch_takes_along_is_looked_at_again() -> None:
    pair = saving_pair()
    pair.cloud.encode([call(13)])
    pair.down()
    pair.cloud.renew(78, partial(open_endpoint, pair.codec, OcppVersion.V201, Side.CLOUD), 0)
    pair.cloud._to_send.clear()  # the kernel has it
    assert pair.cloud.saved() is None


@pytest.mark.parametrize("up", [0, 1, 3])
def test_a_restored_channel_goes_on_where_the_saved_one_stood(up: int) -> None:
    pair = saving_pair()
    for number in range(5):
        pair.edge.encode([call(number)])
        pair.cloud.encode([call(number)])
    pair.up()
    pair.down()
    states = pair.cloud.saved()
    assert states is not None
    endpoint = open_endpoint(pair.codec, OcppVersion.V201, Side.CLOUD)
    endpoint.encoder.restore(states[0])
    endpoint.decoder.restore(states[1])
    for number in range(up):
        pair.edge.encode([call(number)])
    pair.cloud = Channel.restored(OcppVersion.V201, EPOCH, endpoint, sent=5, received=5, is_secret=lambda body: False)
    assert pair.cloud.can_resume(pair.edge.sent, pair.edge.received)
    assert not any(pair.cloud.can_resume(pair.edge.sent, other) for other in (0, 4, 6))
    assert not pair.cloud.can_resume(4, 5)
    pair.cloud.resume(pair.edge.received)
    pair.edge.resume(pair.cloud.received)
    assert numbers(pair.up()) == [*range(5, 5 + up)]
    pair.cloud.encode([call(9)])
    assert numbers(pair.down()) == [5]


def test_stored_messages_in_frames_that_wait_are_counted_by_lane() -> None:
    pair = Pair()
    message = Message(MessageType.CALL, "MeterValues", '"MeterValues",{}')
    pair.edge.encode([Outgoing(message, stored=Storing(Lane.ORDERED, 0.0, 1)), Outgoing(message, stored=Storing(Lane.EXPRESS, 0.0, 1))])
    pair.edge.encode([Outgoing(message, stored=Storing(Lane.ORDERED, 0.0, 2)), call(1)])
    assert pair.edge.unsent_stored == (1, 2)
    pair.up()
    assert pair.edge.unsent_stored == (0, 0)
    pair.edge.resume(1)
    assert pair.edge.unsent_stored == (0, 1), "what is to be sent again isn't there"
    pair.edge.renew(78, partial(open_endpoint, pair.codec, OcppVersion.V201, Side.EDGE), 1)
    assert pair.edge.unsent_stored == (0, 1)
