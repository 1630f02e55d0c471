"""Dead letters as clients see them, and queueing their replays."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.dead_letter_queries import reopen_letters
from analytics_service.adapters.timescale.requested_replays import queue_replays
from dashboard_api.schemas.dead_letters import DeadLetter, Encoding, ReplayBody

SHOWN_BYTES = 2_000
"""How much of a key or value a list shows."""
ALL_BYTES = 2**30

_ORIGIN = (
    "id", "created_at", "topic", "topic_incarnation", "kafka_partition", "kafka_offset", "reason", "detail",
    "status", "retry_count", "topic_copy",
)  # fmt: skip
_LETTERS = sql.SQL(
    """
    SELECT {origin}, substring(letter.raw_key FOR %(shown)s), substring(letter.raw_value FOR %(shown)s),
        length(letter.raw_value), asked.requested_at, asked.refused
    FROM analytics_dead_letters AS letter
    LEFT JOIN dead_letter_replays AS asked ON asked.dead_letter_id = letter.id
    WHERE {conditions} ORDER BY letter.id DESC LIMIT %(limit)s
    """
)
_SELECTED = sql.SQL(", ").join(sql.Identifier("letter", name) for name in _ORIGIN)
_CONDITIONS = {
    "letter_id": sql.SQL("letter.id = %(letter_id)s"),
    "before_id": sql.SQL("letter.id < %(before_id)s"),
    "status": sql.SQL("letter.status = %(status)s"),
    "topic": sql.SQL("letter.topic = %(topic)s"),
    "reason": sql.SQL("letter.reason = %(reason)s"),
}
_CHOSEN = """
    WITH matching AS (
        SELECT id FROM analytics_dead_letters
        WHERE topic = %(topic)s AND status = %(status)s
            AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    )
    SELECT
        ARRAY(SELECT id FROM matching ORDER BY id LIMIT %(limit)s),
        (SELECT count(*) FROM matching)
"""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; None means any."""

    letter_id: int | None = None
    before_id: int | None = None
    status: str | None = None
    topic: str | None = None
    reason: str | None = None


def find_letters(cursor: Cursor, wanted: LetterFilter, limit: int, shown: int) -> list[DeadLetter]:
    """At most `limit` letters, newest first, with `shown` bytes of their keys and values."""
    given = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = [_CONDITIONS[name] for name in given] or [sql.SQL("TRUE")]
    cursor.execute(
        _LETTERS.format(origin=_SELECTED, conditions=sql.SQL(" AND ").join(conditions)),
        {**given, "limit": limit, "shown": shown},
    )
    return [_letter(row) for row in cursor.fetchall()]


def request_replays(
    cursor: Cursor, body: ReplayBody, topic: str, requested_by: str
) -> tuple[int, int]:
    """Queue what matches; how many, and how many more there are. For a writing transaction."""
    cursor.execute(
        _CHOSEN,
        {
            "topic": topic,
            "status": body.status,
            "ids": body.ids,
            "reason": body.reason,
            "limit": body.limit,
        },
    )
    ((ids, matching),) = cursor.fetchall()
    if body.status == "discarded":
        ids = reopen_letters(cursor.connection, ids)
    queue_replays(cursor, ids, requested_by)
    return len(ids), matching - len(ids)


def text_of(value: bytes | None, *, is_cut: bool) -> tuple[str | None, Encoding]:
    """The bytes as text and its encoding: utf-8, or base64 of what is not. None: there are none.

    `is_cut`: more bytes followed, so that the last character may be incomplete; it is left out.
    """
    if value is None:
        return None, None
    for lost in range(4 if is_cut else 1):
        try:
            return value[: len(value) - lost].decode(), "utf-8"
        except UnicodeDecodeError:
            continue
    return base64.b64encode(value).decode(), "base64"


def _letter(row: Sequence[Any]) -> DeadLetter:
    *origin, raw_key, raw_value, length, requested_at, refused = row
    key = None if raw_key is None else bytes(raw_key)
    value = None if raw_value is None else bytes(raw_value)
    is_cut = value is not None and length > len(value)
    known: dict[str, Any] = dict(zip(_ORIGIN, origin, strict=True))
    shown_key, key_encoding = text_of(key, is_cut=key is not None and len(key) == SHOWN_BYTES)
    shown_value, value_encoding = text_of(value, is_cut=is_cut)
    return DeadLetter(
        **known,
        raw_key=shown_key,
        raw_key_encoding=key_encoding,
        raw_value=shown_value,
        raw_value_encoding=value_encoding,
        raw_value_bytes=length,
        raw_value_truncated=is_cut,
        replay_requested_at=requested_at if refused is None else None,
        replay_refused=refused,
    )
