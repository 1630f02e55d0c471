"""Alert rules in running workers: the right transitions, once, in tables and on the topic, whoever is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from analytics_service.entrypoints.cli.main import run
from tests.integration.sending import Outgoing, send
from tests.integration.test_dead_letters import good_value
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

SOON_S = 60.0
RULE = """
    INSERT INTO analytics_alert_rules
        (rule_name, metric_name, operator, threshold, severity, duration_seconds, keep_firing_seconds, service)
    VALUES (%s, 'error_rate', '>', 5, 'critical', %s, %s, %s)
"""


def add_rule(
    way: WholeWay, name: str = "errors", *, duration: int = 0, keep: int = 0, service: str = "*"
) -> None:
    """Error rate above 5 percent."""
    way.database.execute(RULE, name, duration, keep, service)


def history(way: WholeWay) -> list[tuple[Any, ...]]:
    """Service, from, to of every transition, in the order of each episode."""
    return way.database.rows(
        """
        SELECT alerts.service, trail.sequence, trail.from_status, trail.to_status
        FROM analytics_alert_history AS trail JOIN analytics_alerts AS alerts ON alerts.id = trail.alert_id
        ORDER BY alerts.id, trail.sequence
        """
    )


def messages(way: WholeWay) -> list[dict[str, Any]]:
    """Everything on the alert topic, in its order."""
    consumer = KafkaConsumer(
        bootstrap_servers=way.topics.bootstrap_servers, enable_auto_commit=False
    )
    place = TopicPartition(way.topics.output, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    found: list[dict[str, Any]] = []
    while consumer.position(place) < end:
        for batch in consumer.poll(timeout_ms=1000).values():
            found += [{**json.loads(record.value), "key": record.key} for record in batch]
    consumer.close()
    return found


@contextmanager
def traffic(way: WholeWay, levels: dict[str, str]) -> Iterator[dict[str, str]]:
    """Some events a second of each service, of the level that `levels` says at the moment."""
    ended = Event()

    def run() -> None:
        number = 0
        while not ended.wait(0.2):
            number += 1
            batch = [
                Outgoing(number % 6, good_value(service=service, level=level))
                for service, level in levels.items()
            ]
            way.sent += send(way.topics.bootstrap_servers, way.topics.input, batch)

    thread = Thread(target=run)
    thread.start()
    try:
        yield levels
    finally:
        ended.set()
        thread.join()


def test_an_episode_from_the_first_error_to_the_last_message(way: WholeWay) -> None:
    add_rule(way)
    worker = way.start().wait_ready()
    with traffic(way, {"sick": "error", "well": "info"}) as levels:
        wait_until(lambda: [h[3] for h in history(way)] == ["active"], SOON_S, "the alert fires")
        wait_until(lambda: len(messages(way)) == 1, SOON_S, "its message is there")
        ((value, status, threshold),) = way.database.rows(
            "SELECT value, status, threshold FROM analytics_alerts"
        )
        assert (value, status, threshold) == (100.0, "active", 5.0)
        assert worker.metric("stacklens_alerts", state="active") == 1
        assert worker.metric("stacklens_evaluator_leader") == 1
        # Its end: no window that is looked at has errors any more, two minutes at most.
        levels["sick"] = "info"
        way.database.execute(
            "UPDATE analytics_alert_rules SET threshold = 99.9, resolve_threshold = 99.9"
        )
        wait_until(
            lambda: [h[3] for h in history(way)] == ["active", "resolved"], 150, "it is resolved"
        )
    wait_until(lambda: len(messages(way)) == 2, SOON_S, "the end is told")
    fired, resolved = messages(way)
    assert [m["sequence"] for m in (fired, resolved)] == [1, 2]
    assert fired["episode_id"] == resolved["episode_id"]
    assert fired["key"] == resolved["key"] == fired["fingerprint"].encode()
    assert (fired["from_status"], fired["to_status"]) == ("inactive", "active")
    assert (fired["rule_name"], fired["service"], fired["severity"]) == (
        "errors",
        "sick",
        "critical",
    )
    assert (fired["metric_name"], fired["threshold"], fired["value"]) == ("error_rate", 5.0, 100.0)
    assert (resolved["from_status"], resolved["to_status"]) == ("active", "resolved")
    rows = way.database.rows(
        "SELECT transition_id::text FROM analytics_alert_history ORDER BY sequence"
    )
    assert [row[0] for row in rows] == [fired["transition_id"], resolved["transition_id"]]
    assert way.database.rows("SELECT count(*) FROM alert_states") == [(0,)]
    # A message is marked as sent after it can be read.
    unsent = "SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL"
    wait_until(lambda: way.database.rows(unsent) == [(0,)], SOON_S, "both are marked as sent")
    worker.expect(1, "stacklens_alert_transitions_total", to="resolved")
    assert worker.terminate() == 0


def test_a_pending_alert_that_never_fires_leaves_nothing_behind(way: WholeWay) -> None:
    add_rule(way, duration=3600)
    way.start().wait_ready()
    with traffic(way, {"sick": "error"}) as levels:
        pending = "SELECT status FROM analytics_alerts"
        wait_until(lambda: way.database.rows(pending) == [("pending",)], SOON_S, "it is pending")
        levels["sick"] = "info"
        way.database.execute("UPDATE analytics_alert_rules SET threshold = 100")
        wait_until(lambda: way.database.rows(pending) == [], SOON_S, "it is gone")
    assert history(way) == []
    assert messages(way) == []
    assert way.database.rows("SELECT count(*) FROM alert_states") == [(0,)]


@pytest.mark.slow
def test_a_killed_and_a_frozen_leader_change_nothing(way: WholeWay) -> None:
    add_rule(way, duration=20)
    first = way.start().wait_ready()
    second = way.start(METRICS_PORT="0").wait_ready()
    with traffic(way, {"sick": "error"}):
        since = "SELECT extract(epoch FROM pending_since)::double precision, status FROM analytics_alerts"
        wait_until(
            lambda: [r[1] for r in way.database.rows(since)] == ["pending"], SOON_S, "it is pending"
        )
        begun = way.database.rows(since)[0][0]
        leader = next(w for w in (first, second) if w.metric("stacklens_evaluator_leader") == 1)
        other = second if leader is first else first
        leader.kill()
        wait_until(
            lambda: other.metric("stacklens_evaluator_leader") == 1, SOON_S, "the other leads"
        )
        third = way.start(METRICS_PORT="0").wait_ready()
        wait_until(
            lambda: [r[1] for r in way.database.rows(since)] == ["active"], SOON_S, "it fires"
        )
        assert way.database.rows(since)[0][0] == begun
        fired = way.database.rows(
            "SELECT extract(epoch FROM active_since - pending_since) FROM analytics_alerts"
        )
        assert float(fired[0][0]) >= 20
        # A leader that sleeps past its lease, and wakes when another leads.
        other.freeze()
        wait_until(
            lambda: third.metric("stacklens_evaluator_leader") == 1, SOON_S, "the third leads"
        )
        other.thaw()
        wait_until(
            lambda: other.metric("stacklens_evaluator_leader") == 0, SOON_S, "it has noticed"
        )
        way.database.execute("UPDATE analytics_alert_rules SET enabled = false")
        wait_until(lambda: len(history(way)) == 3, SOON_S, "the alert is closed")
    assert [h[1:] for h in history(way)] == [
        (1, "inactive", "pending"),
        (2, "pending", "active"),
        (3, "active", "resolved"),
    ]

    def told() -> dict[str, tuple[int, str]]:
        # By transition: whoever takes over may publish one again.
        return {m["transition_id"]: (m["sequence"], m["to_status"]) for m in messages(way)}

    wait_until(lambda: len(told()) == 3, SOON_S, "all is told")
    assert sorted(told().values()) == [(1, "pending"), (2, "active"), (3, "resolved")]


def test_nothing_fires_about_the_past(way: WholeWay) -> None:
    add_rule(way)
    old = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat()
    way.send(
        [
            Outgoing(n % 6, good_value(timestamp=old, service="sick", level="error"))
            for n in range(600)
        ]
    )
    worker = way.start().wait_ready()
    way.wait_settled()
    wait_until(
        lambda: worker.metric("stacklens_evaluation_seconds_count") >= 5, SOON_S, "it has looked"
    )
    assert history(way) == []
    assert way.database.rows("SELECT count(*) FROM analytics_alerts") == [(0,)]
    assert worker.terminate() == 0


def test_peoples_hands(way: WholeWay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add_rule(way)
    way.start().wait_ready()
    monkeypatch.chdir(tmp_path)
    for name, setting in way.env.items():
        monkeypatch.setenv(name, setting)

    def listed(status: str) -> list[tuple[int, str]]:
        assert run(["alerts", "list", "--status", status, "--output-json", "alerts.json"]) == 0
        report = json.loads((tmp_path / "alerts.json").read_text())
        assert report["count"] == len(report["alerts"])
        return [(alert["id"], alert["status"]) for alert in report["alerts"]]

    with traffic(way, {"sick": "error"}):
        wait_until(lambda: [h[3] for h in history(way)] == ["active"], SOON_S, "the alert fires")
        ((alert_id, _),) = listed("open")
        assert run(["alerts", "ack", str(alert_id), "--by", "anna", "--comment", "mine"]) == 0
        assert listed("acknowledged") == [(alert_id, "acknowledged")]
        assert run(["alerts", "ack", str(alert_id)]) == 1  # it is already
        assert run(["alerts", "resolve", "4711"]) == 1
        assert run(["alerts", "resolve", str(alert_id), "--by", "bert", "--comment", "enough"]) == 0
        assert (alert_id, "resolved") in listed("all")
        # The rule is violated still: another episode begins.
        wait_until(lambda: len(history(way)) == 4, SOON_S, "it fires again")
    assert [h[1:] for h in history(way)] == [
        (1, "inactive", "active"),
        (2, "active", "acknowledged"),
        (3, "acknowledged", "resolved"),
        (1, "inactive", "active"),
    ]
    assert way.database.rows(
        "SELECT sequence, actor, comment FROM analytics_alert_history WHERE actor IS NOT NULL ORDER BY 1"
    ) == [(2, "anna", "mine"), (3, "bert", "enough")]
    assert way.database.rows(
        "SELECT acknowledged_by, acknowledged_at IS NOT NULL, resolved_at IS NOT NULL FROM analytics_alerts"
        " WHERE id = %s",
        alert_id,
    ) == [("anna", True, True)]
    wait_until(lambda: len(messages(way)) == 4, SOON_S, "all is told")
    told = [(m["to_status"], m["actor"]) for m in messages(way)]
    assert told == [
        ("active", None),
        ("acknowledged", "anna"),
        ("resolved", "bert"),
        ("active", None),
    ]
    assert len({m["episode_id"] for m in messages(way)}) == 2
