"""`/alerts`: a page of them, one of them, its history."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.alert_records import (
    OPEN,
    AlertFilter,
    Place,
    alert_numbered,
    deliveries_of,
    history_of,
    list_alerts,
)
from analytics_service.domain.rules import SEVERITIES
from analytics_service.domain.times import epoch_us, from_epoch_us
from dashboard_api.context import context
from dashboard_api.errors import Problem
from dashboard_api.operations import operation
from dashboard_api.parameters import LARGEST_ID, Declared, Parameters
from dashboard_api.paths import NUMBER
from dashboard_api.queries.rules import rule_named
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.schemas.alerts import (
    AlertDetails,
    AlertPage,
    AlertRow,
    Delivery,
    History,
    HistoryStep,
)

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
STATUSES = ("open", *OPEN, "resolved", "all")

blueprint = Blueprint("alerts", __name__)


class AlertCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: after the alert that fired then (None: a pending one) and has this number."""

    active_since_us: int | None
    id: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_ID)]

    def encode(self) -> str:
        """The opaque text that clients hand back."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class _Wanted:
    status: str
    filter: AlertFilter
    limit: int


def _read(query: Parameters) -> _Wanted:
    query.format()
    status = query.choice("status", STATUSES, "open", "open: not resolved.")
    statuses = {"open": OPEN, "all": None}.get(status, (status,))
    severities = query.choices("severity", SEVERITIES, SEVERITIES, "Only of these severities.")
    return _Wanted(
        status,
        AlertFilter(
            statuses,
            query.services(),
            None if len(severities) == len(SEVERITIES) else severities,
            query.parsed("cursor", _place, None, _CURSOR),
        ),
        query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many alerts."),
    )


_CURSOR = Declared("cursor", "The next_cursor of the page before.", {"type": "string"})


def _place(text: str) -> Place | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=AlertCursor)
        at_us = found.active_since_us
        return Place(None if at_us is None else from_epoch_us(at_us), found.id)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, OverflowError):
        raise ValueError("must be the next_cursor of an earlier answer") from None


@blueprint.get("/alerts")
@operation("Alerts", answer=AlertPage, reads=_read)
def alerts() -> Response:
    """The pending ones, then the others by when they fired; of both the newest first."""
    wanted = read_query(_read)
    with context().reader.snapshot() as cursor:
        rows = list_alerts(cursor, wanted.filter, wanted.limit + 1)
    page = [AlertRow(**row) for row in rows[: wanted.limit]]
    next_cursor = None
    if len(rows) > wanted.limit:
        fired_at: datetime | None = page[-1].active_since
        fired_us = None if fired_at is None else epoch_us(fired_at)
        next_cursor = AlertCursor(fired_us, page[-1].id).encode()
    return list_answer(AlertPage(page, len(page), wanted.status, next_cursor), "alerts", AlertRow)


@blueprint.get(f"/alerts/<{NUMBER}:alert_id>")
@operation("One alert", answer=AlertDetails, problems=(404,))
def alert(alert_id: int) -> Response:
    """The alert, what each channel was told of it, and its rule; null when the rule is gone."""
    read_nothing()
    with context().reader.snapshot() as cursor:
        row = known_alert(cursor, alert_id)
        details = AlertDetails(
            **row,
            deliveries=[Delivery(**each) for each in deliveries_of(cursor, row["episode_id"])],
            rule=rule_named(cursor, row["rule_name"]),
        )
    return json_answer(details)


def _read_history(query: Parameters) -> None:
    query.format()


@blueprint.get(f"/alerts/<{NUMBER}:alert_id>/history")
@operation("The history of an alert", answer=History, reads=_read_history, problems=(404,))
def history(alert_id: int) -> Response:
    """Every transition, oldest first: who, when, and what they said about it."""
    read_query(_read_history)
    with context().reader.snapshot() as cursor:
        known_alert(cursor, alert_id)
        steps = [HistoryStep(**step) for step in history_of(cursor, alert_id)]
    return list_answer(History(alert_id, steps, len(steps)), "history", HistoryStep)


def known_alert(cursor: Cursor, alert_id: int) -> dict[str, Any]:
    """The columns of an alert; raises Problem 404."""
    row = alert_numbered(cursor, alert_id)
    if row is None:
        raise Problem(404, "not-found", f"There is no alert {alert_id}.")
    return row
