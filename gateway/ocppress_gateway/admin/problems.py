"""Errors as RFC 9457 has them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from ocppress_gateway.admin.model import Problem

__all__ = ["Refused", "problem_response"]


class Refused(Exception):
    """A request that isn't done; `detail` is for people, and shows nothing that they may not see."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(refused: Refused) -> web.Response:
    """As `application/problem+json`."""
    problem = Problem(title=refused.status.phrase, status=refused.status.value, detail=refused.detail)
    return web.Response(
        status=refused.status.value,
        headers=refused.headers,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
    )
