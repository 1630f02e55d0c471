"""One run's place: rules in a database of its own, two workers, two notifiers, and the other sides in this process."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.databases import Database, create_database, drop_database
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks
from tests.faults.alerts.records import Rule, Spell
from tests.faults.arena import Arena, Say
from tests.faults.workers import Workers
from tests.integration.alert_topic import ALL, SERVICE_KEY
from tests.stack_fixtures import Topics, create_topics, kafka_admin, migrate, product_env

PROCESSES = 2
EVALUATOR = "alert-evaluator"
NOTIFIER = "alert-notifier"
# Short ones, of every severity; a warning is muted while a critical alert about the same is open.
RULES = (
    Rule("at-once", "critical", 0, 2, ALL),
    Rule("after-three", "info", 3, 5, ALL),
    Rule("after-ten", "critical", 10, 3, ("pagerduty", "slack")),
    Rule("muted", "warning", 0, 2, ("slack", "email")),
)
_RULE = """
    INSERT INTO analytics_alert_rules (
        rule_name, metric_name, operator, threshold, severity, duration_seconds, keep_firing_seconds,
        notification_channels, service
    ) VALUES (%s, 'error_rate', '>', 50, %s, %s, %s, %s, %s)
"""
# What the product logs when it met something that nobody had thought of.
UNFORESEEN = (
    "the look at the rules failed",
    "deciding or sending failed",
    "keeping the lease failed",
    "taking in an alert message failed",
)
_HOLDER = "SELECT holder FROM leases WHERE name = %s AND expires_at > clock_timestamp()"


@dataclass
class Scene:
    """Servers, what stands before them, the product's processes, and the other sides."""

    arena: Arena
    database: Database
    topics: Topics
    env: Mapping[str, str]
    workers: Workers
    notifiers: Workers
    web: FakeWebhooks
    smtp: FakeSmtp
    spells: list[Spell] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def last(self, seconds: float) -> None:
        """Let a fault last, or until the run is broken off."""
        self.stopping.wait(seconds)

    def holder(self, lease: str) -> int | None:
        """The process that holds a lease; None: nobody does. Raises psycopg2 errors."""
        rows = self.database.rows(_HOLDER, lease)
        return int(rows[0][0].split(":")[1]) if rows else None

    @contextlib.contextmanager
    def spell(self, what: str) -> Iterator[None]:
        """Note that notifiers or their database are hampered meanwhile."""
        began = time.time()
        try:
            yield
        finally:
            self.spells.append(Spell(what, began, time.time()))


@contextlib.contextmanager
def open_scene(
    arena: Arena, directory: Path, say: Say, rules: tuple[Rule, ...] = RULES
) -> Iterator[Scene]:
    """A database, topics and the other sides; no process runs yet. Gone at the end, with all that was started."""
    with contextlib.ExitStack() as closing:
        with kafka_admin(arena.stack) as admin:
            topics = create_topics(arena.stack, admin)
        name = f"alert_faults_{secrets.token_hex(6)}"
        closing.callback(drop_database, arena.stack, name)
        database = create_database(arena.stack, name, "template0")
        migrate(database)
        add_rules(database, rules)
        web = closing.enter_context(FakeWebhooks(routing_key=SERVICE_KEY))
        smtp = closing.enter_context(FakeSmtp(tls="none"))
        env = product_env(database, topics) | {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{arena.broker_proxy.port}",
            "DB_PORT": str(arena.database_proxy.port),
            "TMPDIR": str(directory),
        }
        notifier_env = env | notifier_settings(topics, web, smtp)
        workers = closing.enter_context(Workers(env, directory, say))
        notifiers = closing.enter_context(Workers(notifier_env, directory, say, "notifier"))
        yield Scene(arena, database, topics, notifier_env, workers, notifiers, web, smtp)


def start_all(scene: Scene) -> None:
    """Two of each, ready."""
    for _ in range(PROCESSES):
        scene.workers.start()
        scene.notifiers.start()
    for worker in (*scene.workers.all, *scene.notifiers.all):
        worker.process.wait_ready()


def unforeseen(scene: Scene) -> list[str]:
    """Which of UNFORESEEN stands in whose log."""
    return [
        f"{one.name}: {mark}"
        for crew in (scene.workers, scene.notifiers)
        for one in crew.all
        for mark in UNFORESEEN
        if mark in one.process.output
    ]


def add_rules(database: Database, rules: tuple[Rule, ...], service: str = "*") -> None:
    """Each about the share of errors."""
    for rule in rules:
        values = (rule.name, rule.severity, rule.duration_s, rule.keep_s, list(rule.channels))
        database.execute(_RULE, *values, service)


def notifier_settings(topics: Topics, web: FakeWebhooks, smtp: FakeSmtp) -> dict[str, str]:
    """Every channel on, and quick."""
    return {
        "KAFKA_NOTIFIER_GROUP": f"notifiers-{topics.output}",
        "NOTIFIER_METRICS_PORT": "0",
        "SLACK_WEBHOOK_URL": web.slack_url,
        "PAGERDUTY_SERVICE_KEY": SERVICE_KEY,
        "PAGERDUTY_EVENTS_URL": web.pagerduty_url,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(smtp.port),
        "SMTP_TLS": "none",
        "ALERT_EMAIL_TO": "oncall@example.org",
        "DASHBOARD_URL": "http://dashboard.example",
        "NOTIFY_GROUP_INTERVAL_SEC": "2",
        "BREAKER_RESET_SEC": "2",
    }
