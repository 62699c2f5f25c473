"""What a running program says of itself, what it means and what helps: functions of its status alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ocppress_gateway.core.views import SILENT_S
from ocppress_gateway.doctor.facts import Running
from ocppress_gateway.doctor.findings import Finding, failed, passed, skipped, warned
from ocppress_gateway.status.words import age, count

__all__ = ["budget", "cloud_runs", "edge_runs", "stations"]

_WARN_PERCENT: Final = 80


def budget(budget_mb: float, *, is_set: bool, running: Running) -> Finding:
    """Whether anybody has said what the month may cost, and how it stands."""
    step = "budget"
    month = (running.data or {}).get("month") or {}
    percent = month.get("percent")
    fields = {"budget_mb": budget_mb, "is_set": is_set, "used_percent": percent}
    used = "" if percent is None else f", {percent:g} % used"
    if not is_set:
        return warned(
            step, f"none is set; {budget_mb:g} MB are assumed{used}", "set `[sim] budget_mb` to what the SIM's contract says", **fields
        )
    if percent is not None and percent >= _WARN_PERCENT:
        remedy = "`ocppress status` says what it went for; a coarser `plan`, or a larger contract"
        return warned(step, f"{budget_mb:g} MB a month{used}", remedy, **fields)
    return passed(step, f"{budget_mb:g} MB a month{used}", **fields)


def edge_runs(running: Running, *, version: str) -> Finding:
    """The running edge, its link and its outbox."""
    step = "running edge"
    if (not_answering := _unanswered(step, running)) is not None:
        return not_answering
    data = running.data or {}
    link = data.get("link") or {}
    fields = {
        "version": data.get("version"),
        "uptime_s": data.get("uptime_s"),
        "link_up_s": link.get("up_s"),
        "link_down_s": link.get("down_s"),
    }
    about = f"version {data.get('version')}, up {age(data.get('uptime_s'))}"
    trouble = (data.get("outbox") or {}).get("trouble")
    if trouble is not None:
        return failed(
            step,
            f"{about}; its disk has trouble: {trouble}",
            "look at `state folder` above and at `dmesg`; messages are relayed meanwhile",
            **fields,
        )
    if link.get("up_s") is None:
        for_s = f" for {age(link['down_s'])}" if link.get("down_s") is not None and link.get("connections") else ""
        remedy = "the steps above say why; if they all pass, the edge connects with its next try"
        return failed(step, f"{about}; its link is down{for_s}", remedy, **fields)
    if data.get("version") != version:
        return warned(
            step, f"{about}; this is {version}", "restart it, so that the version that is installed is the one that runs", **fields
        )
    return passed(step, f"{about}, link up for {age(link.get('up_s'))}", **fields)


def stations(running: Running) -> Finding:
    """Those at a running edge."""
    step = "stations"
    if running.data is None:
        return skipped(step, "no edge is running")
    known = running.data.get("stations") or []
    here = [one["identity"] for one in known if one.get("state") in ("admitted", "asking again")]
    away = [f"{one['identity']} ({one.get('state')})" for one in known if one["identity"] not in here]
    silent = _silent([one for one in known if one["identity"] in here], running.data)
    fields = {"connected": here, "away": [one["identity"] for one in known if one["identity"] not in here], "silent": silent}
    if not known:
        remedy = "enter the edge's URL in the station (stations.txt); the edge's log has a line for each that tries"
        return warned(step, "none has connected since the start", remedy, **fields)
    if not here:
        remedy = "is the station on, and on this network? The edge's log says how each connection ended"
        return warned(step, f"none is connected; known: {_some(away)}", remedy, **fields)
    if silent:
        remedy = "it is connected and doesn't talk: look at its own log, restart it"
        return warned(step, f"nothing heard for a day or more of {_some(silent)}", remedy, **fields)
    return passed(step, f"connected: {_some(here)}" + (f"; not now: {_some(away)}" if away else ""), **fields)


def cloud_runs(running: Running, *, version: str) -> Finding:
    """The running cloud, its stores, edges and CSMS sockets."""
    step = "running cloud"
    if (not_answering := _unanswered(step, running)) is not None:
        return not_answering
    data = running.data or {}
    edges = data.get("edges") or []
    up = [one for one in edges if one.get("up_s") is not None]
    sockets = data.get("stations") or []
    opened = [one for one in sockets if one.get("state") == "open"]
    silent = _silent(opened, data)
    trouble = (data.get("positions") or {}).get("trouble")
    letters = data.get("dead_letters") or 0
    fields = {
        "version": data.get("version"),
        "uptime_s": data.get("uptime_s"),
        "edges_seen": len(edges),
        "edges_linked": len(up),
        "stations": len(sockets),
        "csms_sockets_open": len(opened),
        "silent": len(silent),
        "dead_letters": letters,
    }
    about = f"version {data.get('version')}, up {age(data.get('uptime_s'))}, {len(up)} of {count(len(edges), 'edge')} seen are linked"
    about += f", {len(opened)} of {count(len(sockets), 'CSMS socket')} open"
    if trouble is not None:
        return failed(
            step,
            f"{about}; its disk has trouble: {trouble}",
            "look at `state folder` above and at `dmesg`; stored messages wait meanwhile",
            **fields,
        )
    if sockets and not opened:
        return failed(step, about, "the CSMS takes none of the stations: see the steps to it, and the cloud's log", **fields)
    if letters:
        return warned(
            step, f"{about}; {count(letters, 'dead letter')}", "`ocppress dead list` shows what the CSMS has refused for good", **fields
        )
    if silent:
        remedy = "their edges' `ocppress doctor` says more; what an edge answers by itself, as Heartbeats, isn't heard of here"
        return warned(step, f"{about}; nothing heard for a day or more of {_some(silent)}", remedy, **fields)
    if data.get("version") != version:
        return warned(
            step, f"{about}; this is {version}", "restart it, so that the version that is installed is the one that runs", **fields
        )
    return passed(step, about, **fields)


def _unanswered(step: str, running: Running) -> Finding | None:
    if running.data is not None:
        return None
    if running.is_running:
        return failed(step, f"it runs, and doesn't answer: {running.why_not}", "look at its log; restart it if it hangs")
    return warned(step, running.why_not, "start it, if it should run; nothing else here needs it to")


def _silent(stations: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> list[str]:
    """Those of them that have said nothing for too long, or nothing at all in a program that runs for as long."""
    up_s = data.get("uptime_s") or 0.0
    heard = [(one.get("identity", ""), one.get("heard_s")) for one in stations]
    return [identity for identity, heard_s in heard if (up_s if heard_s is None else heard_s) >= SILENT_S]


def _some(names: Sequence[str]) -> str:
    """Not more than a line has room for."""
    shown = ", ".join(names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
