"""The table `admin`: where one may listen, and with whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocppress_gateway.admin.passwords import hashed_token
from ocppress_gateway.config import edge_from, effective_json
from ocppress_gateway.config_admin import Place, Role, place_of
from ocppress_gateway.errors import ConfigError

EDGE: dict[str, Any] = {"link": {"url": "ws://h/", "edge": "e"}}
PASSWORD_HASH = "$scrypt$ln=15,r=8,p=3$lrHoUrFzztWiaI3DbV62Ag$7pim88ifQMJcoKXDNklcH8gR/peKPcYNsg3y14Z2CUc"
USER = {"name": "ann", "password_hash": PASSWORD_HASH}
TOKEN = {"name": "prometheus", "token_hash": hashed_token("t")}


def _config(**admin: Any) -> Any:
    return edge_from({**EDGE, "admin": admin}, Path("/etc/ocppress/edge.toml"))


@pytest.mark.parametrize(
    ("text", "place", "local"),
    [
        ("127.0.0.1:9464", Place("127.0.0.1", 9464), True),
        ("127.8.9.1:9464", Place("127.8.9.1", 9464), True),
        ("localhost:0", Place("localhost", 0), True),
        ("[::1]:9464", Place("::1", 9464), True),
        ("unix:/run/ocppress/admin.sock", Place(path=Path("/run/ocppress/admin.sock")), True),
        ("0.0.0.0:9464", Place("0.0.0.0", 9464), False),
        ("[::]:9464", Place("::", 9464), False),
        ("10.0.0.1:80", Place("10.0.0.1", 80), False),
        ("127.0.0.1.example.com:80", Place("127.0.0.1.example.com", 80), False),
    ],
)
def test_places(text: str, place: Place, local: bool) -> None:
    assert place_of(text) == place
    assert place.is_local is local


@pytest.mark.parametrize(
    "text", ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "h:65536", "h:-1", "::1:9464", "unix:", "unix:relative", "h:1\n", "u@h:1"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="`listen` must be"):
        _config(listen=text)


def test_nothing_listens_by_default() -> None:
    assert edge_from(EDGE, Path("/x.toml")).admin is None


def test_without_users_only_this_machine_is_served() -> None:
    assert _config(listen="127.0.0.1:1").admin.is_open
    for everywhere in ("0.0.0.0:1", "[::]:1", "edge.example.com:1"):
        with pytest.raises(ConfigError, match="can be reached from other machines: that needs `users`, `tokens` or `oidc`"):
            _config(listen=everywhere, behind_proxy=True)


def test_passwords_do_not_cross_a_network_in_the_clear() -> None:
    for people in ({"users": [USER]}, {"tokens": [TOKEN]}):
        with pytest.raises(ConfigError, match="that needs `tls`, or `behind_proxy = true`"):
            _config(listen="0.0.0.0:1", **people)
        assert _config(listen="0.0.0.0:1", behind_proxy=True, **people).admin.is_https
        assert not _config(listen="127.0.0.1:1", **people).admin.is_https


def test_tls(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).touch()
    tls = {"certificate_file": "a.pem", "key_file": "a.key"}
    config = edge_from({**EDGE, "admin": {"listen": "0.0.0.0:1", "users": [USER], "tls": tls}}, tmp_path / "edge.toml")
    assert config.admin is not None
    assert config.admin.is_https
    for wrong in ({"listen": "unix:/a"}, {"listen": "127.0.0.1:1", "behind_proxy": True}):
        with pytest.raises(ConfigError, match="`tls` is neither"):
            edge_from({**EDGE, "admin": {**wrong, "tls": tls}}, tmp_path / "edge.toml")
    with pytest.raises(ConfigError, match="No such file"):
        edge_from({**EDGE, "admin": {"listen": "127.0.0.1:1", "tls": {**tls, "key_file": "b.key"}}}, tmp_path / "edge.toml")


def test_who_is_not_told_otherwise_is_a_viewer() -> None:
    admin = _config(listen="127.0.0.1:1", users=[USER], tokens=[{**TOKEN, "role": "operator"}]).admin
    assert (admin.users[0].role, admin.tokens[0].role, admin.is_open) == (Role.VIEWER, Role.OPERATOR, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": [USER, USER]},
        {"tokens": [TOKEN, TOKEN]},
        {"users": [{**USER, "password_hash": "secret"}]},
        {"users": [{**USER, "password_hash": PASSWORD_HASH.replace("ln=15", "ln=20")}]},
        {"users": [{**USER, "password_hash": PASSWORD_HASH.replace("ln=15", "ln=1")}]},
        {"users": [{**USER, "role": "admin"}]},
        {"users": [{**USER, "name": "a b"}]},
        {"users": [{"name": "ann"}]},
        {"tokens": [{**TOKEN, "token_hash": "sha256:00"}]},
        {"password": "x"},
    ],
)
def test_what_is_no_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"admin"):
        _config(listen="127.0.0.1:1", **wrong)


def test_a_configuration_is_shown_without_hashes() -> None:
    shown = effective_json(_config(listen="127.0.0.1:1", users=[USER], tokens=[TOKEN]))
    assert PASSWORD_HASH not in shown
    assert TOKEN["token_hash"] not in shown
    assert shown.count('"***"') == 2
    assert '"ann"' in shown


OIDC = {"issuer": "https://id.example.com/", "client_id": "ocppress", "public_url": "https://ops.example.com", "operators": ["charging"]}


def test_people_of_a_provider_are_told_apart() -> None:
    config = _config(listen="0.0.0.0:1", behind_proxy=True, oidc=OIDC).admin
    assert not config.is_open
    assert (config.oidc.role_claim, config.oidc.scopes) == ("groups", ("profile",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"issuer": "http://id.example.com"}, "`issuer` must be"),
        ({"issuer": "https://u:p@id.example.com"}, "`issuer` must be"),
        ({"issuer": "https://id.example.com?x"}, "`issuer` must be"),
        ({"issuer": "https://[id"}, "`issuer` must be"),
        ({"issuer": "http://localhost.example.com"}, "`issuer` must be"),
        ({"public_url": "http://ops.example.com"}, "`public_url` must be"),
        ({"public_url": "https://ops.example.com/a"}, "`public_url` must have no path"),
        ({"public_url": "http://localhost:1"}, "of https with `tls`"),
        ({"operators": []}, "nobody is let in"),
        ({"client_secret_file": "/nowhere/secret"}, "No such file"),
        ({"scopes": ["a b"]}, "matching regex"),
    ],
)
def test_a_provider_that_makes_no_sense_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        _config(listen="127.0.0.1:1", behind_proxy=True, oidc={**OIDC, **change})
