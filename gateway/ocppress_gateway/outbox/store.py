"""The outbox as its one thread sees it: blocking calls, the book-keeping that all kinds of it share, and what they differ in."""

from __future__ import annotations

import abc
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from ocppress_gateway.core.stored import Lane, OutboxOpened, StationRecord, StoredMessage
from ocppress_gateway.errors import StoreDamaged, StoreFull
from ocppress_gateway.outbox.base import FINGERPRINTS_MAX, STATIONS_MAX, OutboxLimits
from ocppress_gateway.outbox.contents import Contents, Figures, Row, Station, size_of_message
from ocppress_gateway.storage.store import Store

__all__ = ["ROOM_AGAIN", "OutboxStore"]

ROOM_AGAIN: Final = 15 / 16
"""An outbox that was full takes new messages when no more than this share of it is used, so that it doesn't change with each message."""


class OutboxStore(Store):
    """Positions, limits and figures of an outbox; subclasses keep stations and rows."""

    def __init__(self, place: object, limits: OutboxLimits, clock: Callable[[], float]) -> None:
        self.opened: OutboxOpened | None = None
        """What to report, once it is open."""
        self.figures = Figures()
        """As of the last commit; replaced, never changed, so that any thread may look."""
        self.place = str(place)
        """For errors."""
        self.limits = limits
        self._clock = clock
        self._damage = "found when it was open last"
        self._born_at = 0.0
        self._stations: dict[str, Station] = {}
        self._first: dict[tuple[int, Lane], Row] = {}
        self._messages = 0
        self._bytes = 0
        self._is_full = False

    # --- what the kinds of outbox differ in

    @abc.abstractmethod
    def _open(self) -> Contents:
        """Open or make it. Raises as `open` does."""

    @abc.abstractmethod
    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        """All or nothing on the disk. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def _put_station(self, station: Station) -> None:
        """Write what is kept of a station, in place of what was."""

    @abc.abstractmethod
    def _put_row(self, number: int, row: Row) -> None:
        """Write a message of a station."""

    @abc.abstractmethod
    def _rows(self, number: int, lane: Lane, after: int, up_to: int) -> Iterator[Row]:
        """Messages in order of position, `after` excluded and `up_to` included."""

    @abc.abstractmethod
    def _remove_rows(self, number: int, lane: Lane, up_to: int) -> None:
        """Remove messages up to a position."""

    @abc.abstractmethod
    def sizes(self) -> tuple[int, int | None]:
        """Bytes of all files, and bytes written since they were opened; any thread may look."""

    # --- life

    def open(self) -> None:
        """Open or make it; a damaged one is set aside, and what can be read of it is in the new one."""
        try:
            self._take_stock(self._open())
        except StoreDamaged as error:
            self._damage = error.reason
            self.set_aside()
            self._take_stock(self._open())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        stations = {identity: replace(station) for identity, station in self._stations.items()}
        figures = dict(self._first), self._messages, self._bytes
        try:
            with self._transaction():
                yield
        except BaseException:
            self._stations = stations
            self._first, self._messages, self._bytes = figures
            raise
        self._measure()

    def obstacle(self) -> str | None:
        if self._is_full and self._bytes > self._room_again:
            return f"full: {self.limits.bytes_max // 1024} KiB of messages wait to be delivered"
        at = self.obstacle_at()
        if at is not None and self._clock() >= at:
            return f"too old: a message has waited for {self.limits.age_s_max / 86400:g} days to be delivered"
        return None

    def obstacle_at(self) -> float | None:
        oldest = self._oldest()
        return None if oldest is None else self._born_at + oldest.open_s + self.limits.age_s_max

    # --- within a transaction

    def insert(self, message: StoredMessage) -> int:
        """Store a message; returns its position. Raises `StoreFull`, `StoreFailed`, `StoreDamaged`."""
        assert message.position == 0, "the outbox gives the position"
        if self._bytes + size_of_message(message) > self.limits.bytes_max:
            self._is_full = self._bytes > self._room_again
            raise StoreFull(self.place, self.obstacle() or "no room for a message of this size")
        obstacle = self.obstacle()
        if obstacle is not None:
            raise StoreFull(self.place, obstacle)
        self._is_full = False
        station = self._station(message.identity)
        if station.version != message.version:
            station.version = message.version
            self._put_station(station)
        row = Row(replace(message, position=station.newest[message.lane] + 1), self._clock() - self._born_at)
        self._put_row(station.number, row)
        self._count(station, row)
        return row.message.position

    def forget(self, identity: str, lane: Lane, position: int) -> None:
        """Remove the messages up to a position. Raises `StoreFailed`, `StoreDamaged`."""
        station = self._stations.get(identity)
        if station is None or position <= station.delivered[lane]:
            return
        position = min(position, station.newest[lane])
        for row in self._rows(station.number, lane, station.delivered[lane], position):
            self._messages -= 1
            self._bytes -= size_of_message(row.message)
            if row.message.fingerprint:
                station.fingerprints = (*station.fingerprints, row.message.fingerprint)[-FINGERPRINTS_MAX:]
        self._remove_rows(station.number, lane, position)
        station.delivered = _with(station.delivered, lane, position)
        self._put_station(station)
        self._first.pop((station.number, lane), None)
        for row in self._rows(station.number, lane, position, position + 1):
            self._first[station.number, lane] = row

    def remember(self, identity: str, accepted: bool, heartbeat_interval_s: int) -> None:
        """Note how a station's BootNotification was answered. Raises `StoreFailed`, `StoreDamaged`."""
        if identity not in self._stations and len(self._stations) >= STATIONS_MAX:
            return  # nor will it store anything of such a station
        station = self._station(identity)
        if (station.accepted, station.heartbeat_interval_s) != (accepted, heartbeat_interval_s):
            station.accepted, station.heartbeat_interval_s = accepted, heartbeat_interval_s
            self._put_station(station)

    # --- and outside of one

    def load(self, identity: str, lane: Lane, after_position: int, text_max: int) -> tuple[StoredMessage, ...]:
        """Messages after a position. Raises `StoreFailed`, `StoreDamaged`."""
        station = self._stations.get(identity)
        found: list[StoredMessage] = []
        if station is not None:
            newest = station.newest[lane]
            for row in self._rows(station.number, lane, min(max(after_position, station.delivered[lane]), newest), newest):
                text_max -= len(row.message.body)
                if found and text_max < 0:
                    break
                found.append(row.message)
        return tuple(found)

    # --- book-keeping

    def _take_over(self, stations: Iterable[Station], rows: Iterable[Row]) -> int:
        """Within a transaction of a new outbox: put into it what an old one had, under new numbers and positions; returns how many messages."""
        known = {station.identity: replace(station, number=number, delivered=(0, 0)) for number, station in enumerate(stations, start=1)}
        counts: Counter[tuple[str, Lane]] = Counter()
        for row in rows:
            message = row.message
            station = known.setdefault(message.identity, Station(len(known) + 1, message.identity, message.version))
            counts[message.identity, message.lane] += 1
            self._put_row(station.number, replace(row, message=replace(message, position=counts[message.identity, message.lane])))
        for station in known.values():
            self._put_station(station)
        return counts.total()

    def _take_stock(self, contents: Contents) -> None:
        self._first, self._messages, self._bytes = {}, 0, 0
        self._stations = {station.identity: station for station in contents.stations}
        fingerprints = {station.identity: list(station.fingerprints) for station in contents.stations}
        for number, station in enumerate(contents.stations, start=1):
            if station.number != number:
                raise StoreDamaged(self.place, "a station is missing")
            station.newest = station.delivered
        open_s = 0.0
        for row in contents.rows:
            message = row.message
            counted = self._stations.get(message.identity)
            if counted is None or message.position != counted.newest[message.lane] + 1:
                raise StoreDamaged(self.place, "a message is missing")
            self._count(counted, row)
            if message.fingerprint:
                fingerprints[message.identity].append(message.fingerprint)
            open_s = max(open_s, row.open_s)
        self._born_at = self._clock() - open_s
        self._measure()
        records = tuple(_record(station, fingerprints[identity]) for identity, station in self._stations.items())
        self.opened = OutboxOpened(contents.incarnation, records, contents.fault)

    @property
    def _room_again(self) -> float:
        return self.limits.bytes_max * ROOM_AGAIN

    def _station(self, identity: str) -> Station:
        if identity not in self._stations:
            if len(self._stations) >= STATIONS_MAX:
                raise StoreFull(self.place, f"{STATIONS_MAX} stations are known, which is all there may be")
            station = Station(len(self._stations) + 1, identity)
            self._put_station(station)
            self._stations[identity] = station
        return self._stations[identity]

    def _count(self, station: Station, row: Row) -> None:
        station.newest = _with(station.newest, row.message.lane, row.message.position)
        self._messages += 1
        self._bytes += size_of_message(row.message)
        self._first.setdefault((station.number, row.message.lane), row)

    def _oldest(self) -> Row | None:
        return min(self._first.values(), key=lambda row: row.open_s, default=None)

    def _measure(self) -> None:
        oldest = self._oldest()
        self.figures = Figures(
            self._messages,
            self._bytes,
            None if oldest is None else self._born_at + oldest.open_s,
            None if oldest is None else oldest.message.stored_at_s,
        )


def _with(pair: tuple[int, int], lane: Lane, position: int) -> tuple[int, int]:
    return (position, pair[Lane.ORDERED]) if lane is Lane.EXPRESS else (pair[Lane.EXPRESS], position)


def _record(station: Station, fingerprints: list[bytes]) -> StationRecord:
    return StationRecord(
        station.identity,
        station.version,
        station.delivered,
        station.newest,
        station.accepted,
        station.heartbeat_interval_s,
        tuple(fingerprints[-FINGERPRINTS_MAX:]),
    )
