"""A network interface's counters in files, as below /sys and /proc."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FakeInterface"]


class FakeInterface:
    """`wwan0` below a root of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / "sys/class/net/wwan0"
        boot_id = root / "proc/sys/kernel/random/boot_id"
        boot_id.parent.mkdir(parents=True)
        boot_id.write_text("7b5c1a52-0000-4000-8000-000000000000\n")
        self.plug(index=3)

    def plug(self, *, index: int) -> None:
        """A device appears; its counters are 0."""
        (self._folder / "statistics").mkdir(parents=True, exist_ok=True)
        (self._folder / "ifindex").write_text(f"{index}\n")
        self.count(received_bytes=0, sent_bytes=0)

    def unplug(self) -> None:
        """It is gone."""
        (self._folder / "ifindex").unlink()

    def count(self, *, received_bytes: int, sent_bytes: int) -> None:
        (self._folder / "statistics/rx_bytes").write_text(f"{received_bytes}\n")
        (self._folder / "statistics/tx_bytes").write_text(f"{sent_bytes}\n")
