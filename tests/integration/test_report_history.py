"""What edges have told of their days, over restarts of the cloud and a damaged file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from ocppress_gateway.cloud import history as report_history
from ocppress_gateway.cloud.history import DAYS_KEPT, REPORTS_FILE, ReportHistory, report_store
from ocppress_gateway.core.report import Report, write_report
from ocppress_gateway.errors import StoreInUse
from tests.support.background import background
from tests.support.statuses import REPORT


def _report(day: int, ours_bytes: int = 1) -> Report:
    return replace(REPORT, day=date(2026, 1, 1) + timedelta(day), ours_bytes=ours_bytes)


def _in(folder: Path, work: Callable[[ReportHistory], Awaitable[None]]) -> None:
    """One life of the cloud."""

    async def main() -> None:
        history = ReportHistory(report_store(folder), logger=logging.getLogger("test"))
        try:
            await history.begin()
            await work(history)
        finally:
            await history.finish()

    asyncio.run(main())


def test_reports_outlive_the_cloud(tmp_path: Path) -> None:
    async def first(history: ReportHistory) -> None:
        assert history.of("site-1") == []
        for day, ours_bytes in ((3, 30), (1, 10), (2, 20), (3, 33)):
            history.keep("site-1", write_report(_report(day, ours_bytes)))
        history.keep("site-2", write_report(_report(9)))

    async def second(history: ReportHistory) -> None:
        assert history.of("site-1") == [_report(1, 10), _report(2, 20), _report(3, 33)]
        assert history.of("site-1", 1) == [_report(3, 33)]
        assert history.of("site-2") == [_report(9)]
        assert history.of("site-3") == []

    _in(tmp_path, first)
    _in(tmp_path, second)


def test_old_days_are_forgotten_on_the_disk_too(tmp_path: Path) -> None:
    async def first(history: ReportHistory) -> None:
        for day in range(DAYS_KEPT + 5):
            history.keep("site-1", write_report(_report(day)))
        assert len(history.of("site-1")) == DAYS_KEPT

    async def second(history: ReportHistory) -> None:
        assert history.of("site-1") == [_report(day) for day in range(5, DAYS_KEPT + 5)]

    _in(tmp_path, first)
    _in(tmp_path, second)


def test_they_are_saved_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_history, "SAVE_S", 0.0)

    async def first(history: ReportHistory) -> None:
        async with background(history.run(), "reports"):
            history.keep("site-1", write_report(_report(1)))
            async with asyncio.timeout(10):
                while history._unsaved:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)

    _in(tmp_path, first)


def test_damage_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / REPORTS_FILE).write_bytes(b"no database at all" * 1000)

    async def work(history: ReportHistory) -> None:
        assert history.of("site-1") == []
        history.keep("site-1", write_report(_report(1)))

    async def again(history: ReportHistory) -> None:
        assert history.of("site-1") == [_report(1)]

    _in(tmp_path, work)
    _in(tmp_path, again)
    assert "is damaged and set aside" in caplog.text


def test_two_clouds_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    async def work(history: ReportHistory) -> None:
        with pytest.raises(StoreInUse):
            await ReportHistory(report_store(tmp_path), logger=logging.getLogger("test")).begin()

    _in(tmp_path, work)
