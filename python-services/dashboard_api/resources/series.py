"""`/metrics/series`: points for charts, in a resolution that fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from dashboard_api.context import Context, context
from dashboard_api.errors import invalid_parameters
from dashboard_api.operations import operation
from dashboard_api.parameters import Declared, Parameters
from dashboard_api.queries.columns import FIGURE_COLUMNS
from dashboard_api.queries.merged import kept_since, levels_of, whole_seconds
from dashboard_api.queries.series import count_services, read_columns
from dashboard_api.reading import read_query
from dashboard_api.repeated import once_a_second
from dashboard_api.responses import csv_answer, json_answer, wants_csv
from dashboard_api.schemas.metrics import Series, SeriesAnswer
from dashboard_api.steps import POINTS, Steps, parse_step, plan_steps, step_text

DEFAULT_METRICS = (
    "total_requests", "error_rate", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
)  # fmt: skip
MOST_POINTS_OF_ALL = 20_000
FEWEST_POINTS = 10

blueprint = Blueprint("series", __name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for; `step_s` None: what fits."""

    services: list[str] | None
    metrics: list[str]
    since: datetime
    until: datetime
    step_s: int | None


def _read(query: Parameters) -> Wanted:
    services = query.services()
    metrics = query.choices("metric", FIGURE_COLUMNS, DEFAULT_METRICS, "Which figures.")
    since, until = query.span("-1h")
    step = Declared(
        "step",
        f"Length of a step: whole minutes such as 1m, 5min, 1h, 1d; auto: at most about {POINTS} points.",
        {
            "type": "string",
            "pattern": "^(auto|[0-9]{1,8}[smhdw]|1min|5min|1hour|1day)$",
            "default": "auto",
        },
    )
    step_s = query.parsed("step", parse_step, None, step)
    query.format()
    return Wanted(services, metrics, since, until, step_s)


@blueprint.get("/metrics/series")
@operation("Points for charts", answer=SeriesAnswer, reads=_read)
@once_a_second
def series() -> Response:
    """Each service's figures step by step, a gap being null.

    The range is rounded outwards to whole steps, aligned to UTC. Without `step` it is the shortest that
    gives at most about 300 points and is kept so far back; without `service` there are fewer.
    Percentiles and uniques of a step are of the merged sketches of its windows.
    """
    wanted = read_query(_read)
    shared = context()
    with shared.reader.snapshot() as cursor:
        steps = _steps(cursor, shared, wanted)
        columns = read_columns(cursor, shared.kept, steps, wanted.services, wanted.metrics)
    starts = steps.starts_s
    found = [
        Series(service, dict(zip(wanted.metrics, values, strict=True)))
        for service, values in sorted(columns.items())
    ]
    answer = SeriesAnswer(
        from_epoch_s(steps.start_s),
        from_epoch_s(steps.end_s),
        step_text(steps.step_s),
        steps.step_s,
        steps.window.name,
        wanted.metrics,
        [from_epoch_s(start) for start in starts],
        found,
        len(found),
    )
    response = (
        csv_answer(["timestamp", "service", *wanted.metrics], _lines(answer))
        if wants_csv()
        else json_answer(answer)
    )
    response.headers["Vary"] = "Accept"
    return response


def _steps(cursor: Cursor, shared: Context, wanted: Wanted) -> Steps:
    points = POINTS
    if wanted.services is None and wanted.step_s is None:
        services = count_services(cursor, shared.windows, wanted.until)
        points = min(POINTS, max(MOST_POINTS_OF_ALL // max(services, 1), FEWEST_POINTS))
    try:
        return plan_steps(
            *whole_seconds(wanted.since, wanted.until),
            levels_of(shared.windows),
            kept_since(cursor),
            step_s=wanted.step_s,
            points=points,
            merging=wanted.services is not None,
        )
    except ValueError as error:
        raise invalid_parameters({"step": str(error)}) from None


def _lines(answer: SeriesAnswer) -> Iterator[list[object]]:
    """A line for each service and step."""
    for one in answer.series:
        for place, at in enumerate(answer.timestamps):
            yield [at, one.service, *(values[place] for values in one.points.values())]
