"""`stacklens guardrails`: are today's figures as good as those of a good day?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from analytics_service.config import load_settings
from analytics_service.domain.guardrails import (
    BASELINE_VERSION,
    METRICS,
    Guardrail,
    GuardrailFileError,
    Source,
    Today,
    Verdict,
    baseline_from,
    contract_from,
    judge,
)
from analytics_service.domain.wording import number
from analytics_service.entrypoints.cli.api_access import (
    Login,
    WebAddress,
    login_options,
    login_to,
)
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.guardrail_figures import Places, todays_figures
from analytics_service.entrypoints.cli.load import DEFAULT_PATHS
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.stopping import StopSignal

T = TypeVar("T")
Baseline = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Options:  # pylint: disable=too-many-instance-attributes  # the command's
    """The command's options."""

    baseline: Path
    contract: Path | None
    save: bool
    base_url: str | None
    user: str | None
    password: str | None = field(repr=False)
    worker_urls: tuple[str, ...]
    api_metrics_urls: tuple[str, ...]
    seconds: float
    output_json: Path | None

    def sources(self, rules: Sequence[Guardrail]) -> set[Source]:
        """What has to be looked at: what the rules name, without any all that can be reached."""
        if rules:
            return {METRICS[rule.metric].source for rule in rules}
        return {"worker"} if self.base_url is None else {"worker", "api", "probe"}


@click.command()
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The figures of a good day: JSON that --save has written.",
)
@click.option(
    "--contract",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is allowed: YAML or JSON, such as docs/guardrails.example.yaml.",
)
@click.option("--save", is_flag=True, help="Write today's figures to --baseline instead.")
@click.option(
    "--base-url", type=WebAddress(), metavar="URL", help="Where the dashboard API answers."
)
@login_options
@click.option(
    "--worker-url",
    "worker_urls",
    type=WebAddress(),
    multiple=True,
    metavar="URL",
    help="Where a worker answers, repeatable; default: METRICS_PORT on this machine.",
)
@click.option(
    "--api-metrics-url",
    "api_metrics_urls",
    type=WebAddress(),
    multiple=True,
    metavar="URL",
    help="Where an API tells its metrics, repeatable; default: API_METRICS_PORT on this machine.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="For how long rates and latencies are watched.",
)
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def guardrails(**given: Any) -> int:
    """Compare today's figures with a saved baseline, as far as the contract allows.

    Figures come from the metrics of workers and API, watched for --seconds, and from 25 requests for each
    path of the contract. --save writes a baseline: of the contract's figures, all of which there must be; without
    a contract of everything that can be measured. Exit status 0 if all is kept, 1 if not, 2 for a file that
    cannot be used.

    The password of --user is taken from STACKLENS_PASSWORD, else asked for; without --user name and
    password are those of ~/.netrc. With the compose stack run it in the analytics container, which reaches
    the others by name: nginx publishes no metrics.

    \b
    Examples:
      stacklens guardrails --save --baseline good.json --base-url http://localhost:8005
      stacklens guardrails --baseline good.json --contract guardrails.yaml --base-url http://localhost:8005
      stacklens guardrails --baseline good.json --contract guardrails.yaml --seconds 120 --output-json report.json
    """
    options = Options(**given)
    settings = load_settings()
    rules = [] if options.contract is None else _read(options.contract, contract_from)
    if not rules and not options.save:
        raise click.UsageError("--contract is needed, or --save")
    before = {} if options.save else _read_baseline(options.baseline)
    sources = options.sources(rules)
    login: Login | None = None
    if "probe" in sources:
        if options.base_url is None:
            raise click.UsageError("--base-url is needed: the contract holds latencies of the API")
        login = login_to(options.base_url, options.user, options.password)
    places = Places(
        options.worker_urls or (f"http://127.0.0.1:{settings.metrics_port}",),
        options.api_metrics_urls or (f"http://127.0.0.1:{settings.api_metrics_port}",),
        options.base_url,
        login,
        _paths(rules) if rules else DEFAULT_PATHS,
    )
    with StopSignal() as stop:
        today = todays_figures(places, sources, options.seconds, stop)
        if stop.stopped:
            raise CommandFailed("interrupted")
    if options.save:
        return _saved(options, rules, today)
    verdicts = [judge(rule, before, today[rule.figure]) for rule in rules]
    _show(verdicts)
    failed = sum(each.outcome == "FAIL" for each in verdicts)
    if options.output_json is not None:
        write_json(
            options.output_json,
            {
                "ok": not failed,
                "seconds": options.seconds,
                "guardrails": list(map(asdict, verdicts)),
            },
        )
    return 1 if failed else 0


def _show(verdicts: Sequence[Verdict]) -> None:
    print_table(
        ("FIGURE", "OUTCOME", "BASELINE", "TODAY", "ALLOWED", "DETAIL"),
        [
            (
                each.figure,
                each.outcome,
                *(_cell(value) for value in (each.baseline, each.today, each.allowed)),
                each.detail,
            )
            for each in verdicts
        ],
    )
    failed = sum(each.outcome == "FAIL" for each in verdicts)
    click.echo(f"{len(verdicts)} guardrails, {failed} failed")


def _cell(value: float | None) -> str:
    return "-" if value is None else number(value, 4)


def _saved(options: Options, rules: Sequence[Guardrail], today: Mapping[str, Today]) -> int:
    """Write the baseline; with a contract only its figures, without which there is none."""
    wanted = {rule.figure: rule.required for rule in rules} or dict.fromkeys(today, False)
    missing = {name: today[name].why for name in wanted if today[name].value is None}
    for name, why in missing.items():
        click.echo(f"stacklens: no {name}: {why}", err=True)
    figures = {name: today[name].value for name in wanted if name not in missing}
    if not figures or any(wanted[name] for name in missing):
        raise CommandFailed("no baseline is saved")
    document = {
        "version": BASELINE_VERSION,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": options.seconds,
        "figures": figures,
    }
    write_json(options.baseline, document)
    print_table(("FIGURE", "VALUE"), [(name, _cell(value)) for name, value in figures.items()])
    click.echo(f"saved {len(figures)} figures to {options.baseline}")
    return 0


def _paths(rules: Sequence[Guardrail]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.path for rule in rules if rule.path is not None))


def _read_baseline(file: Path) -> Baseline:
    if not file.exists():
        raise GuardrailFileError([f"{file}: there is none; --save makes one on a good day"])
    return _read(file, baseline_from)


def _read(file: Path, understand: Callable[[object], T]) -> T:
    try:
        return understand(_document(file))
    except GuardrailFileError as error:
        raise GuardrailFileError([f"{file}: {problem}" for problem in error.problems]) from None


def _document(file: Path) -> object:
    """What is in a file of YAML, of which JSON is a part."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise GuardrailFileError([f"is not YAML: {' '.join(str(error).split())}"]) from None
    except UnicodeDecodeError:
        raise GuardrailFileError(["is not UTF-8"]) from None
