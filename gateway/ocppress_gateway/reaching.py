"""The way to a server taken step by step, each with its own answer: look-up, TCP, TLS. For commands that say what is wrong; programs that only want to
be connected have connectors.

Nothing here decides or advises: what was found is data, a failure among it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["LookUp", "Tcp", "TcpFailure", "Tls", "TlsFailure", "connect_tcp", "handshake", "look_up"]

ALERT_S: Final = 0.5
"""In TLS 1.3 a client has finished before the server has looked at its certificate; a refusal then comes a round trip later. This is waited for at least."""

ALERT_ROUND_TRIPS: Final = 3

_NOT_YET_VALID_CODE: Final = 9
_EXPIRED_CODE: Final = 10
_AUTHORITY_CODES: Final = frozenset({2, 18, 19, 20, 21, 27, 28})
"""X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, SELF_SIGNED_CERT, …, CERT_UNTRUSTED, CERT_REJECTED of openssl/x509_vfy.h."""
_NAME_CODES: Final = frozenset({62, 64})
"""HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH."""


class TcpFailure(StrEnum):
    """Why there is no connection."""

    REFUSED = "refused"
    NO_ANSWER = "no answer"
    NO_WAY = "no way"
    """The system says why, in `detail`."""


class TlsFailure(StrEnum):
    """Why there is no handshake."""

    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    OTHER_AUTHORITY = "other authority"
    OTHER_NAME = "other name"
    NOT_ACCEPTED = "not accepted"
    """The far end's certificate, for another reason."""
    REFUSES_US = "refuses us"
    """The far end has said no: to this end's certificate, most often."""
    PROTOCOL = "protocol"
    NO_TLS = "no TLS"
    CUT = "cut"
    NO_ANSWER = "no answer"


_ABOUT_CERTIFICATE: Final = frozenset(
    {TlsFailure.NOT_YET_VALID, TlsFailure.EXPIRED, TlsFailure.OTHER_AUTHORITY, TlsFailure.OTHER_NAME, TlsFailure.NOT_ACCEPTED}
)

_HUNG_UP: Final = "it hung up right after the handshake"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """The addresses of a name; `failure` is for people, "" if there are any."""

    host: str
    addresses: tuple[str, ...] = ()
    took_s: float = 0.0
    failure: str = ""

    @property
    def is_address(self) -> bool:
        """The host is one itself: nobody was asked."""
        return self.addresses == (self.host,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """Whether somebody listens at an address."""

    address: str
    port: int
    took_s: float = 0.0
    failure: TcpFailure | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A verified handshake, or why there is none. `shown` is the server's certificate in DER, also where that is the reason."""

    host: str
    took_s: float = 0.0
    version: str = ""
    failure: TlsFailure | None = None
    detail: str = ""
    shown: bytes | None = None


async def look_up(host: str, port: int, *, within_s: float) -> LookUp:
    """Ask for the addresses of `host`."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return LookUp(host=host, addresses=(host,))
    began = time.monotonic()
    try:
        async with asyncio.timeout(within_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        return LookUp(host=host, took_s=time.monotonic() - began, failure=getattr(error, "strerror", None) or "no answer")
    return LookUp(host=host, addresses=tuple(dict.fromkeys(str(entry[4][0]) for entry in found)), took_s=time.monotonic() - began)


async def connect_tcp(address: str, port: int, *, within_s: float) -> Tcp:
    """Connect, and leave at once."""
    began = time.monotonic()
    failure, detail = None, ""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        failure = TcpFailure.REFUSED
    except TimeoutError:  # the kernel's, ETIMEDOUT, is one, too
        failure = TcpFailure.NO_ANSWER
    except OSError as error:
        failure, detail = TcpFailure.NO_WAY, error.strerror or str(error)
    else:
        writer.transport.abort()
    return Tcp(address=address, port=port, took_s=time.monotonic() - began, failure=failure, detail=detail)


async def handshake(address: str, port: int, context: ssl.SSLContext, host: str, *, within_s: float) -> Tls:
    """A TLS handshake for the name `host`, then leave; where the certificate fails, a second one that only looks at it."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
            took_s = time.monotonic() - began
            tls = writer.get_extra_info("ssl_object")
            try:
                refused = await _refused(reader, max(ALERT_S, ALERT_ROUND_TRIPS * took_s))
            finally:
                writer.transport.abort()
        if refused:
            return Tls(host=host, took_s=took_s, failure=TlsFailure.REFUSES_US, detail=refused)
        return Tls(host=host, took_s=took_s, version=tls.version() or "", shown=tls.getpeercert(binary_form=True))
    except (OSError, TimeoutError) as error:
        failure, detail = _why(error)
    shown = None
    if failure in _ABOUT_CERTIFICATE:
        shown = await _look(address, port, host, within_s)
    return Tls(host=host, took_s=time.monotonic() - began, failure=failure, detail=detail, shown=shown)


async def _refused(reader: asyncio.StreamReader, within_s: float) -> str:
    """What the far end says, or does, against this one within this time; "" if nothing. Some programs (asyncio's) leave without the alert that says why."""
    try:
        async with asyncio.timeout(within_s):
            return "" if await reader.read(1) else _HUNG_UP
    except TimeoutError:
        return ""
    except ssl.SSLError as error:
        return _why(error)[1]
    except OSError:
        return _HUNG_UP


async def _look(address: str, port: int, host: str, within_s: float) -> bytes | None:
    """The certificate of a server that nobody vouches for: to be shown, and for nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
            try:
                tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
                return tls.getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
    return None


def _why(error: Exception) -> tuple[TlsFailure, str]:
    match error:
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=words):
            return _certificate_failure(code), words
        case ssl.SSLError(reason=reason):
            words = (reason or str(error)).replace("_", " ").lower()
            return _alert_failure(words), words
        case ConnectionError():
            return TlsFailure.CUT, ""
        case TimeoutError():
            return TlsFailure.NO_ANSWER, ""
        case OSError(errno=int(number)) if number > 0:
            return TlsFailure.CUT, os.strerror(number)
    return TlsFailure.CUT, str(error)


def _certificate_failure(code: int) -> TlsFailure:
    if code in (_NOT_YET_VALID_CODE, _EXPIRED_CODE):
        return TlsFailure.EXPIRED if code == _EXPIRED_CODE else TlsFailure.NOT_YET_VALID
    if code in _AUTHORITY_CODES:
        return TlsFailure.OTHER_AUTHORITY
    return TlsFailure.OTHER_NAME if code in _NAME_CODES else TlsFailure.NOT_ACCEPTED


def _alert_failure(words: str) -> TlsFailure:
    if ("protocol" in words and "version" in words) or words in ("unsupported protocol", "no protocols available"):
        return TlsFailure.PROTOCOL
    if words in ("wrong version number", "http request", "packet length too long", "record layer failure"):
        return TlsFailure.NO_TLS
    if "alert" in words:
        return TlsFailure.PROTOCOL if "handshake failure" in words else TlsFailure.REFUSES_US
    return TlsFailure.CUT if "eof" in words else TlsFailure.PROTOCOL
