"""What a station proves itself with to its CSMS: the Authorization header it came with, and those that a change of its password makes of it.

    SetVariables(BasicAuthPassword), ChangeConfiguration(AuthorizationKey)
        put to the station ──► old, new          its answer may be lost
           ├──► accepted     ──► new, old        A01.FR.02, FR.03: the CSMS has dropped the old one, or is about to
           ├──► rejected     ──► old             A01.FR.04
           └──► a CSMS socket opened with one of them ──► that one

Both ends of the link follow it by themselves, each from the CALL and the answer that pass through it; nothing crosses the link for it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import Final

import msgspec

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, payload_text

__all__ = ["CANDIDATES_MAX", "Authorization", "Credentials", "password_accepted", "password_headers"]

Authorization = str | None
"""An Authorization header's value, None for a station that sends none."""

CANDIDATES_MAX: Final = 5
"""Headers that are tried for one station: the one it came with, and both readings of two changes that nobody has heard the end of."""

PASSWORD_BYTES_MAX: Final = 512
"""Of a new password: OCPP has 20 bytes (1.6) and 64 characters (2.x); a longer one is no password, and its station is asked for anew."""

USER_BYTES_MAX: Final = 256
"""Of the user's name, an identity of 48 characters: with the password it makes a header that the link takes."""

_BASIC: Final = "basic"


class _Named(msgspec.Struct):
    name: str = ""


class _Setting(msgspec.Struct, rename="camel"):
    attribute_value: str = ""
    attribute_type: str = "Actual"
    component: _Named = msgspec.field(default_factory=_Named)
    variable: _Named = msgspec.field(default_factory=_Named)


class _SetVariables(msgspec.Struct, rename="camel"):
    set_variable_data: list[_Setting] = []


class _Result(msgspec.Struct, rename="camel"):
    attribute_status: str = ""
    component: _Named = msgspec.field(default_factory=_Named)
    variable: _Named = msgspec.field(default_factory=_Named)


class _SetVariablesAnswer(msgspec.Struct, rename="camel"):
    set_variable_result: list[_Result] = []


class _ChangeConfiguration(msgspec.Struct):
    key: str = ""
    value: str = ""


class _ChangeConfigurationAnswer(msgspec.Struct):
    status: str = ""


_TAKEN: Final = frozenset({"Accepted", "RebootRequired"})


class Credentials:
    """The headers that a station's CSMS socket may be opened with, the likeliest first."""

    def __init__(self, presented: Authorization) -> None:
        self._headers: list[Authorization] = [presented]

    @property
    def first(self) -> Authorization:
        """What to try."""
        return self._headers[0]

    @property
    def all(self) -> tuple[Authorization, ...]:
        """All that may count, in the order of trial."""
        return tuple(self._headers)

    def __repr__(self) -> str:
        return f"Credentials({len(self._headers)})"

    def asked(self, new: tuple[str, ...]) -> None:
        """A change to these is put to the station."""
        old = [header for header in self._headers if header not in new]
        self._headers = [*old[: CANDIDATES_MAX - len(new)], *new]

    def accepted(self, new: tuple[str, ...]) -> None:
        """The station has taken it."""
        self._headers = [*new, *(header for header in self._headers if header not in new)][:CANDIDATES_MAX]

    def rejected(self, new: tuple[str, ...]) -> None:
        """The station hasn't."""
        self._headers = [header for header in self._headers if header not in new] or self._headers

    def opened(self, header: Authorization) -> None:
        """The CSMS has accepted this one: the others are history."""
        self._headers = [header]

    def refused(self, header: Authorization) -> bool:
        """The CSMS hasn't; true if there is another to try."""
        others = [other for other in self._headers if other != header]
        self._headers = others or self._headers
        return bool(others)


def password_headers(version: OcppVersion, message: Message, identity: str, previous: Authorization) -> tuple[str, ...]:
    """The headers that a station may send once it has carried out this CALL; none if it changes no password, or none of Basic authorization.

    Two where the password can be read in two ways: 1.6's AuthorizationKey is written in hexadecimal (Security whitepaper, 7.2), and some stations
    take the digits for the password.
    """
    password = _new_password(version, message)
    user = _user(previous, identity)
    if not password or user is None or len(password) > PASSWORD_BYTES_MAX:
        return ()
    readings = [password.encode()]
    if version is OcppVersion.V16:
        with contextlib.suppress(ValueError):  # not hexadecimal, so it can only be meant as it stands
            readings.insert(0, bytes.fromhex(password))
    return tuple("Basic " + base64.b64encode(user + b":" + reading).decode() for reading in readings)


def password_accepted(version: OcppVersion, answer: Message) -> bool:
    """Whether a station's answer to such a CALL says that the password is changed, or will be with its next start."""
    if answer.type is not MessageType.CALLRESULT:
        return False
    try:
        if version is OcppVersion.V16:
            return msgspec.json.decode(answer.body, type=_ChangeConfigurationAnswer).status in _TAKEN
        results = msgspec.json.decode(answer.body, type=_SetVariablesAnswer).set_variable_result
    except (msgspec.DecodeError, UnicodeError):
        return False
    return any(result.attribute_status in _TAKEN for result in results if _is_password(result))


def _is_password(setting: _Setting | _Result) -> bool:
    # Names are case-insensitive (2.x Part 2, CiString).
    return (setting.component.name.lower(), setting.variable.name.lower()) == ("securityctrlr", "basicauthpassword")


def _new_password(version: OcppVersion, message: Message) -> str:
    wanted = "ChangeConfiguration" if version is OcppVersion.V16 else "SetVariables"
    if message.type is not MessageType.CALL or message.action != wanted:
        return ""
    try:
        if version is OcppVersion.V16:
            change = msgspec.json.decode(payload_text(message), type=_ChangeConfiguration)
            return change.value if change.key.lower() == "authorizationkey" else ""
        settings = msgspec.json.decode(payload_text(message), type=_SetVariables).set_variable_data
    except (msgspec.DecodeError, UnicodeError):
        return ""
    passwords = [setting.attribute_value for setting in settings if setting.attribute_type == "Actual" and _is_password(setting)]
    return passwords[-1] if passwords else ""


def _user(previous: Authorization, identity: str) -> bytes | None:
    """The user of Basic authorization (RFC 7617), as the station spells it; its identity if it hasn't sent any yet (A00.FR.204)."""
    if previous is None:
        return identity.encode()
    scheme, _, encoded = previous.partition(" ")
    try:
        user, colon, _ = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return user if scheme.lower() == _BASIC and colon and len(user) <= USER_BYTES_MAX else None
