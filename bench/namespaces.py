"""Two network namespaces joined by one wire, whose bytes the kernel counts: what a SIM would be billed. Needs Linux, iproute2 and root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["CLOUD_ADDRESS", "Namespaces", "Traffic", "cut", "mend", "namespaces", "quiet_traffic", "reason_against", "traffic"]

CLOUD_ADDRESS: Final = "10.77.0.2"
_EDGE_ADDRESS: Final = "10.77.0.1"
_EDGE_MAC: Final = "02:00:00:00:00:01"
_CLOUD_MAC: Final = "02:00:00:00:00:02"

_WIRE: Final = "wire"
"""The name of the interface in either namespace."""

_ETHERNET_BYTES: Final = 14
"""Around each IP packet, counted by the kernel and billed by nobody."""

_QUIET_S: Final = 0.7
"""Nothing for that long: longer than the kernel puts off an acknowledgement, and than a first repetition."""


class Traffic(NamedTuple):
    """IP bytes and packets through the wire, both directions."""

    ip_bytes: int
    packets: int

    def since(self, before: Traffic) -> Traffic:
        """What came after `before`."""
        return Traffic(self.ip_bytes - before.ip_bytes, self.packets - before.packets)


class Namespaces(NamedTuple):
    """Names for `ip netns exec`."""

    edge: str
    cloud: str


def reason_against() -> str:
    """Why there can't be any here; "" if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    probe = f"ocppress-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return ""


@contextlib.contextmanager
def namespaces() -> Iterator[Namespaces]:
    """A pair, gone afterwards. TCP timestamps are off on the cloud's side alone, as the documents advise."""
    pair = Namespaces(*(f"ocppress-{os.getpid()}-{side}" for side in ("edge", "cloud")))
    try:
        for name in pair:
            _ip("netns", "add", name)
        _ip("link", "add", _WIRE, "netns", pair.edge, "type", "veth", "peer", "name", _WIRE, "netns", pair.cloud)
        for name, address, mac, peer, peer_mac in (
            (pair.edge, _EDGE_ADDRESS, _EDGE_MAC, CLOUD_ADDRESS, _CLOUD_MAC),
            (pair.cloud, CLOUD_ADDRESS, _CLOUD_MAC, _EDGE_ADDRESS, _EDGE_MAC),
        ):
            # No neighbour discovery of either kind among the counts.
            _shell(name, "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
            _ip("-n", name, "link", "set", _WIRE, "address", mac)
            _ip("-n", name, "address", "add", f"{address}/24", "dev", _WIRE)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", _WIRE, "up")
            _ip("-n", name, "neighbour", "add", peer, "lladdr", peer_mac, "dev", _WIRE, "nud", "permanent")
        _shell(pair.cloud, "echo 0 > /proc/sys/net/ipv4/tcp_timestamps")
        yield pair
    finally:
        for name in pair:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def cut(names: Namespaces) -> None:
    """From now on nothing goes through, and nobody is told."""
    _ip("-n", names.cloud, "link", "set", _WIRE, "down")


def mend(names: Namespaces) -> None:
    """The wire is whole again."""
    _ip("-n", names.cloud, "link", "set", _WIRE, "up")
    _ip("-n", names.cloud, "neighbour", "replace", _EDGE_ADDRESS, "lladdr", _EDGE_MAC, "dev", _WIRE, "nud", "permanent")


def traffic() -> Traffic:
    """What has gone through the wire of the namespace that this process is in."""
    folder = Path("/sys/class/net", _WIRE, "statistics")
    count = {name: int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")}
    packets = count["rx_packets"] + count["tx_packets"]
    return Traffic(count["rx_bytes"] + count["tx_bytes"] - _ETHERNET_BYTES * packets, packets)


def quiet_traffic() -> Traffic:
    """The same, once nothing has gone through for a while; blocks."""
    last, since = traffic(), time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        time.sleep(0.05)
        if (now := traffic()) != last:
            last, since = now, time.monotonic()
    return last


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def _shell(namespace: str, line: str) -> None:
    _ip("netns", "exec", namespace, "sh", "-c", line)
