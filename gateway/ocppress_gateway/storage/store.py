"""What a desk asks of a store: blocking calls, all from one thread."""

from __future__ import annotations

import abc
from contextlib import AbstractContextManager

__all__ = ["Store"]


class Store(abc.ABC):
    """A durable store. What is written within `transaction` is there when that ends, whatever happens next, or not at all."""

    @abc.abstractmethod
    def open(self) -> None:
        """Open, or make it. Raises `StoreInUse`, `StoreNewer`, `StoreDamaged`, and `StoreFailed`, after which it may be tried again."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close; also one that was never opened."""

    @abc.abstractmethod
    def set_aside(self) -> None:
        """Close a damaged store and put its file where `open` will not use it as it is. Raises `StoreFailed`."""

    @abc.abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, the store's own memory included. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def probe(self) -> None:
        """Within a transaction: write something that changes nothing. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def obstacle(self) -> str | None:
        """Why nothing new is taken now; None if it is."""

    @abc.abstractmethod
    def obstacle_at(self) -> float | None:
        """When an obstacle will arise by itself, by the store's clock; None if it won't."""
