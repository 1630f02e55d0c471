"""A test's own alert topic: transitions as an evaluator publishes them, and notifiers that take them in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from tests.databases import Database
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks
from tests.integration.worker_process import WorkerProcess, worker_processes
from tests.stack_fixtures import Topics, product_env

ALL = ("slack", "email", "pagerduty")
SERVICE_KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Alert:
    """One episode of a test's alert; each step is a message on the topic."""

    topic: AlertTopic
    rule: str
    service: str
    severity: str = "critical"
    metric: str = "error_rate"
    channels: tuple[str, ...] = ALL
    value: float = 31.5
    threshold: float = 20.0
    episode_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    alert_id: int = field(default_factory=lambda: uuid.uuid4().int % 1_000_000)
    sequence: int = 0
    status: str = "inactive"
    sent: list[dict[str, Any]] = field(default_factory=list)

    def fire(self, ago_s: float = 0.0) -> Alert:
        """inactive -> active, so many seconds ago."""
        return self._step("active", ago_s)

    def acknowledge(self, actor: str = "anna", comment: str = "mine") -> Alert:
        """active -> acknowledged."""
        return self._step("acknowledged", 0.0, actor=actor, comment=comment)

    def resolve(self, ago_s: float = 0.0, **more: Any) -> Alert:
        """-> resolved."""
        return self._step("resolved", ago_s, **more)

    def again(self, number: int) -> None:
        """Publish message number `number` (from 0) once more, as a relay that wakes up late does."""
        self.topic.publish(self.sent[number])

    def _step(self, status: str, ago_s: float, **more: Any) -> Alert:
        self.sequence += 1
        at = datetime.fromtimestamp(time.time() - ago_s, UTC)
        message = {
            "transition_id": str(uuid.uuid4()),
            "episode_id": self.episode_id,
            "sequence": self.sequence,
            "alert_id": self.alert_id,
            "fingerprint": hashlib.sha256(f"{self.rule}\0{self.service}".encode()).hexdigest()[:32],
            "from_status": self.status,
            "to_status": status,
            "at": at.isoformat().replace("+00:00", "Z"),
            "value": self.value,
            "actor": None,
            "comment": None,
            "rule_name": self.rule,
            "service": self.service,
            "severity": self.severity,
            "metric_name": self.metric,
            "window_size": "1min",
            "window_start": None,
            "threshold": self.threshold,
            "operator": ">",
            "description": None,
            "notification_channels": list(self.channels),
            **more,
        }
        self.status = status
        self.sent.append(message)
        self.topic.publish(message)
        return self


@dataclass
class AlertTopic:
    """The topic, the database behind the notifiers, and what they are pointed at."""

    database: Database
    topics: Topics
    directory: Path
    web: FakeWebhooks
    smtp: FakeSmtp
    processes: list[WorkerProcess]
    producer: KafkaProducer

    @property
    def env(self) -> dict[str, str]:
        """A notifier with every channel on, that waits little and repeats never in a test's time."""
        return {
            **product_env(self.database, self.topics),
            "KAFKA_NOTIFIER_GROUP": f"notifiers-{self.topics.output}",
            "NOTIFIER_METRICS_PORT": "0",
            "SLACK_WEBHOOK_URL": self.web.slack_url,
            "PAGERDUTY_SERVICE_KEY": SERVICE_KEY,
            "PAGERDUTY_EVENTS_URL": self.web.pagerduty_url,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp.port),
            "SMTP_TLS": "none",
            "ALERT_EMAIL_TO": "oncall@example.org",
            "DASHBOARD_URL": "http://dashboard.example",
            "NOTIFY_GROUP_INTERVAL_SEC": "2",
        }

    def start(self, **overrides: str) -> WorkerProcess:
        """Start a notifier; it may not be ready yet."""
        log = self.directory / f"notifier-{len(self.processes) + 1}.log"
        process = WorkerProcess({**self.env, **overrides}, log, "notifier")
        self.processes.append(process)
        return process

    def alert(self, rule: str = "errors", service: str = "payment", **more: Any) -> Alert:
        """An alert that has not begun."""
        return Alert(self, rule, service, **more)

    def publish(self, message: dict[str, Any] | bytes) -> None:
        """Put a message on the topic, and wait until the broker has it."""
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        key = None if isinstance(message, bytes) else message["fingerprint"].encode()
        self.producer.send(self.topics.output, key=key, value=value).get(timeout=30)

    def deliveries(self, alert: Alert) -> list[tuple[str, str, str, str | None]]:
        """Channel, kind, status and reason of everything about an alert, in order of channel and time."""
        return [
            (row[0], row[1], row[2], row[3])
            for row in self.database.rows(
                "SELECT channel, kind, status, reason FROM alert_deliveries WHERE episode_id = %s"
                " ORDER BY channel, id",
                alert.episode_id,
            )
        ]

    @property
    def slack_texts(self) -> list[str]:
        """What Slack took, in order."""
        return [each.json["text"] for each in self.web.slack.all if each.status == 200]

    @property
    def pager_events(self) -> list[tuple[str, str]]:
        """Action and key of what PagerDuty took, in order."""
        return [
            (each.json["event_action"], each.json["dedup_key"])
            for each in self.web.pagerduty.all
            if each.status == 202
        ]

    @property
    def subjects(self) -> list[str]:
        """Subjects of the mails that were taken, in order."""
        return [str(mail.message["Subject"]) for mail in self.smtp.all]


@contextlib.contextmanager
def open_alert_topic(database: Database, topics: Topics, directory: Path) -> Iterator[AlertTopic]:
    """Fakes and a producer; notifiers still running are killed at the end."""
    with contextlib.ExitStack() as closing:
        web = closing.enter_context(FakeWebhooks(routing_key=SERVICE_KEY))
        smtp = closing.enter_context(FakeSmtp(tls="none"))
        processes = closing.enter_context(worker_processes(directory))
        producer = KafkaProducer(bootstrap_servers=topics.bootstrap_servers, linger_ms=0)
        closing.callback(producer.close)
        yield AlertTopic(database, topics, directory, web, smtp, processes, producer)
