"""What each channel is to be told and was told: read as a whole, written step by step around each attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from analytics_service.domain.episodes import Episode, Kind, Pending, Result, Told
from analytics_service.domain.silences import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:  # pylint: disable=too-many-instance-attributes  # what messages say of an episode
    """An episode with everything that a message may say of it."""

    episode: Episode
    alert_id: int
    fingerprint: str
    window_size: str
    operator: str | None
    threshold: float
    description: str | None
    actor: str | None
    comment: str | None
    transition_id: str
    firing_transition_id: str | None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """Everything that is to be known for deciding what a channel is told; by episode, and by service."""

    now_s: float
    known: Mapping[str, Known]
    told: Mapping[str, Told]
    group_told_s: Mapping[str, float]
    pending: Sequence[Pending] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """One episode in a message that is about to be sent."""

    known: Known
    kind: Kind
    repetition: int = 0

    @property
    def transition_id(self) -> str:
        """The transition that is told."""
        if self.kind in ("firing", "repeat"):
            return self.known.firing_transition_id or self.known.transition_id
        return self.known.transition_id


_RESULT: dict[str, Result] = {"sent": "sent", "failed": "failed", "pending": "trying"}
_VIEW = """
    SELECT
        episode.episode_id::text, episode.rule_name, episode.service, episode.severity, episode.metric_name,
        episode.status, extract(epoch FROM episode.changed_at)::double precision, episode.sequence, episode.value,
        extract(epoch FROM episode.active_since)::double precision,
        extract(epoch FROM episode.heard_at)::double precision,
        episode.alert_id, episode.fingerprint, episode.window_size, episode.operator, episode.threshold,
        episode.description, episode.actor, episode.comment, episode.transition_id::text,
        episode.firing_transition_id::text,
        last.kind, extract(epoch FROM coalesce(last.finished_at, last.created_at))::double precision, last.status,
        extract(epoch FROM last.next_try_at)::double precision, last.repetition,
        EXISTS (
            SELECT 1 FROM analytics_alert_history AS trail
            WHERE trail.episode_id = episode.episode_id AND trail.to_status = 'acknowledged'
        ) OR EXISTS (
            SELECT 1 FROM alert_deliveries AS kept
            WHERE kept.episode_id = episode.episode_id AND kept.channel = %(channel)s AND kept.status = 'withheld'
                AND kept.reason IN ('silenced', 'muted', 'acknowledged')
        )
    FROM notified_episodes AS episode
    LEFT JOIN LATERAL (
        SELECT * FROM alert_deliveries AS delivery
        WHERE delivery.episode_id = episode.episode_id AND delivery.channel = %(channel)s
            AND delivery.status IN ('pending', 'sent', 'failed')
        ORDER BY delivery.id DESC LIMIT 1
    ) AS last ON TRUE
    WHERE episode.settled_at IS NULL AND %(channel)s = ANY(episode.notification_channels)
        AND %(channel)s <> ALL(episode.settled_channels)
"""
_GROUPS = """
    SELECT episode.service, extract(epoch FROM max(delivery.finished_at))::double precision
    FROM alert_deliveries AS delivery
    INNER JOIN notified_episodes AS episode ON episode.episode_id = delivery.episode_id
    WHERE delivery.channel = %(channel)s AND delivery.status = 'sent'
        AND delivery.finished_at > clock_timestamp() - make_interval(secs => %(interval_s)s)
    GROUP BY episode.service
"""


_PENDING = """
    SELECT alert.rule_name, alert.service, alert.severity, alert.metric_name,
        extract(epoch FROM alert.pending_since)::double precision + rule.duration_seconds
    FROM analytics_alerts AS alert
    INNER JOIN analytics_alert_rules AS rule ON rule.rule_name = alert.rule_name
    WHERE alert.status = 'pending' AND rule.enabled AND %(channel)s = ANY(rule.notification_channels)
"""


def read_view(cur: cursor, channel: str, interval_s: float) -> ChannelView:
    """What a channel is about to be told is decided from: `interval_s` is how far back groups told count."""
    cur.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
    ((now_s,),) = cur.fetchall()
    cur.execute(_VIEW, {"channel": channel})
    known, told = {}, {}
    for row in cur.fetchall():
        subject = Subject(rule_name=row[1], service=row[2], severity=row[3], metric_name=row[4])
        episode = Episode(row[0], subject, row[5], row[6], row[7], row[8], row[9], row[10], row[26])
        known[row[0]] = Known(
            episode=episode,
            alert_id=row[11],
            fingerprint=row[12],
            window_size=row[13],
            operator=row[14],
            threshold=row[15],
            description=row[16],
            actor=row[17],
            comment=row[18],
            transition_id=row[19],
            firing_transition_id=row[20],
        )
        if row[21] is not None:
            told[row[0]] = Told(row[21], row[22], _RESULT[row[23]], row[24], row[25])
    cur.execute(_GROUPS, {"channel": channel, "interval_s": interval_s})
    groups = dict(cur.fetchall())
    cur.execute(_PENDING, {"channel": channel})
    pending = [
        Pending(Subject(rule_name=r[0], service=r[1], severity=r[2], metric_name=r[3]), r[4])
        for r in cur.fetchall()
    ]
    return ChannelView(float(now_s), known, told, groups, pending)


def begin_attempt(
    cur: cursor, channel: str, message_id: str, tellings: Sequence[Telling], retry_after_s: float
) -> int:
    """Note that a message is about to be sent, to be tried again after `retry_after_s` unless more is heard.

    Returns which attempt it is, for the telling tried least often (from 1): what is new does not wait for as long as
    what has failed before. Does not commit.
    """
    found = execute_values(
        cur,
        """
        INSERT INTO alert_deliveries AS held
            (episode_id, transition_id, channel, kind, repetition, message_id, attempts, next_try_at)
        SELECT wanted.episode_id::uuid, wanted.transition_id::uuid, wanted.channel, wanted.kind, wanted.repetition,
            wanted.message_id::uuid, 1, clock_timestamp() + make_interval(secs => wanted.retry_after_s)
        FROM (VALUES %s) AS wanted
            (episode_id, transition_id, channel, kind, repetition, message_id, retry_after_s)
        ON CONFLICT (transition_id, channel, kind, repetition) DO UPDATE SET
            status = 'pending', reason = NULL, message_id = excluded.message_id, attempts = held.attempts + 1,
            next_try_at = excluded.next_try_at, finished_at = NULL
        RETURNING held.attempts
        """,
        [
            (
                telling.known.episode.episode_id, telling.transition_id, channel, telling.kind, telling.repetition,
                message_id, float(retry_after_s),
            )
            for telling in tellings
        ],
        fetch=True,
    )  # fmt: skip
    # What could not be told before the alert went on is told by this message instead.
    cur.execute(
        """
        UPDATE alert_deliveries SET status = 'replaced', next_try_at = NULL
        WHERE channel = %s AND status = 'pending' AND message_id IS DISTINCT FROM %s::uuid
            AND episode_id = ANY(%s::uuid[])
        """,
        (channel, message_id, [telling.known.episode.episode_id for telling in tellings]),
    )
    return min(int(row[0]) for row in found)


def note_sent(cur: cursor, channel: str, message_id: str, trouble: str | None = None) -> None:
    """The other side has the message: true whoever holds the lease by now. Does not commit.

    `trouble`: it did not reach everybody.
    """
    cur.execute(
        """
        UPDATE alert_deliveries
        SET status = 'sent', finished_at = clock_timestamp(), next_try_at = NULL, last_error = %s
        WHERE channel = %s AND message_id = %s::uuid AND status <> 'sent'
        """,
        (trouble, channel, message_id),
    )


def tell_end_again(cur: cursor, channel: str, message_id: str) -> int:
    """Have the end of what a message told as firing told once more, where it has been told already; how many ends.

    For a message that arrived late, when another notifier had gone on in the meantime: otherwise the last thing that
    the other side has heard is that it fires, for ever. Does not commit.
    """
    cur.execute(
        """
        UPDATE alert_deliveries AS ended SET status = 'pending', finished_at = NULL, next_try_at = NULL
        FROM alert_deliveries AS late
        WHERE late.channel = %(channel)s AND late.message_id = %(message_id)s::uuid
            AND late.kind IN ('firing', 'repeat', 'acknowledged')
            AND ended.episode_id = late.episode_id AND ended.channel = late.channel AND ended.status = 'sent'
            AND ended.kind IN ('resolved', 'passed')
        RETURNING ended.episode_id::text
        """,
        {"channel": channel, "message_id": message_id},
    )
    episode_ids = [row[0] for row in cur.fetchall()]
    cur.execute(
        """
        UPDATE notified_episodes SET settled_at = NULL, settled_channels = array_remove(settled_channels, %s)
        WHERE episode_id = ANY(%s::uuid[])
        """,
        (channel, episode_ids),
    )
    return len(episode_ids)


def note_refused(cur: cursor, channel: str, message_id: str, why: str) -> None:
    """The other side will never take it. Does not commit."""
    cur.execute(
        """
        UPDATE alert_deliveries
        SET status = 'failed', finished_at = clock_timestamp(), next_try_at = NULL, last_error = %s
        WHERE channel = %s AND message_id = %s::uuid AND status = 'pending'
        """,
        (why, channel, message_id),
    )


def note_failed(cur: cursor, channel: str, message_id: str, why: str, retry_after_s: float) -> None:
    """The attempt failed; there is another after so long. Does not commit."""
    cur.execute(
        """
        UPDATE alert_deliveries
        SET last_error = %s, next_try_at = clock_timestamp() + make_interval(secs => %s)
        WHERE channel = %s AND message_id = %s::uuid AND status = 'pending'
        """,
        (why, float(retry_after_s), channel, message_id),
    )


def note_withheld(cur: cursor, channel: str, withheld: Sequence[tuple[Known, str]]) -> None:
    """Why episodes are not told of, for people who wonder. Does not commit.

    What was kept back on purpose stays written down as that when it is over.
    """
    execute_values(
        cur,
        """
        INSERT INTO alert_deliveries AS held (episode_id, transition_id, channel, kind, status, reason, finished_at)
        SELECT wanted.episode_id::uuid, wanted.transition_id::uuid, wanted.channel, 'firing', 'withheld',
            wanted.reason, clock_timestamp()
        FROM (VALUES %s) AS wanted (episode_id, transition_id, channel, reason)
        ON CONFLICT (transition_id, channel, kind, repetition) DO UPDATE SET
            reason = excluded.reason, finished_at = excluded.finished_at
        WHERE held.status = 'withheld' AND held.reason IS DISTINCT FROM excluded.reason
            AND excluded.reason <> 'over before it was told'
        """,
        [
            (
                known.episode.episode_id,
                known.firing_transition_id or known.transition_id,
                channel,
                reason,
            )
            for known, reason in withheld
        ],
    )


def settle(cur: cursor, channel: str, episode_ids: Sequence[str]) -> None:
    """The channel will never speak of these episodes again. Does not commit."""
    cur.execute(
        """
        UPDATE notified_episodes SET settled_channels = settled_channels || %s
        WHERE episode_id = ANY(%s::uuid[]) AND %s <> ALL(settled_channels)
        """,
        ([channel], list(episode_ids), channel),
    )


def give_up(cur: cursor) -> int:
    """End the deliveries that were not through when their episode was laid aside; how many. Does not commit."""
    cur.execute(
        """
        UPDATE alert_deliveries AS delivery
        SET status = 'failed', finished_at = clock_timestamp(), next_try_at = NULL
        FROM notified_episodes AS episode
        WHERE delivery.status = 'pending' AND episode.episode_id = delivery.episode_id
            AND episode.settled_at IS NOT NULL
        """
    )
    return int(cur.rowcount)


def waiting(cur: cursor) -> dict[str, tuple[int, float]]:
    """Deliveries that were tried and are not through, by channel: how many, and the oldest one's age in seconds."""
    cur.execute(
        """
        SELECT channel, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::double precision
        FROM alert_deliveries WHERE status = 'pending' GROUP BY channel
        """
    )
    return {row[0]: (int(row[1]), float(row[2])) for row in cur.fetchall()}
