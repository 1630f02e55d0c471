"""The way from Kafka to the tables, as the integration tests have it."""

from tests.integration.conftest import way

__all__ = ["way"]
