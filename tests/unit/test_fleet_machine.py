"""Plays of a cloud's machine that is one of several: it claims edges, and lets go of those that another has claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ocppress_codecs.interface import Side
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.cloud import GREETING_TIMEOUT_S, RIVAL_RETRY_S, STORE_RETRY_S, CloudMachine
from ocppress_gateway.core.events import (
    ClaimEdge,
    CloseCsms,
    CloseLink,
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    LinkClosed,
    LinkOpened,
    LoadPositions,
    OpenCsms,
    ReleaseEdge,
    SavePosition,
)
from ocppress_gateway.core.parts import Attach, Goodbye, KnownStation, StationWelcome, Verdict, Welcome
from ocppress_gateway.core.stored import Claim, EdgeClaimed, EdgeNotClaimed, EdgeTaken, Lane, PositionsLoaded
from tests.support.playbook import Link, Play
from tests.support.stores import context_of
from tests.unit.test_stored_delivery import INCARNATION, SETTINGS, V16, down, hello, meter, put, saved, stored_id

CERTIFICATE = Certificate("edge", 7, b"key", 0.0, 1e12)
ONE, TWO = Claim("edge", 1), Claim("edge", 2)
"""By the links' numbers."""
EPOCH = 0x01010101
TAKEN = "another cloud has this edge now"
GONE = CloseCsms(1, 1001, "another cloud has this station now")


def save(position: int, claim: Claim = ONE) -> SavePosition:
    return SavePosition("CP001", INCARNATION, Lane.ORDERED, position, claim)


def answered(position: int, socket: int = 1) -> CsmsText:
    return CsmsText(socket, f'[3,"{stored_id(position)}",{{}}]')


class Fleet(Play):
    """A cloud to which an edge has said hello. Its epochs are 0x01010101, 0x02020202, …"""

    def __init__(self, certificate: Certificate | None = None) -> None:
        epochs = iter(range(1, 100))
        settings = replace(SETTINGS, fleet=True)
        super().__init__(CloudMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes([next(epochs)]) * count), Side.CLOUD)
        self.connect(1, certificate)

    def connect(self, link: int, certificate: Certificate | None = None, *stations: KnownStation) -> None:
        """The edge connects, and is claimed."""
        self.play([("in", LinkOpened(link, "" if certificate is None else "edge", certificate)), ("out", [])])
        self.greeted(link)
        key_print = "" if certificate is None else certificate.key_print
        self.play([("far", hello(*stations)), ("out", [ClaimEdge(Claim("edge", link), key_print)])])

    def attach(self, socket: int, positions: tuple[int, int], *, attachment: int = 1, epoch: int = EPOCH) -> None:
        """A station is admitted; `positions` are what the store has."""
        self.play(
            [
                ("far", Attach(0, attachment, "CP001", ["ocpp1.6"], None, 0)),
                ("out", [LoadPositions("CP001")]),
                ("in", PositionsLoaded("CP001", {INCARNATION: positions})),
                ("out", [OpenCsms(socket, "CP001", ("ocpp1.6",))]),
            ]
        )
        self.channel(0, V16, epoch)
        verdict = Verdict(0, attachment, 101, "1.6", epoch, "", positions)
        self.play([("in", CsmsOpened(socket, "ocpp1.6")), ("out", [Link(self.link, verdict)])])


def delivering() -> Fleet:
    """A cloud that has two stored messages of a station, of which the CSMS has answered the first, and that is being saved."""
    play = Fleet()
    play.play([("in", EdgeClaimed(ONE, others=True)), ("out", [Link(1, Welcome("verbatim", []))])])
    play.attach(1, (0, 3))
    play.play(
        [
            ("far", down(meter(4))),
            ("far", down(meter(5))),
            ("out", [put(4, meter(4))]),
            ("in", answered(4)),
            ("out", [save(4)]),
        ]
    )
    return play


def test_positions_are_saved_by_the_claim() -> None:
    delivering().play([("in", saved(4)), ("out", [put(5, meter(5))])])


def test_a_cloud_knows_which_edges_are_its_own() -> None:
    play = delivering()
    assert isinstance(play.machine, CloudMachine)
    assert play.machine.claims == [ONE]
    play.play([("in", EdgeTaken(TWO))])
    assert play.machine.claims == [ONE], "another claim than the newest was taken"
    play.play([("in", EdgeTaken(ONE))])
    assert play.machine.claims == []


def test_a_cloud_that_has_lost_an_edge_delivers_nothing_more() -> None:
    play = delivering()
    play.play([("in", EdgeTaken(ONE)), ("out", [GONE, CloseLink(1, TAKEN)])])
    assert play.noted(TAKEN)
    play.play(
        [
            ("in", EdgeTaken(ONE)),
            ("in", saved(4)),
            ("far", down(meter(6))),
            ("in", CsmsClosed(1, "closed")),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("tick", 3600.0),
            ("in", LinkClosed(1, "closed")),
            ("tick", 3600.0),
            ("out", []),
        ]
    )
    assert not play.noted(TAKEN), "once"


def test_an_edge_that_comes_back_begins_where_the_other_cloud_has_stopped() -> None:
    play = delivering()
    play.play([("in", EdgeTaken(ONE)), ("in", LinkClosed(1, "closed")), ("out", [GONE, CloseLink(1, TAKEN)])])
    play.connect(2)
    play.play([("in", EdgeClaimed(TWO, others=True)), ("out", [Link(2, Welcome("verbatim", []))])])
    play.attach(2, (0, 9), attachment=5, epoch=0x02020202)
    play.play(
        [
            ("far", down(meter(10))),
            ("out", [put(10, meter(10), socket=2)]),
            ("in", answered(10, socket=2)),
            ("out", [save(10, TWO)]),
            ("in", EdgeTaken(ONE)),
            ("out", []),
            ("in", saved(10)),
            ("far", down(meter(11))),
            ("out", [put(11, meter(11), socket=2)]),
        ]
    )


@pytest.mark.parametrize("others", [False, True])
def test_what_is_remembered_is_of_use_only_if_nobody_else_had_the_edge(others: bool) -> None:
    play = delivering()
    play.play([("in", saved(4)), ("out", [put(5, meter(5))]), ("in", LinkClosed(1, "cut")), ("out", [ReleaseEdge(ONE)])])
    play.connect(2, None, KnownStation(0, "CP001", 1, EPOCH, True, 2, 0))
    if others:
        welcome = StationWelcome(0, False, False, 0)
        expected = [GONE, Link(2, Welcome("verbatim", [welcome]))]
    else:
        welcome = StationWelcome(EPOCH, True, True, 2)
        expected = [Link(2, Welcome("verbatim", [welcome]))]
    play.play([("in", EdgeClaimed(TWO, others)), ("out", expected)])
    if not others:
        play.play([("in", answered(5)), ("out", [save(5, TWO)])])


def test_a_csms_socket_that_is_lost_while_the_edge_is_away_is_not_opened_again() -> None:
    """The edge may be at another cloud, whose socket has taken this one's place."""
    play = delivering()
    play.play(
        [
            ("in", LinkClosed(1, "cut")),
            ("in", CsmsClosed(1, "replaced")),
            ("out", [ReleaseEdge(ONE)]),
            ("tick", 30.0),
            ("out", []),
        ]
    )
    play.connect(2, None, KnownStation(0, "CP001", 1, EPOCH, True, 2, 0))
    welcome = Welcome("verbatim", [StationWelcome(EPOCH, True, True, 2)])
    play.play([("in", EdgeClaimed(TWO, others=False)), ("out", [Link(2, welcome), OpenCsms(2, "CP001", ("ocpp1.6",))])])


def test_nothing_is_heard_before_the_edge_is_claimed() -> None:
    for said in (hello(), Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)):
        play = Fleet()
        words = f"protocol error: {type(said).__name__} before the welcome"
        play.play([("far", said), ("out", [Link(1, Goodbye(words, 0)), CloseLink(1, words)])])


@pytest.mark.parametrize(("rival", "retry_s"), [(True, RIVAL_RETRY_S), (False, STORE_RETRY_S)])
def test_an_edge_that_is_not_claimed_is_told_to_come_later(rival: bool, retry_s: int) -> None:
    play = Fleet(CERTIFICATE)
    reason = "as the store has it"
    play.play([("in", EdgeNotClaimed(ONE, rival, reason)), ("out", [Link(1, Goodbye(reason, retry_s)), CloseLink(1, reason)])])


def test_a_store_that_says_nothing_is_not_waited_for() -> None:
    play = Fleet()
    reason = "the store of positions doesn't answer"
    play.play([("tick", GREETING_TIMEOUT_S), ("out", [Link(1, Goodbye(reason, STORE_RETRY_S)), CloseLink(1, reason)])])
    play.play([("in", EdgeClaimed(ONE, others=True)), ("out", [ReleaseEdge(ONE)])])


def test_a_claim_for_a_connection_that_has_gone_gives_contexts_back() -> None:
    play = Fleet()
    context = context_of("CP001", edge="edge")
    play.play([("in", LinkClosed(1, "cut")), ("out", []), ("in", EdgeClaimed(ONE, True, (context,))), ("out", [ReleaseEdge(ONE)])])
    assert play.leaving == [context]


def test_the_newest_connection_wins_only_within_one_key_here_too() -> None:
    play = Fleet(CERTIFICATE)
    play.play([("in", EdgeClaimed(ONE, others=True)), ("out", [Link(1, Welcome("verbatim", []))])])
    rival = replace(CERTIFICATE, serial=8, public_key=b"another")
    play.play([("in", LinkOpened(2, "edge", rival)), ("out", [])])
    play.greeted(2)
    reason = "this edge is connected with another key"
    play.play([("far", hello()), ("out", [Link(2, Goodbye(reason, RIVAL_RETRY_S)), CloseLink(2, reason)])])
    play.connect(3, replace(CERTIFICATE, serial=9))
    third = Claim("edge", 3)
    closed = CloseLink(1, "the same edge has connected again")
    play.play([("in", EdgeClaimed(third, others=False)), ("out", [closed, Link(3, Welcome("verbatim", []))])])
    play.play([("in", LinkClosed(1, "closed")), ("out", [])])  # the claim is the third connection's
