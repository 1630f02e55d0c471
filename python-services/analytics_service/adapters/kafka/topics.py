"""The product's Kafka topics: which they are, creating them, looking at them.

kafka-python's admin client is used because it shows a topic's id, which tells a topic from its
namesake created anew. No call here makes the broker create a topic on its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAlreadyExistsError, for_code
from kafka.protocol.consumer.offsets import IsolationLevel

from analytics_service.config import Settings

DAY_MS = 86_400_000
DEAD_LETTER_MAX_BYTES = 2 * 1024 * 1024  # the largest input message with its headers still fits
CONNECT_TIMEOUT_MS = 10_000
REQUEST_TIMEOUT_MS = 30_000
# The library waits up to half a minute before it tries a broker again that was away.
RECONNECT_BACKOFF_MAX_MS = 1_000
VISIBLE_TIMEOUT_S = 30.0
_NO_ID = uuid.UUID(int=0)


class TopicError(Exception):
    """Something about the topics that an operator has to mend; the text says what."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as the product wants it."""

    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it. `topic_id` is None on brokers older than 2.8."""

    name: str
    partitions: int
    replication_factor: int
    topic_id: str | None


@dataclass(frozen=True, slots=True)
class TopicOutcome:
    """What became of one topic: `created`, `exists`, or `differs` (and left as it is)."""

    name: str
    outcome: str
    detail: str
    partitions: int


def wanted_topics(settings: Settings) -> tuple[TopicSpec, ...]:
    """The topics the settings ask for: input, alerts, dead letters."""
    replicas = settings.kafka_replication_factor
    week = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}
    letters = {
        "cleanup.policy": "delete",
        "retention.ms": str(30 * DAY_MS),
        "max.message.bytes": str(DEAD_LETTER_MAX_BYTES),
    }
    return (
        TopicSpec(settings.kafka_input_topic, settings.kafka_topic_partitions, replicas, week),
        TopicSpec(settings.kafka_output_topic, settings.kafka_alert_partitions, replicas, week),
        TopicSpec(settings.kafka_dlq_topic, settings.kafka_dlq_partitions, replicas, letters),
    )


def connect_admin(
    settings: Settings,
    request_timeout_ms: int = REQUEST_TIMEOUT_MS,
    connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
) -> KafkaAdminClient:
    """An admin client. Raises TopicError when no broker answers within `connect_timeout_ms`."""
    try:
        return KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
            client_id="stacklens-admin",
            bootstrap_timeout_ms=connect_timeout_ms,
            request_timeout_ms=request_timeout_ms,
            reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
        )
    except (KafkaTimeoutError, KafkaConnectionError) as error:
        servers = settings.kafka_bootstrap_servers
        raise TopicError(
            f"no Kafka broker answers at {servers} (KAFKA_BOOTSTRAP_SERVERS)"
        ) from error


@contextmanager
def open_admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An admin client, closed at the end. Raises TopicError when no broker answers within 10 s."""
    admin = connect_admin(settings)
    try:
        yield admin
    finally:
        admin.close()


def describe(admin: KafkaAdminClient, names: list[str]) -> dict[str, TopicState]:
    """Those of the named topics that exist, by name."""
    return {
        str(topic["name"]): _state(topic)
        for topic in admin.describe_topics(names)
        if topic["error_code"] == 0
    }


def create_topics(settings: Settings) -> list[TopicOutcome]:
    """Create the topics that are missing; those that exist are compared and never changed.

    Safe to run by several processes at once. The controller is asked, not the metadata: right after
    a topic was deleted these still show it. Raises TopicError when the broker refuses one.
    """
    with open_admin(settings) as admin:
        specs = wanted_topics(settings)
        created, refused = _create(admin, specs)
        expected = {s.name: created.get(s.name) for s in specs if s.name not in refused}
        present = _wait_until_visible(admin, expected) | describe(admin, list(refused))
        # Without the right to create topics, that they are there is enough.
        problems = [why for name, why in refused.items() if name not in present]
        if problems:
            raise TopicError("; ".join(problems))
        return [_outcome(spec, present[spec.name], spec.name in created) for spec in specs]


def list_topics(settings: Settings) -> list[tuple[TopicSpec, TopicState | None]]:
    """Each wanted topic beside what the broker has of it (None: missing)."""
    with open_admin(settings) as admin:
        specs = wanted_topics(settings)
        present = describe(admin, [spec.name for spec in specs])
        return [(spec, present.get(spec.name)) for spec in specs]


def end_offsets(admin: KafkaAdminClient, topic: str) -> dict[int, int]:
    """Where each partition of an existing topic ends for a reader that skips open transactions."""
    state = describe(admin, [topic])[topic]
    wanted = {TopicPartition(topic, p): OffsetSpec.LATEST for p in range(state.partitions)}
    found = admin.list_partition_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
    return {place.partition: int(info.offset) for place, info in found.items()}


def group_positions(admin: KafkaAdminClient, topic: str, group: str) -> dict[int, int]:
    """Where a consumer group that begins at the earliest message would read each partition of a topic on."""
    state = describe(admin, [topic])[topic]
    wanted = {TopicPartition(topic, p): OffsetSpec.EARLIEST for p in range(state.partitions)}
    begin = admin.list_partition_offsets(wanted)
    committed = admin.list_group_offsets({group: list(wanted)})[group]
    return {
        place.partition: max(
            int(info.offset), int(committed[place].offset) if place in committed else 0
        )
        for place, info in begin.items()
    }


def max_message_bytes(admin: KafkaAdminClient, topic: str) -> int:
    """Largest record batch the topic takes, in bytes."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    answer = admin.describe_configs([resource], config_filter="all")
    return int(answer["topic"][topic]["max.message.bytes"]["value"])


def differences(spec: TopicSpec, state: TopicState) -> list[str]:
    """In words, where a topic is not as wanted; more partitions than wanted are fine."""
    found = []
    if state.partitions < spec.partitions:
        found.append(f"{state.partitions} partitions, {spec.partitions} wanted")
    if state.replication_factor < spec.replication_factor:
        found.append(f"{state.replication_factor} replicas, {spec.replication_factor} wanted")
    return found


def _create(
    admin: KafkaAdminClient, specs: Sequence[TopicSpec]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Ids of the topics created now, and why others were refused; the rest existed."""
    request = {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication_factor,
            "configs": dict(spec.configs),
        }
        for spec in specs
    }
    created: dict[str, str | None] = {}
    refused: dict[str, str] = {}
    for answer in admin.create_topics(request, raise_errors=False)["topics"]:
        name, code = str(answer["name"]), answer["error_code"]
        if code == 0:
            created[name] = _id_text(answer.get("topic_id"))
        elif code != TopicAlreadyExistsError.errno:
            why = answer.get("error_message") or for_code(code).__name__
            refused[name] = f"topic {name} could not be created: {why}"
    return created, refused


def _wait_until_visible(
    admin: KafkaAdminClient, expected: Mapping[str, str | None]
) -> dict[str, TopicState]:
    """The topics, once the metadata show them with the ids expected (None: any) and leaders."""
    deadline = time.monotonic() + VISIBLE_TIMEOUT_S
    while True:
        present = describe(admin, list(expected))
        unseen = [
            name
            for name, identity in expected.items()
            if name not in present or identity not in (None, present[name].topic_id)
        ]
        if not unseen:
            admin.wait_for_topics(list(expected))
            return present
        if time.monotonic() > deadline:
            raise TopicError(f"created, but not seen since: {', '.join(unseen)}")
        time.sleep(0.05)


def _state(topic: dict[str, Any]) -> TopicState:
    partitions = topic["partitions"]
    replicas = min((len(part["replica_nodes"]) for part in partitions), default=0)
    identity = _id_text(topic.get("topic_id"))
    return TopicState(str(topic["name"]), len(partitions), replicas, identity)


def _id_text(identity: uuid.UUID | None) -> str | None:
    return None if identity in (None, _NO_ID) else str(identity)


def _outcome(spec: TopicSpec, state: TopicState, created: bool) -> TopicOutcome:
    found = differences(spec, state)
    outcome = "created" if created else "differs" if found else "exists"
    detail = "; ".join(found) + ("; left as it is" if found else "")
    return TopicOutcome(spec.name, outcome, detail, state.partitions)
