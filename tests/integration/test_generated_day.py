"""A made-up day with every form and every fault: the tables are what a single pass gives."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.integration.sending import Outgoing
from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import wait_stored
from tests.reference.generated_day import generated_day, shuffled
from tests.stack_fixtures import INPUT_PARTITIONS

SEED = 20_260_131
EVENTS = 12_000


def outgoing(seed: int, *, shuffle: bool) -> list[Outgoing]:
    """The day's messages, with keys here and there, on partitions drawn at random."""
    rng = random.Random(seed)
    values = generated_day(seed, datetime.now(UTC), EVENTS)
    return [
        Outgoing(
            rng.randrange(INPUT_PARTITIONS), value, rng.choice((None, b"", b"key \x00\xff\t\\N"))
        )
        for value in (shuffled(values, seed) if shuffle else values)
    ]


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
def test_tables_are_what_a_single_pass_gives(way: WholeWay, shuffle: bool) -> None:
    way.send(outgoing(SEED, shuffle=shuffle))
    worker = way.start().wait_ready()
    way.wait_settled()

    assert way.differences() == []

    # Consumed = stored + dead-lettered, by the metrics too.
    expected = way.expected()
    worker.expect(len(way.sent), "stacklens_events_consumed_total")
    worker.expect(len(expected.events), "stacklens_events_stored_total")
    by_reason = Counter(expected.rejected.values())
    for reason, count in by_reason.items():
        worker.expect(count, "stacklens_events_dead_lettered_total", reason=reason)
    worker.expect(by_reason.total(), "stacklens_events_dead_lettered_total")
    rows = way.database.rows(
        "SELECT sum(events_stored), sum(events_dead_lettered), sum(events_lost) FROM kafka_offsets"
    )
    assert rows == [(len(expected.events), by_reason.total(), 0)]
    assert worker.terminate() == 0


def test_two_workers_give_the_same(way: WholeWay) -> None:
    first, second = way.start(), way.start()
    first.wait_ready()
    second.wait_ready()
    # Only now, so that both have partitions to read from.
    way.send(outgoing(SEED + 1, shuffle=True))
    way.wait_settled()

    assert way.differences() == []
    wait_stored([first, second], len(way.expected().events))
    stored = [worker.metric("stacklens_events_stored_total") for worker in (first, second)]
    assert all(stored), f"one worker had nothing to do: {stored}"
