"""What is masked of a message, and what isn't."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.jsontext import tokens
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.masking import carries_secret, elided, masked, masked_url, printable, secrets_of
from tests.support.schema_messages import Kind, Size, actions, payload_text, schema_of

SECRET = "hunter2"


@pytest.mark.parametrize(
    "body",
    [
        '"Authorize",{"idTag":"hunter2"}',
        '"Authorize",{"idToken":{"idToken":"hunter2","type":"ISO14443","additionalInfo":[{"additionalIdToken":"hunter2","type":"x"}]}}',
        '{"idTagInfo":{"status":"Accepted","parentIdTag":"hunter2"}}',
        '"ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2"}',
        '"ChangeConfiguration",{"value":"hunter2","key":"AuthorizationKey"}',
        r'"ChangeConfiguration",{"\u0076alue":"hunter2","key":"Authorization\u004bey"}',
        '{"configurationKey":[{"key":"HeartbeatInterval","value":"300"},{"key":"WifiPassword","readonly":false,"value":"hunter2"}]}',
        '"SetVariables",{"setVariableData":[{"attributeValue":"hunter2","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}',
        '{"getVariableResult":[{"variable":{"name":"BasicAuthPassword"},"attributeStatus":"Accepted","attributeValue":"hunter2"}]}',
        '"NotifyReport",{"reportData":[{"variableAttribute":[{"type":"Actual","value":"hunter2"}],"variable":{"name":"BasicAuthPassword"}}]}',
        '"SetNetworkProfile",{"connectionData":{"basicAuthPassword":"hunter2","apn":{"apnPassword":"hunter2","simPin":"hunter2"}}}',
        '"SetNetworkProfile",{"connectionData":{"vpn":{"user":"u","key":"hunter2","password":"hunter2"}}}',
        '"GetLog",{"log":{"remoteLocation":"ftp://user:hunter2@example.com/logs"}}',
        '"GetLog",{"log":{"remoteLocation":"ftp://user:p@hunter2@example.com/logs"}}',
        r'"GetLog",{"log":{"remoteLocation":"ftp:\/\/user:hunter2@example.com\/logs"}}',
        r'"GetLog",{"log":{"remoteLocation":"ftp:\u002f/user:\u0068unter2@example.com/logs"}}',
        '"UpdateFirmware",{"location":"https://s3.example.com/f?X-Amz-Date=1&X-Amz-Signature=hunter2"}',
        r'"UpdateFirmware",{"location":"https:\/\/s3.example.com\/f?a=1\u0026sig=hunter2\u0026se=hunter2"}',
        '"DataTransfer",{"sharedSecret":"hunter2"}',
        r'"DataTransfer",{"data":"{\"idTag\":\"hunter2\"}"}',
        r'"DataTransfer",{"data":"{\u0022userPass\u0077ord\u0022:\u0022hunter2\u0022}"}',
        r'"DataTransfer",{"data":"-----BEGIN EC PRIVATE KEY-----\nhunter2"}',
        r'"DataTransfer",{"data":"-----BEGIN PRIVATE\u0020KEY-----\nhunter2"}',
    ],
)
def test_secrets_are_masked(body: str) -> None:
    shown = masked(body)
    assert SECRET not in shown
    assert "***" in shown
    assert len(tokens(f"[{shown}]")) == len(tokens(f"[{body}]"))


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '"Heartbeat",{}',
        '"NotSupported","idTag",{"reason":"password"}',
        '"ChangeConfiguration",{"key":"HeartbeatInterval","value":"300"}',
        '{"configurationKey":[{"key":"AuthorizationKey","readonly":true}],"unknownKey":["AuthorizationKey"]}',
        '"SetVariables",{"setVariableData":[{"attributeValue":"1","variable":{"name":"OrganizationName"}}]}',
        '"MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"2e+01"}]}]}',
        '"Authorize",{"idToken":{"idToken":"","type":"NoAuthorization"}}',
        '"GetLog",{"log":{"remoteLocation":"https://example.com/a@b"}}',
        r'"UpdateFirmware",{"location":"https:\/\/example.com\/f?version=2\u0026sig"}',
        '"DataTransfer",{"data":"is it a key=value?token=1"}',
        '{"idTag":null,"password":true}',
        '"StatusNotification",{"x":1,"x":-0,"y":"\\u20ac\\/"}',
    ],
)
def test_the_rest_stays_exactly(body: str) -> None:
    assert masked(body) == body
    assert secrets_of(body) == set()


def test_a_secret_beside_another_entry_masks_its_own_alone() -> None:
    body = '{"configurationKey":[{"key":"AuthorizationKey","value":"a"},{"key":"Other","value":"b"}]}'
    assert masked(body) == body.replace('"a"', '"***"')
    assert secrets_of(body) == {'"a"'}


@pytest.mark.parametrize("version", OcppVersion)
def test_no_text_named_as_a_secret_is_shown_of_any_message_of_ocpp(version: OcppVersion) -> None:
    """The schemas say which members there are; written without the code under test."""
    source = random.Random(f"masking {version}")
    names = {"idToken", "additionalIdToken", "idTag", "parentIdTag", "basicAuthPassword", "apnPassword", "password", "simPin"}
    seen = set()
    for action in actions(version):
        for kind in Kind:
            schema = schema_of(version, action, kind)
            if schema is None:
                continue
            text = payload_text(schema, source, Size.FULL)
            before, after = (list(_members(json.loads(one))) for one in (text, masked(text)))
            assert len(before) == len(after)
            for (name, old), (same_name, new) in zip(before, after, strict=True):
                assert same_name == name
                if name in names and old:
                    seen.add(name)
                    assert new == "***"
    assert seen >= ({"idTag", "parentIdTag"} if version is OcppVersion.V16 else {"idToken", "additionalIdToken", "password"})


def _members(content: object) -> list[tuple[str, object]]:
    """Members with a string or number, wherever they are."""
    found: list[tuple[str, object]] = []
    if isinstance(content, dict):
        for name, value in content.items():
            found += _members(value) if isinstance(value, dict | list) else [(name, value)]
    elif isinstance(content, list):
        for value in content:
            found += _members(value)
    return found


def test_long_texts_lose_their_middle() -> None:
    assert elided("0123456789", 10) == "0123456789"
    assert elided("0123456789", 9) == "01234…789"


@given(st.text(), st.integers(min_value=3, max_value=40))
def test_what_is_elided_is_as_long_as_it_may_be(text: str, characters_max: int) -> None:
    shown = elided(text, characters_max)
    assert len(shown) == min(len(text), characters_max)
    cuts = [place for place, one in enumerate(shown) if one == "…"]
    assert shown == text or any(text.startswith(shown[:cut]) and text.endswith(shown[cut + 1 :]) for cut in cuts)


@given(st.text())
def test_what_is_printed_cannot_steer_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    string = json.dumps(text, ensure_ascii=False)
    assert json.loads(printable(string)) == text, "within a string it means the same"


@pytest.mark.parametrize(
    "body",
    [
        '"ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2"}',
        r'"ChangeConfiguration",{"\u0076alue":"hunter2","key":"Authorization\u004bey"}',
        '"ChangeConfiguration",{"key":"AuthorizationKey","value":"hünter2"}',
        '{"configurationKey":[{"key":"WifiPassword","readonly":false,"value":"hunter2"}]}',
        '"SetVariables",{"setVariableData":[{"attributeValue":"hunter2","variable":{"name":"BASICAUTHPASSWORD"}}]}',
        '"SetNetworkProfile",{"connectionData":{"vpn":{"key":"hunter2"}}}',
        '"SetNetworkProfile",{"connectionData":{"apn":{"simPin":1234}}}',
        '"GetLog",{"log":{"remoteLocation":"ftp://user:hunter2@example.com/logs"}}',
        r'"DataTransfer",{"vendorId":"x","data":"{\"password\":\"hunter2\"}"}',
        r'"DataTransfer",{"vendorId":"x","data":"-----BEGIN PRIVATE KEY-----\nMIGH"}',
        r'"DataTransfer",{"vendorId":"x","data":"-----BEGIN PRIV\u0041TE KEY-----\nMIGH"}',
        '"DataTransfer",{"password":"hunter2"',
    ],
)
def test_what_carries_a_secret(body: str) -> None:
    assert carries_secret(body)


@pytest.mark.parametrize(
    "body",
    [
        '"Heartbeat",{}',
        '"Authorize",{"idTag":"hunter2"}',
        '"Authorize",{"idToken":{"idToken":"hunter2","type":"ISO14443"}}',
        '{"configurationKey":[{"key":"AuthorizationKey","readonly":true}],"unknownKey":["AuthorizationKey"]}',
        '"NotifyReport",{"reportData":[{"variableAttribute":[{"type":"Actual"}],"variable":{"name":"BasicAuthPassword"}}]}',
        '"GetLog",{"log":{"remoteLocation":"https://example.com/a@b"}}',
        '"StatusNotification",{"info":"Z\u00fcrich","more":"Zürich"}',
    ],
)
def test_what_carries_none(body: str) -> None:
    """A person's token is in the station's messages, wherever those are stored; else next to no station's context could be."""
    assert not carries_secret(body)


@pytest.mark.parametrize("version", OcppVersion)
def test_the_quick_look_is_never_content_with_what_the_thorough_one_is_not(version: OcppVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(f"carried {version}")
    schemas = [schema for action in actions(version) for kind in Kind if (schema := schema_of(version, action, kind)) is not None]
    payloads = [payload_text(schema, source, size) for schema in schemas for size in (Size.LEAST, Size.FULL)]
    payloads.append('{"key":"AuthorizationKey","value":"hunter2"}')
    quick = [carries_secret(payload) for payload in payloads]
    assert len(set(quick)) == 2, "some do, some don't"
    monkeypatch.setattr("ocppress_gateway.masking._HINTS", ("",))
    assert [carries_secret(payload) for payload in payloads] == quick


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h:8443/fw/v1.bin", "https://h:8443/fw/v1.bin"),
        ("ftp://user:hunter2@h/f", "ftp://***@h/f"),
        ("ftp://hunter2@h/f", "ftp://***@h/f"),
        ("ftp://user:p@hunter2@h/f", "ftp://***@h/f"),
        ("ftp://user:hunter/2@h/f", "ftp://***@h/f"),
        ("ftp://user:hunter2?x@h/f", "***"),
        ("ftp://user:hunter2#x@h/f", "***"),
        ("https://h/f?X-Amz-Signature=hunter2", "https://h/f?***"),
        ("https://h/f#hunter2", "https://h/f?***"),
        ("https://h/f?to=a@hunter2", "***"),
        ("https://u:hunter2@h/f?sig=hunter2", "https://***@h/f?***"),
        ("user:hunter2@h/f", "***"),
        ("hunter2@x://h/f", "***"),
        ("h\u001b[31m://h", "***"),
        ("https://h/\u001b[31m", "https://h/\\u001b[31m"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_opens_it(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_long_url_is_shown_without_its_middle() -> None:
    assert len(masked_url("https://h/" + "a" * 2000)) == 200
