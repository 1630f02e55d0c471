"""`stacklens topics`: create the product's Kafka topics, or list them."""

from __future__ import annotations

from pathlib import Path

import click

from analytics_service.adapters.kafka.topics import create_topics, differences, list_topics
from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.report import print_table, write_json

report_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@click.group()
def topics() -> None:
    """Create or list the Kafka topics.

    Names come from KAFKA_INPUT_TOPIC, KAFKA_OUTPUT_TOPIC and KAFKA_DLQ_TOPIC, partitions from
    KAFKA_TOPIC_PARTITIONS, KAFKA_ALERT_PARTITIONS and KAFKA_DLQ_PARTITIONS, replicas from
    KAFKA_REPLICATION_FACTOR.

    \b
    Examples:
      stacklens topics create
      stacklens topics list
      KAFKA_TOPIC_PARTITIONS=12 stacklens topics create
    """


@topics.command("create")
@report_option
def create(output_json: Path | None) -> None:
    """Create the topics that are missing.

    A topic that exists is never changed: one with fewer partitions than wanted is reported, since
    adding partitions is a decision of its own. Running it again does nothing.

    \b
    Examples:
      stacklens topics create
      stacklens topics create --output-json topics.json
    """
    outcomes = create_topics(load_settings())
    print_table(
        ("TOPIC", "PARTITIONS", "OUTCOME", "DETAIL"),
        [(o.name, str(o.partitions), o.outcome, o.detail) for o in outcomes],
    )
    if output_json is not None:
        report = [
            {"topic": o.name, "partitions": o.partitions, "outcome": o.outcome, "detail": o.detail}
            for o in outcomes
        ]
        write_json(output_json, {"topics": report})


@topics.command("list")
@report_option
def list_(output_json: Path | None) -> int:
    """List the topics as the broker has them; exit status 1 when one is missing.

    \b
    Examples:
      stacklens topics list
      stacklens topics list --output-json topics.json
    """
    found = list_topics(load_settings())
    rows = []
    for spec, state in found:
        if state is None:
            rows.append((spec.name, "-", "-", "missing", "-"))
            continue
        wrong = "; ".join(differences(spec, state)) or "ok"
        rows.append(
            (
                state.name,
                str(state.partitions),
                str(state.replication_factor),
                wrong,
                state.topic_id or "-",
            )
        )
    print_table(("TOPIC", "PARTITIONS", "REPLICAS", "STATE", "ID"), rows)
    if output_json is not None:
        keys = ("topic", "partitions", "replicas", "state", "id")
        write_json(output_json, {"topics": [dict(zip(keys, row, strict=True)) for row in rows]})
    return 1 if any(state is None for _, state in found) else 0
