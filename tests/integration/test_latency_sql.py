"""Percentiles over many rows in SQL, against nearest rank over the latencies themselves."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.databases import Database

RELATIVE_ERROR = 0.009
SIZES = (1, 3, 50, 400)
ZERO_BUCKET = -1_000_000
INSERT = """
INSERT INTO analytics_metrics_1hour
    (timestamp, service, latency_min_ms, latency_max_ms, latency_buckets, latency_bucket_counts)
VALUES (%s, %s, %s, %s, %s::int[], %s::bigint[])
"""
MERGED = """
SELECT stacklens.latency_percentile((merged).buckets, (merged).counts, %s, lowest, highest)
FROM (
    SELECT
        stacklens.latency_merge((latency_buckets, latency_bucket_counts)::stacklens.latency_histogram)
            AS merged,
        min(latency_min_ms) AS lowest,
        max(latency_max_ms) AS highest
    FROM analytics_metrics_1hour
) AS whole
"""
ONE = "SELECT stacklens.latency_percentile(%s::int[], %s::bigint[], %s, %s, %s)"


def bucket_of(latency_ms: float) -> int:
    """The bucket by its definition: the first whose upper bound is not below the latency."""
    if latency_ms == 0:
        return ZERO_BUCKET
    gamma = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
    return math.ceil(math.log(latency_ms) / math.log(gamma))


def nearest_rank(latencies: list[float], percent: int) -> float:
    """The ceil(p*n)-th smallest, in whole numbers."""
    rank = max(1, -(-percent * len(latencies) // 100))
    return sorted(latencies)[rank - 1]


@pytest.mark.parametrize("percent", [0, 1, 7, 50, 95, 99, 100])
def test_merged_percentiles_are_within_one_percent(database: Database, percent: int) -> None:
    """Rows of very different sizes and values: only their merged histogram gives the percentile."""
    rng = random.Random(percent)
    everything: list[float] = []
    with database.cursor() as cursor:
        for hour in range(24):
            latencies = [
                rng.lognormvariate(rng.uniform(-2, 7), 1.5) for _ in range(rng.choice(SIZES))
            ]
            latencies += [0.0] * rng.choice([0, 2])
            cells = sorted(Counter(map(bucket_of, latencies)).items())
            buckets, counts = ([cell[half] for cell in cells] for half in (0, 1))
            extremes = (min(latencies), max(latencies))
            at = datetime(2026, 1, 1, hour, tzinfo=UTC)
            cursor.execute(INSERT, (at, "checkout", *extremes, buckets, counts))
            everything += latencies
    ((found,),) = database.rows(MERGED, percent / 100)
    assert found == pytest.approx(nearest_rank(everything, percent), rel=0.01, abs=0)


@pytest.mark.parametrize(
    ("buckets", "counts", "p", "lowest", "highest", "expected"),
    [
        ([], [], 0.5, None, None, None),  # nothing carried a latency
        ([ZERO_BUCKET], [3], 0.99, 0, 0, 0.0),  # all exactly zero
        ([ZERO_BUCKET, 0], [1, 1], 0.5, 0, 1, 0.0),  # the first of two is the median
        ([0], [1], 0.5, 1, 1, 1.0),  # kept within the exact minimum and maximum
        ([0, 1000], [93, 7], 0.93, 1, 1, 1.0),  # 0.93 * 100 is 93, not 93.00000000000001
        ([0, 0], [1, 1], 1.0, 1, 1, 1.0),  # a bucket told twice counts twice
    ],
)
def test_edges(
    database: Database,
    buckets: list[int],
    counts: list[int],
    p: float,
    lowest: float | None,
    highest: float | None,
    expected: float | None,
) -> None:
    """Ranks are computed in decimal, and the result never leaves the exact range."""
    assert database.rows(ONE, buckets, counts, p, lowest, highest) == [(expected,)]


def test_a_rank_is_not_off_by_one_for_rounding(database: Database) -> None:
    """In binary 0.07 * 100 is a little more than 7, which would be rank 8."""
    gamma = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
    query = """
        SELECT stacklens.latency_percentile(%s::int[], %s::bigint[], p, 0, 1e9)
        FROM unnest(%s::float8[]) WITH ORDINALITY AS ps (p, place) ORDER BY place
    """
    percents = range(1, 101)
    found = database.rows(query, list(percents), [1] * 100, [percent / 100 for percent in percents])
    expected = [2 * gamma**percent / (gamma + 1) for percent in percents]
    assert [row[0] for row in found] == pytest.approx(expected, rel=1e-12)


def test_merging_adds_bucket_by_bucket(database: Database) -> None:
    """In ascending order, whatever the order of rows; empty rows and no rows are no problem."""
    query = """
        SELECT (merged).buckets, (merged).counts FROM (
            SELECT stacklens.latency_merge((b, c)::stacklens.latency_histogram) AS merged
            FROM (VALUES (%s::int[], %s::bigint[]), (%s::int[], %s::bigint[]), ('{}', '{}')) AS v (b, c)
            WHERE %s
        ) AS whole
    """
    rows = database.rows(query, [-3, 5], [1, 2**40], [5, -1_000_000], [2, 4], True)
    assert rows == [([-1_000_000, -3, 5], [4, 1, 2**40 + 2])]
    assert database.rows(query, [], [], [], [], False) == [([], [])]


def test_the_bucket_bounds_are_those_of_the_definition(database: Database) -> None:
    """The value that stands for a bucket is within the promised error of both its bounds."""
    ((gamma,),) = database.rows("SELECT stacklens.latency_gamma()")
    assert gamma == (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
    for bucket in (-700, -1, 0, 1, 2, 500, 1500):
        ((middle,),) = database.rows("SELECT stacklens.latency_bucket_value(%s)", bucket)
        assert middle / gamma ** (bucket - 1) - 1 == pytest.approx(RELATIVE_ERROR, rel=1e-6)
        assert 1 - middle / gamma**bucket == pytest.approx(RELATIVE_ERROR, rel=1e-6)
