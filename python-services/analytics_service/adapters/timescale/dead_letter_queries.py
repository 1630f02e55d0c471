"""What operators ask about dead letters: which there are, one of them whole, and setting them aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection

STATUSES = ("pending", "replayed", "discarded")
_COLUMNS = (
    "id", "topic", "topic_incarnation", "kafka_partition", "kafka_offset", "reason", "detail",
    "raw_key", "raw_value", "status", "retry_count", "topic_copy", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredLetter:  # pylint: disable=too-many-instance-attributes  # the columns of the table
    """A row of analytics_dead_letters."""

    id: int
    topic: str
    topic_incarnation: int
    kafka_partition: int
    kafka_offset: int
    reason: str
    detail: str | None
    raw_key: bytes | None
    raw_value: bytes | None
    status: str
    retry_count: int
    topic_copy: str
    created_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON: key and value as text where they are UTF-8, in hexadecimal beside it."""
        return {
            **asdict(self),
            "created_at": self.created_at.isoformat(),
            "raw_key": readable(self.raw_key),
            "raw_key_hex": None if self.raw_key is None else self.raw_key.hex(),
            "raw_value": readable(self.raw_value),
            "raw_value_hex": None if self.raw_value is None else self.raw_value.hex(),
        }


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters: None means any. `after_id` goes on behind an earlier page, oldest first."""

    ids: tuple[int, ...] | None = None
    topic: str | None = None
    status: str | None = None
    reason: str | None = None
    after_id: int = 0


def readable(value: bytes | None) -> str | None:
    """Bytes as text; what is not UTF-8 is shown by escapes."""
    return None if value is None else value.decode("utf-8", "backslashreplace")


def find_letters(
    conn: connection, wanted: LetterFilter, limit: int, *, newest_first: bool = False
) -> list[StoredLetter]:
    """At most `limit` letters in the order of their ids; commits nothing."""
    conditions, values = _conditions(wanted)
    query = sql.SQL(
        "SELECT {} FROM analytics_dead_letters WHERE {} ORDER BY id {} LIMIT %(limit)s"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        conditions,
        sql.SQL("DESC" if newest_first else "ASC"),
    )
    with conn.cursor() as cur:
        cur.execute(query, {**values, "limit": limit})
        return [letter_from(row) for row in cur.fetchall()]


def count_letters(conn: connection, wanted: LetterFilter) -> int:
    """How many letters match."""
    conditions, values = _conditions(wanted)
    with conn.cursor() as cur:
        cur.execute(
            sql.SQL("SELECT count(*) FROM analytics_dead_letters WHERE {}").format(conditions),
            values,
        )
        row = cur.fetchone()
    assert row is not None
    return int(row[0])


def states_of(conn: connection, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Status and retry count by id; letters that are gone are absent."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT id, status, retry_count FROM analytics_dead_letters WHERE id = ANY(%s)",
            (list(ids),),
        )
        return {int(row[0]): (str(row[1]), int(row[2])) for row in cur.fetchall()}


def discard_letters(conn: connection, ids: Sequence[int]) -> list[int]:
    """Pending letters become discarded; returns which did. Does not commit."""
    return _turn(conn, ids, "pending", "discarded")


def reopen_letters(conn: connection, ids: Sequence[int]) -> list[int]:
    """Discarded letters become pending again; returns which did. Does not commit."""
    return _turn(conn, ids, "discarded", "pending")


def _turn(conn: connection, ids: Sequence[int], before: str, after: str) -> list[int]:
    with conn.cursor() as cur:
        cur.execute(
            """
            UPDATE analytics_dead_letters SET status = %(after)s
            WHERE id IN (
                SELECT id FROM analytics_dead_letters
                WHERE id = ANY(%(ids)s) AND status = %(before)s ORDER BY id FOR UPDATE
            )
            RETURNING id
            """,
            {"ids": list(ids), "before": before, "after": after},
        )
        return sorted(int(row[0]) for row in cur.fetchall())


def _conditions(wanted: LetterFilter) -> tuple[sql.Composable, Mapping[str, Any]]:
    conditions: list[sql.Composable] = [sql.SQL("id > %(after_id)s")]
    if wanted.ids is not None:
        conditions.append(sql.SQL("id = ANY(%(ids)s)"))
    conditions += [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in ("topic", "status", "reason")
        if getattr(wanted, name) is not None
    ]
    values = asdict(wanted) | {"ids": list(wanted.ids or ())}
    return sql.SQL(" AND ").join(conditions), values


def letter_from(row: Sequence[Any]) -> StoredLetter:
    """The letter of a row with the columns of the table in the order of StoredLetter."""
    given = dict(zip(_COLUMNS, row, strict=True))
    for name in ("raw_key", "raw_value"):
        given[name] = None if given[name] is None else bytes(given[name])
    return StoredLetter(**given)
