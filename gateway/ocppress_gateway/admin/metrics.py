"""Metrics for Prometheus: what there is, under which name, and the exposition of one snapshot.

Names are a promise. Each begins with the program, ends in its unit, and in `_total` if it is a counter, which begins at zero with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

__all__ = ["LABELLED_MAX", "REST", "Declared", "Sample", "bounded", "exposed"]

LABELLED_MAX: Final = 1000
"""Stations, and edges, that have a series of their own for each metric, by the order of their names; the rest is added up under `REST`.
Prometheus takes some thousand series of a target easily, and what a station invents mustn't be without bound."""

REST: Final = "*"


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric. `name` is without `_total`."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus has it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class Sample(NamedTuple):
    """A value now."""

    metric: Declared
    value: float
    labels: tuple[str, ...] = ()


def bounded(named: Iterable[tuple[str, float]], maximum: int = LABELLED_MAX) -> Iterator[tuple[str, float]]:
    """At most `maximum` names, and what is left under `REST`."""
    ordered = sorted(named)
    yield from ordered[:maximum]
    if len(ordered) > maximum:
        yield REST, sum(value for _, value in ordered[maximum:])


def exposed(samples: Iterable[Sample], accept: str) -> tuple[bytes, str]:
    """What Prometheus reads, in the format that its `Accept` asks for, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(samples))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Snapshot(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        families: dict[Declared, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, value, labels in self._samples:
            if metric not in families:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                families[metric] = kind(metric.name, metric.help, labels=metric.labels)
            families[metric].add_metric(labels, value)
        yield from families.values()
