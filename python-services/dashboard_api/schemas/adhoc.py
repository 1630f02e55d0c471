"""A statement, and what it gave."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from dashboard_api.schemas.base import Answer


class QueryBody(Struct, forbid_unknown_fields=True):
    """One SELECT."""

    sql: Annotated[str, Meta(min_length=1, description="One statement that gives rows.")]
    limit: Annotated[int, Meta(ge=1, le=10_000, description="At most so many rows.")] = 1000


class Column(Answer):
    """A column of the answer."""

    name: str
    type: Annotated[str, Meta(description="PostgreSQL's name of the type.")]


class QueryAnswer(Answer):
    """The rows: each a list with a value for each of the columns, whose names may repeat."""

    columns: list[Column]
    rows: list[list[Any]]
    count: int
    truncated: Annotated[bool, Meta(description="There are more rows than these.")]
    elapsed_ms: float
