"""What the tests of complaints have in common: a rule, what is seen of a service, and looks at the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.alert_store import read_states, store
from analytics_service.domain.alerts import INACTIVE, Observation, Reading, step
from analytics_service.domain.episodes import Episode, EpisodeStatus
from analytics_service.domain.evaluation import View, WindowRows, changes
from analytics_service.domain.rules import Rule
from analytics_service.domain.silences import Subject
from analytics_service.domain.telling import Pace

PACE = Pace(group_wait_s=1, group_interval_s=60, repeat_s=14_400)
NOTHING = Observation((), None)


def a_rule(**changes_: Any) -> Rule:
    """Error rate above 5 percent, at once and until it is over."""
    fields: dict[str, Any] = {
        "rule_name": "errors",
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5.0,
        "severity": "critical",
        "duration_seconds": 0,
        "keep_firing_seconds": 0,
    }
    return Rule(**fields | changes_)


def seen(value: float) -> Observation:
    """This in the last complete window of 100 requests."""
    return Observation((), Reading(value, 100, 0))


def course(rule: Rule, *looks: tuple[float, Observation]) -> list[str]:
    """The status after each look (second, what is seen)."""
    state, found = INACTIVE, list[str]()
    for now_s, observation in looks:
        state, _ = step(rule, state, observation, now_s)
        found.append(state.status)
    return found


def look(conn: Connection, rule: Rule, now_s: float, rates: Mapping[str, float]) -> None:
    """What an evaluator does that knows nothing but the tables: it may have been started just now."""
    rows = {service: {0: (100, {rule.metric_name: rate})} for service, rate in rates.items()}
    view = View(now_s, {rule.window_size: WindowRows(0, rows)})
    with conn.cursor() as cur:
        store(cur, list(changes([rule], read_states(cur), view)))


def times(conn: Connection, service: str) -> tuple[str, float | None, float | None]:
    """Status, and since when it was pending and active (epoch seconds), of a service's last alert."""
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT status, extract(epoch FROM pending_since)::double precision,
                extract(epoch FROM active_since)::double precision
            FROM analytics_alerts WHERE service = %s ORDER BY id DESC LIMIT 1
            """,
            (service,),
        )
        row = cur.fetchone()
    return ("none", None, None) if row is None else (str(row[0]), row[1], row[2])


def episode(name: str = "e", status: EpisodeStatus = "active", **more: Any) -> Episode:
    """A critical one of its own rule that fired at 0 and is in this status since `since_s` (0)."""
    subject = Subject(
        rule_name=f"rule {name}", service="api", severity="critical", metric_name=f"metric {name}"
    )
    given: dict[str, Any] = {"active_s": 0.0, "heard_s": 0.1}
    since_s = more.pop("since_s", 0.0)
    return Episode(name, subject, status, since_s, 1, **given | more)
