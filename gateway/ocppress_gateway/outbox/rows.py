"""How messages and stations stand in the outbox's tables: values with a checksum over all of them.

    key of a message    station number · 1 bit lane · 40 bits position

SQLite has no checksums of its own: what a worn card gives back wrongly must be found before it is delivered.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

from ocppress_gateway.core.stored import POSITION_MAX, Lane, StoredMessage
from ocppress_gateway.outbox.base import STATIONS_MAX
from ocppress_gateway.outbox.contents import Row, Station

__all__ = [
    "FINGERPRINT_BYTES",
    "MESSAGE_COLUMNS",
    "STATION_COLUMNS",
    "key_of",
    "message_from",
    "message_values",
    "station_from",
    "station_values",
]

MESSAGE_COLUMNS: Final = "key, identity, version, urgent, fingerprint, stored_at_s, open_s, body, checksum"
STATION_COLUMNS: Final = "number, identity, version, accepted, heartbeat_interval_s, express, ordered, fingerprints, checksum"

FINGERPRINT_BYTES: Final = 16

_POSITION_BITS: Final = POSITION_MAX.bit_length()
assert STATIONS_MAX < 2 ** (63 - 1 - _POSITION_BITS), "a key is a signed integer of 64 bits"


def key_of(number: int, lane: Lane, position: int) -> int:
    """The key of a message of station `number`."""
    assert 0 <= position <= POSITION_MAX
    return (number << 1 | lane) << _POSITION_BITS | position


def message_values(number: int, row: Row) -> tuple[Any, ...]:
    """The values of `MESSAGE_COLUMNS`."""
    message = row.message
    return _checked(
        (
            key_of(number, message.lane, message.position),
            message.identity,
            message.version,
            int(message.urgent),
            message.fingerprint,
            float(message.stored_at_s),
            row.open_s,
            message.body.encode(),
        )
    )


def message_from(values: Sequence[Any]) -> Row | None:
    """The row that has these values; None if they aren't what was written."""
    if not _is_intact(values):
        return None
    key, identity, version, urgent, fingerprint, stored_at_s, open_s, body, _ = values
    lane = Lane(key >> _POSITION_BITS & 1)
    position = key & POSITION_MAX
    message = StoredMessage(identity, lane, position, version, body.decode(), bool(urgent), fingerprint, stored_at_s)
    return Row(message, open_s)


def station_values(station: Station) -> tuple[Any, ...]:
    """The values of `STATION_COLUMNS`."""
    return _checked(
        (
            station.number,
            station.identity,
            station.version,
            int(station.accepted),
            station.heartbeat_interval_s,
            *station.delivered,
            b"".join(station.fingerprints),
        )
    )


def station_from(values: Sequence[Any]) -> Station | None:
    """The station that has these values; None if they aren't what was written."""
    if not _is_intact(values):
        return None
    number, identity, version, accepted, heartbeat_interval_s, express, ordered, joined, _ = values
    fingerprints = tuple(joined[start : start + FINGERPRINT_BYTES] for start in range(0, len(joined), FINGERPRINT_BYTES))
    return Station(number, identity, version, bool(accepted), heartbeat_interval_s, (express, ordered), fingerprints)


def _checked(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*values, _checksum(values))


def _is_intact(values: Sequence[Any]) -> bool:
    return isinstance(values[-2], bytes) and _checksum(values[:-1]) == values[-1]


def _checksum(values: Sequence[Any]) -> int:
    """Over all values; the last one are bytes, perhaps many, and go in as they are."""
    return zlib.crc32(values[-1], zlib.crc32(repr(tuple(values[:-1])).encode()))
