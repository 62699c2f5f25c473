"""`bench.outbox` measures what it says it does. How much a disk writes is nobody's test."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from bench import outbox
from ocppress_codecs.rpc import Message, OcppVersion, parse
from ocppress_gateway.core.policy import MessageClass, class_of
from ocppress_gateway.workloads.generator import WORKLOADS, generate


def test_every_message_that_may_be_answered_early_is_stored_and_forgotten(tmp_path: Path) -> None:
    written = outbox.measured("home", 900.0, days=1, folder=tmp_path)
    records = generate(WORKLOADS["home"], days=1, seed=outbox.SEED)
    bodies = [message.body for _, message in (parse(record.text) for record in records) if _is_batched(message)]
    assert (written.messages, written.body_bytes) == (len(bodies), sum(len(body.encode()) for body in bodies))
    assert written.messages <= written.commits < written.messages * 1.3, "one each, and some of their own for what is forgotten"
    assert written.file_bytes < 6_000_000
    assert list(tmp_path.iterdir()) == []


def _is_batched(message: Message) -> bool:
    return class_of(OcppVersion.V201, message) is MessageClass.BATCH


def test_the_table_has_a_row_for_each_result() -> None:
    one = outbox.Written(
        workload="home", delay_s=900.0, days=7, messages=700, body_bytes=70_000, commits=1400, written_bytes=7_000_000, file_bytes=1
    )
    assert outbox.table([asdict(one)]).splitlines()[2] == "| home, 15 min | 100 | 100 | 200 | 10,000 | 1.0 | 0.4 |"
