"""Being one of several clouds: saying that this one lives, and hearing which of its edges others have claimed.

    another cloud claims an edge ──publishes──► EdgeTaken here, at once
    each `LOOK_S`: which of our edges are still ours? ──► EdgeTaken for those that aren't, should the word have been lost

Without either, a save by this cloud is refused (`positions.shared`). So two clouds have a CSMS socket for one station for some milliseconds, or for
`LOOK_S` after the server was away; and while this one can't reach the server, as long as it takes the edge's old connection for alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Collection
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ocppress_gateway.core.identity import EDGE_NAME_PATTERN
from ocppress_gateway.core.stored import Claim, EdgeTaken
from ocppress_gateway.positions.server import ServerPlace
from ocppress_gateway.positions.shared import LIFE_S, channel_of, life_of, owner_of

__all__ = ["LOOK_S", "FleetWatch"]

LOOK_S: Final = LIFE_S / 3
"""Between two looks at all claims, one round trip each: thirty thousand names are a megabyte."""

RETRY_S: Final = 1.0
"""Wait before the server is tried again."""

_WORD: Final = re.compile(rb"(\S+) ([0-9]{1,15})")


class FleetWatch:
    """For one life of a cloud. `claims` are those it holds now, `report` takes what it has lost."""

    def __init__(
        self, place: ServerPlace, run: str, claims: Callable[[], Collection[Claim]], *, report: Callable[[EdgeTaken], None]
    ) -> None:
        self._run = run
        self._claims = claims
        self._report = report
        self._client: Any = redis.asyncio.Redis(**{**place.options(), "retry": Retry(NoBackoff(), 0)})

    async def run(self) -> None:
        """Until cancelled. Whether the server can be reached is the store's to say."""
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                await self._listen()
            await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """This life is over: whoever was its rival may come."""
        with contextlib.suppress(redis.RedisError, OSError):
            await self._ask("DEL", life_of(self._run))
        await self._client.aclose()

    async def _listen(self) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(channel_of(self._run))
            look_at = 0.0
            loop = asyncio.get_running_loop()
            while True:
                if loop.time() >= look_at:
                    look_at = loop.time() + LOOK_S
                    await self._look()
                word = await channel.get_message(ignore_subscribe_messages=True, timeout=max(0.0, look_at - loop.time()))
                if word is not None and (said := _WORD.fullmatch(word["data"])):
                    self._heard(said[1].decode(errors="replace"), int(said[2]))

    async def _look(self) -> None:
        await self._ask("SET", life_of(self._run), 1, "EX", LIFE_S)
        claims = list(self._claims())
        if not claims:
            return
        owners = await self._ask("MGET", *(owner_of(claim.edge) for claim in claims))
        for claim, owner in zip(claims, owners, strict=True):
            # A server that has lost all says nobody's; that all edges come back at once for it would be worse than each in its turn, with a refused save.
            if owner is not None and owner.partition(b" ")[0] != self._run.encode():
                self._report(EdgeTaken(claim))

    def _heard(self, edge: str, number: int) -> None:
        if re.match(EDGE_NAME_PATTERN, edge):
            self._report(EdgeTaken(Claim(edge, number)))

    async def _ask(self, *command: Any) -> Any:
        return await self._client.execute_command(*command)
