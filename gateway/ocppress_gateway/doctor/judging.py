"""What is found on this machine, what it means and what helps: functions of facts alone. `judging_way` has those of the way to a server, `judging_running`
those of the program that runs."""

from __future__ import annotations

from typing import Any, Final

from ocppress_gateway.control.place import SOCKET_PATH_BYTES_MAX
from ocppress_gateway.doctor.facts import CertificateFacts, ClockFacts, FolderFacts, PortFacts
from ocppress_gateway.doctor.findings import Finding, failed, passed, skipped, warned
from ocppress_gateway.status.words import count, moment, size

__all__ = ["certificate", "clock", "files", "folder", "interface", "offset", "port", "timestamps"]

FREE_BYTES_MIN: Final = 16 * 1024 * 1024
"""Below it a store's next commit may find no room: its log grows to 4 MiB before it is folded back, and file systems keep some for themselves."""

STALE_S: Final = 3600.0
"""A clock that is further behind what was written here has been set back, or has started without a battery."""

CLOCK_OFF_S: Final = 60.0
"""A clock that is off by more makes certificates invalid that are good, and dates of messages wrong."""

CLOCK_BAD_S: Final = 86_400.0
"""Certificates begin a day before they are issued."""

FILES_BESIDES: Final = 64
"""Open files of a program that has no connections yet, and some to spare: stores, sockets, libraries."""

FILES_A_STATION: Final = 1
FILES_AN_EDGE: Final = 2
"""Its connection, and the duplicate by which its bytes are counted."""

_VOLATILE: Final = frozenset({"tmpfs", "ramfs", "overlay", "aufs"})
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs"})
_NO_OWNERS: Final = frozenset({"vfat", "exfat", "msdos"})

_SET_CLOCK: Final = (
    "set the clock: `timedatectl` says how it stands; let chrony (with makestep) or systemd-timesyncd set it before the program starts"
)


def folder(facts: FolderFacts, *, needs_bytes: int) -> Finding:
    """The state folder; `needs_bytes` is what the stores may grow to."""
    step = "state folder"
    fields = {"path": facts.path, "owner": facts.owner, "free_bytes": facts.free_bytes, "file_system": facts.file_system}
    where = facts.path if facts.exists else f"{facts.path} (which isn't there yet)"
    if facts.exists and not facts.is_folder:
        return failed(step, f"{where} is a file", "set `state_folder` to a folder, or to a name that isn't there yet", **fields)
    if facts.socket_path_bytes > SOCKET_PATH_BYTES_MAX:
        found = f"{where} has so long a name that the operator's socket in it would have {facts.socket_path_bytes} bytes"
        return failed(step, found, f"set `state_folder` to a shorter one: a socket's path has at most {SOCKET_PATH_BYTES_MAX}", **fields)
    if facts.on_read_only:
        remedy = "mount it writable, or set `state_folder` to a place that is; a card that was made read-only by errors (`dmesg`) has to be replaced"
        return failed(step, f"{where} is on a read-only file system", remedy, **fields)
    if not facts.writable:
        remedy = f"give it to the user who runs the program (`chown -R USER {facts.path}`), or run this as that user"
        return failed(step, f"{where} belongs to {facts.owner}, and {facts.asker} can't write to it", remedy, **fields)
    if facts.strangers:
        names = ", ".join(facts.strangers[:3]) + (f" and {len(facts.strangers) - 3} more" if len(facts.strangers) > 3 else "")
        remedy = f"somebody has run the program as another user: `chown -R {facts.owner} {facts.path}`"
        return failed(step, f"{where} belongs to {facts.owner}, but {names} in it to others", remedy, **fields)
    if facts.file_system in _NETWORK:
        remedy = "set `state_folder` to a disk of this machine: SQLite's log can't be shared over a network, and messages could be lost"
        return failed(step, f"{where} is on a network file system ({facts.file_system})", remedy, **fields)
    if facts.free_bytes < FREE_BYTES_MIN or not facts.has_inodes:
        short = f"has {size(facts.free_bytes)} free" if facts.free_bytes < FREE_BYTES_MIN else "has no inode left"
        return failed(step, f"the disk of {where} {short}", "make room: nothing new is stored on a full disk", **fields)
    if facts.file_system in _VOLATILE:
        remedy = "set `state_folder` to a disk, or mount a volume there: what is stored would be gone with the power or the container"
        return warned(step, f"{where} is on {facts.file_system}, which doesn't last", remedy, **fields)
    if facts.free_bytes < needs_bytes:
        remedy = "make room, or set `[outbox] size_mib` lower"
        found = f"{where} has {size(facts.free_bytes)} free, and what is stored may take {size(needs_bytes)}"
        return warned(step, found, remedy, **fields)
    if facts.file_system in _NO_OWNERS:
        remedy = "use a file system with owners (ext4): what is stored names cards and places, and anybody can read it here"
        return warned(step, f"{where} is on {facts.file_system}, which has no owners", remedy, **fields)
    if facts.exists and facts.others_may_look:
        return warned(step, f"{where} is open to other users", f"`chmod 700 {facts.path}`", **fields)
    as_root = f", to whom it belongs; looked at as {facts.asker}" if facts.asker_is_root and facts.owner != facts.asker else ""
    return passed(
        step,
        f"{where} is writable by {facts.owner}{as_root}, {size(facts.free_bytes)} free, {facts.file_system or 'file system'}",
        **fields,
    )


def clock(facts: ClockFacts, *, certificate_starts_unix_s: float | None) -> Finding:
    """The clock by itself; `offset` compares it with another's."""
    step = "clock"
    now = moment(facts.unix_s)
    fields = {"unix_s": facts.unix_s, "synchronised": facts.synchronised}
    if certificate_starts_unix_s is not None and facts.unix_s < certificate_starts_unix_s:
        found = f"says {now}, before this end's certificate begins ({moment(certificate_starts_unix_s)}): no TLS is possible"
        return failed(step, found, _SET_CLOCK, **fields)
    newest = facts.newest_file_unix_s
    if newest is not None and facts.unix_s < newest - STALE_S:
        return failed(step, f"says {now}, but the state folder was written on {moment(newest)}: it has gone back", _SET_CLOCK, **fields)
    if facts.synchronised is False:
        return warned(step, f"says {now}, and nothing keeps it right", _SET_CLOCK, **fields)
    return passed(step, f"says {now}" + (", kept right by time synchronisation" if facts.synchronised else ""), **fields)


def offset(step: str, offset_s: float | None, whose: str) -> Finding:
    """This machine's clock less another's; None where that doesn't say its time."""
    if offset_s is None:
        return skipped(step, f"{whose} hasn't said its time")
    found = f"{offset_s:+.1f} s against {whose}'s"
    if abs(offset_s) >= CLOCK_BAD_S:
        return failed(step, f"{found}: one of the two is wrong", f"on the machine that is wrong, {_SET_CLOCK}", clock_offset_s=offset_s)
    if abs(offset_s) >= CLOCK_OFF_S:
        return warned(step, f"{found}: one of the two is wrong", f"on the machine that is wrong, {_SET_CLOCK}", clock_offset_s=offset_s)
    return passed(step, found, clock_offset_s=offset_s)


def certificate(step: str, facts: CertificateFacts, *, unix_s: float, host: str | None = None, renews: str) -> Finding:
    """A certificate of this end's. `host`: a name that it must have; `renews`: what makes the next."""
    fields: dict[str, Any] = {"file": facts.file, "name": facts.name, "hosts": list(facts.hosts), "ends_unix_s": facts.ends_unix_s}
    what = f"{facts.file}, for {', '.join(facts.hosts) or facts.name or 'nobody by name'}"
    if facts.unusable:
        remedy = f"copy certificate and key of one `ocppress ca` folder: {facts.key_file} has to be the key that was made with it"
        return failed(step, f"{what}, can't be used: {facts.unusable}", remedy, **fields)
    if unix_s < facts.starts_unix_s:
        found = f"{what}, is valid from {moment(facts.starts_unix_s)}, and the clock here says {moment(unix_s)}"
        return failed(step, found, _SET_CLOCK, **fields)
    if unix_s > facts.ends_unix_s:
        found = f"{what}, ended {moment(facts.ends_unix_s)}, by the clock here, which says {moment(unix_s)}"
        return failed(step, found, f"{renews}; if it isn't that day yet, {_SET_CLOCK}", **fields)
    if facts.not_of_ca:
        remedy = f"copy certificate, key and `{facts.ca_file.rpartition('/')[2]}` of one `ocppress ca` folder"
        return failed(step, f"{what}, wasn't signed by the authority in {facts.ca_file}", remedy, **fields)
    if facts.ca_ends_unix_s is not None and unix_s > facts.ca_ends_unix_s:
        found = f"{what}: its authority, in {facts.ca_file}, ended {moment(facts.ca_ends_unix_s)}"
        return failed(step, found, f"a new authority (`ocppress ca init`), for both ends; if it isn't that day yet, {_SET_CLOCK}", **fields)
    if facts.wrong_use:
        return failed(
            step,
            f"{what}, is made for another use than this",
            "edge and cloud each have a certificate of their own: copy this end's",
            **fields,
        )
    if host is not None and host not in facts.hosts:
        remedy = "issue one with that name (`--host`, `--station-host`), or use one of its names"
        return failed(step, f"{what}, isn't for {host}", remedy, **fields)
    if facts.key_is_open:
        return warned(step, f"{what}; others can read its key", f"`chmod 600 {facts.key_file}`", **fields)
    lasts = f"until {moment(facts.ends_unix_s)}" + (", renewed over the link" if facts.is_renewal else "")
    if unix_s >= facts.renew_from_unix_s:
        return warned(step, f"{what}, {lasts}: in the last third of its life", renews, **fields)
    return passed(step, f"{what}, {lasts}", **fields)


def port(step: str, facts: PortFacts, *, setting: str) -> Finding:
    """Where the program listens; `setting` is the table that says so."""
    fields = {"host": facts.host, "port": facts.port, "held_by_running": facts.held_by_ours}
    where = f"{facts.host} port {facts.port}"
    if facts.free:
        return passed(step, f"{where} is free", **fields)
    if facts.held_by_ours:
        return passed(step, f"{where} is the running program's", **fields)
    match facts.error:
        case "EADDRINUSE":
            holder = facts.holder or "another program (`ss -ltnp` as root says which)"
            return failed(step, f"{where} is taken by {holder}", f"stop that one, or set another `port` in `{setting}`", **fields)
        case "EACCES":
            remedy = f"set a `port` from 1024 on in `{setting}`, or allow it (systemd: `AmbientCapabilities=CAP_NET_BIND_SERVICE`)"
            return failed(step, f"{where} is for root alone", remedy, **fields)
        case "EADDRNOTAVAIL":
            remedy = f"set `host` in `{setting}` to one of this machine's addresses (`ip addr`), or to 0.0.0.0 for all"
            return failed(step, f"{facts.host} isn't an address of this machine", remedy, **fields)
    return failed(step, f"{where} can't be had: {facts.error}", f"check `host` and `port` in `{setting}`", **fields)


def files(limit: int | None, *, edges: int, stations: int, any_station: bool, of_running: bool) -> Finding:
    """The limit of open files against what the configuration may need; `any_station`: `stations` are those that are named, and there may be more."""
    step = "open files"
    if limit is None:
        return passed(step, "as many as the system has")
    needed = FILES_BESIDES + FILES_AN_EDGE * edges + FILES_A_STATION * stations
    fields = {"limit": limit, "needed": needed}
    whose = "the running cloud" if of_running else "this user"
    what = f"{count(edges, 'edge')} with {count(stations, 'station')}" + (" or more" if any_station else "")
    remedy = f"raise it above {2 * needed}: `LimitNOFILE=` in the systemd unit, `ulimit -n` in a shell, `ulimits` in compose"
    if limit < needed:
        return failed(step, f"{whose} may open {limit:,}, and {what} may need {needed:,}", remedy, **fields)
    if limit < 2 * needed and edges:
        remedy += "; at a restart, new connections come while the old ones are still open"
        return warned(step, f"{whose} may open {limit:,}, and {what} may need {needed:,}", remedy, **fields)
    return passed(step, f"{whose} may open {limit:,}; {what} may need {needed:,}", **fields)


def timestamps(step: str, *, on: bool | None, at_cloud: bool) -> Finding:
    """TCP timestamps, 12 bytes in each packet: at an edge on its connection, at a cloud by its sysctl. None: nobody knows."""
    if on is None:
        return skipped(step, "this system doesn't say whether TCP timestamps are on")
    if not on:
        return passed(step, "no TCP timestamps", tcp_timestamps=False)
    where = "here" if at_cloud else "on the cloud's host, which turns them off at both ends (or here)"
    found = "TCP timestamps are on: 12 bytes in each packet of each link" if at_cloud else "TCP timestamps are on: 12 bytes in each packet"
    return warned(step, found, f"`sysctl net.ipv4.tcp_timestamps=0` {where}, and in /etc/sysctl.d to make it last", tcp_timestamps=True)


def interface(name: str | None, *, readable: bool, used: str) -> Finding:
    """The SIM's counters; `used`: the interface that the way to the cloud goes out of, "" if unknown."""
    step = "SIM interface"
    fields = {"interface": name, "used": used}
    if name is None:
        remedy = "set `[sim] interface` (`ip route get` says which): then what others on this machine use is counted, too"
        return warned(step, "none is set: only the edge's own bytes are known", remedy, **fields)
    if not readable:
        return failed(
            step, f"{name} isn't there, or has no counters", "is the modem plugged in, and is it called that (`ip link`)?", **fields
        )
    if used and used != name:
        return warned(
            step,
            f"{name} is counted, but the way to the cloud is over {used}",
            f'set `[sim] interface = "{used}"`, or mend the route',
            **fields,
        )
    return passed(step, f"{name} has counters" + (", and the way to the cloud is over it" if used else ""), **fields)
