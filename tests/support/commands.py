"""`encode`, `decode`, `measure` and `inspect` as a person runs them, and what to compare their files by."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.workloads.traces import Direction, TraceRecord, read_trace, trace_line

__all__ = ["assert_same_conversation", "run", "there_and_back", "write_trace"]


def run(*arguments: str | Path, exit_code: int = 0, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, which must end with `exit_code`."""
    done = subprocess.run(
        [sys.executable, "-m", "ocppress_gateway", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    return done


def write_trace(file: Path, records: Iterable[TraceRecord]) -> Path:
    """The file, with these records."""
    with file.open("w", encoding="utf-8") as target:
        target.writelines(map(trace_line, records))
    return file


def assert_same_conversation(before: Path, after: Path) -> None:
    """Each direction in its order, payload texts exact, and each answer under the id of the CALL it answers."""
    sent, back = _spoken(before), _spoken(after)
    for direction in Direction:
        assert [said[2] for said in back if said[0] is direction] == [said[2] for said in sent if said[0] is direction]
    for spoken in (sent, back):
        assert spoken
    assert _ties(back) == _ties(sent)
    ids = [(direction, message_id) for direction, message_id, (kind, _) in back if kind in (MessageType.CALL, MessageType.SEND)]
    assert len(set(ids)) == len(ids), "ids are unique per direction"


def _spoken(file: Path) -> list[tuple[Direction, str, tuple[MessageType, str]]]:
    found = []
    for record in read_trace(file):
        try:
            message_id, message = parse(record.text)
        except NotOcppJ:
            continue
        found.append((record.direction, message_id, (message.type, message.body)))
    return found


def _ties(spoken: list[tuple[Direction, str, tuple[MessageType, str]]]) -> dict[Direction, list[int | None]]:
    """For each answer of a direction the place of its CALL among the other direction's CALLs, written without the code under test."""
    ties: dict[Direction, list[int | None]] = {direction: [] for direction in Direction}
    calls: dict[Direction, list[list[Any]]] = {direction: [] for direction in Direction}
    for direction, message_id, (kind, _) in spoken:
        other = calls[direction.opposite]
        if kind is MessageType.CALL:
            calls[direction].append([message_id, "open"])
        elif kind in (MessageType.CALLRESULT, MessageType.CALLERROR):
            place = next((place for place in reversed(range(len(other))) if other[place] == [message_id, "open"]), None)
            ties[direction].append(place)
            if place is not None:
                other[place][1] = "answered"
    return ties


def there_and_back(trace: Path, folder: Path, *options: str, timeout_s: float = 120) -> Path:
    """The frames of a trace, which another process has decoded to the same conversation."""
    frames, back = folder / "out.frames", folder / "back.jsonl"
    run("encode", trace, frames, *options, timeout_s=timeout_s)
    run("decode", frames, back, timeout_s=timeout_s)
    assert_same_conversation(trace, back)
    return frames
