"""Requests that make no sense, as the two listeners, for stations and for edges, treat them.

aiohttp logs each request that isn't HTTP with a traceback that quotes it, a station's Authorization header included, and anybody may send
such requests. Here it becomes one line, and a peer that goes before it is answered none. Any other exception out of a handler is a mistake
of ours and keeps its traceback.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["is_upgrade", "request_logger"]


class _RequestLogger(logging.LoggerAdapter[logging.Logger]):
    def log(self, level: int, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            self.logger.info("request is not HTTP", extra={"fields": {"remote": args[0] if args else None, "status": exc_info.code}})
        elif isinstance(exc_info, ConnectionError):
            self.logger.debug("gone before it was answered", extra={"fields": {"reason": str(exc_info)}})
        else:
            super().log(level, msg, *args, exc_info=exc_info, **more)


def request_logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """What to give to aiohttp's server as `logger`."""
    return _RequestLogger(logging.getLogger(name), {})


def is_upgrade(websocket: web.WebSocketResponse, request: web.BaseRequest) -> bool:
    """Whether `websocket` can be prepared for this request."""
    try:
        return bool(websocket.can_prepare(request))
    except ValueError:  # a header that is not ASCII
        return False
