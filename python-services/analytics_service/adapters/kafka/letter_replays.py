"""Dead letters sent to their topic once more, each saying which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from analytics_service.adapters.kafka.raw_producer import (
    ACKNOWLEDGE_TIMEOUT_S,
    REFUSALS,
    wire_value,
)
from analytics_service.adapters.timescale.dead_letter_queries import StoredLetter
from analytics_service.domain.replays import replay_header


@dataclass(slots=True)
class Sent:
    """Ids of the letters that the broker took, and why it refused others."""

    taken: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def send_again(producer: KafkaProducer, letters: Sequence[StoredLetter]) -> Sent:
    """Send original key and bytes with the letter's id; waits for every acknowledgement.

    `producer` comes from `open_raw_producer`. Raises KafkaError when the broker fails: what it had taken by then is
    in the topic, and sending it again does no harm.
    """
    sent = Sent()
    waiting: list[tuple[StoredLetter, Any]] = []
    for letter in letters:
        try:
            future = producer.send(
                letter.topic,
                value=wire_value(letter.raw_value),
                key=letter.raw_key,
                headers=[replay_header(letter.id)],
            )
            waiting.append((letter, future))
        except REFUSALS as error:
            sent.refused[letter.id] = _why(error)
    for letter, future in waiting:
        try:
            future.get(timeout=ACKNOWLEDGE_TIMEOUT_S)
            sent.taken.append(letter.id)
        except REFUSALS as error:
            sent.refused[letter.id] = _why(error)
    return sent


def _why(error: KafkaError) -> str:
    return f"{type(error).__name__}: {error}"
