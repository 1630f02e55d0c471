"""What the demo reads from outside: the API's windows, the tables' sums, the topic's length."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import psycopg2
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from psycopg2 import sql

from devstack.api import Stack

TROUBLE = (psycopg2.Error, KafkaError)  # the database or the broker does not answer
WINDOW_TABLES = ("analytics_metrics_1min", "analytics_metrics_5min", "analytics_metrics_1hour")
PLACED_TABLES = ("analytics_events", "analytics_dead_letters")
TOPIC = "stacklens-analytics"


class Api:
    """The dashboard API, as a user with a password sees it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self.password = password
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def windows(self, limit: int) -> list[dict[str, Any]]:
        """The newest 1min windows; none while the API does not answer."""
        request = urllib.request.Request(
            f"{self.url}/metrics?window=1min&limit={limit}", headers=self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                rows: list[dict[str, Any]] = json.load(answer)["metrics"]
                return rows
        except (urllib.error.URLError, OSError):
            return []


@dataclass(frozen=True)
class Figures:
    """Counts since the demo began: of its own messages, and of whatever came into the tables."""

    stored: int
    dead_lettered: int
    rows: int
    windows: dict[str, int]

    @property
    def settled(self) -> int:
        """Events whose fate is decided."""
        return self.stored + self.dead_lettered


class Tables:
    """Database and topic, counted from the moment this object is made (they need not be empty).

    Make it before anything is sent. Rows of an older backlog that arrive later count as `rows`.
    """

    def __init__(self, stack: Stack) -> None:
        self._connection = psycopg2.connect(
            host=stack.db_host,
            port=stack.db_port,
            dbname=stack.db_name,
            user=stack.db_user,
            password=stack.db_password,
        )
        self._connection.autocommit = True
        self._consumer = KafkaConsumer(
            bootstrap_servers=stack.kafka_bootstrap_servers.split(","), enable_auto_commit=False
        )
        topic = os.environ.get("KAFKA_INPUT_TOPIC") or TOPIC
        numbers = self._consumer.partitions_for_topic(topic) or set()
        self._partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        self._begin = self._ends()
        self._before = self._count()

    def figures(self) -> Figures:
        """What has come since the beginning, all of one instant."""
        now, before = self._count(), self._before
        return Figures(
            now.stored - before.stored,
            now.dead_lettered - before.dead_lettered,
            now.rows - before.rows,
            {table: now.windows[table] - before.windows[table] for table in WINDOW_TABLES},
        )

    def sent(self) -> int:
        """Messages that came into the topic since the beginning."""
        return sum(self._ends().values()) - sum(self._begin.values())

    def visible_delay_s(self) -> float | None:
        """Age of the newest stored event, in seconds; None before there is one."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT extract(epoch FROM clock_timestamp() - max(timestamp))::float8"
                " FROM analytics_events WHERE timestamp > now() - interval '10 minutes'"
            )
            row = cursor.fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def seed_rules(self, statement: str) -> None:
        """Run the statement that makes the first alert rules, unless there are any."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM analytics_alert_rules)")
            if cursor.fetchone() == (False,):
                cursor.execute(statement)

    def close(self) -> None:
        """Give back the connections."""
        self._consumer.close()
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()

    def _ends(self) -> dict[int, int]:
        ends = self._consumer.end_offsets(self._partitions)
        return {place.partition: int(end) for place, end in ends.items()}

    def _count(self) -> Figures:
        begin = sql.SQL(", ").join(
            sql.SQL("({}, {})").format(sql.Literal(partition), sql.Literal(offset))
            for partition, offset in self._begin.items()
        )
        own = sql.SQL(
            "(SELECT count(*) FROM {} JOIN (VALUES {}) AS begin (part, first)"
            " ON kafka_partition = part AND kafka_offset >= first)"
        )
        parts: list[sql.Composable] = [
            own.format(sql.Identifier(table), begin) for table in PLACED_TABLES
        ]
        parts.append(sql.SQL("(SELECT count(*) FROM analytics_events)"))
        total = sql.SQL("(SELECT coalesce(sum(total_requests), 0) FROM {})")
        parts += [total.format(sql.Identifier(table)) for table in WINDOW_TABLES]
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(parts)))
            stored, dead_lettered, rows, *totals = map(int, cursor.fetchone() or ())
        return Figures(stored, dead_lettered, rows, dict(zip(WINDOW_TABLES, totals, strict=True)))


def wake_group_coordinator(stack: Stack) -> None:
    """Have the broker make its offsets topic now: a fresh one does so when first asked for a group."""
    consumer = KafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers.split(","),
        group_id="stacklens-demo",
        enable_auto_commit=False,
    )
    with contextlib.closing(consumer):
        consumer.committed(TopicPartition(TOPIC, 0))
