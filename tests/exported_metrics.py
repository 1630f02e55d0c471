"""The names of every series that a process of the product exports, and those that a PromQL expression asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from analytics_service import metrics
from dashboard_api.counters import ServerState
from dashboard_api.metrics import ApiMetrics, registry_of

ROUTE = "/metrics"
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
# `stacklens:...` are names of recording rules.
_NAME = re.compile(r"(?<![\w:])stacklens_\w+")


def exported() -> set[str]:
    """Names of the series of worker, notifier and API."""
    api = ApiMetrics([ROUTE])
    # Series of requests are there once there was one.
    api.count(ROUTE, "GET", 200, 0.01)
    registries = (
        metrics.REGISTRY,
        metrics.NOTIFIER_REGISTRY,
        registry_of(api, ServerState(workers=1), Path("no-certificate")),
    )
    return {name for registry in registries for name in _names(registry)}


def asked_for(expression: str) -> set[str]:
    """Metrics of ours that an expression names."""
    return set(_NAME.findall(expression))


def _names(registry: CollectorRegistry) -> Iterator[str]:
    for family in registry.collect():
        for suffix in _SUFFIXES[family.type]:
            yield family.name + suffix
