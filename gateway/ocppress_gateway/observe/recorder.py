"""Traces of what has passed, a file for each station, for `ocppress estimate` and `measure`.

Written by seconds and not synced: what a power cut takes of it is a little of an estimate.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.masking import carries_secret
from ocppress_gateway.storage.files import failures, make_private_folder
from ocppress_gateway.workloads.traces import Direction, TraceRecord, trace_line

__all__ = ["FOLDER", "STATION_BYTES_MAX", "Recorder"]

FOLDER: Final = "observed"
"""In the state folder."""

STATION_BYTES_MAX: Final = 64 * 1024 * 1024
"""A trace's size: a month of a station that says 60 KB an hour. What comes later isn't recorded."""

WAITING_BYTES_MAX: Final = 4 * 1024 * 1024
"""What may wait to be written, of all stations: a disk that stalls loses records, and no message."""

LEFT_OUT_MAX: Final = 64
"""CALLs whose answers are left out as they were: one each way is under way at a time."""


class Recorder:
    """`add` at once, `flush` in a thread. What has a password in it, or isn't OCPP-J, is left out, and so is its answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._waiting: dict[str, list[bytes]] = {}
        self._waiting_bytes = 0
        self._left_out: OrderedDict[tuple[str, Direction, str], None] = OrderedDict()
        self.recorded = 0
        self.lost = 0
        """Records for which there was no room."""

    @property
    def files(self) -> list[Path]:
        """Those that there are."""
        return sorted(self._folder.glob("*.jsonl"))

    def add(self, identity: str, direction: Direction, text: str, unix_s: float) -> None:
        """A text has passed."""
        if self._is_left_out(identity, direction, text):
            return
        line = trace_line(TraceRecord(unix_s, direction, text)).encode()
        if self._waiting_bytes + len(line) > WAITING_BYTES_MAX:
            self.lost += 1
            return
        self._waiting.setdefault(identity, []).append(line)
        self._waiting_bytes += len(line)

    def flush(self) -> None:
        """Write what waits. Raises `StoreFailed`; then that is lost."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if not waiting:
            return
        make_private_folder(self._folder.parent)
        make_private_folder(self._folder)
        for identity, lines in waiting.items():
            self._append(self._folder / f"{identity}.jsonl", lines)

    def _append(self, file: Path, lines: list[bytes]) -> None:
        with failures(file), open(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab") as output:
            size = output.tell()
            for line in lines:
                if size + len(line) > STATION_BYTES_MAX:
                    self.lost += 1
                    continue
                output.write(line)
                size += len(line)
                self.recorded += 1

    def _is_left_out(self, identity: str, direction: Direction, text: str) -> bool:
        try:
            message_id, message = parse(text)
        except NotOcppJ:
            return True
        if message.type in (MessageType.CALL, MessageType.SEND):
            if not carries_secret(message.body):
                return False
            self._left_out[identity, direction.opposite, message_id] = None
            if len(self._left_out) > LEFT_OUT_MAX:
                self._left_out.popitem(last=False)
            return True
        key = identity, direction, message_id
        if key in self._left_out:
            del self._left_out[key]
            return True
        return carries_secret(message.body)
