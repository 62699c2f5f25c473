"""Salted hashes of what the CSMS has accepted last from each station, for the time when nobody can be asked.

    KeepCredentials, ForgetCredentials ──► hashing thread ──► in memory ──► disk thread ──► credentials.sqlite
    CheckCredentials ────────────────────► hashing thread ──► CredentialsChecked

A header itself is never written anywhere. A disk that fails or hangs only costs what the next process would have known.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.credentials import CANDIDATES_MAX, Authorization
from ocppress_gateway.core.events import (
    CheckCredentials,
    CredentialsChecked,
    CredentialsOpened,
    ForgetCredentials,
    KeepCredentials,
    Level,
    Note,
)
from ocppress_gateway.core.limits import IDENTITIES_MAX
from ocppress_gateway.errors import StoreDamaged, StoreError, StoreFailed
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.disk import DiskThread
from ocppress_gateway.ledger.sqlite import SqliteLedgerStore
from ocppress_gateway.log import log_note

__all__ = ["CREDENTIALS_FILE", "CredentialKeeper", "Hashed", "credential_store", "hashed"]

CREDENTIALS_FILE: Final = "credentials.sqlite"
"""Name of the file in the state folder, mode 0600; its log, its lock and damaged ones lie beside it."""

_APPLICATION_ID: Final = 0x6F634372

SCRYPT_N: Final = 2**12
SCRYPT_R: Final = 8
SCRYPT_P: Final = 4
"""RFC 7914, section 2: 4 MiB of memory four times over, for an edge shall do with 64 MiB in all; some hundredths of a second of a server, some tenths of
a small board's, once for each station and process. The passwords are random, 16 characters and more (A00.FR.205): that is what protects them."""

SCRYPT_BYTES_MAX: Final = 8 * 1024 * 1024
"""What OpenSSL may take for one hash, twice of what it needs."""

SALT_BYTES: Final = 16

FINISH_S: Final = 2.0
"""How long the last hashes may take to be saved at the end; a disk that hangs must not keep the program from ending."""

Request = CheckCredentials | KeepCredentials | ForgetCredentials


class Hashed(msgspec.Struct, frozen=True):
    """A hash of one Authorization header, and what it was made with."""

    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    n: int
    r: int
    p: int

    def matches(self, authorization: Authorization) -> bool:
        """Whether it was made of this. Takes as long as making one."""
        return hmac.compare_digest(self.digest, _digest(authorization, self.salt, self.n, self.r, self.p))


class _Entry(msgspec.Struct, frozen=True):
    """What counts for one identity."""

    version: OcppVersion
    hashes: Annotated[tuple[Hashed, ...], msgspec.Meta(max_length=CANDIDATES_MAX)]


def hashed(authorization: Authorization, random_bytes: Callable[[int], bytes] = os.urandom) -> Hashed:
    """A new hash, with a salt of its own."""
    salt = random_bytes(SALT_BYTES)
    return Hashed(salt, _digest(authorization, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P), SCRYPT_N, SCRYPT_R, SCRYPT_P)


def credential_store(folder: Path) -> SqliteLedgerStore:
    """Where the hashes are kept in the state folder: entries with checksums, as the ledger has them."""
    return SqliteLedgerStore(folder, file=CREDENTIALS_FILE, application_id=_APPLICATION_ID)


class CredentialKeeper:
    """Carries out what the machine asks of credentials, one thing after the other and beside the event loop."""

    def __init__(
        self, store: LedgerStore, report: Callable[[CredentialsOpened | CredentialsChecked], None], *, logger: logging.Logger
    ) -> None:
        """`report` is called in the event loop."""
        self._store = store
        self._report = report
        self._logger = logger
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._inbox: deque[Request] = deque()
        self._asked = asyncio.Event()
        self._hashing = DiskThread("hashing")
        self._disk = DiskThread("credentials")
        self._unsaved: dict[str, bytes | None] = {}
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        """Take up what a former process left, and report it. Before stations come. Raises `StoreInUse`, `StoreNewer`."""
        try:
            saved = await self._disk.run(self._store.load)
            for identity, entry in saved.items():
                self._entries[identity] = msgspec.json.decode(entry, type=_Entry)
        except (StoreDamaged, msgspec.DecodeError) as error:
            self._entries.clear()
            try:
                kept = await self._disk.run(self._store.set_aside)
            except StoreFailed as failure:
                self._say(Level.ERROR, "the stations' hashes are damaged, and can't be set aside", reason=str(failure))
            else:
                self._say(Level.ERROR, "the stations' hashes are damaged; new ones begin", reason=str(error), set_aside=str(kept))
        except StoreFailed as error:
            self._say(Level.ERROR, "the stations' hashes can't be read", reason=str(error))
        self._report(CredentialsOpened({identity: entry.version.value for identity, entry in self._entries.items()}))

    def ask(self, request: Request) -> None:
        """Put in what the machine wants; never waits."""
        self._inbox.append(request)
        self._asked.set()

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._save_all(), name="credentials saved")
            while True:
                await self._asked.wait()
                self._asked.clear()
                await self._work()

    async def finish(self) -> None:
        """Save what isn't yet, and close the store. Also after a `begin` that failed."""
        try:
            async with asyncio.timeout(FINISH_S):
                await self._work()
                await self._save()
                await self._disk.run(self._store.close)
        except TimeoutError:
            self._say(Level.WARNING, "the disk takes too long, new hashes of stations are lost")

    # --- one thing after the other

    async def _work(self) -> None:
        while self._inbox:
            await self._carry_out(self._inbox[0])  # taken out only then: who is cancelled meanwhile hasn't done it
            self._inbox.popleft()

    async def _carry_out(self, request: Request) -> None:
        entry = self._entries.get(request.identity)
        if isinstance(request, CheckCredentials):
            matches = await self._hashing.run(lambda: _matching(entry, request.authorization) is not None)
            self._report(CredentialsChecked(request.socket, matches))
            return
        if isinstance(request, KeepCredentials):
            new: _Entry | None = await self._hashing.run(lambda: _kept(entry, request))
        else:
            new = await self._hashing.run(lambda: _without(entry, request.authorization))
        if new == entry:
            return
        self._entries.pop(request.identity, None)
        if new is not None:
            self._entries[request.identity] = new
        self._unsaved[request.identity] = None if new is None else msgspec.json.encode(new)
        while len(self._entries) > IDENTITIES_MAX:
            oldest, _ = self._entries.popitem(last=False)
            self._unsaved[oldest] = None
        self._changed.set()

    async def _save_all(self) -> NoReturn:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._save()

    async def _save(self) -> None:
        """What can't be saved now is tried again with the next change."""
        changes = dict(self._unsaved)
        if not changes:
            return
        try:
            await self._disk.run(lambda: self._store.save(changes))
        except StoreError as error:
            self._say(Level.WARNING, "the stations' hashes can't be saved; it will be tried again", reason=str(error))
            return
        for identity, entry in changes.items():
            if self._unsaved[identity] is entry:  # otherwise it has changed since
                del self._unsaved[identity]

    def _say(self, level: Level, words: str, **fields: str) -> None:
        log_note(self._logger, Note(level, words, dict(fields)))


def _digest(authorization: Authorization, salt: bytes, n: int, r: int, p: int) -> bytes:
    secret = b"\0" if authorization is None else b"\1" + authorization.encode()
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=SCRYPT_BYTES_MAX, dklen=32)


def _matching(entry: _Entry | None, authorization: Authorization) -> Hashed | None:
    known = () if entry is None else entry.hashes
    return next((one for one in known if one.matches(authorization)), None)


def _kept(entry: _Entry | None, request: KeepCredentials) -> _Entry:
    """What is known already keeps its hash, so that nothing is written for it."""
    hashes = tuple(_matching(entry, authorization) or hashed(authorization) for authorization in request.authorizations)
    return _Entry(OcppVersion(request.version), hashes)


def _without(entry: _Entry | None, authorization: Authorization) -> _Entry | None:
    refused = _matching(entry, authorization)
    if entry is None or refused is None:
        return entry
    others = tuple(one for one in entry.hashes if one is not refused)
    return _Entry(entry.version, others) if others else None
