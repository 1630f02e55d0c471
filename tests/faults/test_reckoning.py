"""The reckoning finds what is lost, doubled or changed, wherever it is."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from tests.faults.judge import Copy, copy_differences, reckon, unacknowledged
from tests.faults.traffic import values
from tests.integration.whole_way import WholeWay
from tests.reference.brute_force import Expected, Message
from tests.waiting import wait_until

PENDING = "SELECT count(*) FROM analytics_dead_letters WHERE topic_copy = 'pending'"
DAMAGE = {
    "analytics_events: ": "DELETE FROM analytics_events WHERE ctid = (SELECT min(ctid) FROM analytics_events)",
    "is there twice": """INSERT INTO analytics_events SELECT * FROM analytics_events
                         WHERE (kafka_partition, kafka_offset) =
                             (SELECT kafka_partition, max(kafka_offset) FROM analytics_events
                              GROUP BY kafka_partition ORDER BY kafka_partition DESC LIMIT 1)""",
    "analytics_metrics_1min ": """UPDATE analytics_metrics_1min SET total_requests = total_requests + 1
                                  WHERE timestamp = (SELECT max(timestamp) FROM analytics_metrics_1min)""",
    "analytics_metrics_5min: no row": """DELETE FROM analytics_metrics_5min
                                         WHERE timestamp = (SELECT max(timestamp) FROM analytics_metrics_5min)""",
    "analytics_metrics_1hour ": "UPDATE analytics_metrics_1hour SET unique_users = unique_users + 1",
    "its bytes are not those": """UPDATE analytics_dead_letters SET raw_value = 'other'::bytea
                                  WHERE id = (SELECT min(id) FROM analytics_dead_letters)""",
    "analytics_dead_letters: ": """DELETE FROM analytics_dead_letters
                                   WHERE id = (SELECT max(id) FROM analytics_dead_letters)""",
    "kafka_offsets, partition 3: ": "UPDATE kafka_offsets SET next_offset = next_offset - 1 WHERE kafka_partition = 3",
    "the topic lost": None,
}


@pytest.mark.slow
def test_every_kind_of_damage_is_found(way: WholeWay) -> None:
    worker = way.start()
    sent = way.send_values(value for value in islice(values(1, time.time), 3_000) if value)
    way.wait_settled()
    wait_until(lambda: way.database.rows(PENDING) == [(0,)], 60.0, "every copy is there")
    assert worker.terminate() == 0

    acknowledged = {(m.partition, m.offset): m.value for m in sent}
    whole = reckon(way.database, way.topics, acknowledged)
    assert whole.differences == []
    assert whole.figures["in the topic"] == len(sent)
    assert whole.figures["raw rows"] + whole.figures["dead letters"] == len(sent)
    assert whole.figures["copies"] == whole.figures["dead letters"] > 0

    for words, statement in DAMAGE.items():
        if statement is None:
            acknowledged[0, 10**9] = b"never arrived"
        else:
            way.database.execute(statement)
        found = reckon(way.database, way.topics, acknowledged).differences
        assert any(words in difference for difference in found), (words, found)


def rejected(*places: tuple[int, int]) -> Expected:
    """Dead letters at these places, each with the bytes `bad`."""
    expected = Expected()
    for place in places:
        expected.rejected[place] = "invalid_json"
        expected.values[place] = b"bad"
    return expected


def copy(partition: int, offset: int, reason: str = "invalid_json", value: bytes = b"bad") -> Copy:
    """A copy of the message there in topic t."""
    return Copy(("t", partition, offset), reason, value)


def test_copies_may_come_twice_but_not_lack_or_differ() -> None:
    expected = rejected((0, 1), (2, 3))
    both = [copy(0, 1), copy(2, 3)]
    assert copy_differences(expected, both, "t") == []
    assert copy_differences(expected, [*both, copy(0, 1)], "t") == []
    assert len(copy_differences(expected, both[:1], "t")) == 1
    assert len(copy_differences(expected, [*both, copy(5, 5)], "t")) == 1
    assert len(copy_differences(expected, [*both, copy(0, 1, value=b"other")], "t")) == 1
    assert len(copy_differences(expected, [copy(0, 1, "empty"), copy(2, 3)], "t")) == 1
    assert len(copy_differences(expected, both, "other topic")) == 4


def test_what_was_acknowledged_must_be_there() -> None:
    messages = [Message(0, 0, b"a"), Message(0, 1, b"b")]
    assert unacknowledged(messages, {(0, 0): b"a"}) == []
    assert unacknowledged(messages, {(0, 0): b"x"}) != []
    assert unacknowledged(messages, {(0, 2): b"a"}) != []
