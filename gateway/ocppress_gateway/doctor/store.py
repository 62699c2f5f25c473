"""A look at the Redis or Valkey that the clouds of a fleet share: who we are there, and whether it keeps what it is told. Nothing is written."""

from __future__ import annotations

import time

from ocppress_gateway.doctor.facts import StoreAnswer
from ocppress_gateway.positions.server import ServerPlace, remark_on

__all__ = ["ask_store"]


def ask_store(place: ServerPlace) -> StoreAnswer:
    """Blocks for some seconds at most."""
    import redis  # only a cloud of a fleet has it

    began = time.monotonic()
    try:
        with redis.Redis(**place.options()) as client:
            client.ping()
            info = client.info()
    except (redis.RedisError, OSError) as error:
        return StoreAnswer(url=place.name, refused=str(error) or type(error).__name__, took_s=time.monotonic() - began)
    assert isinstance(info, dict), "a blocking client answers at once"
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    return StoreAnswer(url=place.name, version=version, remark=remark_on(info), took_s=time.monotonic() - began)
