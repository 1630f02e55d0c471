"""healthy, degraded, unhealthy, unknown: the limits of the contract and those of an operator."""

from __future__ import annotations

import pytest

from dashboard_api.schemas.services import HealthStatus
from dashboard_api.service_status import Thresholds, overall, status_of


@pytest.mark.parametrize(
    ("error_rate", "p99_ms", "expected"),
    [
        (0.0, 10.0, "healthy"),
        (5.0, 500.0, "healthy"),  # at the limit is not above it
        (5.01, 10.0, "degraded"),
        (0.0, 500.1, "degraded"),
        (20.0, 1000.0, "degraded"),
        (20.01, 10.0, "unhealthy"),
        (0.0, 1000.1, "unhealthy"),
        (0.0, None, "healthy"),  # no event carried a latency
        (100.0, None, "unhealthy"),
        (None, None, "unknown"),  # no traffic
    ],
)
def test_default_thresholds(error_rate: float | None, p99_ms: float | None, expected: str) -> None:
    assert status_of(error_rate, p99_ms, Thresholds()) == expected


def test_thresholds_of_the_operator() -> None:
    limits, bad = Thresholds.from_config(
        {"health_degraded_error_rate": "1", "health_unhealthy_p99_ms": "2e3", "other": "x"}
    )
    assert bad == []
    assert status_of(2.0, 10.0, limits) == "degraded"
    assert status_of(0.0, 1500.0, limits) == "degraded"
    assert status_of(0.0, 2500.0, limits) == "unhealthy"


@pytest.mark.parametrize("value", ["", "many", "nan", "inf", "1;2"])
def test_a_threshold_that_is_no_number_keeps_its_default(value: str) -> None:
    limits, bad = Thresholds.from_config({"health_unhealthy_error_rate": value})
    assert limits == Thresholds()
    assert bad == ["health_unhealthy_error_rate"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "unknown"),
        (["unknown"], "unknown"),
        (["healthy", "unknown"], "healthy"),
        (["healthy", "degraded", "unknown"], "degraded"),
        (["degraded", "unhealthy", "healthy"], "unhealthy"),
    ],
)
def test_overall(statuses: list[HealthStatus], expected: str) -> None:
    assert overall(statuses) == expected
