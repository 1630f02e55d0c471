"""Alerts, their history, deliveries and silences from the tables; steps from the alert topic."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition

from tests.databases import Database
from tests.faults.alerts.records import Alert, Delivery, Hush, Step

_ALERTS = """
    SELECT id, episode_id::text, rule_name, service, status,
        extract(epoch FROM pending_since)::double precision, extract(epoch FROM active_since)::double precision,
        extract(epoch FROM resolved_at)::double precision
    FROM analytics_alerts ORDER BY id
"""
_HISTORY = """
    SELECT transition_id::text, episode_id::text, alert_id, sequence, from_status, to_status,
        extract(epoch FROM at)::double precision
    FROM analytics_alert_history ORDER BY id
"""
_DELIVERIES = """
    SELECT episode_id::text, channel, kind, status, reason FROM alert_deliveries ORDER BY id
"""
_SILENCES = """
    SELECT service, extract(epoch FROM starts_at)::double precision, extract(epoch FROM ends_at)::double precision
    FROM alert_silences
"""


def read_alerts(database: Database) -> list[Alert]:
    """Every alert."""
    return [Alert(*row) for row in database.rows(_ALERTS)]


def read_history(database: Database) -> list[Step]:
    """Every step, in the order in which they were written."""
    return [Step(*row) for row in database.rows(_HISTORY)]


def read_deliveries(database: Database) -> list[Delivery]:
    """What the notifiers wrote down."""
    return [Delivery(*row) for row in database.rows(_DELIVERIES)]


def read_silences(database: Database) -> list[Hush]:
    """Every silence."""
    return [Hush(*row) for row in database.rows(_SILENCES)]


def read_topic(servers: str, topic: str) -> list[Step]:
    """Every message, in the order of the topic."""
    found: list[Step] = []
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    with contextlib.closing(consumer):
        places = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for batch in consumer.poll(timeout_ms=1000).values():
                found += [_step(json.loads(record.value)) for record in batch]
    return found


def _step(message: dict[str, object]) -> Step:
    at = datetime.fromisoformat(str(message["at"]))
    return Step(
        str(message["transition_id"]),
        str(message["episode_id"]),
        int(str(message["alert_id"])),
        int(str(message["sequence"])),
        str(message["from_status"]),
        str(message["to_status"]),
        at.timestamp(),
    )
