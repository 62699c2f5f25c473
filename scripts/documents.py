"""Write what is generated in the documents: the parts of the READMEs between markers, and the example configurations in `deploy/`.

Run from the project's root: python -m scripts.documents

    <!-- generated:edge-config -->
    …
    <!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bench import cloud, cpu, edge, link, measure, month, outbox, sizing, store, wire
from ocppress_codecs.interface import CodecName
from ocppress_gateway.config import CloudConfig, EdgeConfig
from ocppress_gateway.config_text import commented_toml, reference
from ocppress_gateway.provisioning.folder import cloud_toml, edge_toml
from scripts.policy_table import policy_table

__all__ = ["DOCUMENTS", "EXAMPLES", "PARTS", "with_parts"]

DOCUMENTS: Final = ("README.md", "codecs/README.md", "gateway/README.md", "deploy/SIZING.md")
"""Those with generated parts."""

_MEASURE: Final = """\
What the codec makes of them, in bytes of both directions, as `make bench` measured it: the texts, the same texts with permessage-deflate (the
context kept), the frames with their checksums, and how many times smaller these are than permessage-deflate. Without the link's headers, TLS and
TCP/IP, on which see [below](#how-bytes-are-counted). `sim-*` are recordings of station programs, each measured with a dictionary that has
never seen that program; the others are one generated day of a home charger, one for light electric vehicles, and busy ones with AC and DC."""

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "edge-config": lambda: reference(EdgeConfig),
    "cloud-config": lambda: reference(CloudConfig),
    "measure": lambda: f"{_MEASURE}\n\n{measure.table(_results())}",
    "parts": lambda: "\n\n".join(
        f"`{codec.value}`:\n\n{measure.parts_table(_results(), codec)}" for codec in (CodecName.ADAPTIVE, CodecName.CBOR_ZSTD)
    ),
    "policy": policy_table,
    "cpu": lambda: cpu.table(json.loads(cpu.RESULTS.read_text(encoding="utf-8"))),
    "link": lambda: link.table(json.loads(link.RESULTS.read_text(encoding="utf-8"))),
    "reconnects": lambda: link.reconnects_table(json.loads(link.RESULTS.read_text(encoding="utf-8"))),
    "saved": lambda: month.saved_table(json.loads(month.RESULTS.read_text(encoding="utf-8"))),
    "month": lambda: month.table(json.loads(month.RESULTS.read_text(encoding="utf-8"))),
    "edge": lambda: edge.table(json.loads(edge.RESULTS.read_text(encoding="utf-8"))),
    "cloud": lambda: cloud.table(json.loads(cloud.RESULTS.read_text(encoding="utf-8"))),
    "wire": lambda: wire.table(json.loads(wire.RESULTS.read_text(encoding="utf-8"))),
    "store": lambda: store.table(json.loads(store.RESULTS.read_text(encoding="utf-8"))),
    "sizing": sizing.table,
    "outbox": lambda: outbox.table(json.loads(outbox.RESULTS.read_text(encoding="utf-8"))),
}
"""Names of generated parts to what makes them."""

_DEVELOPMENT: Final = """For development on one machine: the link is a plain WebSocket on loopback.
What has no value here stands commented out, with its default."""

EXAMPLES: Final[Mapping[str, Callable[[], str]]] = {
    "deploy/dev/edge.toml": lambda: commented_toml(
        EdgeConfig,
        {"stations": {"host": "127.0.0.1"}, "link": {"url": "ws://127.0.0.1:8886/", "edge": "dev"}},
        f"ocppress edge\n{_DEVELOPMENT}",
    ),
    "deploy/dev/cloud.toml": lambda: commented_toml(
        CloudConfig,
        {
            "link": {"host": "127.0.0.1"},
            "csms": {"url": "ws://127.0.0.1:9000/{identity}"},
            "edges": [{"name": "dev", "stations": ["*"]}],
        },
        f"ocppress cloud\n{_DEVELOPMENT}",
    ),
    "deploy/examples/edge.toml": lambda: edge_toml("wss://cloud.example.com:8886/"),
    "deploy/examples/cloud.toml": lambda: cloud_toml(
        "wss://csms.example.com/ocpp/{identity}", [("site-1", ["CP001", "CP002"]), ("site-2", ["CP003"])]
    ),
}
"""Example files to what makes them."""

_PART: Final = re.compile(r"(<!-- generated:([a-z-]+) -->\n).*?<!-- end -->", re.DOTALL)


def _results() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(measure.RESULTS.read_text(encoding="utf-8"))
    return found


def with_parts(text: str) -> str:
    """The text with each part made anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n<!-- end -->", text)


def main() -> None:
    """Write all of it."""
    for name in DOCUMENTS:
        Path(name).write_text(with_parts(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
    for name, make in EXAMPLES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
