"""Alert rules as a reviewed file: from plain data, as YAML gives it, to rules; every problem is found at once. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from analytics_service.domain.rules import (
    CHANNELS,
    EVERY_SERVICE,
    METRICS,
    NO_DATA_POLICIES,
    OPERATORS,
    SEVERITIES,
    Rule,
)
from analytics_service.domain.texts import is_storable
from analytics_service.domain.windows import WINDOWS

LONGEST_NAME: Final = 255
LONGEST_DESCRIPTION: Final = 10_000


class RuleFileError(ValueError):
    """A rules file that cannot be used; `problems` says where and why, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{len(self.problems)} problem(s) in the rules:\n{lines}")


def rules_from(document: object) -> list[Rule]:
    """The rules of a document `{rules: [{rule_name: ..., ...}, ...]}`; raises RuleFileError with every problem."""
    if not isinstance(document, Mapping) or not isinstance(document.get("rules"), list):
        raise RuleFileError(["the file must hold a list called `rules`"])
    problems: list[str] = []
    rules: list[Rule] = []
    for place, entry in enumerate(document["rules"], start=1):
        if not isinstance(entry, Mapping):
            problems.append(f"rule {place} (without a name): must be a mapping of fields")
            continue
        found, wrong = rule_from(entry)
        name = entry.get("rule_name") or "without a name"
        problems += [f"rule {place} ({name}): {field}: {why}" for field, why in wrong.items()]
        if found is not None:
            rules.append(found)
    names = [rule.rule_name for rule in rules]
    problems += [
        f"rule_name {name!r} is there {names.count(name)} times"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if problems:
        raise RuleFileError(problems)
    return rules


def as_entry(rule: Rule) -> dict[str, object]:
    """The rule as it would stand in a file: what is as by default is left out."""
    return {
        name: value
        for name, value in as_fields(rule).items()
        if name in _REQUIRED or getattr(rule, name) != _DEFAULTS[name]
    }


def rule_from(entry: Mapping[str, object]) -> tuple[Rule | None, dict[str, str]]:
    """The rule that these fields make, or None and what is wrong with each of them by name; null is as by default."""
    values, problems = checked_fields(entry)
    missing = {name: "is missing" for name in _REQUIRED if entry.get(name) is None}
    problems = {**problems, **missing}
    if problems:
        return None, problems
    rule = Rule(**values)
    problem = rule.resolve_threshold_problem
    return (rule, {}) if problem is None else (None, {"resolve_threshold": problem})


def checked_fields(entry: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of a rule that are right, and what is wrong with the others; none has to be there."""
    problems = {name: "there is no such field" for name in entry if name not in _FIELDS}
    values: dict[str, Any] = {}
    for name, check in _FIELDS.items():
        if entry.get(name) is not None:
            try:
                values[name] = check(entry[name])
            except ValueError as error:
                problems[name] = str(error)
    return values, problems


def as_fields(rule: Rule) -> dict[str, Any]:
    """Every field of the rule by name, as plain data."""
    values = ((name, getattr(rule, name)) for name in _FIELDS)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME or not is_storable(value):
        raise ValueError(f"must be a text of 1 to {LONGEST_NAME} characters")
    return value


def _description(value: object) -> str:
    # It is in every message of the rule's alerts, and a broker refuses those that are too large.
    if not isinstance(value, str) or len(value) > LONGEST_DESCRIPTION or not is_storable(value):
        raise ValueError(f"must be a text of at most {LONGEST_DESCRIPTION:,} characters")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number of more digits than any float has
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _whole(least: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
            raise ValueError(f"must be a whole number, {least} or more")
        return value

    return check


def _one_of(*allowed: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def _channels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or any(name not in CHANNELS for name in value):
        raise ValueError(f"must be a list of {', '.join(CHANNELS)}")
    return tuple(value)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


_FIELDS: Final[Mapping[str, Callable[[object], object]]] = {
    "rule_name": _text,
    "description": _description,
    "service": _text,
    "metric_name": _one_of(*METRICS),
    "window_size": _one_of(*(window.name for window in WINDOWS)),
    "operator": _one_of(*OPERATORS),
    "threshold": _number,
    "resolve_threshold": _number,
    "duration_seconds": _whole(0),
    "keep_firing_seconds": _whole(0),
    "min_requests": _whole(1),
    "no_data_policy": _one_of(*NO_DATA_POLICIES),
    "severity": _one_of(*SEVERITIES),
    "notification_channels": _channels,
    "enabled": _yes_or_no,
}
_REQUIRED: Final = ("rule_name", "metric_name", "operator", "threshold", "severity")
_SAMPLE: Final = Rule(
    rule_name="-", metric_name="error_rate", operator=">", threshold=0.0, severity="info"
)
_DEFAULTS: Final = {name: getattr(_SAMPLE, name) for name in _FIELDS}

assert _SAMPLE.service == EVERY_SERVICE
