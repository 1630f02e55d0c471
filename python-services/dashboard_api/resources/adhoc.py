"""`POST /query`: somebody's own SELECT."""

from __future__ import annotations

import logging
import time

from flask import Blueprint, Response

from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import invalid_parameters
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.reading import read_query
from dashboard_api.responses import csv_answer, json_answer, wants_csv
from dashboard_api.roles import admin_only
from dashboard_api.schemas.adhoc import Column, QueryAnswer, QueryBody

blueprint = Blueprint("query", __name__)

_log = logging.getLogger(__name__)


def _read(query: Parameters) -> None:
    query.format()


@blueprint.post("/query")
@admin_only
@operation("Run one SELECT", answer=QueryAnswer, reads=_read, body=QueryBody)
def run_query() -> Response:
    """One statement as the read-only role in a READ ONLY transaction: at most 5 s and 10,000 rows.

    A statement that PostgreSQL refuses, writes among them, is a problem with its message and `sqlstate`.
    Values: numbers with all their digits; NaN and infinities as text; times in ISO 8601; bytea in
    hexadecimal as PostgreSQL writes it; arrays as lists; JSON as it is; everything else as text.
    """
    read_query(_read)
    body = read_members(QueryBody)
    if "\0" in body.sql:
        raise invalid_parameters({"sql": "must not contain a NUL character"})
    began_s = time.monotonic()
    table = context().adhoc.run(body.sql, body.limit)
    elapsed_ms = (time.monotonic() - began_s) * 1000
    _log.info("%s ran a statement: %d rows in %.0f ms", actor(), len(table.rows), elapsed_ms)
    if wants_csv():
        answer = csv_answer([name for name, _ in table.columns], table.rows)
    else:
        answer = json_answer(
            QueryAnswer(
                [Column(name, kind) for name, kind in table.columns],
                table.rows,
                len(table.rows),
                table.truncated,
                round(elapsed_ms, 3),
            )
        )
    answer.headers["Vary"] = "Accept"
    return answer
