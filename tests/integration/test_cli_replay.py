"""`stacklens replay` on a real broker: every byte, everywhere, acknowledged or told."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from analytics_service.adapters.kafka.producer import TopicProducer
from analytics_service.entrypoints.cli.main import run
from devstack.api import Stack
from tests.reference.generated_day import generated_day
from tests.reference.topic import read_topic
from tests.stack_fixtures import Topics, create_topics, kafka_admin
from tests.waiting import wait_until

Replay = Callable[..., dict[str, object]]
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def values() -> list[bytes]:
    """Lines of a generated day: what fits on one, valid or not."""
    day = generated_day(seed=2, now=datetime.now(UTC), events=3_000)
    return [value for value in day if value and b"\n" not in value and not value.endswith(b"\r")]


@pytest.fixture
def replay(stack: Stack, topics: Topics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Replay:
    """Run the command on this test's topic; its exit status and its report."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**stack.env, **topics.env}.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> dict[str, object]:
        status = run(["replay", *arguments, "--output-json", "report.json"])
        return {"status": status, **json.loads((tmp_path / "report.json").read_text())}

    return call


@pytest.mark.parametrize("form", ["plain", "gzip", "stdin"])
def test_bytes_arrive_unchanged_and_evenly(
    replay: Replay,
    topics: Topics,
    values: list[bytes],
    tmp_path: Path,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = b"\n".join(values) + b"\n\n\r\n"
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(content) if form == "gzip" else content)
    if form == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(path.open("rb")))
    report = replay("-" if form == "stdin" else str(path))
    assert report["status"] == 0
    assert report["events"] == report["acknowledged"] == len(values)
    assert report["empty_lines"] == 2
    assert f"replayed {len(values)} events in " in capsys.readouterr().out
    messages = read_topic(topics.bootstrap_servers, topics.input)
    assert Counter(message.value for message in messages) == Counter(values)
    shares = Counter(message.partition for message in messages)
    assert len(shares) == 6
    assert max(shares.values()) - min(shares.values()) <= 1


def test_a_line_larger_than_the_topic_takes_is_told_and_the_rest_is_sent(
    replay: Replay, topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fits, too_large = b"x" * 1_048_000, b"y" * 1_100_000
    (tmp_path / "events").write_bytes(b"\n".join([b"first", too_large, fits, b"last"]))
    report = replay("events")
    assert (report["status"], report["ok"]) == (1, False)
    assert (report["events"], report["acknowledged"], report["too_large"]) == (4, 3, 1)
    assert "1 not sent: larger than the topic takes" in capsys.readouterr().out
    messages = read_topic(topics.bootstrap_servers, topics.input)
    assert {message.value for message in messages} == {b"first", fits, b"last"}


def test_rebased_events_end_now(replay: Replay, topics: Topics, tmp_path: Path) -> None:
    lines = [
        b'{"timestamp":"2023-01-29T08:42:09.504498Z","service":"a"}',
        b'{"timestamp":1674981730,"service":"b"}',
        b'{"timestamp":"2023-01-29T08:41:00+00:00","service":"c"}',
        b"not json",
    ]
    (tmp_path / "events").write_bytes(b"\n".join(lines))
    before = time.time()
    report = replay("events", "--rebase", "now")
    after = time.time()
    assert (report["status"], report["not_rebased"], report["acknowledged"]) == (0, 1, 4)
    values = [
        message.value or b"" for message in read_topic(topics.bootstrap_servers, topics.input)
    ]
    assert lines[3] in values
    events = {e["service"]: e["timestamp"] for e in map(json.loads, set(values) - {lines[3]})}
    latest = events["b"]
    assert before - 1 <= latest <= after  # whole seconds stay whole
    seconds = {name: datetime.fromisoformat(str(events[name])).timestamp() for name in ("a", "c")}
    assert seconds["a"] - seconds["c"] == pytest.approx(69.504498, abs=1e-6)
    assert latest - seconds["a"] == pytest.approx(0.495502, abs=1)


def test_rebasing_standard_input(
    replay: Replay, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events"
    path.write_bytes(b'{"timestamp":1}\n{"timestamp":2}\n')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(path.open("rb")))
    assert replay("-", "--rebase", "now")["status"] == 0
    times = [
        json.loads(message.value or b"")["timestamp"]
        for message in read_topic(topics.bootstrap_servers, topics.input)
    ]
    assert max(times) - min(times) == 1
    assert abs(max(times) - time.time()) < 60


def test_a_rate_is_kept_and_everything_is_sent(
    replay: Replay, topics: Topics, tmp_path: Path
) -> None:
    (tmp_path / "events").write_bytes(b"\n".join(b"%d" % number for number in range(500)))
    report = replay("events", "--rate", "500")
    assert (report["status"], report["acknowledged"]) == (0, 500)
    assert float(str(report["seconds"])) >= 0.9
    assert len(read_topic(topics.bootstrap_servers, topics.input)) == 500


def test_a_topic_that_is_not_there_is_not_made(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in stack.env.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "events").write_bytes(b"x\n")
    assert run(["replay", str(tmp_path / "events"), "--topic", "nowhere-at-all"]) == 1
    assert "stacklens topics create" in capsys.readouterr().err
    with kafka_admin(stack) as admin:
        assert "nowhere-at-all" not in admin.list_topics()


@pytest.mark.slow
def test_a_broker_that_goes_away_is_a_failure_with_the_number_acknowledged(
    private_stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The broker is killed after the first event of a slow replay."""
    with kafka_admin(private_stack) as admin:
        topics = create_topics(private_stack, admin)
    monkeypatch.chdir(tmp_path)
    for name, value in {**private_stack.env, **topics.env}.items():
        monkeypatch.setenv(name, value)
    producers: list[TopicProducer] = []

    class Watched(TopicProducer):
        """Lets the test see what the command has been told by the broker."""

        def __enter__(self) -> Self:
            producers.append(self)
            return super().__enter__()

    monkeypatch.setattr("analytics_service.entrypoints.cli.replay.TopicProducer", Watched)
    read_end, write_end = os.pipe()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(os.fdopen(read_end, "rb")))

    def feed() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as writer:
            writer.write(b"first\n")
            # That it can be read is not enough: the broker could die before it has answered.
            wait_until(
                lambda: [producer.acknowledged for producer in producers] == [1],
                60,
                "the first is acknowledged",
            )
            assert private_stack.kafka is not None
            # Not sooner: it is the limit of every request as well, and the broker may be slow.
            monkeypatch.setattr("analytics_service.adapters.kafka.producer.DELIVERY_TIMEOUT_S", 2.0)
            private_stack.kafka.kill()
            writer.write(b"second\n")

    with ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(feed)
        status = run(["replay", "-", "--output-json", "report.json"])
        feeding.result()
    report = json.loads((tmp_path / "report.json").read_text())
    assert (status, report["acknowledged"], report["events"]) == (1, 1, 2)
    assert "1 events were acknowledged" in capsys.readouterr().err


def test_ctrl_c_is_status_130(stack: Stack, topics: Topics) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "replay", "-"],
        cwd=CHECKOUT / "python-services",
        env={**os.environ, **stack.env, **topics.env},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that starts the tests in the background has them, and so this, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"first\n")
        process.stdin.flush()
        wait_until(
            lambda: len(read_topic(topics.bootstrap_servers, topics.input)) == 1, 60, "it is sent"
        )
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert b"Traceback" not in told
