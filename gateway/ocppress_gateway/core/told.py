"""What has been reported already, so that who tries again and again fills no log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

__all__ = ["TOLD_MAX", "Told"]

TOLD_MAX: Final = 1000
"""Things remembered as reported, the oldest forgotten first: what an enemy invents costs this much memory, and a line each."""


class Told:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def first(self, *key: Hashable) -> bool:
        """Whether this hasn't been reported; from now on it has."""
        if key in self._keys:
            self._keys.move_to_end(key)
            return False
        self._keys[key] = None
        if len(self._keys) > TOLD_MAX:
            self._keys.popitem(last=False)
        return True
