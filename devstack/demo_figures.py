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
from psycopg2 import sql

from devstack.api import Stack

WINDOW_TABLES = ("analytics_metrics_1min", "analytics_metrics_5min", "analytics_metrics_1hour")
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
    """Counts since the demo began."""

    stored: int
    dead_lettered: int
    windows: dict[str, int]

    @property
    def settled(self) -> int:
        """Events whose fate is decided."""
        return self.stored + self.dead_lettered


class Tables:
    """Database and topic, counted from the moment this object is made (they need not be empty)."""

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
        self._sent_before = self._end()
        self._before = self._count()

    def figures(self) -> Figures:
        """What has come since the beginning, all of one instant."""
        now, before = self._count(), self._before
        return Figures(
            now.stored - before.stored,
            now.dead_lettered - before.dead_lettered,
            {table: now.windows[table] - before.windows[table] for table in WINDOW_TABLES},
        )

    def sent(self) -> int:
        """Messages that came into the topic since the beginning."""
        return self._end() - self._sent_before

    def visible_delay_s(self) -> float | None:
        """Age of the newest stored event, in seconds; None before there is one."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT extract(epoch FROM clock_timestamp() - max(timestamp))::float8"
                " FROM analytics_events WHERE timestamp > now() - interval '10 minutes'"
            )
            row = cursor.fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def close(self) -> None:
        """Give back the connections."""
        self._consumer.close()
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()

    def _end(self) -> int:
        ends = self._consumer.end_offsets(self._partitions)
        return sum(int(end) for end in ends.values())

    def _count(self) -> Figures:
        query = sql.SQL(
            "SELECT (SELECT count(*) FROM analytics_events),"
            " (SELECT count(*) FROM analytics_dead_letters), {}"
        ).format(
            sql.SQL(", ").join(
                sql.SQL("(SELECT coalesce(sum(total_requests), 0) FROM {})").format(
                    sql.Identifier(table)
                )
                for table in WINDOW_TABLES
            )
        )
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        assert row is not None
        return Figures(
            int(row[0]), int(row[1]), dict(zip(WINDOW_TABLES, map(int, row[2:]), strict=True))
        )
