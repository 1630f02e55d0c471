"""`/audit`: who changed rules and silences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response

from analytics_service.adapters.timescale.audit import entries
from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.reading import read_query
from dashboard_api.responses import list_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.audit import AuditEntry, AuditPage

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000

blueprint = Blueprint("audit", __name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    subject: str | None
    limit: int
    below: int | None


def _read(query: Parameters) -> _Wanted:
    query.format()
    return _Wanted(
        query.choice("subject", ("rule", "silence"), None, "Only changes of these."),
        query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many entries."),
        query.before_id(),
    )


@blueprint.get("/audit")
@admin_only
@operation("Who changed rules and silences", answer=AuditPage, reads=_read)
def audit() -> Response:
    """`{entries, count, next_cursor}`, newest first. What people do with alerts is in their history."""
    wanted = read_query(_read)
    with context().reader.snapshot() as cursor:
        rows = entries(cursor, wanted.limit + 1, below=wanted.below, matter=wanted.subject)
    page = [_entry(row) for row in rows[: wanted.limit]]
    next_cursor = str(page[-1].id) if len(rows) > wanted.limit else None
    return list_answer(AuditPage(page, len(page), next_cursor), "entries", AuditEntry)


def _entry(row: dict[str, Any]) -> AuditEntry:
    detail = row.pop("detail")
    return AuditEntry(**row, before=detail.get("before"), after=detail.get("after"))
