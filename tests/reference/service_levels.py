"""Service levels and rankings the plain way: every event is looked at, nothing is merged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FAILED = ("error", "critical")


@dataclass(frozen=True)
class Request:
    """What of an event counts here."""

    at_s: float
    service: str
    level: str


def counts(
    requests: Iterable[Request], service: str, first_s: float, end_s: float
) -> tuple[int, int]:
    """All and failed requests of a service in [first_s, end_s)."""
    chosen = [r for r in requests if r.service == service and first_s <= r.at_s < end_s]
    return len(chosen), sum(r.level in FAILED for r in chosen)


def burn_rate(total: int, failed: int, objective: float) -> float | None:
    """How many times faster than allowed requests fail; None without any."""
    if total == 0:
        return None
    return (failed / total) / ((100 - objective) / 100)
