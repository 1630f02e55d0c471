"""What the notifier knows of each episode: taken in from messages, each transition once, in any number of copies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from psycopg2.extensions import cursor

from analytics_service.domain.alert_messages import AlertMessage

# A transition that the topic has not brought after this long is taken from the outbox itself.
LATE_S = 15.0
# So long after it was published a transition may still be on its way here.
ON_THEIR_WAY_S = 10.0
# What has been over for this long is news to nobody, and no channel is waited for any longer.
GIVEN_UP_S = 30 * 86_400.0

_TAKE_IN = """
    INSERT INTO notified_episodes AS held (
        episode_id, alert_id, fingerprint, rule_name, service, severity, metric_name, window_size, operator, threshold,
        description, notification_channels, status, sequence, transition_id, firing_transition_id, value, window_start,
        pending_since, active_since, changed_at, heard_at, actor, comment
    ) VALUES (
        %(episode_id)s, %(alert_id)s, %(fingerprint)s, %(rule_name)s, %(service)s, %(severity)s, %(metric_name)s,
        %(window_size)s, %(operator)s, %(threshold)s, %(description)s, %(channels)s::text[], %(status)s, %(sequence)s,
        %(transition_id)s, CASE WHEN %(status)s = 'active' THEN %(transition_id)s::uuid END, %(value)s,
        %(window_start)s, CASE WHEN %(status)s = 'pending' THEN %(at)s::timestamptz END,
        CASE WHEN %(status)s = 'active' THEN %(at)s::timestamptz END, %(at)s,
        CASE WHEN %(status)s = 'active' THEN clock_timestamp() END, %(actor)s, %(comment)s
    )
    ON CONFLICT (episode_id) DO UPDATE SET
        operator = coalesce(excluded.operator, held.operator),
        description = CASE WHEN excluded.operator IS NULL THEN held.description ELSE excluded.description END,
        -- A channel that was told of the beginning is told of the end, whatever became of the rule; one that the rule
        -- did not name while it fired has nothing to do with the end.
        notification_channels = CASE WHEN excluded.status = 'resolved' THEN held.notification_channels ELSE ARRAY(
            SELECT DISTINCT wanted.name FROM unnest(held.notification_channels || excluded.notification_channels)
                AS wanted (name)
            ORDER BY wanted.name
        ) END,
        status = excluded.status,
        sequence = excluded.sequence,
        transition_id = excluded.transition_id,
        firing_transition_id = coalesce(held.firing_transition_id, excluded.firing_transition_id),
        value = coalesce(excluded.value, held.value),
        window_start = coalesce(excluded.window_start, held.window_start),
        pending_since = coalesce(held.pending_since, excluded.pending_since),
        active_since = coalesce(held.active_since, excluded.active_since),
        changed_at = excluded.changed_at,
        heard_at = coalesce(held.heard_at, excluded.heard_at),
        actor = excluded.actor,
        comment = excluded.comment
    WHERE held.sequence < excluded.sequence
"""
# Not known here: the first message of an episode, or one above the last that was taken in.
_UNKNOWN = """
    NOT EXISTS (
        SELECT 1 FROM notified_episodes AS known
        WHERE known.episode_id = (outbox.message ->> 'episode_id')::uuid
            AND known.sequence >= (outbox.message ->> 'sequence')::integer
    )
"""
_MISSED = f"""
    SELECT outbox.message FROM alert_outbox AS outbox
    WHERE (
        outbox.sent_at IS NULL OR outbox.sent_at > clock_timestamp() - make_interval(secs => %(since_s)s)
    ) AND outbox.created_at < clock_timestamp() - make_interval(secs => %(late_s)s) AND {_UNKNOWN}
    ORDER BY outbox.id
"""  # noqa: S608  # fixed text
_ON_THEIR_WAY = f"""
    SELECT EXISTS (
        SELECT 1 FROM alert_outbox AS outbox
        WHERE (
            outbox.sent_at IS NULL OR outbox.sent_at > clock_timestamp() - make_interval(secs => %(recent_s)s)
        ) AND outbox.created_at > clock_timestamp() - make_interval(secs => %(recent_s)s) AND {_UNKNOWN}
    )
"""  # noqa: S608  # fixed text
_ADD_CHANNELS = """
    UPDATE notified_episodes AS held SET notification_channels = ARRAY(
        SELECT DISTINCT wanted.name FROM unnest(held.notification_channels || rule.notification_channels)
            AS wanted (name)
        ORDER BY wanted.name
    )
    FROM analytics_alert_rules AS rule
    WHERE held.settled_at IS NULL AND held.status <> 'resolved' AND rule.rule_name = held.rule_name AND rule.enabled
        AND rule.service IN ('*', held.service) AND NOT rule.notification_channels <@ held.notification_channels
"""
# A channel that is off is not waited for, unless it knows the episode as firing, or may: then it has to hear of the end
# when it is switched on again.
_SETTLE_DONE = """
    UPDATE notified_episodes AS episode SET settled_at = clock_timestamp()
    WHERE episode.settled_at IS NULL AND episode.status = 'resolved' AND (
        episode.changed_at < clock_timestamp() - make_interval(secs => %(given_up_s)s)
        OR NOT EXISTS (
            SELECT 1 FROM unnest(episode.notification_channels) AS wanted (channel)
            LEFT JOIN LATERAL (
                SELECT delivery.kind, delivery.status FROM alert_deliveries AS delivery
                WHERE delivery.episode_id = episode.episode_id AND delivery.channel = wanted.channel
                    AND delivery.status IN ('pending', 'sent', 'failed')
                ORDER BY delivery.id DESC LIMIT 1
            ) AS last ON TRUE
            WHERE wanted.channel <> ALL(episode.settled_channels) AND (
                wanted.channel = ANY(%(on)s::text[]) OR last.status = 'pending'
                OR last.kind IN ('repeat', 'acknowledged') OR (last.kind = 'firing' AND last.status = 'sent')
            )
        )
    )
"""


def take_in(cur: cursor, message: AlertMessage) -> bool:
    """Remember a transition; False when it, or a later one of its episode, was known. Does not commit."""
    cur.execute(
        _TAKE_IN,
        {
            "episode_id": str(message.episode_id),
            "alert_id": message.alert_id,
            "fingerprint": message.fingerprint,
            "rule_name": message.rule_name,
            "service": message.service,
            "severity": message.severity,
            "metric_name": message.metric_name,
            "window_size": message.window_size,
            "operator": message.operator,
            "threshold": message.threshold,
            "description": message.description,
            "channels": message.notification_channels,
            "status": message.to_status,
            "sequence": message.sequence,
            "transition_id": str(message.transition_id),
            "value": message.value,
            "window_start": message.window_start,
            "at": message.at,
            "actor": message.actor,
            "comment": message.comment,
        },
    )
    return bool(cur.rowcount == 1)


def missed(cur: cursor, since_s: float, late_s: float = LATE_S) -> Iterator[bytes]:
    """Messages of the outbox that were not taken in although they are older than `late_s`, in their order.

    Looks at those not published yet, and at those published within the last `since_s` seconds.
    """
    cur.execute(_MISSED, {"since_s": since_s, "late_s": late_s})
    for (message,) in cur.fetchall():
        yield json.dumps(message, ensure_ascii=False).encode()


def on_their_way(cur: cursor) -> bool:
    """Whether transitions have happened just now that were not taken in yet."""
    cur.execute(_ON_THEIR_WAY, {"recent_s": ON_THEIR_WAY_S})
    row = cur.fetchone()
    return row is not None and bool(row[0])


def add_channels(cur: cursor) -> int:
    """Have channels that rules got since hear of what still fires, and so of its end; of how many episodes.

    A channel that a rule does not name any more stays: it may have been told of the beginning. Does not commit.
    """
    cur.execute(_ADD_CHANNELS)
    return int(cur.rowcount)


def settle_done(cur: cursor, channels_on: Sequence[str]) -> int:
    """Lay aside the episodes that are over and of which no channel has anything more to say; how many.

    And those that have been over for GIVEN_UP_S, whatever channels have to say of them. Does not commit.
    """
    cur.execute(_SETTLE_DONE, {"on": list(channels_on), "given_up_s": GIVEN_UP_S})
    return int(cur.rowcount)
