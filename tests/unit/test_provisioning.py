from __future__ import annotations

import ssl
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ocppress_gateway import cli
from ocppress_gateway.config import LinkTls, load_cloud, load_edge
from ocppress_gateway.errors import UsageError
from ocppress_gateway.provisioning.certificates import AUTHORITY_DAYS, LEAF_DAYS, issue_cloud, issue_edge, make_authority, read_credentials
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder

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
    assert [entry.name for entry in (folder / "edges").iterdir()] == ["site-1"]


@pytest.mark.parametrize(
    ("name", "hosts", "csms_url", "reason"),
    [
        ("", ("localhost",), CSMS_URL, "1 to 64 printable characters"),
        ("n" * 65, ("localhost",), CSMS_URL, "1 to 64 printable characters"),
        ("n", ("a b",), CSMS_URL, "'a b' is neither a DNS name nor an IP address"),
        ("n", ("*.example.com",), CSMS_URL, "neither a DNS name"),
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
