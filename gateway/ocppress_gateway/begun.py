"""Coroutines that seldom wait, begun where they are called: only what is left of one after its first wait needs a task."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

__all__ = ["begun"]


def begun(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run `work` until it waits for something; None if it has ended by then, otherwise the rest of it, to be awaited. Raises what it raises.

    Until it waits it has no task of its own, so it must not ask for one: `asyncio.timeout` does.
    """
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return _rest(work, waits_for)


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:  # whoever awaits it was cancelled, for instance
                waits_for = work.throw(error)
            else:
                waits_for = work.send(answer)
    except StopIteration:
        return
