"""`stacklens generate` to a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run
from devstack.api import Stack
from tests.reference.brute_force import Rules, judge
from tests.reference.fields import Rejected
from tests.reference.topic import read_topic
from tests.stack_fixtures import Topics
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]


def test_so_many_events_of_now_good_and_bad_as_reported(
    stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**stack.env, **topics.env}.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "report.json"
    before_us = time.time_ns() // 1000
    arguments = ["--rate", "2000", "--count", "2500", "--bad-fraction", "0.05", "--seed", "9"]
    assert run(["generate", *arguments, "--output-json", str(path)]) == 0
    after_us = time.time_ns() // 1000
    report = json.loads(path.read_text())
    assert report["sent"] == report["acknowledged"] == 2_500
    messages = read_topic(topics.bootstrap_servers, topics.input)
    assert len(messages) == 2_500
    reasons: Counter[str] = Counter()
    late = 0
    for message in messages:
        try:
            event = judge(message.value, Rules(), after_us)
        except Rejected as rejected:
            reasons[rejected.reason] += 1
        else:
            late += event.timestamp_us < before_us
            assert event.timestamp_us <= after_us
    assert reasons == report["bad_by_reason"]
    assert reasons.total() == report["bad"] > 0
    assert late < 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_acknowledged(
    stack: Stack, topics: Topics, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "generate"]
    with subprocess.Popen(
        [*command, "--rate", "300", "--output-json", str(path)],
        cwd=CHECKOUT / "python-services",
        env={**os.environ, **stack.env, **topics.env},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        wait_until(
            lambda: len(read_topic(topics.bootstrap_servers, topics.input)) > 100,
            60,
            "it is sending",
        )
        process.send_signal(number)
        told = process.stdout.read()
    assert process.returncode == 0
    report = json.loads(path.read_text())
    messages = read_topic(topics.bootstrap_servers, topics.input)
    assert len(messages) == report["sent"] == report["acknowledged"]
    assert told.startswith(f"generated {len(messages)} events in ")
    times = [datetime.fromisoformat(json.loads(m.value or b"")["timestamp"]) for m in messages]
    assert max(times).timestamp() <= time.time()
