"""Plays of the cloud's machine with transfers and routes around the gateway."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, time
from typing import Any

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.cloud import CloudMachine, CloudSettings
from ocppress_gateway.core.events import (
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    KeepReport,
    Level,
    LinkOpened,
    OpenCsms,
    SendCsms,
    SizeTransfer,
    TransferSized,
)
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX, WAITING_TEXT_MAX
from ocppress_gateway.core.parts import PROTOCOL_VERSION, Attach, DayReport, Hello, Verdict, Welcome
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import DiskHealth, Report, write_report
from ocppress_gateway.core.transfer_guard import ROUTE_TAKEN, SIZE_WAIT_S, SIZES_AWAITED_MAX
from ocppress_gateway.core.transfer_rules import NO_RULES, TransferRules, Window
from tests.support.playbook import Carried, Link, Play

V16, V201, V21 = OcppVersion
SECRET = "Pw-0z7-planted"
URL = f"https://user:{SECRET}@firmware.example.com/fw.bin?sig={SECRET}"
SHOWN = "https://***@firmware.example.com/fw.bin?***"
FIRMWARE = f'{{"requestId":1,"firmware":{{"location":"{URL}","retrieveDateTime":"2026-03-01T08:00:00Z"}}}}'
UPDATE = f'"UpdateFirmware",{FIRMWARE}'
NOON_S = 1_772_366_400.0  # 2026-03-01T12:00:00Z
ASKED, REFUSED = "the CSMS asks for a transfer that goes around the gateway", "a transfer around the gateway is refused"
DAY = write_report(
    Report(
        day=date(2026, 2, 28),
        ours_bytes=1,
        others_bytes=None,
        month_bytes=21_250_000,
        budget_kb=25_000,
        projection_kb=None,
        plan=PlanName.AUTO,
        step=PlanName.LIVE,
        outbox_messages=0,
        clock_offset_s=0,
        disk=DiskHealth.GOOD,
        version="0.1.0",
    )
)


SETTINGS = CloudSettings(
    edges={"edge": frozenset({"*"})},
    linger_s=0.0,
    command_timeout_s=30.0,
    call_timeout_s=30.0,
    link_grace_s=60.0,
    retry_wait_min_s=2.0,
    retry_random_s=0.0,
    retry_repeat_times=2,
)
EPOCH = 0x01010101


class Cloud(Play):
    """A cloud with a station whose CSMS socket is open."""

    def __init__(self, rules: TransferRules = NO_RULES, version: OcppVersion = V201, command_timeout_s: float = 30.0) -> None:
        epochs = iter(range(1, 100))
        settings = replace(SETTINGS, transfers=rules, command_timeout_s=command_timeout_s)
        machine = CloudMachine(
            settings, random=lambda: 0.5, random_bytes=lambda count: bytes([next(epochs)]) * count, wall_s=lambda: NOON_S + self.now
        )
        super().__init__(machine, Side.CLOUD)
        self.cloud = machine
        name = version.subprotocol
        self.play([("in", LinkOpened(1)), ("out", [])])
        self.greeted(1)
        hello = Hello(PROTOCOL_VERSION, "edge", [("verbatim", fingerprint(CodecName.VERBATIM))], [])
        self.play([("far", hello), ("out", [Link(1, Welcome("verbatim", []))])])
        self.play([("far", Attach(0, 1, "CP001", [name], None, 0)), ("out", [OpenCsms(1, "CP001", (name,))])])
        self.channel(0, version, EPOCH)
        self.play([("in", CsmsOpened(1, name)), ("out", [Link(1, Verdict(0, 1, 101, version.value, EPOCH, ""))])])

    def said(self, words: str) -> list[dict[str, Any]]:
        return [note.fields for note in self.notes if note.words == words]

    def asks(self, message_id: str, body: str, *out: object) -> None:
        self.play([("in", CsmsText(1, f'[2,"{message_id}",{body}]')), ("out", list(out))])


def _answer(message_id: str, text: str) -> SendCsms:
    return SendCsms(1, f'[3,"{message_id}",{text}]')


def _rejected(message_id: str, code: str, info: str) -> SendCsms:
    return _answer(message_id, f'{{"status":"Rejected","statusInfo":{{"reasonCode":"{code}","additionalInfo":"{info}"}}}}')


def _carried(*bodies: str) -> Link:
    return Link(1, Carried(0, *(f"2:{body}" for body in bodies)))


def test_a_transfer_goes_on_at_once_and_its_size_is_told_when_it_is_known() -> None:
    cloud = Cloud()
    cloud.asks("u", UPDATE, SizeTransfer("CP001", 1, URL), _carried(UPDATE))
    shown = {"station": "CP001", "action": "UpdateFirmware", "way": "down", "url": SHOWN}
    assert cloud.said(ASKED) == [shown]
    cloud.play([("in", TransferSized("CP001", 1, 31_400_000)), ("out", [])])
    assert cloud.said("size of a transfer around the gateway") == [{**shown, "mb": 31.4}]
    assert {note.level for note in cloud.notes if "transfer" in note.words} == {Level.WARNING}
    assert SECRET not in str([note.fields for note in cloud.notes])
    cloud.play([("in", TransferSized("CP001", 1, 31_400_000)), ("in", TransferSized("CP9", 7, None)), ("out", [])])
    assert len(cloud.said("size of a transfer around the gateway")) == 1


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (V16, f'"GetDiagnostics",{{"location":"{URL}"}}'),
        (V16, '"UpdateFirmware",{"location":"ftp://h/f","retrieveDate":"2026-03-01T08:00:00Z"}'),
        (V21, f'"GetLog",{{"log":{{"remoteLocation":"{URL}"}},"logType":"SecurityLog","requestId":1}}'),
    ],
)
def test_nobody_is_asked_for_the_size_of_what_is_sent_or_not_on_http(version: OcppVersion, body: str) -> None:
    cloud = Cloud(TransferRules(bytes_max=10), version)
    cloud.asks("u", body, _carried(body))
    assert len(cloud.said(ASKED)) == 1


def test_outside_the_window_the_csms_is_told_when_it_is() -> None:
    cloud = Cloud(TransferRules(window=Window(time(1), time(5), UTC)))
    why = "the gateway lets transfers over the SIM card through from 01:00 to 05:00 (UTC), next at 2026-03-02T01:00:00+00:00"
    cloud.asks("u", UPDATE, _rejected("u", "OutsideWindow", why))
    assert cloud.said(REFUSED) == [{"station": "CP001", "action": "UpdateFirmware", "way": "down", "url": SHOWN, "why": why}]
    later = UPDATE.replace("2026-03-01T08:00:00Z", "2026-03-02T02:00:00Z")
    cloud.asks("v", later, SizeTransfer("CP001", 1, URL), _carried(later))
    cloud.play([("tick", 13.5 * 3600), ("out", [])])
    cloud.asks("w", UPDATE, SizeTransfer("CP001", 2, URL), _carried(UPDATE))
    counters = cloud.cloud.view(cloud.now).counters
    assert (counters.transfers, counters.transfers_refused) == (3, 1)


def test_in_1_6_a_refusal_is_an_error_where_an_answer_has_no_status() -> None:
    cloud = Cloud(TransferRules(bytes_max=0), V16)
    text = "the gateway lets no transfers through, they go over a SIM card"
    cloud.asks("u", f'"GetDiagnostics",{{"location":"{URL}"}}', SendCsms(1, f'[4,"u","GenericError","{text}",{{}}]'))
    log = f'"GetLog",{{"log":{{"remoteLocation":"{URL}"}},"logType":"SecurityLog","requestId":1}}'
    cloud.asks("l", log, _answer("l", '{"status":"Rejected"}'))


def test_a_budget_that_an_edge_has_reported_used() -> None:
    cloud = Cloud(TransferRules(percent_max=80))
    cloud.asks("u", UPDATE, SizeTransfer("CP001", 1, URL), _carried(UPDATE))
    cloud.play([("far", DayReport(DAY)), ("out", [KeepReport("edge", DAY)])])
    text = "85 % of the SIM card's month are used, from 80 % on the gateway lets no transfers through"
    cloud.asks("v", UPDATE, _rejected("v", "OverBudget", text))


# --- waiting for a size


def _waiting(version: OcppVersion = V201) -> Cloud:
    cloud = Cloud(TransferRules(bytes_max=20_000_000), version)
    cloud.asks("u", UPDATE, SizeTransfer("CP001", 1, URL))
    return cloud


def test_a_small_file_goes_on_and_a_large_one_is_refused() -> None:
    cloud = _waiting()
    cloud.play([("in", TransferSized("CP001", 1, 20_000_000)), ("out", [_carried(UPDATE)])])
    assert cloud.said(ASKED)[0]["mb"] == 20.0
    cloud = _waiting()
    text = "20000001 bytes; the gateway lets 20000000 through over the SIM card"
    cloud.play([("in", TransferSized("CP001", 1, 20_000_001)), ("out", [_rejected("u", "TooLarge", text)])])
    assert cloud.said(REFUSED)[0]["mb"] == 20.0


def test_what_cannot_be_sized_passes_and_says_so() -> None:
    cloud = _waiting()
    cloud.play([("in", TransferSized("CP001", 1, None, "its server doesn't say")), ("out", [_carried(UPDATE)])])
    assert (cloud.said(ASKED)[0]["size"], cloud.said(ASKED)[0]["reason"]) == ("unknown", "its server doesn't say")


def test_a_size_that_never_comes_is_waited_for_in_vain_but_not_for_long() -> None:
    cloud = _waiting()
    cloud.play([("tick", SIZE_WAIT_S - 0.1), ("out", []), ("tick", 0.2), ("out", [_carried(UPDATE)])])
    cloud.play([("in", TransferSized("CP001", 1, 90_000_000)), ("out", [])])


def test_a_call_waits_no_longer_than_half_of_its_time() -> None:
    cloud = Cloud(TransferRules(bytes_max=20_000_000), command_timeout_s=8.0)
    cloud.asks("u", UPDATE, SizeTransfer("CP001", 1, URL))
    cloud.play([("tick", 3.9), ("out", []), ("tick", 0.2), ("out", [_carried(UPDATE)])])


def test_what_the_csms_says_meanwhile_keeps_its_order() -> None:
    cloud = _waiting()
    reset, second = '"Reset",{"type":"OnIdle"}', UPDATE.replace('"requestId":1', '"requestId":2')
    for message_id, body in ("a", reset), ("b", second), ("c", '"GetBaseReport",{}'):
        cloud.asks(message_id, body)
    cloud.play(
        [
            ("far", Carried(0, '2:"Heartbeat",{}')),
            ("out", [SendCsms(1, '[2,"020202020202-1","Heartbeat",{}]')]),
            ("in", TransferSized("CP001", 1, 10)),
            ("out", [SizeTransfer("CP001", 2, URL), _carried(UPDATE, reset)]),
        ]
    )
    text = "30000000 bytes; the gateway lets 20000000 through over the SIM card"
    cloud.play(
        [
            ("in", TransferSized("CP001", 2, 30_000_000)),
            ("out", [_rejected("b", "TooLarge", text), _carried('"GetBaseReport",{}')]),
        ]
    )
    cloud.asks("d", reset, _carried(reset))


def test_a_csms_that_says_much_meanwhile_ends_the_wait() -> None:
    cloud = _waiting()
    large = '"DataTransfer",{"data":"' + "x" * (MESSAGE_TEXT_BYTES_MAX - 100) + '"}'
    for number in range(1 + WAITING_TEXT_MAX // MESSAGE_TEXT_BYTES_MAX):
        assert cloud.said(ASKED) == []
        cloud.play([("in", CsmsText(1, f'[2,"{number}",{large}]'))])
    assert cloud.said(ASKED)[0]["reason"] == "too much waits behind it"


def test_a_repeat_of_what_waits_is_still_one() -> None:
    cloud = _waiting()
    cloud.asks("u", UPDATE)
    cloud.play([("in", TransferSized("CP001", 1, 10)), ("out", [_carried(UPDATE)])])


def test_a_csms_that_has_gone_has_given_up_what_waits() -> None:
    cloud = _waiting()
    cloud.asks("a", '"Reset",{"type":"OnIdle"}')
    cloud.play([("in", CsmsClosed(1, "lost")), ("in", TransferSized("CP001", 1, 10)), ("out", [])])
    assert cloud.said(ASKED) == []


def test_sizes_to_be_told_are_few() -> None:
    cloud = Cloud()
    for number in range(1, SIZES_AWAITED_MAX + 3):
        cloud.asks(str(number), UPDATE, SizeTransfer("CP001", number, URL), _carried(UPDATE))
    for number in range(1, SIZES_AWAITED_MAX + 3):
        cloud.play([("in", TransferSized("CP001", number, 10)), ("out", [])])
    assert len(cloud.said("size of a transfer around the gateway")) == SIZES_AWAITED_MAX


@pytest.mark.parametrize("payload", ["{}", '{"firmware":{"location":7}}', '{"firmware":7}'])
def test_what_has_no_shape_is_the_stations_to_refuse(payload: str) -> None:
    cloud = Cloud(TransferRules(bytes_max=0))
    cloud.asks("u", f'"UpdateFirmware",{payload}', _carried(f'"UpdateFirmware",{payload}'))


# --- routes

GIVES, TAKEN = (
    "the CSMS gives a station an address that may lead around the gateway",
    ROUTE_TAKEN,
)
PRIORITY = '"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"NetworkConfigurationPriority"}'


@pytest.mark.parametrize(
    ("version", "body", "accepting", "refusing"),
    [
        (
            V201,
            f'"SetNetworkProfile",{{"configurationSlot":1,"connectionData":{{"ocppCsmsUrl":"wss://u:{SECRET}@csms.example.com/"}}}}',
            '{"status":"Accepted"}',
            '{"status":"Failed"}',
        ),
        (
            V16,
            f'"ChangeConfiguration",{{"key":"BackendURL","value":"wss://u:{SECRET}@csms.example.com/"}}',
            '{"status":"RebootRequired"}',
            '{"status":"Rejected"}',
        ),
        (
            V21,
            f'"SetVariables",{{"setVariableData":[{{"attributeValue":"2",{PRIORITY}}}]}}',
            f'{{"setVariableResult":[{{"attributeStatus":"Accepted",{PRIORITY}}}]}}',
            '{"setVariableResult":[]}',
        ),
    ],
)
@pytest.mark.parametrize("accepts", [True, False])
def test_a_route_around_the_gateway_is_an_alarm(version: OcppVersion, body: str, accepting: str, refusing: str, accepts: bool) -> None:
    cloud = Cloud(version=version)
    answer = accepting if accepts else refusing
    cloud.asks("r", body, _carried(body))
    cloud.play([("far", Carried(0, f"3:{answer}", call=0)), ("out", [_answer("r", answer)])])
    assert [note.level for note in cloud.notes if note.words == GIVES] == [Level.WARNING]
    assert [note.level for note in cloud.notes if note.words == TAKEN] == ([Level.ERROR] if accepts else [])
    assert cloud.said(GIVES)[0]["url"] in ("wss://***@csms.example.com/", "")
    assert SECRET not in json.dumps([note.fields for note in cloud.notes])
    assert cloud.cloud.view(cloud.now).counters.routes_taken == accepts
