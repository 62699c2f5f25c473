"""Plays of the edge's machine: when it tells the ledger that a station transfers a file around the gateway."""

from __future__ import annotations

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.events import AdmitStation, LinkOpened, OpenLink, SendStation, StationArrived, StationText
from ocppress_gateway.core.ledger_events import TransferBegan, TransferEnded, Way
from ocppress_gateway.core.parts import Verdict, Welcome
from tests.support.playbook import Carried, Play

V16, V201, V21 = OcppVersion
SETTINGS = EdgeSettings(
    edge="edge",
    codec=CodecName.VERBATIM,
    linger_s=0.0,
    station_timeout_s=60.0,
    command_timeout_s=30.0,
    upgrade_wait_s=8.0,
    link_grace_s=60.0,
    reconnect_min_s=1.0,
    reconnect_max_s=20.0,
)
NOON_S = 1_772_366_400.0
NOON, ONE = "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"
URL = "https://firmware.example.com/fw.bin"


class Edge(Play):
    """An edge with a station. Its own clock is a day behind."""

    def __init__(self, version: OcppVersion) -> None:
        machine = EdgeMachine(
            SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes(count), wall_s=lambda: NOON_S - 86_400 + self.now
        )
        super().__init__(machine, Side.EDGE)
        self.calls = 0
        name = version.subprotocol
        self.play([("tick", 0.0), ("out", [OpenLink(1)]), ("in", LinkOpened(1))])
        assert len(self.effects()) == 1
        self.greeted(1)
        self.play([("far", Welcome("verbatim", [])), ("in", StationArrived(7, "CP001", (name,)))])
        self.channel(0, version, 5)
        self.play([("far", Verdict(0, 1, 101, version.value, 5, ""))])
        assert AdmitStation(7, name) in self.effects()

    def told(self) -> list[TransferBegan | TransferEnded]:
        """What the ledger is told by what has happened since."""
        return [effect for effect in self.effects() if isinstance(effect, TransferBegan | TransferEnded)]

    def asks(self, body: str, answer: str) -> None:
        """The CSMS asks, and the station answers."""
        self.effects()
        self.play([("far", Carried(0, f"2:{body}"))])
        (sent,) = self.effects()
        assert isinstance(sent, SendStation)
        message_id = sent.text.split('"')[1]
        self.play([("in", StationText(7, answer.replace("ID", message_id)))])

    def says(self, body: str, answer: str = "") -> None:
        """The station says something, which the CSMS may answer."""
        self.calls += 1
        self.play([("in", StationText(7, f'[2,"{self.calls}",{body}]'))])
        if answer:
            self.play([("far", Carried(0, f"3:{answer}", call=self.calls - 1))])


def _update(moment: str, version: OcppVersion = V16) -> str:
    if version is V16:
        return f'"UpdateFirmware",{{"location":"{URL}","retrieveDate":"{moment}"}}'
    return f'"UpdateFirmware",{{"requestId":1,"firmware":{{"location":"{URL}","retrieveDateTime":"{moment}"}}}}'


def _status(status: str, action: str = "FirmwareStatusNotification") -> str:
    return f'"{action}",{{"status":"{status}"}}'


BEGAN = TransferBegan("CP001", Way.DOWN, "UpdateFirmware")
ENDED = TransferEnded("CP001", Way.DOWN)


def test_from_the_stations_consent_to_its_last_word() -> None:
    edge = Edge(V16)
    edge.asks(_update("2020-01-01T00:00:00Z"), '[3,"ID",{}]')
    assert edge.told() == [BEGAN]
    for status, told in (("Downloading", []), ("Downloaded", [ENDED]), ("Installing", []), ("Installed", [])):
        edge.says(_status(status))
        assert edge.told() == told


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (_update(NOON), '[4,"ID","InternalError","",{}]'),
        (_update(NOON, V201), '[3,"ID",{"status":"Rejected"}]'),
        (f'"GetLog",{{"log":{{"remoteLocation":"{URL}"}},"logType":"SecurityLog","requestId":1}}', '[3,"ID",{"status":"Rejected"}]'),
        ('"UpdateFirmware",{}', '[3,"ID",{}]'),
        ('"Reset",{"type":"Soft"}', '[3,"ID",{"status":"Accepted"}]'),
    ],
)
def test_what_a_station_does_not_do_is_not_watched(body: str, answer: str) -> None:
    edge = Edge(V201)
    edge.asks(body, answer)
    edge.says(_status("Idle"))
    assert edge.told() == []


def test_later_is_by_the_clock_of_the_csms() -> None:
    edge = Edge(V201)
    edge.says('"BootNotification",{}', f'{{"status":"Accepted","interval":300,"currentTime":"{NOON}"}}')
    edge.asks(_update(ONE, V201), '[3,"ID",{"status":"Accepted"}]')
    assert edge.told() == [TransferBegan("CP001", Way.DOWN, "UpdateFirmware", 3600.0)]
    edge.says(_status("DownloadScheduled"))
    edge.says(_status("Installed"))  # the one before
    assert edge.told() == []
    edge.play([("tick", 3601.0)])
    edge.effects()
    edge.says(_status("Downloading"))
    edge.says(_status("DownloadFailed"))
    assert edge.told() == [ENDED]


def test_a_station_that_begins_early_or_by_itself() -> None:
    edge = Edge(V201)
    edge.asks(_update("2030-01-01T00:00:00Z", V201), '[3,"ID",{"status":"Accepted"}]')
    assert len(edge.told()) == 1
    edge.says(_status("Downloading"))
    edge.says(_status("Downloading"))
    assert edge.told() == [TransferBegan("CP001", Way.DOWN, "FirmwareStatusNotification")]
    edge.says(_status("Downloaded"))
    edge.says(_status("Uploading", "LogStatusNotification"))
    edge.says(_status("AcceptedCanceled", "LogStatusNotification"))
    edge.says(_status("Uploaded", "LogStatusNotification"))
    up = TransferBegan("CP001", Way.UP, "LogStatusNotification"), TransferEnded("CP001", Way.UP)
    assert edge.told() == [ENDED, *up]
