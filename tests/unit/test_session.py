"""Who sends next on a connection: controls first, stations in turn, limits, linger, and the clock's renewal."""

from __future__ import annotations

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.clock import CLOCK_AGE_MAX_S, LinkClock
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.edge_station import EarlyAnswers, EdgeStation, StationState
from ocppress_gateway.core.lanes import Outgoing
from ocppress_gateway.core.limits import ACK_FRAMES, LINK_MESSAGE_BYTES_MAX, PIECE_BYTES, STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.parts import Ack, Attach, Detach, FramePart, Goodbye, Part, Piece, RenewedClock, TakeClock, read_parts
from ocppress_gateway.core.policy import NO_OVERRIDES, Turn
from ocppress_gateway.core.session import CONTROLS_WAITING_MAX, LinkSession, SessionEvent

LINGER_S = 0.02


def conversation(slot: int = 0) -> EdgeStation:
    early = EarlyAnswers(
        NO_OVERRIDES, lambda identity, now: None, lambda: 0.0, lambda identity, now: None, lambda identity, count: None, 2.0
    )
    times = {"answer_timeout_s": 30.0, "station_timeout_s": 60.0}
    station = EdgeStation(f"CP{slot}", slot, make_id=str, counters=Counters(), early=early, **times)
    station.state = StationState.ADMITTED
    station.channel = Channel(OcppVersion.V16, 1, open_endpoint(CodecName.VERBATIM, OcppVersion.V16, Side.EDGE))
    return station


def session(now: float = 0.0, *, takes_clock: bool = True) -> LinkSession:
    opened = LinkSession(1, LINGER_S, takes_clock=takes_clock)
    opened.moved(SessionEvent.OPENED)
    opened.moved(SessionEvent.GREETED)
    opened.clock = LinkClock(zero=now, peer_floor=now)
    opened.heard()
    return opened


def call(expires_at: float, size: int = 0) -> Outgoing:
    return Outgoing(Message(MessageType.CALL, "A", f'"A",{{"fill":"{"x" * size}"}}'), expires_at)


def sent(link: LinkSession, stations: list[Conversation], now: float) -> list[Part]:
    link.wake(stations, now)
    data = link.next_message(stations, now)
    assert len(data) <= LINK_MESSAGE_BYTES_MAX
    if data:
        link.kernel_has_it()
    return read_parts(data)


def test_neighbours_share_a_packet() -> None:
    link, first, second = session(), conversation(0), conversation(1)
    stations: list[Conversation] = [first, second]
    first.lanes.add(call(30.0), Turn.ORDERED)
    assert sent(link, stations, 0.0) == []
    assert link.next_deadline() == LINGER_S
    second.lanes.add(call(30.0), Turn.ORDERED)
    assert sent(link, stations, LINGER_S / 2) == []
    assert link.next_deadline() == LINGER_S, "the time runs from the first"
    assert [part.slot for part in sent(link, stations, LINGER_S) if isinstance(part, FramePart)] == [0, 1]
    assert link.next_deadline() is None


def test_one_message_at_a_time() -> None:
    link, station = session(), conversation()
    station.lanes.add(call(30.0), Turn.ORDERED)
    link.wake([station], 0.0)
    assert link.next_message([station], 1.0)
    station.lanes.add(call(30.0), Turn.ORDERED)
    link.wake([station], 1.0)
    assert link.next_message([station], 2.0) == b""
    assert link.next_deadline() is None
    link.kernel_has_it()
    assert link.next_deadline() is not None
    assert link.next_message([station], 2.0)


def test_nothing_is_sent_while_greeting_or_closing() -> None:
    link, station = LinkSession(1, LINGER_S, takes_clock=True), conversation()
    station.lanes.add(call(30.0), Turn.ORDERED)
    for event in (SessionEvent.OPENED, SessionEvent.GREETED):
        link.control(Detach(0, 1), 0.0)
        assert sent(link, [station], 1.0) == []
        assert link.next_deadline() is None
        link.moved(event)
    link.clock = LinkClock(0.0, 0.0)
    link.closing = True
    assert sent(link, [station], 1.0) == []
    assert link.next_deadline() is None
    link.closing = False
    assert len(sent(link, [station], 1.0)) == 3


def test_controls_go_first_and_at_once() -> None:
    link, station = session(), conversation()
    station.lanes.add(call(30.0), Turn.ORDERED)
    link.control(Detach(0, 1), 5.0)
    link.control(Goodbye("x", 0), 5.0)
    assert [type(part) for part in sent(link, [station], 5.0)] == [Detach, Goodbye, FramePart]


def test_large_controls_and_frames_never_make_too_large_a_message() -> None:
    link = session()
    stations: list[Conversation] = [conversation(slot) for slot in range(STATIONS_PER_EDGE_MAX)]
    credentials = "x" * 4096
    for station in stations:
        link.control(Attach(station.slot, 1, station.identity, ["ocpp1.6"], credentials, 1), 0.0)
        station.lanes.add(call(30.0, PIECE_BYTES), Turn.ORDERED)
        assert station.channel is not None
        station.channel.received = ACK_FRAMES
    parts: list[Part] = []
    for now in range(1, 200):
        parts += sent(link, stations, float(now) / 100)
    assert [part.slot for part in parts if isinstance(part, Attach)] == list(range(STATIONS_PER_EDGE_MAX))
    assert sorted(part.slot for part in parts if isinstance(part, FramePart)) == list(range(STATIONS_PER_EDGE_MAX))
    assert sorted(part.slot for part in parts if isinstance(part, Ack)) == list(range(STATIONS_PER_EDGE_MAX))


def test_controls_waiting_are_counted() -> None:
    link = session()
    for number in range(CONTROLS_WAITING_MAX):
        assert not link.crowded
        link.control(Detach(0, number + 1), 0.0)
    assert link.crowded
    sent(link, [], 0.0)
    assert not link.crowded


def test_stations_take_turns() -> None:
    link, loud, quiet = session(), conversation(0), conversation(1)
    stations: list[Conversation] = [loud, quiet]
    loud.lanes.add(call(30.0, 50 * PIECE_BYTES), Turn.ORDERED)
    loud.lanes.add(call(30.0), Turn.ORDERED)
    sent(link, stations, 1.0)
    quiet.lanes.add(call(30.0), Turn.ORDERED)
    assert 1 in {part.slot for part in sent(link, stations, 1.1) if isinstance(part, FramePart)}


def test_nobody_starves_where_more_are_busy_than_a_message_has_room_for() -> None:
    link = session()
    stations: list[Conversation] = [conversation(slot) for slot in range(8)]
    for station in stations:
        station.lanes.add(call(30.0, 20 * PIECE_BYTES), Turn.ORDERED)
    pieces = [part.slot for now in range(1, 33) for part in sent(link, stations, float(now)) if isinstance(part, Piece)]
    counts = [pieces.count(slot) for slot in range(8)]
    assert len(pieces) == 31 * 3, "the first message lingers"
    assert min(counts) >= max(counts) - 3, counts


def test_until_the_peer_is_heard_a_backlog_goes_in_small_messages() -> None:
    link, station = session(), conversation()
    silent = LinkSession(1, LINGER_S, takes_clock=True)
    silent.moved(SessionEvent.OPENED)
    silent.heard()
    silent.moved(SessionEvent.GREETED)
    silent.clock = link.clock
    for _ in range(8):
        station.lanes.add(call(30.0, 3000), Turn.ORDERED)
    silent.hurry(1.0)
    assert len(sent(silent, [station], 1.0)) == 1, "what was heard before the greeting's end doesn't count"
    silent.heard()
    assert len(sent(silent, [station], 2.0)) > 1


def test_acknowledgements_ride_or_go_alone() -> None:
    link, station = session(), conversation()
    assert station.channel is not None
    station.channel.received = ACK_FRAMES - 1
    assert sent(link, [station], 1.0) == []
    station.channel.received = ACK_FRAMES
    assert sent(link, [station], 1.0) == []
    assert sent(link, [station], 1.0 + LINGER_S) == [Ack(0, ACK_FRAMES)]
    station.channel.received += 8
    station.lanes.add(call(30.0), Turn.ORDERED)
    sent(link, [station], 2.0)
    first, second = sent(link, [station], 2.0 + LINGER_S)
    assert first == Ack(0, ACK_FRAMES + 8)
    assert isinstance(second, FramePart)


def test_who_may_not_send_has_no_turn() -> None:
    link, station = session(), conversation()
    station.state = StationState.ASKING
    station.lanes.add(call(30.0), Turn.ORDERED)
    assert sent(link, [station], 1.0) == []
    assert link.next_deadline() is None


def test_pieces_of_a_station_stay_in_order() -> None:
    link, station = session(), conversation()
    station.lanes.add(call(30.0, 10 * PIECE_BYTES), Turn.ORDERED)
    parts: list[Part] = []
    for now in range(1, 9):
        parts += sent(link, [station], float(now))
    assert [type(part) for part in parts] == [Piece] * 10 + [FramePart]


# --- the clock's renewal


def test_the_zeros_are_taken_anew_and_no_deadline_lives_longer_across_it() -> None:
    """Every message of both ends carries a CALL with 30 s to live; half a second on the way each."""
    edge, cloud = session(), session(takes_clock=False)
    up, down = conversation(), conversation()
    kinds: list[str] = []
    for step in range(200):
        now = step * 600.0
        for link, peer, station in ((edge, cloud, up), (cloud, edge, down)):
            station.lanes.add(call(now + 30.0), Turn.ORDERED)
            link.control(Detach(0, 1), now)
            arrived = now + 0.5
            assert peer.clock is not None
            for part in sent(link, [station], now):
                if isinstance(part, TakeClock):
                    kinds.append("take")
                    peer.clock_taken(arrived)
                elif isinstance(part, RenewedClock):
                    kinds.append("edge renews" if link is edge else "cloud renews")
                    peer.clock_renewed(arrived)
                elif isinstance(part, FramePart):
                    assert part.expiry is not None
                    assert now + 20.0 <= peer.clock.deadline(part.expiry, arrived) <= now + 30.0
                    assert station.channel is not None
                    station.channel.acknowledged(station.channel.sent)
    renewals = int(200 * 600.0 / CLOCK_AGE_MAX_S)
    assert kinds[:3] == ["take", "cloud renews", "edge renews"]
    assert renewals - 1 <= kinds.count("take") <= renewals
    assert abs(kinds.count("edge renews") - kinds.count("take")) <= 1


def test_a_frame_in_the_message_that_renews_is_stamped_by_the_old_zero() -> None:
    """What the far end reads before `RenewedClock` counts from the old zero, what comes after from the new one."""
    edge, cloud = session(), session(takes_clock=False)
    station = conversation()
    edge.control(Detach(0, 1), CLOCK_AGE_MAX_S + 1)
    assert TakeClock() in sent(edge, [station], CLOCK_AGE_MAX_S + 1)
    now = CLOCK_AGE_MAX_S + 2
    cloud.clock_taken(now)
    down = conversation()
    deadlines = []
    for _ in range(2):
        down.lanes.add(call(now + 30.0), Turn.ORDERED)
        cloud.control(Detach(0, 1), now)
        assert edge.clock is not None
        for part in sent(cloud, [down], now):
            if isinstance(part, RenewedClock):
                edge.clock_renewed(now)
            elif isinstance(part, FramePart):
                assert part.expiry is not None
                deadlines.append(edge.clock.deadline(part.expiry, now))
    assert all(now + 25 <= deadline <= now + 30 for deadline in deadlines), deadlines
