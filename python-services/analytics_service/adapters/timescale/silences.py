"""Silences in their table: made, listed, changed, ended early; each change leaves an entry in the audit trail.

Whether a silence is in force is said by the clock of the database. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.audit import Hand, record
from analytics_service.domain.silence_checks import MATCHERS
from analytics_service.domain.silences import Silence

State = Literal["active", "pending", "expired"]

STATES: tuple[State, ...] = get_args(State)

_COLUMNS = ("id", *MATCHERS, "starts_at", "ends_at", "author", "comment", "created_at")
_STATE = """
    CASE
        WHEN ends_at <= clock_timestamp() THEN 'expired' WHEN starts_at > clock_timestamp() THEN 'pending' ELSE 'active'
    END
"""
_FOUND = f"""
    SELECT * FROM (SELECT {", ".join(_COLUMNS)}, {_STATE} AS state FROM alert_silences) AS silences
"""  # noqa: S608  # fixed names


class NoSuchSilence(Exception):
    """There is no silence of this number."""


class SilenceOver(Exception):
    """It is over: what has been cannot be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSilence:  # pylint: disable=too-many-instance-attributes  # the columns of the table
    """A row of alert_silences, and where it stands now. A matcher that is None matches everything."""

    id: int
    rule_name: str | None
    service: str | None
    severity: str | None
    metric_name: str | None
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str
    created_at: datetime
    state: State

    @property
    def matcher(self) -> dict[str, str]:
        """What it matches by name; without what it leaves open."""
        found = ((name, getattr(self, name)) for name in MATCHERS)
        return {name: value for name, value in found if value is not None}

    def as_fields(self) -> dict[str, Any]:
        """As plain data; times as ISO 8601 in UTC."""
        return {
            "id": self.id,
            "matcher": self.matcher,
            "from": _iso(self.starts_at),
            "until": _iso(self.ends_at),
            "author": self.author,
            "comment": self.comment,
        }


def database_now(cur: cursor) -> datetime:
    """The time by the clock of the database, in UTC."""
    cur.execute("SELECT clock_timestamp()")
    ((now,),) = cur.fetchall()
    assert isinstance(now, datetime)
    return now.astimezone(UTC)


def make_silence(
    cur: cursor,
    hand: Hand,
    matcher: Mapping[str, str],
    starts_at: datetime | None,
    ends_at: datetime,
) -> StoredSilence:
    """A new silence; `hand` has its author and the comment, which it must have. `matcher` names at least one.

    `starts_at` None: now, as for one that should have begun already: nobody was silent before. What may be asked for
    is said by domain/silence_checks.
    """
    cur.execute(
        """
        INSERT INTO alert_silences (rule_name, service, severity, metric_name, starts_at, ends_at, author, comment)
        VALUES (
            %(rule_name)s, %(service)s, %(severity)s, %(metric_name)s, greatest(%(starts_at)s, now()), %(ends_at)s,
            %(author)s, %(comment)s
        ) RETURNING id
        """,
        {
            **{name: matcher.get(name) for name in MATCHERS},
            "starts_at": starts_at,
            "ends_at": ends_at,
            "author": hand.actor,
            "comment": hand.comment,
        },
    )
    ((silence_id,),) = cur.fetchall()
    made = silence_numbered(cur, silence_id)
    record(cur, hand, "create", _subject(made), after=made.as_fields())
    return made


def list_silences(
    cur: cursor, states: Sequence[State], limit: int, *, below: int | None = None
) -> list[StoredSilence]:
    """The newest silences in these states, newest first; `below`: only those with smaller numbers."""
    cur.execute(
        _FOUND
        + """
        WHERE state = ANY(%(states)s) AND (%(below)s::bigint IS NULL OR id < %(below)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"states": list(states), "below": below, "limit": limit},
    )
    return [_silence(row) for row in cur.fetchall()]


def silence_numbered(cur: cursor, silence_id: int) -> StoredSilence:
    """The silence of this number; raises NoSuchSilence."""
    cur.execute(_FOUND + "WHERE id = %s", (silence_id,))
    rows = cur.fetchall()
    if not rows:
        raise NoSuchSilence(f"there is no silence {silence_id}")
    return _silence(rows[0])


def change_silence(
    cur: cursor,
    silence_id: int,
    hand: Hand,
    *,
    ends_at: datetime | None = None,
    comment: str | None = None,
) -> StoredSilence:
    """Let it end at another time, later than its beginning and than now, or say something else about it.

    None: as it is. Raises NoSuchSilence, and SilenceOver when it has ended.
    """
    before = _held(cur, silence_id)
    return _update(cur, before, hand, "change", (before.starts_at, ends_at, comment))


def end_silence(cur: cursor, silence_id: int, hand: Hand) -> StoredSilence:
    """End it now; one that has not begun never will. Raises NoSuchSilence, and SilenceOver when it has ended."""
    before = _held(cur, silence_id)
    now = database_now(cur)
    return _update(cur, before, hand, "remove", (min(before.starts_at, now), now, None))


def silences_for(cur: cursor) -> list[Silence]:
    """The silences that are in force, to come, or ended within the last day; the oldest first."""
    cur.execute(
        """
        SELECT id, rule_name, service, severity, metric_name,
            extract(epoch FROM starts_at)::double precision, extract(epoch FROM ends_at)::double precision
        FROM alert_silences WHERE ends_at > now() - interval '1 day' ORDER BY id
        """
    )
    names = ("id", *MATCHERS, "starts_s", "ends_s")
    return [Silence(**dict(zip(names, row, strict=True))) for row in cur.fetchall()]


def _held(cur: cursor, silence_id: int) -> StoredSilence:
    """The silence, locked until the end of the transaction and not over."""
    cur.execute("SELECT FROM alert_silences WHERE id = %s FOR UPDATE", (silence_id,))
    found = silence_numbered(cur, silence_id)
    if found.state == "expired":
        raise SilenceOver(f"silence {silence_id} is over since {_iso(found.ends_at)}")
    return found


def _update(
    cur: cursor,
    before: StoredSilence,
    hand: Hand,
    action: Literal["change", "remove"],
    wanted: tuple[datetime, datetime | None, str | None],
) -> StoredSilence:
    cur.execute(
        """
        UPDATE alert_silences
        SET starts_at = %s, ends_at = coalesce(%s, ends_at), comment = coalesce(%s, comment) WHERE id = %s
        """,
        (*wanted, before.id),
    )
    after = silence_numbered(cur, before.id)
    if after != before:
        record(
            cur, hand, action, _subject(before), before=before.as_fields(), after=after.as_fields()
        )
    return after


def _silence(row: Sequence[Any]) -> StoredSilence:
    return StoredSilence(**dict(zip((*_COLUMNS, "state"), row, strict=True)))


def _subject(silence: StoredSilence) -> tuple[Literal["silence"], str]:
    return ("silence", str(silence.id))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
