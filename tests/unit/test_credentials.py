"""Which credentials count for a station: changes of its password, refusals that are remembered, and upgrades that nobody can be asked about."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import msgspec
import pytest

from ocppress_codecs.interface import Side
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.credentials import (
    CANDIDATES_MAX,
    PASSWORD_BYTES_MAX,
    USER_BYTES_MAX,
    Credentials,
    password_accepted,
    password_headers,
)
from ocppress_gateway.core.edge import CHECKS_MAX, EdgeMachine
from ocppress_gateway.core.events import (
    AdmitStation,
    CheckCredentials,
    CloseStation,
    CredentialsChecked,
    CredentialsOpened,
    ForgetCredentials,
    KeepCredentials,
    LinkClosed,
    LinkOpened,
    OpenLink,
    RefuseStation,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    Stop,
)
from ocppress_gateway.core.parts import Attach, Detach, KnownStation, StationWelcome, Verdict, Welcome
from ocppress_gateway.core.refused_upgrades import (
    BURST,
    REFILL_S,
    REFUSAL_S_MAX,
    REFUSAL_S_MIN,
    REFUSALS_MAX,
    RefusedUpgrades,
)
from tests.support.playbook import Carried, Link, Play
from tests.unit.test_edge_machine import EPOCH, SETTINGS, hello

V16, V201 = OcppVersion.V16, OcppVersion.V201


def basic(password: str | bytes, user: str = "CP001") -> str:
    raw = password if isinstance(password, bytes) else password.encode()
    return "Basic " + base64.b64encode(user.encode() + b":" + raw).decode()


OLD, NEW, NEWER = basic("old-password-0001"), basic("new-password-0002"), basic("newer-password-3")


# --- the headers that may count


def test_a_change_counts_beside_the_old_password_until_one_has_opened_a_socket() -> None:
    credentials = Credentials(OLD)
    credentials.asked((NEW,))
    assert list(credentials.all) == [OLD, NEW], "its answer may be lost"
    credentials.accepted((NEW,))
    assert list(credentials.all) == [NEW, OLD]
    credentials.opened(NEW)
    assert list(credentials.all) == [NEW]


def test_a_rejected_change_never_was() -> None:
    credentials = Credentials(OLD)
    credentials.asked((NEW,))
    credentials.rejected((NEW,))
    assert credentials.all == (OLD,)
    credentials.rejected((OLD,))
    assert credentials.all == (OLD,), "something has to be tried"


def test_the_next_is_tried_after_a_refusal_until_there_is_none() -> None:
    credentials = Credentials(OLD)
    credentials.asked((NEW,))
    credentials.accepted((NEW,))
    assert credentials.refused(NEW)
    assert credentials.first == OLD
    assert not credentials.refused(OLD)


def test_changes_without_an_end_keep_the_newest_and_the_first() -> None:
    credentials = Credentials(OLD)
    for number in range(100):
        credentials.asked((basic(f"a{number}"), basic(f"b{number}")))
    assert len(credentials.all) == CANDIDATES_MAX
    assert credentials.first == OLD
    assert {basic("a99"), basic("b99")} <= set(credentials.all)
    assert "Basic" not in repr(credentials)


# --- what the messages say


def set_variables(value: object = "new-password-0002", **changes: object) -> Message:
    setting = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": value, **changes}
    body = json.dumps({"setVariableData": [{"component": {"name": "X"}, "variable": {"name": "Y"}, "attributeValue": "z"}, setting]})
    return Message(MessageType.CALL, "SetVariables", f'"SetVariables",{body}')


def change_configuration(value: str, key: str = "AuthorizationKey") -> Message:
    body = json.dumps({"key": key, "value": value})
    return Message(MessageType.CALL, "ChangeConfiguration", f'"ChangeConfiguration",{body}')


def test_a_password_set_by_set_variables() -> None:
    assert password_headers(V201, set_variables(), "CP001", OLD) == (NEW,)
    lower = set_variables(component={"name": "securityctrlr"}, variable={"name": "BASICAUTHPASSWORD"})
    assert password_headers(OcppVersion.V21, lower, "CP001", OLD) == (NEW,)


def test_an_authorization_key_is_hexadecimal_or_meant_as_it_stands() -> None:
    assert password_headers(V16, change_configuration("00ff41"), "CP001", OLD) == (basic(b"\0\xffA"), basic("00ff41"))
    assert password_headers(V16, change_configuration("new-password-0002"), "CP001", OLD) == (NEW,)


def test_the_user_stays_as_the_station_spells_it() -> None:
    assert password_headers(V201, set_variables(), "CP001", basic("x", "other")) == (basic("new-password-0002", "other"),)
    assert password_headers(V201, set_variables(), "CP001", None) == (NEW,)


@pytest.mark.parametrize(
    ("version", "message", "previous"),
    [
        (V16, set_variables(), OLD),
        (V201, change_configuration("ab"), OLD),
        (V16, change_configuration("ab", "HeartbeatInterval"), OLD),
        (V16, change_configuration(""), OLD),
        (V16, change_configuration("a" * (PASSWORD_BYTES_MAX + 1)), OLD),
        (V201, set_variables(attributeType="Target"), OLD),
        (V201, set_variables(component={"name": "OCPPCommCtrlr"}), OLD),
        (V201, set_variables(5), OLD),
        (V201, Message(MessageType.CALL, "SetVariables", '"SetVariables",{"setVariableData":{}}'), OLD),
        (V201, set_variables(), "Bearer abc"),
        (V201, set_variables(), "Basic %%%"),
        (V201, set_variables(), "Basic " + base64.b64encode(b"no colon").decode()),
        (V201, set_variables(), basic("x", "u" * (USER_BYTES_MAX + 1))),
    ],
)
def test_what_changes_no_password_that_can_be_followed(version: OcppVersion, message: Message, previous: str) -> None:
    assert password_headers(version, message, "CP001", previous) == ()


@pytest.mark.parametrize(
    ("version", "answer", "accepted"),
    [
        (V16, '{"status":"Accepted"}', True),
        (V16, '{"status":"RebootRequired"}', True),
        (V16, '{"status":"Rejected"}', False),
        (V16, "{}", False),
        (V201, '{"setVariableResult":[{"attributeStatus":"Accepted",NAMES}]}', True),
        (V201, '{"setVariableResult":[{"attributeStatus":"RebootRequired",NAMES}]}', True),
        (V201, '{"setVariableResult":[{"attributeStatus":"Rejected",NAMES}]}', False),
        (V201, '{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"UnknownVariable",NAMES}]}', False),
        (V201, '{"setVariableResult":7}', False),
    ],
)
def test_what_the_station_answers(version: OcppVersion, answer: str, accepted: bool) -> None:
    names = '"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}'
    assert password_accepted(version, Message(MessageType.CALLRESULT, "", answer.replace("NAMES", names))) is accepted
    assert not password_accepted(version, Message(MessageType.CALLERROR, "", '"InternalError","",{}'))


# --- refusals


def test_a_refusal_counts_twice_as_long_each_time_up_to_an_hour() -> None:
    refusals = RefusedUpgrades(b"key")
    now, waits = 0.0, []
    for _ in range(5):
        refusals.refused("CP001", OLD, 401, "no", now)
        refusal = refusals.remembered("CP001", OLD, now)
        assert refusal is not None
        waits.append(refusal.until - now)
        now = refusal.until
        assert refusals.remembered("CP001", OLD, now) is None
    assert waits == [REFUSAL_S_MIN, 2 * REFUSAL_S_MIN, 4 * REFUSAL_S_MIN, REFUSAL_S_MAX, REFUSAL_S_MAX]


def test_a_refusal_is_of_an_identity_and_its_credentials() -> None:
    refusals = RefusedUpgrades(b"key")
    refusals.refused("CP001", OLD, 401, "no", 0.0)
    for identity, authorization in (("CP001", NEW), ("CP001", None), ("CP002", OLD), ("CP00", "1" + OLD)):
        assert refusals.remembered(identity, authorization, 0.0) is None
    refusals.accepted("CP001", OLD)
    assert refusals.remembered("CP001", OLD, 0.0) is None


def test_refusals_are_bounded_and_hold_no_secret() -> None:
    refusals = RefusedUpgrades(b"key")
    for number in range(10 * REFUSALS_MAX):
        refusals.refused(f"CP{number}", OLD, 404, "no", 0.0)
    assert len(refusals._refusals) == REFUSALS_MAX
    assert OLD not in repr(refusals._refusals)
    assert RefusedUpgrades(b"other").tag("CP001", OLD) != refusals.tag("CP001", OLD)


def test_strangers_are_rationed() -> None:
    refusals = RefusedUpgrades(b"key")
    for number in range(BURST):
        assert refusals.may_ask(0.0)
        refusals.asked(0.0)
        refusals.refused(f"CP{number}", None, 404, "no", 0.0)
        refusals.asked(0.0)
        refusals.spared(0.0)
    assert not refusals.may_ask(REFILL_S - 1)
    assert refusals.may_ask(REFILL_S)


# --- plays of the edge


def replace_slot(attach: Attach, slot: int) -> Attach:
    return msgspec.structs.replace(attach, slot=slot)


def edge(known: dict[str, str] | None = None, *, serves: bool = False, grace_s: float = 0.0) -> Play:
    """An edge that keeps credentials, and whose link has just been greeted."""
    settings = replace(SETTINGS, keeps_credentials=True, serves_offline=serves, station_grace_s=grace_s)
    play = Play(EdgeMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.EDGE)
    play.play([("in", CredentialsOpened(known or {})), ("out", [OpenLink(1)]), ("in", LinkOpened(1)), ("out", [Link(1, hello())])])
    play.greeted(1)
    play.play([("far", Welcome("verbatim", [])), ("out", [])])
    return play


def arrived(socket: int, authorization: str | None = OLD, identity: str = "CP001", version: str = "ocpp1.6") -> StationArrived:
    return StationArrived(socket, identity, (version,), authorization)


def asked(attachment: int, authorization: str | None = OLD, epoch: int = 0, version: str = "ocpp1.6") -> Attach:
    return Attach(0, attachment, "CP001", [version], authorization, epoch)


def admitted(play: Play, socket: int = 7, attachment: int = 1, version: OcppVersion = V16) -> None:
    """The CSMS accepts the station with the old password."""
    play.play([("in", arrived(socket, version=version.subprotocol))])
    play.play([("out", [Link(1, asked(attachment, version=version.subprotocol))])])
    play.channel(0, version, EPOCH)
    kept = KeepCredentials("CP001", version.value, (OLD,))
    play.play([("far", Verdict(0, attachment, 101, version.value, EPOCH, "")), ("out", [kept, AdmitStation(socket, version.subprotocol)])])


def down(play: Play) -> None:
    play.play([("in", LinkClosed(1, "lost")), ("out", [])])


def up_again(play: Play, attachment: int, *, expect: list[object], known: bool = True) -> None:
    """The link comes up; the cloud knows the epoch, and no CSMS socket of this attachment."""
    play.play([("tick", 2.0), ("out", [OpenLink(2)]), ("in", LinkOpened(2))])
    station = KnownStation(0, "CP001", attachment, EPOCH if known else 0, known, 0, 0)
    play.play([("out", [Link(2, hello(station))])])
    play.greeted(2)
    play.play([("far", Welcome("verbatim", [StationWelcome(EPOCH, known, False, 0)])), ("out", expect)])


def test_what_the_csms_accepts_is_kept_once() -> None:
    play = edge()
    admitted(play)
    play.play(
        [
            ("in", StationGone(7, "left")),
            ("in", arrived(8)),
            ("out", [Link(1, Detach(0, 1)), Link(1, asked(2, epoch=EPOCH))]),
            ("far", Verdict(0, 2, 101, "1.6", EPOCH, "")),
            ("out", [AdmitStation(8, "ocpp1.6")]),
        ]
    )


def test_while_the_link_is_down_the_right_credentials_are_enough_and_the_csms_is_asked_later() -> None:
    play = edge()
    admitted(play)
    play.play([("in", StationGone(7, "left")), ("out", [Link(1, Detach(0, 1))])])
    down(play)
    play.play(
        [
            ("in", arrived(8)),
            ("out", [CheckCredentials(8, "CP001", OLD)]),
            ("in", CredentialsChecked(8, True)),
            ("out", [AdmitStation(8, "ocpp1.6")]),
        ]
    )
    up_again(play, 2, expect=[Link(2, asked(2, epoch=EPOCH))])
    play.play(
        [
            ("far", Verdict(0, 2, 101, "1.6", EPOCH, "")),
            ("out", []),
            ("in", StationText(8, '[2,"1","Authorize",{}]')),
            ("out", [Link(2, Carried(0, '2:"Authorize",{}'))]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", [SendStation(8, '[3,"1",{}]')]),
        ]
    )


def test_an_edge_that_has_just_begun_knows_the_stations_of_its_predecessor() -> None:
    play = edge({"CP001": "2.0.1"})
    down(play)
    play.play(
        [
            ("in", StationArrived(8, "CP001", ("ocpp1.6", "ocpp2.0.1"), OLD)),
            ("out", [CheckCredentials(8, "CP001", OLD)]),
            ("in", CredentialsChecked(8, True)),
            ("out", [AdmitStation(8, "ocpp2.0.1")]),
        ]
    )
    up_again(play, 1, expect=[Link(2, asked(1, version="ocpp2.0.1"))], known=False)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_by_the_csms_ends_the_socket_of_a_station_that_was_let_in(status: int) -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play([("in", arrived(8)), ("in", CredentialsChecked(8, True))])
    play.effects()
    up_again(play, 1, expect=[Link(2, asked(1))], known=False)
    play.play(
        [
            ("far", Verdict(0, 1, status, "", 0, "gone")),
            ("out", [ForgetCredentials("CP001", OLD), CloseStation(8, 1008, "the CSMS refused: gone"), Link(2, Detach(0, 1))]),
            ("in", StationGone(8, "closed")),
            ("in", arrived(9)),
            ("out", [RefuseStation(9, status, "gone")]),
        ]
    )


def test_other_credentials_get_nobody_in_while_the_link_is_down() -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play(
        [
            ("in", arrived(8, NEW)),
            ("out", [CheckCredentials(8, "CP001", NEW)]),
            ("in", CredentialsChecked(8, False)),
            ("out", [RefuseStation(8, 503, "the link is down")]),
            ("in", arrived(9, OLD, "CP002")),
            ("out", [RefuseStation(9, 503, "the link is down")]),
            ("in", arrived(10, version="ocpp2.0.1")),
            ("in", CredentialsChecked(10, True)),
            ("out", [CheckCredentials(10, "CP001", OLD), RefuseStation(10, 503, "the link is down")]),
        ]
    )


def test_other_credentials_do_not_cost_a_connected_station_its_socket_while_the_link_is_down() -> None:
    play = edge()
    admitted(play)
    down(play)
    play.play([("in", arrived(8, NEW)), ("in", CredentialsChecked(8, False))])
    play.play([("out", [CheckCredentials(8, "CP001", NEW), RefuseStation(8, 503, "the link is down")])])
    play.play([("in", arrived(9)), ("in", CredentialsChecked(9, True))])
    closed = CloseStation(7, 1001, "replaced by a newer connection of the same identity")
    play.play([("out", [CheckCredentials(9, "CP001", OLD), closed, AdmitStation(9, "ocpp1.6")])])


def test_a_csms_that_does_not_decide_in_time_leaves_it_to_the_edge() -> None:
    play = edge({"CP001": "1.6"})
    play.play(
        [
            ("in", arrived(7)),
            ("out", [Link(1, asked(1))]),
            ("tick", 8.0),
            ("out", [CheckCredentials(7, "CP001", OLD)]),
            ("in", CredentialsChecked(7, True)),
            ("out", [AdmitStation(7, "ocpp1.6")]),
        ]
    )
    play.channel(0, V16, EPOCH)
    play.play([("far", Verdict(0, 1, 101, "1.6", EPOCH, "")), ("out", [KeepCredentials("CP001", "1.6", (OLD,))])])
    play.play([("in", StationText(7, '[2,"1","Authorize",{}]')), ("out", [Link(1, Carried(0, '2:"Authorize",{}'))])])


def test_a_verdict_that_comes_while_credentials_are_compared_counts() -> None:
    play = edge({"CP001": "1.6"})
    play.play([("in", arrived(7)), ("tick", 8.0), ("far", Verdict(0, 1, 401, "", 0, "no")), ("in", CredentialsChecked(7, True))])
    refused = [ForgetCredentials("CP001", OLD), RefuseStation(7, 401, "no")]
    play.play([("out", [Link(1, asked(1)), CheckCredentials(7, "CP001", OLD), *refused])])


def test_a_link_lost_while_the_csms_decides_leaves_it_to_the_edge() -> None:
    play = edge({"CP001": "1.6"})
    play.play(
        [
            ("in", arrived(7)),
            ("in", LinkClosed(1, "lost")),
            ("out", [Link(1, asked(1)), CheckCredentials(7, "CP001", OLD)]),
            ("in", CredentialsChecked(7, True)),
            ("out", [AdmitStation(7, "ocpp1.6")]),
        ]
    )


@pytest.mark.parametrize("matches", [True, False])
def test_a_link_that_comes_up_while_credentials_are_compared_lets_the_csms_decide(matches: bool) -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play([("in", arrived(8)), ("out", [CheckCredentials(8, "CP001", OLD)])])
    play.play([("tick", 2.0), ("out", [OpenLink(2)]), ("in", LinkOpened(2)), ("out", [Link(2, hello())])])
    play.greeted(2)
    play.play([("far", Welcome("verbatim", [])), ("in", CredentialsChecked(8, matches)), ("out", [Link(2, asked(1))])])
    play.play([("far", Verdict(0, 1, 404, "", 0, "no")), ("out", [ForgetCredentials("CP001", OLD), RefuseStation(8, 404, "no")])])


def test_a_station_let_in_between_hello_and_welcome_is_asked_for() -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play([("tick", 2.0), ("out", [OpenLink(2)]), ("in", LinkOpened(2)), ("out", [Link(2, hello())])])
    play.greeted(2)
    play.play([("in", arrived(8)), ("in", CredentialsChecked(8, True))])
    play.play([("out", [CheckCredentials(8, "CP001", OLD), AdmitStation(8, "ocpp1.6")])])
    play.play([("far", Welcome("verbatim", [])), ("out", [Link(2, asked(1))])])


@pytest.mark.parametrize("serves", [False, True])
def test_after_the_grace_of_the_link_only_an_edge_that_serves_lets_stations_in(serves: bool) -> None:
    play = edge({"CP001": "1.6"}, serves=serves)
    down(play)
    play.play([("tick", 61.0)])
    play.effects()
    play.play([("in", arrived(8))])
    play.play([("out", [CheckCredentials(8, "CP001", OLD)] if serves else [RefuseStation(8, 503, "the link is down")])])


def test_a_stopping_edge_lets_nobody_in() -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play([("in", arrived(8)), ("in", Stop()), ("in", CredentialsChecked(8, True)), ("in", arrived(9))])
    refused = [RefuseStation(socket, 503, "the link is down") for socket in (8, 9)]
    assert [effect for effect in play.effects() if isinstance(effect, RefuseStation)] == refused


def test_a_station_that_leaves_while_its_credentials_are_compared() -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    play.play([("in", arrived(8)), ("in", StationGone(8, "left")), ("in", CredentialsChecked(8, True))])
    play.play([("out", [CheckCredentials(8, "CP001", OLD)])])


def test_comparisons_are_bounded() -> None:
    play = edge({"CP001": "1.6"})
    down(play)
    for socket in range(CHECKS_MAX + 1):
        play.play([("in", arrived(100 + socket))])
    *checks, last = play.effects()
    assert checks == [CheckCredentials(100 + socket, "CP001", OLD) for socket in range(CHECKS_MAX)]
    assert last == RefuseStation(100 + CHECKS_MAX, 503, "the link is down")


def test_a_refused_station_costs_the_link_one_question() -> None:
    play = edge()
    play.play([("in", arrived(7)), ("far", Verdict(0, 1, 401, "", 0, "no"))])
    play.play([("out", [Link(1, asked(1)), RefuseStation(7, 401, "no")])])
    for number in range(100):
        play.play([("tick", 5.9), ("in", arrived(100 + number)), ("out", [RefuseStation(100 + number, 401, "no")])])
    play.play([("in", arrived(8, NEW)), ("out", [Link(1, asked(2, NEW))]), ("tick", 10.1)])
    play.effects()
    play.play([("in", arrived(9)), ("out", [Link(1, asked(3))])])


@pytest.mark.parametrize("status", [500, 503])
def test_a_passing_trouble_of_the_csms_is_not_remembered(status: int) -> None:
    play = edge()
    play.play([("in", arrived(7)), ("far", Verdict(0, 1, status, "", 0, "no"))])
    play.play([("in", arrived(8)), ("out", [Link(1, asked(1)), RefuseStation(7, status, "no"), Link(1, asked(2))])])


def test_questions_that_are_lost_with_the_link_are_no_strangers() -> None:
    play = edge()
    for link in range(1, BURST + 2):
        play.play([("in", arrived(100 + link)), ("in", LinkClosed(link, "lost")), ("tick", 30.0), ("in", LinkOpened(link + 1))])
        assert RefuseStation(100 + link, 503, "the link is down") in play.effects()
        play.greeted(link + 1)
        play.play([("far", Welcome("verbatim", []))])
    play.play([("in", arrived(7)), ("out", [Link(BURST + 2, asked(BURST + 2))])])


def test_invented_identities_come_to_an_end_and_known_stations_still_get_in() -> None:
    play = edge({"CP001": "1.6"})
    machine = play.machine
    assert isinstance(machine, EdgeMachine)
    for number in range(BURST):
        play.play([("in", arrived(100 + number, None, f"X{number}"))])
        play.play([("far", Verdict(machine._stations[f"X{number}"].slot, number + 1, 404, "", 0, "no"))])
    play.effects()
    many = "the CSMS has refused too many stations lately"
    play.play([("in", arrived(7, None, "Y")), ("out", [RefuseStation(7, 503, many)])])
    play.play([("in", arrived(8, NEW)), ("in", CredentialsChecked(8, False))])
    play.play([("out", [CheckCredentials(8, "CP001", NEW), RefuseStation(8, 503, many)])])
    play.play([("in", arrived(9)), ("in", CredentialsChecked(9, True))])
    slot = machine._stations["CP001"].slot
    play.play([("out", [CheckCredentials(9, "CP001", OLD), Link(1, replace_slot(asked(BURST + 1), slot))])])


def change(play: Play, answer: str | None) -> None:
    """The CSMS changes the station's password to the new one; the station answers, or its answer is lost."""
    body = '"ChangeConfiguration",{"key":"AuthorizationKey","value":"new-password-0002"}'
    play.play([("far", Carried(0, f"2:{body}"))])
    sent = play.effects()
    assert sent[0] == KeepCredentials("CP001", "1.6", (OLD, NEW)), "before the station can come with it"
    assert isinstance(sent[1], SendStation)
    message_id = json.loads(sent[1].text)[1]
    if answer is not None:
        play.play([("in", StationText(7, f'[3,"{message_id}",{{"status":"{answer}"}}]'))])


def test_an_accepted_password_counts_beside_the_old_one() -> None:
    play = edge()
    admitted(play)
    change(play, "Accepted")
    said = Carried(0, '3:{"status":"Accepted"}', call=0)
    play.play([("out", [KeepCredentials("CP001", "1.6", (NEW, OLD)), Link(1, said)])])


def test_a_rejected_password_does_not_count() -> None:
    play = edge()
    admitted(play)
    change(play, "Rejected")
    said = Carried(0, '3:{"status":"Rejected"}', call=0)
    play.play([("out", [KeepCredentials("CP001", "1.6", (OLD,)), Link(1, said)])])


@pytest.mark.parametrize(("answer", "first", "second"), [("Accepted", NEW, OLD), (None, OLD, NEW)])
def test_a_restarted_cloud_is_given_one_password_after_the_other(answer: str | None, first: str, second: str) -> None:
    play = edge()
    admitted(play)
    change(play, answer)
    down_after = LinkClosed(1, "the cloud died")
    play.play([("in", down_after), ("tick", 2.0), ("in", LinkOpened(2))])
    play.effects()
    play.greeted(2)
    play.play([("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])), ("out", [Link(2, asked(1, first))])])
    play.play([("far", Verdict(0, 1, 401, "", 0, "no")), ("out", [Link(2, asked(1, second))])])
    play.channel(0, V16, EPOCH + 1)
    play.play([("far", Verdict(0, 1, 101, "1.6", EPOCH + 1, "")), ("out", [KeepCredentials("CP001", "1.6", (second,))])])


def test_a_station_that_came_back_with_another_password_is_the_csms_s_to_decide_about() -> None:
    play = edge(grace_s=20.0)
    admitted(play)
    play.play([("in", StationGone(7, "left")), ("in", arrived(8, NEW))])
    play.play([("out", [Link(1, Detach(0, 1), asked(2, NEW, EPOCH))])])


def test_a_password_that_has_been_replaced_does_not_come_back() -> None:
    play = edge(grace_s=20.0)
    admitted(play)
    change(play, "Accepted")
    play.play([("in", LinkClosed(1, "the cloud died")), ("tick", 2.0), ("in", LinkOpened(2))])
    play.effects()
    play.greeted(2)
    play.play([("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])), ("out", [Link(2, asked(1, NEW))])])
    play.channel(0, V16, EPOCH + 1)
    play.play([("far", Verdict(0, 1, 101, "1.6", EPOCH + 1, "")), ("in", StationGone(7, "left")), ("in", arrived(8))])
    play.play([("out", [KeepCredentials("CP001", "1.6", (NEW,)), Link(2, Detach(0, 1), asked(2, OLD, EPOCH + 1))])])


def test_a_station_that_flaps_costs_the_link_nothing() -> None:
    play = edge(grace_s=20.0)
    admitted(play)
    for socket in range(8, 108):
        play.play([("in", StationGone(socket - 1, "flaps")), ("tick", 19.0), ("in", arrived(socket))])
        play.play([("out", [AdmitStation(socket, "ocpp1.6")])])
