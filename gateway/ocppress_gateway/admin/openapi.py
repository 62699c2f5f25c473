"""The OpenAPI 3.1 description, made from the table of endpoints and the structs that they take and give."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from ocppress_gateway import __version__
from ocppress_gateway.admin.endpoints import Endpoint
from ocppress_gateway.admin.model import Identity, Problem

__all__ = ["description"]

_REFERENCE = "#/components/schemas/{name}"


def description(endpoints: Sequence[Endpoint], program: str) -> dict[str, Any]:
    """The whole document."""
    kinds: list[Any] = [Problem, Identity]
    for endpoint in endpoints:
        kinds += [kind for kind in (endpoint.query, endpoint.body, endpoint.answer) if kind is not None and not isinstance(kind, str)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_of, components)
    queries = {endpoint.query.__name__ for endpoint in endpoints if endpoint.query is not None}
    document: dict[str, Any] = _ecma(
        {
            "openapi": "3.1.0",
            "info": {
                "title": f"ocppress {program}",
                "version": __version__,
                "summary": "What operators see, and the little that they change.",
            },
            "paths": paths,
            "components": {
                "schemas": {name: schema for name, schema in components.items() if name not in queries},
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
        }
    )
    return document


def _operation(endpoint: Endpoint, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if endpoint.has_station:
        parameters.append({"name": "identity", "in": "path", "required": True, "schema": schema_of[repr(Identity)]})
    if endpoint.query is not None:
        for name, schema in components[endpoint.query.__name__]["properties"].items():
            parameters.append({"name": name, "in": "query", "required": False, "schema": _without_null(schema)})
    operation: dict[str, Any] = {"summary": endpoint.summary, "operationId": _name(endpoint), "responses": _responses(endpoint, schema_of)}
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema_of[repr(endpoint.body)]}}}
    return operation


def _responses(endpoint: Endpoint, schema_of: dict[str, Any]) -> dict[str, Any]:
    content = (
        {endpoint.answer: {}} if isinstance(endpoint.answer, str) else {"application/json": {"schema": schema_of[repr(endpoint.answer)]}}
    )
    problems = [
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ]
    problems += [HTTPStatus.NOT_FOUND] if endpoint.has_station else []
    problems += [HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE] if endpoint.body is not None else []
    problems += [HTTPStatus.CONFLICT] if endpoint.conflicts else []
    problem = {"application/problem+json": {"schema": schema_of[repr(Problem)]}}
    return {
        str(endpoint.status.value): {"description": endpoint.status.phrase, "content": content},
        **{str(status.value): {"description": status.phrase, "content": problem} for status in sorted(problems)},
    }


def _name(endpoint: Endpoint) -> str:
    words = [word.strip("{}").replace(".", "-") for word in endpoint.path.split("/") if word not in ("", "api", "v1", "{identity}")]
    return "-".join([endpoint.method.lower(), *(["one"] if endpoint.path.endswith("{identity}") else []), *words])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that isn't there is left out; no text means null."""
    if "anyOf" not in schema:
        return schema
    (given,) = (option for option in schema["anyOf"] if option.get("type") != "null")
    return {**{key: value for key, value in schema.items() if key not in ("anyOf", "default")}, **given}


def _ecma(value: Any) -> Any:
    r"""Patterns as JSON Schema has them: ECMA-262 has no `\Z`."""
    if isinstance(value, dict):
        return {
            key: inner.replace(r"\Z", "$") if key == "pattern" and isinstance(inner, str) else _ecma(inner) for key, inner in value.items()
        }
    return [_ecma(item) for item in value] if isinstance(value, list) else value
