"""Coroutines that are begun without a task."""

from __future__ import annotations

import asyncio

import pytest

from ocppress_gateway.begun import begun


def test_what_needs_no_wait_is_done_at_once() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("it")

    assert begun(work()) is None
    assert done == ["it"]


def test_what_it_raises_at_once_is_raised() -> None:
    async def work() -> None:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        begun(work())


def test_the_rest_goes_on_where_it_waited_as_often_as_it_waits() -> None:
    async def main() -> None:
        first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
        done: list[str] = []

        async def work() -> None:
            done.append(await first)
            await asyncio.sleep(0)
            done.append(await second)

        rest = begun(work())
        assert rest is not None
        assert done == []
        first.set_result("one")
        second.set_result("two")
        await rest
        assert done == ["one", "two"]

    asyncio.run(main())


@pytest.mark.parametrize("swallows", [False, True])
def test_who_waits_for_the_rest_can_be_cancelled(*, swallows: bool) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                seen.append("cancelled")
                if not swallows:
                    raise

        rest = begun(work())
        assert rest is not None

        async def wait() -> None:
            await rest

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(wait(), name="waiting")
            await asyncio.sleep(0)
            waiting.cancel()
        assert seen == ["cancelled"]
        assert waiting.cancelled() is not swallows

    asyncio.run(main())


def test_what_the_rest_raises_is_raised() -> None:
    async def main() -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            raise ConnectionResetError("gone")

        rest = begun(work())
        assert rest is not None
        with pytest.raises(ConnectionResetError, match="gone"):
            await rest

    asyncio.run(main())
