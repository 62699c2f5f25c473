"""Settings of edges and clouds whose stations and CSMS talk all the time, so that what breaks is mended within seconds."""

from __future__ import annotations

__all__ = ["CLOUD_CHANGES", "COMMAND_TIMEOUT_S", "EDGE_CHANGES", "STATION_TIMEOUT_S"]

STATION_TIMEOUT_S = 5.0
"""The least that the configuration allows."""
COMMAND_TIMEOUT_S = 5.0

EDGE_CHANGES = (
    ('#plan = "auto"', 'plan = "live"'),
    ("#keepalive_s =", "keepalive_s = 30"),
    ("#station_timeout_s = 60.0", f"station_timeout_s = {STATION_TIMEOUT_S}"),
    ("#reconnect_min_s = 1.0", "reconnect_min_s = 0.1"),
    ("#reconnect_max_s = 60.0", "reconnect_max_s = 0.5"),
)
CLOUD_CHANGES = (
    ("#command_timeout_s = 30.0", f"command_timeout_s = {COMMAND_TIMEOUT_S}"),
    ("#retry_wait_min_s = 10.0", "retry_wait_min_s = 0.2"),
    ("#retry_random_s = 10.0", "retry_random_s = 0.1"),
    ("#retry_repeat_times = 5", "retry_repeat_times = 1"),
)
