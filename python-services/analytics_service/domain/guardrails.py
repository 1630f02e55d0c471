"""Guardrails: which figures there are, what a contract allows, and whether today's figures keep to it. Pure.

A contract is a reviewed file, a baseline one that a program wrote on a good day. Every problem of a file is found
at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Direction = Literal["higher_is_worse", "lower_is_worse"]
Source = Literal["worker", "api", "probe"]
Outcome = Literal["PASS", "FAIL", "SKIP"]

DIRECTIONS: Final = ("higher_is_worse", "lower_is_worse")
BASELINE_VERSION: Final = 1
LONGEST_PATH: Final = 2048


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that can be guarded: where it comes from, which way is worse, and what it is."""

    source: Source
    doc: str
    direction: Direction = "higher_is_worse"


METRICS: Final[Mapping[str, Metric]] = {
    "api_latency_p50_ms": Metric("probe", "median of a few requests for the rule's path"),
    "api_latency_p95_ms": Metric("probe", "95th percentile of the same requests"),
    "api_latency_max_ms": Metric("probe", "the slowest of them"),
    "api_error_percent": Metric("api", "share of the API's answers that were 5xx"),
    "consumer_lag": Metric("worker", "messages behind the ends of all partitions"),
    "visible_latency_p50_ms": Metric(
        "worker", "from the broker's time stamp to the commit, median"
    ),
    "visible_latency_p99_ms": Metric("worker", "the same, 99th percentile"),
    "flush_p95_ms": Metric("worker", "duration of a flush, 95th percentile"),
    "flush_failure_percent": Metric("worker", "share of flushes that were rolled back"),
    "dead_letter_percent": Metric("worker", "share of the messages that became dead letters"),
    "dead_letters_pending": Metric("worker", "dead letters that nobody has dealt with"),
    "dead_letters_oldest_seconds": Metric("worker", "age of the oldest of them"),
    "outbox_backlog": Metric("worker", "alert messages that the broker does not have yet"),
    "events_stored_per_second": Metric("worker", "events stored", "lower_is_worse"),
}


class GuardrailFileError(ValueError):
    """A contract or baseline that cannot be used; `problems` says where and why, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n  - ".join(["unusable file:", *self.problems]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """What is allowed for one figure.

    `max_ratio`: at most so many times as bad as the baseline; `max_absolute`: at most so much worse; of both one is
    enough. `limit`: never worse than this, whatever the baseline is. `required` False: no figure today is no failure.
    """

    metric: str
    path: str | None = None
    direction: Direction
    max_ratio: float | None = None
    max_absolute: float | None = None
    limit: float | None = None
    required: bool = True

    @property
    def figure(self) -> str:
        """The name of its figure in a baseline."""
        return figure_name(self.metric, self.path)

    @property
    def is_relative(self) -> bool:
        """Whether a baseline is needed."""
        return self.max_ratio is not None or self.max_absolute is not None

    def allowed(self, baseline: float | None) -> float | None:
        """The worst value that passes; None if that takes a baseline and there is none."""
        if self.is_relative and baseline is None:
            return None
        bounds = list(self._bounds(baseline)) if baseline is not None else []
        if self.direction == "higher_is_worse":
            return min(
                max(bounds, default=math.inf), math.inf if self.limit is None else self.limit
            )
        return max(min(bounds, default=-math.inf), -math.inf if self.limit is None else self.limit)

    def _bounds(self, baseline: float) -> Sequence[float]:
        is_higher = self.direction == "higher_is_worse"
        bounds = []
        if self.max_ratio is not None:
            bounds.append(baseline * self.max_ratio if is_higher else baseline / self.max_ratio)
        if self.max_absolute is not None:
            bounds.append(baseline + (self.max_absolute if is_higher else -self.max_absolute))
        return bounds


@dataclass(frozen=True, slots=True)
class Today:
    """A figure as it is now; None: there is none, and `why`."""

    value: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one guardrail."""

    figure: str
    baseline: float | None
    today: float | None
    allowed: float | None
    outcome: Outcome
    detail: str


def figure_name(metric: str, path: str | None = None) -> str:
    """What a baseline calls a figure: the metric, and the path for which it was measured."""
    return metric if path is None else f"{metric} {path}"


def judge(rule: Guardrail, baseline: Mapping[str, float], today: Today) -> Verdict:
    """Whether today's figure keeps to the rule."""
    before = baseline.get(rule.figure)
    allowed = rule.allowed(before)

    def verdict(outcome: Outcome, detail: str) -> Verdict:
        return Verdict(rule.figure, before, today.value, allowed, outcome, detail)

    if today.value is None:
        return verdict("FAIL" if rule.required else "SKIP", f"no figure today: {today.why}")
    if allowed is None:
        return verdict("FAIL", "the baseline has no such figure: save a new one")
    is_kept = today.value <= allowed
    if rule.direction == "lower_is_worse":
        is_kept = today.value >= allowed
    return verdict("PASS", "") if is_kept else verdict("FAIL", "worse than allowed")


def contract_from(document: object) -> list[Guardrail]:
    """The rules of `{guardrails: [{metric: ..., ...}, ...]}`; raises GuardrailFileError with every problem."""
    entries = document.get("guardrails") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise GuardrailFileError(["must hold a list called `guardrails` with something in it"])
    rules: list[Guardrail] = []
    problems: list[str] = []
    for place, entry in enumerate(entries, start=1):
        wrong = _problems_of(entry)
        if wrong:
            problems += [f"guardrail {place}{_named(entry)}: {each}" for each in wrong]
        else:
            direction = METRICS[entry["metric"]].direction
            rules.append(Guardrail(**{"direction": direction, **entry}))
    names = [rule.figure for rule in rules]
    problems += [f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    if problems:
        raise GuardrailFileError(problems)
    return rules


def baseline_from(document: object) -> dict[str, float]:
    """The figures of a baseline by name; raises GuardrailFileError with every problem."""
    if not isinstance(document, Mapping) or not isinstance(document.get("figures"), Mapping):
        raise GuardrailFileError(["must be a baseline as --save writes it, with `figures`"])
    if document.get("version") != BASELINE_VERSION:
        raise GuardrailFileError(
            [f"version must be {BASELINE_VERSION}, not {document.get('version')!r}: save a new one"]
        )
    figures = document["figures"]
    problems = [
        f"{name}: must be a number from 0 on"
        for name, value in figures.items()
        if not _is_number(value)
    ]
    if problems:
        raise GuardrailFileError(problems)
    return {str(name): float(value) for name, value in figures.items()}


def _named(entry: object) -> str:
    metric = entry.get("metric") if isinstance(entry, Mapping) else None
    return f" ({metric})" if isinstance(metric, str) else ""


def _problems_of(entry: object) -> list[str]:
    if not isinstance(entry, Mapping):
        return ["must be a mapping of fields"]
    metric = METRICS.get(entry["metric"]) if isinstance(entry.get("metric"), str) else None
    if metric is None:
        return [f"metric: must be one of {', '.join(METRICS)}"]
    problems = [f"{name}: there is no such field" for name in entry if name not in _FIELDS]
    problems += [
        f"{name}: {wrong}"
        for name, wrong in _FIELDS.items()
        if name in entry and not _FITS[name](entry[name])
    ]
    if (metric.source == "probe") != ("path" in entry):
        problems.append(
            "path: is missing" if metric.source == "probe" else "path: only with api_latency_..."
        )
    if not {"max_ratio", "max_absolute", "limit"} & entry.keys():
        problems.append("must have max_ratio, max_absolute or limit")
    return problems


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 1e300  # beyond every figure, and a float


def _is_path(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.startswith("/")
        and not value.startswith("//")
        and len(value) <= LONGEST_PATH
        and value.isascii()
        and value.isprintable()
        and not set(" #") & set(value)
    )


_FIELDS: Final[Mapping[str, str]] = {
    "metric": "",
    "path": "must begin with one / and be written as in a URL",
    "direction": f"must be one of {', '.join(DIRECTIONS)}",
    "max_ratio": "must be a number from 1 on",
    "max_absolute": "must be a number from 0 on",
    "limit": "must be a number from 0 on",
    "required": "must be true or false",
}
_FITS: Final[Mapping[str, Any]] = {
    "metric": lambda _: True,
    "path": _is_path,
    "direction": lambda value: value in DIRECTIONS,
    "max_ratio": lambda value: _is_number(value) and value >= 1,
    "max_absolute": _is_number,
    "limit": _is_number,
    "required": lambda value: isinstance(value, bool),
}
