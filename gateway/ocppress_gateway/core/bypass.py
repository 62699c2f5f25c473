"""What a CSMS asks of a station that goes around the gateway: transfers of files, and other addresses to connect to. Pure, on the texts of messages.

    message of the CSMS                  URL in                          way    begins at                      rules
    UpdateFirmware            1.6        location                        down   retrieveDate                   1.6 4.5
                              2.x        firmware.location               down   firmware.retrieveDateTime      L01, L02
    SignedUpdateFirmware      1.6 *      firmware.location               down   firmware.retrieveDateTime
    PublishFirmware           2.x        location                        down   at once                        L03
    GetDiagnostics            1.6        location                        up     at once                        1.6 4.4
    GetLog                    1.6 * 2.x  log.remoteLocation              up     at once                        N01
    SetNetworkProfile         2.x        connectionData.ocppCsmsUrl                                            B09
    ChangeConfiguration       1.6        value, if it is ws:// or wss://
    SetVariables              2.x        attributeValue, likewise; and NetworkConfigurationPriority, which chooses a profile (B10)

    * of the security whitepaper

What has another shape than these is for the station to refuse, and is nothing here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ocppress_codecs.rpc import Message, MessageType, payload_text
from ocppress_gateway.core.ledger_events import Way

__all__ = [
    "CONCERNED",
    "STATUSES",
    "TRANSFERS",
    "Phase",
    "Route",
    "Transfer",
    "phase_of",
    "routes_of",
    "routes_taken",
    "transfer_accepted",
    "transfer_of",
]

TRANSFERS: Final = {
    "UpdateFirmware": Way.DOWN,
    "SignedUpdateFirmware": Way.DOWN,
    "PublishFirmware": Way.DOWN,
    "GetDiagnostics": Way.UP,
    "GetLog": Way.UP,
}
"""Actions that have a station transfer a file, and which way."""

CONCERNED: Final = frozenset({*TRANSFERS, "SetNetworkProfile", "ChangeConfiguration", "SetVariables"})
"""Actions that need a look."""

STATUSES: Final = {
    "FirmwareStatusNotification": Way.DOWN,
    "SignedFirmwareStatusNotification": Way.DOWN,
    "PublishFirmwareStatusNotification": Way.DOWN,
    "DiagnosticsStatusNotification": Way.UP,
    "LogStatusNotification": Way.UP,
}
"""Actions by which a station tells how far a transfer is."""

_UNDER_WAY: Final = frozenset({"Downloading", "Uploading"})
_NO_NEWS: Final = frozenset({"DownloadScheduled", "DownloadPaused", "AcceptedCanceled"})
"""Statuses after which a transfer is still to come, or to go on; AcceptedCanceled: another has taken its place (N01.FR.20)."""

_PRIORITY: Final = "networkconfigurationpriority"
_TAKEN: Final = frozenset({"Accepted", "RebootRequired"})


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that a station is to fetch or to send."""

    action: str
    way: Way
    url: str = field(repr=False)
    """As the CSMS has it: it may hold a password."""
    begins_at_s: float | None = None
    """Unix seconds; None for at once."""


@dataclass(frozen=True, slots=True)
class Route:
    """An address, or a choice of addresses, under which a station is to find its CSMS. `name`: of the setting."""

    name: str
    url: str = field(repr=False)
    """"" where a setting chooses among addresses that the station knows already."""


class Phase(enum.Enum):
    """What a station's status says of its transfer."""

    UNDER_WAY = enum.auto()
    OVER = enum.auto()


class _Firmware(msgspec.Struct, rename="camel"):
    location: str
    retrieve_date_time: Any = None


class _Log(msgspec.Struct, rename="camel"):
    remote_location: str


class _Asked(msgspec.Struct, rename="camel"):
    location: str = ""
    retrieve_date: Any = None
    firmware: _Firmware | None = None
    log: _Log | None = None


class _ConnectionData(msgspec.Struct, rename="camel"):
    ocpp_csms_url: str


class _SetNetworkProfile(msgspec.Struct, rename="camel"):
    connection_data: _ConnectionData


class _ChangeConfiguration(msgspec.Struct):
    key: str
    value: str


class _Variable(msgspec.Struct):
    name: str


class _Setting(msgspec.Struct, rename="camel"):
    variable: _Variable
    attribute_value: str = ""
    attribute_status: str = ""
    """In the answer."""


class _SetVariables(msgspec.Struct, rename="camel"):
    set_variable_data: list[_Setting]


class _SetVariablesAnswer(msgspec.Struct, rename="camel"):
    set_variable_result: list[_Setting]


class _Status(msgspec.Struct):
    status: str


class _TransferAnswer(msgspec.Struct, rename="camel"):
    status: str = ""
    file_name: str = ""
    """Of 1.6, GetDiagnostics."""


def transfer_of(message: Message) -> Transfer | None:
    """The transfer that a CSMS's CALL asks for; None if it asks for none."""
    way = TRANSFERS.get(message.action)
    if way is None or message.type is not MessageType.CALL:
        return None
    try:
        asked = msgspec.json.decode(payload_text(message), type=_Asked)
    except (ValueError, RecursionError):
        return None
    url, begins = asked.location, asked.retrieve_date
    if message.action == "GetLog":
        url = "" if asked.log is None else asked.log.remote_location
    elif asked.firmware is not None:
        url, begins = asked.firmware.location, asked.firmware.retrieve_date_time
    return Transfer(message.action, way, url, _unix_s(begins)) if url else None


def transfer_accepted(action: str, answer: Message) -> bool:
    """Whether a station's answer to such a CALL says that it will transfer the file; where there is no status, it says so by being a result,
    and to GetDiagnostics by naming a file."""
    if answer.type is not MessageType.CALLRESULT:
        return False
    try:
        said = msgspec.json.decode(answer.body, type=_TransferAnswer)
    except (ValueError, RecursionError):
        return False
    return bool(said.file_name) if action == "GetDiagnostics" else said.status in ("", "Accepted", "AcceptedCanceled")


def routes_of(message: Message) -> tuple[Route, ...]:
    """The addresses that a CSMS's CALL gives a station to connect to."""
    if message.type is not MessageType.CALL:
        return ()
    try:
        match message.action:
            case "SetNetworkProfile":
                profile = msgspec.json.decode(payload_text(message), type=_SetNetworkProfile).connection_data
                return (Route("ocppCsmsUrl", profile.ocpp_csms_url),)
            case "ChangeConfiguration":
                change = msgspec.json.decode(payload_text(message), type=_ChangeConfiguration)
                return (Route(change.key, change.value),) if _is_address(change.value) else ()
            case "SetVariables":
                settings = msgspec.json.decode(payload_text(message), type=_SetVariables).set_variable_data
                return tuple(route for setting in settings if (route := _route_of(setting)) is not None)
    except (ValueError, RecursionError):
        pass  # for the station to refuse
    return ()


def routes_taken(routes: tuple[Route, ...], answer: Message) -> tuple[Route, ...]:
    """Which of the routes of a CALL the station uses now, or after its next start, by its answer."""
    if answer.type is not MessageType.CALLRESULT:
        return ()
    try:
        return routes if msgspec.json.decode(answer.body, type=_Status).status in _TAKEN else ()
    except (ValueError, RecursionError):
        pass  # one status for each variable
    try:
        results = msgspec.json.decode(answer.body, type=_SetVariablesAnswer).set_variable_result
    except (ValueError, RecursionError):
        return ()
    # Names are case-insensitive (2.x Part 2, CiString).
    taken = {result.variable.name.casefold() for result in results if result.attribute_status in _TAKEN}
    return tuple(route for route in routes if route.name.casefold() in taken)


def phase_of(message: Message) -> Phase | None:
    """What a station's message says of its transfer; None for nothing."""
    if message.action not in STATUSES:
        return None
    try:
        status = msgspec.json.decode(payload_text(message), type=_Status).status
    except (ValueError, RecursionError):
        return None
    if status in _UNDER_WAY:
        return Phase.UNDER_WAY
    return None if status in _NO_NEWS else Phase.OVER


def _route_of(setting: _Setting) -> Route | None:
    if _is_address(setting.attribute_value):
        return Route(setting.variable.name, setting.attribute_value)
    return Route(setting.variable.name, "") if setting.variable.name.casefold() == _PRIORITY else None


def _is_address(value: str) -> bool:
    return value.lstrip()[:6].casefold().startswith(("ws://", "wss://"))


def _unix_s(moment: object) -> float | None:
    """Of an RFC 3339 time; None for what is none."""
    if not isinstance(moment, str):
        return None
    try:
        read = datetime.fromisoformat(moment)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
