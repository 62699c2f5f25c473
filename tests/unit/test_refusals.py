"""What is answered to a text that is no OCPP-J message, by edition."""

from __future__ import annotations

import json

import pytest

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.core.refusals import refusal

V16, V201, V21 = OcppVersion


@pytest.mark.parametrize(
    ("version", "text", "expected"),
    [
        (V16, "garbage", ("-1", "FormationViolation")),
        (V201, "garbage", ("-1", "RpcFrameworkError")),
        (V21, "garbage", ("-1", "RpcFrameworkError")),
        (V21, "{}", ("-1", "RpcFrameworkError")),
        (V21, '[2,17,"Heartbeat",{}]', ("-1", "RpcFrameworkError")),
        (V21, f'[2,"{"x" * 300}","Heartbeat",{{}}]', ("-1", "RpcFrameworkError")),
        (V16, '[2,"7"]', ("7", "FormationViolation")),
        (V201, '[2,"7","Heartbeat"]', ("7", "FormatViolation")),
        (V21, '[2,"7","Heartbeat",[]]', ("7", "FormatViolation")),
        (V21, '[2,"\\"7","Heartbeat",[]]', ('"7', "FormatViolation")),
        # A well-formed message of an unknown type is ignored, an answer or SEND never answered.
        (V16, '[7,"7",{}]', None),
        (V201, '[7,"7",{}]', None),
        (V21, '[3,"7"]', None),
        (V21, '[4,"7"]', None),
        (V21, '[6,"7","A"]', None),
        (V21, "[3]", None),
    ],
)
def test_refusals(version: OcppVersion, text: str, expected: tuple[str, str] | None) -> None:
    with pytest.raises(NotOcppJ) as caught:
        parse(text)
    answer = refusal(version, caught.value)
    if expected is None:
        assert answer is None
        return
    assert answer is not None
    message_type, message_id, code, description, details = json.loads(answer)
    assert (message_type, message_id, code, details) == (4, *expected, {})
    assert 0 < len(description) <= 255
    parse(answer)
