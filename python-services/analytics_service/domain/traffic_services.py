"""The services of the made-up traffic: how busy, how quick, how reliable, and what they log."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Final

NAMES: Final = (
    *("gateway", "catalog", "search", "auth", "cart", "checkout", "payment", "inventory"),
    *("recommendation", "profile", "shipping", "notification", "pricing", "reviews", "media"),
    *("session", "fraud-check", "invoice", "loyalty", "warehouse", "email", "export", "audit"),
    "report",
)
PATHS: Final = (
    "/items/{id}",
    "/orders/{id}",
    "/status",
    "/batch",
    "/users/{id}/settings",
    "/query",
)
ERRORS: Final = (
    "upstream timed out after 3000 ms",
    "connection reset by peer",
    'invalid state: expected \\"open\\"',
    "deadlock detected, transaction rolled back",
    "out of capacity",
)
WITH_RISK: Final = 0.6


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `phase`: where in the day (0..1) its rhythm begins to rise; shares are 0..1."""

    name: str
    quoted_name: str
    weight: float
    phase: float
    median_ms: float
    spread: float
    failing: float
    without_latency: float
    paths: tuple[str, ...]

    def level(self, dice: float, severity: float) -> str:
        """The level for a throw of the dice (0..1); up to half of the events of an ill service fail."""
        failing = self.failing + 0.45 * severity
        if dice < failing:
            return "critical" if dice < failing * 0.1 else "error"
        rest = (dice - failing) / (1 - failing)
        if rest < 0.05:
            return "warning"
        return "debug" if rest > 0.92 else "info"

    def event(
        self, stamp: str, level: str, latency_ms: float | None, dice: float, ids: str, who: str
    ) -> str:
        """The event as compact JSON; `ids`: 32 hexadecimal digits, `who`: finished members."""
        latency = "" if latency_ms is None else f',"latency_ms":{latency_ms}'
        path = self.paths[int(dice * 1_000) % len(self.paths)]
        wrong = ""
        if level in ("error", "critical"):
            wrong = f',"error_message":"{ERRORS[int(dice * 10_000) % len(ERRORS)]}"'
        return (
            f'{{"timestamp":"{stamp}Z","service":{self.quoted_name},"level":"{level}"{latency}'
            f',"request_id":"{ids[:16]}","trace_id":"{ids}","span_id":"{ids[16:]}"'
            f',"message":"{path}"{wrong}{who}}}'
        )


def make_services(rng: random.Random, count: int, needed: str | None) -> list[Service]:
    """`count` services, the busiest first; `needed` is among them, one more if it has to be."""
    names = [
        f"{NAMES[i % len(NAMES)]}-service" + (f"-{i // len(NAMES) + 1}" if i >= len(NAMES) else "")
        for i in range(count)
    ]
    if needed is not None and needed not in names:
        names.append(needed)
    return [_service(rng, name, rank) for rank, name in enumerate(names)]


def _service(rng: random.Random, name: str, rank: int) -> Service:
    return Service(
        name=name,
        quoted_name=json.dumps(name),
        weight=1 / (rank + 1) ** 0.8,
        phase=rng.uniform(0.2, 0.4) if rng.random() < 0.8 else rng.uniform(0.7, 0.9),
        median_ms=rng.uniform(4, 60),
        spread=rng.uniform(0.3, 0.6),
        failing=rng.uniform(0.001, 0.015),
        without_latency=rng.uniform(0.0, 0.1),
        paths=tuple(
            f"{rng.choice(('GET', 'POST', 'PUT'))} /api/v1{path}" for path in rng.sample(PATHS, 4)
        ),
    )
