"""The folder of a certification authority, with a folder to copy to each machine.

    ca.key  ca.pem                  the authority; the key is needed to issue and nowhere else
    cloud/                          for the cloud:      cloud.toml  cloud.pem  cloud.key  ca.pem  revoked.txt  renewals/
    broker/                         for a mosquitto, if edges and cloud meet at one:
                                                         mosquitto.conf  acl  broker.pem  broker.key  ca.pem
    edges/EDGE/                     for that edge:      edge.toml   edge.pem   edge.key   ca.pem  stations.txt
                                    and the entry for cloud.toml, already in the one above:  cloud-entry.toml
                                    after renewals:     edge-2.pem, …
                                    with --psk:         edge.psk, the same as cloud/psk/EDGE.psk
    edges/EDGE.tar.gz               the same without that entry, to copy
    stations-ca.key  .pem           a second authority, for what stations are to trust: made when the first edge gets a certificate for them,
                                    station.pem, station.key, stations-ca.pem in its folder. What it signs opens no link.
    revoked/                        folders of edges that are locked out

A folder is made under another name, read as its program will read it, and only then renamed: it is there whole or not at all, and
nothing is overwritten.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from ocppress_gateway.config import CloudConfig, EdgeConfig, cloud_from, load_cloud, load_edge
from ocppress_gateway.config_text import commented_toml, edges_entry
from ocppress_gateway.core.broker_topics import TLS_PORT, Topics
from ocppress_gateway.core.identity import CLOUD_NAME, EDGE_NAME_PATTERN, IDENTITY_PATTERN
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.provisioning.certificates import (
    Credentials,
    issue_cloud,
    issue_edge,
    issue_station_server,
    make_authority,
    read_credentials,
)
from ocppress_gateway.provisioning.mosquitto import access_list, mosquitto_conf
from ocppress_gateway.provisioning.stations import stations_text

__all__ = [
    "PSK_FILE",
    "PSK_FOLDER",
    "RENEWALS_FOLDER",
    "REVOKED_FILE",
    "check_edge_name",
    "checked",
    "cloud_toml",
    "edge_toml",
    "make_authority_folder",
    "make_edge_folder",
    "read_pair",
    "replace",
]

REVOKED_FILE: Final = "revoked.txt"
RENEWALS_FOLDER: Final = "renewals"
PSK_FILE: Final = "edge.psk"
"""The pre-shared key in an edge's folder."""
PSK_FOLDER: Final = "psk"
"""Those of all edges in the cloud's."""
_PSK_BYTES: Final = 32
"""What the programs take: as much as the hash of the cipher suites has."""
_STATIONS_CA: Final = "stations-ca"
_REVOKED_HEADING: Final = """\
# Edges that are locked out, each by the SHA-256 of its key, which all its certificates have. `ocppress ca revoke` adds to this; a cloud that runs
# reads it again when it has changed, and ends what is connected within a minute.
"""


def make_authority_folder(
    folder: Path, *, name: str, hosts: Sequence[str], csms_url: str, now: datetime, with_broker: bool = False
) -> None:
    """A new authority called `name`, and the folder of a cloud that edges reach under `hosts`; or of a broker that edges and cloud reach
    there. Raises `UsageError`."""
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise UsageError("the authority's name must have 1 to 64 printable characters")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and isn't an empty folder; nothing was changed")
    authority = make_authority(name, now)
    try:
        server = issue_cloud(authority, hosts, now)
    except ValueError as error:
        raise UsageError(str(error)) from error
    with _whole(folder) as new:
        _write_pair(new, "ca", authority)
        cloud = new / "cloud"
        cloud.mkdir()
        broker_url = None
        if with_broker:
            if hosts[0].startswith("*"):
                raise UsageError(f"a broker has one name for all edges, not {hosts[0]!r}")
            broker_url = _url("mqtts", hosts[0], TLS_PORT)
            broker = new / "broker"
            broker.mkdir()
            _write_pair(broker, "broker", server)
            _write(broker / "ca.pem", authority.certificate_pem)
            _write(broker / "acl", access_list(Topics()).encode())
            _write(broker / "mosquitto.conf", mosquitto_conf(port=TLS_PORT, folder=".").encode())
            _write_pair(cloud, "cloud", issue_edge(authority, CLOUD_NAME, now))
        else:
            _write_pair(cloud, "cloud", server)
        _write(cloud / "ca.pem", authority.certificate_pem)
        if not with_broker:
            _write(cloud / REVOKED_FILE, _REVOKED_HEADING.encode())
            (cloud / RENEWALS_FOLDER).mkdir()
        _write(cloud / "cloud.toml", cloud_toml(csms_url, broker=broker_url).encode())
        (new / "edges").mkdir()
        checked(lambda: load_cloud(cloud / "cloud.toml"))


def make_edge_folder(
    folder: Path,
    edge: str,
    *,
    stations: Sequence[str],
    cloud_url: str | None,
    now: datetime,
    station_hosts: Sequence[str] = (),
    with_psk: bool = False,
) -> str:
    """A key, a certificate and a configuration for a new edge, and its entry in `cloud.toml`, which is returned.

    `cloud_url` None is the first name in the cloud's certificate, the edge's in place of a `*`, and the port in `cloud.toml`.
    `station_hosts`: under which stations reach the edge, for a certificate that they can trust; without, stations have no TLS. `with_psk`: a
    pre-shared key for both ends, too. Raises `UsageError`, or `ConfigError` if `cloud.toml` cannot be used.
    """
    check_edge_name(edge)
    for identity in stations:
        if not re.match(IDENTITY_PATTERN, identity):
            raise UsageError(f"{identity!r} cannot be a station's identity: 1 to 48 letters, digits and *+=:|@._-, or '*' alone for any")
    target = folder / "edges" / edge
    bundle = _bundle_of(target)
    for place in target, bundle:
        if place.exists():
            raise UsageError(f"{place} is there already; nothing was changed")
    authority = read_pair(folder, "ca")
    cloud_file = folder / "cloud" / "cloud.toml"
    link = load_cloud(cloud_file).link
    if link.broker is None:
        url = _cloud_url(cloud_url, read_pair(folder / "cloud", "cloud").names, link.port, edge)
    else:
        url = _cloud_url(cloud_url or link.broker, read_pair(folder / "broker", "broker").names, link.port, edge)
    entry = edges_entry(edge, stations, f"{PSK_FOLDER}/{edge}.psk" if with_psk else None)
    cloud_text = cloud_file.read_text() + entry
    checked(lambda: cloud_from(tomllib.loads(cloud_text), cloud_file))
    with _whole(target) as new:
        _write_pair(new, "edge", issue_edge(authority, edge, now))
        _write(new / "ca.pem", authority.certificate_pem)
        if with_psk:
            key = f"{secrets.token_hex(_PSK_BYTES)}\n".encode()
            _write(new / PSK_FILE, key, mode=0o600)
        if station_hosts:
            _write_station_pair(folder, new, authority, station_hosts, now)
        text = edge_toml(
            url, edge if link.broker is not None else None, station_tls=bool(station_hosts), psk_name=edge if with_psk else None
        )
        _write(new / "edge.toml", text.encode())
        config = checked(lambda: load_edge(new / "edge.toml"))
        ca_file = f"{_STATIONS_CA}.pem" if station_hosts else None
        _write(new / "stations.txt", stations_text(edge, stations, station_hosts, config.stations.port, ca_file).encode())
        _write_bundle(bundle, new, edge)
        _write(new / "cloud-entry.toml", entry.encode())
        if with_psk:
            (folder / "cloud" / PSK_FOLDER).mkdir(mode=0o700, exist_ok=True)
            replace(folder / "cloud" / PSK_FOLDER / f"{edge}.psk", key, mode=0o600)
    replace(cloud_file, cloud_text.encode())
    return entry


def check_edge_name(edge: str) -> None:
    """Raise `UsageError` for what isn't one."""
    if not re.match(EDGE_NAME_PATTERN, edge):
        raise UsageError(
            f"{edge!r} cannot be an edge's name: 1 to 32 letters, digits, dots, hyphens and underscores, a letter or digit first"
        )
    if edge == CLOUD_NAME:
        raise UsageError(f"{edge!r} cannot be an edge's name: at a broker it is the cloud's")


def edge_toml(cloud_url: str, edge: str | None = None, *, station_tls: bool = False, psk_name: str | None = None) -> str:
    """`edge.toml` of an edge whose certificate and key stand beside it; at a broker, `edge` is its name; with `station_tls`, those for stations, too, and
    with `psk_name` a pre-shared key of that name."""
    tls = _tls("edge") | ({} if psk_name is None else {"psk_file": PSK_FILE, "psk_name": psk_name})
    values: dict[str, Any] = {"link": {"url": cloud_url, "tls": tls} | ({} if edge is None else {"edge": edge})}
    if station_tls:
        values["stations"] = {"tls": {"certificate_file": "station.pem", "key_file": "station.key"}}
    return commented_toml(EdgeConfig, values, "ocppress edge\nWhat has no value here stands commented out, with its default.")


def cloud_toml(csms_url: str, edges: Sequence[tuple[str, Sequence[str]]] = (), *, broker: str | None = None) -> str:
    """`cloud.toml` of a cloud whose certificate and key stand beside it, with the `edges` and their stations that may connect, at a `broker` if
    it has one."""
    entries = [{"name": name, "stations": stations} for name, stations in edges]
    if broker is None:
        link: dict[str, Any] = {"tls": _tls("cloud") | {"revoked_file": REVOKED_FILE, "renewals_folder": RENEWALS_FOLDER}}
    else:
        link = {"tls": _tls("cloud"), "broker": broker}
    values = {"link": link, "csms": {"url": csms_url}, "edges": entries}
    return commented_toml(CloudConfig, values, "ocppress cloud\nWhat has no value here stands commented out, with its default.")


def _tls(end: str) -> dict[str, str]:
    return {"ca_file": "ca.pem", "certificate_file": f"{end}.pem", "key_file": f"{end}.key"}


def _url(scheme: str, host: str, port: int | None) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}/"


def _cloud_url(url: str | None, names: Sequence[str], port: int, edge: str) -> str:
    if url is None:
        first = names[0]
        if first.startswith("*") and not _LABEL.fullmatch(edge):
            raise UsageError(f"{edge!r} can't be the edge's own name in {first}, which has letters, digits and hyphens: say --cloud-url")
        return _url("wss", first.replace("*", edge.lower(), 1), port)
    try:
        host = urlsplit(url).hostname or ""
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from None
    known = {name.lower() for name in names}
    if host not in known and f"*.{host.partition('.')[2]}" not in known:
        raise UsageError(f"the certificate there is for {', '.join(names)}, not for {host!r}: the edge would refuse it")
    return url


_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
"""What may stand in place of the `*` in a name."""


Config = TypeVar("Config", CloudConfig, EdgeConfig)


def checked(load: Callable[[], Config]) -> Config:
    """Read a configuration made from what the user typed, and blame that, not a file that nobody has seen."""
    try:
        return load()
    except ConfigError as error:
        raise UsageError(error.reason + (f" (at {error.place})" if error.place else "")) from None


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A new folder, mode 0700, that is renamed to `folder` in the end, or gone if anything failed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        yield new
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new)
        raise


def _write_station_pair(folder: Path, new: Path, authority: Credentials, hosts: Sequence[str], now: datetime) -> None:
    """A certificate for stations, of the second authority, which is made with the first. One authority for both could be used to pose as the cloud."""
    is_new = not (folder / f"{_STATIONS_CA}.pem").exists()
    own_name = authority.certificate.subject.rfc4514_string().removeprefix("CN=")
    stations = make_authority(f"{own_name[:50]} stations", now) if is_new else read_pair(folder, _STATIONS_CA)
    try:
        server = issue_station_server(stations, hosts, now)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if is_new:
        replace(folder / f"{_STATIONS_CA}.key", stations.key_pem, mode=0o600)
        replace(folder / f"{_STATIONS_CA}.pem", stations.certificate_pem)
    _write_pair(new, "station", server)
    _write(new / f"{_STATIONS_CA}.pem", stations.certificate_pem)


def _bundle_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.tar.gz")


def _write_bundle(bundle: Path, folder: Path, edge: str) -> None:
    """One file with the edge's folder, for its owner alone: there is a key in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, arcname=f"{edge}/{file.name}", filter=_nobodys)
    replace(bundle, buffer.getvalue(), mode=0o600)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who made it, which is nobody's business at the edge."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def replace(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all, over what is there."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    _write(new, data, mode=mode)
    new.replace(file)


def _write_pair(folder: Path, name: str, credentials: Credentials) -> None:
    _write(folder / f"{name}.key", credentials.key_pem, mode=0o600)
    _write(folder / f"{name}.pem", credentials.certificate_pem)


def read_pair(folder: Path, name: str) -> Credentials:
    """A key and its certificate in an authority's folder. Raises `UsageError`."""
    try:
        return read_credentials((folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes())
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; `ocppress ca init` makes this folder") from error
    except ValueError as error:
        raise UsageError(f"{folder / name}.key and .pem cannot be used: {error}") from error


def _write(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
        output.write(data)
