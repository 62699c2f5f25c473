"""The file between two lives of the cloud: whole or not there, for its owner alone, and gone before anybody has what was in it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import fingerprint, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.cloud import contexts
from ocppress_gateway.cloud.contexts import AGE_S_MAX, CONTEXTS_FILE, ContextsFile, Found, Kept
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.lanes import Outgoing
from ocppress_gateway.core.resumption import leaving, resumed
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.storage import files

V16 = OcppVersion.V16
NOW_S = 1.8e9


def _channel(codec: CodecName = CodecName.ADAPTIVE) -> Channel:
    channel = Channel(V16, 77, open_endpoint(codec, V16, Side.CLOUD))
    for number in range(20):
        channel.encode([Outgoing(Message(MessageType.CALL, "Reset", f'"Reset",{{"type":"Soft","n":{number}}}'))])
    channel.acknowledged(0)
    channel._to_send.clear()  # all of it is with the kernel
    return channel


def _leaving(identity: str = "CP1", codec: CodecName = CodecName.ADAPTIVE) -> LeavingContext:
    return leaving("site-1", identity, codec, _channel(codec))


def _file(folder: Path, *, at_s: float = NOW_S, clock: list[float] | None = None) -> ContextsFile:
    return ContextsFile(folder, wall_s=lambda: at_s, clock=(lambda: 0.0) if clock is None else lambda: clock.pop(0))


def test_what_is_saved_is_found_once(tmp_path: Path) -> None:
    kept = _file(tmp_path).save([_leaving("CP1"), _leaving("CP2")], 10.0)
    file = tmp_path / CONTEXTS_FILE
    assert kept == Kept(2, file.stat().st_size, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = _file(tmp_path).take()
    assert found.fault is None
    assert [context.identity for context in found.contexts] == ["CP1", "CP2"]
    channel = resumed(found.contexts[0])
    assert channel.saved() == _channel().saved()
    assert (channel.epoch, channel.sent, channel.received) == (77, 20, 0)
    assert list(tmp_path.iterdir()) == []
    assert _file(tmp_path).take() == Found()


def test_contexts_that_were_found_are_saved_again_as_they_are(tmp_path: Path) -> None:
    _file(tmp_path).save([_leaving()], 10.0)
    found = _file(tmp_path).take().contexts
    _file(tmp_path).save(found, 10.0)
    assert _file(tmp_path).take().contexts == found


def test_a_context_is_small(tmp_path: Path) -> None:
    """Thousands of stations are some ten megabytes."""
    kept = _file(tmp_path).save([_leaving()], 10.0)
    assert kept.file_bytes < 8_000


def test_nothing_to_save_makes_no_file(tmp_path: Path) -> None:
    assert _file(tmp_path).save([_leaving(codec=CodecName.VERBATIM)], 10.0) == Kept(0, 0, 1)
    assert list(tmp_path.iterdir()) == []


def test_time_is_limited(tmp_path: Path) -> None:
    kept = _file(tmp_path, clock=[0.0, 0.0, 0.9, 1.1, 1.2]).save([_leaving(f"CP{number}") for number in range(4)], 1.0)
    assert (kept.contexts, kept.left_out) == (2, 2)
    assert [context.identity for context in _file(tmp_path).take().contexts] == ["CP0", "CP1"]


def test_room_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _file(tmp_path).save([_leaving()], 10.0).file_bytes
    monkeypatch.setattr(contexts, "FILE_BYTES_MAX", 2 * one)
    kept = _file(tmp_path).save([_leaving(f"CP{number}") for number in range(4)], 10.0)
    assert (kept.contexts, kept.left_out) == (2, 2)
    assert (tmp_path / CONTEXTS_FILE).stat().st_size <= 2 * one
    assert len(_file(tmp_path).take().contexts) == 2


@pytest.mark.parametrize("age_s", [AGE_S_MAX + 1, -AGE_S_MAX - 1, 1e300, float("nan")])
def test_old_ones_are_not_used(tmp_path: Path, age_s: float) -> None:
    _file(tmp_path, at_s=NOW_S - age_s if age_s < 1e10 else -age_s if age_s == age_s else age_s).save([_leaving()], 10.0)
    assert _file(tmp_path).take() == Found(fault="too old")
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_was_set_a_little_does_not_matter(tmp_path: Path) -> None:
    _file(tmp_path, at_s=NOW_S + 60.0).save([_leaving()], 10.0)
    assert len(_file(tmp_path).take().contexts) == 1


def test_damage_is_found_wherever_it_is(tmp_path: Path) -> None:
    _file(tmp_path).save([_leaving("CP1"), _leaving("CP2")], 10.0)
    file = tmp_path / CONTEXTS_FILE
    good = file.read_bytes()
    whole = _file(tmp_path).take().contexts
    for place in range(0, len(good), 97):
        for damaged in (good[:place], good[:place] + bytes([good[place] ^ 0x40]) + good[place + 1 :]):
            file.write_bytes(damaged)
            found = _file(tmp_path).take()
            assert found.contexts in ((), whole[:1], whole), "what is used is as it was"
            assert found.contexts != whole or damaged[28:] == good[28:], "or only its time is another"
            assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", [b"", b"\xc1", b"\x80", b"\xdf\xff\xff\xff\xff", b"\x91" * 5000])
def test_records_of_anybody_are_refused(tmp_path: Path, record: bytes) -> None:
    start = contexts._MAGIC + contexts._TIME.pack(NOW_S)
    (tmp_path / CONTEXTS_FILE).write_bytes(start + contexts._HEAD.pack(len(record), contexts._checksum(record)) + record)
    found = _file(tmp_path).take()
    assert found.contexts == ()
    assert found.fault is not None


def test_what_cannot_be_removed_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path).save([_leaving()], 10.0)

    def refuse(folder: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "_sync", refuse)
    assert _file(tmp_path).take() == Found(fault="Read-only file system")


def test_one_that_died_while_it_wrote_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / f".{CONTEXTS_FILE}.new").write_bytes(b"ocppress contexts 1\nhalf of it")
    assert _file(tmp_path).take() == Found()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        _file(tmp_path / "absent").save([_leaving()], 10.0)


def test_another_release_s_prior_is_told_by_its_fingerprint(tmp_path: Path) -> None:
    saved = _leaving().saved()
    assert isinstance(saved, SavedContext)
    assert saved.fingerprint == fingerprint(CodecName.ADAPTIVE)
