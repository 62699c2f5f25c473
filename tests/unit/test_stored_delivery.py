"""Plays of the cloud's machine with an edge that has an outbox: what the CSMS gets of it, how often, and what the edge is told (rules R6 to R8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.cloud import CloudMachine, CloudSettings
from ocppress_gateway.core.events import (
    Bury,
    CloseCsms,
    CloseLink,
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    Handling,
    LinkClosed,
    LinkOpened,
    LoadPositions,
    Observe,
    OpenCsms,
    SavePosition,
    SendCsms,
    Watch,
)
from ocppress_gateway.core.late_rejections import STOP_ATTEMPTS_MAX, TRANSACTIONS_REMEMBERED_MAX
from ocppress_gateway.core.limits import DELIVERED_MESSAGES, DELIVERED_TEXT, STORED_IN_FLIGHT_MAX, STORED_IN_FLIGHT_TEXT_MAX
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Attach,
    CsmsTime,
    Delivered,
    Detach,
    Hello,
    KnownStation,
    StationWelcome,
    Verdict,
    Welcome,
)
from ocppress_gateway.core.stored import (
    Buried,
    DeadLetter,
    Lane,
    NotBuried,
    PositionNotSaved,
    PositionSaved,
    PositionsLoaded,
    PositionsOpened,
    PositionsTrouble,
)
from tests.support.playbook import Carried, Link, Play

SETTINGS = CloudSettings(
    edges={"edge": frozenset({"*"}), "other": frozenset({"*"})},
    linger_s=0.0,
    command_timeout_s=30.0,
    call_timeout_s=30.0,
    link_grace_s=60.0,
    retry_wait_min_s=2.0,
    retry_random_s=0.0,
    retry_repeat_times=2,
    attempts_max=3,
    attempt_interval_s=60.0,
)
CODECS = [("verbatim", fingerprint(CodecName.VERBATIM))]
INCARNATION = b"outbox-1"
V16, V201 = OcppVersion.V16, OcppVersion.V201
STOP = '"StopTransaction",{"transactionId":7}'
STATUS = '"StatusNotification",{"connectorId":1,"status":"Charging"}'


def hello(*stations: KnownStation, incarnation: bytes = INCARNATION, edge: str = "edge") -> Hello:
    return Hello(PROTOCOL_VERSION, edge, CODECS, list(stations), incarnation)


class Cloud(Play):
    """A cloud that has just welcomed an edge. Its epochs are 0x01010101, 0x02020202, …"""

    def __init__(self, *, incarnation: bytes = INCARNATION, settings: CloudSettings = SETTINGS) -> None:
        epochs = iter(range(1, 100))
        machine = CloudMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes([next(epochs)]) * count)
        super().__init__(machine, Side.CLOUD)
        self.cloud = machine
        self.play([("in", PositionsOpened()), ("in", LinkOpened(1)), ("out", [])])
        self.greeted(1)
        self.play([("far", hello(incarnation=incarnation)), ("out", [Link(1, Welcome("verbatim", []))])])

    def attach(
        self,
        *,
        delivered: tuple[int, int] | None = (0, 0),
        attachment: int = 1,
        socket: int = 1,
        version: OcppVersion = V16,
        sent: tuple[int, int] = (0, 0),
        epoch: int = 0x01010101,
        heartbeat_s: int = 0,
        known: tuple[int, int] = (0, 0),
        told: tuple[int, int] | None = None,
    ) -> None:
        """A station is admitted; `delivered` is what the store says, None if it isn't asked any more, `known` what the edge does."""
        name = version.subprotocol
        self.play([("far", Attach(0, attachment, "CP001", [name], None, 0, heartbeat_s, sent, known))])
        if delivered is not None:
            self.play([("out", [LoadPositions("CP001")]), ("in", PositionsLoaded("CP001", {INCARNATION: delivered}))])
        self.play([("out", [OpenCsms(socket, "CP001", (name,))])])
        self.channel(0, version, epoch)
        has = told if told is not None else delivered or (0, 0)
        self.play(
            [("in", CsmsOpened(socket, name)), ("out", [Link(self.link, Verdict(0, attachment, 101, version.value, epoch, "", has))])]
        )

    def finish(self, position: int, lane: Lane = Lane.ORDERED, answer: str = "{}", socket: int = 1) -> None:
        """The CSMS answers a stored CALL, and that is on disk."""
        self.play(
            [
                ("in", CsmsText(socket, f'[3,"{stored_id(position, lane)}",{answer}]')),
                ("out", [save(position, lane)]),
                ("in", saved(position, lane)),
            ]
        )


def admitted(version: OcppVersion = V16, **attach: Any) -> Cloud:
    play = Cloud()
    play.attach(version=version, **attach)
    return play


def meter(number: int, fill: int = 0) -> str:
    return f'"MeterValues",{{"transactionId":7,"n":{number},"fill":"{"x" * fill}"}}'


def idle_meter(number: int) -> str:
    return f'"MeterValues",{{"connectorId":1,"n":{number}}}'


def down(*bodies: str, stored: bool = True) -> Carried:
    """What the edge says; bodies of CALLs."""
    return Carried(0, *(f"2:{body}" for body in bodies), stored=stored)


def stored_id(position: int, lane: Lane = Lane.ORDERED) -> str:
    return f"{INCARNATION.hex()}{lane.name[0].lower()}{position}"


def put(position: int, body: str, lane: Lane = Lane.ORDERED, socket: int = 1) -> SendCsms:
    return SendCsms(socket, f'[2,"{stored_id(position, lane)}",{body}]')


def relayed(number: int, body: str, socket: int = 1) -> SendCsms:
    return SendCsms(socket, f'[2,"020202020202-{number}",{body}]')


def save(position: int, lane: Lane = Lane.ORDERED) -> SavePosition:
    return SavePosition("CP001", INCARNATION, lane, position)


def saved(position: int, lane: Lane = Lane.ORDERED) -> PositionSaved:
    return PositionSaved("CP001", INCARNATION, lane, position)


def error(position: int, code: str, lane: Lane = Lane.ORDERED, socket: int = 1) -> CsmsText:
    return CsmsText(socket, f'[4,"{stored_id(position, lane)}","{code}","why",{{}}]')


def letter(position: int, body: str, code: str, attempts: int, description: str = "why") -> Bury:
    return Bury(DeadLetter("CP001", stored_id(position), "1.6", body, code, description, attempts, at_s=0.0))


# --- how far the CSMS has come


def test_the_csms_socket_is_opened_once_it_is_known_how_far_it_has_come() -> None:
    play = Cloud()
    play.attach(delivered=(3, 40), sent=(3, 44))
    play.play([("far", down(meter(41))), ("out", [put(41, meter(41))])])


def test_a_station_that_leaves_before_that_is_known() -> None:
    play = Cloud()
    play.play(
        [
            ("far", Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)),
            ("far", Detach(0, 1)),
            ("in", PositionsLoaded("CP001", {})),
            ("in", PositionsLoaded("CP009", {})),
            ("out", [LoadPositions("CP001")]),
        ]
    )
    play.attach(attachment=2)


def test_a_station_that_asks_twice_before_that_is_known() -> None:
    play = Cloud()
    play.play(
        [
            ("far", Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)),
            ("far", Attach(0, 2, "CP001", ["ocpp1.6"], None, 0)),
            ("out", [LoadPositions("CP001"), LoadPositions("CP001")]),
            ("in", PositionsLoaded("CP001", {INCARNATION: (0, 5)})),
            ("in", PositionsLoaded("CP001", {INCARNATION: (0, 9)})),
            ("out", [OpenCsms(1, "CP001", ("ocpp1.6",))]),
            ("in", CsmsOpened(1, "ocpp1.6")),
            ("out", [Link(1, Verdict(0, 2, 101, "1.6", 0x01010101, "", (0, 5)))]),
        ]
    )


def test_another_outbox_of_the_edge_begins_at_its_own_positions() -> None:
    play = Cloud()
    play.play(
        [
            ("far", Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)),
            ("in", PositionsLoaded("CP001", {b"outbox-0": (8, 8)})),
            ("in", CsmsOpened(1, "ocpp1.6")),
        ]
    )
    assert play.effects()[-1] == Link(1, Verdict(0, 1, 101, "1.6", 0x01010101, "", (0, 0)))


def test_an_edge_that_comes_back_with_another_outbox_begins_anew() -> None:
    play = admitted()
    play.play([("far", down(meter(1), meter(2))), ("out", [put(1, meter(1))]), ("in", LinkClosed(1, "lost")), ("in", LinkOpened(2))])
    play.greeted(2)
    known = KnownStation(0, "CP001", 1, 0x01010101, True, 1, 0)
    play.play(
        [
            ("far", hello(known, incarnation=b"outbox-2")),
            (
                "out",
                [
                    CloseCsms(1, 1001, "what the station sent is not known any more"),
                    Link(2, Welcome("verbatim", [StationWelcome(0, False, False, 0)])),
                ],
            ),
            ("far", Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)),
            ("out", [LoadPositions("CP001")]),
        ]
    )


# --- one after the other, each on disk before the next


def test_the_next_stored_call_waits_until_the_position_is_durable_and_relays_go_on() -> None:
    play = admitted()
    play.play(
        [
            ("far", down(meter(1), meter(2))),
            ("out", [put(1, meter(1))]),
            ("far", down(STATUS)),
            ("in", CsmsText(1, f'[3,"{stored_id(1)}",{{}}]')),
            ("out", [save(1)]),
            ("in", PositionNotSaved("CP001", INCARNATION, Lane.ORDERED, 1, "disk")),
            ("in", PositionsTrouble("disk")),
            ("tick", 500.0),
            ("far", down('"Authorize",{}', stored=False)),
            ("out", [relayed(1, '"Authorize",{}')]),
            ("in", CsmsText(1, '[3,"020202020202-1",{}]')),
            ("out", [Link(1, Delivered(0, (0, 1)), Carried(0, "3:{}", call=3))]),
            ("in", PositionsTrouble(None)),
            ("in", PositionSaved("CP001", INCARNATION, Lane.ORDERED, 9)),
            ("in", PositionSaved("CP001", b"outbox-0", Lane.ORDERED, 1)),
            ("out", []),
            ("in", saved(1)),
            ("out", [put(1, STATUS, Lane.EXPRESS)]),
        ]
    )
    play.finish(1, Lane.EXPRESS)
    play.play([("out", [put(2, meter(2))])])


def test_who_is_waited_for_goes_before_everything_stored_and_transactions_keep_their_order() -> None:
    play = admitted()
    play.play(
        [
            ("far", down(meter(1))),
            ("far", down(meter(2), STATUS)),
            ("far", down(STOP, stored=False)),
            ("far", down('"Authorize",{}', stored=False)),
            ("out", [put(1, meter(1))]),
            ("in", CsmsText(1, f'[3,"{stored_id(1)}",{{}}]')),
            ("out", [save(1), relayed(1, '"Authorize",{}')]),
            ("in", saved(1)),
            ("in", CsmsText(1, '[3,"020202020202-1",{}]')),
            ("out", [put(1, STATUS, Lane.EXPRESS), Link(1, Delivered(0, (0, 1)), Carried(0, "3:{}", call=4))]),
        ]
    )
    play.finish(1, Lane.EXPRESS)
    play.play(
        [
            ("out", [put(2, meter(2))]),
            ("in", CsmsText(1, f'[3,"{stored_id(2)}",{{}}]')),
            ("out", [save(2), relayed(2, STOP)]),
        ]
    )


def test_a_hold_outlives_the_socket_under_which_it_began() -> None:
    play = admitted()
    play.play([("far", down(meter(1))), ("in", CsmsText(1, f'[3,"{stored_id(1)}",{{}}]')), ("out", [put(1, meter(1)), save(1)])])
    play.play([("far", Detach(0, 1)), ("out", [CloseCsms(1, 1000, "the station has gone")])])
    play.attach(delivered=None, attachment=2, socket=2, sent=(0, 1), epoch=0x02020202, told=(0, 1))
    play.play([("far", down(meter(2))), ("out", []), ("in", saved(1)), ("out", [put(2, meter(2), socket=2)])])


# --- what the edge is told, and when


def test_the_news_ride_on_what_goes_anyway() -> None:
    play = admitted()
    play.play([("far", down(meter(1))), ("out", [put(1, meter(1))])])
    play.finish(1)
    play.play(
        [
            ("out", []),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("out", [Link(1, Delivered(0, (0, 1)), Carried(0, '2:"Reset",{}'))]),
            ("far", Carried(0, '3:{"status":"Accepted"}', call=0)),
            ("in", CsmsText(1, '[2,"d","Reset",{}]')),
            ("out", [SendCsms(1, '[3,"c",{"status":"Accepted"}]'), Link(1, Carried(0, '2:"Reset",{}'))]),
        ]
    )


def test_a_hundred_answers_are_news_by_themselves() -> None:
    play = admitted()
    play.play([("in", CsmsText(1, '[2,"c","Reset",{}]'))])  # told what it had at first
    play.effects()
    play.play([("far", down(*map(meter, range(1, DELIVERED_MESSAGES + 1))))])
    for position in range(1, DELIVERED_MESSAGES + 1):
        play.effects()
        play.play([("in", CsmsText(1, f'[3,"{stored_id(position)}",{{}}]'))])
        told = [part for effect in play.effects() if isinstance(effect, Link) for part in effect.parts]
        assert told == ([Delivered(0, (0, DELIVERED_MESSAGES))] if position == DELIVERED_MESSAGES else [])
        play.play([("in", saved(position))])


def test_long_answered_text_is_news_by_itself() -> None:
    play = admitted()
    size = DELIVERED_TEXT
    play.play([("far", down(meter(1, size))), ("in", CsmsText(1, f'[3,"{stored_id(1)}",{{}}]'))])
    told = [part for effect in play.effects() if isinstance(effect, Link) for part in effect.parts if isinstance(part, Delivered)]
    assert told == [Delivered(0, (0, 1))]


def test_after_a_lost_link_the_news_are_told_again_when_something_goes_anyway() -> None:
    play = admitted(delivered=(0, 1000), sent=(0, 1000))
    play.play([("far", down(meter(1001))), ("out", [put(1001, meter(1001))])])
    play.finish(1001)
    play.play([("in", CsmsText(1, '[2,"c","Reset",{}]')), ("out", [Link(1, Delivered(0, (0, 1001)), Carried(0, '2:"Reset",{}'))])])
    play.play([("in", LinkClosed(1, "lost")), ("in", LinkOpened(2))])
    play.greeted(2)
    play.play(
        [
            ("far", hello(KnownStation(0, "CP001", 1, 0x01010101, True, 1, 1))),
            ("out", [Link(2, Welcome("verbatim", [StationWelcome(0x01010101, True, True, 1)]))]),
            ("tick", 100.0),
            ("out", []),
            ("in", CsmsText(1, '[2,"d","Reset",{}]')),
            ("out", [Link(2, Delivered(0, (0, 1001)), Carried(0, '2:"Reset",{}'))]),
        ]
    )


def test_a_cloud_that_has_lost_its_positions_goes_on_where_the_edge_knows_of() -> None:
    play = Cloud()
    play.attach(delivered=(0, 0), known=(3, 40), sent=(3, 44), told=(3, 40))
    play.play([("far", down(meter(41))), ("out", [put(41, meter(41))])])
    play.finish(41)


# --- R6: errors, silence, lost sockets


@pytest.mark.parametrize("code", ["InternalError", "NotImplemented"])
def test_an_error_to_what_has_no_transaction_is_noted_and_done(code: str) -> None:
    play = admitted()
    play.play(
        [
            ("far", down(STATUS)),
            ("in", error(1, code, Lane.EXPRESS)),
            ("out", [put(1, STATUS, Lane.EXPRESS), save(1, Lane.EXPRESS)]),
        ]
    )
    assert play.noted("the CSMS refused a message that the station thinks delivered")


def test_an_error_to_a_transaction_message_is_retried_and_then_the_message_is_buried() -> None:
    play = admitted()
    play.play(
        [
            ("far", down(meter(1), meter(2))),
            ("in", error(1, "InternalError")),
            ("out", [put(1, meter(1))]),
            # Others go on meanwhile, but not of its lane.
            ("far", down(STATUS)),
            ("out", [put(1, STATUS, Lane.EXPRESS)]),
        ]
    )
    play.finish(1, Lane.EXPRESS)
    play.play(
        [
            ("tick", 59.9),
            ("out", []),
            ("tick", 0.1),
            ("in", error(1, "GenericError")),
            ("out", [put(1, meter(1))]),
            ("tick", 119.9),
            ("out", []),
            ("tick", 0.1),
            ("in", error(1, "InternalError")),
            ("out", [put(1, meter(1)), letter(1, meter(1), "InternalError", 3)]),
            ("tick", 1000.0),
            ("out", []),
            ("in", Buried("CP001", stored_id(1), 1)),
            ("out", [save(1)]),
            ("in", Buried("CP001", stored_id(1), 1)),
            ("in", saved(1)),
            ("out", [put(2, meter(2))]),
        ]
    )
    assert play.cloud.counters.dead_letters == 1


@pytest.mark.parametrize(
    "code", ["NotSupported", "NotImplemented", "FormationViolation", "FormatViolation", "OccurenceConstraintViolation"]
)
def test_some_errors_are_final_at_once(code: str) -> None:
    admitted().play(
        [("far", down(meter(1))), ("in", error(1, code)), ("out", [put(1, meter(1)), letter(1, meter(1), code, 1)])],
    )


def test_without_room_for_dead_letters_the_lane_waits_and_the_csms_is_asked_again() -> None:
    play = admitted()
    play.play(
        [
            ("far", down(meter(1))),
            ("in", error(1, "NotSupported")),
            ("in", NotBuried("CP001", stored_id(1), "full")),
            ("in", NotBuried("CP001", "nobody's", "full")),
            ("out", [put(1, meter(1)), letter(1, meter(1), "NotSupported", 1)]),
            ("tick", 179.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [put(1, meter(1))]),
            ("in", error(1, "NotSupported")),
            ("out", [letter(1, meter(1), "NotSupported", 2)]),
        ]
    )


def test_a_silent_csms_is_closed_and_gets_the_same_again_under_the_same_id() -> None:
    play = admitted()
    play.play(
        [
            ("far", down(meter(1))),
            ("out", [put(1, meter(1))]),
            ("tick", 30.0),
            ("out", [CloseCsms(1, 1001, "no answer")]),
            ("in", CsmsText(1, f'[3,"{stored_id(1)}",{{}}]')),
            ("tick", 2.0),
            ("out", [OpenCsms(2, "CP001", ("ocpp1.6",))]),
            ("in", CsmsOpened(2, "ocpp1.6")),
            ("out", [put(1, meter(1), socket=2)]),
        ]
    )
    play.finish(1, socket=2)


def test_a_lost_socket_is_no_attempt() -> None:
    play = admitted()
    play.play([("far", down(meter(1))), ("out", [put(1, meter(1))])])
    for socket in (1, 2, 3, 4):
        play.play([("in", CsmsClosed(socket, "lost")), ("tick", 30.0), ("out", [OpenCsms(socket + 1, "CP001", ("ocpp1.6",))])])
        play.play([("in", CsmsOpened(socket + 1, "ocpp1.6")), ("out", [put(1, meter(1), socket=socket + 1)])])
    play.play([("in", error(1, "InternalError", socket=5)), ("out", [])])


def unanswered(play: Cloud, body: str, lane: Lane) -> None:
    """The CSMS says this and that, but never answers."""
    for attempt in (1, 2, 3):
        play.play([("out", [put(1, body, lane)])])
        play.play([("tick", 20.0), ("in", CsmsText(1, '[3,"x",{}]')), ("tick", 10.0)])
        if attempt < 3:
            play.play([("out", []), ("tick", 60.0 * attempt)])


def test_a_csms_that_lives_but_does_not_answer_is_asked_again_and_a_late_answer_counts() -> None:
    play = admitted()
    play.play([("far", down(meter(1))), ("out", [put(1, meter(1))]), ("tick", 20.0), ("in", CsmsText(1, '[3,"x",{}]')), ("tick", 20.0)])
    play.finish(1)
    play.play([("out", []), ("tick", 1000.0), ("out", [])])


def test_a_late_answer_to_what_was_given_up_changes_nothing() -> None:
    play = admitted()
    play.play([("far", down(STATUS, idle_meter(1)))])
    unanswered(play, STATUS, Lane.EXPRESS)
    play.play(
        [
            ("out", [save(1, Lane.EXPRESS)]),
            ("in", CsmsText(1, f'[3,"{stored_id(1, Lane.EXPRESS)}",{{}}]')),
            ("out", []),
            ("in", saved(1, Lane.EXPRESS)),
            ("out", [put(2, idle_meter(1), Lane.EXPRESS)]),
        ]
    )


@pytest.mark.parametrize("late", [f'[3,"{stored_id(1)}",{{}}]', f'[4,"{stored_id(1)}","InternalError","",{{}}]'])
def test_a_late_answer_while_the_message_is_being_buried(late: str) -> None:
    play = admitted()
    play.play([("far", down(meter(1), meter(2)))])
    unanswered(play, meter(1), Lane.ORDERED)
    play.play([("out", [letter(1, meter(1), "", 3, "")]), ("in", CsmsText(1, late))])
    again = late[1] == "4"
    play.play([("out", [letter(1, meter(1), "InternalError", 3, "")] if again else [save(1)])])
    play.play([("in", Buried("CP001", stored_id(1), 1)), ("out", [save(1)] if again else [])])
    play.play([("in", saved(1)), ("out", [put(2, meter(2))])])


def test_what_was_answered_before_is_not_put_again() -> None:
    """A message that was relayed, and that its station repeated to an edge that stored it."""
    play = admitted()
    play.play(
        [
            ("far", down(meter(1), stored=False)),
            ("out", [relayed(1, meter(1))]),
            ("far", down(meter(1), meter(2))),
            ("in", CsmsText(1, '[3,"020202020202-1",{}]')),
        ]
    )
    assert play.effects()[0] == save(1)
    play.play([("in", saved(1)), ("out", [put(2, meter(2))])])


# --- R7: answers that say something


def test_content_is_reported_once_for_each_kind() -> None:
    play = admitted(V201)
    body = '"TransactionEvent",{"eventType":"Updated","triggerReason":"MeterValuePeriodic","n":%d}'
    play.play([("far", down(*(body % number for number in range(4))))])
    answers = ['{"totalCost":1.5}', '{"totalCost":2.5}', '{"idTokenInfo":{"status":"Blocked"}}', '{"status":"Accepted","x":1}']
    heard = []
    for position, answer in enumerate(answers, start=1):
        play.effects()
        play.notes.clear()
        play.finish(position, answer=answer)
        heard.append([note.fields["member"] for note in play.notes if "member" in note.fields])
    assert heard == [["totalCost"], [], ["idTokenInfo"], []]


def test_content_of_another_action_is_none() -> None:
    play = admitted()
    play.play([("far", down(meter(1))), ("out", [put(1, meter(1))])])
    play.finish(1, answer='{"totalCost":1.5}')
    assert play.cloud.view(play.now).stations[0].contents == ()


def test_what_relaying_would_cost_is_known_after_an_hour_and_said_once_after_a_day() -> None:
    play = Cloud(settings=replace(SETTINGS, relayed_bytes=200))
    play.attach(version=V201)
    prices: list[list[float]] = []
    months: list[int | None] = []
    # Every second message of an hour's pace has an answer with content.
    for position, hour in enumerate(range(26), start=1):
        play.play([("tick", 3600.0 if hour else 0.0), ("far", down(event(hour))), ("out", [put(position, event(hour))])])
        play.notes.clear()
        play.finish(position, answer="{}" if position % 2 else '{"totalCost":1.5}')
        prices.append([note.fields["relaying_mb_a_month"] for note in play.notes if "relaying_mb_a_month" in note.fields])
        months += [content.relayed_month_bytes for content in play.cloud.view(play.now).stations[0].contents]
    # 26 messages in 25 hours, 200 bytes each.
    month_bytes = 26 * 200 * 30 * 24 / 25
    assert months[-1] == round(month_bytes)
    assert prices[1] == [round(2 * 200 * 30 * 24 / 1e6, 3)], "said with the first answer, an hour after the first message"
    assert prices[-1] == [round(month_bytes / 1e6, 3)]
    assert [price for price in prices[2:-1] if price] == []
    (content,) = play.cloud.view(play.now).stations[0].contents
    assert (content.count, content.messages, content.over_s) == (13, 26, 90_000.0)


# --- R7: the option that stops what is rejected late

BLOCKED = '{"idTokenInfo":{"status":"Blocked"}}'
STOP_T1 = '2:"RequestStopTransaction",{"transactionId":"T\\u0031"}'
"""The id is spelled as the station does."""


def event(number: int, more: str = "", kind: str = "Updated", transaction: str = '"T\\u0031"') -> str:
    info = f'"transactionInfo":{{"transactionId":{transaction}}}'
    return f'"TransactionEvent",{{"eventType":"{kind}","triggerReason":"MeterValuePeriodic","seqNo":{number},{info}{more}}}'


def stopping(version: OcppVersion = V201) -> Cloud:
    play = Cloud(settings=replace(SETTINGS, stops_late_rejected=True))
    play.attach(version=version)
    return play


def rejects(play: Cloud, position: int, body: str, answer: str = BLOCKED) -> list[object]:
    """The CSMS answers a message of the outbox so; what follows, but for what is always so."""
    play.play([("far", down(body)), ("out", [put(position, body)])])
    play.play([("in", CsmsText(1, f'[3,"{stored_id(position)}",{answer}]'))])
    saving, *rest = play.effects()
    assert saving == save(position)
    play.play([("in", saved(position))])
    return [*rest, *play.effects()]


def asked(play: Cloud, effects: list[object]) -> bool:
    """Whether these ask the station to stop T1, and do nothing else."""
    if not effects:
        return False
    (link,) = effects
    assert isinstance(link, Link)
    (carried,) = [part for part in link.parts if isinstance(part, Carried)]
    assert carried == Carried(0, STOP_T1)
    return True


def test_a_transaction_that_is_rejected_late_is_stopped_once_and_the_csms_hears_nothing_of_it() -> None:
    play = stopping()
    assert asked(play, rejects(play, 1, event(1)))
    # While that is under way nothing more is asked; the CSMS's own CALLs go their way, and their answers are theirs.
    assert rejects(play, 2, event(2)) == []
    play.play([("in", CsmsText(1, '[2,"c","Reset",{}]'))])
    (link,) = play.effects()
    assert isinstance(link, Link)
    assert link.parts[-1] == Carried(0, '2:"Reset",{}')
    play.play(
        [
            ("far", Carried(0, '3:{"status":"Accepted"}', call=0)),
            ("out", []),
            ("far", Carried(0, '3:{"status":"Scheduled"}', call=1)),
            ("out", [SendCsms(1, '[3,"c",{"status":"Scheduled"}]')]),
        ]
    )
    # Accepted: never again for this transaction.
    play.play([("tick", 3600.0)])
    assert rejects(play, 3, event(3)) == []
    assert (play.cloud.counters.stops_asked, play.cloud.counters.stops_accepted) == (1, 1)
    assert play.cloud.counters.answers_without_call == 0
    assert [note.fields["transaction"] for note in play.notes if "transaction" in note.fields] == ["T1", "T1"]


def test_its_life_is_that_of_a_command() -> None:
    play = stopping()
    play.play([("far", down(event(1))), ("out", [put(1, event(1))]), ("in", LinkClosed(1, "lost"))])
    play.play([("in", CsmsText(1, f'[3,"{stored_id(1)}",{BLOCKED}]')), ("out", [save(1)]), ("in", saved(1))])
    play.notes.clear()
    play.play([("tick", 29.9)])
    assert not play.noted("CALL dropped, its time is over")
    play.play([("tick", 0.2)])
    assert play.noted("CALL dropped, its time is over")
    assert play.cloud.counters.calls_over_time == 1


@pytest.mark.parametrize("answer", ['3:{"status":"Rejected"}', '4:"InternalError","",{}', None])
def test_what_isnt_accepted_is_asked_again_a_few_times(answer: str | None) -> None:
    play = stopping()
    asks = []
    for position in range(1, STOP_ATTEMPTS_MAX + 3):
        # Rejected once is enough: an answer that says nothing leaves it so.
        asks.append(asked(play, rejects(play, position, event(position), BLOCKED if position == 1 else "{}")))
        if asks[-1] and answer is not None:
            play.play([("far", Carried(0, answer, call=position - 1)), ("out", [])])
        play.play([("tick", 31.0)])
        play.effects()
    assert asks == [True] * STOP_ATTEMPTS_MAX + [False] * 2
    assert (play.cloud.counters.stops_asked, play.cloud.counters.stops_accepted) == (STOP_ATTEMPTS_MAX, 0)
    gives_up = [note.fields["gives_up"] for note in play.notes if "gives_up" in note.fields]
    assert gives_up == ([] if answer is None else [False] * (STOP_ATTEMPTS_MAX - 1) + [True])


def test_a_late_answer_counts() -> None:
    play = stopping()
    assert asked(play, rejects(play, 1, event(1)))
    play.play([("tick", 31.0), ("far", Carried(0, '3:{"status":"Accepted"}', call=0)), ("out", [])])
    assert rejects(play, 2, event(2)) == []


def test_a_late_answer_counts_when_it_has_been_asked_again() -> None:
    play = stopping()
    assert asked(play, rejects(play, 1, event(1)))
    play.play([("tick", 31.0)])
    assert asked(play, rejects(play, 2, event(2)))
    play.play([("far", Carried(0, '3:{"status":"Accepted"}', call=0)), ("far", Carried(0, '3:{"status":"Rejected"}', call=1)), ("out", [])])
    play.play([("tick", 31.0)])
    assert rejects(play, 3, event(3)) == []
    assert play.cloud.counters.stops_accepted == 1
    assert not play.noted("the station doesn't stop a transaction that the CSMS has rejected")


def test_a_csms_that_accepts_after_all_is_heard() -> None:
    play = stopping()
    assert asked(play, rejects(play, 1, event(1)))
    play.play([("far", Carried(0, '3:{"status":"Rejected"}', call=0))])
    assert rejects(play, 2, event(2), '{"idTokenInfo":{"status":"Accepted"}}') == []
    assert rejects(play, 3, event(3), "{}") == []


def test_transactions_are_apart() -> None:
    play = stopping()
    assert asked(play, rejects(play, 1, event(1)))
    (link,) = rejects(play, 2, event(1, transaction='"T2"'))
    assert isinstance(link, Link)
    assert link.parts[-1] == Carried(0, '2:"RequestStopTransaction",{"transactionId":"T2"}')
    play.play([("far", Carried(0, '3:{"status":"Accepted"}', call=1))])
    assert rejects(play, 3, event(2, transaction='"T2"')) == []
    play.play([("far", Carried(0, '3:{"status":"Rejected"}', call=0))])
    assert asked(play, rejects(play, 4, event(2)))


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (event(1), "{}"),
        (event(1), '{"status":"Blocked"}'),
        (event(1), '{"idTokenInfo":{"status":"Accepted"}}'),
        (event(1), '{"idTokenInfo":{}}'),
        (event(1), '{"idTokenInfo":{"status":5}}'),
        (event(1), '{"idTokenInfo":"Blocked"}'),
        (event(1), '{"totalCost":1.5}'),
        (event(1, kind="Ended"), BLOCKED),
        (event(1, transaction="5"), BLOCKED),
        (event(1, transaction='""'), BLOCKED),
        (event(1, transaction=f'"{"x" * 37}"'), BLOCKED),
        (event(1).replace("transactionInfo", "transaction"), BLOCKED),
    ],
)
def test_nothing_else_stops_a_transaction(body: str, answer: str) -> None:
    assert rejects(stopping(), 1, body, answer) == []


def test_without_the_option_nothing_is_stopped() -> None:
    play = admitted(V201)
    assert rejects(play, 1, event(1)) == []


def test_what_was_relayed_has_its_answer_and_is_the_stations_to_stop() -> None:
    play = stopping()
    play.play([("far", down(event(1), stored=False)), ("out", [relayed(1, event(1))])])
    play.play([("in", CsmsText(1, f'[3,"020202020202-1",{BLOCKED}]')), ("out", [Link(1, Carried(0, f"3:{BLOCKED}", call=0))])])


def test_a_station_of_16_has_no_such_command() -> None:
    play = stopping(V16)
    assert rejects(play, 1, event(1)) == []
    assert rejects(play, 2, meter(1), '{"idTagInfo":{"status":"Blocked"}}') == []


def test_rejected_transactions_are_bounded() -> None:
    play = stopping()
    for position in range(1, 2 * TRANSACTIONS_REMEMBERED_MAX + 1):
        assert len(rejects(play, position, event(1, transaction=f'"T{position}"'))) == 1
    station = next(iter(play.cloud._edges["edge"].stations.values()))
    assert station._late_rejections is not None
    assert len(station._late_rejections._rejected) == TRANSACTIONS_REMEMBERED_MAX


# --- Heartbeats of the cloud's own


def beat(number: int, prefix: str = "020202020202", socket: int = 1) -> SendCsms:
    return SendCsms(socket, f'[2,"{prefix}-{number}","Heartbeat",{{}}]')


def test_the_cloud_sends_heartbeats_of_its_own_while_the_station_is_known_to_be_alive() -> None:
    play = admitted(heartbeat_s=300)
    play.play(
        [
            ("tick", 300.0),
            ("out", [beat(1)]),
            ("in", CsmsText(1, '[3,"020202020202-1",{"currentTime":"1970-01-01T00:10:00Z"}]')),
            ("out", []),
            # Any CALL does as well.
            ("tick", 200.0),
            ("far", down(meter(1))),
            ("out", [put(1, meter(1))]),
        ]
    )
    play.finish(1)
    play.play(
        [
            ("tick", 299.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [beat(2)]),
            ("in", CsmsText(1, '[4,"020202020202-2","InternalError","",{}]')),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            # The clock of the first answer, 500 s later.
            ("out", [Link(1, Delivered(0, (0, 1)), CsmsTime(0, 1_100_000), Carried(0, '2:"Reset",{}'))]),
            ("in", LinkClosed(1, "lost")),
            ("tick", 59.0),
            ("out", []),
        ]
    )


def test_no_heartbeats_before_a_boot_was_accepted_nor_after_one_was_not() -> None:
    play = admitted()
    play.play([("tick", 1000.0), ("out", []), ("far", down('"BootNotification",{}', stored=False))])
    play.play([("out", [relayed(1, '"BootNotification",{}')])])
    for number, (status, beats) in enumerate([("Accepted", True), ("Rejected", False)], start=1):
        message_id = f"020202020202-{1 if number == 1 else 3}"
        play.play([("in", CsmsText(1, f'[3,"{message_id}",{{"status":"{status}","interval":60}}]'))])
        play.effects()
        play.play([("tick", 60.0), ("out", [beat(2)] if beats else [])])
        if beats:
            play.play([("in", CsmsText(1, '[3,"020202020202-2",{}]')), ("far", down('"BootNotification",{}', stored=False))])
            play.effects()


def test_an_edge_without_an_outbox_has_heartbeats_from_its_station() -> None:
    play = Cloud(incarnation=b"")
    play.attach(delivered=None, heartbeat_s=300)
    play.play([("tick", 1000.0), ("out", [])])


# --- R8


@pytest.mark.parametrize(("body", "told"), [(meter(1), "true"), (STATUS, "false")])
def test_the_transactions_status_counts_what_waits_here(body: str, told: str) -> None:
    play = admitted()
    play.play([("far", down(body)), ("in", CsmsText(1, '[2,"c","GetTransactionStatus",{}]'))])
    play.effects()
    play.play(
        [
            ("far", Carried(0, '3:{"messagesInQueue":false}', call=0)),
            ("out", [SendCsms(1, f'[3,"c",{{"messagesInQueue":{told}}}]')]),
        ]
    )


# --- hostile edges


def test_stored_calls_of_an_edge_that_has_no_outbox_are_dropped() -> None:
    play = Cloud(incarnation=b"")
    play.attach(delivered=None)
    play.play([("far", down(meter(1))), ("out", [])])


def test_more_than_the_window_ends_the_link() -> None:
    play = admitted()
    for number in range(STORED_IN_FLIGHT_MAX):
        play.play([("far", down(meter(number)))])
    play.effects()
    play.play([("far", down(meter(0)))])
    (closed,) = play.effects()
    assert isinstance(closed, CloseLink)
    assert "more of the outbox than may be unanswered" in closed.reason
    assert len(play.cloud._edges["edge"].stations["CP001"].outgoing) < STORED_IN_FLIGHT_MAX


def test_more_text_than_the_window_ends_the_link() -> None:
    play = admitted()
    play.play([("far", down(meter(1, STORED_IN_FLIGHT_TEXT_MAX)))])
    play.effects()
    play.play([("far", down(meter(2)))])
    assert isinstance(play.effects()[-1], CloseLink)


def test_two_edges_that_quarrel_over_a_station_have_positions_of_their_own() -> None:
    play = admitted()
    play.play([("in", LinkOpened(2, "other"))])
    play.greeted(2)
    play.play([("far", hello(incarnation=b"outbox-2", edge="other"))])
    play.effects()
    play.play(
        [
            ("far", Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)),
            ("in", PositionsLoaded("CP001", {INCARNATION: (0, 9)})),
            ("out", [LoadPositions("CP001"), OpenCsms(2, "CP001", ("ocpp1.6",))]),
            ("in", CsmsOpened(2, "ocpp1.6")),
            ("out", [Link(2, Verdict(0, 1, 101, "1.6", 0x02020202, "", (0, 0)))]),
        ]
    )


# --- somebody looks at what passes


def seen(up: bool, text: str, handling: Handling | None = None) -> Observe:
    return Observe("CP001", up, text, handling)


def test_who_watches_a_station_sees_both_sides_and_what_the_edge_has_answered() -> None:
    play = admitted(heartbeat_s=300)
    play.play([("in", Watch("CP001", on=True)), ("far", down(STATUS))])
    first = put(1, STATUS, Lane.EXPRESS)
    answer = f'[3,"{stored_id(1, Lane.EXPRESS)}",{{}}]'
    play.play(
        [
            ("out", [first, seen(True, first.text, Handling.EARLY)]),
            ("in", CsmsText(1, answer)),
            ("out", [seen(False, answer), save(1, Lane.EXPRESS)]),
            ("in", saved(1, Lane.EXPRESS)),
            ("far", down('"Authorize",{}', stored=False)),
            ("out", [relayed(1, '"Authorize",{}'), seen(True, relayed(1, '"Authorize",{}').text, Handling.RELAYED)]),
            ("in", CsmsText(1, "{}")),
        ]
    )
    assert seen(False, "{}") in play.effects()
    play.play([("in", CsmsText(1, '[3,"020202020202-1",{}]')), ("tick", 301.0)])
    effects = play.effects()
    beat = next(effect for effect in effects if isinstance(effect, SendCsms))
    assert '"Heartbeat"' in beat.text
    assert seen(True, beat.text, Handling.HERE) in effects
    play.play([("in", Watch("CP001", on=False)), ("in", CsmsText(1, "{}"))])
    assert not any(isinstance(effect, Observe) for effect in play.effects())


def test_when_something_of_a_station_came_last() -> None:
    play = admitted()
    assert [one.heard_s for one in play.cloud.view(play.now).stations] == [None]
    play.play([("far", down(STATUS)), ("tick", 20.0), ("in", CsmsText(1, '[2,"r","Reset",{}]'))])
    assert [one.heard_s for one in play.cloud.view(play.now).stations] == [20.0], "what the CSMS says doesn't count"
