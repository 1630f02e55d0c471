"""Where every alert stands, in tables: read by the evaluator, and written with history and outbox in one go."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.alert_rows import (
    Told,
    insert_alerts,
    insert_history,
    insert_outbox,
    iso,
    random_uuids,
)
from analytics_service.domain.alerts import AlertState
from analytics_service.domain.evaluation import About, Change, Held, Key


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
    if begun:
        new_ids = _new_ids(cur, len(begun))
        new_episodes = random_uuids(len(begun))
        insert_alerts(cur, begun, new_ids, new_episodes)
        keys = [change.key for change in begun]
        ids.update(zip(keys, new_ids, strict=True))
        episodes.update(zip(keys, new_episodes, strict=True))
    _update_alerts(
        cur, [change for change in changes if change.before.alert_id and change.transitions]
    )
    places = [(change, place) for change in changes for place in range(len(change.transitions))]
    told = [
        Told(change, place, ids[change.key], episodes[change.key], transition_id)
        for (change, place), transition_id in zip(places, random_uuids(len(places)), strict=True)
    ]
    if told:
        insert_history(cur, told)
        insert_outbox(cur, told)
    _store_clocks(cur, [(change, ids[change.key]) for change in changes])
    _delete_never_fired(cur, changes)
    return len(told)


def _new_ids(cur: cursor, count: int) -> list[int]:
    cur.execute(
        "SELECT array_agg(nextval('analytics_alerts_id_seq')) FROM generate_series(1, %s)",
        (count,),
    )
    ((ids,),) = cur.fetchall()
    return list(ids)


def _update_alerts(cur: cursor, changes: Sequence[Change]) -> None:
    rows = []
    for change in changes:
        last = change.transitions[-1]
        resolved_at = iso(last.at_s) if last.to_status == "resolved" else None
        active_since = _time(change.after.active_since_s or change.before.state.active_since_s)
        acknowledged_at = iso(last.at_s) if last.to_status == "acknowledged" else None
        rows.append(
            (
                change.before.alert_id, last.to_status, change.value, active_since, acknowledged_at, change.actor,
                resolved_at, _time(change.window_start_s),
            )
        )  # fmt: skip
    if rows:
        cur.execute(
            """
            UPDATE analytics_alerts AS held
            SET status = seen.status, value = coalesce(seen.value, held.value), active_since = seen.active_since,
                acknowledged_at = coalesce(seen.acknowledged_at, held.acknowledged_at),
                acknowledged_by = CASE WHEN seen.acknowledged_at IS NULL THEN held.acknowledged_by ELSE seen.actor END,
                resolved_at = seen.resolved_at, window_start = coalesce(seen.window_start, held.window_start)
            FROM unnest(
                %s::bigint[], %s::text[], %s::double precision[], %s::timestamptz[], %s::timestamptz[], %s::text[],
                %s::timestamptz[], %s::timestamptz[]
            ) AS seen (id, status, value, active_since, acknowledged_at, actor, resolved_at, window_start)
            WHERE held.id = seen.id
            """,
            _columns(rows),
        )


def _store_clocks(cur: cursor, changes: Sequence[tuple[Change, int | None]]) -> None:
    """A row while something is clear or without data for some time; besides that the alert itself says it all."""
    kept, gone = [], []
    for change, alert_id in changes:
        after = change.after
        if _has_clock(after):
            open_id = None if after.status == "inactive" else alert_id
            kept.append(
                (*change.key, open_id, _time(after.clear_since_s), _time(after.no_data_since_s))
            )
        elif after.status == "inactive" or _has_clock(change.before.state):
            gone.append(change.key)
    if kept:
        cur.execute(
            """
            INSERT INTO alert_states (rule_name, service, alert_id, clear_since, no_data_since)
            SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
            ON CONFLICT (rule_name, service) DO UPDATE SET
                alert_id = excluded.alert_id, clear_since = excluded.clear_since, no_data_since = excluded.no_data_since
            """,
            _columns(kept),
        )
    if gone:
        cur.execute(
            """
            DELETE FROM alert_states AS held USING unnest(%s::text[], %s::text[]) AS gone (rule_name, service)
            WHERE held.rule_name = gone.rule_name AND held.service = gone.service
            """,
            _columns(gone),
        )


def _has_clock(state: AlertState) -> bool:
    return state.clear_since_s is not None or state.no_data_since_s is not None


def _delete_never_fired(cur: cursor, changes: Sequence[Change]) -> None:
    ids = [
        change.before.alert_id
        for change in changes
        if change.after.status == "inactive" and change.before.state.status == "pending"
    ]
    if ids:
        cur.execute(
            "DELETE FROM analytics_alerts WHERE id = ANY(%s) AND status = 'pending'", (ids,)
        )


def _columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Rows of one length as parameters for unnest."""
    return [list(column) for column in zip(*rows, strict=True)]


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else iso(at_s)
