"""Waiting at start: for the database, and for a broker, also one that goes away while the topics are seen to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError

from analytics_service import bootstrap
from analytics_service.adapters.kafka.topics import TopicError, TopicOutcome
from analytics_service.adapters.timescale.errors import PoolOpenError
from analytics_service.config import Settings, load_settings

CREATED = TopicOutcome("events", "created", "", 6)
TROUBLE = [
    TopicError("no Kafka broker answers at broker:9092 (KAFKA_BOOTSTRAP_SERVERS)"),
    KafkaConnectionError("socket disconnected"),
    KafkaTimeoutError("no answer"),
    NodeNotReadyError("1"),
]
Answers = Callable[[list[Exception | None]], list[float]]


@pytest.fixture
def settings() -> Settings:
    """As good as any: nothing is connected to."""
    return load_settings({}, env_file=None)


@pytest.fixture
def prepare(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Prepare the topics with a broker that answers so, None: well; returns how long each wait was, in seconds.

    A real broker cannot be made to go away between two requests of one client.
    """

    def run(answers: list[Exception | None]) -> list[float]:
        coming: Iterator[Exception | None] = iter(answers)
        waits: list[float] = []

        def create_topics(given: Settings) -> list[TopicOutcome]:
            assert given is settings
            trouble = next(coming)
            if trouble is not None:
                raise trouble
            return [CREATED]

        monkeypatch.setattr(bootstrap, "create_topics", create_topics)
        bootstrap.prepare_topics(settings, waits.append)
        assert list(coming) == []
        return waits

    return run


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_a_broker_that_goes_away_is_waited_for(
    prepare: Answers, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert prepare([trouble, trouble, None]) == [2.0, 4.0]
    assert f"Failed to reach Kafka (attempt 2/5): {trouble}. Retrying in 4.0s..." in caplog.text
    assert "topic events: created" in caplog.text


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_one_that_stays_away_is_told(prepare: Answers, trouble: Exception) -> None:
    with pytest.raises(type(trouble)) as raised:
        prepare([trouble] * 5)
    assert raised.value is trouble


def test_a_defect_is_not_waited_out(prepare: Answers) -> None:
    with pytest.raises(ZeroDivisionError):
        prepare([ZeroDivisionError()])


@pytest.mark.parametrize("pool_min", ["0", "1"])
def test_a_database_that_is_down_is_tried_five_times_in_all(
    pool_min: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a connection kept open, migrating is the first to notice; what it tried is not tried again."""
    nobody = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_POOL_MIN": pool_min}
    waits: list[float] = []
    with pytest.raises(PoolOpenError, match="after 5 attempts"):
        bootstrap.prepare_database(load_settings(nobody, env_file=None), "test", waits.append)
    assert waits == [2.0, 4.0, 8.0, 10.0]
    assert caplog.text.count("Failed to initialize connection pool after 5 attempts") == 1
