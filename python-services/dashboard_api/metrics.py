"""The API's own Prometheus metrics, counted by its workers in shared memory, read out by their parent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, product
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from dashboard_api.certificates import CertificateCollector
from dashboard_api.counters import ServerState
from dashboard_api.paths import UNKNOWN_ROUTE as OTHER
from dashboard_api.shared_cells import SharedCells

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", OTHER)
STATUSES = (
    "200", "201", "202", "204", "304", "308", "400", "401", "403", "404", "405", "409", "413", "415",
    "429", "500", "503", OTHER,
)  # fmt: skip
BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
POOL_STATES = ("used", "idle")
CREDENTIALS = ("password", "key", "throttled")


class ApiMetrics:
    """Where the numbers are. Create it before the workers are forked."""

    def __init__(self, routes: Sequence[str]) -> None:
        self.routes = tuple(routes)
        places = iter(range(10**9))
        self.requests = {labels: next(places) for labels in product(self.routes, METHODS, STATUSES)}
        self.seconds = {
            route: [next(places) for _ in range(len(BUCKETS_S) + 2)] for route in self.routes
        }
        self.failures = {kind: next(places) for kind in CREDENTIALS}
        self.in_flight = next(places)
        self.pool = {state: next(places) for state in POOL_STATES}
        self.cells = SharedCells(next(places))

    def begin(self) -> None:
        """A request has come in."""
        self.cells.add((self.in_flight, 1))

    def end(self, pool: Mapping[str, int]) -> None:
        """It is over. `pool`: how many connections this worker has, by state."""
        self.cells.add((self.in_flight, -1))
        self.cells.set(*((cell, pool[state]) for state, cell in self.pool.items()))

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        if route not in self.seconds:
            route = OTHER
        key = (
            route,
            method if method in METHODS else OTHER,
            str(status) if str(status) in STATUSES else OTHER,
        )
        timing = self.seconds[route]
        bucket = timing[bisect_left(BUCKETS_S, seconds)]
        self.cells.add((self.requests[key], 1), (bucket, 1), (timing[-1], seconds))

    def fail(self, kind: str) -> None:
        """Credentials were not right, or not even looked at."""
        self.cells.add((self.failures[kind], 1))

    def worker_gone(self, slot: int) -> None:
        """Parent: what goes up and down with the worker is over."""
        self.cells.clear(slot, [self.in_flight, *self.pool.values()])


class ApiCollector(Collector):
    """What Prometheus reads: sums over all workers, living and dead."""

    def __init__(self, metrics: ApiMetrics, state: ServerState) -> None:
        self._metrics = metrics
        self._state = state

    def collect(self) -> Iterable[Metric]:
        """Every metric; of requests only what there has been."""
        cells = self._metrics.cells.totals(self._state.requests.slots_used)
        requests = CounterMetricFamily(
            "stacklens_api_requests",
            "Requests answered, by route, method and status.",
            labels=["route", "method", "status"],
        )
        for labels, cell in self._metrics.requests.items():
            if cells[cell]:
                requests.add_metric(labels, float(cells[cell]))
        yield requests
        yield self._durations(cells.tolist())
        failures = CounterMetricFamily(
            "stacklens_api_auth_failures",
            "Log-ins refused: wrong password, wrong key, or not looked at after too many failures.",
            labels=["kind"],
        )
        for kind, cell in self._metrics.failures.items():
            failures.add_metric([kind], float(cells[cell]))
        yield failures
        pool = GaugeMetricFamily(
            "stacklens_api_db_pool_connections",
            "Connections of the workers' pools for reading, by state.",
            labels=["state"],
        )
        for state, cell in self._metrics.pool.items():
            pool.add_metric([state], float(cells[cell]))
        yield pool
        yield from self._gauges(float(cells[self._metrics.in_flight]))

    def _durations(self, cells: Sequence[float]) -> Metric:
        family = HistogramMetricFamily(
            "stacklens_api_request_seconds",
            "Time from a request to its answer, by route.",
            labels=["route"],
        )
        bounds = [*map(floatToGoString, BUCKETS_S), "+Inf"]
        for route, timing in self._metrics.seconds.items():
            counts = list(accumulate(cells[cell] for cell in timing[:-1]))
            if counts[-1]:
                buckets = list(zip(bounds, counts, strict=True))
                family.add_metric([route], buckets, cells[timing[-1]])
        return family

    def _gauges(self, in_flight: float) -> Iterator[Metric]:
        for name, text, value in (
            ("requests_in_flight", "Requests that are being answered.", in_flight),
            ("workers", "Worker processes.", self._state.workers),
            ("uptime_seconds", "Seconds since the replica started.", self._state.uptime_seconds()),
        ):
            yield GaugeMetricFamily(f"stacklens_api_{name}", text, value)


def registry_of(
    metrics: ApiMetrics, state: ServerState, certificate: Path | None = None
) -> CollectorRegistry:
    """A registry with these metrics, and those of the certificate file where one is named."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ApiCollector(metrics, state))
    if certificate is not None:
        registry.register(CertificateCollector(certificate))
    return registry
