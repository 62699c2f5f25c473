"""What the server that clouds share promises beyond the contract of positions: edges are one cloud's, contexts are given once, and it may begin anew."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from ocppress_gateway.cloud.fleet import FleetWatch
from ocppress_gateway.core.saved_contexts import SavedContext
from ocppress_gateway.core.stored import (
    Claim,
    EdgeClaimed,
    EdgeNotClaimed,
    EdgeTaken,
    Lane,
    PositionNotSaved,
    PositionSaved,
    PositionsLoaded,
    PositionsOpened,
    PositionsTrouble,
)
from ocppress_gateway.errors import StoreFailed, StoreNewer
from ocppress_gateway.positions.server import PREFIX, ServerPlace
from ocppress_gateway.positions.shared import CONTEXT_BYTES_MAX, CONTEXTS_S, SharedPositionsStore, channel_of, life_of
from ocppress_gateway.storage.desk import RETRY_S_MAX
from tests.support.link_ends import make_tls_files
from tests.support.processes import until
from tests.support.redis_server import RedisServer, needs_redis, running_redis
from tests.support.stores import SteppedPositions, context_of

pytestmark = needs_redis

ONE = b"incarn 1"
ORDERED = Lane.ORDERED
KEY, OTHER_KEY = "a" * 64, "b" * 64
WAIT_S = 10.0

E = TypeVar("E")


class _Cloud:
    """One life of a cloud, as far as its store sees it."""

    def __init__(self, server: RedisServer, run: str) -> None:
        self.run = run
        self.now = 1000.0
        self.events: list[object] = []
        self.store = SharedPositionsStore(server.place, run)
        self.positions = SteppedPositions(self.store, self.events.append, lambda: self.now)
        self.numbers = itertools.count(1)

    def heard(self, *kinds: type[E], seconds: float = 1.0) -> list[E]:
        """Let time pass; what of these kinds has come since this was asked last."""
        end = self.now + seconds
        while (due_at := self.positions.due_at()) is not None and due_at <= end:
            self.now = max(self.now, due_at)
            self.positions.run()
        self.now = end
        events, self.events[:] = list(self.events), []
        return [event for event in events if isinstance(event, kinds)]

    def claim(self, edge: str = "e", key: str = KEY) -> EdgeClaimed | EdgeNotClaimed:
        self.positions.claim(Claim(edge, next(self.numbers)), key)
        (event,) = self.heard(EdgeClaimed, EdgeNotClaimed)
        assert isinstance(event, EdgeClaimed | EdgeNotClaimed)
        return event

    def save(self, position: int, claim: Claim) -> object:
        self.positions.save("CP1", ONE, ORDERED, position, claim)
        (event,) = self.heard(PositionSaved, PositionNotSaved, EdgeTaken)
        return event

    def load(self) -> dict[bytes, tuple[int, int]]:
        self.positions.load("CP1")
        (event,) = self.heard(PositionsLoaded)
        return dict(event.positions)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "server", "--appendonly", "yes", "--appendfsync", "always") as found:
        yield found


@pytest.fixture
def clouds(server: RedisServer) -> tuple[_Cloud, _Cloud]:
    return _Cloud(server, "one"), _Cloud(server, "two")


def _saved(position: int) -> PositionSaved:
    return PositionSaved("CP1", ONE, ORDERED, position)


def _keep(cloud: _Cloud, *contexts: SavedContext) -> int:
    counts: list[int] = []
    cloud.positions.keep_contexts("e", contexts, counts.append)
    cloud.heard()
    (count,) = counts
    return count


# --- whose an edge is


def test_only_who_has_claimed_an_edge_last_saves_positions(clouds: tuple[_Cloud, _Cloud]) -> None:
    one, two = clouds
    first = one.claim()
    assert first == EdgeClaimed(Claim("e", 1), others=True)
    assert one.save(5, first.claim) == _saved(5)
    second = two.claim()
    assert second == EdgeClaimed(Claim("e", 1), others=True)
    assert two.load() == {ONE: (0, 5)}
    assert one.save(6, first.claim) == EdgeTaken(first.claim)
    assert two.load() == {ONE: (0, 5)}
    assert two.save(7, second.claim) == _saved(7)
    assert one.claim("f") == EdgeClaimed(Claim("f", 2), others=True), "another edge is another matter"


def test_what_a_cloud_remembers_is_good_unless_another_had_the_edge(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    assert one.claim() == EdgeClaimed(Claim("e", 1), others=True)
    assert one.claim() == EdgeClaimed(Claim("e", 2), others=False)
    assert one.save(1, Claim("e", 1)) == _saved(1), "it is true, by whichever of its claims"
    two.claim()
    assert one.claim() == EdgeClaimed(Claim("e", 3), others=True)
    with server.client() as client:
        client.execute_command("FLUSHALL")
    assert one.save(2, Claim("e", 3)) == EdgeTaken(Claim("e", 3))
    assert one.claim() == EdgeClaimed(Claim("e", 4), others=True)
    assert one.save(2, Claim("e", 4)) == _saved(2)


def test_what_waits_is_saved_before_a_claim(clouds: tuple[_Cloud, _Cloud]) -> None:
    one, _ = clouds
    claim = one.claim().claim
    for position in range(1, 100):
        one.positions.save("CP1", ONE, ORDERED, position, claim)
    one.positions.claim(Claim("e", 99), KEY)
    one.positions.load("CP1")
    *saved, claimed, loaded = one.heard(PositionSaved, EdgeClaimed, PositionsLoaded)
    assert saved == [_saved(position) for position in range(1, 100)]
    assert claimed == EdgeClaimed(Claim("e", 99), others=False)
    assert loaded == PositionsLoaded("CP1", {ONE: (0, 99)})


@pytest.mark.parametrize(
    ("alive", "released", "ours", "theirs", "rival"),
    [
        (True, False, KEY, OTHER_KEY, True),
        (True, False, KEY, KEY, False),
        (True, False, "", OTHER_KEY, False),
        (True, False, KEY, "", False),
        (True, True, KEY, OTHER_KEY, False),
        (False, False, KEY, OTHER_KEY, False),
    ],
)
def test_another_key_waits_until_the_first_has_gone(
    alive: bool, released: bool, ours: str, theirs: str, rival: bool, clouds: tuple[_Cloud, _Cloud], server: RedisServer
) -> None:
    one, two = clouds
    claim = one.claim(key=ours).claim
    if alive:
        with server.client() as client:
            client.set(life_of(one.run), 1)
    if released:
        one.positions.release(claim)
        one.heard()
    event = two.claim(key=theirs)
    assert isinstance(event, EdgeNotClaimed) is rival
    assert isinstance(one.save(1, claim), PositionSaved) is rival, "a rival that is refused changes nothing"


def test_an_old_release_releases_nothing(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    old = one.claim().claim
    one.claim()
    one.positions.release(old)
    one.heard()
    with server.client() as client:
        client.set(life_of(one.run), 1)
    assert isinstance(two.claim(key=OTHER_KEY), EdgeNotClaimed)


# --- contexts


def test_contexts_are_given_to_whoever_claims_next_and_to_nobody_else(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    one.claim()
    contexts = (context_of("CP1"), context_of("CP2"))
    assert _keep(one, *contexts) == 2
    with server.client() as client:
        assert 0 < int(client.execute_command("TTL", f"{PREFIX}contexts:e")) <= CONTEXTS_S
    assert two.claim() == EdgeClaimed(Claim("e", 1), others=True, contexts=contexts)
    assert one.claim() == EdgeClaimed(Claim("e", 2), others=True)


def test_contexts_of_an_edge_that_another_has_are_stale(clouds: tuple[_Cloud, _Cloud]) -> None:
    one, two = clouds
    one.claim()
    two.claim()
    assert _keep(one, context_of("CP1")) == 0
    assert two.claim() == EdgeClaimed(Claim("e", 2), others=False)


def test_contexts_that_are_too_large_are_left_out(clouds: tuple[_Cloud, _Cloud]) -> None:
    one, two = clouds
    one.claim()
    small, large = context_of("CP1"), context_of("CP2", fill=CONTEXT_BYTES_MAX // 2 + 1)
    assert _keep(one, large, small) == 1
    assert two.claim() == EdgeClaimed(Claim("e", 1), others=True, contexts=(small,))
    assert _keep(two) == 0


@pytest.mark.parametrize("data", [b"\x90", b"nonsense", b"\x91\x80", b"\xc1"])
def test_contexts_of_another_release_are_none(data: bytes, clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, _ = clouds
    with server.client() as client:
        client.set(f"{PREFIX}contexts:e", data)
    assert one.claim() == EdgeClaimed(Claim("e", 1), others=True)


# --- a server that goes away


def test_a_server_that_is_killed_has_what_it_has_taken(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    claim = one.claim().claim
    assert one.save(1, claim) == _saved(1)
    server.kill()
    one.positions.save("CP1", ONE, ORDERED, 2, claim)
    trouble, refused = one.heard(PositionsTrouble, PositionNotSaved, PositionSaved)
    assert isinstance(trouble, PositionsTrouble)
    assert isinstance(refused, PositionNotSaved)
    assert refused.reason == trouble.reason
    assert isinstance(one.claim(), EdgeNotClaimed), "an edge that comes now is told to come later"
    server.start()
    assert one.heard(PositionSaved, EdgeTaken, seconds=RETRY_S_MAX) == [_saved(2)], "its scripts are gone, and loaded again"
    assert two.load() == {ONE: (0, 2)}


def test_positions_saved_before_a_load_are_in_it_however_long_the_server_was_away(
    clouds: tuple[_Cloud, _Cloud], server: RedisServer
) -> None:
    one, _ = clouds
    claim = one.claim().claim
    server.kill()
    for position in (1, 2, 3):
        one.positions.save("CP1", ONE, ORDERED, position, claim)
    one.heard(seconds=5.0)
    server.start()
    saved = one.heard(PositionSaved, seconds=RETRY_S_MAX)
    assert saved == [_saved(1), _saved(2), _saved(3)]
    assert one.load() == {ONE: (0, 3)}


def test_a_full_server_takes_nothing_and_loses_nothing(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, _ = clouds
    claim = one.claim().claim
    one.save(1, claim)
    with server.client() as client:
        client.execute_command("CONFIG SET", "maxmemory", "1")
        assert isinstance(one.save(2, claim), PositionNotSaved)
        assert one.load() == {ONE: (0, 1)}
        client.execute_command("CONFIG SET", "maxmemory", "0")
    assert one.heard(PositionSaved, seconds=RETRY_S_MAX) == [_saved(2)]


# --- the server itself


def test_a_later_format_is_left_alone(server: RedisServer) -> None:
    with server.client() as client:
        client.set(f"{PREFIX}format", 2)
    with pytest.raises(StoreNewer):
        SharedPositionsStore(server.place, "one").open()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("--appendonly", "yes"), None),
        ((), "appendonly"),
        (("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "noeviction"),
        (("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "noeviction"), None),
    ],
)
def test_settings_that_forget_are_remarked(settings: tuple[str, ...], words: str | None, tmp_path: Path) -> None:
    with running_redis(tmp_path / "server", *settings) as server:
        store = SharedPositionsStore(server.place, "one")
        store.open()
        store.close()
    assert (store.remark is None) if words is None else (words in str(store.remark))


def test_a_password_is_read_for_each_connection(server: RedisServer, tmp_path: Path) -> None:
    password = tmp_path / "password"
    place = ServerPlace(url=server.place.url, password_file=password)
    with server.client() as client:
        client.execute_command("CONFIG SET", "requirepass", "new")
    password.write_text("old\n")
    with pytest.raises(StoreFailed) as caught:
        SharedPositionsStore(place, "one").open()
    assert "old" not in str(caught.value)
    password.write_text("new\n")
    SharedPositionsStore(place, "one").open()
    SharedPositionsStore(replace(place, user="default"), "one").open()


def test_tls(tmp_path: Path) -> None:
    _, files = make_tls_files(tmp_path / "tls")
    settings = ["--tls-port", "0"]
    with running_redis(tmp_path / "server", *settings) as server, server.client() as client:
        port = server.port + 1
        for name, value in (
            ("tls-cert-file", files.certificate_file),
            ("tls-key-file", files.key_file),
            ("tls-ca-cert-file", files.ca_file),
            ("tls-auth-clients", "no"),
            ("tls-port", port),
        ):
            try:
                client.execute_command("CONFIG SET", name, str(value))
            except Exception as error:
                pytest.skip(f"a server without TLS: {error}")
        place = ServerPlace(url=f"rediss://127.0.0.1:{port}/0", ca_file=files.ca_file)
        store = SharedPositionsStore(place, "one")
        store.open()
        assert store.load("CP1") == {}
        with pytest.raises(StoreFailed, match="certificate verify failed"):
            SharedPositionsStore(replace(place, ca_file=None), "one").open()


# --- hearing of it


def test_a_cloud_hears_at_once_that_an_edge_has_gone(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    claims = [one.claim().claim]
    taken: asyncio.Queue[EdgeTaken] = asyncio.Queue()

    async def main() -> None:
        watch = FleetWatch(server.place, one.run, claims=lambda: claims, report=taken.put_nowait)
        task = asyncio.get_running_loop().create_task(watch.run())
        with server.client() as client:
            await until(lambda: bool(client.pubsub_numsub(channel_of(one.run))[0][1]))
            client.publish(channel_of(one.run), "no edge at all")
            client.publish(channel_of(one.run), "../e 1")
            await asyncio.to_thread(two.claim)
            async with asyncio.timeout(WAIT_S / 4):
                assert await taken.get() == EdgeTaken(claims[0])
            assert client.exists(life_of(one.run))
            task.cancel()
            await asyncio.wait((task,))
            await watch.close()
            assert not client.exists(life_of(one.run))
        assert taken.empty()

    asyncio.run(main())


def test_a_cloud_that_could_not_hear_it_looks(clouds: tuple[_Cloud, _Cloud], server: RedisServer) -> None:
    one, two = clouds
    claims = [one.claim().claim, one.claim("f").claim, Claim("never", 9)]
    two.claim()
    taken: asyncio.Queue[EdgeTaken] = asyncio.Queue()

    async def main() -> None:
        server.kill()
        watch = FleetWatch(server.place, one.run, claims=lambda: claims, report=taken.put_nowait)
        task = asyncio.get_running_loop().create_task(watch.run())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(WAIT_S):
            assert await taken.get() == EdgeTaken(claims[0])
        task.cancel()
        await asyncio.wait((task,))
        await watch.close()
        assert taken.empty()

    asyncio.run(main())


def test_opening_is_reported_once(clouds: tuple[_Cloud, _Cloud]) -> None:
    assert clouds[0].heard(PositionsOpened) == [PositionsOpened(None)]
