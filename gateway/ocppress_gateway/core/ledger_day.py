"""One day's account of bytes, or any other span's: four lines that only grow, and the first of them broken down.

line       | what                                              | by
-----------|---------------------------------------------------|------------------------------------------
counted    | ours, from the kernel's counters of connections   | way and layer; payload by station, action
estimated  | ours, which those counters don't have             | way
sim        | all that passed the SIM's interface               | way
rounding   | what a carrier adds that bills started units      |

and what of the SIM's that isn't ours passed while a station transferred a file around the gateway; and, in no sum, what the stations' own connections
would have caused without the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from ocppress_gateway.core.ledger_events import Way

__all__ = ["NAMES_MAX", "REST", "DayAccount", "Layer", "shared_out"]

NAMES_MAX: Final = 64
"""Stations, and actions, that a day's account names: all of an edge's stations, and nearly all actions of OCPP. What comes on top, from
whoever invents names, is counted under `REST`."""

NAME_CHARACTERS_MAX: Final = 64
"""Of a name; identities have at most 48, OCPP's longest action 33."""

REST: Final = "*"
"""No station (`core.identity` allows it, but then it is one of itself) and no action is called so."""


class Layer(StrEnum):
    """What counted bytes were for."""

    PAYLOAD = "payload"
    """Codec frames. Told by the machine."""
    FRAMING = "framing"
    """The link's own headers, acknowledgements and control parts (told), and the WebSocket header of each message (RFC 6455 5.2)."""
    TLS = "tls"
    """All else in the TCP stream after the handshake: records, tickets, alerts; what remains when payload and framing are taken off."""
    TCP_IP = "tcp_ip"
    """Headers of segments with payload, and bare acknowledgements whole."""
    KEEPALIVE = "keepalive"
    """Segments without payload beyond one for each segment that came with payload: probes and their answers. Attributed, not measured."""
    HANDSHAKE = "handshake"
    """All up to the first reading: TCP, TLS, and the WebSocket's upgrade."""
    RETRANSMISSION = "retransmission"
    """Segments sent again, header and payload; those that the far end sent again can't be told from first ones."""


_LAYERS: Final = tuple(Layer)
_WAYS: Final = tuple(Way)
_CELLS: Final = len(_LAYERS) * len(_WAYS)

Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
BothWays = Annotated[list[Bytes], msgspec.Meta(min_length=2, max_length=2)]
Names = dict[Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS_MAX)], BothWays]


class DayAccount(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Bytes, each list in the order of `Way` (and `Layer`)."""

    counted: Annotated[list[Bytes], msgspec.Meta(min_length=_CELLS, max_length=_CELLS)] = msgspec.field(
        default_factory=lambda: [0] * _CELLS
    )
    estimated: BothWays = msgspec.field(default_factory=lambda: [0, 0])
    sim: BothWays = msgspec.field(default_factory=lambda: [0, 0])
    rounding: Bytes = 0
    stations: Names = {}
    actions: Names = {}
    transfers: Bytes = 0
    """Not in accounts that were kept before there was this line."""
    plain: Bytes = 0
    """What there would have been without the gateway, both ways; 0 where it wasn't reckoned yet."""
    deflate: Bytes = 0
    """The same with permessage-deflate."""

    def __post_init__(self) -> None:
        for names in (self.stations, self.actions):
            for place, way in enumerate(_WAYS):
                if sum(both_ways[place] for both_ways in names.values()) != self.counted[_cell(way, Layer.PAYLOAD)]:
                    raise ValueError("the payload isn't the sum of its parts")

    # --- adding

    def add_counted(self, way: Way, layer: Layer, count: int) -> None:
        """Bytes of a layer other than the payload."""
        assert layer is not Layer.PAYLOAD, "payload has a station and an action"
        self.counted[_cell(way, layer)] += count

    def add_payload(self, way: Way, identity: str, action: str, count: int) -> None:
        """Payload of one station's messages of one action."""
        self.counted[_cell(way, Layer.PAYLOAD)] += count
        _add_named(self.stations, identity, way, count)
        _add_named(self.actions, action, way, count)

    def add_estimated(self, way: Way, count: int) -> None:
        """Bytes of ours that no counter has."""
        self.estimated[_WAYS.index(way)] += count

    def add_sim(self, way: Way, count: int) -> None:
        """Bytes on the SIM's interface, ours among them."""
        self.sim[_WAYS.index(way)] += count

    def add_transfers(self, count: int) -> None:
        """Bytes on the SIM's interface that aren't ours, while a station transferred a file; they are added to the SIM's besides."""
        self.transfers += count

    def add_comparison(self, plain: int, deflate: int) -> None:
        """Bytes that there would have been without the gateway, plain and with permessage-deflate."""
        self.plain += plain
        self.deflate += deflate

    def add(self, other: DayAccount) -> None:
        """All of `other` on top."""
        for mine, theirs in ((self.counted, other.counted), (self.estimated, other.estimated), (self.sim, other.sim)):
            mine[:] = [sum(pair) for pair in zip(mine, theirs, strict=True)]
        self.rounding += other.rounding
        self.transfers += other.transfers
        self.add_comparison(other.plain, other.deflate)
        for names, others in ((self.stations, other.stations), (self.actions, other.actions)):
            for name, both_ways in others.items():
                for way, count in zip(_WAYS, both_ways, strict=True):
                    _add_named(names, name, way, count)

    # --- reading

    def layer_bytes(self, layer: Layer, way: Way | None = None) -> int:
        """A layer's bytes of one way, or of both."""
        return sum(self.counted[_cell(each, layer)] for each in (_WAYS if way is None else (way,)))

    @property
    def counted_bytes(self) -> int:
        """*Ours, counted*, both ways."""
        return sum(self.counted)

    @property
    def estimated_bytes(self) -> int:
        """*Ours, estimated*, both ways."""
        return sum(self.estimated)

    @property
    def ours_bytes(self) -> int:
        """What the gateway caused, both ways."""
        return self.counted_bytes + self.estimated_bytes

    @property
    def sim_bytes(self) -> int:
        """*The SIM*, both ways; 0 where its interface isn't known."""
        return sum(self.sim)

    @property
    def others_bytes(self) -> int:
        """What else passed the interface."""
        return max(0, self.sim_bytes - self.ours_bytes)

    @property
    def transfers_bytes(self) -> int:
        """What of the others' passed while a station transferred a file around the gateway, which is that file at most."""
        return min(self.transfers, self.others_bytes)

    @property
    def total_bytes(self) -> int:
        """What the carrier bills: where the interface shows less than ours it isn't the SIM's, or it wasn't read all the time."""
        return max(self.sim_bytes, self.ours_bytes) + self.rounding

    @classmethod
    def sum(cls, accounts: Iterable[DayAccount]) -> DayAccount:
        """All of `accounts` in one. Totals are not to be taken of it but of each: see `total_bytes`."""
        total = cls()
        for account in accounts:
            total.add(account)
        return total

    # --- as bytes

    def encoded(self) -> bytes:
        """As a MessagePack array; some 120 bytes for a station with six actions."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decoded(cls, data: bytes) -> DayAccount:
        """Raises `ValueError` for what `encoded` can't have written."""
        return msgspec.msgpack.decode(data, type=cls)


def _cell(way: Way, layer: Layer) -> int:
    return _WAYS.index(way) * len(_LAYERS) + _LAYERS.index(layer)


def _add_named(names: dict[str, list[int]], name: str, way: Way, count: int) -> None:
    if name not in names and (len(names) >= NAMES_MAX or len(name) > NAME_CHARACTERS_MAX or not name.isprintable()):
        name = REST
    names.setdefault(name, [0] * len(_WAYS))[_WAYS.index(way)] += count


def shared_out(count: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`count` over the names in proportion to their weights, in whole numbers that add up to it."""
    total = sum(weights.values())
    if total <= 0:
        return {"": count}
    shares: dict[str, int] = {}
    weight_so_far = given = 0
    for name, weight in weights.items():
        weight_so_far += weight
        shares[name] = count * weight_so_far // total - given
        given += shares[name]
    return shares
