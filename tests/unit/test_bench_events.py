"""The bench's events: what is sent is what it is checked against."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from bench.events import BLOCK, LEVELS, SERVICES, Recipe, join, service_name
from bench.paced_producer import stamped

END_US = 1_700_000_000_123_456
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_json_says_what_the_columns_say() -> None:
    (block,) = Recipe(500, END_US).blocks()
    columns = block.columns
    for i, value in enumerate(block.values):
        event = json.loads(value)
        moment = datetime.fromisoformat(event["timestamp"])
        address = int(columns.address[i])
        assert moment == EPOCH + timedelta(microseconds=int(columns.timestamp_us[i]))
        assert event["service"] == SERVICES[columns.service[i]]
        assert event["level"] == LEVELS[columns.level[i]]
        assert event["risk_score"] == columns.risk[i]
        assert event["user_id"] == (f"user-{columns.user[i]}" if columns.user[i] >= 0 else None)
        assert event["source_ip"] == f"10.0.{address // 256}.{address % 256}"
        if event["latency_ms"] is None:
            assert np.isnan(columns.latency_ms[i])
        else:
            assert event["latency_ms"] == columns.latency_ms[i]
        assert 230 <= len(value) <= 320


def test_times_rise_evenly_up_to_the_end() -> None:
    (block,) = Recipe(1000, END_US, span_s=600.0).blocks()
    times = block.columns.timestamp_us.tolist()
    assert all(one <= other for one, other in pairwise(times))
    assert times[0] >= END_US - 600_000_000
    assert times[-1] <= END_US
    assert abs(np.median(times) - (END_US - 300_000_000)) < 2_000_000


def test_the_first_events_are_the_same_whatever_is_taken() -> None:
    recipe = Recipe(BLOCK + 100, END_US)
    everything = list(recipe.blocks())
    some = list(recipe.blocks(limit=BLOCK + 10))
    values = [value for block in some for value in block.values]
    assert values == [value for block in everything for value in block.values][: BLOCK + 10]
    assert len(join([block.columns for block in some])) == BLOCK + 10


def test_another_seed_gives_other_events() -> None:
    (one,) = Recipe(10, END_US).blocks()
    (other,) = Recipe(10, END_US, seed=1).blocks()
    assert one.values != other.values


def test_a_stamped_event_differs_in_its_time_only() -> None:
    (block,) = Recipe(3, END_US).blocks()
    for before, after in zip(
        block.values, stamped(block.values, 1_500_000_000_000_000), strict=True
    ):
        event = json.loads(after)
        assert event.pop("timestamp") == "2017-07-14T02:40:00.000000+00:00"
        expected = json.loads(before)
        del expected["timestamp"]
        assert event == expected


def test_as_many_services_as_wanted() -> None:
    (block,) = Recipe(2_000, END_US, services=1_000).blocks()
    numbers = block.columns.service.tolist()
    assert max(numbers) > 900
    names = [json.loads(value)["service"] for value in block.values]
    expected = [SERVICES[n] if n < 20 else f"service-{n}" for n in numbers]
    assert names == expected
    assert len({service_name(n) for n in range(1_000)}) == 1_000
