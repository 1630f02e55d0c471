"""The audit trail, as it is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from dashboard_api.schemas.base import Answer, NextCursor


class AuditEntry(Answer, kw_only=True):
    """Who changed what, when and why; `before` and `after` null: there was, there is none."""

    id: int
    at: datetime
    actor: str
    action: Annotated[str, Meta(extra_json_schema={"enum": ["create", "change", "remove"]})]
    subject: Annotated[str, Meta(extra_json_schema={"enum": ["rule", "silence"]})]
    subject_id: Annotated[str, Meta(description="Name of the rule, or number of the silence.")]
    comment: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Answer):
    """Newest first."""

    entries: list[AuditEntry]
    count: int
    next_cursor: NextCursor
