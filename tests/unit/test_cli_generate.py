"""`stacklens generate` into a file: how much, when, and what it tells."""

from __future__ import annotations

import gzip
import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, unzipped if need be."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()


@pytest.mark.parametrize("name", ["day.ndjson", "day.ndjson.gz"])
def test_a_file_ends_now_and_reaches_back_as_far_as_the_rate_says(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    before = time.time()
    assert run(["generate", "--rate", "2", "--count", "2500", "--seed", "5", "-o", str(path)]) == 0
    after = time.time()
    times = [
        datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() for line in lines_of(path)
    ]
    assert len(times) == 2_500
    assert before - 5 < max(times) <= after
    assert before - 1_250 - 600 < min(times) < before - 1_200  # 600: the latest of the late ones


def test_seconds_and_count_whichever_is_less(tmp_path: Path) -> None:
    for options, wanted in (
        (["--seconds", "3"], 300),
        (["--seconds", "3", "--count", "20"], 20),
        (["--seconds", "0.1", "--count", "20"], 10),
    ):
        path = tmp_path / "events"
        assert run(["generate", "--rate", "100", *options, "-o", str(path)]) == 0
        assert len(lines_of(path)) == wanted


def test_the_report_counts_what_is_bad_on_purpose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, report = tmp_path / "events", tmp_path / "report.json"
    arguments = ["generate", "--count", "1500", "--bad-fraction", "0.2", "--seed", "3"]
    assert run([*arguments, "-o", str(path), "--output-json", str(report)]) == 0
    told = json.loads(report.read_text())
    assert told["sent"] == len(lines_of(path)) == 1_500
    assert 200 < told["bad"] == sum(told["bad_by_reason"].values()) < 400
    assert (told["acknowledged"], told["error"], told["seed"]) == (None, None, 3)
    assert f"generated 1500 events in {told['seconds']:.1f} s" in capsys.readouterr().out


def test_standard_output_holds_events_alone(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["generate", "--count", "3", "--to-stdout", "--incident", "mine"]) == 0
    captured = capfdbinary.readouterr()
    assert len([json.loads(line) for line in captured.out.splitlines()]) == 3
    assert b"generated 3 events" in captured.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to-stdout"], "--count or --seconds"),
        (["-o", "x", "--to-stdout", "--count", "1"], "exclude each other"),
        (["--bad-fraction", "1.1"], "--bad-fraction"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", *arguments]) == 2
    assert told in capsys.readouterr().err
