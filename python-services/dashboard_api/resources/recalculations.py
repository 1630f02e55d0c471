"""`/recalculations`: computing stored rows anew, and finding alerts in them that were missed."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response

from analytics_service.domain.recalculation import RangeRefused
from analytics_service.domain.times import parse_moment
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import Problem, invalid_parameters
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.paths import NUMBER, location_below
from dashboard_api.queries.recalculations import enqueue, find_jobs
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.responses import json_answer, list_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.recalculations import Job, JobList, RecalculationBody

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
STATUSES = ("PENDING", "RUNNING", "COMPLETED", "FAILED")

blueprint = Blueprint("recalculations", __name__)


def _read(query: Parameters) -> tuple[int | None, str | None, int]:
    before = query.before_id()
    status = query.choice("status", STATUSES, None, "Only jobs in this state.")
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many.")
    query.format()
    return before, status, limit


@blueprint.get("/recalculations")
@admin_only
@operation("Recalculations", answer=JobList, reads=_read)
def recalculations() -> Response:
    """What was asked for and how far it is, newest first, page by page."""
    before, status, limit = read_query(_read)
    with context().reader.snapshot() as cursor:
        found = find_jobs(cursor, limit + 1, before=before, status=status)
    page = found[:limit]
    next_cursor = str(page[-1].id) if len(found) > limit else None
    return list_answer(JobList(page, len(page), next_cursor), "jobs", Job)


@blueprint.get(f"/recalculations/<{NUMBER}:job_id>")
@admin_only
@operation("One recalculation", answer=Job, problems=(404,))
def recalculation(job_id: int) -> Response:
    """How far it is."""
    read_nothing()
    with context().reader.snapshot() as cursor:
        found = find_jobs(cursor, 1, job_id=job_id)
    if not found:
        raise Problem(404, "not-found", f"There is no job {job_id}.")
    return json_answer(found[0])


@blueprint.post("/recalculations")
@admin_only
@operation("Ask for a recalculation", answer=Job, body=RecalculationBody, status=202)
def ask() -> Response:
    """As `stacklens recalculate enqueue`; `stacklens recalculate run` does it.

    RECALC_WINDOWS builds the windows of a range anew from raw events. RECALC_ALERTS runs the rules of today over
    the stored windows of a range, as far as these are complete, and records the alerts that have been missed and
    are over; nobody is notified, and alerts that are there stay as they are. Both are refused for a range that
    begins before what they read is whole, naming from when it may. REFRESH_VIEWS brings the daily level up to date.
    """
    read_nothing()
    body = read_members(RecalculationBody)
    span = _span(body)
    shared = context()
    with shared.writer.transaction() as cursor:
        try:
            job = enqueue(
                cursor,
                body.job_type,
                span,
                shared.windows,
                service=body.service,
                reason=body.reason,
                requested_by=actor(),
            )
        except RangeRefused as error:
            raise invalid_parameters({"from": str(error)}) from None
    answer = json_answer(job, 202)
    answer.headers["Location"] = location_below(job.id)
    return answer


def _span(body: RecalculationBody) -> tuple[datetime, datetime] | None:
    """The range of a job about one. Raises Problem 400 naming each member that does not fit the job."""
    given = {"service": body.service, "from": body.from_, "to": body.to}
    if body.job_type == "REFRESH_VIEWS":
        problems = {
            name: "REFRESH_VIEWS is about everything"
            for name, value in given.items()
            if value is not None
        }
    else:
        problems = {
            name: f"{body.job_type} needs it" for name in ("from", "to") if given[name] is None
        }
    now = context().now()
    moments: dict[str, datetime] = {}
    for name in ("from", "to"):
        text = given[name]
        if text is not None and name not in problems:
            try:
                moments[name] = parse_moment(text, now)
            except ValueError as error:
                problems[name] = str(error)
    if problems:
        raise invalid_parameters(problems)
    return (moments["from"], moments["to"]) if moments else None
