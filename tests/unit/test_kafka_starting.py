"""A broker that goes away while the worker starts is waited for, as one that is not up yet is."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownError
from faust.transport.drivers import aiokafka as driver

from analytics_service.adapters.kafka.patient_transport import (
    PatientConsumer,
    PatientConsumerThread,
    PatientTransport,
)
from analytics_service.adapters.kafka.starting import patient, start_patiently
from analytics_service.adapters.kafka.transport import (
    BatchConsumerThread,
    PatientProducer,
    Transport,
)


class Client:
    """A client whose starts end as listed, None being a success."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        self.waited: list[float] = []

    async def start(self) -> None:
        """One attempt."""
        end = self.ends.pop(0)
        if end is not None:
            raise end

    async def sleep(self, seconds: float) -> None:
        """Time that does not pass."""
        self.waited.append(seconds)


AWAY = KafkaConnectionError("Unable to bootstrap")


@pytest.mark.parametrize(
    ("failures", "waited"),
    [(0, []), (1, [2.0]), (3, [2.0, 4.0, 8.0]), (4, [2.0, 4.0, 8.0, 10.0])],
)
def test_tried_again_until_it_is_there(
    failures: int, waited: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(*[AWAY] * failures, None)
    asyncio.run(start_patiently(client.start, client.sleep))
    assert client.waited == waited
    assert client.ends == []
    attempts = [r.getMessage() for r in caplog.records if "Failed to reach Kafka" in r.getMessage()]
    assert len(attempts) == failures
    assert all(f"(attempt {n}/5)" in line for n, line in enumerate(attempts, start=1))


def test_given_up_after_five_attempts() -> None:
    client = Client(*[AWAY] * 5, None)
    with pytest.raises(KafkaConnectionError):
        asyncio.run(start_patiently(client.start, client.sleep))
    assert client.waited == [2.0, 4.0, 8.0, 10.0]
    assert client.ends == [None]


def test_another_error_is_not_waited_out() -> None:
    client = Client(UnknownError(), None)
    with pytest.raises(UnknownError):
        asyncio.run(start_patiently(client.start, client.sleep))
    assert client.waited == []


def test_a_patient_client_is_the_same_client() -> None:
    client = Client(None)
    assert patient(client) is client
    asyncio.run(client.start())
    assert client.ends == []


@pytest.mark.parametrize("kind", [AIOKafkaProducer, AIOKafkaConsumer])
def test_aiokafka_may_be_started_again_when_it_found_no_broker(
    kind: type[AIOKafkaProducer | AIOKafkaConsumer],
) -> None:
    async def twice() -> None:
        client = kind(bootstrap_servers="127.0.0.1:1")
        with contextlib.suppress(KafkaConnectionError):
            await client.start()
        try:
            with pytest.raises(KafkaConnectionError):  # and not an assertion about a second start
                await client.start()
        finally:
            await client.stop()

    asyncio.run(twice())


def test_the_workers_producer_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Client(None)
    monkeypatch.setattr(driver.Producer, "_new_producer", lambda *_: made)
    assert Transport.Producer is PatientProducer
    producer = PatientProducer.__new__(PatientProducer)
    assert producer._new_producer() is made
    assert "start" in vars(made)


def test_the_notifiers_clients_are_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Client(None)
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: made)
    thread = PatientConsumerThread.__new__(PatientConsumerThread)
    assert thread._create_worker_consumer(None) is made
    assert "start" in vars(made)
    assert PatientTransport.Producer is PatientProducer
    assert PatientTransport.Consumer is PatientConsumer


def test_the_workers_consumer_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Client(None)
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: made)
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    assert thread._create_worker_consumer(None) is made
    assert "start" in vars(made)
