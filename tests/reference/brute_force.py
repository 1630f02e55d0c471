"""Judging messages and computing windows the slow, plain way.

Nothing of the product is imported and nothing is shared with it: a mistake would have to be made
twice, in two different ways, to pass unseen. Every figure is exact: all values are kept and sorted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from tests.reference.fields import (
    Event,
    Rejected,
    address,
    latency,
    level,
    moment_us,
    required_text,
    risk,
    text,
)

WINDOW_SECONDS = {"1min": 60, "5min": 300, "1hour": 3600}
Place = tuple[int, int]  # partition, offset
CellKey = tuple[str, int]  # service, start of the window in epoch seconds


class Number(str):
    """A JSON number, kept as the very text that stood in the document."""


@dataclass(frozen=True)
class Rules:
    """What an installation may set differently."""

    zone: tzinfo = UTC
    max_future_s: int = 300
    max_age_days: int = 7
    high_risk: float = 0.8
    max_bytes: int = 65_536


@dataclass(frozen=True)
class Message:
    """A message as it lies in the topic; `value` None is a tombstone."""

    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True)
class Figures:
    """The exact figures of one window; None where no event carried a value."""

    total: int
    failed: int
    latency_min: float | None
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    latency_max: float | None
    latency_mean: float | None
    users: int
    ips: int
    risk_mean: float | None
    high_risk: int


@dataclass
class Window:
    """Everything that fell into one window of one service."""

    total: int = 0
    failed: int = 0
    high_risk: int = 0
    latencies: list[float] = field(default_factory=list)
    risks: list[float] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    ips: set[bytes] = field(default_factory=set)

    def figures(self) -> Figures:
        """The window in figures."""
        ordered = sorted(self.latencies)
        return Figures(
            total=self.total,
            failed=self.failed,
            latency_min=ordered[0] if ordered else None,
            latency_p50=nearest_rank(ordered, 50),
            latency_p95=nearest_rank(ordered, 95),
            latency_p99=nearest_rank(ordered, 99),
            latency_max=ordered[-1] if ordered else None,
            latency_mean=_mean(ordered),
            users=len(self.users),
            ips=len(self.ips),
            risk_mean=_mean(self.risks),
            high_risk=self.high_risk,
        )


def nearest_rank(ordered: list[float], percent: int) -> float | None:
    """The ceil(percent/100 * n)-th smallest of values in ascending order."""
    if not ordered:
        return None
    rank = (percent * len(ordered) + 99) // 100
    return ordered[rank - 1]


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


@dataclass
class Expected:
    """What a single pass over the messages gives."""

    events: dict[Place, Event] = field(default_factory=dict)
    rejected: dict[Place, str] = field(default_factory=dict)
    values: dict[Place, bytes | None] = field(default_factory=dict)
    windows: dict[str, dict[CellKey, Window]] = field(
        default_factory=lambda: {name: {} for name in WINDOW_SECONDS}
    )

    def figures(self, window: str) -> dict[CellKey, Figures]:
        """The figures of every cell of one window size."""
        return {key: found.figures() for key, found in self.windows[window].items()}


def single_pass(messages: Iterable[Message], rules: Rules, now_us: int) -> Expected:
    """Judge every message and fill the windows. `now_us`: epoch microseconds of the judging."""
    expected = Expected()
    for message in messages:
        place = (message.partition, message.offset)
        expected.values[place] = message.value
        try:
            event = judge(message.value, rules, now_us)
        except Rejected as rejected:
            expected.rejected[place] = rejected.reason
            continue
        expected.events[place] = event
        _count(expected.windows, event, rules)
    return expected


def judge(value: bytes | None, rules: Rules, now_us: int) -> Event:
    """The event in a message's value. Raises Rejected with the first reason that applies."""
    if value is None or len(value) == 0:
        raise Rejected("empty")
    if len(value) > rules.max_bytes:
        raise Rejected("too_large")
    document = _document(value)
    if not isinstance(document, dict):
        raise Rejected("not_an_object")
    event = _event(document, rules)
    if event.timestamp_us > now_us + rules.max_future_s * 1_000_000:
        raise Rejected("future_timestamp")
    if event.timestamp_us < now_us - rules.max_age_days * 86_400_000_000:
        raise Rejected("too_old")
    return event


def _document(value: bytes) -> object:
    try:
        document = json.loads(
            value.decode("utf-8"), parse_int=Number, parse_float=Number, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise Rejected("invalid_json") from None
    if _has_lone_surrogate(document):
        raise Rejected("invalid_json")
    return document


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _has_lone_surrogate(part: object) -> bool:
    if isinstance(part, dict):
        return any(_has_lone_surrogate(key) or _has_lone_surrogate(part[key]) for key in part)
    if isinstance(part, list):
        return any(_has_lone_surrogate(item) for item in part)
    return isinstance(part, str) and any(0xD800 <= ord(char) <= 0xDFFF for char in part)


def _event(document: dict[str, object], rules: Rules) -> Event:
    enriched = document.get("enriched")
    inner = enriched if isinstance(enriched, dict) else {}

    def first(*names: str, inside: str | None = None) -> object:
        for name in names:
            if document.get(name) is not None:
                return document[name]
        return inner.get(inside) if inside is not None else None

    event = Event(
        timestamp_us=moment_us(document.get("timestamp"), rules.zone, Number),
        service=required_text(document.get("service"), "service"),
        level=level(document.get("level"), Number),
        latency_ms=latency(document.get("latency_ms"), Number),
        risk_score=risk(first("risk_score", "business_risk_score"), Number),
        user_id=text(first("user_id", inside="user_id"), "user_id"),
        request_id=text(first("request_id", inside="request_id"), "request_id"),
        trace_id=text(document.get("trace_id"), "trace_id"),
        span_id=text(document.get("span_id"), "span_id"),
        message=text(document.get("message"), "message"),
        error_message=text(document.get("error_message"), "error_message"),
        source_ip=address(first("source_ip", "ip_address", inside="ip_address"), Number),
        geo_country=text(
            first("geo_country", "geo_country_name", "geo_country_code"), "geo_country"
        ),
        user_subscription_tier=text(
            document.get("user_subscription_tier"), "user_subscription_tier"
        ),
    )
    if enriched is not None and not isinstance(enriched, dict):
        raise Rejected("invalid_field:enriched")
    return event


def _count(windows: dict[str, dict[CellKey, Window]], event: Event, rules: Rules) -> None:
    for name, seconds in WINDOW_SECONDS.items():
        start = math.floor(event.timestamp_us / 1_000_000) // seconds * seconds
        window = windows[name].setdefault((event.service, start), Window())
        window.total += 1
        window.failed += event.level in ("error", "critical")
        if event.latency_ms is not None:
            window.latencies.append(event.latency_ms)
        if event.risk_score is not None:
            window.risks.append(event.risk_score)
            window.high_risk += event.risk_score > rules.high_risk
        if event.user_id is not None:
            window.users.add(event.user_id)
        if event.source_ip is not None:
            window.ips.add(event.source_ip)
