"""`stacklens verify`: is this deployment whole and healthy?"""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.api_access import base_url_option, login_options, login_to
from analytics_service.entrypoints.cli.checking import FAIL, run_checks
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.verify_http import api_checks, notifier_checks, worker_checks
from analytics_service.entrypoints.cli.verify_stores import database_checks, topic_checks


@click.command()
@base_url_option
@click.option(
    "--worker-url",
    metavar="URL",
    help="Where a worker answers; default: METRICS_PORT on this machine.",
)
@click.option(
    "--notifier-url",
    metavar="URL",
    help="Where a notifier answers; default: NOTIFIER_METRICS_PORT on this machine, where one may be missing.",
)
@login_options
@click.option("--require-ready", is_flag=True, help="Not being ready (yet) is a failure too.")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def verify(
    base_url: str,
    worker_url: str | None,
    notifier_url: str | None,
    user: str | None,
    password: str | None,
    require_ready: bool,
    output_json: Path | None,
) -> int:
    """Check that a deployment is healthy: API, worker, notifier, topics, migrations, tables, metrics.

    Of the API everything is asked for that its own description names and that can be asked for without
    knowing a name or a number; what only an admin may see is skipped when --user is none.

    Prints PASS, SKIP, WARN or FAIL with a reason for each; exit status 0 when nothing failed, 1 otherwise.
    Kafka and the database are those of the environment. The password of --user is taken from
    STACKLENS_PASSWORD, else asked for; without --user name and password are those of ~/.netrc.

    \b
    Examples:
      STACKLENS_PASSWORD=... stacklens verify --user demo
      stacklens verify --base-url http://localhost:8005 --user demo --require-ready
      stacklens verify --base-url https://stacklens.example.org --worker-url http://10.0.0.7:8004 --user ops
    """
    settings = load_settings()
    login = login_to(base_url, user, password)
    worker = worker_url or f"http://127.0.0.1:{settings.metrics_port}"
    notifier = notifier_url or f"http://127.0.0.1:{settings.notifier_metrics_port}"
    findings = run_checks(
        chain(
            api_checks(base_url, login, require_ready),
            worker_checks(worker.rstrip("/"), require_ready, settings.enable_metrics),
            notifier_checks(
                notifier.rstrip("/"),
                require_ready,
                settings.enable_metrics,
                notifier_url is not None,
            ),
            topic_checks(settings),
            database_checks(settings),
        )
    )
    print_table(
        ("CHECK", "OUTCOME", "DETAIL"),
        [(finding.check, finding.outcome, finding.detail) for finding in findings],
    )
    failed = sum(finding.outcome == FAIL for finding in findings)
    click.echo(f"{len(findings)} checks, {failed} failed")
    if output_json is not None:
        report = {"ok": not failed, "findings": [asdict(finding) for finding in findings]}
        write_json(output_json, report)
    return 1 if failed else 0
