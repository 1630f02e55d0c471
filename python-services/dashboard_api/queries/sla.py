"""Requests and failures of a period and of the burn-rate windows, each stored row read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import Window
from dashboard_api.queries.counts import count_plans, totals_of
from dashboard_api.queries.merged import kept_since, levels_of, whole_seconds, with_merged_days
from dashboard_api.ranges import Plan, plan_range
from dashboard_api.schemas.services import ServiceSla
from dashboard_api.slo import WINDOWS_S, service_level

PERIOD = "period"
_DAY_S = 86_400
# How exact the start of a window has to be, in seconds, by its length: at most a tenth of it too long.
_EXACTNESS_S = ((_DAY_S, 3600), (3 * 3600, 300), (0, 60))


@dataclass(frozen=True, slots=True)
class Levels:
    """What is covered, and the service levels, by service."""

    since: datetime
    until: datetime
    services: list[ServiceSla]


def service_levels(
    cursor: Cursor,
    windows: Sequence[Window],
    now: datetime,
    days: int,
    objective: float,
    services: list[str] | None,
) -> Levels:
    """The service levels of every service (or of `services`) with traffic in the period or a window."""
    now_s, end_s = whole_seconds(now, now)
    starts = starts_s(now_s, {**WINDOWS_S, PERIOD: days * _DAY_S}, windows[0].seconds)
    plans = {
        name: replace(plan, pieces=with_merged_days(cursor, plan.pieces))
        for name, plan in _plans(starts, max(end_s, now_s + 1), windows, kept_since(cursor)).items()
    }
    counted = count_plans(cursor, plans, services)
    found = []
    for service, parts in sorted(counted.items()):
        sums = {
            name: totals_of([count for other, count in parts.items() if starts[other] >= start])
            for name, start in starts.items()
        }
        found.append(service_level(service, objective, sums.pop(PERIOD), sums))
    begins = [
        plan.start_s
        for name, plan in plans.items()
        if plan.pieces and starts[name] >= starts[PERIOD]
    ]
    return Levels(from_epoch_s(min(begins, default=starts[PERIOD])), now, found)


def starts_s(now_s: int, lengths_s: Mapping[str, int], finest_s: int) -> dict[str, int]:
    """When each window that ends now begins: rounded down to minutes, 5 minutes or hours by its length."""
    starts = {}
    for name, length_s in lengths_s.items():
        exact_s = next(exact for least, exact in _EXACTNESS_S if length_s >= least)
        begin = now_s - length_s
        starts[name] = begin - begin % max(exact_s, finest_s)
    return starts


def _plans(
    starts: Mapping[str, int],
    end_s: int,
    windows: Sequence[Window],
    kept: Mapping[str, int | None],
) -> dict[str, Plan]:
    """For each window the part of it that no shorter one covers: together they cover all, once."""
    plans = {}
    until_s = end_s
    for name, start_s in sorted(starts.items(), key=lambda item: (-item[1], item[0] == PERIOD)):
        plans[name] = plan_range(start_s, until_s, levels_of(windows), kept)
        until_s = min(until_s, start_s)
    return plans
