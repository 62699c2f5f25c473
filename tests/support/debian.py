"""Clean Debian root folders from the mirror that this machine's apt uses, and this machine's pip configuration for use in them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["CACHE", "PYTHON_PACKAGES", "bootstrapped", "mirror", "pip_settings", "proxies"]

CACHE: Final = "OCPPRESS_DEBIAN_ROOTS"
"""The environment variable that names a folder in which root folders are kept from one run to the next."""

PYTHON_PACKAGES: Final = ("python3", "python3-venv", "python3-pip", "python-is-python3", "ca-certificates")
"""What makes a Debian look like the image `python:3-slim-…`: `python`, `pip`, venv with ensurepip, and roots of TLS."""

HEADERS: Final = r"""
cd /tmp
apt-get update
series=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
apt-get download "libpython$series-dev"
dpkg-deb --fsys-tarfile libpython*.deb | tar --extract --directory / ./usr/include
rm -f libpython*.deb
rm -rf /var/lib/apt/lists/*
apt-get clean
"""
"""Python.h, which the image has too; its package isn't installed, since with it comes libc6-dev, which the image has not."""


def mirror(suite: str) -> str | None:
    """The URL that this machine's apt has a suite from; None without."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {suite}", "Created-By: Packages", "Component: main"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return found[0] if found else None


def bootstrapped(suite: str, scratch: Path) -> Path:
    """The root folder of that Debian with Python, in the folder that `CACHE` names or else in `scratch`. To be copied, not changed."""
    url = mirror(suite)
    assert url is not None, f"this machine's apt has no {suite}"
    kept = Path(os.environ.get(CACHE) or scratch) / f"{suite}-python"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"{kept.name}.{os.getpid()}")
        try:
            _run("debootstrap", "--variant=minbase", f"--include={','.join(PYTHON_PACKAGES)}", suite, str(new), url)
            _run("chroot", str(new), "/bin/sh", "-ec", HEADERS)
            new.rename(kept)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return kept


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def proxies() -> dict[str, str]:
    """The variables that Docker, too, passes on to a build if they are set."""
    return {name: value for name, value in os.environ.items() if name.lower() in {"http_proxy", "https_proxy", "no_proxy"}}


def pip_settings() -> tuple[Mapping[str, str], list[Path]]:
    """Where this machine's pip has packages from: the variables that say so to another pip, and the files and folders that they name."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    variables: dict[str, str] = {}
    values: list[str] = []
    for line in listed.splitlines():
        name, _, literal = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in {":env:", "global"}:
            value = ast.literal_eval(literal)
            values += value.split()
            # What the environment says comes first in the list, and wins.
            variables.setdefault(f"PIP_{option.upper().replace('-', '_')}", re.sub(r"\s+", " ", value).strip())
    # The pages of an index in a folder link to files beside it.
    indexes = [Path(urlsplit(value).path).parent for value in values if value.startswith("file:")]
    named = [path for path in [*indexes, *(Path(value) for value in values if value.startswith("/"))] if path.exists()]
    assert Path("/") not in named, "an index in the root folder would hide the one that is worked on"
    return variables, sorted(set(named))
