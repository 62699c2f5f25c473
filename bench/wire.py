"""A workload's day on a real wire beside the cost model's: `bench/results/wire.json`, and by how much the two differ.

Run from the project's root, as root: python -m bench.wire [--workload home|…|all] [--plan saver|live] [--days N] [--json]

`ocppress edge` and `ocppress cloud` are two processes, each in a network namespace of its own, with TLS 1.3 and the certificates of `ocppress ca`,
a station and a CSMS beside them; the kernel counts the IP bytes. A day takes minutes, for both processes' clocks skip whatever time nothing happens
in. That doesn't change what packets there are: no time is skipped until the wire has been quiet for longer than the kernel delays an
acknowledgement, and keepalive probes are really sent (see `bench.wire_ends`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.link import mosquitto, start_broker
from bench.month import transport_conditions
from bench.namespaces import CLOUD_ADDRESS, namespaces, reason_against
from bench.processes import changed
from bench.wire_ends import CSMS_PORT, SEED, STATION, begins_s
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.wire import Conditions, LinkTransport
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.simulation.month import run_month
from ocppress_gateway.transports.mqtt.broker import PROBE_BEHIND_PING_S
from ocppress_gateway.workloads.generator import WORKLOADS, generate

__all__ = ["DIFFERENCE_MAX", "RESULTS", "compared", "main", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "wire.json"

DIFFERENCE_MAX: Final = 0.05
"""By which the model may differ from the wire."""

MQTT_RUN: Final = ("home", PlanName.SAVER, LinkTransport.MQTT, 0.25)
"""The client at the broker looks at its clock each second, and so does this bench: a day of it takes long."""

ALL: Final = "all"
BUDGET_BYTES: Final = 25_000_000


def compared(workload: str, plan: PlanName, transport: LinkTransport, days: float) -> dict[str, Any]:
    """Both, in IP bytes of both directions. Raises `RuntimeError` if a message was lost, or an end failed."""
    wire = _on_the_wire(workload, plan, transport, days)
    conditions = transport_conditions(Conditions(), transport)
    month = run_month(
        generate(WORKLOADS[workload], days=-int(-days // 1), seed=SEED),
        OcppVersion.V201,
        plan=plan,
        conditions=conditions,
        days=days,
        budget_bytes=BUDGET_BYTES,
        seed=SEED,
    )
    model = round(month.passed.total)
    return {
        "workload": workload,
        "plan": plan.value,
        "transport": conditions.transport.value,
        "days": days,
        "messages": wire["said"][0],
        "wire_ip_bytes": wire["ip_bytes"],
        "wire_packets": wire["packets"],
        "probes": wire["probes"],
        "breaks": wire["breaks"],
        "model_ip_bytes": model,
        "difference_percent": round(100 * (model - wire["ip_bytes"]) / wire["ip_bytes"], 2),
    }


def _on_the_wire(workload: str, plan: PlanName, transport: LinkTransport, days: float) -> dict[str, Any]:
    with namespaces() as names, TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        edge_file, cloud_file = _files(folder, plan, transport)
        if transport is LinkTransport.MQTT:
            start_broker(names.cloud, folder / "ca" / "broker", stack)
        own = ["--folder", str(folder), "--workload", workload, "--transport", transport, "--days", str(days)]
        with _started(names.cloud, ["--end", "cloud", "--config", str(cloud_file), *own], workload) as cloud:
            assert cloud.stderr is not None, "it is a pipe"
            said = ""
            while "listening for edges" not in said:
                if not (said := cloud.stderr.readline()):
                    raise RuntimeError("the cloud didn't come up")
            # What else it says is nobody's concern, and mustn't fill the pipe.
            threading.Thread(target=cloud.stderr.read, daemon=True).start()
            keepalive_s = Conditions().keepalive_s
            if transport is LinkTransport.MQTT:
                keepalive_s += PROBE_BEHIND_PING_S  # so that MQTT's own pings leave no silence as long
            arguments = ["--end", "edge", "--config", str(edge_file), "--names", *names, "--keepalive-s", str(keepalive_s), *own]
            with _started(names.edge, arguments, workload) as edge:
                output, errors = edge.communicate()
    lines = output.splitlines()
    result: dict[str, Any] = json.loads(lines[-1]) if lines else {"failed": "no result"}
    if "failed" in result:
        raise RuntimeError(f"{result['failed']}; the edge said: {errors[-2000:]}")
    if result["said"] != result["heard"]:
        raise RuntimeError(f"the station said {result['said']}, the CSMS heard {result['heard']}")
    return result


def _files(folder: Path, plan: PlanName, transport: LinkTransport) -> tuple[Path, Path]:
    """Configurations of edge and cloud."""
    authority = folder / "ca"
    now = datetime.now(UTC)
    csms_url = f"ws://127.0.0.1:{CSMS_PORT}/{{identity}}"
    with_broker = transport is LinkTransport.MQTT
    make_authority_folder(authority, name="ocppress bench", hosts=[CLOUD_ADDRESS], csms_url=csms_url, now=now, with_broker=with_broker)
    make_edge_folder(authority, "bench", stations=[STATION], cloud_url=None, now=now)
    edge_file = authority / "edges" / "bench" / "edge.toml"
    changed(edge_file, '#plan = "auto"', f'plan = "{plan}"')
    changed(edge_file, "#keepalive_s =", f"keepalive_s = {round(Conditions().keepalive_s)}")
    return edge_file, authority / "cloud" / "cloud.toml"


@contextmanager
def _started(namespace: str, arguments: Sequence[str], workload: str) -> Iterator[subprocess.Popen[str]]:
    own = [sys.executable, "-m", "bench.skipping", repr(begins_s(workload)), "bench.wire_ends", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["ip", "netns", "exec", namespace, *own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    rows = [
        "| workload | plan | over | days | messages | packets | probes | wire, IP bytes | model, IP bytes | model off by |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in results:
        cells = (
            one["workload"],
            f"`{one['plan']}`",
            {"websocket": "WebSocket", "mqtt": "MQTT"}[one["transport"]],
            f"{one['days']:g}",
            f"{one['messages']:,}",
            f"{one['wire_packets']:,}",
            one["probes"],
            f"{one['wire_ip_bytes']:,}",
            f"{one['model_ip_bytes']:,}",
            f"{one['difference_percent']:+.1f} %",
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the file and print the table; 1 if model and wire differ too much, or where there are no namespaces."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.wire", description="A workload's day on a real wire beside the cost model's; as root."
    )
    parser.add_argument("--workload", choices=[*WORKLOADS, ALL], default=ALL, help="(default: %(default)s)")
    parser.add_argument(
        "--plan",
        type=PlanName,
        choices=[PlanName.SAVER, PlanName.LIVE, PlanName.TRANSPARENT],
        help="only this one (default: saver and live)",
    )
    parser.add_argument(
        "--transport", type=LinkTransport, choices=list(LinkTransport), default=LinkTransport.WEBSOCKET, help="(default: %(default)s)"
    )
    parser.add_argument("--days", type=float, default=1.0, help="(default: %(default)s)")
    parser.add_argument(
        "--write", action="store_true", help=f"measure a day of each workload, and a quarter of one over MQTT, and write {RESULTS.name}"
    )
    parser.add_argument("--json", action="store_true", help="end with the results as one line of JSON")
    options = parser.parse_args(argv)
    if reason := reason_against():
        print(f"cannot measure: {reason}", file=sys.stderr)
        return 1
    workloads = list(WORKLOADS) if options.workload == ALL else [options.workload]
    plans = (PlanName.SAVER, PlanName.LIVE) if options.plan is None else (options.plan,)
    runs = [(workload, plan, options.transport, options.days) for workload in workloads for plan in plans]
    if options.write:
        runs = [(workload, plan, LinkTransport.WEBSOCKET, 1.0) for workload in WORKLOADS for plan in (PlanName.SAVER, PlanName.LIVE)]
        if mosquitto() is not None:
            runs.append(MQTT_RUN)
    results = []
    for workload, plan, transport, days in runs:
        print(f"{workload}, {plan}, {transport} …", file=sys.stderr, flush=True)
        results.append(compared(workload, plan, transport, days))
        print(table(results[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    if options.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(results))
    return int(any(abs(one["difference_percent"]) > 100 * DIFFERENCE_MAX for one in results))


if __name__ == "__main__":
    raise SystemExit(main())
