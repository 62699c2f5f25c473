"""What the doctor sees of this machine, beside what is certain of it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from ocppress_gateway.doctor.probes import clock_facts, file_system_of, files_max, folder_facts, port_facts

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /run rw - tmpfs tmpfs rw
31 22 8:2 / /data rw master:2 - ext4 /dev/sda2 rw
32 31 0:40 / /data/with\\040space rw - nfs4 server:/x rw
33 31 0:41 / /data rw - xfs /dev/sda3 rw
nonsense
"""


def test_file_systems(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.replace("nonsense\n", ""))
    found = {
        place: file_system_of(Path(place), mounts=mounts)
        for place in ("/etc", "/run/x", "/data", "/data/y", "/data/with space/z", "/database")
    }
    assert found == {"/etc": "ext4", "/run/x": "tmpfs", "/data": "xfs", "/data/y": "xfs", "/data/with space/z": "nfs4", "/database": "ext4"}
    mounts.write_text("nonsense\n")
    assert file_system_of(Path("/etc"), mounts=mounts) == ""
    assert file_system_of(Path("/etc"), mounts=tmp_path / "none") == ""
    assert file_system_of(Path("/proc")) == "proc"


def test_a_folder(tmp_path: Path) -> None:
    facts = folder_facts(tmp_path / "a" / "b", "edge.sock")
    assert (facts.exists, facts.is_folder, facts.writable) == (False, True, True)
    assert facts.socket_path_bytes == len(str(tmp_path / "a" / "b" / "edge.sock").encode())
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert not folder_facts(tmp_path / "file", "edge.sock").is_folder


def test_the_newest_file(tmp_path: Path) -> None:
    assert clock_facts(tmp_path).newest_file_unix_s is None
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (1e9, 1e9))
    facts = clock_facts(tmp_path)
    assert facts.newest_file_unix_s == 1e9
    assert abs(facts.unix_s - time.time()) < 5


def test_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = port_facts("127.0.0.1", port, running_pid=None, is_running=False)
        assert (taken.free, taken.error, taken.held_by_ours) == (False, "EADDRINUSE", False)
        assert f"(process {os.getpid()})" in taken.holder
        assert port_facts("127.0.0.1", port, running_pid=os.getpid(), is_running=True).held_by_ours
        assert not port_facts("127.0.0.1", port, running_pid=1, is_running=True).held_by_ours
        assert not port_facts("0.0.0.0", port, running_pid=None, is_running=False).free
        assert port_facts("127.0.0.2", port, running_pid=None, is_running=False).free, "another address"
    assert port_facts("127.0.0.1", port, running_pid=None, is_running=False).free
    assert port_facts("127.0.0.1", port, running_pid=None, is_running=False).free, "the first look has left nothing"
    assert not port_facts("no-such-host.invalid", port, running_pid=None, is_running=False).free


def test_limits() -> None:
    assert files_max(os.getpid()) == files_max(None)
    assert files_max(2**22 + 1) is None, "no such process"
