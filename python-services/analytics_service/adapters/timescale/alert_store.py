"""Where every alert stands, in tables: read by the evaluator, and written with history and outbox in one go."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from analytics_service.domain.alerts import AlertState, Transition
from analytics_service.domain.evaluation import About, Change, Held, Key


def fingerprint(key: Key) -> str:
    """The same for every episode of a rule and a service."""
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]


def read_states(cur: cursor) -> dict[Key, Held]:
    """Every state that is not simply inactive. Nothing is locked: a person's hand in between makes `store` fail."""
    cur.execute(
        """
        SELECT
            coalesce(states.rule_name, alerts.rule_name), coalesce(states.service, alerts.service),
            alerts.id, alerts.episode_id::text, coalesce(alerts.status, 'inactive'),
            extract(epoch FROM alerts.pending_since)::double precision,
            extract(epoch FROM alerts.active_since)::double precision,
            extract(epoch FROM states.clear_since)::double precision,
            extract(epoch FROM states.no_data_since)::double precision,
            coalesce((
                SELECT max(trail.sequence) FROM analytics_alert_history AS trail WHERE trail.alert_id = alerts.id
            ), 0),
            alerts.severity, alerts.metric_name, alerts.window_size, alerts.threshold
        FROM alert_states AS states
        FULL JOIN (
            SELECT * FROM analytics_alerts WHERE status <> 'resolved'
        ) AS alerts ON alerts.rule_name = states.rule_name AND alerts.service = states.service
        """
    )
    return {
        (row[0], row[1]): Held(
            state=AlertState(row[4], row[5], row[6], row[7], row[8]),
            alert_id=row[2],
            episode_id=row[3],
            sequence=int(row[9]),
            fired=None if row[2] is None else About(row[10], row[11], row[12], row[13]),
        )
        for row in cur.fetchall()
    }


def held_of(cur: cursor, alert_id: int) -> tuple[Key, Held] | None:
    """The state of an open alert; None when there is none with this id, or it is resolved."""
    for key, held in read_states(cur).items():
        if held.alert_id == alert_id:
            return key, held
    return None


def store(cur: cursor, changes: Sequence[Change]) -> int:
    """Write new states, and each transition to history and outbox; returns how many transitions. Does not commit.

    Raises UniqueViolation when a person has acted on one of the alerts meanwhile: roll back, read again.
    """
    ids = {change.key: change.before.alert_id for change in changes}
    episodes = {change.key: change.before.episode_id for change in changes}
    begun = [
        change
        for change in changes
        if change.before.alert_id is None and change.after.status != "inactive"
    ]
    for change in begun:
        episodes[change.key] = str(uuid.uuid4())
    ids.update(_insert_alerts(cur, begun, episodes))
    _update_alerts(
        cur, [change for change in changes if change.before.alert_id and change.transitions]
    )
    told = [
        _Told(change, place, ids[change.key], episodes[change.key])
        for change in changes
        for place in range(len(change.transitions))
    ]
    _insert_history(cur, told)
    _insert_outbox(cur, told)
    _store_states(cur, [(change, ids[change.key]) for change in changes])
    return len(told)


@dataclass(frozen=True, slots=True)
class _Told:
    """One transition on its way into history and outbox."""

    change: Change
    place: int
    alert_id: int | None
    episode_id: str | None
    transition_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def transition(self) -> Transition:
        """What happened."""
        return self.change.transitions[self.place]

    @property
    def sequence(self) -> int:
        """Its number within the episode."""
        return self.change.before.sequence + self.place + 1

    @property
    def value(self) -> float | None:
        """The metric as it was seen then; None: it was not."""
        reading = self.transition.reading
        return None if reading is None else reading.value


def _insert_alerts(
    cur: cursor, begun: Sequence[Change], episodes: Mapping[Key, str | None]
) -> dict[Key, int]:
    rows = [_alert_row(change, episodes[change.key]) for change in begun]
    if not rows:
        return {}
    found = execute_values(
        cur,
        """
        INSERT INTO analytics_alerts (
            rule_name, service, severity, metric_name, window_size, status, threshold, value, fingerprint, episode_id,
            pending_since, active_since
        ) VALUES %s RETURNING rule_name, service, id
        """,
        rows,
        fetch=True,
    )
    return {(row[0], row[1]): int(row[2]) for row in found}


def _alert_row(change: Change, episode_id: str | None) -> tuple[object, ...]:
    rule, after = change.rule, change.after
    assert rule is not None
    return (
        *change.key, rule.severity, rule.metric_name, rule.window_size, after.status, rule.threshold, change.value,
        fingerprint(change.key), episode_id, _time(after.pending_since_s), _time(after.active_since_s),
    )  # fmt: skip


def _update_alerts(cur: cursor, changes: Sequence[Change]) -> None:
    rows = []
    for change in changes:
        last = change.transitions[-1]
        resolved_at = _time(last.at_s) if last.to_status == "resolved" else None
        active_since = _time(change.after.active_since_s or change.before.state.active_since_s)
        acknowledged_at = _time(last.at_s) if last.to_status == "acknowledged" else None
        rows.append(
            (
                change.before.alert_id, last.to_status, change.value, active_since, acknowledged_at, change.actor,
                resolved_at,
            )
        )  # fmt: skip
    if rows:
        execute_values(
            cur,
            """
            UPDATE analytics_alerts AS held
            SET status = seen.status, value = coalesce(seen.value::double precision, held.value),
                active_since = seen.active_since::timestamptz,
                acknowledged_at = coalesce(seen.acknowledged_at::timestamptz, held.acknowledged_at),
                acknowledged_by = CASE WHEN seen.acknowledged_at IS NULL THEN held.acknowledged_by ELSE seen.actor END,
                resolved_at = seen.resolved_at::timestamptz
            FROM (VALUES %s) AS seen (id, status, value, active_since, acknowledged_at, actor, resolved_at)
            WHERE held.id = seen.id
            """,
            rows,
        )


def _insert_history(cur: cursor, told: Sequence[_Told]) -> None:
    if not told:
        return
    execute_values(
        cur,
        """
        INSERT INTO analytics_alert_history
            (alert_id, episode_id, sequence, from_status, to_status, at, value, actor, comment, transition_id)
        VALUES %s
        """,
        [
            (
                each.alert_id, each.episode_id, each.sequence, each.transition.from_status, each.transition.to_status,
                _time(each.transition.at_s), each.value, each.change.actor, each.transition.comment, each.transition_id,
            )
            for each in told
        ],
    )  # fmt: skip


def _insert_outbox(cur: cursor, told: Sequence[_Told]) -> None:
    if told:
        execute_values(
            cur,
            "INSERT INTO alert_outbox (fingerprint, message) VALUES %s",
            [(fingerprint(each.change.key), json.dumps(_message(each))) for each in told],
        )


def _store_states(cur: cursor, changes: Sequence[tuple[Change, int | None]]) -> None:
    gone, kept, never_fired = [], [], []
    for change, alert_id in changes:
        after = change.after
        if after.status == "inactive":
            if change.before.state.status == "pending":
                never_fired.append(change.before.alert_id)
            alert_id = None
        if alert_id is None and after.no_data_since_s is None:
            gone.append(change.key)
        else:
            kept.append(
                (*change.key, alert_id, _time(after.clear_since_s), _time(after.no_data_since_s))
            )
    if kept:
        execute_values(
            cur,
            """
            INSERT INTO alert_states (rule_name, service, alert_id, clear_since, no_data_since) VALUES %s
            ON CONFLICT (rule_name, service) DO UPDATE SET
                alert_id = excluded.alert_id, clear_since = excluded.clear_since, no_data_since = excluded.no_data_since
            """,
            kept,
        )
    if gone:
        execute_values(
            cur,
            """
            DELETE FROM alert_states AS held USING (VALUES %s) AS gone (rule_name, service)
            WHERE held.rule_name = gone.rule_name AND held.service = gone.service
            """,
            gone,
        )
    if never_fired:
        cur.execute(
            "DELETE FROM analytics_alerts WHERE id = ANY(%s) AND status = 'pending'", (never_fired,)
        )


def _message(told: _Told) -> dict[str, object]:
    rule, transition = told.change.rule, told.transition
    about = rule or told.change.before.fired
    assert about is not None
    reading = transition.reading
    return {
        "transition_id": told.transition_id,
        "episode_id": told.episode_id,
        "sequence": told.sequence,
        "alert_id": told.alert_id,
        "fingerprint": fingerprint(told.change.key),
        "from_status": transition.from_status,
        "to_status": transition.to_status,
        "at": _iso(transition.at_s),
        "value": told.value,
        "actor": told.change.actor,
        "comment": transition.comment,
        "rule_name": told.change.key[0],
        "service": told.change.key[1],
        "severity": about.severity,
        "metric_name": about.metric_name,
        "window_size": about.window_size,
        "window_start": None if reading is None else _iso(reading.window_start_s),
        "threshold": about.threshold,
        "operator": rule.operator if rule else None,
        "description": rule.description if rule else None,
        "notification_channels": list(rule.notification_channels) if rule else [],
    }


def _time(at_s: float | None) -> datetime | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC)


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
