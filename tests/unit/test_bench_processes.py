"""Children of the bench, what /proc says about them, and the bench's own arguments."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.__main__ import QUICK, RESULTS, parse
from bench.child import Child
from bench.errors import ChildError
from bench.proc import cpu_of, cpu_seconds, family_cpu_seconds, peak_memory_bytes, peak_of
from bench.report import Plan


def python(tmp_path: Path, code: str) -> Child:
    return Child("the child", [sys.executable, "-uc", code], {}, tmp_path, markers=["ready"])


def test_a_marker_is_seen_with_its_time_and_line(tmp_path: Path) -> None:
    before = time.time()
    said: list[str] = []
    code = "print('starting'); import time; time.sleep(1); print('now ready: 1'); print('ready: 2')"
    with python(tmp_path, code) as child:
        at, line = child.wait_for("ready", 20, said.append)
    assert line == "now ready: 1"
    assert "starting" in said
    assert before <= at <= time.time()


def test_a_child_that_says_nothing_is_an_error_that_shows_its_words(tmp_path: Path) -> None:
    with (
        python(tmp_path, "print('no luck')") as child,
        pytest.raises(ChildError, match=r"(?s)the child did not say 'ready'.*no luck"),
    ):
        child.wait_for("ready", 20)


def test_stopping_ends_the_process(tmp_path: Path) -> None:
    with python(tmp_path, "import time; print('ready'); time.sleep(60)") as child:
        child.wait_for("ready", 20)
        child.check()
        assert child.stop() == -15
        with pytest.raises(ChildError, match="exit status -15"):
            child.check()


def test_a_finished_child_gives_its_status(tmp_path: Path) -> None:
    with python(tmp_path, "raise SystemExit(3)") as child:
        assert child.finish(20) == 3


def test_cpu_time_is_user_and_system_time_whatever_the_name() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 {3 * ticks} {2 * ticks} {4 * ticks} {ticks} 20"
    assert cpu_of(stat) == 5.0
    assert cpu_of(stat, ended_children=True) == 10.0


def test_what_a_child_took_counts_when_it_has_ended(tmp_path: Path) -> None:
    """Two of its children burn time, one after the other; the first has ended by the end."""
    burn = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass\n"
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"p = subprocess.Popen([sys.executable, '-c', {burn + 'print(1, flush=True); time.sleep(60)'!r}], stdout=-1)\n"
        "p.stdout.read(1); print('ready'); p.wait()"
    )
    with python(tmp_path, code) as child:
        child.wait_for("ready", 60)
        assert family_cpu_seconds(child.pid) >= 0.6 > cpu_seconds(child.pid)
        (burner,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        os.kill(int(burner), signal.SIGKILL)
        assert child.finish(20) == 0


def test_peak_memory_is_in_bytes() -> None:
    assert peak_of("VmPeak:\t  900 kB\nVmHWM:\t  2048 kB\n") == 2 * 1024 * 1024
    with pytest.raises(ValueError, match="VmHWM"):
        peak_of("Name:\tx\n")


def test_this_process_has_used_something() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert peak_memory_bytes(os.getpid()) > 1_000_000


def test_arguments_make_the_plan() -> None:
    usual, options = parse([])
    assert (usual, options.output, options.quick, options.store) == (Plan(), RESULTS, False, None)
    assert parse(["--quick"])[0] == QUICK
    plan, options = parse(["--quick", "--rounds", "2", "--events", "5_000", "--output", "x.json"])
    assert (plan.rounds, plan.events, plan.rate) == (2, 5000, QUICK.rate)
    assert (options.output, options.quick) == (Path("x.json"), True)
    assert plan.faust_events == 5000  # never more than there are


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--events", "many"], ["--what"]])
def test_wrong_arguments_are_usage_errors(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        parse(wrong)
    assert error.value.code == 2
    assert "usage:" in capsys.readouterr().err
