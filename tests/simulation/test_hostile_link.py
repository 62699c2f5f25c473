"""Each machine against a peer that says whatever it likes: nothing raises, nothing grows without bound, and an honest peer is served after."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from ocppress_codecs.interface import FRAME_BYTES_MAX, CodecName, Side
from ocppress_codecs.registry import offers, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.calls import INCOMING_OPEN_MAX, WAITING_MAX
from ocppress_gateway.core.certificate import CERTIFICATE_BYTES_MAX
from ocppress_gateway.core.channel import RELAYS_KEPT, Channel
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.conversation import Conversation
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.events import (
    AdmitStation,
    Bury,
    CloseCsms,
    CloseLink,
    CloseStation,
    CsmsClosed,
    CsmsOpened,
    CsmsRefused,
    CsmsText,
    Effect,
    Event,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    LoadPositions,
    LoadStored,
    OpenCsms,
    OpenLink,
    RefuseStation,
    SavePosition,
    SendCsms,
    SendLink,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    StoreMessage,
    Tick,
)
from ocppress_gateway.core.lanes import Outgoing
from ocppress_gateway.core.limits import (
    IDENTITIES_MAX,
    LANES_MESSAGES_MAX,
    STATIONS_PER_EDGE_MAX,
    STORED_IN_FLIGHT_MAX,
    UNACKED_BYTES_MAX,
)
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Ack,
    Attach,
    ChoosePlan,
    CsmsTime,
    Delivered,
    Detach,
    Eject,
    FlushStation,
    FramePart,
    Goodbye,
    Hello,
    Part,
    PartError,
    Piece,
    Renewal,
    RenewedClock,
    StationWelcome,
    TakeClock,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.session import CONTROLS_WAITING_MAX, LinkSession
from ocppress_gateway.core.stored import (
    Buried,
    Lane,
    Loaded,
    NotBuried,
    NotStored,
    OutboxOpened,
    PositionNotSaved,
    PositionSaved,
    PositionsLoaded,
    StationRecord,
    Stored,
    StoredMessage,
)
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.world import EDGE_NAME, World
from tests.support.simulated import check, early_edge, make_cloud, make_edge, make_traffic

STEPS = 800
GOODBYE_S_MAX = 3600
WORDS = ["", "1.6", "2.0.1", "2.1", "ocpp1.6", "ocpp2.0.1", "ocpp2.1", "soap"]


# --- what honest machines say to each other, to begin with


class _Recorder(World):
    said: dict[str, list[bytes]]

    def step(self, machine: Machine, event: Event) -> None:
        if isinstance(event, LinkMessage):
            self.said["up" if machine is self.cloud else "down"].append(event.data)
        super().step(machine, event)


def storing_edge(random: Random) -> EdgeMachine:
    return early_edge(random, delay_s=5.0, codec=CodecName.VERBATIM)


@cache
def honest(*, outbox: bool = False) -> dict[str, list[bytes]]:
    """Link messages of a short honest life, by direction."""
    _Recorder.said = {"up": [], "down": []}
    world = _Recorder(1, storing_edge if outbox else make_edge, make_cloud)
    csms = world.csms = Csms(world)
    for number in range(3):
        station = Station(world, f"CP{number}", pipeline=2, boots=outbox)
        world.at(2.0, station.connect)
        make_traffic(world, station, csms, 10, 60.0)
        world.at(30.0 + number, station.disconnect)
    world.run(120.0)
    if not outbox:
        check(station, csms)
    return world.said


# --- the attacker


class Attacker:
    """One machine, and everybody around it in one pair of wrong hands."""

    def __init__(self, machine: Machine, random: Random, direction: str, *, outbox: bool = False) -> None:
        """The stores, with `outbox`, are slow and full now and then, but honest."""
        self.machine = machine
        self.random = random
        self.now = 0.0
        self.sockets: list[int] = []
        self.heard: list[str] = []
        self.links: list[int] = []
        self.next_number = 1
        self._events: deque[Event] = deque()
        self._material = honest(outbox=outbox)[direction]
        self._disk: dict[tuple[str, Lane], list[StoredMessage]] = {}
        self._replayed = 0
        self._direction = direction
        self._wildness = random.choice([0.0, 0.02, 0.3])
        self._reads = random.choice([0.7, 0.99])

    def step(self, event: Event) -> None:
        """Give the machine an event, and then what follows from its effects."""
        self._events.append(event)
        while self._events:
            for effect in self.machine.step(self._events.popleft(), self.now):
                self._reply(effect)

    def tick(self) -> None:
        """Let the machine do what is due; soon nothing is."""
        for _ in range(100):
            deadline = self.machine.next_deadline()
            if deadline is None or deadline > self.now:
                return
            self.step(Tick())
        raise AssertionError("a deadline that its step doesn't move")

    def _reply(self, effect: Effect) -> None:
        random = self.random
        match effect:
            case OpenLink():
                if random.random() < 0.9:
                    self.links = [effect.link]
                    self._events.append(LinkOpened(effect.link))
                else:
                    self._events.append(LinkClosed(effect.link, "refused"))
            case SendLink():
                if random.random() < self._reads:
                    self._events.append(LinkSent(effect.link))
                if self._direction == "down" and random.random() < 0.7:
                    self._events += [LinkMessage(effect.link, write_parts([part])) for part in self._as_hoped(read_parts(effect.data))]
            case CloseLink():
                if effect.link in self.links:
                    self.links.remove(effect.link)
                    self._events.append(LinkClosed(effect.link, "closed"))
            case OpenCsms():
                choice = random.random()
                if choice < 0.7:
                    self.sockets.append(effect.socket)
                    chosen = effect.subprotocols[0] if choice < 0.6 else random.choice(WORDS)
                    self._events.append(CsmsOpened(effect.socket, chosen))
                elif choice < 0.8:
                    status = random.choice([None, 0, 101, 401, 404, 999])
                    self._events.append(CsmsRefused(effect.socket, status, "x" * random.randrange(500) + "\n\udcff"))
            case AdmitStation() if effect.subprotocol:
                self.sockets.append(effect.socket)
            case RefuseStation() | CloseStation():
                self.sockets = [socket for socket in self.sockets if socket != effect.socket]
                self._events.append(StationGone(effect.socket, "closed"))
            case CloseCsms():
                if effect.socket in self.sockets:
                    self.sockets.remove(effect.socket)
                    self._events.append(CsmsClosed(effect.socket, "closed"))
            case SendCsms() | SendStation():
                self.heard.append(effect.text)
            case _:
                self._store(effect)

    def _store(self, effect: Effect) -> None:
        random = self.random
        match effect:
            case StoreMessage() if random.random() < 0.9:
                kept = self._disk.setdefault((effect.message.identity, effect.message.lane), [])
                kept.append(replace(effect.message, position=len(kept) + 1))
                self._events.append(Stored(effect.ticket, len(kept)))
            case StoreMessage():
                self._events.append(NotStored(effect.ticket, "full"))
            case LoadStored():
                kept = self._disk[effect.identity, effect.lane]
                self._events.append(Loaded(effect.identity, effect.lane, tuple(kept[effect.after : effect.after + 5])))
            case LoadPositions():
                known = {} if random.random() < 0.5 else {random.randbytes(8): (3, 4)}
                self._events.append(PositionsLoaded(effect.identity, known))
            case SavePosition():
                saved = effect.identity, effect.incarnation, effect.lane, effect.position
                if random.random() < 0.1:
                    self._events.append(PositionNotSaved(*saved, "slow"))
                self._events.append(PositionSaved(*saved))
            case Bury():
                letter = effect.letter
                full = NotBuried(letter.identity, letter.message_id, "full")
                self._events.append(full if random.random() < 0.2 else Buried(letter.identity, letter.message_id, 1))
            case _:
                pass

    # --- what it says on the link

    def _as_hoped(self, parts: list[Part]) -> list[Part]:
        """What an edge hopes to hear."""
        hoped: list[Part] = []
        for part in parts:
            if isinstance(part, Hello):
                known = [
                    StationWelcome(self.random.choice([7, station.epoch]), self.random.random() < 0.5, self.random.random() < 0.5, 0)
                    for station in part.stations
                ]
                hoped.append(Welcome("verbatim", known))
            elif isinstance(part, Attach):
                hoped.append(
                    Verdict(
                        part.slot,
                        part.attachment,
                        101,
                        part.subprotocols[0].removeprefix("ocpp"),
                        self.random.choice([7, 8]),
                        "",
                        part.delivered,
                    )
                )
        return hoped

    def link_message(self) -> bytes:
        random = self.random
        choice = random.random()
        if choice < self._wildness:
            return random.randbytes(random.randrange(200))
        if choice < 0.7:
            self._replayed = (self._replayed + random.choice([1, 1, 1, 1, 1, 1, 1, 0, 2, -5])) % len(self._material)
            data = self._material[self._replayed]
        else:
            data = write_parts([self.part() for _ in range(random.randrange(1, 3))])
        if random.random() < self._wildness:
            return self.mutated(data)
        return data

    def mutated(self, data: bytes) -> bytes:
        random = self.random
        changed = bytearray(data)
        for _ in range(random.randrange(1, 4)):
            place = random.randrange(len(changed) + 1)
            match random.randrange(4):
                case 0 if changed:
                    changed[place % len(changed)] ^= 1 << random.randrange(8)
                case 1:
                    del changed[place:]
                case 2:
                    changed[place:place] = random.randbytes(random.randrange(1, 9))
                case _:
                    changed += changed[place:]
        return bytes(changed)

    def part(self) -> Part:
        """A well-formed part, more or less out of place."""
        random = self.random
        slot = random.choice([0, 0, 1, 2, random.randrange(STATIONS_PER_EDGE_MAX)])
        attachment = random.choice([1, 1, 2, 3, 2**32 - 1])
        number = random.choice([1, 2, random.randrange(16)])
        identity = random.choice(["CP0", "CP1", f"X{random.randrange(1000)}"])
        makers: list[Callable[[], Part]] = [
            lambda: FramePart(slot, number, random.randbytes(random.randrange(40)), random.choice([None, 30, 65535])),
            lambda: FramePart(slot, number, self._some_frame(), random.choice([None, 30, 65535])),
            lambda: Piece(slot, number, random.randbytes(random.choice([0, 10, 4000]))),
            lambda: Ack(slot, random.choice([0, 1, 2, random.randrange(65536)])),
            lambda: Goodbye("x", random.choice([0, 1, 3600])),
            lambda: RenewedClock(),
        ]
        if self._direction == "up":
            epoch = random.choice([0, 1, random.randrange(2**32)])
            makers += [
                lambda: Attach(slot, attachment, identity, random.choices(WORDS, k=random.randrange(5)), "Basic eA==", epoch),
                lambda: Attach(slot, attachment, identity, ["ocpp1.6"], None, epoch),
                lambda: Attach(slot, attachment, identity, ["ocpp1.6"], None, 0, 300, (number, 0), (2, number)),
                lambda: Detach(slot, attachment),
                lambda: TakeClock(),
            ]
        else:
            status = random.choice([101, 101, 101, 401, 404, 200, 599])
            welcomes = [StationWelcome(7, True, True, 0)] * random.randrange(4)
            makers += [
                lambda: Verdict(slot, attachment, status, random.choice(WORDS), random.choice([0, 7]), "x"),
                lambda: Verdict(slot, attachment, 101, "1.6", 7, ""),
                lambda: Verdict(slot, attachment, 101, "1.6", 8, "", (number, random.choice([0, number]))),
                lambda: Delivered(slot, (number, random.choice([0, 2**52]))),
                lambda: CsmsTime(slot, random.choice([0, 2**48 - 1])),
                lambda: Eject(slot, attachment, 1008, "x"),
                lambda: Renewal(random.randbytes(random.choice([1, CERTIFICATE_BYTES_MAX]))),
                lambda: ChoosePlan(random.choice(["saver", "", "x"]), random.choice(WORDS)),
                lambda: FlushStation(identity),
                lambda: Welcome(random.choice(["verbatim", "cbor-zstd", "x"]), welcomes),
            ]
        return random.choice(makers)()

    def _some_frame(self) -> bytes:
        for _ in range(10):
            parts = read_parts(self.random.choice(self._material))
            frames = [part.data for part in parts if isinstance(part, FramePart)]
            if frames:
                return self.random.choice(frames)
        return b""

    def text(self) -> str:
        """What a station or CSMS says, often an answer to what it heard, often not."""
        random = self.random
        message_id = random.choice(self.heard[-3:]).split('"')[1] if self.heard and random.random() < 0.7 else str(random.randrange(5))
        return random.choice(
            [
                f'[3,"{message_id}",{{}}]',
                f'[4,"{message_id}","InternalError","",{{}}]',
                f'[5,"{message_id}","FormatViolation","",{{}}]',
                f'[2,"{random.randrange(10**6)}","Authorize",{{"n":{random.randrange(9)}}}]',
                f'[2,"{random.randrange(10)}","StartTransaction",{{"n":{random.randrange(9)}}}]',
                f'[2,"{random.randrange(10**6)}","MeterValues",{{"transactionId":1,"n":{random.randrange(99)}}}]',
                f'[2,"{random.randrange(10**6)}","StatusNotification",{{"n":{random.randrange(99)}}}]',
                f'[2,"{random.randrange(10**6)}","BootNotification",{{}}]',
                f'[3,"{message_id}",{{"status":"Accepted","interval":60,"currentTime":"2026-01-01T00:00:00Z"}}]',
                f'[4,"{message_id}","NotImplemented","",{{}}]',
                f'[2,"{random.randrange(9)}","DataTransfer",{{"fill":"{"x" * random.randrange(100_000)}"}}]',
                f'[6,"{random.randrange(9)}","NotifyPeriodicEventStream",{{}}]',
                '[2,"1","\\ud800",{"\\udfff":1e999}]',
                "[" * random.randrange(100),
                '{"a":1}',
                "[2]",
            ]
        )


def attack(attacker: Attacker, turn: Callable[[], None], bounds: Callable[[], None], steps: int) -> None:
    for _ in range(steps):
        attacker.now += attacker.random.choice([0.0, 0.0, 0.01, 0.3, 5.0])
        attacker.tick()
        turn()
        bounds()


# --- bounds


def bounded(conversation: Conversation) -> None:
    assert len(conversation.lanes) <= 2 * LANES_MESSAGES_MAX
    assert len(conversation.incoming) <= INCOMING_OPEN_MAX
    assert len(conversation.outgoing) <= WAITING_MAX + 2 * STORED_IN_FLIGHT_MAX
    channel = conversation.channel
    if channel is not None:
        channel_bounded(channel)


def channel_bounded(channel: Channel) -> None:
    kept = sum(len(kept.data) for kept in channel._kept)
    assert kept <= UNACKED_BYTES_MAX + max((len(kept.data) for kept in channel._kept), default=0)
    assert len(channel._pieces) <= FRAME_BYTES_MAX
    assert len(channel._relays) <= RELAYS_KEPT


def session_bounded(session: LinkSession) -> None:
    assert len(session._controls) <= 2 * CONTROLS_WAITING_MAX


def cloud_bounded(machine: CloudMachine) -> None:
    assert set(machine._edges) <= {EDGE_NAME}
    for edge in machine._edges.values():
        assert len(edge.stations) <= IDENTITIES_MAX
        assert len(edge.slots) <= STATIONS_PER_EDGE_MAX
        assert set(map(id, edge.slots.values())) <= set(map(id, edge.stations.values()))
        for station in edge.slots.values():
            bounded(station)
            assert len(station._under_way) <= WAITING_MAX + 1
    assert len(machine._csms) <= STATIONS_PER_EDGE_MAX
    for link in machine._links.values():
        session_bounded(link.session)


def edge_bounded(machine: EdgeMachine) -> None:
    assert len(machine._stations) <= STATIONS_PER_EDGE_MAX
    assert len(machine._by_socket) <= STATIONS_PER_EDGE_MAX
    assert len({station.slot for station in machine._stations.values()}) == len(machine._stations)
    for station in machine._stations.values():
        bounded(station)
    if machine._session is not None:
        session_bounded(machine._session)


# --- the cloud attacked


@cache
def attack_cloud(seed: int, steps: int, *, outbox: bool = False) -> int:
    """Returns how many texts went through to the CSMS."""
    random = Random(seed)
    machine = make_cloud(random)
    attacker = Attacker(machine, random, "up", outbox=outbox)
    links = 0

    def turn() -> None:
        nonlocal links
        choice = random.random()
        if not attacker.links or choice < 0.02:
            links += 1
            attacker.links.append(links)
            attacker.step(LinkOpened(links, random.choice([EDGE_NAME, EDGE_NAME, EDGE_NAME, "other"])))
            if links in attacker.links and random.random() < 0.8:
                attacker.step(LinkMessage(links, honest(outbox=outbox)["up"][0]))
        elif choice < 0.75:
            attacker.step(LinkMessage(random.choice(attacker.links), attacker.link_message()))
        elif choice < 0.78:
            attacker.step(LinkClosed(attacker.links.pop(random.randrange(len(attacker.links))), "lost"))
        elif attacker.sockets and choice < 0.97:
            attacker.step(CsmsText(random.choice(attacker.sockets), attacker.text()))
        elif attacker.sockets:
            attacker.step(CsmsClosed(attacker.sockets.pop(random.randrange(len(attacker.sockets))), "lost"))

    attack(attacker, turn, lambda: cloud_bounded(machine), steps)
    assert machine._edges, "some hello was taken"
    for link in list(attacker.links):
        attacker.step(LinkClosed(link, "the attack is over"))
    serves(attacker, make_edge, lambda _: machine)
    return len(attacker.heard)


# --- the edge attacked


@cache
def attack_edge(seed: int, steps: int, *, outbox: bool = False) -> int:
    """Returns how many texts went through to stations."""
    random = Random(seed)
    machine = storing_edge(random) if outbox else make_edge(random)
    attacker = Attacker(machine, random, "down", outbox=outbox)
    if outbox:
        accepted = [StationRecord(f"CP{number}", "1.6", (0, 0), (0, 0), True, 60, ()) for number in range(3)]
        attacker.step(OutboxOpened(b"outbox-1", tuple(accepted)))

    def turn() -> None:
        choice = random.random()
        if choice < 0.1:
            attacker.next_number += 1
            identity = random.choice(["CP0", "CP1", "CP2", f"X{random.randrange(200)}"])
            offered = tuple(random.choices(WORDS, k=random.randrange(2000) if random.random() < 0.1 else 3))
            authorization = random.choice([None, "Basic eA==", "\r\n\udcff"])
            attacker.step(StationArrived(attacker.next_number, identity, offered, authorization))
        elif attacker.links and choice < 0.7:
            attacker.step(LinkMessage(attacker.links[0], attacker.link_message()))
        elif attacker.sockets and choice < 0.95:
            attacker.step(StationText(random.choice(attacker.sockets), attacker.text()))
        elif attacker.sockets and choice < 0.97:
            attacker.step(StationGone(attacker.sockets.pop(random.randrange(len(attacker.sockets))), "left"))
        elif attacker.links and choice > 0.99:
            attacker.step(LinkClosed(attacker.links.pop(), "lost"))

    attack(attacker, turn, lambda: edge_bounded(machine), steps)
    for socket in list(machine._by_socket):
        attacker.step(StationGone(socket, "the attack is over"))
    if not attacker.links:
        attacker.now += GOODBYE_S_MAX  # a cloud may say goodbye for that long
        attacker.tick()
    if attacker.links:
        machine.step(LinkClosed(attacker.links.pop(), "the attack is over"), attacker.now)
    serves(attacker, lambda _: machine, make_cloud)
    return len(attacker.heard)


# --- the cloud and an edge that is fluent, but says what it likes of its outbox


class FluentEdge:
    """It keeps frames and epochs, and nothing else that it promised; the CSMS and the stores have their moods."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.machine = make_cloud(self.random)
        self.now = 0.0
        self.attachment = 0
        self._clock = LinkClock(0.0, 0.0)
        self._link = 0
        self._channel: Channel | None = None
        self._socket = 0
        self._ids: list[str] = []
        self._stores: list[Event] = []

    def step(self, event: Event) -> None:
        for effect in self.machine.step(event, self.now):
            match effect:
                case SendLink() if effect.link == self._link:
                    for part in read_parts(effect.data):
                        if isinstance(part, Verdict) and part.status == 101 and part.epoch:
                            endpoint = open_endpoint(CodecName.VERBATIM, OcppVersion.V16, Side.EDGE)
                            self._channel = Channel(OcppVersion.V16, part.epoch, endpoint)
                    self.step(LinkSent(effect.link))
                case CloseLink():
                    self.step(LinkClosed(effect.link, "closed"))
                    if effect.link == self._link:
                        self.dial()
                case OpenCsms():
                    self._socket, self._ids = effect.socket, []
                    self.step(CsmsOpened(effect.socket, "ocpp1.6"))
                case SendCsms() if effect.text.startswith("[2,"):
                    self._ids.append(effect.text.split('"')[1])
                case LoadPositions():
                    self._stores.append(PositionsLoaded(effect.identity, {b"outbox-1": (self.random.randrange(3), 0)}))
                case SavePosition():
                    self._stores.append(PositionSaved(effect.identity, effect.incarnation, effect.lane, effect.position))
                case Bury():
                    one = effect.letter.identity, effect.letter.message_id
                    self._stores.append(Buried(*one, 1) if self.random.random() < 0.5 else NotBuried(*one, "full"))
                case _:
                    pass

    def dial(self) -> None:
        self._link += 1
        self._channel = None
        self.step(LinkOpened(self._link, EDGE_NAME))
        offered = [(str(name), print_) for name, print_ in offers() if name is CodecName.VERBATIM]
        incarnation = self.random.choice([b"outbox-1", b"outbox-1", b"outbox-2", b""])
        self.step(LinkMessage(self._link, write_parts([Hello(PROTOCOL_VERSION, "", offered, [], incarnation)])))

    def turn(self) -> None:
        random = self.random
        self.now += random.choice([0.0, 0.1, 1.0, 10.0, 60.0])
        self.step(Tick())
        match random.randrange(12):
            case 0:
                self.attachment += 1
                sent, delivered = (random.randrange(9), random.randrange(9)), (random.randrange(9), random.randrange(3))
                attach = Attach(0, self.attachment, "CP001", ["ocpp1.6"], None, random.choice([0, 0, 9]), 60, sent, delivered)
                self.step(LinkMessage(self._link, write_parts([attach])))
            case 1 if random.random() < 0.2:
                self.step(LinkMessage(self._link, write_parts([Detach(0, self.attachment)])))
            case 2 if random.random() < 0.2:
                self.step(CsmsClosed(self._socket, "lost"))
            case 3 | 4 | 5 if self._channel is not None:
                self._say(self._channel)
            case 6 | 7 | 8 if self._ids:
                name = random.choice([self._ids[-1], self._ids[-1], random.choice(self._ids)])
                error = random.choice(["InternalError", "NotImplemented"])
                answers = [f'[3,"{name}",{{}}]', f'[3,"{name}",{{}}]', f'[4,"{name}","{error}","",{{}}]']
                self.step(CsmsText(self._socket, random.choice(answers)))
            case 9:
                self.step(CsmsText(self._socket, f'[2,"{random.randrange(10**6)}","Reset",{{}}]'))
            case _ if self._stores:
                self.step(self._stores.pop(0))
            case _:
                pass

    def _say(self, channel: Channel) -> None:
        random = self.random
        actions = ['"MeterValues",{"transactionId":1,"n":%d}', '"StatusNotification",{"n":%d}', '"StartTransaction",{"n":%d}']
        bodies = [random.choice(actions) % random.randrange(200) for _ in range(random.choice([1, 1, 3, 100]))]
        expires_at = self.now + 30.0 if random.random() < 0.3 else None
        channel.encode([Outgoing(Message(MessageType.CALL, body.split('"')[1], body), expires_at) for body in bodies])
        while channel.has_unsent:
            self.step(LinkMessage(self._link, write_parts([channel.next_part(0, self._clock, self.now)])))
        channel.acknowledged(channel.sent % 0x10000)


@cache
def fluent(seed: int, steps: int) -> int:
    """Returns how many stored messages the CSMS has taken."""
    edge = FluentEdge(seed)
    edge.dial()
    for _ in range(steps):
        edge.turn()
        cloud_bounded(edge.machine)
    return edge.machine.counters.delivered


# --- two honest machines and a meddler between them


class Meddled(World):
    """Until `calm_at`, somebody on the link changes, repeats, withholds, swaps and adds."""

    def __init__(self, seed: int, calm_at: float) -> None:
        self._calm_at = calm_at
        self._withheld: list[bytes] = []
        self._seen: dict[str, list[bytes]] = {"up": [], "down": []}
        self.meddled = 0
        super().__init__(seed, make_edge, make_cloud)
        self._attackers = {direction: Attacker(self.cloud, self.random, direction) for direction in ("up", "down")}

    def step(self, machine: Machine, event: Event) -> None:
        if isinstance(event, LinkMessage) and self.now < self._calm_at:
            for data in self._meddle(event.data, "up" if machine is self.cloud else "down"):
                super().step(machine, LinkMessage(event.link, data))
        else:
            super().step(machine, event)

    def _meddle(self, data: bytes, direction: str) -> list[bytes]:
        attacker, seen = self._attackers[direction], self._seen[direction]
        seen.append(data)
        choice = self.random.random()
        self.meddled += choice < 0.12
        if choice < 0.02:
            return [attacker.mutated(data)]
        if choice < 0.04:
            return [data, self.random.choice(seen)]
        if choice < 0.06:
            return [write_parts([attacker.part()]), data]
        if choice < 0.08:
            return [data, write_parts([attacker.part()])]
        if choice < 0.10:
            return []
        if choice < 0.12:
            self._withheld.append(data)
            return []
        withheld, self._withheld = self._withheld, []
        return [data, *withheld]


def meddle(seed: int, span_s: float) -> int:
    world = Meddled(seed, calm_at=span_s)
    csms = world.csms = Csms(world)
    stations = [Station(world, f"CP{number}", pipeline=2) for number in range(3)]
    for station in stations:
        world.at(2.0, station.connect)
        make_traffic(world, station, csms, int(span_s / 4), span_s)

    def bounds() -> None:
        assert isinstance(world.edge, EdgeMachine)
        edge_bounded(world.edge)
        cloud_bounded(world.cloud)
        assert not csms.stray_answers
        assert csms.calls_at_once_max <= 1
        assert not any(station.stray_answers for station in stations)

    world.run(span_s, bounds)
    honest_station = Station(world, "HONEST", pipeline=2)
    begin_s = GOODBYE_S_MAX + 60.0
    world.at(begin_s, honest_station.connect)
    world.at(begin_s, lambda: make_traffic(world, honest_station, csms, 20, 100.0))
    world.run(span_s + begin_s + 400.0)
    check(honest_station, csms)
    assert [len(sent.answers) for sent in honest_station.made] == [1] * 20
    return world.meddled


# --- afterwards


class _Taken(World):
    """With machines that have lived before: an outbox opens once."""

    def _begin_edge(self) -> None:
        self._arm(self.edge)


def serves(attacker: Attacker, edge: Callable[[Random], EdgeMachine], cloud: Callable[[Random], CloudMachine]) -> None:
    """The machine that was attacked, an honest peer, and all that is promised."""
    world = _Taken(7, edge, cloud)
    world.now = attacker.now
    csms = world.csms = Csms(world)
    station = Station(world, "HONEST", pipeline=2)
    begin_s = GOODBYE_S_MAX + 60.0
    world.at(begin_s, station.connect)
    world.at(begin_s, lambda: make_traffic(world, station, csms, 20, 100.0))
    world.run(world.now + begin_s + 400.0)
    check(station, csms)
    assert [len(sent.answers) for sent in station.made] == [1] * 20


SEEDS = range(25)


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_edge_and_csms(seed: int) -> None:
    attack_cloud(seed, STEPS)


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_cloud_and_stations(seed: int) -> None:
    attack_edge(seed, STEPS)


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_edge_with_an_outbox_and_csms(seed: int) -> None:
    attack_cloud(seed, STEPS, outbox=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_cloud_and_stations_of_an_edge_with_an_outbox(seed: int) -> None:
    attack_edge(seed, STEPS, outbox=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_edge_that_lies_about_its_outbox(seed: int) -> None:
    fluent(seed, STEPS)


@pytest.mark.parametrize("seed", SEEDS)
def test_meddled_link(seed: int) -> None:
    assert meddle(seed, 200.0) > 3


def test_the_attacker_is_no_weakling() -> None:
    """Much of what it says is well-formed, and got through."""
    assert sum(attack_cloud(seed, STEPS) for seed in SEEDS) > 50
    assert sum(attack_edge(seed, STEPS) for seed in SEEDS) > 300
    assert sum(fluent(seed, STEPS) for seed in SEEDS) > 250
    for direction in ("up", "down"):
        attacker = Attacker(make_cloud(Random(1)), Random(1), direction)
        well_formed = 0
        for _ in range(1000):
            try:
                well_formed += bool(read_parts(attacker.link_message()))
            except PartError:
                continue
        assert well_formed > 600


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_soak_hostile_edge_and_csms(seed: int) -> None:
    attack_cloud(10_000 + seed, 3 * STEPS, outbox=seed % 2 > 0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_soak_an_edge_that_lies_about_its_outbox(seed: int) -> None:
    fluent(10_000 + seed, 3 * STEPS)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_soak_hostile_cloud_and_stations(seed: int) -> None:
    attack_edge(10_000 + seed, 3 * STEPS, outbox=seed % 2 > 0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(400))
def test_soak_meddled_link(seed: int) -> None:
    meddle(10_000 + seed, 500.0)
