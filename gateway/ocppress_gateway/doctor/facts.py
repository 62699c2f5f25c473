"""What the doctor looks for: plain data, times in seconds, dates in Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "BrokerAnswer",
    "CertificateFacts",
    "ClockFacts",
    "CsmsAnswer",
    "FolderFacts",
    "Peer",
    "PortFacts",
    "Running",
    "StoreAnswer",
]


class Peer(StrEnum):
    """Whom a connection is to."""

    CLOUD = "cloud"
    BROKER = "broker"
    CSMS = "CSMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """A state folder, or the nearest folder above one that isn't there yet (`exists` is then false)."""

    path: str
    socket_path_bytes: int
    """How long the name of the control socket in it is."""
    exists: bool
    is_folder: bool
    writable: bool
    """For whoever asks."""
    on_read_only: bool
    owner: str
    asker: str
    asker_is_root: bool
    others_may_look: bool
    """Its mode has more than 0700."""
    strangers: tuple[str, ...] = ()
    """Files in it that belong to somebody else than the folder."""
    free_bytes: int
    has_inodes: bool
    file_system: str
    """Its type, as in /proc/self/mountinfo; "" if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts:
    """What this machine itself says about its clock."""

    unix_s: float
    synchronised: bool | None
    """By the kernel's word (adjtimex(2)); None if it has none."""
    newest_file_unix_s: float | None
    """When the state folder was written last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """A certificate: of this end's with its key and whoever signed it, or one that a server has shown."""

    file: str = ""
    name: str = ""
    hosts: tuple[str, ...] = ()
    starts_unix_s: float = 0.0
    ends_unix_s: float = 0.0
    renew_from_unix_s: float = 0.0
    unusable: str = ""
    """Why OpenSSL takes it not, with this key; "" if it does."""
    not_of_ca: bool = False
    """It wasn't signed by a certificate in `ca_file`."""
    ca_file: str = ""
    ca_ends_unix_s: float | None = None
    """When the authority in it that signed this one ends."""
    wrong_use: bool = False
    """It says that it is for the other end."""
    key_file: str = ""
    key_is_open: bool = False
    """Others than its owner may read the key's file."""
    is_renewal: bool = False
    """It came over the link, and is in the state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """Whether a program could listen there now."""

    host: str
    port: int
    free: bool
    error: str = ""
    """The errno's name if not, such as EADDRINUSE."""
    holder: str = ""
    """Whose socket has it, as far as that can be seen."""
    held_by_ours: bool = False
    """It's the running program's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The running program, by its control socket; `data` is what `ocppress status --json` says, None where nobody answers."""

    data: dict[str, Any] | None = None
    why_not: str = ""
    is_running: bool = False
    """Somebody listens at the socket, even if he didn't answer."""
    pid: int | None = None
    files_max: int | None = None
    """Its limit of open files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAnswer:
    """What a broker said to a CONNECT with this end's name, a SUBSCRIBE of its topics and a PUBLISH to its own."""

    name: str
    prefix: str = ""
    refused: str = ""
    """The CONNACK's reason, or why there was none."""
    not_subscribed: tuple[str, ...] = ()
    not_published: str = ""
    """The topic that it may not publish to."""
    cloud_is: str = ""
    """`here`, `gone`, or "" if no cloud has ever been there."""
    keep_alive_s: int | None = None
    """The broker's Server Keep Alive."""
    aliases: int = 0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsAnswer:
    """What a CSMS said to an upgrade; `status` None if nothing that is HTTP."""

    url: str
    status: int | None = None
    subprotocol: str = ""
    why: str = ""
    clock_offset_s: float | None = None
    """This machine's clock less the answer's Date."""
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswer:
    """What the server that a fleet shares said; `refused` is why it said nothing, or no."""

    url: str
    version: str = ""
    refused: str = ""
    remark: str | None = None
    """What of its settings takes back what it has been told."""
    took_s: float = 0.0
