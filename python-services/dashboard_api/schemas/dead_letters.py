"""Messages that broke a rule, and asking for them to be sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from dashboard_api.schemas.base import Answer, NextCursor
from dashboard_api.schemas.texts import NO_NUL

LetterStatus = Literal["pending", "replayed", "discarded"]
Encoding = Annotated[
    Literal["utf-8", "base64"] | None,
    Meta(description="Of the text beside it; null: there is none."),
]
ShortText = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_NUL)]


class DeadLetter(Answer):
    """A message that could not be stored; key and value as text where they are UTF-8, else in base64."""

    id: int
    created_at: datetime
    topic: str
    topic_incarnation: int
    kafka_partition: int
    kafka_offset: int
    reason: str
    detail: str | None
    status: LetterStatus
    retry_count: int
    topic_copy: Annotated[
        Literal["pending", "sent", "refused"],
        Meta(description="Its copy on the dead-letter topic."),
    ]
    raw_key: str | None
    raw_key_encoding: Encoding
    raw_value: Annotated[
        str | None, Meta(description="Null: a tombstone. In lists cut to 2,000 bytes.")
    ]
    raw_value_encoding: Encoding
    raw_value_bytes: Annotated[int | None, Meta(description="Length of the whole value.")]
    raw_value_truncated: bool
    replay_requested_at: Annotated[
        datetime | None,
        Meta(description="Somebody asked for a replay that no worker has sent yet."),
    ]
    replay_refused: Annotated[str | None, Meta(description="Why the broker did not take it.")]


class DeadLetterList(Answer):
    """Dead letters, newest first."""

    dead_letters: list[DeadLetter]
    count: int
    next_cursor: NextCursor


class ReplayBody(Answer, kw_only=True):
    """Which dead letters are to be sent again: those that match all of it, oldest first."""

    ids: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=2**63 - 1)]], Meta(min_length=1, max_length=5_000)
        ]
        | None
    ) = None
    reason: ShortText | None = None
    status: Annotated[
        Literal["pending", "discarded"], Meta(description="Discarded ones become pending again.")
    ] = "pending"
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 10_000


class ReplayAnswer(Answer):
    """How many a worker will send, and how many more match but were beyond the limit."""

    queued: int
    left: int
