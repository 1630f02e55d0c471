"""What is asked of the API: every GET it has, as the page and people's scripts ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg2.extensions import connection

ANSWER_MS: Final = 30.0
MONTH_MS: Final = 200.0
SERVICE: Final = "api-016"
"""One of the busier services."""
MONTH: Final = "/metrics/summary?from=-30d"


# What many ask for again and again is looked up once a second for all of them: these are asked by one client as well.
LOOKED_UP_ONCE: Final = frozenset(
    ("/health-status", "/metrics/summary", "/metrics/series", "/top-error-services", "/slowest-services", "/sla")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the route it belongs to (as in the API's description), and what its p95 may be."""

    path: str
    route: str
    limit_ms: float = ANSWER_MS

    @property
    def looked_up_once(self) -> bool:
        """Whether the paced clients are answered with what was looked up for one of them."""
        return self.route in LOOKED_UP_ONCE


def _case(path: str, route: str = "", limit_ms: float = ANSWER_MS) -> Case:
    return Case(path, route or path.partition("?")[0], limit_ms)


PLAIN: Final = (
    _case("/health"),
    _case("/healthz"),
    _case("/readyz"),
    _case("/overview"),
    _case(f"/overview/service?service={SERVICE}"),
    _case(f"/overview/service?service={SERVICE}&from=-7d"),
    _case("/overview/alerts"),
    _case("/overview/dead-letters"),
    _case("/overview/system"),
    _case("/health-status"),
    _case("/metrics?window=1min&limit=100"),
    _case(f"/metrics?window=5min&service={SERVICE}&from=-1d"),
    _case("/metrics/summary"),
    _case(f"/metrics/summary?service={SERVICE}&from=-30d"),
    _case(MONTH, limit_ms=MONTH_MS),
    _case(f"/metrics/series?service={SERVICE}&from=-1d"),
    _case(f"/metrics/series?service={SERVICE}&from=-30d"),
    _case("/metrics/series?metric=error_rate"),
    _case(f"/performance-trend?service={SERVICE}&days=7"),
    _case("/performance-trend?limit=200"),
    _case("/top-error-services"),
    _case("/slowest-services"),
    _case("/high-risk-events"),
    _case(f"/sla?service={SERVICE}&days=30"),
    _case("/sla"),
    _case("/alerts?status=active"),
    _case("/alerts?status=all&limit=100"),
    _case("/alert-stats"),
    _case("/stats"),
    _case("/rules"),
    _case("/silences"),
    _case("/audit"),
    _case("/dead-letters"),
    _case("/recalculations"),
    _case("/openapi.json"),
    _case("/docs"),
    _case("/docs/docs.css", "/docs/{asset}"),
    _case("/"),
)
_BY_ID: Final = (
    ("/alerts/{}", "/alerts/{alert_id}", "analytics_alerts"),
    ("/alerts/{}/history", "/alerts/{alert_id}/history", "analytics_alerts"),
    ("/overview/alerts/{}", "/overview/alerts/{alert_id}", "analytics_alerts"),
    ("/silences/{}", "/silences/{silence_id}", "alert_silences"),
    ("/dead-letters/{}", "/dead-letters/{letter_id}", "analytics_dead_letters"),
    ("/recalculations/{}", "/recalculations/{job_id}", "recalculation_queue"),
)


def cases(conn: connection) -> list[Case]:
    """All of them, on a seeded database: the newest row stands for each kind that is asked for by its id."""
    found = list(PLAIN)
    with conn.cursor() as cur:
        for path, route, table in _BY_ID:
            cur.execute(f"SELECT max(id) FROM {table}")  # noqa: S608  # fixed names
            ((number,),) = cur.fetchall()
            found.append(Case(path.format(number), route))
        cur.execute("SELECT min(rule_name) FROM analytics_alert_rules")
        ((name,),) = cur.fetchall()
        found.append(Case(f"/rules/{name.replace(' ', '%20')}", "/rules/{name}"))
    return found


def routes() -> set[str]:
    """The routes that are measured."""
    return {case.route for case in PLAIN} | {route for _, route, _ in _BY_ID} | {"/rules/{name}"}
