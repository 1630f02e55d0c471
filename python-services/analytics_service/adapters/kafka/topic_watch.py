"""Which topic stands behind a name right now, asked often over one connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from analytics_service.adapters.kafka.topics import (
    TopicError,
    connect_admin,
    describe,
    end_offsets,
    group_positions,
)
from analytics_service.config import Settings

REQUEST_TIMEOUT_MS = 5_000
# Short: nothing is stored until the broker has answered, and it is asked again and again.
CONNECT_TIMEOUT_MS = 3_000

T = TypeVar("T")


class TopicWatch:
    """Asks the brokers about one topic; any thread may, one at a time is served."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    def topic_id(self) -> str | None:
        """Id of the topic's present incarnation; None without the topic. Raises KafkaError or TopicError."""
        return self._ask(self._topic_id)

    def look(self) -> tuple[str | None, dict[int, int]]:
        """The id, and where each partition ends (see `end_offsets`). Raises KafkaError or TopicError."""
        return self._ask(self._id_and_ends)

    def positions(self, group: str) -> dict[int, int]:
        """Where a group reads each partition on (see `group_positions`). Raises KafkaError, TopicError or KeyError."""
        return self._ask(lambda admin: group_positions(admin, self._topic, group))

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        with self._lock:
            self._discard()

    def _topic_id(self, admin: KafkaAdminClient) -> str | None:
        state = describe(admin, [self._topic]).get(self._topic)
        return None if state is None else state.topic_id

    def _id_and_ends(self, admin: KafkaAdminClient) -> tuple[str | None, dict[int, int]]:
        found = self._topic_id(admin)
        return found, {} if found is None else end_offsets(admin, self._topic)

    def _ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        with self._lock:
            try:
                if self._admin is None:
                    self._admin = connect_admin(
                        self._settings, REQUEST_TIMEOUT_MS, CONNECT_TIMEOUT_MS
                    )
                return question(self._admin)
            except (KafkaError, TopicError, OSError):
                self._discard()
                raise

    def _discard(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
