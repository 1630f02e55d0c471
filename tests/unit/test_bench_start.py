"""The start of the demo as it is timed, on a checkout whose demo is a few words of shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.live import Latencies, LiveResult
from bench.start import READABLE, Starts, lines_of, start
from bench.steady import lines_of as steady_lines


def checkout(directory: Path, recipe: str) -> Path:
    """A directory in which `make demo` does this."""
    (directory / "Makefile").write_text(f"demo:\n\t@{recipe}\n")
    return directory


def test_a_start_takes_until_the_demo_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "elsewhere")
    words = f"echo setting up; echo '{READABLE} 0.1 s'; env | sort > seen"
    seconds = start(checkout(tmp_path, words), {"PIP_CACHE_DIR": "here"})
    assert seconds > 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert {"DEMO_SECONDS=1", "PIP_CACHE_DIR=here"} <= set(seen)
    assert not [line for line in seen if line.startswith("DB_HOST")]


@pytest.mark.parametrize(
    ("recipe", "why"),
    [("echo no", "did not say"), (f"echo '{READABLE} 1 s'; exit 3", "exit status")],
)
def test_a_demo_that_fails_has_no_figure(tmp_path: Path, recipe: str, why: str) -> None:
    with pytest.raises(BenchError, match=why):
        start(checkout(tmp_path, recipe), {})


def test_a_start_that_was_not_made_is_not_promised() -> None:
    warm, cold = lines_of(Starts([5.0, 6.0, 16.0], [130.0]))
    assert (warm.kept, cold.kept) == (True, False)
    assert len(lines_of(Starts([5.0], []))) == 1


def test_a_long_run_is_held_to_its_promise_as_a_whole() -> None:
    parts = (Latencies(0.5, 2.0, 2.5), Latencies(1.0, 3.5, 4.0))
    lines = steady_lines(LiveResult(10_000.0, 100, 0.7, 2.9, 4.0, 500_000_000, parts))
    assert all(line.kept for line in lines)
    assert [line.figure for line in lines[1:3]] == [2.0, 3.5]
    late = steady_lines(LiveResult(10_000.0, 100, 0.7, 3.1, 4.0, 700_000_000, parts))
    assert [line.what.strip() for line in late if not line.kept] == ["p99", "peak memory"]
