"""Stations that mean harm, or are broken as if they did, at two real programs: what they cost memory, and above all the link."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.core.refused_upgrades import BURST
from ocppress_gateway.edge.server import SOCKETS_MAX
from tests.support.processes import Change, Gateway, open_gateway, until
from tests.support.raw_peers import RawCsms, RawStation

GROWTH_MB = 60
"""What a process may keep of an attack: what stations may have under way, and what the allocator doesn't give back."""

AT_ONCE = 25
"""Upgrades, or messages, under way at the attacker's."""

INVENTED_AT_ONCE = 5
"""Each takes both ends' codecs far longer than a message that is like the one before, and the attacker waits for its answers."""

INVENTIONS = 200
"""Each an action and 20 members that nobody has seen before, 200 bytes of names and more for each end's memory."""


def _admit(identity: str, authorization: str | None, subprotocols: Sequence[str]) -> int | str:
    return 404 if identity.startswith("X") else 401 if identity == "GUARDED" else "ocpp1.6"


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    return [f'[3,"{message_id}",{{"status":"Accepted"}}]'] if message.type is MessageType.CALL else []


def _run(folder: Path, work: Callable[[Gateway, RawCsms], Awaitable[None]], *edge_changes: Change) -> None:
    async def main() -> None:
        async with (
            RawCsms(admit=_admit, handler=_answer) as csms,
            open_gateway(folder, csms.url, edge_changes=edge_changes) as gateway,
        ):
            await work(gateway, csms)

    asyncio.run(main())


async def _exchange(gateway: Gateway, identity: str = "HONEST") -> None:
    async with RawStation(f"{gateway.url}/{identity}", subprotocols=["ocpp1.6"]) as station:
        await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
        assert await station.receive() == '[3,"1",{"status":"Accepted"}]'


async def _tried(gateway: Gateway, identity: str, authorization: str | None = None) -> bool:
    """Whether a station was let in, which it then leaves."""
    try:
        async with RawStation(f"{gateway.url}/{identity}", subprotocols=["ocpp1.6"], authorization=authorization):
            return True
    except (InvalidHandshake, OSError, EOFError):
        return False


async def _all_tried(gateway: Gateway, names: Sequence[tuple[str, str | None]]) -> list[bool]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(identity: str, authorization: str | None) -> bool:
        async with turns:
            return await _tried(gateway, identity, authorization)

    return await asyncio.gather(*(one(*name) for name in names))


def test_thousands_of_upgrades_cost_the_link_a_handful_of_questions(tmp_path: Path) -> None:
    async def work(gateway: Gateway, csms: RawCsms) -> None:
        await _exchange(gateway)
        before_mb, before_files = gateway.edge.memory_mb, gateway.edge.open_files
        # One wrong password again and again.
        assert not any(await _all_tried(gateway, [("GUARDED", "Basic eDp5")] * 500))
        assert len(csms.authorizations["GUARDED"]) == 1
        # Passwords and identities without an end.
        guesses = ["Basic " + base64.b64encode(f"GUARDED:{number}".encode()).decode() for number in range(500)]
        assert not any(await _all_tried(gateway, [("GUARDED", guess) for guess in guesses]))
        assert not any(await _all_tried(gateway, [(f"X{number}", None) for number in range(500)]))
        asked = sum(len(questions) for identity, questions in csms.authorizations.items() if identity != "HONEST")
        assert asked <= BURST + AT_ONCE
        # Whom the CSMS has accepted before still gets in.
        await _exchange(gateway)
        await until(lambda: gateway.edge.open_files <= before_files + 2)
        assert gateway.edge.memory_mb < before_mb + GROWTH_MB

    _run(tmp_path, work)


def test_sockets_without_an_end_find_a_limit_and_the_others_stay(tmp_path: Path) -> None:
    async def work(gateway: Gateway, csms: RawCsms) -> None:
        async with RawStation(f"{gateway.url}/HONEST", subprotocols=["ocpp1.6"]) as honest, contextlib.AsyncExitStack() as stack:
            for number in range(2 * SOCKETS_MAX):
                with contextlib.suppress(InvalidHandshake, OSError, EOFError):
                    url = f"{gateway.url}/CROWD-{number % 100}"
                    await stack.enter_async_context(RawStation(url, subprotocols=["ocpp1.6"]))
            assert gateway.edge.open_files < SOCKETS_MAX + 100
            await honest.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
            assert await honest.receive() == '[3,"1",{"status":"Accepted"}]'
        assert "Traceback" not in "\n".join(gateway.edge.lines + gateway.cloud.lines)

    _run(tmp_path, work)


def test_inventions_without_an_end_are_forgotten(tmp_path: Path) -> None:
    async def work(gateway: Gateway, csms: RawCsms) -> None:
        await _exchange(gateway)
        before = gateway.edge.memory_mb, gateway.cloud.memory_mb
        async with RawStation(f"{gateway.url}/ODD", subprotocols=["ocpp1.6"]) as station:
            for start in range(0, INVENTIONS, INVENTED_AT_ONCE):
                for number in range(start, start + INVENTED_AT_ONCE):
                    members = {f"m{number}_{place}": {f"n{number}": [f"{number}-{place}"]} for place in range(20)}
                    await station.send(json.dumps([2, f"{number}", f"Invented{number}", members]))
                assert {json.loads(await station.receive())[0] for _ in range(INVENTED_AT_ONCE)} == {3}
        for program, before_mb in zip((gateway.edge, gateway.cloud), before, strict=True):
            assert program.memory_mb < before_mb + GROWTH_MB
        await _exchange(gateway)

    _run(tmp_path, work)


def test_a_station_that_uses_up_its_day_is_stopped_and_the_others_are_not(tmp_path: Path) -> None:
    async def work(gateway: Gateway, csms: RawCsms) -> None:
        codes = []
        async with RawStation(f"{gateway.url}/GREEDY", subprotocols=["ocpp1.6"]) as station:
            with contextlib.suppress(ConnectionClosed):
                for number in range(10_000):
                    action = "StartTransaction" if number % 2 else "DataTransfer"
                    await station.send(f'[2,"{number}","{action}",{{"vendorId":"{number * 7919}"}}]')
                    codes.append(json.loads(await station.receive())[0])
            assert await station.closed() == 1008
        assert codes[:2] == [3, 3]
        assert codes[-2:] in ([4, 3], [3, 4]), "transactions go on when nothing else does"
        line = await gateway.edge.said("a station has used up its bytes on the link, only transactions go on")
        assert "station=GREEDY daily_mb=0.02" in line
        assert not await _tried(gateway, "GREEDY")
        heard = [json.loads(text) for text in csms.texts["GREEDY"]]
        assert sum(call[2] == "StartTransaction" for call in heard) >= sum(code == 3 for number, code in enumerate(codes) if number % 2), (
            "whatever was answered has arrived"
        )
        await _exchange(gateway)

    _run(tmp_path, work, ("#daily_mb =", "daily_mb = 0.02"))
