"""The link's TLS under the system's own Python, which most edges have: Debian 12's is 3.11.2, with less in `ssl` than later ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ocppress
from tests.support.tree import ROOT

PYTHON = Path("/usr/bin/python3")

HANDSHAKE = """
import ssl, sys
from pathlib import Path
from ocppress_gateway.transports.tls import link_client_context, link_server_context

folder = Path(sys.argv[1])
def files(home, end):
    return {"ca_file": home / "ca.pem", "certificate_file": home / f"{end}.pem", "key_file": home / f"{end}.key"}

up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
client = link_client_context(**files(folder / "edges/site-1", "edge")).wrap_bio(down, up, server_hostname="127.0.0.1")
server = link_server_context(**files(folder / "cloud", "cloud")).wrap_bio(up, down, server_side=True)
sizes = []
for end in (client, server, client, server):
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        pass
    sizes.append(up.pending + down.pending)
print(client.version(), client.cipher()[0], sizes[0])
"""


def _version() -> tuple[int, ...]:
    if not PYTHON.exists():
        return ()
    words = subprocess.run([PYTHON, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, words.split()))


@pytest.mark.skipif(_version() < (3, 11), reason="the system has no Python of 3.11 or later")
def test_the_link_has_its_handshake(tmp_path: Path) -> None:
    ocppress("ca", "init", "--dir", tmp_path / "ca", "--host", "127.0.0.1")
    ocppress("ca", "issue", "site-1", "--dir", tmp_path / "ca", "--stations", "*")
    done = subprocess.run(
        [PYTHON, "-c", HANDSHAKE, str(tmp_path / "ca")],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'gateway'}{os.pathsep}{ROOT / 'codecs'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    version, cipher, hello_bytes = done.stdout.split()
    assert (version, cipher) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert int(hello_bytes) < 300, "one group alone, and a small one"
