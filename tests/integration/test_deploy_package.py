"""The Debian package, built, and installed by dpkg over a copy of this system that is thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from ocppress_gateway import __version__
from tests.support.tree import ROOT

SIZE_MB_MAX: Final = 20
"""Of the package; it had 13 when this was written."""

TOOLS: Final = ("dpkg-deb", "dpkg-shlibdeps", "gcc", "/usr/bin/python3", "unshare", "strip")

INSTALL: Final = r"""
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/system"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/system"
mount --bind /proc "$1/system/proc"
mount --bind /dev "$1/system/dev"
cp "$2" "$1/system/ocppress.deb"
chroot "$1/system" sh -ec '
    cd /
    dpkg --install --force-depends /ocppress.deb >/dev/null
    ocppress --version
    id -un ocppress
    stat -c "%U:%G %a" /etc/ocppress
    /opt/ocppress/bin/python3 -c "import ocppress_codecs.adaptive.coder as coder; print(coder.__file__)"
    /opt/ocppress/bin/python3 -c "import ocppress_gateway.admin.server, redis; print(\"extras\")"
    ocppress ca init --dir /ca --host 127.0.0.1 2>/dev/null
    cp -R /ca/cloud/. /etc/ocppress
    chown -R ocppress: /etc/ocppress
    install -d -o ocppress -m 0700 /var/lib/ocppress-cloud
    sed -i "s,^#state_folder = .*,state_folder = \"/var/lib/ocppress-cloud\"," /etc/ocppress/cloud.toml
    sed -i "s,^#port = 8886,port = $0," /etc/ocppress/cloud.toml
    setpriv --reuid ocppress --regid ocppress --clear-groups ocppress cloud --config /etc/ocppress/cloud.toml 2>/dev/null &
    for second in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        setpriv --reuid ocppress --regid ocppress --clear-groups ocppress status --config /etc/ocppress/cloud.toml 2>/dev/null && break
    done
    kill -TERM $!
    wait $! && echo "it has ended well"
    dpkg --purge ocppress >/dev/null 2>&1
    test ! -e /opt/ocppress && test ! -e /var/lib/ocppress-cloud && test -e /etc/ocppress/cloud.key && echo "gone, but for the keys"
' "$3"
"""


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install")
def test_the_package_installs_runs_and_goes(tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)} here")
    built = subprocess.run([ROOT / "deploy/debian/build", tmp_path / "out"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    package = Path(built.stdout.splitlines()[-1])
    assert package.stat().st_size < SIZE_MB_MAX * 1_000_000
    (tmp_path / "system").mkdir()
    command = ["unshare", "--mount", "sh", "-c", INSTALL, "sh", str(tmp_path / "system"), str(package), "38886"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount:" in done.stderr:
        pytest.skip(f"overlays can't be mounted here: {done.stderr[:200]}")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[0] == f"ocppress {__version__}"
    assert lines[1:3] == ["ocppress", "root:ocppress 750"]
    assert lines[3].startswith("/opt/ocppress/")
    assert lines[3].endswith(".so"), "the codecs are compiled"
    assert lines[4] == "extras"
    assert [line for line in lines if line.startswith(f"cloud {__version__}, up ")]
    assert lines[-2:] == ["it has ended well", "gone, but for the keys"]
