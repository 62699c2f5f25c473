from __future__ import annotations

import ssl
import tarfile
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ocppress_gateway import cli
from ocppress_gateway.config import LinkTls, load_cloud, load_edge
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.provisioning.certificates import AUTHORITY_DAYS, LEAF_DAYS, issue_cloud, issue_edge, make_authority, read_credentials
from ocppress_gateway.provisioning.changes import renew_cloud, renew_edge, revoke_edge, without_edge
from ocppress_gateway.provisioning.folder import cloud_toml, make_authority_folder, make_edge_folder
from ocppress_gateway.transports.psk import KEY_BYTES
from ocppress_gateway.transports.revoked import RevokedKeys
from ocppress_gateway.transports.tls import certificate_in, link_client_context, station_server_context

NOW = datetime.now(UTC)
CSMS_URL = "ws://localhost:9000/{identity}"
LEAF_BYTES_MAX = 340
"""A leaf of 299 bytes was what the link's costs were measured with; this one has also its purpose and its authority's key identifier."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _authority(tmp_path / "ca")


def _authority(folder: Path, hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")) -> Path:
    make_authority_folder(folder, name="test", hosts=hosts, csms_url=CSMS_URL, now=NOW)
    return folder


def _edge(folder: Path, edge: str = "site-1", stations: tuple[str, ...] = ("CP001", "CP002"), cloud_url: str | None = None) -> str:
    return make_edge_folder(folder, edge, stations=stations, cloud_url=cloud_url, now=NOW)


def test_the_command_line_makes_configurations_that_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "ca"
    assert cli.main(["ca", "init", "--dir", str(folder), "--csms-url", CSMS_URL]) == cli.OK
    assert cli.main(["ca", "issue", "site-1", "--dir", str(folder), "--stations", "CP001, CP002"]) == cli.OK
    assert cli.main(["ca", "issue", "site-1", "--dir", str(folder), "--stations", "CP003"]) == cli.USAGE
    assert "nothing was changed" in capsys.readouterr().err
    for program, file in ("cloud", folder / "cloud/cloud.toml"), ("edge", folder / "edges/site-1/edge.toml"):
        assert cli.main([program, "--config", str(file), "--check"]) == cli.OK


def test_the_configurations_fit_together(folder: Path) -> None:
    entry = _edge(folder)
    _edge(folder, "site-2", ("*",))
    edge, cloud = load_edge(folder / "edges/site-1/edge.toml"), load_cloud(folder / "cloud/cloud.toml")
    assert edge.link.url == f"wss://localhost:{cloud.link.port}/"
    assert cloud.csms.url == CSMS_URL
    assert [(known.name, known.stations) for known in cloud.edges] == [("site-1", ("CP001", "CP002")), ("site-2", ("*",))]
    assert tomllib.loads(entry) == {"edges": [{"name": "site-1", "stations": ["CP001", "CP002"]}]}
    assert (folder / "edges/site-1/cloud-entry.toml").read_text() == entry


def test_only_the_owner_reads_keys(folder: Path) -> None:
    _edge(folder)
    keys = sorted(folder.rglob("*.key"))
    assert [(key.name, key.stat().st_mode & 0o777) for key in keys] == [("ca.key", 0o600), ("cloud.key", 0o600), ("edge.key", 0o600)]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_names_of_the_cloud_choose_the_link(tmp_path: Path) -> None:
    folder = _authority(tmp_path / "ca", ("::1", "Cloud.Example.com"))
    _edge(folder)
    _edge(folder, "site-2", ("CP3",), "wss://cloud.example.com:443/")
    assert load_edge(folder / "edges/site-1/edge.toml").link.url == "wss://[::1]:8886/"
    assert load_edge(folder / "edges/site-2/edge.toml").link.url == "wss://cloud.example.com:443/"


def test_each_edge_has_a_name_of_its_own_where_the_cloud_has_them_all(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    make_authority_folder(folder, name="test", hosts=("*.cloud.example", "127.0.0.1"), csms_url=CSMS_URL, now=NOW)
    for edge, url in (("Site-1", None), ("site_2", "wss://site-2.cloud.example:1/"), ("b", "wss://127.0.0.1/")):
        make_edge_folder(folder, edge, stations=(edge,), cloud_url=url, now=NOW)
    urls = [load_edge(folder / "edges" / edge / "edge.toml").link.url for edge in ("Site-1", "site_2", "b")]
    assert urls == ["wss://site-1.cloud.example:8886/", "wss://site-2.cloud.example:1/", "wss://127.0.0.1/"]
    for edge, wrong, reason in (
        ("x_1", None, "say --cloud-url"),
        ("x", "wss://a.b.cloud.example/", "not for 'a.b.cloud.example'"),
        ("x", "wss://cloud.example/", "not for 'cloud.example'"),
    ):
        with pytest.raises(UsageError, match=reason):
            make_edge_folder(folder, edge, stations=("x",), cloud_url=wrong, now=NOW)
    for hosts, broker in ((("*",), False), (("*.example",), False), (("a.*.example",), False), (("*.a.example",), True)):
        with pytest.raises(UsageError):
            make_authority_folder(tmp_path / "no", name="test", hosts=hosts, csms_url=CSMS_URL, now=NOW, with_broker=broker)


def test_a_broker_has_a_folder_and_the_cloud_is_its_client(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    make_authority_folder(folder, name="test", hosts=("broker.example.com",), csms_url=CSMS_URL, now=NOW, with_broker=True)
    _edge(folder)
    edge, cloud = load_edge(folder / "edges/site-1/edge.toml"), load_cloud(folder / "cloud/cloud.toml")
    assert cloud.link.broker == edge.link.url == "mqtts://broker.example.com:8883/"
    assert edge.link.edge == "site-1"
    assert sorted(file.name for file in (folder / "broker").iterdir()) == ["acl", "broker.key", "broker.pem", "ca.pem", "mosquitto.conf"]
    broker = (folder / "broker/mosquitto.conf").read_text()
    assert "\nallow_anonymous false\n" in broker
    assert "\nrequire_certificate true\n" in broker
    client = read_credentials((folder / "cloud/cloud.key").read_bytes(), (folder / "cloud/cloud.pem").read_bytes())
    usage = client.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert client.certificate.subject.rfc4514_string() == "CN=cloud"
    with pytest.raises(UsageError, match=r"certificate there is for broker\.example\.com"):
        _edge(folder, "site-2", cloud_url="mqtts://other.example.com/")
    _edge(folder, "site-2", ("CP3",), cloud_url="mqtts://broker.example.com:18883/charging/")
    assert load_edge(folder / "edges/site-2/edge.toml").link.url == "mqtts://broker.example.com:18883/charging/"


@pytest.mark.parametrize(
    ("edge", "stations", "cloud_url", "reason"),
    [
        ("cloud", ("x",), None, "it is the cloud's"),
        ("../x", ("CP1",), None, "cannot be an edge's name"),
        ("", ("CP1",), None, "cannot be an edge's name"),
        ("x" * 33, ("CP1",), None, "cannot be an edge's name"),
        ("site-1", ("CP1",), None, "is there already"),
        ("x", ("CP001",), None, "station 'CP001' stands in `edges` 2 times"),
        ("x", ("C P",), None, "'C P' cannot be a station's identity"),
        ("x", ("CP1",), "wss://other.example/", "is for localhost, 127.0.0.1, ::1, not for 'other.example'"),
        ("x", ("CP1",), "ws://localhost/", "is for a `wss://` link"),
        ("x", ("CP1",), "wss://[/", "is not a URL"),
    ],
)
def test_a_refused_edge_leaves_no_trace(edge: str, stations: tuple[str, ...], cloud_url: str | None, reason: str, folder: Path) -> None:
    _edge(folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match=reason):
        _edge(folder, edge, stations, cloud_url)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert sorted(entry.name for entry in (folder / "edges").iterdir()) == ["site-1", "site-1.tar.gz"]


@pytest.mark.parametrize(
    ("name", "hosts", "csms_url", "reason"),
    [
        ("", ("localhost",), CSMS_URL, "1 to 64 printable characters"),
        ("n" * 65, ("localhost",), CSMS_URL, "1 to 64 printable characters"),
        ("n", ("a b",), CSMS_URL, "'a b' is neither a DNS name nor an IP address"),
        ("n", ("*.com",), CSMS_URL, "neither a DNS name"),
        ("n", ("localhost",), "http://csms/{identity}", "must be `ws://"),
    ],
)
def test_a_refused_authority_leaves_no_trace(name: str, hosts: tuple[str, ...], csms_url: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        make_authority_folder(tmp_path / "ca", name=name, hosts=hosts, csms_url=csms_url, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="isn't an empty folder"):
        _authority(folder)
    with pytest.raises(UsageError, match="isn't an empty folder"):
        _authority(folder / "ca.pem")
    (tmp_path / "empty").mkdir()
    assert (_authority(tmp_path / "empty") / "ca.key").is_file()


def test_an_edge_needs_an_authority(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="ocppress ca init"):
        _edge(tmp_path / "nowhere")
    (folder / "ca.key").write_bytes((folder / "cloud/cloud.key").read_bytes())
    with pytest.raises(UsageError, match="not that of the certificate"):
        _edge(folder)


def test_certificates_are_small_and_valid_as_long_as_they_say() -> None:
    authority = make_authority("ocppress", NOW)
    for credentials, days in (authority, AUTHORITY_DAYS), (issue_cloud(authority, ["localhost"], NOW), LEAF_DAYS):
        assert credentials.certificate.not_valid_after_utc - credentials.certificate.not_valid_before_utc == timedelta(days=days)
        assert credentials.certificate.not_valid_before_utc < NOW
    leaf = issue_edge(authority, "site-0001", NOW).certificate
    assert len(leaf.public_bytes(Encoding.DER)) <= LEAF_BYTES_MAX


# --- what stations need, and what is copied


def _in(file: Path) -> Certificate:
    found = certificate_in(file)
    assert found is not None
    return found


def test_an_edge_for_stations_with_tls_has_all_that_they_need(folder: Path) -> None:
    hosts = ("edge.lan", "192.0.2.7")
    make_edge_folder(folder, "site-1", stations=("CP001",), cloud_url=None, now=NOW, station_hosts=hosts)
    make_edge_folder(folder, "site-2", stations=("*",), cloud_url=None, now=NOW, station_hosts=("::1",))
    first, second = (folder / "edges" / edge for edge in ("site-1", "site-2"))
    assert (
        (first / "stations-ca.pem").read_bytes() == (second / "stations-ca.pem").read_bytes() == (folder / "stations-ca.pem").read_bytes()
    )
    tls = load_edge(first / "edge.toml").stations.tls
    assert tls is not None
    server = station_server_context(certificate_file=tls.certificate_file, key_file=tls.key_file)
    for host in hosts:
        station = ssl.create_default_context(cafile=first / "stations-ca.pem")
        station.verify_flags |= ssl.VERIFY_X509_STRICT
        _handshake(station, server, host)
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            _handshake(ssl.create_default_context(cafile=first / "stations-ca.pem"), server, "cloud.example.com")
    assert _in(first / "station.pem").ends_unix_s <= _in(first / "stations-ca.pem").ends_unix_s
    text = (first / "stations.txt").read_text()
    for said in ("wss://edge.lan:8887/CP001", "wss://192.0.2.7:8887/", "stations-ca.pem", "Security profile     2"):
        assert said in text
    assert "wss://[::1]:8887/IDENTITY" in (second / "stations.txt").read_text()


def test_what_stations_trust_opens_no_link(folder: Path) -> None:
    """A stolen station.key, for a host that is the cloud's."""
    make_edge_folder(folder, "site-1", stations=("CP001",), cloud_url=None, now=NOW, station_hosts=("localhost",))
    poser = _server(folder)
    poser.load_cert_chain(folder / "edges/site-1/station.pem", folder / "edges/site-1/station.key")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(_client(folder), poser, "localhost")


def test_without_a_host_stations_have_no_tls_and_are_told(folder: Path) -> None:
    _edge(folder)
    assert load_edge(folder / "edges/site-1/edge.toml").stations.tls is None
    assert "Security profile     1" in (folder / "edges/site-1/stations.txt").read_text()
    assert not list(folder.rglob("station*.pem"))


def test_a_host_that_is_none_leaves_no_trace(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(UsageError, match="neither a DNS name"):
        make_edge_folder(folder, "site-1", stations=("CP001",), cloud_url=None, now=NOW, station_hosts=("a b",))
    assert sorted(folder.rglob("*")) == before


def test_the_bundle_is_the_edges_folder_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    _edge(folder)
    bundle = folder / "edges/site-1.tar.gz"
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as archive:
        assert {(entry.name, entry.mode, entry.uid, entry.uname) for entry in archive} == {
            (f"site-1/{name}", 0o600 if name == "edge.key" else 0o644, 0, "")
            for name in ("ca.pem", "edge.key", "edge.pem", "edge.toml", "stations.txt")
        }
        archive.extractall(tmp_path / "edge", filter="data")
    assert cli.main(["edge", "--config", str(tmp_path / "edge/site-1/edge.toml"), "--check"]) == cli.OK


# --- pre-shared keys


def test_a_pre_shared_key_is_at_both_ends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ca", "issue", "site-1", "--dir", str(folder), "--stations", "CP001", "--psk"]) == cli.OK
    assert "Python 3.13" in capsys.readouterr().err
    edge, cloud = load_edge(folder / "edges/site-1/edge.toml"), load_cloud(folder / "cloud/cloud.toml")
    (known,) = cloud.edges
    assert edge.link.tls is not None
    assert edge.link.tls.psk_name == known.name
    assert edge.link.tls.psk_file is not None
    assert known.psk_file is not None
    key = edge.link.tls.psk_file.read_text()
    assert known.psk_file.read_text() == key
    assert len(bytes.fromhex(key)) == KEY_BYTES
    assert {file.stat().st_mode & 0o777 for file in (edge.link.tls.psk_file, known.psk_file)} == {0o600}
    with tarfile.open(folder / "edges/site-1.tar.gz") as bundle:
        assert "site-1/edge.psk" in bundle.getnames()
    revoke_edge(folder, "site-1", NOW.date())
    assert not known.psk_file.exists()


def test_an_edge_at_a_broker_has_no_pre_shared_key(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    make_authority_folder(folder, name="test", hosts=("localhost",), csms_url=CSMS_URL, now=NOW, with_broker=True)
    with pytest.raises(UsageError, match="a broker goes by certificates"):
        make_edge_folder(folder, "site-1", stations=("CP001",), cloud_url=None, now=NOW, with_psk=True)
    assert not (folder / "edges/site-1").exists()


@pytest.mark.parametrize("broker", [True, False], ids=["at a broker", "with a pre-shared key"])
def test_an_edge_that_shows_no_certificate_is_renewed_by_hand(broker: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ca"
    make_authority_folder(folder, name="test", hosts=("localhost",), csms_url=CSMS_URL, now=NOW, with_broker=broker)
    make_edge_folder(folder, "site-1", stations=("CP001",), cloud_url=None, now=NOW, with_psk=not broker)
    assert cli.main(["ca", "renew", "site-1", "--dir", str(folder)]) == cli.OK
    own = folder / "edges/site-1/edge-2.pem"
    assert f"{own}: the cloud can't send it" in capsys.readouterr().err
    assert own.exists()
    assert not (folder / "cloud/renewals/site-1.pem").exists()


# --- renewing and revoking


def test_a_renewal_is_for_the_same_key_and_needs_none(folder: Path) -> None:
    _edge(folder)
    home = folder / "edges/site-1"
    (home / "edge.key").rename(folder / "elsewhere.key")
    for number, day in ((2, 1), (3, 2)):
        sent = renew_edge(folder, "site-1", NOW + timedelta(days=day))
        assert sent == folder / "cloud/renewals/site-1.pem"
        assert sent.read_bytes() == (home / f"edge-{number}.pem").read_bytes()
        assert _in(sent).renews(_in(home / "edge.pem"))
    assert _in(home / "edge-3.pem").renews(_in(home / "edge-2.pem"))
    link_client_context(ca_file=home / "ca.pem", certificate_file=home / "edge-3.pem", key_file=folder / "elsewhere.key")
    with pytest.raises(UsageError, match="ocppress ca issue site-9"):
        renew_edge(folder, "site-9", NOW)
    with pytest.raises(UsageError, match="cannot be an edge's name"):
        renew_edge(folder, "../edges/site-1", NOW)


def test_the_clouds_renewal_keeps_its_hosts(folder: Path) -> None:
    _edge(folder)
    before = _in(folder / "cloud/cloud.pem")
    assert renew_cloud(folder, NOW + timedelta(days=1)) == [folder / "cloud/cloud.pem"]
    assert _in(folder / "cloud/cloud.pem").renews(before)
    assert _in(folder / "cloud/cloud-old.pem") == before
    for host in ("localhost", "127.0.0.1", "::1"):
        _handshake(_client(folder), _server(folder), host)


def test_a_revoked_edge_is_on_the_list_with_all_its_certificates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edge(folder)
    _edge(folder, "site-2", ("CP3",))
    home = folder / "edges/site-1"
    renew_edge(folder, "site-1", NOW + timedelta(days=1))
    certificates = [_in(home / "edge.pem"), _in(home / "edge-2.pem")]
    listed = revoke_edge(folder, "site-1", date(2026, 3, 1))
    assert listed == folder / "cloud/revoked.txt"
    revoked = RevokedKeys(listed)
    assert all(certificate in revoked for certificate in certificates)
    assert _in(folder / "edges/site-2/edge.pem") not in revoked
    assert all(certificate.serial_hex in listed.read_text() for certificate in certificates), "for people"
    assert [entry.name for entry in load_cloud(folder / "cloud/cloud.toml").edges] == ["site-2"]
    assert sorted(entry.name for entry in (folder / "edges").iterdir()) == ["site-2", "site-2.tar.gz"]
    assert list((folder / "cloud/renewals").iterdir()) == []
    assert (folder / "revoked" / f"site-1-{certificates[0].serial_hex}" / "edge.key").is_file()
    # The name is free again, for another key; the list holds on.
    _edge(folder)
    assert _in(home / "edge.pem") not in RevokedKeys(listed)
    revoke_edge(folder, "site-1", date(2026, 3, 2))
    assert certificates[0] in RevokedKeys(listed)
    assert cli.main(["ca", "revoke", "site-1", "--dir", str(folder)]) == cli.USAGE
    assert "isn't there" in capsys.readouterr().err


def test_at_a_broker_nobody_is_promised_what_a_cloud_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ca"
    make_authority_folder(folder, name="test", hosts=("localhost",), csms_url=CSMS_URL, now=NOW, with_broker=True)
    _edge(folder)
    before = {name: _in(folder / name / f"{name}.pem") for name in ("cloud", "broker")}
    assert renew_cloud(folder, NOW + timedelta(days=1)) == [folder / "cloud/cloud.pem", folder / "broker/broker.pem"]
    assert all(_in(folder / name / f"{name}.pem").renews(old) for name, old in before.items())
    assert cli.main(["ca", "revoke", "site-1", "--dir", str(folder)]) == cli.OK
    assert "Let the broker refuse site-1" in capsys.readouterr().err
    assert load_cloud(folder / "cloud/cloud.toml").edges == ()
    file = folder / "cloud/cloud.toml"
    (folder / "cloud/revoked.txt").touch()
    file.write_text(file.read_text().replace("#revoked_file =", 'revoked_file = "revoked.txt"'))
    with pytest.raises(ConfigError, match="not for a cloud at a broker"):
        load_cloud(file)


def test_an_authority_without_a_list_says_what_to_add(folder: Path) -> None:
    _edge(folder)
    file = folder / "cloud/cloud.toml"
    file.write_text(file.read_text().replace("revoked_file =", "#revoked_file ="))
    with pytest.raises(UsageError, match=r'add revoked_file = "revoked\.txt"'):
        revoke_edge(folder, "site-1", date(2026, 3, 1))
    assert (folder / "edges/site-1").is_dir()


def test_an_entry_goes_and_nothing_else_does(folder: Path) -> None:
    file = folder / "cloud/cloud.toml"
    entries = [
        '[[edges]]\nname = "one" # the first\nstations = ["CP1"]\n',
        '[[edges]]  # in another order\nstations = [\n  "CP2", # here\n  "CP3",\n]\n\n# with a remark\nname = "two"\n',
        '[[edges]]\nname = "three"\nstations = ["CP4"]\n',
    ]
    head = file.read_text() + "\n# mine\n"
    tail = "\n# of all\n[timeouts]\nlink_grace_s = 5.0\n"
    head = head.replace("[timeouts]\n", "")
    text = head + "\n# before\n".join(entries) + tail
    for number, name in enumerate(("one", "two", "three")):
        kept = without_edge(text, name, file)
        assert kept == text.replace(entries[number], "")
    assert without_edge(text, "four", file) == text
    for intricate in (
        'edges = [{ name = "one", stations = ["CP1"] }]\n' + head + tail,
        head + '[[ edges ]]\nname = "one"\nstations = ["CP1"]\n',
    ):
        with pytest.raises(UsageError, match="too intricate"):
            without_edge(intricate, "one", file)


def test_cloud_toml_reads_what_the_cloud_needs_to_renew_and_refuse() -> None:
    assert tomllib.loads(cloud_toml(CSMS_URL))["link"]["tls"] == {
        "ca_file": "ca.pem",
        "certificate_file": "cloud.pem",
        "key_file": "cloud.key",
        "revoked_file": "revoked.txt",
        "renewals_folder": "renewals",
    }


# --- handshakes


def test_both_ends_accept_each_other(folder: Path) -> None:
    _edge(folder)
    for host in ("localhost", "127.0.0.1", "::1"):
        edge, cloud = _handshake(_client(folder), _server(folder), host)
        assert (edge.version(), cloud.version()) == ("TLSv1.3", "TLSv1.3")
        certificate = cloud.getpeercert()
        assert certificate is not None
        assert certificate["subject"] == ((("commonName", "site-1"),),)


def test_the_edge_refuses_a_cloud_of_another_name(folder: Path) -> None:
    _edge(folder)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(_client(folder), _server(folder), "cloud.example.com")


def test_the_edge_refuses_a_cloud_of_another_authority(folder: Path, tmp_path: Path) -> None:
    _edge(folder)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(_client(folder), _server(_authority(tmp_path / "other")), "localhost")


def test_the_cloud_refuses_an_edge_of_another_authority(folder: Path, tmp_path: Path) -> None:
    other = _authority(tmp_path / "other")
    _edge(other)
    client = _client(other)
    client.load_verify_locations(folder / "ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(client, _server(folder), "localhost")


def test_an_edge_cannot_pose_as_a_cloud(folder: Path) -> None:
    _edge(folder)
    _edge(folder, "localhost", ("CP3",))
    poser = _server(folder)
    poser.load_cert_chain(folder / "edges/localhost/edge.pem", folder / "edges/localhost/edge.key")
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        _handshake(_client(folder), poser, "localhost")


def _client(folder: Path) -> ssl.SSLContext:
    tls = load_edge(folder / "edges/site-1/edge.toml").link.tls
    assert tls is not None
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def _server(folder: Path) -> ssl.SSLContext:
    tls = load_cloud(folder / "cloud/cloud.toml").link.tls
    assert tls is not None
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _strict(context: ssl.SSLContext, tls: LinkTls) -> ssl.SSLContext:
    """With what Python 3.13 checks by default, on any version."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(tls.ca_file)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a whole handshake in memory; raises what the end that refused raised."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    edge = client.wrap_bio(down, up, server_hostname=host)
    cloud = server.wrap_bio(up, down, server_side=True)
    waiting = [edge, cloud]
    for _ in range(4):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    assert not waiting, "the handshake never ended"
    return edge, cloud
