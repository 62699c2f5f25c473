"""Stations that come while nobody can be asked: the keeper of hashes on a real disk, and two real programs that are killed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.core.events import CheckCredentials, CredentialsChecked, CredentialsOpened, ForgetCredentials, KeepCredentials
from ocppress_gateway.core.limits import IDENTITIES_MAX
from ocppress_gateway.edge.credentials import CREDENTIALS_FILE, CredentialKeeper, credential_store, hashed
from tests.support.background import background
from tests.support.processes import Lives, make_files, until
from tests.support.raw_peers import RawCsms, RawStation

WAIT_S = 20.0


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"CS-1:{password}".encode()).decode()


OLD, NEW, WRONG = _basic("Old-not-to-be-seen-1"), _basic("New-not-to-be-seen-2"), _basic("Wrong-not-to-be-seen-3")


# --- the keeper


@dataclass(frozen=True, slots=True)
class _Keeper:
    own: CredentialKeeper
    events: asyncio.Queue[CredentialsOpened | CredentialsChecked]

    async def matches(self, authorization: str | None, identity: str = "CS-1") -> bool:
        self.own.ask(CheckCredentials(1, identity, authorization))
        event = await self.events.get()
        assert isinstance(event, CredentialsChecked)
        return event.matches


@contextlib.asynccontextmanager
async def _keeper(folder: Path, known: dict[str, str]) -> AsyncIterator[_Keeper]:
    events: asyncio.Queue[CredentialsOpened | CredentialsChecked] = asyncio.Queue()
    keeper = CredentialKeeper(credential_store(folder), events.put_nowait, logger=logging.getLogger("test"))
    async with asyncio.timeout(WAIT_S):
        await keeper.begin()
        assert await events.get() == CredentialsOpened(known)
        async with background(keeper.run(), "keeper"):
            yield _Keeper(keeper, events)
        await keeper.finish()


def test_hashes_outlive_the_process_and_say_nothing_of_the_password(tmp_path: Path) -> None:
    folder = tmp_path / "state"

    async def main() -> None:
        async with _keeper(folder, {}) as keeper:
            assert not await keeper.matches(OLD)
            keeper.own.ask(KeepCredentials("CS-1", "2.0.1", (OLD, NEW)))
            keeper.own.ask(KeepCredentials("CS-2", "1.6", (None,)))
            assert [await keeper.matches(one) for one in (OLD, NEW, WRONG, None)] == [True, True, False, False]
            assert [await keeper.matches(one, "CS-2") for one in (None, OLD, "")] == [True, False, False]
        async with _keeper(folder, {"CS-1": "2.0.1", "CS-2": "1.6"}) as keeper:
            assert [await keeper.matches(one) for one in (OLD, NEW, WRONG)] == [True, True, False]
            keeper.own.ask(ForgetCredentials("CS-1", OLD))
            keeper.own.ask(ForgetCredentials("CS-1", WRONG))
            assert [await keeper.matches(one) for one in (OLD, NEW)] == [False, True]
            keeper.own.ask(ForgetCredentials("CS-2", None))
        async with _keeper(folder, {"CS-1": "2.0.1"}) as keeper:
            assert [await keeper.matches(one) for one in (OLD, NEW)] == [False, True]

    asyncio.run(main())
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        for secret in (OLD, NEW, "not-to-be-seen"):
            assert secret.removeprefix("Basic ").encode() not in file.read_bytes()


def test_each_hash_has_a_salt_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    assert hashed(OLD).digest != hashed(OLD).digest

    async def main() -> None:
        async with _keeper(tmp_path, {}) as keeper:
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (OLD,)))
            assert await keeper.matches(OLD)
            first = keeper.own._entries["CS-1"]
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (NEW, OLD)))
            assert await keeper.matches(NEW)
            assert keeper.own._entries["CS-1"].hashes[1] == first.hashes[0], "nothing new is written for what is known"

    asyncio.run(main())


def test_what_is_under_way_when_the_program_ends_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with _keeper(tmp_path, {}) as keeper:
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (OLD, NEW)))
            await asyncio.sleep(0.01)  # it takes longer than that
        async with _keeper(tmp_path, {"CS-1": "1.6"}) as keeper:
            assert await keeper.matches(NEW)

    asyncio.run(main())


def test_a_damaged_file_is_set_aside_and_stations_are_asked_for_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with _keeper(tmp_path, {}) as keeper:
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (OLD,)))
            assert await keeper.matches(OLD)
        (tmp_path / CREDENTIALS_FILE).write_bytes(b"not a database, but long enough to look like a file of one" * 100)
        async with _keeper(tmp_path, {}) as keeper:
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (OLD,)))
            assert await keeper.matches(OLD)
        async with _keeper(tmp_path, {"CS-1": "1.6"}):
            pass

    asyncio.run(main())
    assert "the stations' hashes are damaged; new ones begin" in caplog.messages


def test_a_disk_that_fails_costs_only_the_next_process_what_it_would_have_known(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with _keeper(tmp_path, {}) as keeper:
            keeper.own._store.close()
            (tmp_path / CREDENTIALS_FILE).unlink()
            (tmp_path / CREDENTIALS_FILE).mkdir()
            keeper.own.ask(KeepCredentials("CS-1", "1.6", (OLD,)))
            assert await keeper.matches(OLD)
            await until(lambda: "the stations' hashes can't be saved; it will be tried again" in caplog.messages)
            (tmp_path / CREDENTIALS_FILE).rmdir()
            keeper.own.ask(KeepCredentials("CS-2", "1.6", (OLD,)))
        async with _keeper(tmp_path, {"CS-1": "1.6", "CS-2": "1.6"}):
            pass

    asyncio.run(main())


def test_invented_identities_push_out_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocppress_gateway.edge.credentials.SCRYPT_N", 2)

    async def main() -> None:
        async with _keeper(tmp_path, {}) as keeper:
            for number in range(IDENTITIES_MAX + 1):
                keeper.own.ask(KeepCredentials(f"CS-{number}", "1.6", (OLD,)))
            assert not await keeper.matches(OLD, "CS-0")
            assert await keeper.matches(OLD, "CS-1")
        async with _keeper(tmp_path, {f"CS-{number}": "1.6" for number in range(1, IDENTITIES_MAX + 1)}):
            pass

    asyncio.run(main())


# --- two programs


class _Csms:
    """Accepts one password at a time."""

    def __init__(self) -> None:
        self.password = OLD

    def admit(self, identity: str, authorization: str | None, subprotocols: Sequence[str]) -> int | str:
        return "ocpp1.6" if authorization == self.password else 401

    def answer(self, text: str) -> Sequence[str]:
        message_id, message = parse(text)
        if message.type is not MessageType.CALL:
            return []
        return [f'[3,"{message_id}",{{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}}]']


@dataclass(frozen=True, slots=True)
class _World:
    csms: RawCsms
    behaviour: _Csms
    edge: Lives
    cloud: Lives
    url: str

    @contextlib.asynccontextmanager
    async def station(self, authorization: str | None = OLD) -> AsyncIterator[RawStation]:
        async with RawStation(f"{self.url}/CS-1", subprotocols=["ocpp1.6"], authorization=authorization) as station:
            yield station

    async def status(self, authorization: str | None) -> int:
        """By which a station is refused."""
        with pytest.raises(InvalidStatus) as refused:
            async with self.station(authorization):
                pass
        return refused.value.response.status_code

    async def exchange(self, station: RawStation) -> None:
        """A message that only the CSMS answers."""
        await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
        assert json.loads(await station.receive())[:2] == [3, "1"]


@contextlib.asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[_World]:
    behaviour = _Csms()
    async with RawCsms(admit=behaviour.admit, handler=behaviour.answer) as csms:
        quick = ("#reconnect_max_s = 60.0", "reconnect_max_s = 1.0")
        soon = ("#retry_wait_min_s = 10.0", "retry_wait_min_s = 0.1")
        at_once = ("#retry_random_s = 10.0", "retry_random_s = 0.0")
        files = await make_files(folder, csms.url, edge_changes=[quick], cloud_changes=[soon, at_once])
        async with (
            Lives("cloud", "--config", files.cloud, ready="listening for edges") as cloud,
            Lives("edge", "--config", files.edge, ready="listening for stations") as edge,
        ):
            await edge.process.said("link up")
            yield _World(csms, behaviour, edge, cloud, files.url)


def test_a_station_gets_in_without_the_cloud_and_the_csms_has_the_last_word(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world:
            async with world.station() as station:
                await world.exchange(station)
            await asyncio.sleep(2.0)  # the hash is made behind the answer, which takes a busy machine a while
            await world.cloud.kill()
            await world.edge.process.said("link lost")
            await world.edge.kill()  # so that nothing is known but what is on the disk
            await world.edge.start()
            await world.edge.process.said("link not made")
            assert await world.status(WRONG) == 503
            assert await world.status(None) == 503
            async with world.station() as station:
                await world.edge.process.said("station admitted with the credentials of last time station=CS-1")
                asked = len(world.csms.authorizations["CS-1"])
                await world.cloud.start()
                await world.edge.process.said("station admitted station=CS-1 ocpp=1.6 again=true")
                assert world.csms.authorizations["CS-1"][asked:] == [OLD], "the real header, once"
                await world.exchange(station)
                # The same once more, and this time the CSMS has another mind.
                await world.cloud.kill()
                world.behaviour.password = NEW
                await world.cloud.start()
                assert await station.closed() == 1008
            assert await world.status(OLD) == 401
            asked = len(world.csms.authorizations["CS-1"])
            assert [await world.status(OLD) for _ in range(5)] == [401] * 5
            assert len(world.csms.authorizations["CS-1"]) == asked, "a refusal is remembered"
            async with world.station(NEW) as station:
                await world.exchange(station)

    asyncio.run(main())


@pytest.mark.parametrize("accepts", [True, False])
def test_a_changed_password_is_followed_whoever_dies(accepts: bool, tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world, world.station() as station:
            await world.exchange(station)
            change = '[2,"c","ChangeConfiguration",{"key":"AuthorizationKey","value":"New-not-to-be-seen-2"}]'
            await world.csms.send("CS-1", change)
            message_id = json.loads(await station.receive())[1]
            if accepts:
                await station.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
                await world.csms.until(lambda: '[3,"c",{"status":"Accepted"}]' in world.csms.texts["CS-1"])
            world.behaviour.password = NEW
            # The CSMS drops the socket, as some do after a change: the cloud comes back by itself.
            socket = world.csms.sockets["CS-1"]
            await socket.close()
            await world.csms.until(lambda: world.csms.sockets.get("CS-1") not in (None, socket))
            await world.exchange(station)
            await world.cloud.kill()
            await world.cloud.start()
            await world.edge.process.said("again=true")
            await world.exchange(station)
            tried = world.csms.authorizations["CS-1"]
            # Without the station's answer the old one is the likelier, at either end.
            assert tried == ([OLD, NEW, NEW] if accepts else [OLD, OLD, NEW, OLD, NEW])
            await station.socket.close()
            await world.cloud.kill()
            await world.edge.stop()
            await world.edge.start()
            await world.edge.process.said("link not made")
            assert await world.status(OLD) == 503, "one has opened a socket, and it wasn't this"
            async with world.station(NEW):
                pass

    asyncio.run(main())
