"""A station's upgrade at the CSMS, once, without a password, and closed at once. It takes the place of a station of this identity, if there is one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from yarl import URL

from ocppress_gateway.doctor.facts import CsmsAnswer
from ocppress_gateway.http_client import ClientSocket, client_session, unreachable
from ocppress_gateway.masking import masked_token
from ocppress_gateway.text_socket import CLOSE_TIMEOUT_S

__all__ = ["ask_csms"]

_SUBPROTOCOLS: Final = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")

_DATE_STEP_S: Final = 1.0
"""A Date has whole seconds, so it is half a second old."""


async def ask_csms(url: str, identity: str, context: ssl.SSLContext | None, *, within_s: float) -> CsmsAnswer:
    """`url` has one `{identity}`; `context` is for `wss://`."""
    whole = url.replace("{identity}", quote(identity, safe=""))
    shown = masked_token(whole)
    session = client_session(ssl_context=context)
    began = time.monotonic()
    try:
        async with asyncio.timeout(within_s):
            websocket = await session.ws_connect(
                URL(whole, encoded=True), protocols=_SUBPROTOCOLS, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
            )
        took_s = time.monotonic() - began
        assert isinstance(websocket, ClientSocket), "the session makes its own class of sockets"
        offset_s = _offset_s(websocket.headers, took_s)
        await websocket.close()
        status = HTTPStatus.SWITCHING_PROTOCOLS
        return CsmsAnswer(url=shown, status=status, subprotocol=websocket.protocol or "", clock_offset_s=offset_s, took_s=took_s)
    except aiohttp.WSServerHandshakeError as error:
        took_s = time.monotonic() - began
        if error.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return CsmsAnswer(url=shown, why=f"its upgrade breaks the rules: {error.message}", took_s=took_s)
        return CsmsAnswer(url=shown, status=error.status, clock_offset_s=_offset_s(error.headers or {}, took_s), took_s=took_s)
    except TimeoutError:
        return CsmsAnswer(url=shown, why=f"no answer within {within_s:g} s")
    except aiohttp.ClientConnectorError as error:
        return CsmsAnswer(url=shown, why=unreachable(error))
    except (aiohttp.ClientError, OSError):
        return CsmsAnswer(url=shown, why="it hung up, or answered something that is not HTTP")
    finally:
        await session.close()


def _offset_s(headers: Mapping[str, str], took_s: float) -> float | None:
    """This machine's clock less that of an answer's Date, as of when it was written; None without one that can be read."""
    with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
        said_s = parsedate_to_datetime(headers[hdrs.DATE]).timestamp() + _DATE_STEP_S / 2
        return round(time.time() - took_s / 2 - said_s, 1)
    return None
