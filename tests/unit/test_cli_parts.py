"""The command line's small parts: progress, pacing, reports, checks, reading lines."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from analytics_service.adapters.kafka.topics import TopicError
from analytics_service.entrypoints.cli.checking import (
    CheckFailed,
    CheckWarned,
    Finding,
    run_checks,
)
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.ndjson import NdjsonSource
from analytics_service.entrypoints.cli.pacing import Pacer
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.stopping import StopSignal


class Clock:
    """Time that passes only by waiting; `oversleeps` seconds longer each time."""

    def __init__(self, oversleeps: float = 0.0) -> None:
        self.now = 100.0
        self.oversleeps = oversleeps

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds + self.oversleeps


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("rate", [0.5, 3, 100, 10_000, 250_000])
def test_pacing_keeps_the_rate_in_small_bursts(rate: float) -> None:
    clock = Clock()
    pacer = Pacer(rate, clock, clock.wait)
    bursts = []
    while clock.now < 110:
        bursts.append(pacer.take())
    assert sum(bursts) == pytest.approx(10 * rate, abs=max(2, rate * 0.03))
    assert max(bursts) <= max(1, rate * 0.1)


def test_pacing_makes_up_for_delays_but_not_for_more_than_a_second() -> None:
    clock = Clock()
    pacer = Pacer(1_000, clock, clock.wait)
    clock.now += 0.5
    assert sum(pacer.take() for _ in range(10)) >= 700
    clock.now += 60
    caught_up_at = clock.now
    bursts = [pacer.take() for _ in range(40)]
    assert max(bursts) == 100
    assert sum(bursts) <= 1_000 * (1 + clock.now - caught_up_at) + 1


def test_what_is_given_back_is_due_again() -> None:
    clock = Clock()
    pacer = Pacer(100, clock, clock.wait)
    clock.now += 0.057
    assert pacer.take() == 5
    pacer.give_back(4)
    assert pacer.take() == 7  # 8 are due after 0.082 s


def test_a_wait_cut_short_gives_nothing() -> None:
    clock = Clock()
    assert Pacer(1, clock, lambda _seconds: None).take() == 0


def test_progress_off_a_terminal_is_a_line_every_two_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress("copy", 400, stream=stream, clock=clock)
    for done in range(0, 400, 50):
        progress.update(done, "so far")
        clock.now += 1
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "copy: 25% (100 of 400) so far",
        "copy: 50% (200 of 400) so far",
        "copy: 75% (300 of 400) so far",
    ]


def test_progress_without_a_total_counts() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress("copy", stream=stream, clock=clock)
    clock.now += 2
    progress.update(12_345)
    assert stream.getvalue() == "copy: 12,345\n"


def test_progress_on_a_terminal_is_a_bar_that_goes_away() -> None:
    clock, stream = Clock(), Terminal()
    progress = Progress("copy", 10, stream=stream, clock=clock)
    progress.update(5, "half")
    progress.update(6)  # too soon after the last: not drawn
    clock.now += 1
    progress.update(20)
    progress.finish()
    drawn = stream.getvalue().split("\r")
    assert drawn[1] == "copy [" + "#" * 15 + "-" * 15 + "]  50% half"
    assert drawn[2].rstrip() == "copy [" + "#" * 30 + "] 100%"
    assert drawn[3].strip() == drawn[4] == ""


def test_progress_on_a_terminal_without_a_total() -> None:
    stream = Terminal()
    Progress("copy", stream=stream, clock=Clock()).update(7, "x")
    assert stream.getvalue() == "\rcopy 7 x"


def test_a_report_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for number in (1, 2):
        write_json(path, {"number": number, "text": "Größe"})
    assert json.loads(path.read_text()) == {"number": 2, "text": "Größe"}
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "LONGER"), [("xyz", "1"), ("", "22")])
    assert capsys.readouterr().out == "A    LONGER\nxyz  1\n     22\n"


def test_checks_go_on_after_a_failure() -> None:
    def raising(error: Exception) -> str:
        raise error

    assert run_checks(
        [
            ("good", lambda: "fine"),
            ("bad", lambda: raising(CheckFailed("broken"))),
            ("so so", lambda: raising(CheckWarned("not yet"))),
            ("away", lambda: raising(TopicError("no broker"))),
            ("file", lambda: raising(FileNotFoundError(2, "not there", "x"))),
        ]
    ) == [
        Finding("good", "PASS", "fine"),
        Finding("bad", "FAIL", "broken"),
        Finding("so so", "WARN", "not yet"),
        Finding("away", "FAIL", "no broker"),
        Finding("file", "FAIL", "x: not there"),
    ]
    with pytest.raises(ZeroDivisionError):
        run_checks([("defect", lambda: str(1 // 0))])


@pytest.mark.parametrize("zipped", [False, True])
def test_lines_are_read_as_they_stand(tmp_path: Path, zipped: bool) -> None:
    content = b'{"a": 1}\r\n\n  {"b":\t2} \n\r\n\xff\xfe\x00\nlast without end'
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with NdjsonSource(str(path)) as source:
        lines = [line for block in source.blocks() for line in block]
        assert source.position == source.size == path.stat().st_size
    assert lines == [b'{"a": 1}', b'  {"b":\t2} ', b"\xff\xfe\x00", b"last without end"]
    assert source.empty_lines == 2


def test_lines_longer_than_a_block_are_whole(tmp_path: Path) -> None:
    wanted = [b"x" * 3_000_000, b"y" * 10, b"z" * 1_048_576]
    path = tmp_path / "events"
    path.write_bytes(b"\n".join(wanted) + b"\n")
    with NdjsonSource(str(path)) as source:
        assert [line for block in source.blocks() for line in block] == wanted


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "events").touch()
    with NdjsonSource(str(tmp_path / "events")) as source:
        assert list(source.blocks()) == []


@pytest.mark.parametrize("damage", ["cut", "wrong"])
def test_damaged_gzip_data_is_told(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(os.urandom(100_000))
    path = tmp_path / "events.gz"
    path.write_bytes(whole[:-500] if damage == "cut" else whole[:-8] + b"\0" * 8)
    with NdjsonSource(str(path)) as source, pytest.raises(CommandFailed, match="damaged gzip data"):
        list(source.blocks())


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics_service.entrypoints.cli.ndjson.MAX_LINE_BYTES", 2_000_000)
    path = tmp_path / "binary"
    path.write_bytes(b"x" * 5_000_000)
    with NdjsonSource(str(path)) as source, pytest.raises(CommandFailed, match="a line is longer"):
        list(source.blocks())


def test_standard_input_comes_as_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as reader, open(write_end, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(reader))
        writer.write(b"first\nsec")
        with NdjsonSource("-") as source:
            blocks = source.blocks()
            assert next(blocks) == [b"first"]  # although the input goes on
            writer.write(b"ond\n")
            assert next(blocks) == [b"second"]
            writer.close()
            assert list(blocks) == []
            assert (source.size, source.position) == (None, 0)


def test_a_signal_ends_the_wait_and_a_second_later_interrupts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("analytics_service.entrypoints.cli.stopping.time.monotonic", clock)
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as stop:
        assert not stop.wait(0)
        signal.raise_signal(signal.SIGTERM)
        assert stop.wait(60)  # at once
        signal.raise_signal(signal.SIGINT)  # the same Ctrl-C, delivered twice
        clock.now += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
