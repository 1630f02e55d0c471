"""Alerts of the past: the stored windows that today's rules look at, and episodes put down that nobody has seen.

Nobody is told of them: they go into the tables of alerts and their history, over and done with, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.alert_rows import (
    Told,
    fingerprint,
    insert_history,
    iso,
    random_uuids,
)
from analytics_service.adapters.timescale.alert_rules import enabled_rules
from analytics_service.adapters.timescale.observations import complete_until, read_clock
from analytics_service.adapters.timescale.retention import (
    COLD,
    kept_since,
    latest,
    lock_kept_since,
)
from analytics_service.domain.alerts import INACTIVE, Reading
from analytics_service.domain.evaluation import NOTHING_HELD, Change
from analytics_service.domain.recalculation import RangeRefused, Span
from analytics_service.domain.rule_trial import Episode, Figures, Rows
from analytics_service.domain.rules import Rule
from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import Window

ACTOR = "recalculation"
_RECORD = """
    WITH held AS MATERIALIZED (
        SELECT alert.rule_name, alert.pending_since, alert.resolved_at FROM analytics_alerts AS alert
        WHERE alert.service = %(service)s AND alert.rule_name = ANY(%(rule_names)s)
            AND (alert.resolved_at IS NULL OR alert.resolved_at > %(first)s)
    )
    INSERT INTO analytics_alerts (
        rule_name, service, severity, metric_name, window_size, status, threshold, value, fingerprint, episode_id,
        pending_since, active_since, resolved_at, window_start
    )
    SELECT
        found.rule_name, %(service)s, found.severity, found.metric_name, found.window_size, 'resolved',
        found.threshold, found.value, found.fingerprint, found.episode_id, found.pending_since, found.active_since,
        found.resolved_at, found.window_start
    FROM unnest(
        %(rule_names)s::text[], %(severities)s::text[], %(metric_names)s::text[], %(window_sizes)s::text[],
        %(thresholds)s::double precision[], %(values)s::double precision[], %(fingerprints)s::text[],
        %(episode_ids)s::uuid[], %(pending)s::timestamptz[], %(active)s::timestamptz[], %(resolved)s::timestamptz[],
        %(window_starts)s::timestamptz[]
    ) AS found (
        rule_name, severity, metric_name, window_size, threshold, value, fingerprint, episode_id, pending_since,
        active_since, resolved_at, window_start
    )
    WHERE NOT EXISTS (
        SELECT FROM held
        WHERE held.rule_name = found.rule_name AND held.pending_since < found.resolved_at
            AND (held.resolved_at IS NULL OR held.resolved_at > found.pending_since)
    )
    ORDER BY found.pending_since, found.rule_name
    RETURNING episode_id::text, id
"""


@dataclass(frozen=True, slots=True)
class Past:
    """What the rules that watch a service see of it in `span`, which ends where windows are not complete yet."""

    service: str
    span: Span
    rules: Sequence[Rule]
    recorded: Mapping[str, Rows]


def looked_at(rules: Iterable[Rule], windows: Sequence[Window]) -> list[Window]:
    """Those of the windows that are kept which any of the rules looks at."""
    sizes = {rule.window_size for rule in rules}
    return [window for window in windows if window.name in sizes]


def whole_since(limits: dict[str, int], windows: Sequence[Window]) -> int | None:
    """From when on the windows are whole, and so are the alerts, which are kept as long as the cold tier."""
    return latest(limits, {COLD, *(window.tier for window in windows)}) if windows else None


def watched_services(
    conn: connection, span: Span, windows: Sequence[Window], topic: str, service: str | None
) -> list[str]:
    """The services (or the one) with windows in the range that an enabled rule looks at, in C order.

    Ends its transaction. Raises RangeRefused when windows of the range are archived, or none of it is complete.
    """
    try:
        with conn.cursor() as cur:
            rules = enabled_rules(cur)
            wanted = looked_at(rules, windows)
            if not wanted:
                return []
            _check_limits(kept_since(cur), wanted, span)
            _complete_part(cur, span, topic)
            found = {name for window in wanted for name in _services(cur, window, span)}
    finally:
        if not conn.closed:
            conn.rollback()
    return sorted(
        name
        for name in found
        if service in (None, name) and any(rule.watches(name) for rule in rules)
    )


def read_past(
    conn: connection, service: str, span: Span, windows: Sequence[Window], topic: str
) -> Past:
    """What today's rules see of the service. Ends its transaction. Raises RangeRefused: none of it is complete."""
    try:
        with conn.cursor() as cur:
            rules = [rule for rule in enabled_rules(cur) if rule.watches(service)]
            wanted = looked_at(rules, windows)
            # Before the windows: these are then at least as new.
            span = _complete_part(cur, span, topic)
            recorded = {
                window.name: {service: _figures(cur, window, service, span, rules)}
                for window in wanted
            }
    finally:
        if not conn.closed:
            conn.rollback()
    # As the evaluator: a rule whose windows are not kept is left alone.
    return Past(service, span, [rule for rule in rules if rule.window_size in recorded], recorded)


def record(
    conn: connection,
    past: Past,
    windows: Sequence[Window],
    found: Sequence[Episode],
    comment: str,
    note: Callable[[cursor, int], None],
) -> int:
    """Put down those of the episodes that no alert of their rule and service overlaps; how many. One transaction.

    `note` is called with the cursor and that number before the commit. Raises RangeRefused when the windows have been
    archived meanwhile, psycopg2 errors, and what `note` raises; nothing is written then.
    """
    try:
        with conn.cursor() as cur:
            _check_limits(lock_kept_since(cur), looked_at(past.rules, windows), past.span)
            alerts = _insert(cur, past.service, found, comment) if found else 0
            note(cur, alerts)
        conn.commit()
    except BaseException:
        if not conn.closed:
            conn.rollback()
        raise
    return alerts


def _insert(cur: cursor, service: str, found: Sequence[Episode], comment: str) -> int:
    # Two jobs over the same range must not both find that nothing overlaps. The evaluator need not be kept out: what
    # it begins now, begins after the end of everything that is over.
    cur.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('stacklens:recalculated-alerts:' || %s, 0))",
        (service,),
    )
    episodes = dict(zip(random_uuids(len(found)), found, strict=True))
    cur.execute(_RECORD, {"service": service, **_columns(service, episodes)})
    told = [
        each
        for episode_id, alert_id in cur.fetchall()
        for each in _told(episodes[episode_id], alert_id, episode_id, comment)
    ]
    insert_history(cur, told)
    return len({each.alert_id for each in told})


def _columns(service: str, episodes: Mapping[str, Episode]) -> dict[str, object]:
    found = list(episodes.values())
    rules = [episode.rule for episode in found]
    readings = [_last_reading(episode) for episode in found]
    return {
        "first": iso(min(episode.pending_since_s for episode in found)),
        "rule_names": [rule.rule_name for rule in rules],
        "severities": [rule.severity for rule in rules],
        "metric_names": [rule.metric_name for rule in rules],
        "window_sizes": [rule.window_size for rule in rules],
        "thresholds": [rule.threshold for rule in rules],
        "values": [None if seen is None else seen.value for seen in readings],
        "fingerprints": [fingerprint((rule.rule_name, service)) for rule in rules],
        "episode_ids": list(episodes),
        "pending": [iso(episode.pending_since_s) for episode in found],
        "active": [iso(episode.active_since_s) for episode in found],
        "resolved": [iso(episode.resolved_at_s) for episode in found],
        "window_starts": [None if seen is None else iso(seen.window_start_s) for seen in readings],
    }


def _last_reading(episode: Episode) -> Reading | None:
    """The value last seen, as in an alert of the evaluator."""
    seen = [told.reading for told in episode.transitions if told.reading is not None]
    return seen[-1] if seen else None


def _told(episode: Episode, alert_id: int, episode_id: str, comment: str) -> list[Told]:
    transitions = [
        replace(told, comment=comment if told.comment is None else f"{comment}: {told.comment}")
        for told in episode.transitions
    ]
    key = (episode.rule.rule_name, episode.service)
    change = Change(key, episode.rule, NOTHING_HELD, INACTIVE, transitions, None, ACTOR)
    return [
        Told(change, place, alert_id, episode_id, transition_id)
        for place, transition_id in enumerate(random_uuids(len(transitions)))
    ]


def _check_limits(limits: dict[str, int], windows: Sequence[Window], span: Span) -> None:
    whole_from = whole_since(limits, windows)
    if whole_from is not None and span[0] < whole_from:
        raise RangeRefused(
            f"what is before {from_epoch_s(whole_from).isoformat()} was archived before the alerts since "
            f"{from_epoch_s(span[0]).isoformat()} could be found"
        )


def _complete_part(cur: cursor, span: Span, topic: str) -> Span:
    """The range as far as windows are complete."""
    until_s = complete_until(read_clock(cur, topic))
    if until_s <= span[0]:
        raise RangeRefused(
            f"no window of the range is complete yet: it begins at {from_epoch_s(span[0]).isoformat()}, and all events "
            f"are stored up to {from_epoch_s(until_s).isoformat()}"
        )
    return span[0], min(span[1], until_s)


def _services(cur: cursor, window: Window, span: Span) -> list[str]:
    """The services with windows in the range: each a step in the index, however many windows there are."""
    cur.execute(
        sql.SQL(
            """
            WITH RECURSIVE found (service) AS (
                (
                    SELECT service FROM {table} WHERE timestamp >= %(since)s AND timestamp < %(until)s
                    ORDER BY service LIMIT 1
                )
                UNION ALL
                SELECT (
                    SELECT held.service FROM {table} AS held
                    WHERE held.service > found.service AND held.timestamp >= %(since)s AND held.timestamp < %(until)s
                    ORDER BY held.service LIMIT 1
                )
                FROM found WHERE found.service IS NOT NULL
            )
            SELECT service FROM found WHERE service IS NOT NULL
            """
        ).format(table=sql.Identifier(window.table)),
        _moments(span),
    )
    return [str(row[0]) for row in cur.fetchall()]


def _figures(
    cur: cursor, window: Window, service: str, span: Span, rules: Sequence[Rule]
) -> dict[int, Figures]:
    metrics = sorted({rule.metric_name for rule in rules if rule.window_size == window.name})
    cur.execute(
        sql.SQL(
            """
            SELECT extract(epoch FROM timestamp)::bigint, total_requests, {metrics} FROM {table}
            WHERE timestamp >= %(since)s AND timestamp < %(until)s AND service = %(service)s
            """
        ).format(
            metrics=sql.SQL(", ").join(
                sql.SQL("{}::double precision").format(sql.Identifier(name)) for name in metrics
            ),
            table=sql.Identifier(window.table),
        ),
        {**_moments(span), "service": service},
    )
    return {
        int(start): (int(requests), dict(zip(metrics, values, strict=True)))
        for start, requests, *values in cur.fetchall()
    }


def _moments(span: Span) -> dict[str, object]:
    return {"since": from_epoch_s(span[0]), "until": from_epoch_s(span[1])}
