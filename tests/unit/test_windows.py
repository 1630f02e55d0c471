"""Windows: names, tables, tiers, and the half-open alignment to UTC."""

from datetime import UTC, datetime

import pytest

from analytics_service.domain.windows import BASE_WINDOW, WINDOWS, window_named


def test_the_three_windows_with_their_tables_and_tiers() -> None:
    assert [(w.name, w.table, w.tier, w.seconds) for w in WINDOWS] == [
        ("1min", "analytics_metrics_1min", "warm", 60),
        ("5min", "analytics_metrics_5min", "cold", 300),
        ("1hour", "analytics_metrics_1hour", "cold", 3600),
    ]


def test_every_window_is_whole_base_windows() -> None:
    assert all(window.seconds % BASE_WINDOW.seconds == 0 for window in WINDOWS)


@pytest.mark.parametrize("name", ["1min", "5min", "1hour"])
def test_a_window_is_found_by_its_name(name: str) -> None:
    assert window_named(name).name == name


@pytest.mark.parametrize("name", ["", "1m", "1MIN", "2min", "1min "])
def test_another_name_is_refused_and_the_allowed_ones_are_named(name: str) -> None:
    with pytest.raises(ValueError, match="1min, 5min, 1hour"):
        window_named(name)


@pytest.mark.parametrize(
    ("name", "moment", "start"),
    [
        # the start belongs to the window, the end to the next
        ("1min", "2026-11-23T10:07:00", "2026-11-23T10:07:00"),
        ("1min", "2026-11-23T10:07:59", "2026-11-23T10:07:00"),
        ("1min", "2026-11-23T10:08:00", "2026-11-23T10:08:00"),
        ("5min", "2026-11-23T10:09:59", "2026-11-23T10:05:00"),
        ("5min", "2026-11-23T10:10:00", "2026-11-23T10:10:00"),
        ("1hour", "2026-11-23T10:59:59", "2026-11-23T10:00:00"),
        ("1hour", "2026-11-23T23:59:59", "2026-11-23T23:00:00"),
        # before the epoch windows go down, not towards zero
        ("1hour", "1969-12-31T23:59:59", "1969-12-31T23:00:00"),
    ],
)
def test_a_moment_belongs_to_the_window_that_starts_at(name: str, moment: str, start: str) -> None:
    def seconds(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    assert window_named(name).start_of(seconds(moment)) == seconds(start)
