"""Counters of the SIM's network interface, as Linux shows them.

/sys/class/net/wwan0/ifindex                    another number: another device, its counters began at 0
/sys/class/net/wwan0/statistics/rx_bytes        since then, 64 bits (a few drivers: 32)
/sys/class/net/wwan0/statistics/tx_bytes
/proc/sys/kernel/random/boot_id                 another one: all began at 0
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ocppress_gateway.core.ledger_events import InterfaceCounted

__all__ = ["ROOT", "read_interface"]

ROOT: Final = Path("/")


def read_interface(name: str, *, root: Path = ROOT) -> InterfaceCounted | None:
    """The interface's counters now; None while there is no such interface, as when a modem is unplugged."""
    folder = root / "sys/class/net" / name
    try:
        boot = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
        index = int((folder / "ifindex").read_text())
        received_bytes = int((folder / "statistics/rx_bytes").read_text())
        sent_bytes = int((folder / "statistics/tx_bytes").read_text())
    except (OSError, ValueError):
        return None
    return InterfaceCounted(f"{boot} {index}", received_bytes, sent_bytes)
