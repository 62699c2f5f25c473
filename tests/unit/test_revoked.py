"""The list of revoked keys."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.told import TOLD_MAX, Told
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.transports.revoked import RevokedKeys

ONE, OTHER = (Certificate(name, 1, name.encode(), 0.0, 1.0) for name in ("one", "other"))


def test_the_list_is_read_again_when_it_changes_and_a_bad_one_lets_nobody_back_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "revoked.txt"
    file.write_text(f"# for people\n\n  {ONE.key_print}  # one\n")
    revoked = RevokedKeys(file)
    assert (ONE in revoked, OTHER in revoked) == (True, False)
    file.write_text(f"{ONE.key_print}\n{OTHER.key_print}\n")
    assert (ONE in revoked, OTHER in revoked) == (True, True)
    for bad in ("", None):
        if bad is None:
            file.unlink()
        else:
            file.write_text("one of them\n")
        with caplog.at_level(logging.ERROR):
            assert (ONE in revoked, OTHER in revoked) == (True, True)
        assert "the last one holds" in caplog.text
        caplog.clear()
    file.write_text(f"{OTHER.key_print}\n")
    assert (ONE in revoked, OTHER in revoked) == (False, True)


@pytest.mark.parametrize("content", [b"site-1\n", b"\xff\n", ONE.key_print[:-1].encode(), ONE.key_print.upper().encode(), bytes(5_000_000)])
def test_a_list_that_makes_no_sense_is_no_beginning(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "revoked.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"revoked\.txt"):
        RevokedKeys(tmp_path / "revoked.txt")
    with pytest.raises(ConfigError, match="No such file"):
        RevokedKeys(tmp_path / "none.txt")


def test_what_was_told_is_told_once_until_it_is_forgotten() -> None:
    told = Told()
    assert [told.first("a", 1), told.first("a", 1), told.first("a", 2)] == [True, False, True]
    for number in range(TOLD_MAX - 1):
        told.first("other", number)
        assert not told.first("a", 2), "what is asked for is not the oldest"
    assert told.first("a", 1)
