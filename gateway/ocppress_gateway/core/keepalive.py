"""How long the link may be silent before the edge probes: searched upwards on each network, since every probe is billed, and remembered.

    240 s ──survived──► 330 s ──survived──► 450 s ──lost, lost──► 330 s: settled, tried again after a week
                                    └─lost, survived─► 600 s

A carrier's NAT forgets an idle mapping after minutes, and doesn't say so. A silence of `interval_s` that ended with an answered probe, or with other
traffic that got through, was short enough. A connection that was lost after such a silence may have been lost to the mapping or to the radio, so it takes
more than one in a row. While a car charges nothing is tried: a command may have to get through.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ocppress_gateway.core.events import Level, Note

__all__ = ["INTERVALS_S", "LOSSES_KNOWN", "LOSSES_TRIED", "SILENCES", "START_S", "KeepaliveSearch"]

INTERVALS_S: Final = (60, 120, 180, 240, 330, 450, 600, 780, 1020, 1260, 1500, 1800)
"""What is tried: about a third longer each time. The longest is the most that is heard of carriers, and twice a plan's longest delay."""

START_S: Final = 240
"""Where a search begins: under the 5 minutes after which short-tempered carriers forget an idle mapping."""

SILENCES: Final = 1.5
"""Intervals of silence after which the far end takes a link for lost: one for the silence, half a one for probes that are repeated."""

LOSSES_TRIED: Final = 2
"""Connections lost in a row after a silence as long as the interval, before one that was never survived counts as too long: radio is lost, too."""

LOSSES_KNOWN: Final = 4
"""The same of one that was survived: where every tenth silence ends in a dead spot, two in a row come every other day."""

AGAIN_S: Final = 7 * 86_400.0
"""When what was too long is tried again: carriers change, and chargers are moved."""

NETWORKS_MAX: Final = 16
"""Networks remembered, the one used longest ago forgotten first; an edge has one or two."""

SNAPSHOT_VERSION: Final = 1

_Place = Annotated[int, msgspec.Meta(ge=0, lt=len(INTERVALS_S))]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(max_length=64)]


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    version: int
    networks: Annotated[list[tuple[_Name, _Place, _Place | None, _Seconds]], msgspec.Meta(max_length=NETWORKS_MAX)]
    """Name, `good`, `bad`, how many seconds ago `bad` was found."""


@dataclass(slots=True)
class _Network:
    """Places in `INTERVALS_S`."""

    good: int
    """The longest that is known to be short enough, or where the search begins."""
    bad: int | None = None
    """The shortest that is known to be too long."""
    bad_since: float = 0.0
    losses: int = 0


class KeepaliveSearch:
    """No I/O, no clock: `now` is monotonic seconds. One network at a time."""

    def __init__(self, *, longest_s: float, fixed_s: int | None = None) -> None:
        """`longest_s`: no interval is longer, save the shortest of all; `fixed_s`: nothing is searched."""
        self._longest = max(0, bisect_right(INTERVALS_S, longest_s) - 1)
        self._fixed_s = fixed_s
        self._networks: OrderedDict[str, _Network] = OrderedDict()
        self._network = self._known("")

    def on(self, network: str) -> None:
        """The connection is over this network: what is known of it counts from now on."""
        self._network = self._known(network)

    def interval_s(self, now: float, *, charging: bool) -> int:
        """After how much silence to probe."""
        if self._fixed_s is not None:
            return self._fixed_s
        network = self._network
        if network.bad is not None and now - network.bad_since >= AGAIN_S:
            network.bad = None
        tried = network.good if charging else network.good + 1
        ceiling = self._longest if network.bad is None else min(self._longest, network.bad - 1)
        return INTERVALS_S[max(0, min(tried, ceiling))]

    def survived(self, silence_s: float) -> Note | None:
        """The link was silent for so long, and then something got through."""
        network = self._network
        place = bisect_right(INTERVALS_S, silence_s) - 1
        if place >= network.good:
            network.losses = 0
        if place <= network.good:
            return None
        network.good = min(place, self._longest)
        if network.bad is not None and network.good >= network.bad:
            network.bad = None
        return Note(Level.INFO, "the link may be silent for longer", {"seconds": INTERVALS_S[network.good]})

    def lost(self, silence_s: float, interval_s: int, now: float) -> Note | None:
        """A connection was lost for no other reason, after so much silence, while it was to be probed after `interval_s`."""
        network = self._network
        if self._fixed_s is not None or silence_s < interval_s:
            return None
        network.losses += 1
        if network.losses < (LOSSES_TRIED if interval_s > INTERVALS_S[network.good] else LOSSES_KNOWN):
            return None
        network.losses = 0
        network.bad = max(1, bisect_right(INTERVALS_S, interval_s) - 1)
        network.bad_since = now
        network.good = min(network.good, network.bad - 1)
        return Note(
            Level.WARNING,
            "connections are lost after silence: the link is probed more often",
            {"seconds": INTERVALS_S[network.good], "too_long_s": interval_s},
        )

    # --- what is remembered

    def snapshot(self, now: float) -> bytes:
        """For `restore`, in a later process."""
        networks = [(name, one.good, one.bad, max(0.0, now - one.bad_since)) for name, one in self._networks.items() if name]
        return msgspec.json.encode(_Saved(SNAPSHOT_VERSION, networks))

    def restore(self, data: bytes, now: float) -> None:
        """Go on from a snapshot. Raises `ValueError`, and nothing has changed."""
        saved = msgspec.json.decode(data, type=_Saved)
        if saved.version != SNAPSHOT_VERSION:
            raise ValueError(f"version {saved.version}")
        self._networks = OrderedDict((name, _Network(good, bad, now - ago)) for name, good, bad, ago in saved.networks)
        self._network = self._known("")

    def _known(self, name: str) -> _Network:
        found = self._networks.setdefault(name, _Network(min(INTERVALS_S.index(START_S), self._longest)))
        self._networks.move_to_end(name)
        if len(self._networks) > NETWORKS_MAX:
            self._networks.popitem(last=False)
        return found
