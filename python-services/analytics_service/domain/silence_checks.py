"""What may be asked for as a silence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from analytics_service.domain.rule_files import checked_fields

MATCHERS: Final = ("rule_name", "service", "severity", "metric_name")


def matcher_problems(matcher: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with each matcher by name; under an empty name what is wrong with them together.

    Each is checked as the same field of a rule is; None: it matches everything.
    """
    if all(matcher.get(name) is None for name in MATCHERS):
        return {"": f"must name at least one of {', '.join(MATCHERS)}"}
    _, problems = checked_fields({name: matcher.get(name) for name in MATCHERS})
    return problems


def period_problems(starts_at: datetime | None, ends_at: datetime, now: datetime) -> dict[str, str]:
    """What is wrong with a silence's end; `starts_at` None: it begins now."""
    if ends_at <= now:
        return {"until": "must be in the future"}
    if starts_at is not None and ends_at <= starts_at:
        return {"until": "must be after `from`"}
    return {}
