"""Every error that can end up before a person's eyes, with its text."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import ocppress_codecs.errors
import ocppress_gateway.errors
from ocppress_codecs.errors import EncodeError, IntegrityError, LimitExceeded, Malformed, NotOcppJ, Truncated
from ocppress_gateway.errors import (
    ConfigError,
    LinkLost,
    LinkRefused,
    RequestRefused,
    StoreDamaged,
    StoreFailed,
    StoreFull,
    StoreInUse,
    StoreNewer,
    UsageError,
)

TEXTS = [
    (EncodeError("an empty batch"), "an empty batch"),
    (Truncated("3 more bytes expected"), "3 more bytes expected"),
    (Malformed("unknown tag 9"), "unknown tag 9"),
    (IntegrityError("checksum"), "checksum"),
    (LimitExceeded("frame_bytes", 10, 11), "frame_bytes: at most 10, got 11"),
    (NotOcppJ("not a JSON array"), "not a JSON array"),
    (ConfigError(Path("edge.toml"), "$.link.url", "must be a URL"), "edge.toml: must be a URL (at $.link.url)"),
    (ConfigError(Path("edge.toml"), "", "No such file or directory"), "edge.toml: No such file or directory"),
    (UsageError("nothing to encode"), "nothing to encode"),
    (RequestRefused("there is no dead letter 7"), "there is no dead letter 7"),
    (LinkLost("connection reset"), "connection reset"),
    (LinkRefused("certificate has expired"), "certificate has expired"),
    (StoreInUse(Path("outbox.lock"), "in use by another process (17)"), "outbox.lock: in use by another process (17)"),
    (StoreNewer(Path("outbox.sqlite"), "made by a later version"), "outbox.sqlite: made by a later version"),
    (StoreDamaged(Path("outbox.sqlite"), "a message is missing"), "outbox.sqlite: a message is missing"),
    (StoreFailed(Path("outbox.sqlite"), "disk I/O error"), "outbox.sqlite: disk I/O error"),
    (StoreFull("memory", "no room"), "memory: no room"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=[f"{type(error).__name__}-{number}" for number, (error, _) in enumerate(TEXTS)])
def test_text(error: Exception, text: str) -> None:
    assert str(error) == text


def test_every_leaf_is_among_them() -> None:
    kinds = {
        kind
        for module in (ocppress_codecs.errors, ocppress_gateway.errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
    }
    leaves = kinds - {base for kind in kinds for base in kind.__bases__}
    assert leaves == {type(error) for error, _ in TEXTS}


def test_only_a_refused_link_is_not_tried_again() -> None:
    assert LinkLost("gone").retry
    assert not LinkRefused("no").retry
