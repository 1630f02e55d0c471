"""Faust's own way to Kafka, but for a broker that goes away while the process starts: it is waited for."""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from analytics_service.adapters.kafka.starting import patient
from analytics_service.adapters.kafka.transport import PatientProducer

SCHEME = "stacklens-patient"


class PatientConsumerThread(driver.AIOKafkaConsumerThread):
    """aiokafka in its own thread."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        return patient(super()._create_worker_consumer(transport))


class PatientConsumer(driver.Consumer):
    """Faust's consumer with that thread."""

    def _new_consumer_thread(self) -> PatientConsumerThread:
        return PatientConsumerThread(self, loop=self.loop, beacon=self.beacon)


class PatientTransport(driver.Transport):
    """Faust's aiokafka transport with patient clients."""

    Consumer = PatientConsumer
    Producer = PatientProducer


def register() -> str:
    """Make it known to Faust; returns the URL scheme."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:PatientTransport"
    return SCHEME
