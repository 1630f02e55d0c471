"""`stacklens topics` on a real broker."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from analytics_service.adapters.kafka.topic_watch import TopicWatch
from analytics_service.adapters.kafka.topics import (
    TopicError,
    create_topics,
    list_topics,
    max_message_bytes,
    open_admin,
)
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.cli.main import run
from devstack.api import Stack
from devstack.ports import free_port
from tests.stack_fixtures import kafka_admin


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    """An admin client of the test's own."""
    with kafka_admin(stack) as client:
        yield client


@pytest.fixture
def env(stack: Stack, admin: KafkaAdminClient) -> Iterator[dict[str, str]]:
    """Settings that name three topics which do not exist yet."""
    names = [f"{kind}-{secrets.token_hex(4)}" for kind in ("in", "out", "dlq")]
    variables = ("KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC", "KAFKA_DLQ_TOPIC")
    yield {**stack.env, **dict(zip(variables, names, strict=True)), "KAFKA_TOPIC_PARTITIONS": "4"}
    admin.delete_topics(names, raise_errors=False)


@pytest.fixture
def settings(env: dict[str, str]) -> Settings:
    """The same as settings."""
    return load_settings(env, env_file=None)


def configs_of(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    """The topic's own configuration."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return {name: entry["value"] for name, entry in found.items()}


def test_topics_are_as_the_contract_says(settings: Settings, admin: KafkaAdminClient) -> None:
    assert [outcome.outcome for outcome in create_topics(settings)] == ["created"] * 3
    names = (settings.kafka_input_topic, settings.kafka_output_topic, settings.kafka_dlq_topic)
    described = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
    assert [len(described[name]["partitions"]) for name in names] == [4, 3, 3]
    day_ms = 24 * 3600 * 1000
    kept = [int(configs_of(admin, name)["retention.ms"]) for name in names]
    assert kept == [7 * day_ms, 7 * day_ms, 30 * day_ms]
    with open_admin(settings) as own:
        assert max_message_bytes(own, settings.kafka_dlq_topic) == 2 * 1024 * 1024
        assert 1_000_000 <= max_message_bytes(own, settings.kafka_input_topic) < 1_100_000


def test_creating_again_changes_nothing(settings: Settings, admin: KafkaAdminClient) -> None:
    create_topics(settings)
    more = replace(settings, kafka_topic_partitions=6, kafka_dlq_partitions=2)
    outcomes = create_topics(more)
    assert [outcome.outcome for outcome in outcomes] == ["differs", "exists", "exists"]
    assert outcomes[0].detail == "4 partitions, 6 wanted; left as it is"
    (described,) = admin.describe_topics([settings.kafka_input_topic])
    assert len(described["partitions"]) == 4


def test_several_processes_may_create_at_once(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(create_topics, [settings] * 4))
    outcomes = [outcome.outcome for result in results for outcome in result]
    assert set(outcomes) <= {"created", "exists"}
    assert outcomes.count("created") == 3


def test_a_refused_topic_is_told(settings: Settings) -> None:
    with pytest.raises(TopicError, match=r"topic .* could not be created: .*[Rr]eplication"):
        create_topics(replace(settings, kafka_replication_factor=3))


@pytest.fixture
def watch(settings: Settings) -> Iterator[TopicWatch]:
    """Asks for the input topic."""
    with contextlib.closing(TopicWatch(settings, settings.kafka_input_topic)) as opened:
        yield opened


def test_a_topic_created_anew_has_another_id(
    settings: Settings, admin: KafkaAdminClient, watch: TopicWatch
) -> None:
    assert watch.look() == (None, {})
    create_topics(settings)
    first, ends = watch.look()
    assert first
    assert set(ends.values()) == {0}
    assert watch.topic_id() == first
    admin.delete_topics([settings.kafka_input_topic])
    create_topics(settings)
    assert watch.topic_id() not in (None, first)


def test_looking_never_creates(settings: Settings, watch: TopicWatch) -> None:
    assert [state for _, state in list_topics(settings)] == [None] * 3
    assert watch.topic_id() is None
    assert [state for _, state in list_topics(settings)] == [None] * 3


def test_no_broker_is_one_clear_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_service.adapters.kafka.topics.CONNECT_TIMEOUT_MS", 200)
    nowhere = replace(settings, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(TopicError, match=r"no Kafka broker answers at 127\.0\.0\.1:\d+"):
        create_topics(nowhere)


def test_the_commands(
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run(["topics", "list"]) == 1
    assert capsys.readouterr().out.count("missing") == 3
    assert run(["topics", "create", "--output-json", "made.json"]) == 0
    made = json.loads((tmp_path / "made.json").read_text())["topics"]
    assert [topic["outcome"] for topic in made] == ["created"] * 3
    assert run(["topics", "list", "--output-json", "listed.json"]) == 0
    listed = json.loads((tmp_path / "listed.json").read_text())["topics"]
    assert [(t["topic"], t["partitions"], t["state"]) for t in listed] == [
        (env["KAFKA_INPUT_TOPIC"], "4", "ok"),
        (env["KAFKA_OUTPUT_TOPIC"], "3", "ok"),
        (env["KAFKA_DLQ_TOPIC"], "3", "ok"),
    ]
    monkeypatch.setenv("KAFKA_TOPIC_PARTITIONS", "9")
    assert run(["topics", "list"]) == 0
    assert "4 partitions, 9 wanted" in capsys.readouterr().out
