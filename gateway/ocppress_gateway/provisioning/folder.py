"""The folder of a certification authority, with a folder to copy to each machine.

    ca.key  ca.pem                  the authority; the key is needed to issue and nowhere else
    cloud/                          for the cloud:      cloud.toml  cloud.pem  cloud.key  ca.pem
    broker/                         for a mosquitto, if edges and cloud meet at one:
                                                        mosquitto.conf  acl  broker.pem  broker.key  ca.pem
    edges/EDGE/                     for that edge:      edge.toml   edge.pem   edge.key   ca.pem
                                    and the entry for cloud.toml, already in the one above:  cloud-entry.toml

A folder is made under another name, read as its program will read it, and only then renamed: it is there whole or not at all, and
nothing is overwritten.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from ocppress_gateway.config import CloudConfig, EdgeConfig, cloud_from, load_cloud, load_edge
from ocppress_gateway.config_text import commented_toml, edges_entry
from ocppress_gateway.core.broker_topics import TLS_PORT, Topics
from ocppress_gateway.core.identity import CLOUD_NAME, EDGE_NAME_PATTERN, IDENTITY_PATTERN
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.provisioning.certificates import Credentials, issue_cloud, issue_edge, make_authority, read_credentials
from ocppress_gateway.provisioning.mosquitto import access_list, mosquitto_conf

__all__ = ["cloud_toml", "edge_toml", "make_authority_folder", "make_edge_folder"]


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
        _write(cloud / "cloud.toml", cloud_toml(csms_url, broker=broker_url).encode())
        (new / "edges").mkdir()
        _checked(lambda: load_cloud(cloud / "cloud.toml"))


def make_edge_folder(folder: Path, edge: str, *, stations: Sequence[str], cloud_url: str | None, now: datetime) -> str:
    """A key, a certificate and a configuration for a new edge, and its entry in `cloud.toml`, which is returned.

    `cloud_url` None is the first name in the cloud's certificate and the port in `cloud.toml`. Raises `UsageError`, or `ConfigError` if
    `cloud.toml` cannot be used.
    """
    if not re.match(EDGE_NAME_PATTERN, edge):
        raise UsageError(
            f"{edge!r} cannot be an edge's name: 1 to 32 letters, digits, dots, hyphens and underscores, a letter or digit first"
        )
    if edge == CLOUD_NAME:
        raise UsageError(f"{edge!r} cannot be an edge's name: at a broker it is the cloud's")
    for identity in stations:
        if not re.match(IDENTITY_PATTERN, identity):
            raise UsageError(f"{identity!r} cannot be a station's identity: 1 to 48 letters, digits and *+=:|@._-, or '*' alone for any")
    target = folder / "edges" / edge
    if target.exists():
        raise UsageError(f"{target} is there already; nothing was changed")
    authority = _read_pair(folder, "ca")
    cloud_file = folder / "cloud" / "cloud.toml"
    link = load_cloud(cloud_file).link
    if link.broker is None:
        url = _cloud_url(cloud_url, _read_pair(folder / "cloud", "cloud").names, link.port)
    else:
        url = _cloud_url(cloud_url or link.broker, _read_pair(folder / "broker", "broker").names, link.port)
    entry = edges_entry(edge, stations)
    cloud_text = cloud_file.read_text() + entry
    _checked(lambda: cloud_from(tomllib.loads(cloud_text), cloud_file))
    with _whole(target) as new:
        _write_pair(new, "edge", issue_edge(authority, edge, now))
        _write(new / "ca.pem", authority.certificate_pem)
        _write(new / "edge.toml", edge_toml(url, edge if link.broker is not None else None).encode())
        _write(new / "cloud-entry.toml", entry.encode())
        _checked(lambda: load_edge(new / "edge.toml"))
    replacement = cloud_file.with_name(".cloud.toml.new")
    replacement.write_text(cloud_text)
    replacement.replace(cloud_file)
    return entry


def edge_toml(cloud_url: str, edge: str | None = None) -> str:
    """`edge.toml` of an edge whose certificate and key stand beside it; at a broker, `edge` is its name."""
    values = {"link": {"url": cloud_url, "tls": _tls("edge")} | ({} if edge is None else {"edge": edge})}
    return commented_toml(EdgeConfig, values, "ocppress edge\nWhat has no value here stands commented out, with its default.")


def cloud_toml(csms_url: str, edges: Sequence[tuple[str, Sequence[str]]] = (), *, broker: str | None = None) -> str:
    """`cloud.toml` of a cloud whose certificate and key stand beside it, with the `edges` and their stations that may connect, at a `broker` if
    it has one."""
    entries = [{"name": name, "stations": stations} for name, stations in edges]
    values = {"link": {"tls": _tls("cloud")} | ({} if broker is None else {"broker": broker}), "csms": {"url": csms_url}, "edges": entries}
    return commented_toml(CloudConfig, values, "ocppress cloud\nWhat has no value here stands commented out, with its default.")


def _tls(end: str) -> dict[str, str]:
    return {"ca_file": "ca.pem", "certificate_file": f"{end}.pem", "key_file": f"{end}.key"}


def _url(scheme: str, host: str, port: int | None) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}/"


def _cloud_url(url: str | None, names: Sequence[str], port: int) -> str:
    if url is None:
        return _url("wss", names[0], port)
    try:
        host = urlsplit(url).hostname or ""
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from None
    if host not in [name.lower() for name in names]:
        raise UsageError(f"the certificate there is for {', '.join(names)}, not for {host!r}: the edge would refuse it")
    return url


def _checked(load: Callable[[], object]) -> None:
    """Read a configuration made from what the user typed, and blame that, not a file that nobody has seen."""
    try:
        load()
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


def _write_pair(folder: Path, name: str, credentials: Credentials) -> None:
    _write(folder / f"{name}.key", credentials.key_pem, mode=0o600)
    _write(folder / f"{name}.pem", credentials.certificate_pem)


def _read_pair(folder: Path, name: str) -> Credentials:
    try:
        return read_credentials((folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes())
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; `ocppress ca init` makes this folder") from error
    except ValueError as error:
        raise UsageError(f"{folder / name}.key and .pem cannot be used: {error}") from error


def _write(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
        output.write(data)
