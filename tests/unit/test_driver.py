"""The loop that runs a machine."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

import pytest

from ocppress_gateway.core.events import CloseLink, Effect, Event, Level, LinkMessage, LinkSent, Note, SendLink, Tick
from ocppress_gateway.driver import EVENTS_MAX, Driver
from tests.support.background import background
from tests.support.scripted_machine import WAIT_S, ScriptedMachine

LOGGER = logging.getLogger("ocppress.test")


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(main())


def test_effects_run_in_order_and_before_the_next_event() -> None:
    seen: list[Event | Effect] = []

    def react(event: Event) -> list[Effect]:
        seen.append(event)
        if isinstance(event, LinkMessage):
            return [SendLink(event.link, b"1"), Note(Level.INFO, "between", {}), CloseLink(event.link, "2")]
        return []

    async def work() -> None:
        machine = ScriptedMachine(react)
        driver = Driver(machine, seen.append, logger=LOGGER)
        await driver.post(LinkMessage(1, b"a"))
        driver.post_now(LinkSent(1))
        await driver.post(LinkMessage(2, b"b"))
        async with background(driver.run(), "driver"):
            await machine.event(LinkMessage, 2)

    _run(work)
    assert seen == [
        LinkMessage(1, b"a"),
        SendLink(1, b"1"),
        CloseLink(1, "2"),
        LinkSent(1),
        LinkMessage(2, b"b"),
        SendLink(2, b"1"),
        CloseLink(2, "2"),
    ]


def test_notes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        machine = ScriptedMachine(lambda _: [Note(Level.WARNING, "link lost", {"reason": "cut"})])
        driver = Driver(machine, _no_effect, logger=LOGGER)
        driver.post_now(Tick())
        async with background(driver.run(), "driver"):
            await machine.event(Tick)

    _run(work)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage(), record.__dict__["fields"]) == (logging.WARNING, "link lost", {"reason": "cut"})


def test_a_sign_of_life_comes_whether_or_not_the_loop_was_idle() -> None:
    async def work() -> None:
        machine = ScriptedMachine()
        driver = Driver(machine, _no_effect, logger=LOGGER)
        async with background(driver.run(), "driver"):
            for count in range(1, 200):
                async with asyncio.timeout(1):
                    await driver.stepped()
                assert machine.events == [Tick()] * count
                if count % 2:
                    await asyncio.sleep(0.001)  # idle, so that events are worked off where they are posted

    _run(work)


def test_a_tick_comes_when_the_deadline_is_due_and_not_before() -> None:
    """The clock is the test's own: real time only decides when the driver looks at it."""
    now = 1000.0

    async def work() -> None:
        nonlocal now
        machine = ScriptedMachine()
        machine.deadline = 1000.01
        driver = Driver(machine, _no_effect, logger=LOGGER, clock=lambda: now)
        async with background(driver.run(), "driver"):
            driver.post_now(LinkSent(1))
            await machine.event(LinkSent)
            await driver.turn()
            assert Tick() not in machine.events
            now = 1000.02
            await machine.event(Tick)
            machine.deadline = None

    _run(work)


def test_a_flood_of_events_does_not_hold_up_the_tick() -> None:
    async def work() -> None:
        machine = ScriptedMachine()
        machine.deadline = 0.0
        driver = Driver(machine, _no_effect, logger=LOGGER, clock=lambda: 1.0)
        for number in range(1000):
            driver.post_now(LinkSent(number))
        async with background(driver.run(), "driver"):
            await machine.event(Tick)
            assert len(machine.events) < 100

    _run(work)


def test_readers_wait_while_the_inbox_is_full_and_others_do_not() -> None:
    async def work() -> None:
        machine = ScriptedMachine()
        driver = Driver(machine, _no_effect, logger=LOGGER)
        for number in range(EVENTS_MAX):
            await driver.post(LinkMessage(number, b"x"))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(driver.post(LinkMessage(EVENTS_MAX, b"x")), name="reader")
            await asyncio.sleep(0)
            assert not waiting.done()
            driver.post_now(LinkSent(7))
            running = group.create_task(driver.run(), name="driver")
            await machine.event(LinkMessage, EVENTS_MAX + 1)
            running.cancel()
        links = [event.link for event in machine.events if isinstance(event, LinkMessage)]
        assert links == list(range(EVENTS_MAX + 1))
        assert LinkSent(7) in machine.events

    _run(work)


def test_an_event_that_finds_nothing_before_it_is_worked_off_where_it_is_posted() -> None:
    async def work() -> None:
        machine = ScriptedMachine(lambda event: [SendLink(1, b"x")] if isinstance(event, LinkMessage) else [])
        driver = Driver(machine, lambda effect: driver.post_now(LinkSent(1)), logger=LOGGER)
        async with background(driver.run(), "driver"):
            driver.post_now(Tick())
            await machine.event(Tick)
            await asyncio.sleep(0)
            await driver.post(LinkMessage(1, b"a"))
            assert machine.events == [Tick(), LinkMessage(1, b"a"), LinkSent(1)], "what an effect causes comes after it, and at once, too"

    _run(work)


def test_a_step_can_be_asked_for_and_waited_for_whether_or_not_something_waits_before_it() -> None:
    async def work() -> None:
        machine = ScriptedMachine()
        driver = Driver(machine, _no_effect, logger=LOGGER)
        driver.post_now(LinkSent(1))
        async with background(driver.run(), "driver"):
            for count in range(1, 100):
                await driver.stepped()
                assert machine.events == [LinkSent(1), *[Tick()] * count]

    _run(work)


def test_a_reader_that_never_waits_leaves_the_others_their_turn() -> None:
    async def work() -> None:
        machine = ScriptedMachine()
        driver = Driver(machine, _no_effect, logger=LOGGER)
        events_seen: list[int] = []

        async def other() -> None:
            while True:
                events_seen.append(len(machine.events))
                await asyncio.sleep(0)

        async with background(driver.run(), "driver"), background(other(), "other"):
            await asyncio.sleep(0)
            for _ in range(1000):
                await driver.post(LinkMessage(1, b"x"))
            await machine.event(LinkMessage, 1000)
        assert max(after - before for before, after in itertools.pairwise(events_seen)) <= EVENTS_MAX

    _run(work)


def test_an_error_of_the_machine_where_an_event_is_posted_ends_the_loop_and_not_the_reader() -> None:
    def react(event: Event) -> list[Effect]:
        if isinstance(event, LinkMessage):
            raise AssertionError("a programmer's mistake")
        return []

    async def work() -> None:
        machine = ScriptedMachine(react)
        driver = Driver(machine, _no_effect, logger=LOGGER)
        running = asyncio.get_running_loop().create_task(driver.run(), name="driver")
        driver.post_now(Tick())
        await machine.event(Tick)
        await asyncio.sleep(0)
        await driver.post(LinkMessage(1, b"a"))
        await driver.post(LinkMessage(2, b"b"))
        with pytest.raises(AssertionError, match="a programmer's mistake"):
            await running
        assert machine.events == [Tick(), LinkMessage(1, b"a")]

    _run(work)


def test_an_error_of_the_machine_ends_the_loop() -> None:
    def react(_: Event) -> list[Effect]:
        raise AssertionError("a programmer's mistake")

    async def work() -> None:
        driver = Driver(ScriptedMachine(react), _no_effect, logger=LOGGER)
        driver.post_now(Tick())
        with pytest.raises(AssertionError, match="a programmer's mistake"):
            await driver.run()

    _run(work)


def _no_effect(effect: Effect) -> None:
    raise AssertionError(f"unexpected {effect}")
