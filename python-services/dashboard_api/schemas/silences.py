"""Silences, as they are sent and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, field

from dashboard_api.schemas.base import Answer, NextCursor
from dashboard_api.schemas.texts import Comment, MetricName, Moment, Name, Severity

Pattern = Annotated[Name, Meta(description="A * stands for any characters.")]


class Matcher(Answer, kw_only=True, omit_defaults=True):
    """Which alerts: those that match all that is named, at least one. Null or left out: any."""

    rule_name: Pattern | None = None
    service: Pattern | None = None
    severity: Severity | None = None
    metric_name: MetricName | None = None


class NewSilence(Answer, kw_only=True):
    """A silence to be made; without `from`, or with one in the past, it begins now."""

    matcher: Matcher
    since: Moment | None = field(name="from", default=None)
    until: Moment
    comment: Comment


class SilenceBody(Answer):
    """What can be changed about a silence that is not over."""

    until: Moment
    comment: Comment


class SilencePatch(Answer):
    """What is to be otherwise about a silence that is not over; null or left out: as it is."""

    until: Moment | None = None
    comment: Comment | None = None


class SilenceRow(Answer, kw_only=True):
    """A silence: in force from `from` up to, not including, `until`."""

    id: int
    matcher: Matcher
    since: datetime = field(name="from")
    until: datetime
    author: str
    comment: str
    created_at: datetime
    state: Annotated[str, Meta(extra_json_schema={"enum": ["active", "pending", "expired"]})]


class SilencePage(Answer):
    """Newest first."""

    silences: list[SilenceRow]
    count: int
    state: str
    next_cursor: NextCursor
