"""A little of a workload on a real wire, with the real programs; needs network namespaces."""

from __future__ import annotations

from typing import Final

import pytest

from bench.namespaces import reason_against
from bench.wire import DIFFERENCE_MAX, compared
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.wire import LinkTransport

DAYS: Final = 0.06
"""The boot, and silences that have to be probed."""


@pytest.mark.skipif(bool(reason_against()), reason=reason_against())
def test_the_wire_carries_what_the_model_says() -> None:
    found = compared("home", PlanName.SAVER, LinkTransport.WEBSOCKET, DAYS)
    assert found["probes"] == 4, "each 25 minutes, to the end of what may still wait"
    assert found["messages"] >= 2
    assert abs(found["model_ip_bytes"] - found["wire_ip_bytes"]) <= DIFFERENCE_MAX * found["wire_ip_bytes"]
