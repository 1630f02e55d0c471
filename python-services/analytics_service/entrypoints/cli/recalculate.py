"""`stacklens recalculate`: windows anew from raw events, alerts from windows, in batches, while events come in."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from analytics_service.adapters.timescale import recalculation_queue as queue
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import Settings, load_settings
from analytics_service.domain.recalculation import RangeRefused
from analytics_service.domain.times import parse_moment
from analytics_service.domain.windows import Window, window_named
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.stopping import StopSignal
from analytics_service.recalculation import Outcome, Runner

APPLICATION = "stacklens recalculate"
LONGEST_SERVICE = 255
LOOK_AGAIN_S = 1.0


class Moment(click.ParamType):
    """ISO 8601, or relative to now."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment in UTC; a usage error that says which forms there are."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


@click.group()
def recalculate() -> None:
    """Compute stored windows anew from raw events, or find the alerts that were missed in them, while new events go on
    coming in.

    `enqueue` asks for it, `run` does it, `status` says how far it is. A run that was interrupted is gone on with by
    the next one.

    \b
    Examples:
      stacklens recalculate enqueue --job-type RECALC_WINDOWS --service orders --from -2h --to now
      stacklens recalculate run
      stacklens recalculate status
    """


@recalculate.command("enqueue")
@click.option("--job-type", type=click.Choice(queue.JOB_TYPES), required=True, help="What to do.")
@click.option("--service", metavar="S", help="Only this service; default: every service.")
@click.option(
    "--from", "since", type=Moment(), metavar="T", help="Start; rounded down to the hour."
)
@click.option("--to", "until", type=Moment(), metavar="T", help="End; rounded up to the hour.")
@click.option("--reason", metavar="TEXT", help="Why, for people who look at the queue.")
def enqueue(
    job_type: str,
    service: str | None,
    since: datetime | None,
    until: datetime | None,
    reason: str | None,
) -> None:
    """Ask for a recalculation; prints its number.

    RECALC_WINDOWS builds the windows of a range anew from raw events. RECALC_ALERTS runs the rules of today over the
    stored windows of a range, as far as these are complete, and records the alerts that have been missed and are over;
    nobody is notified, and alerts that are there stay as they are. REFRESH_VIEWS brings the daily level, which carries
    long ranges, up to date. A range that begins before what it is made of is whole is refused with exit status 2. Times
    are ISO 8601, or relative such as -2h.

    \b
    Examples:
      stacklens recalculate enqueue --job-type RECALC_WINDOWS --from -6h --to now --reason "ticket 42"
      stacklens recalculate enqueue --job-type RECALC_WINDOWS --service orders --from 2026-01-31T08:00Z --to now
      stacklens recalculate enqueue --job-type RECALC_ALERTS --from -7d --to now --reason "threshold changed"
      stacklens recalculate enqueue --job-type REFRESH_VIEWS
    """
    _check_texts(service, reason)
    if job_type == queue.REFRESH_VIEWS:
        if service is not None or since is not None or until is not None:
            raise click.UsageError("REFRESH_VIEWS is about everything: no --service, --from, --to.")
    elif since is None or until is None:
        raise click.UsageError(f"{job_type} needs --from and --to.")
    settings = load_settings()
    with contextlib.closing(_connect(settings)) as conn:
        if since is None or until is None:
            job_id = queue.enqueue_refresh(conn, reason=reason)
        else:
            is_alerts = job_type == queue.RECALC_ALERTS
            ask = queue.enqueue_alerts if is_alerts else queue.enqueue_windows
            try:
                job_id = ask(
                    conn, (since, until), _windows(settings), service=service, reason=reason
                )
            except RangeRefused as error:
                raise click.BadParameter(str(error), param_hint="--from") from None
        conn.commit()
        (job,) = queue.jobs(conn, job_id)
    click.echo(f"Job {job_id} is waiting: {_what(job)}. `stacklens recalculate run` does it.")


@recalculate.command("run")
@click.option("--job", "job_id", type=int, metavar="ID", help="Only this job; default: all.")
@click.option("--once", is_flag=True, help="At most one job, and wait for nobody.")
def run(job_id: int | None, once: bool) -> int:
    """Do what was asked for, oldest first, until nothing is left.

    Jobs that another process works on are waited for, and taken over when it has died. SIGTERM and Ctrl-C stop after
    the batch under way. Exit status 1 when a job failed or is not finished.

    \b
    Examples:
      stacklens recalculate run
      stacklens recalculate run --once
      stacklens recalculate run --job 7
    """
    settings = load_settings()
    if job_id is not None:
        _check_job(settings, job_id)
    bars: dict[int, Progress] = {}

    def show(job: queue.Job, done: int, total: int | None) -> None:
        bars.setdefault(job.id, Progress(f"job {job.id}", total)).update(done)

    outcomes: list[Outcome] = []
    with StopSignal() as stop:
        runner = Runner(
            parameters(settings, application_name=APPLICATION),
            _windows(settings),
            settings.high_risk_threshold,
            settings.kafka_input_topic,
            is_stopping=lambda: stop.stopped,
            on_progress=show,
            sleep=stop.wait,
        )
        with contextlib.closing(runner):
            while not stop.stopped:
                done = runner.run_next(job_id)
                if done is not None:
                    if done[0].id in bars:
                        bars.pop(done[0].id).finish()
                    click.echo(f"Job {done[0].id}: {done[1]}.")
                    outcomes.append(done[1])
                    if once:
                        break
                elif once or not runner.is_open(job_id):
                    break
                else:
                    stop.wait(LOOK_AGAIN_S)
        unfinished = stop.stopped
    if not outcomes:
        click.echo("Nothing was waiting.")
    return int(unfinished or Outcome.FAILED in outcomes)


@recalculate.command("status")
@click.option("--job", "job_id", type=int, metavar="ID", help="Only this job.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Newest.")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def status(job_id: int | None, limit: int, output_json: Path | None) -> None:
    """Show the newest jobs: PENDING, RUNNING, COMPLETED, or FAILED and why.

    \b
    Examples:
      stacklens recalculate status
      stacklens recalculate status --job 7 --output-json job.json
    """
    with contextlib.closing(_connect(load_settings())) as conn:
        found = queue.jobs(conn, job_id, limit)
    if job_id is not None and not found:
        raise CommandFailed(f"there is no job {job_id}")
    rows = [
        (str(job["id"]), job["status"], _share(job), str(job["rows_written"]), _what(job),
         job["last_error"] or "")
        for job in found
    ]  # fmt: skip
    print_table(("JOB", "STATUS", "DONE", "ROWS", "WHAT", "LAST ERROR"), rows)
    if output_json is not None:
        write_json(output_json, {"jobs": [_plain(job) for job in found]})


def _connect(settings: Settings) -> Any:
    return parameters(settings, application_name=APPLICATION).connect()


def _windows(settings: Settings) -> list[Window]:
    return [window_named(name) for name in settings.aggregation_windows]


def _check_texts(service: str | None, reason: str | None) -> None:
    if service is not None and not 0 < len(service) <= LONGEST_SERVICE:
        raise click.UsageError(f"--service must have 1 to {LONGEST_SERVICE} characters.")
    for name, text in (("--service", service), ("--reason", reason)):
        # An argument that is not UTF-8 arrives with lone surrogates, which no table holds.
        if text is not None and any("\ud800" <= character <= "\udfff" for character in text):
            raise click.UsageError(f"{name} is not UTF-8.")


def _check_job(settings: Settings, job_id: int) -> None:
    with contextlib.closing(_connect(settings)) as conn:
        found = queue.jobs(conn, job_id)
    if not found:
        raise CommandFailed(f"there is no job {job_id}")
    if found[0]["status"] == "FAILED":
        raise CommandFailed(f"job {job_id} has failed ({found[0]['last_error']}); enqueue it anew")


def _what(job: dict[str, Any]) -> str:
    if job["from_time"] is None:
        return str(job["job_type"])
    whose = "all services" if job["service"] is None else repr(job["service"])
    return f"{job['job_type']} {whose} {job['from_time']:%Y-%m-%dT%H:%MZ} to {job['to_time']:%Y-%m-%dT%H:%MZ}"


def _share(job: dict[str, Any]) -> str:
    if job["status"] == "COMPLETED":
        return "100%"
    return f"{job['steps_done'] / job['steps_total']:.0%}" if job["steps_total"] else ""


def _plain(job: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in job.items()
    }
