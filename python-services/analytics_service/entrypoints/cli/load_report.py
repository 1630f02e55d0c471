"""What a load came to: percentiles by path, statuses, errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics_service.entrypoints.cli.load_client import Shot

TOO_MANY_REQUESTS = 429
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class PathFigures:
    """One path. Latencies are those of answers that were not 429: refusing is quicker than answering."""

    path: str
    statuses: Counter[int]
    errors: Counter[str]
    latencies_ms: tuple[float, ...]

    def percentile_ms(self, percent: int) -> float | None:
        """By nearest rank, 100 for the maximum; None without an answer."""
        count = len(self.latencies_ms)
        return self.latencies_ms[-(-percent * count // 100) - 1] if count else None

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON."""
        figures = {f"p{percent}": self.percentile_ms(percent) for percent in PERCENTILES}
        figures["max"] = self.percentile_ms(100)
        return {
            "path": self.path,
            "requests": self.statuses.total() + self.errors.total(),
            "statuses": {str(status): self.statuses[status] for status in sorted(self.statuses)},
            "errors": dict(self.errors),
            "latency_ms": {
                name: None if value is None else round(value, 3) for name, value in figures.items()
            },
        }

    def row(self) -> tuple[str, ...]:
        """For a table: path, requests, p50, p95, p99, max, statuses and errors."""
        told = [f"{status}: {self.statuses[status]:,}" for status in sorted(self.statuses)]
        told += [f"{why}: {count:,}" for why, count in self.errors.most_common()]
        latencies = [self.percentile_ms(percent) for percent in (*PERCENTILES, 100)]
        cells = ["-" if value is None else f"{value:,.1f}" for value in latencies]
        requests = self.statuses.total() + self.errors.total()
        return self.path, f"{requests:,}", *cells, ", ".join(told)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The whole load; `seconds` from the first request to the last answer."""

    asked_for: int
    concurrency: int
    seconds: float
    paths: tuple[PathFigures, ...]

    @property
    def requests(self) -> int:
        """How many were made: fewer than asked for when it was interrupted."""
        return sum(each.statuses.total() + each.errors.total() for each in self.paths)

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def limited(self) -> int:
        """Answers 429: the server takes no more."""
        return sum(each.statuses[TOO_MANY_REQUESTS] for each in self.paths)

    @property
    def server_errors(self) -> int:
        """Answers 500 and above."""
        return sum(
            count for each in self.paths for status, count in each.statuses.items() if status >= 500
        )

    @property
    def transport_errors(self) -> int:
        """Requests without a whole answer."""
        return sum(each.errors.total() for each in self.paths)

    @property
    def is_well(self) -> bool:
        """Everything was asked and answered, and nothing with 5xx."""
        return self.requests == self.asked_for and not self.server_errors + self.transport_errors

    def sentence(self) -> str:
        """The report in one line."""
        return (
            f"{self.requests:,} requests in {self.seconds:.1f} s ({self.per_second:,.0f}/s) by {self.concurrency}"
            f" clients: {self.server_errors:,} answers 5xx, {self.transport_errors:,} without an answer,"
            f" {self.limited:,} limited (429)"
        )

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON."""
        return {
            "ok": self.is_well,
            "requests": self.requests,
            "concurrency": self.concurrency,
            "seconds": round(self.seconds, 3),
            "requests_per_second": round(self.per_second, 1),
            "server_errors": self.server_errors,
            "transport_errors": self.transport_errors,
            "limited": self.limited,
            "paths": [each.as_dict() for each in self.paths],
        }


def figures_of(paths: Sequence[str], shots: Iterable[Shot]) -> tuple[PathFigures, ...]:
    """The figures of each of `paths`, in that order."""
    by_path: dict[str, list[Shot]] = {path: [] for path in paths}
    for shot in shots:
        by_path[shot.path].append(shot)
    return tuple(_figures(path, found) for path, found in by_path.items())


def _figures(path: str, shots: Sequence[Shot]) -> PathFigures:
    answered = [shot for shot in shots if shot.status is not None]
    return PathFigures(
        path,
        Counter(shot.status for shot in answered if shot.status is not None),
        Counter(shot.error for shot in shots if shot.status is None),
        tuple(sorted(shot.latency_ms for shot in answered if shot.status != TOO_MANY_REQUESTS)),
    )
