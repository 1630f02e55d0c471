"""Today's figures: from two looks at the metrics of workers and API, and from a few requests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from analytics_service.domain.guardrails import METRICS, Source, Today, figure_name
from analytics_service.entrypoints.cli.api_access import Login
from analytics_service.entrypoints.cli.load_client import Client, Shot
from analytics_service.entrypoints.cli.load_report import PathFigures, figures_of
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.stopping import StopSignal
from analytics_service.entrypoints.cli.verify_http import get

PROBES = 25
LOOK_EVERY_S = 0.2

Sample = tuple[str, tuple[tuple[str, str], ...]]  # its name, and its labels in order


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look; what is empty is not looked at."""

    worker_urls: Sequence[str]
    api_metrics_urls: Sequence[str]
    base_url: str | None
    login: Login | None
    paths: Sequence[str]


class Growth:
    """Samples of one kind of process, from all of them, at two moments: counters that grew, gauges as they are."""

    def __init__(
        self, before: Mapping[Sample, list[float]], after: Mapping[Sample, list[float]]
    ) -> None:
        self._before = before
        self._after = after

    def grown(self, name: str, **labels: str) -> float:
        """By how much the counters of this name with these labels grew, all processes together."""
        return sum(
            # A counter below what it was has begun again with its process.
            now - then if now >= then else now
            for sample in self._named(name, labels)
            for now, then in zip(
                self._after[sample],
                self._before.get(sample, [0.0] * len(self._after[sample])),
                strict=True,
            )
        )

    def total(self, name: str) -> float | None:
        """The gauges of this name added up; None: nobody has it."""
        values = self._gauges(name)
        return sum(values) if values else None

    def highest(self, name: str) -> float | None:
        """The highest gauge of this name, for what each process says of the same thing; None: nobody has it."""
        return max(self._gauges(name), default=None)

    def quantile(self, name: str, share: float) -> float | None:
        """A quantile of what a histogram has seen in between, linear within a bucket; None: nothing."""
        bounds = sorted(
            (float(dict(labels)["le"]), labels)
            for found, labels in self._after
            if found == f"{name}_bucket"
        )
        below = [(bound, self.grown(f"{name}_bucket", **dict(labels))) for bound, labels in bounds]
        total = below[-1][1] if below else 0.0
        if not total:
            return None
        lower, seen = 0.0, 0.0
        for bound, count in below[:-1]:
            if count >= share * total:
                inside = count - seen
                return lower + (bound - lower) * ((share * total - seen) / inside if inside else 1)
            lower, seen = bound, count
        return lower  # beyond the last bound nobody knows how far

    def _named(self, name: str, labels: Mapping[str, str]) -> list[Sample]:
        wanted = labels.items()
        return [each for each in self._after if each[0] == name and wanted <= dict(each[1]).items()]

    def _gauges(self, name: str) -> list[float]:
        return [value for sample in self._named(name, {}) for value in self._after[sample]]


def todays_figures(
    places: Places, sources: Iterable[Source], observe_s: float, stop: StopSignal
) -> dict[str, Today]:
    """Every figure of these sources by its name in a baseline, counted over `observe_s` seconds."""
    wanted = set(sources)
    urls: dict[Source, Sequence[str]] = {
        "worker": places.worker_urls, "api": places.api_metrics_urls,
    }  # fmt: skip
    found: dict[str, Today] = {}
    before = {source: _looked(each) for source, each in urls.items() if source in wanted}
    began = time.monotonic()
    if "probe" in wanted:
        found |= _probed(places)
    progress = Progress("guardrails", round(observe_s))
    while (left := began + observe_s - time.monotonic()) > 0 and not stop.stopped:
        progress.update(round(observe_s - left), "seconds")
        stop.wait(min(left, LOOK_EVERY_S))
    progress.finish()
    for source, first in before.items():
        seconds = time.monotonic() - began
        found |= _compared(source, first, _looked(urls[source]), seconds)
    return found


def _compared(
    source: Source,
    before: Mapping[Sample, list[float]] | str,
    after: Mapping[Sample, list[float]] | str,
    seconds: float,
) -> dict[str, Today]:
    names = [name for name, metric in METRICS.items() if metric.source == source]
    for looked in (before, after):
        if isinstance(looked, str):
            return {name: Today(None, looked) for name in names}
    assert not isinstance(before, str)
    assert not isinstance(after, str)
    growth = Growth(before, after)
    return {name: _today(_FIGURES[name](growth, seconds)) for name in names}


def _today(value: float | None) -> Today:
    return (
        Today(None, "nothing happened that it could be told from")
        if value is None
        else Today(value)
    )


def _looked(urls: Sequence[str]) -> dict[Sample, list[float]] | str:
    """The samples of all processes, or why there are none."""
    found: dict[Sample, list[float]] = {}
    for place, url in enumerate(urls):
        try:
            answer = get(f"{url}/metrics")
        except OSError as error:
            return f"{url}/metrics: {error}"
        if answer.status != 200:
            return f"{url}/metrics: status {answer.status}"
        try:
            families = list(text_string_to_metric_families(answer.body.decode()))
        except (ValueError, KeyError, IndexError):
            return f"{url}/metrics: no metrics in the form of Prometheus"
        for sample in (sample for family in families for sample in family.samples):
            key = (sample.name, tuple(sorted(sample.labels.items())))
            values = found.setdefault(key, [0.0] * len(urls))
            values[place] = sample.value
    return found


def _probed(places: Places) -> dict[str, Today]:
    shots: list[Shot] = []
    progress = Progress("requests", PROBES * len(places.paths))
    with contextlib.closing(Client(places.base_url or "", places.login)) as client:
        for path in places.paths:
            for _ in range(PROBES):
                shots.append(client.ask(path))
                progress.update(len(shots))
                if shots[-1].status == 401:  # asking on would be taken for an attack
                    break
    progress.finish()
    return {
        figure_name(f"api_latency_{name}_ms", each.path): _latency(each, percent)
        for each in figures_of(places.paths, shots)
        for name, percent in (("p50", 50), ("p95", 95), ("max", 100))
    }


def _latency(figures: PathFigures, percent: int) -> Today:
    wrong = [f"status {status}" for status in figures.statuses if status not in (200, 429)]
    wrong += list(figures.errors)
    value = figures.percentile_ms(percent)
    if wrong or value is None:
        return Today(None, ", ".join(wrong) or "every answer was 429")
    return Today(value)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000.0


def _percent(part: float, whole: float) -> float | None:
    """None of nothing."""
    return 100.0 * part / whole if whole else None


def _dead_letter_percent(growth: Growth, _seconds: float) -> float | None:
    return _percent(
        growth.grown("stacklens_events_dead_lettered_total"),
        growth.grown("stacklens_events_consumed_total"),
    )


def _flush_failure_percent(growth: Growth, _seconds: float) -> float | None:
    failed = growth.grown("stacklens_flush_failures_total")
    return _percent(failed, failed + growth.grown("stacklens_flush_seconds_count"))


def _api_error_percent(growth: Growth, _seconds: float) -> float | None:
    failed = sum(
        growth.grown("stacklens_api_requests_total", status=status) for status in ("500", "503")
    )
    return _percent(failed, growth.grown("stacklens_api_requests_total"))


_FIGURES: Mapping[str, Callable[[Growth, float], float | None]] = {
    "api_error_percent": _api_error_percent,
    "consumer_lag": lambda growth, _: growth.total("stacklens_consumer_lag"),
    "visible_latency_p50_ms": lambda growth, _: _milliseconds(
        growth.quantile("stacklens_visible_latency_seconds", 0.5)
    ),
    "visible_latency_p99_ms": lambda growth, _: _milliseconds(
        growth.quantile("stacklens_visible_latency_seconds", 0.99)
    ),
    "flush_p95_ms": lambda growth, _: _milliseconds(
        growth.quantile("stacklens_flush_seconds", 0.95)
    ),
    "flush_failure_percent": _flush_failure_percent,
    "dead_letter_percent": _dead_letter_percent,
    "dead_letters_pending": lambda growth, _: growth.highest("stacklens_dead_letters_pending"),
    "dead_letters_oldest_seconds": lambda growth, _: growth.highest(
        "stacklens_dead_letters_oldest_seconds"
    ),
    "outbox_backlog": lambda growth, _: growth.highest("stacklens_outbox_backlog"),
    "events_stored_per_second": lambda growth, seconds: (
        growth.grown("stacklens_events_stored_total") / seconds
    ),
}
