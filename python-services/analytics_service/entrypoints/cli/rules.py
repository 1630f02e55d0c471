"""`stacklens rules`: alert rules as a reviewed YAML file, and a trial before they wake anybody."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import yaml
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.alert_rules import all_rules, apply_rules
from analytics_service.adapters.timescale.audit import Hand
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import Settings, load_settings
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.decoding import decode_batch
from analytics_service.domain.events import EventRules
from analytics_service.domain.folding import fold_columns
from analytics_service.domain.rule_files import RuleFileError, as_entry, rules_from
from analytics_service.domain.rule_trial import trial, windows_of
from analytics_service.domain.rules import Rule
from analytics_service.entrypoints.cli.hands import by_option, comment_option
from analytics_service.entrypoints.cli.ndjson import NdjsonSource
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json

DAYS_OF_A_TRIAL = 36_500
DAY_US = 86_400_000_000
file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
json_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@click.group()
def rules() -> None:
    """List alert rules, apply a file of them, or try a file on recorded events.

    \b
    Examples:
      stacklens rules list --yaml > rules.yaml
      stacklens rules test rules.yaml --events yesterday.ndjson.gz
      stacklens rules apply rules.yaml
    """


@rules.command("list")
@click.option("--yaml", "as_yaml", is_flag=True, help="As a file that `apply` takes.")
@json_option
def list_(as_yaml: bool, output_json: Path | None) -> None:
    """List the rules.

    \b
    Examples:
      stacklens rules list
      stacklens rules list --yaml > rules.yaml
    """
    with _database() as conn, conn.cursor() as cur:
        found = all_rules(cur)
    if as_yaml:
        click.echo(_yaml_of(found), nl=False)
    else:
        print_table(
            ("RULE", "SERVICE", "CONDITION", "WINDOW", "FOR", "SEVERITY", "CHANNELS", "ENABLED"),
            [_line(rule) for rule in found],
        )
    if output_json is not None:
        write_json(output_json, {"rules": [as_entry(rule) for rule in found], "count": len(found)})


@rules.command("apply")
@file_argument
@click.option("--prune", is_flag=True, help="Remove rules that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@by_option
@comment_option
@json_option
def apply(
    file: Path, prune: bool, dry_run: bool, by: str, comment: str | None, output_json: Path | None
) -> None:
    """Make the database hold the rules of FILE, all of them or none; workers take them up within 5 s.

    \b
    Examples:
      stacklens rules apply rules.yaml --dry-run
      stacklens rules apply rules.yaml
      stacklens rules apply rules.yaml --prune --comment "as reviewed in 142"
    """
    wanted = _read(file)
    with _database() as conn:
        with conn.cursor() as cur:
            outcome = apply_rules(cur, wanted, Hand(by, comment), prune=prune)
        if dry_run:
            conn.rollback()
        else:
            conn.commit()
    click.echo("nothing is changed, this would be:" if dry_run else "the rules are applied:")
    for what, names in outcome.items():
        for name in names:
            click.echo(f"  {what}: {name}")
    if output_json is not None:
        write_json(output_json, {**outcome, "dry_run": dry_run})


@rules.command("test")
@file_argument
@click.option(
    "--events",
    required=True,
    help="Recorded events: NDJSON, plain or .gz, or - for standard input.",
)
@json_option
def test(file: Path, events: str, output_json: Path | None) -> None:
    """Print the transitions that the rules of FILE would have made over recorded events. Needs no database.

    Looks at windows that are over; a live worker looks at running ones as well and may be up to a window earlier.

    \b
    Examples:
      stacklens rules test rules.yaml --events yesterday.ndjson.gz
      zcat *.ndjson.gz | stacklens rules test rules.yaml --events -
    """
    wanted = _read(file)
    minutes, bad = _fold(events, load_settings())
    told = list(trial(wanted, windows_of(minutes, wanted)))
    rows = [
        {
            "at": datetime.fromtimestamp(each.transition.at_s, UTC).isoformat(),
            "rule_name": each.key[0],
            "service": each.key[1],
            "from_status": each.transition.from_status,
            "to_status": each.transition.to_status,
            "value": None if each.transition.reading is None else each.transition.reading.value,
            "comment": each.transition.comment,
        }
        for each in told
    ]
    print_table(
        ("AT", "RULE", "SERVICE", "FROM", "TO", "VALUE"),
        [
            (
                str(row["at"]), str(row["rule_name"]), str(row["service"]), str(row["from_status"]),
                str(row["to_status"]), "-" if row["value"] is None else f"{row['value']:g}",
            )
            for row in rows
        ],
    )  # fmt: skip
    fired = sum(row["to_status"] == "active" for row in rows)
    count = sum(delta.total for delta in minutes.values())
    click.echo(
        f"{count} events, {fired} alerts would have fired" + (f"; {bad} bad events" if bad else "")
    )
    if output_json is not None:
        write_json(output_json, {"transitions": rows, "events": count, "bad_events": bad})


def _fold(events: str, settings: Settings) -> tuple[dict[Cell, Delta], int]:
    """The 1min deltas of the recorded events, and how many are no events."""
    rules_of_events = EventRules(
        settings.default_tz, settings.max_future_skew_sec * 1_000_000, DAYS_OF_A_TRIAL * DAY_US
    )
    minutes: dict[Cell, Delta] = {}
    bad = seen = 0
    progress = Progress("events")
    with NdjsonSource(events) as source:
        for values in source.blocks():
            decoded = decode_batch(values, rules_of_events, time.time_ns() // 1000)
            bad += len(decoded.rejected)
            for cell, delta in fold_columns(decoded.columns, settings.high_risk_threshold).items():
                if cell in minutes:
                    minutes[cell].merge_from(delta)
                else:
                    minutes[cell] = delta
            seen += len(values)
            progress.update(seen)
    progress.finish()
    return minutes, bad


def _read(file: Path) -> list[Rule]:
    try:
        return rules_from(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise RuleFileError([f"{file} is not YAML: {' '.join(str(error).split())}"]) from None
    except UnicodeDecodeError:
        raise RuleFileError([f"{file} is not UTF-8"]) from None


def _yaml_of(found: list[Rule]) -> str:
    document = {"rules": [as_entry(rule) for rule in found]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


@contextlib.contextmanager
def _database() -> Iterator[connection]:
    opened = parameters(load_settings(), application_name="stacklens rules")
    with contextlib.closing(opened.connect()) as conn:
        yield conn


def _line(rule: Rule) -> tuple[str, ...]:
    return (
        rule.rule_name, rule.service, f"{rule.metric_name} {rule.operator} {rule.threshold:g}", rule.window_size,
        f"{rule.duration_seconds} s", rule.severity, ",".join(rule.notification_channels) or "-",
        "yes" if rule.enabled else "no",
    )  # fmt: skip
