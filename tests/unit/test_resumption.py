"""Contexts of a cloud that stops, and what the next one makes of them: real channels at the edge's end, an adaptive codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec
import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import fingerprint, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.cloud import RESTART_S, RETURN_S_MAX, RETURNS_A_SECOND, STOP_FLUSH_S, CloudMachine, CloudSettings
from ocppress_gateway.core.events import (
    CloseCsms,
    CloseLink,
    ContextsFound,
    CsmsOpened,
    CsmsText,
    Effect,
    Event,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    LoadPositions,
    Note,
    OpenCsms,
    SaveContext,
    SavePosition,
    SendCsms,
    SendLink,
    Stop,
    Tick,
)
from ocppress_gateway.core.lanes import Outgoing, Storing
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Ack,
    Attach,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.resumption import is_known
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import Lane, PositionSaved, PositionsLoaded

V16 = OcppVersion.V16
EPOCHS = count(1000)
"""Of all clouds."""
ADAPTIVE = CodecName.ADAPTIVE
INCARNATION = b"incarnat"
METER = '"MeterValues",{"connectorId":1,"transactionId":7,"n":%d}'


def _settings() -> CloudSettings:
    return CloudSettings(
        edges={f"edge-{number}": frozenset({"*"}) for number in range(3000)},
        linger_s=0.0,
        command_timeout_s=30.0,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=2.0,
        retry_random_s=0.0,
        retry_repeat_times=2,
    )


@dataclass
class Site:
    """An edge's end of the link, played: one station with an outbox. It outlives clouds."""

    name: str = "edge-1"
    codec: CodecName = ADAPTIVE
    channel: Channel | None = None
    sent: int = 0
    """Stored messages of the ordered lane."""
    attachments: int = 0

    def known(self) -> list[KnownStation]:
        channel = self.channel
        if channel is None:
            return []
        return [KnownStation(0, "CP1", 0, channel.epoch, channel.intact, channel.sent, channel.received)]


@dataclass
class Cloud:
    """A cloud's life."""

    contexts: tuple[SavedContext, ...] = ()
    positions: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    randomness: float = 0.5
    answers: bool = True
    kernel_is_slow: bool = False

    def __post_init__(self) -> None:
        self.machine = CloudMachine(_settings(), lambda: self.randomness, lambda size: next(EPOCHS).to_bytes(size, "big"))
        self.now = 0.0
        self.parts: list[Part] = []
        self.leaving: list[LeavingContext | SavedContext] = []
        self.notes: list[Note] = []
        self.delivered: list[str] = []
        self.closed: list[int] = []
        self.links = 0
        self._clock = LinkClock(0.0, 0.0)
        if self.contexts:
            self.step(ContextsFound(self.contexts))

    def step(self, event: Event) -> None:
        for effect in self.machine.step(event, self.now):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case SendLink():
                self.parts += list(read_parts(effect.data))
                if not self.kernel_is_slow:
                    self.step(LinkSent(effect.link))
            case OpenCsms():
                self.step(CsmsOpened(effect.socket, "ocpp1.6"))
            case LoadPositions():
                self.step(PositionsLoaded(effect.identity, dict(self.positions)))
            case SavePosition():
                express, ordered = self.positions.get(effect.incarnation, (0, 0))
                self.positions[effect.incarnation] = (
                    (effect.position, ordered) if effect.lane is Lane.EXPRESS else (express, effect.position)
                )
                self.step(PositionSaved(effect.identity, effect.incarnation, effect.lane, effect.position))
            case SendCsms():
                self.delivered.append(effect.text)
                if self.answers:
                    self.step(CsmsText(effect.socket, f"[3,{effect.text.split(',')[1]},{{}}]"))
            case SaveContext():
                self.leaving.append(effect.context)
            case CloseLink():
                self.closed.append(effect.link)
            case Note():
                self.notes.append(effect)
            case CloseCsms():
                pass
            case _:
                raise TypeError(effect)

    # --- what an edge does

    def link(self, site: Site) -> Welcome:
        """The edge connects and says hello."""
        self.links += 1
        self.step(LinkOpened(self.links, site.name))
        self.parts.clear()
        codecs = [(site.codec.value, fingerprint(site.codec))]
        self.say(Hello(PROTOCOL_VERSION, "", codecs, site.known(), INCARNATION))
        (welcome,) = self.parts
        assert isinstance(welcome, Welcome)
        if welcome.stations and welcome.stations[0].known:
            assert site.channel is not None
            assert site.channel.can_resume(site.channel.received, welcome.stations[0].received)
            site.channel.resume(welcome.stations[0].received)
        else:
            site.channel = None
        return welcome

    def attach(self, site: Site) -> Verdict:
        """The station's upgrade is asked for, for the first time or again."""
        site.attachments += 1
        self.parts.clear()
        channel = site.channel
        unsent = (0, 0) if channel is None else channel.unsent_stored
        sent = 0, site.sent - unsent[1]
        self.say(Attach(0, site.attachments, "CP1", ["ocpp1.6"], None, 0 if channel is None else channel.epoch, 0, sent, (0, 0)))
        (verdict,) = (part for part in self.parts if isinstance(part, Verdict))
        if channel is None or channel.epoch != verdict.epoch:
            site.channel = Channel(V16, verdict.epoch, open_endpoint(site.codec, V16, Side.EDGE))
            site.sent = verdict.delivered[1]
        return verdict

    def up(self, site: Site, *bodies: str) -> None:
        """Stored messages, each in a frame."""
        assert site.channel is not None
        for body in bodies:
            site.sent += 1
            message = Message(MessageType.CALL, action_of(MessageType.CALL, body), body)
            site.channel.encode([Outgoing(message, stored=Storing(Lane.ORDERED, 0.0, site.sent))])
        self.carry(site)

    def carry(self, site: Site) -> None:
        """What waits at the edge reaches this cloud."""
        assert site.channel is not None
        while site.channel.has_unsent:
            self.say(site.channel.next_part(0, self._clock, self.now))

    def say(self, part: Part) -> None:
        self.step(LinkMessage(self.links, write_parts([part])))

    def down(self, site: Site, text: str) -> None:
        """The CSMS says something, and the edge gets it."""
        self.parts.clear()
        self.step(CsmsText(max(self.machine._csms._owners), text))
        self.arrive(site)

    def arrive(self, site: Site) -> None:
        assert site.channel is not None
        for part in self.parts:
            if isinstance(part, FramePart):
                site.channel.take_frame(part, self._clock, self.now)

    def stop(self) -> tuple[SavedContext, ...]:
        """Orderly; what would be on the disk."""
        self.step(Stop())
        while (at := self.machine.next_deadline()) is not None and at <= self.now + STOP_FLUSH_S:
            self.now = at
            self.step(Tick())
        return self.on_disk()

    def on_disk(self) -> tuple[SavedContext, ...]:
        saved = [context.saved() if isinstance(context, LeavingContext) else context for context in self.leaving]
        return tuple(context for context in saved if context is not None)


def _begun(*bodies: str, codec: CodecName = ADAPTIVE) -> tuple[Site, Cloud]:
    site, cloud = Site(codec=codec), Cloud()
    cloud.link(site)
    assert cloud.attach(site).status == 101
    cloud.up(site, *(bodies or [METER % number for number in range(3)]))
    cloud.down(site, '[2,"c","Reset",{"type":"Soft"}]')
    return site, cloud


def _next(site: Site, cloud: Cloud, contexts: Sequence[SavedContext] | None = None) -> tuple[Cloud, Welcome]:
    """The cloud after `cloud`, on the same disk."""
    following = Cloud(cloud.stop() if contexts is None else tuple(contexts), dict(cloud.positions))
    return following, following.link(site)


def _resumed(welcome: Welcome) -> bool:
    return welcome.stations[0].known


def test_a_context_goes_on_in_the_next_life() -> None:
    site, first = _begun()
    assert site.channel is not None
    epoch, channel = site.channel.epoch, site.channel
    second, welcome = _next(site, first)
    assert (welcome.stations[0].epoch, welcome.stations[0].attached) == (epoch, False)
    verdict = second.attach(site)
    assert (verdict.epoch, verdict.delivered) == (epoch, (0, 3))
    second.up(site, METER % 3)
    second.down(site, '[2,"d","Reset",{"type":"Soft"}]')
    assert site.channel is channel
    assert [text.partition("MeterValues")[2] for text in first.delivered + second.delivered] == [
        f'",{{"connectorId":1,"transactionId":7,"n":{number}}}]' for number in range(4)
    ]


@pytest.mark.parametrize("codec", [CodecName.VERBATIM, CodecName.CBOR_ZSTD])
def test_codecs_that_save_nothing_begin_anew(codec: CodecName) -> None:
    _, first = _begun(codec=codec)
    assert first.stop() == ()


CONTEXT = SavedContext(
    edge="edge-1",
    identity="CP1",
    codec=ADAPTIVE,
    fingerprint=fingerprint(ADAPTIVE),
    version=V16,
    epoch=9,
    sent=5,
    received=7,
    encoder=b"",
    decoder=b"",
)
SAME = KnownStation(0, "CP1", 0, 9, True, 7, 5)
"""An edge that has sent 7 frames and received 5."""


def test_an_edge_that_has_sent_more_since_is_known() -> None:
    assert is_known(CONTEXT, SAME, ADAPTIVE)
    assert is_known(CONTEXT, msgspec.structs.replace(SAME, sent=9), ADAPTIVE)


@pytest.mark.parametrize("changed", [{"epoch": 8}, {"intact": False}, {"sent": 6}, {"received": 4}, {"received": 6}])
def test_other_numbers_are_not(changed: dict[str, int]) -> None:
    assert not is_known(CONTEXT, msgspec.structs.replace(SAME, **changed), ADAPTIVE)


def test_nor_another_codec_or_release() -> None:
    assert not is_known(CONTEXT, SAME, CodecName.CBOR_ZSTD)
    assert not is_known(msgspec.structs.replace(CONTEXT, fingerprint=b"else"), SAME, ADAPTIVE)


@pytest.mark.parametrize("changed", [{"epoch": 1}, {"sent": 9}, {"received": 9}, {"edge": "edge-2"}, {"identity": "CP2"}])
def test_what_does_not_fit_begins_anew_and_nothing_is_lost(changed: dict[str, object]) -> None:
    site, first = _begun()
    (context,) = first.stop()
    second, welcome = _next(site, first, [msgspec.structs.replace(context, **changed)])
    assert not _resumed(welcome)
    second.attach(site)
    second.up(site, METER % 3)
    assert [text for text in second.delivered if '"n":3' in text]


def test_damaged_states_are_not_used() -> None:
    site, first = _begun()
    (context,) = first.stop()
    for damaged in (
        msgspec.structs.replace(context, encoder=context.encoder[:-3]),
        msgspec.structs.replace(context, decoder=b"\0" + bytes(40)),
        msgspec.structs.replace(context, codec=CodecName.VERBATIM, fingerprint=fingerprint(CodecName.VERBATIM)),
    ):
        second, welcome = _next(Site(channel=site.channel), first, [damaged])
        assert not _resumed(welcome)
        assert any(note.words == "a saved context can't be used" for note in second.notes) == (damaged.codec is ADAPTIVE)


def test_a_context_is_used_once() -> None:
    site, first = _begun()
    contexts = first.stop()
    stranger = Site(channel=None)
    second = Cloud(contexts, dict(first.positions))
    second.link(stranger)  # the edge lost its memory: its context is of no use to anybody any more
    assert not _resumed(second.link(site))
    assert second.stop() == ()


def test_contexts_of_edges_that_have_not_come_back_are_saved_again() -> None:
    site, first = _begun()
    contexts = first.stop()
    second = Cloud(contexts, dict(first.positions))
    second.link(Site("edge-2"))
    third, welcome = _next(site, second)
    assert _resumed(welcome)
    assert third.attach(site).epoch == contexts[0].epoch


@pytest.mark.parametrize("kernel_is_slow", [False, True])
def test_what_comes_after_the_goodbye_stays_with_the_edge(kernel_is_slow: bool) -> None:
    """It is neither taken nor acknowledged, and comes again in the same epoch: its positions aren't among those that the cloud should have."""
    site, first = _begun()
    channel = site.channel
    assert channel is not None
    first.kernel_is_slow = kernel_is_slow
    first.stop()
    assert any(isinstance(part, Goodbye) for part in first.parts)
    assert bool(first.closed) == (not kernel_is_slow)
    first.up(site, METER % 3)
    first.step(LinkSent(1))
    assert first.closed == [1]
    second, welcome = _next(site, first, first.on_disk())
    assert _resumed(welcome)
    assert second.attach(site).epoch == channel.epoch
    second.carry(site)
    assert [text.count('"n":3') for text in second.delivered] == [1]
    second.up(site, METER % 4)
    assert second.positions == {INCARNATION: (0, 5)}


def test_frames_that_the_edge_never_got_are_not_gone_on_from() -> None:
    site, first = _begun()
    first.step(CsmsText(1, '[2,"d","Reset",{"type":"Hard"}]'))  # lost on the way
    contexts = first.stop()
    assert len(contexts) == 1, "what is with the kernel may have arrived"
    _, welcome = _next(site, first, contexts)
    assert not _resumed(welcome)


def test_a_stopping_cloud_waits_for_the_csms() -> None:
    site, first = _begun()
    first.answers = False
    first.up(site, METER % 3)
    first.step(Stop())
    assert not first.leaving
    message_id = first.delivered[-1].split(",")[1]
    first.step(CsmsText(1, f"[3,{message_id},{{}}]"))
    assert len(first.on_disk()) == 1
    second, welcome = _next(site, first, first.on_disk())
    assert _resumed(welcome)
    assert second.attach(site).epoch == welcome.stations[0].epoch
    assert second.delivered == []


def test_but_not_for_long_and_what_it_has_not_answered_comes_again() -> None:
    site, first = _begun()
    first.answers = False
    first.up(site, METER % 3)
    contexts = first.stop()
    assert first.now == STOP_FLUSH_S
    second, welcome = _next(site, first, contexts)
    assert _resumed(welcome), "the frames are the same"
    verdict = second.attach(site)
    assert verdict.epoch != contexts[0].epoch, "but the cloud has lost a message that was in one"
    assert verdict.delivered == (0, 3)


def test_a_link_that_was_lost_before_may_come_back_to_the_next_cloud() -> None:
    site, first = _begun()
    first.step(LinkClosed(1, "lost"))
    _, welcome = _next(site, first)
    assert _resumed(welcome)


def test_a_link_that_is_lost_while_the_cloud_closes_may_too() -> None:
    site, first = _begun()
    first.answers = False
    first.up(site, METER % 3)
    first.step(Stop())
    first.step(LinkClosed(1, "lost"))
    assert len(first.stop()) == 1


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("down", '[2,"s","ChangeConfiguration",{"key":"AuthorizationKey","value":"planted-secret"}]'),
        ("up", '"DataTransfer",{"vendorId":"x","password":"planted-secret"}'),
    ],
)
def test_a_context_that_a_secret_has_passed_through_is_not_saved(way: str, text: str) -> None:
    site, first = _begun()
    if way == "down":
        first.down(site, text)
    else:
        first.up(site, text)
    assert len(first.leaving) == 0
    assert first.stop() == ()
    assert len(first.leaving) == 1


def test_a_secret_counts_over_restarts_and_until_the_epoch_ends() -> None:
    site, first = _begun()
    second, _ = _next(site, first)
    second.attach(site)
    second.down(site, '[2,"s","ChangeConfiguration",{"key":"AuthorizationKey","value":"planted-secret"}]')
    third, welcome = _next(site, second)
    assert not _resumed(welcome)
    third.attach(site)
    third.up(site, METER % 3)
    assert len(third.stop()) == 1


def test_edges_come_back_spread_over_a_time_that_suits_their_number() -> None:
    def told(edges: int, randomness: float) -> int:
        cloud = Cloud(randomness=randomness)
        for number in range(edges):
            cloud.link(Site(f"edge-{number}"))
        cloud.parts.clear()
        cloud.stop()
        goodbyes = [part for part in cloud.parts if isinstance(part, Goodbye)]
        assert len(goodbyes) == edges
        return goodbyes[0].retry_after_s

    assert told(1, 0.99) == RESTART_S
    assert told(500, 0.0) == RESTART_S
    assert told(500, 0.5) == RESTART_S + 500 / RETURNS_A_SECOND / 2
    assert told(3000, 1.0) == RESTART_S + RETURN_S_MAX
    assert _settings().link_grace_s > RESTART_S + RETURN_S_MAX, "no station's socket is closed for it"


def test_one_who_comes_to_a_cloud_that_stops_is_told_when_to_come_again() -> None:
    _, cloud = _begun()
    cloud.answers = False
    cloud.step(Stop())
    cloud.parts.clear()
    cloud.step(LinkOpened(99, "edge-2"))
    assert Goodbye("the cloud is stopping", RESTART_S) in cloud.parts


def test_an_acknowledgement_after_the_goodbye_does_no_harm() -> None:
    site, first = _begun()
    first.stop()
    first.say(Ack(0, 1))
    _, welcome = _next(site, first, first.on_disk())
    assert _resumed(welcome)
