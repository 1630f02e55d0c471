"""`stacklens load`: a bounded load on the API."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import click

from analytics_service.entrypoints.cli.api_access import (
    Login,
    base_url_option,
    login_options,
    login_to,
)
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.load_client import ApiPath, Client, Shot
from analytics_service.entrypoints.cli.load_report import (
    TOO_MANY_REQUESTS,
    LoadReport,
    figures_of,
)
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.stopping import StopSignal

MOST_REQUESTS = 100_000
MOST_CLIENTS = 100
DEFAULT_PATHS = (
    "/metrics?window=1min&limit=100",
    "/metrics/summary",
    "/health-status",
    "/alerts?status=active",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, of whom, how often, and by how many clients at once."""

    base_url: str
    login: Login | None
    paths: Sequence[str]
    requests: int
    concurrency: int


@click.command()
@base_url_option
@login_options
@click.option(
    "--requests",
    type=click.IntRange(1, MOST_REQUESTS),
    required=True,
    help="How many requests in all.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_CLIENTS),
    required=True,
    help="How many clients ask at once.",
)
@click.option(
    "--path",
    "paths",
    type=ApiPath(),
    multiple=True,
    help="What to ask for, repeatable, each as often; default: windows, summary, health status, alerts.",
)
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def load(
    base_url: str,
    user: str | None,
    password: str | None,
    requests: int,
    concurrency: int,
    paths: tuple[str, ...],
    output_json: Path | None,
) -> int:
    """Ask the API so many times, by so many clients at once, and show the percentiles of its answers.

    Only reads. Each client keeps its connection. Exit status 1 if any answer is 5xx, or missing.
    429 means that the server limits how fast one client may ask (nginx does); such answers are
    counted apart and are in no percentile. Every path is asked once before, which does not count.

    The password of --user is taken from STACKLENS_PASSWORD, else asked for; without --user name and
    password are those of ~/.netrc.

    \b
    Examples:
      stacklens load --requests 200 --concurrency 5
      stacklens load --base-url http://localhost:8005 --requests 400 --concurrency 20 --output-json load.json
      stacklens load --requests 100 --concurrency 10 --path "/metrics?window=1min"
    """
    if concurrency > requests:
        raise click.UsageError("--concurrency must not be above --requests")
    chosen = list(dict.fromkeys(paths)) or list(DEFAULT_PATHS)
    plan = Plan(base_url, login_to(base_url, user, password), chosen, requests, concurrency)
    with contextlib.closing(Client(plan.base_url, plan.login)) as client:
        first_looks(client, chosen)
    with StopSignal() as stop:
        report = put_under_load(plan, stop)
    print_table(
        ("PATH", "REQUESTS", "P50 MS", "P95 MS", "P99 MS", "MAX MS", "ANSWERS"),
        [each.row() for each in report.paths],
    )
    click.echo(report.sentence())
    if report.requests < requests:
        click.echo("stacklens: interrupted", err=True)
    if output_json is not None:
        write_json(output_json, report.as_dict())
    return 0 if report.is_well else 1


def first_looks(client: Client, paths: Sequence[str]) -> None:
    """Ask for each path once. Raises CommandFailed where there is no answer, or one that is not worth measuring."""
    for path in paths:
        shot = client.ask(path)
        if shot.status is None:
            raise CommandFailed(f"{path}: {shot.error}")
        if shot.status == 401:
            raise CommandFailed(
                "401: give --user and a password, or the right ones; see --help for where they are taken from"
            )
        if 300 <= shot.status < 500 and shot.status != TOO_MANY_REQUESTS:
            raise CommandFailed(f"{path} answers {shot.status}: there is nothing to measure")


def put_under_load(plan: Plan, stop: StopSignal) -> LoadReport:
    """Ask until everything is asked, or until the signal."""
    places = itertools.count()  # whose next() is one step: no two clients take the same place
    found: SimpleQueue[Shot | None] = SimpleQueue()

    def one_client() -> None:
        try:
            with contextlib.closing(Client(plan.base_url, plan.login)) as client:
                while not stop.stopped and (place := next(places)) < plan.requests:
                    found.put(client.ask(plan.paths[place % len(plan.paths)]))
        finally:
            found.put(None)

    progress = Progress("load", plan.requests)
    shots: list[Shot] = []
    started = time.perf_counter()
    with ThreadPoolExecutor(plan.concurrency, thread_name_prefix="load") as pool:
        clients = [pool.submit(one_client) for _ in range(plan.concurrency)]
        running = plan.concurrency
        while running:
            shot = found.get()
            if shot is None:
                running -= 1
            else:
                shots.append(shot)
                progress.update(len(shots))
    seconds = time.perf_counter() - started
    progress.finish()
    for each in clients:
        each.result()  # a defect is raised here
    return LoadReport(plan.requests, plan.concurrency, seconds, figures_of(plan.paths, shots))
