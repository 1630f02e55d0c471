"""`stacklens dead-letters` against real workers: replayed events count once, whatever is sent and whoever crashes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from analytics_service.entrypoints.cli.main import run
from devstack.api import Stack
from tests.integration.sending import Outgoing
from tests.integration.test_dead_letters import good_value, read_topic, wait_copied
from tests.integration.whole_way import WholeWay
from tests.reference.brute_force import Rules
from tests.waiting import wait_until

Command = Callable[..., Any]
REPLAYED_S = 60.0
OLD_DAYS = 10


@pytest.fixture
def command(way: WholeWay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run `stacklens dead-letters ...`; its exit status and its report."""
    monkeypatch.chdir(tmp_path)
    for name, value in way.env.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> tuple[int, Any]:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        status = run(["dead-letters", *arguments, "--output-json", str(report)])
        return status, json.loads(report.read_text()) if report.exists() else None

    return call


def old_value(number: int) -> bytes:
    """An event that is too old by default."""
    then = datetime.now(UTC) - timedelta(days=OLD_DAYS, seconds=number)
    return good_value(timestamp=then.isoformat(), user_id=f"old {number}")


def letters(way: WholeWay) -> list[tuple[str, int, str]]:
    """Status, retry count and reason of every dead letter."""
    return [
        (str(status), int(retries), str(reason))
        for status, retries, reason in way.database.rows(
            "SELECT status, retry_count, reason FROM analytics_dead_letters ORDER BY id"
        )
    ]


def settled(way: WholeWay) -> Callable[[], bool]:
    """Whether the workers have read everything up to the topic's present end."""
    ends = sum(1 for partition in range(6) for _ in read_partition(way, partition))
    return lambda: way.settled() >= ends


def read_partition(way: WholeWay, partition: int) -> list[Any]:
    """Every record of one partition of the input topic."""
    consumer = KafkaConsumer(
        bootstrap_servers=way.topics.bootstrap_servers, enable_auto_commit=False
    )
    place = TopicPartition(way.topics.input, partition)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    records: list[Any] = []
    while consumer.position(place) < end:
        for batch in consumer.poll(timeout_ms=1000).values():
            records += batch
    consumer.close()
    return records


def test_an_event_that_became_valid_is_stored_once(way: WholeWay, command: Command) -> None:
    way.send([Outgoing(n % 6, old_value(n)) for n in range(20)])
    way.send([Outgoing(0, b"never json"), Outgoing(1, good_value())])
    first = way.start()
    way.wait_settled()
    assert sorted(letters(way)) == sorted(
        [*[("pending", 0, "too_old")] * 20, ("pending", 0, "invalid_json")]
    )
    assert first.terminate() == 0

    second = way.start(MAX_EVENT_AGE_DAYS=str(OLD_DAYS + 5))
    status, report = command("replay", "--reason", "too_old", "--wait", "60")
    assert status == 0
    assert report == {"sent": 20, "stored": 20, "failed_again": 0, "waiting": 0, "refused": {}}
    assert sorted(letters(way)) == sorted(
        [*[("replayed", 0, "too_old")] * 20, ("pending", 0, "invalid_json")]
    )
    # Everything valid under the new rule, once: the original of a replayed event lies at another offset.
    rules = Rules(max_age_days=OLD_DAYS + 5)
    expected = way.expected(rules)
    # By the new rule they never were dead letters: those rows are the replayed ones.
    found = way.differences(rules, raw_rows=False)
    assert [line for line in found if not line.startswith("dead letter")] == []
    rows = way.database.rows("SELECT count(*), count(DISTINCT user_id) FROM analytics_events")
    assert rows == [(len(expected.events), 20)]
    second.expect(20, "stacklens_replays_total", outcome="stored")
    second.expect(20, "stacklens_events_consumed_total")
    second.expect(20, "stacklens_events_stored_total")


def test_a_replay_that_fails_again_comes_back_with_its_count_raised(
    way: WholeWay, command: Command, stack: Stack
) -> None:
    way.send([Outgoing(0, b"never json", b"its key"), Outgoing(1, None), Outgoing(1, good_value())])
    worker = way.start()
    way.wait_settled()
    wait_copied(way)
    for count in (1, 2):
        status, report = command("replay", "--wait", "60")
        assert (status, report["sent"], report["failed_again"], report["waiting"]) == (1, 2, 2, 0)
        assert sorted(letters(way)) == [
            ("pending", count, "empty"),
            ("pending", count, "invalid_json"),
        ]
    assert way.database.rows("SELECT total_requests FROM analytics_metrics_1hour") == [(1,)]
    worker.expect(4, "stacklens_replays_total", outcome="failed")
    worker.expect(3 + 4, "stacklens_events_consumed_total")
    # The topic has the letter once, or the same again: it is told by its origin.
    origins = {
        (dict(r.headers)["__streams.errors.partition"], dict(r.headers)["__streams.errors.offset"])
        for r in read_topic(stack, way.topics.dlq)
    }
    assert origins == {(b"0", b"0"), (b"1", b"0")}


def test_replays_sent_twice_count_once_even_over_a_crash(way: WholeWay, command: Command) -> None:
    way.send([Outgoing(n % 6, old_value(n)) for n in range(50)])
    first = way.start()
    way.wait_settled()
    assert first.terminate() == 0
    # Twice before any worker reads them, ...
    for _ in range(2):
        status, report = command("replay", "--wait", "0")
        assert (status, report["sent"], report["waiting"]) == (0, 50, 50)
    second = way.start(MAX_EVENT_AGE_DAYS=str(OLD_DAYS + 5), KAFKA_GROUP_INSTANCE_ID="one")
    wait_until(lambda: ("replayed", 0, "too_old") in letters(way), REPLAYED_S, "a replay is stored")
    second.kill()
    third = way.start(MAX_EVENT_AGE_DAYS=str(OLD_DAYS + 5), KAFKA_GROUP_INSTANCE_ID="one")
    wait_until(settled(way), REPLAYED_S, "every message is settled")
    # ... and by hand once more when all is done.
    values = [
        bytes(row[0]) for row in way.database.rows("SELECT raw_value FROM analytics_dead_letters")
    ]
    ids = [row[0] for row in way.database.rows("SELECT id FROM analytics_dead_letters")]
    produce_with_ids(way, ids, values)
    wait_until(settled(way), REPLAYED_S, "every message is settled")

    assert letters(way) == [("replayed", 0, "too_old")] * 50
    rows = way.database.rows("SELECT count(*), count(DISTINCT user_id) FROM analytics_events")
    assert rows == [(50, 50)]
    assert way.database.rows("SELECT sum(total_requests) FROM analytics_metrics_1min") == [(50,)]
    wait_until(
        lambda: third.metric("stacklens_replays_total", outcome="ignored") >= 50,
        REPLAYED_S,
        "the ignored ones are counted",
    )


def produce_with_ids(way: WholeWay, ids: list[int], values: list[bytes]) -> None:
    """Messages with the header of a replay, made without the product."""
    producer = KafkaProducer(bootstrap_servers=way.topics.bootstrap_servers, acks="all")
    for letter_id, value in zip(ids, values, strict=True):
        headers = [("stacklens.dead-letter-id", str(letter_id).encode())]
        producer.send(way.topics.input, value=value, headers=headers)
    producer.flush()
    producer.close()


def test_a_letter_that_is_not_there_is_not_stored(way: WholeWay) -> None:
    produce_with_ids(way, [4711], [good_value()])
    way.send([Outgoing(0, good_value())])
    worker = way.start()
    wait_until(settled(way), REPLAYED_S, "every message is settled")
    assert way.database.rows("SELECT count(*) FROM analytics_events") == [(1,)]
    worker.expect(1, "stacklens_replays_total", outcome="ignored")


def test_list_show_and_discard(
    way: WholeWay, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    way.send(
        [
            Outgoing(0, b"bad \xff\x1b[31m", b"\x00key"),
            Outgoing(0, old_value(1)),
            Outgoing(0, good_value()),
        ]
    )
    worker = way.start()
    way.wait_settled()

    status, report = command("list")
    assert (status, report["count"], report["total"]) == (0, 2, 2)
    assert [row["reason"] for row in report["dead_letters"]] == ["too_old", "invalid_json"]
    newest, oldest = report["dead_letters"]
    assert (oldest["raw_value_hex"], oldest["raw_key_hex"]) == (
        b"bad \xff\x1b[31m".hex(),
        b"\x00key".hex(),
    )
    assert command("list", "--limit", "1")[1]["total"] == 2
    assert [r["id"] for r in command("list", "--reason", "too_old")[1]["dead_letters"]] == [
        newest["id"]
    ]
    assert command("list", "--topic", "another")[1]["count"] == 0

    capsys.readouterr()
    status, shown = command("show", str(oldest["id"]))
    assert (status, shown["raw_value_hex"], shown["status"]) == (
        0,
        oldest["raw_value_hex"],
        "pending",
    )
    printed = capsys.readouterr().out
    assert "bad \\xff\\x1b[31m" in printed
    assert "\x1b" not in printed
    assert command("show", "999999")[0] == 1

    status, discarded = command("discard", str(oldest["id"]), "999999")
    assert (status, discarded) == (1, {"discarded": [oldest["id"]], "not_pending": [999999]})
    assert command("replay", "--reason", "invalid_json")[0] == 1  # nothing pending matches
    wait_until(
        lambda: worker.metric("stacklens_dead_letters_pending") == 1, REPLAYED_S, "one is pending"
    )
    # A discarded one can be taken up again.
    status, report = command("replay", "--status", "discarded", "--wait", "60")
    assert (status, report["sent"], report["failed_again"]) == (1, 1, 1)
    assert letters(way)[0] == ("pending", 1, "invalid_json")
