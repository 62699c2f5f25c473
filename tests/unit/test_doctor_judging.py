"""What the doctor makes of facts that a test machine doesn't have."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from ocppress_gateway.doctor import judging, judging_running, judging_way
from ocppress_gateway.doctor.facts import BrokerAnswer, CertificateFacts, ClockFacts, CsmsAnswer, FolderFacts, Peer, PortFacts, Running
from ocppress_gateway.doctor.findings import Finding, Verdict
from ocppress_gateway.reaching import LookUp, Tcp, TcpFailure, Tls, TlsFailure

DAY_S = 86_400.0
NOW = 1_800_000_000.0

FOLDER = FolderFacts(
    path="/var/lib/ocppress",
    socket_path_bytes=30,
    exists=True,
    is_folder=True,
    writable=True,
    on_read_only=False,
    owner="ocppress",
    asker="ocppress",
    asker_is_root=False,
    others_may_look=False,
    free_bytes=10**9,
    has_inodes=True,
    file_system="ext4",
)
CERTIFICATE = CertificateFacts(
    file="edge.pem",
    key_file="edge.key",
    ca_file="ca.pem",
    name="site-1",
    starts_unix_s=NOW - 100 * DAY_S,
    renew_from_unix_s=NOW + 100 * DAY_S,
    ends_unix_s=NOW + 200 * DAY_S,
)


def _is(finding: Finding, verdict: Verdict, *words: str) -> None:
    assert finding.verdict is verdict, finding
    assert bool(finding.remedy) is (verdict in (Verdict.WARN, Verdict.FAIL)), finding
    assert [word for word in words if word not in f"{finding.found} / {finding.remedy}"] == [], finding


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, Verdict.PASS, "writable by ocppress, 1.00 GB free, ext4"),
        ({"exists": False}, Verdict.PASS, "isn't there yet"),
        ({"is_folder": False}, Verdict.FAIL, "is a file"),
        ({"file_system": "overlay"}, Verdict.WARN, "mount a volume"),
        ({"file_system": "tmpfs"}, Verdict.WARN, "doesn't last"),
        ({"file_system": "nfs4"}, Verdict.FAIL, "SQLite"),
        ({"file_system": "vfat"}, Verdict.WARN, "no owners"),
        ({"file_system": ""}, Verdict.PASS, "writable"),
        ({"free_bytes": 50 * 10**6}, Verdict.WARN, "what is stored may take 100 MB"),
        ({"free_bytes": 5 * 10**6}, Verdict.FAIL, "make room"),
        ({"has_inodes": False}, Verdict.FAIL, "no inode left"),
        ({"asker": "root", "asker_is_root": True}, Verdict.PASS, "looked at as root"),
        ({"socket_path_bytes": 108}, Verdict.FAIL, "shorter"),
    ],
)
def test_folders(change: dict[str, object], verdict: Verdict, words: str) -> None:
    _is(judging.folder(replace(FOLDER, **change), needs_bytes=100 * 10**6), verdict, words)  # type: ignore[arg-type]


def test_clocks() -> None:
    facts = ClockFacts(unix_s=NOW, synchronised=True, newest_file_unix_s=NOW - 5)
    _is(judging.clock(facts, certificate_starts_unix_s=NOW - DAY_S), Verdict.PASS, "kept right")
    _is(judging.clock(replace(facts, synchronised=None), certificate_starts_unix_s=None), Verdict.PASS)
    _is(judging.clock(replace(facts, synchronised=False), certificate_starts_unix_s=None), Verdict.WARN, "timedatectl")
    _is(judging.clock(facts, certificate_starts_unix_s=NOW + 1), Verdict.FAIL, "no TLS is possible", "chrony")
    _is(judging.clock(replace(facts, newest_file_unix_s=NOW + 2 * 3600), certificate_starts_unix_s=None), Verdict.FAIL, "gone back")
    for offset_s, verdict in (0.0, Verdict.PASS), (-59.9, Verdict.PASS), (60.0, Verdict.WARN), (-DAY_S, Verdict.FAIL), (None, Verdict.SKIP):
        assert judging.offset("clock against the cloud", offset_s, "the cloud").verdict is verdict


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, Verdict.PASS, "until 2027"),
        ({"is_renewal": True}, Verdict.PASS, "renewed over the link"),
        ({"renew_from_unix_s": NOW - 1}, Verdict.WARN, "last third"),
        ({"ca_ends_unix_s": NOW - 1}, Verdict.FAIL, "its authority"),
        ({"not_of_ca": True}, Verdict.FAIL, "copy certificate, key and `ca.pem`"),
        ({"hosts": ("a.example",)}, Verdict.FAIL, "isn't for b.example"),
        ({"hosts": ("a.example", "b.example")}, Verdict.PASS, "b.example"),
    ],
)
def test_certificates(change: dict[str, object], verdict: Verdict, words: str) -> None:
    host = "b.example" if "hosts" in change else None
    facts = replace(CERTIFICATE, **change)  # type: ignore[arg-type]
    _is(judging.certificate("link certificate", facts, unix_s=NOW, host=host, renews="renew it"), verdict, words)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (PortFacts(host="::", port=8887, free=True), Verdict.PASS, "is free"),
        (PortFacts(host="::", port=8887, free=False, error="EADDRINUSE", held_by_ours=True), Verdict.PASS, "the running program's"),
        (PortFacts(host="::", port=8887, free=False, error="EADDRINUSE"), Verdict.FAIL, "ss -ltnp"),
        (PortFacts(host="::", port=80, free=False, error="EACCES"), Verdict.FAIL, "CAP_NET_BIND_SERVICE"),
        (PortFacts(host="x", port=80, free=False, error="Name or service not known"), Verdict.FAIL, "Name or service"),
    ],
)
def test_ports(facts: PortFacts, verdict: Verdict, words: str) -> None:
    _is(judging.port("station listener", facts, setting="[stations]"), verdict, words)


def test_open_files() -> None:
    # 64, 2 for each of 1000 edges, 1 for each of 3000 stations.
    judge = partial(judging.files, edges=1000, stations=3000, any_station=False, of_running=True)
    _is(judge(5063), Verdict.FAIL, "need 5,064", "LimitNOFILE")
    _is(judge(5064), Verdict.WARN, "restart")
    _is(judge(10_128), Verdict.PASS)
    _is(judge(None), Verdict.PASS)


def test_what_costs_bytes() -> None:
    _is(judging.timestamps("packets", on=True, at_cloud=False), Verdict.WARN, "cloud's host")
    _is(judging.timestamps("packets", on=True, at_cloud=True), Verdict.WARN, "tcp_timestamps=0` here")
    _is(judging.timestamps("packets", on=False, at_cloud=True), Verdict.PASS)
    _is(judging.timestamps("packets", on=None, at_cloud=True), Verdict.SKIP)
    _is(judging.interface(None, readable=False, used=""), Verdict.WARN, "ip route get")
    _is(judging.interface("wwan0", readable=True, used="eth0"), Verdict.WARN, 'interface = "eth0"')
    _is(judging.interface("wwan0", readable=True, used=""), Verdict.PASS)
    _is(judging.interface("wwan0", readable=False, used=""), Verdict.FAIL)
    running = Running(data={"month": {"percent": 81.5}}, is_running=True)
    _is(judging_running.budget(25.0, is_set=False, running=Running()), Verdict.WARN, "budget_mb")
    _is(judging_running.budget(5.0, is_set=True, running=running), Verdict.WARN, "81.5 % used")
    _is(judging_running.budget(5.0, is_set=True, running=Running()), Verdict.PASS)


def test_running_edges() -> None:
    data = {"version": "1", "uptime_s": 60.0, "link": {"up_s": 50.0}, "outbox": {"trouble": None}, "stations": []}
    up = Running(data=data, is_running=True)
    _is(judging_running.edge_runs(up, version="1"), Verdict.PASS, "link up for 50 s")
    _is(judging_running.edge_runs(up, version="2"), Verdict.WARN, "restart it")
    down = Running(data={**data, "link": {"up_s": None, "down_s": 7.0, "connections": 2}}, is_running=True)
    _is(judging_running.edge_runs(down, version="1"), Verdict.FAIL, "down for 7 s")
    broken = Running(data={**data, "outbox": {"trouble": "disk I/O error"}}, is_running=True)
    _is(judging_running.edge_runs(broken, version="1"), Verdict.FAIL, "disk I/O error")
    _is(judging_running.edge_runs(Running(why_not="no edge is running"), version="1"), Verdict.WARN, "start it")
    _is(judging_running.edge_runs(Running(why_not="the edge doesn't answer", is_running=True), version="1"), Verdict.FAIL)
    _is(judging_running.stations(up), Verdict.WARN, "none has connected")
    one = {"identity": "CP1", "state": "absent"}
    _is(judging_running.stations(Running(data={**data, "stations": [one]})), Verdict.WARN, "CP1 (absent)")
    here = [{"identity": f"CP{number}", "state": "admitted"} for number in range(10)]
    _is(judging_running.stations(Running(data={**data, "stations": here})), Verdict.PASS, "and 2 more")
    heard = [{**here[0], "heard_s": 90_000.0}, {**here[1], "heard_s": 80_000.0}, here[2], {**one, "identity": "X", "heard_s": 90_000.0}]
    silent = judging_running.stations(Running(data={**data, "stations": heard}))
    _is(silent, Verdict.WARN, "nothing heard for a day or more of CP0", "restart it")
    assert silent.fields["silent"] == ["CP0"]
    longer = judging_running.stations(Running(data={**data, "uptime_s": 86_400.0, "stations": heard}))
    assert longer.fields["silent"] == ["CP0", "CP2"], "connected for a day, and never heard"


def test_running_clouds() -> None:
    data = {
        "version": "1",
        "uptime_s": 60.0,
        "edges": [{"up_s": 1.0}, {"up_s": None}],
        "stations": [{"state": "open"}, {"state": "waiting"}],
    }
    _is(judging_running.cloud_runs(Running(data=data), version="1"), Verdict.PASS, "1 of 2 edges", "1 of 2 CSMS sockets")
    silent = [{"identity": "CP1", "state": "open", "heard_s": 90_000.0}, {"identity": "CP2", "state": "waiting", "heard_s": 90_000.0}]
    found = judging_running.cloud_runs(Running(data={**data, "stations": silent}), version="1")
    _is(found, Verdict.WARN, "nothing heard for a day or more of CP1", "their edges'")
    assert (found.fields["silent"], "CP2" in found.found) == (1, False)
    _is(judging_running.cloud_runs(Running(data={**data, "dead_letters": 3}), version="1"), Verdict.WARN, "ocppress dead list")
    _is(judging_running.cloud_runs(Running(data={**data, "positions": {"trouble": "full"}}), version="1"), Verdict.FAIL, "full")
    _is(judging_running.cloud_runs(Running(data={**data, "stations": [{"state": "waiting"}]}), version="1"), Verdict.FAIL, "takes none")


@pytest.mark.parametrize("peer", Peer)
@pytest.mark.parametrize("failure", TcpFailure)
def test_each_failure_of_tcp_has_its_words(peer: Peer, failure: TcpFailure) -> None:
    found = Tcp(address="192.0.2.1", port=1, took_s=30.0, failure=failure, detail="Network is unreachable")
    _is(judging_way.reached(found, peer), Verdict.FAIL, "192.0.2.1 port 1")


@pytest.mark.parametrize("peer", Peer)
@pytest.mark.parametrize("failure", TlsFailure)
def test_each_failure_of_tls_has_its_words(peer: Peer, failure: TlsFailure) -> None:
    for shown in (None, CERTIFICATE):
        found = Tls(host="a.example", took_s=30.0, failure=failure, detail="because")
        finding = judging_way.secured(found, peer, shown, unix_s=NOW, setting="`[link] url`")
        _is(finding, Verdict.FAIL)
        assert "{" not in finding.remedy


def test_ways_that_are_good() -> None:
    _is(judging_way.looked_up(LookUp(host="a", addresses=("192.0.2.1",), took_s=0.1), setting="x"), Verdict.PASS, "192.0.2.1")
    _is(judging_way.looked_up(LookUp(host="a", failure="no answer"), setting="`[csms] url`"), Verdict.FAIL, "`[csms] url`")
    tls = Tls(host="a", took_s=0.1, version="TLSv1.3")
    _is(judging_way.secured(tls, Peer.CLOUD, None, unix_s=NOW, setting="x"), Verdict.PASS)
    due = replace(CERTIFICATE, renew_from_unix_s=NOW - 1)
    _is(judging_way.secured(tls, Peer.CLOUD, due, unix_s=NOW, setting="x"), Verdict.WARN, "ocppress ca renew --cloud")
    _is(judging_way.secured(tls, Peer.CSMS, due, unix_s=NOW, setting="x"), Verdict.PASS)


def test_brokers() -> None:
    good = BrokerAnswer(name="site-1", prefix="x/", cloud_is="here", aliases=10)
    _is(judging_way.broker(good, is_edge=True), Verdict.PASS, "the cloud is there")
    _is(judging_way.broker(replace(good, aliases=0), is_edge=True), Verdict.WARN, "Topic Alias Maximum")
    _is(judging_way.broker(replace(good, aliases=0), is_edge=False), Verdict.PASS)
    _is(judging_way.broker(replace(good, cloud_is="gone"), is_edge=True), Verdict.FAIL, "the cloud has gone")
    _is(judging_way.broker(replace(good, not_published="x/u/1/site-1"), is_edge=True), Verdict.FAIL, "publish to `x/u/+/site-1`")
    for reason, helps in (
        ("Server busy", "try again"),
        ("Bad user name or password", "use_identity_as_username"),
        ("Whatever", "log says why"),
    ):
        _is(judging_way.broker(BrokerAnswer(name="site-1", refused=reason), is_edge=True), Verdict.FAIL, reason, helps)


def test_a_csms_that_forgets_the_sub_protocol() -> None:
    _is(judging_way.upgraded(CsmsAnswer(url="ws://x/1", status=101)), Verdict.WARN, "ocpp1.6")
    _is(judging_way.upgraded(CsmsAnswer(url="ws://x/1", status=101, subprotocol="ocpp1.6")), Verdict.PASS)
