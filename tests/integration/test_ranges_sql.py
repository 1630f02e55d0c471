"""Sums and percentiles over any range in SQL, against a brute-force pass over the same samples.

          day 0        day 1        day 2        day 3 (today)
service a  valid        listed, not   no row       -
service b  valid        valid         valid        -
1min                                 from noon of day 2 in some tests (archived before)
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from fractions import Fraction

import pytest

from tests.databases import Database
from tests.integration.filled_windows import Sample, Total, fill, moment, totals

DAY0 = 1_790_035_200  # 2026-09-22, a day's start
DAY = 86_400
HOUR = 3_600
END = DAY0 + 3 * DAY + 7 * HOUR
RANGES = 40
QUERY = """
SELECT service, total_requests, failed_requests, latency_min_ms, latency_max_ms, high_risk_count, error_rate,
    latency_mean_ms, stacklens.latency_percentiles(latency, '{0.5,0.95,0.99}', latency_min_ms, latency_max_ms)
FROM stacklens.service_totals(%s, %s)
"""


def samples(seed: int, count: int = 4000) -> list[Sample]:
    """Made-up events of two services, thick at the ends of windows, where a mistake would show."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        at = rng.randrange(DAY0, END)
        if rng.random() < 0.3:
            at = at - at % rng.choice([60, 300, HOUR, DAY]) - rng.choice([0, 1])
        made.append(
            Sample(
                at_s=max(at, DAY0),
                service=rng.choice("ab"),
                latency_ms=None
                if rng.random() < 0.1
                else rng.choice([0.0, rng.lognormvariate(3, 2)]),
                failed=rng.random() < 0.2,
                risk=rng.choice([None, 0.1, 0.9]),
            )
        )
    return made


def store(database: Database, made: Sequence[Sample]) -> None:
    """All windows, and days as drawn above; what must not be read holds numbers that would show."""
    for window in ("1min", "5min", "1hour"):
        fill(database, window, made)
    days = [s for s in made if s.at_s < DAY0 + 3 * DAY]
    fill(database, "1day", days)
    database.execute("UPDATE analytics_metrics_1day SET is_valid = true")
    database.execute(
        "UPDATE analytics_metrics_1day SET is_valid = false, total_requests = 1000000"
        " WHERE service = 'a' AND timestamp = %s",
        moment(DAY0 + DAY),
    )
    database.execute(
        "DELETE FROM analytics_metrics_1day WHERE service = 'a' AND timestamp = %s",
        moment(DAY0 + 2 * DAY),
    )


def ranges(seed: int) -> list[tuple[int, int]]:
    """Ranges of every length, often beginning or ending where a window does."""
    rng = random.Random(seed)

    def at() -> int:
        found = rng.randrange(DAY0 - HOUR, END + HOUR)
        return found - found % rng.choice([1, 1, 60, 300, HOUR, DAY])

    pairs = [tuple(sorted((at(), at()))) for _ in range(RANGES)]
    short = [(since, since + rng.randrange(1, 600)) for since, _ in pairs[:15]]
    return [(since, until) for since, until in (*pairs, *short) if since < until]


def check(database: Database, expected: dict[str, Total], since_s: int, until_s: int) -> None:
    """Every figure of the range, for every service."""
    found = {row[0]: row[1:] for row in database.rows(QUERY, moment(since_s), moment(until_s))}
    assert found.keys() == expected.keys()
    for service, want in expected.items():
        total, failed, lowest, highest, high_risk, error_rate, mean, percentiles = found[service]
        assert (total, failed, high_risk) == (want.total, want.failed, want.high_risk)
        assert (lowest, highest) == (want.lowest, want.highest)
        assert error_rate == pytest.approx(100 * want.failed / want.total)
        if not want.latencies:
            assert (mean, percentiles) == (None, None)
            continue
        assert mean == pytest.approx(sum(want.latencies) / len(want.latencies))
        nearest = [want.percentile(percent) for percent in (50, 95, 99)]
        assert percentiles == pytest.approx(nearest, rel=0.01, abs=0)


def rounded(since_s: int, until_s: int, step: int) -> tuple[int, int]:
    """The range, outwards to multiples of `step`."""
    return since_s - since_s % step, until_s + -until_s % step


@pytest.mark.parametrize("marked_days", [None, 0, 2, 3])
def test_any_range_is_covered_exactly_once(database: Database, marked_days: int | None) -> None:
    """However far the days are listed: unlisted ones are looked for, listed ones relied on."""
    made = samples(1)
    store(database, made)
    if marked_days is not None:
        database.execute(
            "UPDATE daily_level SET marked_before = %s", moment(DAY0 + marked_days * DAY)
        )
        if marked_days == 3:  # then the day without a row is listed as well
            database.execute(
                "INSERT INTO analytics_metrics_1day (timestamp, service) VALUES (%s, 'a')",
                moment(DAY0 + 2 * DAY),
            )
    for since, until in ranges(marked_days or 7):
        check(database, totals(made, *rounded(since, until, 60)), since, until)
    assert database.rows(
        "SELECT sum(total_requests)::int FROM stacklens.service_totals('-infinity', 'infinity')"
    ) == [(len(made),)]


@pytest.mark.both_postgres
def test_a_range_begins_where_its_tiers_begin(database: Database) -> None:
    """Minutes from day 2 on, everything else from day 1 on; what lies below is not read even if it is there."""
    made = samples(2)
    store(database, made)
    minutes_from, all_from = DAY0 + 2 * DAY, DAY0 + DAY
    for tier, at in (("warm", minutes_from), ("cold", all_from)):
        database.execute(
            "UPDATE retention_tiers SET archived_before = %s WHERE tier = %s", moment(at), tier
        )
    for since, until in ranges(3):
        first = rounded(since, until, 60 if since >= minutes_from else 300)[0]
        last = rounded(since, until, 60 if until > minutes_from else 300)[1]
        check(database, totals(made, max(first, all_from), last), since, until)


@pytest.mark.parametrize(
    ("kept", "step"),
    [("1min,1hour", 60), ("5min,1hour", 300), ("1min,5min", 60), ("1min", 60), ("1hour", HOUR)],
)
def test_windows_that_are_not_kept_are_not_read(database: Database, kept: str, step: int) -> None:
    """AGGREGATION_WINDOWS may leave some out; rows of an earlier setting say nothing."""
    made = samples(3)
    store(database, made)
    for window in {"1min", "5min", "1hour"} - set(kept.split(",")):
        # The table names are fixed.
        database.execute(f"UPDATE analytics_metrics_{window} SET total_requests = 1000000")  # noqa: S608
    database.execute("INSERT INTO system_config VALUES ('aggregation_windows', %s)", kept)
    for since, until in ranges(4)[:30]:
        check(database, totals(made, *rounded(since, until, step)), since, until)


@pytest.mark.both_postgres
def test_only_chunks_of_the_range_are_opened(database: Database) -> None:
    """Three days of chunks a table; an hour ago touches one of each."""
    made = samples(4, 500)
    store(database, made)
    plan = database.rows(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)"
        " SELECT * FROM stacklens.service_totals(%s, %s)",
        moment(END - HOUR),
        moment(END),
    )
    lines = [line for (line,) in plan]
    opened = [line for line in lines if "_chunk" in line and "never executed" not in line]
    opened = [line for line in opened if "Index Cond" not in line]
    assert len(opened) <= 6
    assert sum("Chunks excluded during runtime: 3" in line for line in lines) >= 4


def test_a_service_alone_is_found_by_its_index(database: Database) -> None:
    """A condition on the service reaches each table."""
    made = samples(5, 500)
    store(database, made)
    found = database.rows(
        "SELECT total_requests FROM stacklens.service_totals(%s, %s) WHERE service = 'b'",
        moment(DAY0 + 5),
        moment(END),
    )
    assert found == [(totals(made, DAY0, END)["b"].total,)]


@pytest.mark.both_postgres
def test_percentiles_at_once_are_those_one_by_one(database: Database) -> None:
    """In the order asked for; nothing of an empty histogram."""
    rows = database.rows(
        "SELECT stacklens.latency_percentiles(({1,5,9}, {3,1,1})::stacklens.latency_histogram, p, 0, 1e9),"
        " ARRAY(SELECT stacklens.latency_percentile('{1,5,9}', '{3,1,1}', each, 0, 1e9)"
        " FROM unnest(p) WITH ORDINALITY AS ps (each, place) ORDER BY place)"
        " FROM (VALUES ('{0.99,0.5,0.8,0}'::float8[])) AS v (p)".replace(
            "({1,5,9}, {3,1,1})", "('{1,5,9}'::int[], '{3,1,1}'::bigint[])"
        )
    )
    ((at_once, one_by_one),) = rows
    assert at_once == one_by_one
    empty = "SELECT stacklens.latency_percentiles(('{}', '{}')::stacklens.latency_histogram, '{0.5}', NULL, NULL)"
    assert database.rows(empty) == [(None,)]


@pytest.mark.both_postgres
def test_sums_near_the_largest_number_have_a_mean(database: Database) -> None:
    """Two such latencies in two hours are absurd but allowed; they must not break a whole view."""
    hour_s = int(time.time()) // HOUR * HOUR
    latencies = [1e308, 1.5e308, 5.0]
    made = [
        Sample(hour_s - (place + 1) * HOUR, "a", latency, failed=False, risk=None)
        for place, latency in enumerate(latencies)
    ]
    for window in ("1min", "5min", "1hour"):
        fill(database, window, [*made, Sample(hour_s - HOUR, "b", 3.0, failed=False, risk=None)])
    rows = database.rows(QUERY, moment(hour_s - 3 * HOUR), moment(hour_s))
    means = {row[0]: row[7] for row in rows}
    exact = sum(map(Fraction, latencies)) / len(latencies)
    assert means == {"a": pytest.approx(float(exact), rel=1e-9), "b": 3.0}
    shown = database.rows("SELECT service FROM v_slowest_services ORDER BY service")
    assert shown == [("a",), ("b",)]


@pytest.mark.both_postgres
@pytest.mark.parametrize(
    ("bucket", "low", "high"),
    [
        (39_432, 1.7e308, 1.8e308),
        (-41_400, 0.0, 1e-323),
        (2_000_000_000, 1.7e308, 1.8e308),
        (-999_999, 0, 0),
    ],
)
def test_the_outermost_buckets_have_values(
    database: Database, bucket: int, low: float, high: float
) -> None:
    """Latencies of 1e308 or 1e-320 ms are absurd but allowed; they must not break a whole view."""
    ((found,),) = database.rows("SELECT stacklens.latency_bucket_value(%s)", bucket)
    assert low <= found <= high
