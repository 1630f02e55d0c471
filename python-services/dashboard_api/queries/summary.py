"""One merged row per service over any range of time, from the sketches of the stored windows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.windows import Window
from dashboard_api.kept_parts import KeptParts
from dashboard_api.merging import RowMerger
from dashboard_api.queries.columns import FIGURE_COLUMNS
from dashboard_api.queries.merged import (
    kept_since,
    levels_of,
    merge_rows,
    select_pieces,
    state_columns,
    streamed,
    whole_seconds,
    with_merged_days,
)
from dashboard_api.queries.reuse import merge_services
from dashboard_api.ranges import Plan, plan_range
from dashboard_api.schemas.metrics import SummaryRow

FEW_SERVICES = 3
"""For so few it costs less to read and merge all of it than to look what has changed."""


def merged_rows(
    cursor: Cursor,
    kept: KeptParts,
    windows: Sequence[Window],
    since: datetime,
    until: datetime,
    services: list[str] | None,
    figures: Collection[str] = FIGURE_COLUMNS,
) -> tuple[Plan, list[SummaryRow]]:
    """What of [since, until) is covered, and a row per service with traffic in it, by service."""
    plan = plan_range(*whole_seconds(since, until), levels_of(windows), kept_since(cursor))
    plan = replace(plan, pieces=with_merged_days(cursor, plan.pieces))
    return plan, merged_pieces(cursor, kept, plan, services, figures)


def merged_pieces(
    cursor: Cursor,
    kept: KeptParts,
    plan: Plan,
    services: list[str] | None,
    figures: Collection[str] = FIGURE_COLUMNS,
) -> list[SummaryRow]:
    """A merged row per service with traffic in the plan's range, by service; right only in `figures`."""
    mergers: dict[str, RowMerger]
    if services is not None and len(services) <= FEW_SERVICES:
        statement = select_pieces(plan.pieces, state_columns(figures), services)
        mergers = merge_rows(streamed(cursor.connection, statement))
    else:
        mergers = merge_services(cursor, kept, plan.pieces, services, figures)
    return [
        SummaryRow(service=service, **merger.figures(), aggregated_at=merger.written_at)
        for service, merger in sorted(mergers.items())
    ]
