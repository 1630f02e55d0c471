"""The day of real requests, and the exact answers that were worked out when it was published."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.reference.brute_force import CellKey, Figures

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
EVENTS_FILE = DATA / "nezha_tt_requests.ndjson.gz"
TRUTH_FILE = DATA / "nezha_tt_requests.truth.json.gz"
NAMES = {"1m": "1min", "5m": "5min", "1h": "1hour"}


@dataclass(frozen=True)
class Truth:
    """The file's answers: how many events, and and the figures of every cell by window name."""

    events: int
    windows: dict[str, dict[CellKey, Figures]]


def require_real_day() -> None:
    """Skip the test, saying why, when the day of real events is not there."""
    for path in (EVENTS_FILE, TRUTH_FILE):
        if not path.is_file():
            pytest.skip(f"the day of real events is not on this machine: {path} is missing")


def real_values() -> list[bytes]:
    """The events in their order, one value a message."""
    require_real_day()
    with gzip.open(EVENTS_FILE, "rb") as file:
        return file.read().splitlines()


def load_truth() -> Truth:
    """The published answers."""
    require_real_day()
    with gzip.open(TRUTH_FILE, "rt", encoding="utf-8") as file:
        document = json.load(file)
    windows = {
        NAMES[name]: {_key(window): _figures(window) for window in listed}
        for name, listed in document["windows"].items()
        if name in NAMES
    }
    return Truth(int(document["events"]), windows)


def _key(window: dict[str, Any]) -> CellKey:
    return window["service"], int(datetime.fromisoformat(window["start"]).timestamp())


def _figures(window: dict[str, Any]) -> Figures:
    latency = window["latency_ms"] or {}
    return Figures(
        total=window["total"],
        failed=window["errors"],
        latency_min=latency.get("min"),
        latency_p50=latency.get("p50"),
        latency_p95=latency.get("p95"),
        latency_p99=latency.get("p99"),
        latency_max=latency.get("max"),
        latency_mean=latency.get("mean"),
        users=window["distinct_users"],
        ips=window["distinct_ips"],
        risk_mean=window["avg_risk"],
        high_risk=0,
    )
