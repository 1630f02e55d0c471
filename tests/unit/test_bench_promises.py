"""One table of everything promised, from the results files of all benches."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import outcome, promises
from bench.figures import Line, Promise


def write(directory: Path, bench: str, *lines: Line) -> None:
    """A results file, as a bench writes it."""
    content = {"lines": [line.as_json() for line in lines]}
    outcome.write(directory / f"{bench}.json", bench, {}, content, kept=True)


def all_of(directory: Path) -> None:
    for bench in promises.BENCHES:
        write(directory, bench, Line(f"{bench}: speed", [2.0], "{:.1f} s", Promise("most", 2.5)))


def test_what_is_promised_is_shown_with_what_it_belongs_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    all_of(tmp_path)
    write(
        tmp_path,
        "scale",
        Line("20 services: backlog", [9.0], "{:.0f}/s"),
        Line("  peak memory", [1.0, 3.0], "{:.0f} MB", Promise("below", 300), worst=True),
        Line("5,000 services: backlog", [9.0], "{:.0f}/s"),
        Line("  peak memory", [700.0], "{:.0f} MB", Promise("most", 600)),
    )
    assert promises.main(["--results", str(tmp_path)]) == 1
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "20 services: peak memory < 300 MB 3 MB (1 MB to 3 MB) pass" in shown
    assert "5,000 services: peak memory <= 600 MB 700 MB MISS" in shown
    assert "end_to_end: speed <= 2.5 s 2.0 s pass" in shown
    assert len(shown) == 2 + len(promises.BENCHES) + 1 + 1, (
        "headings, one of each, two of one, when"
    )
    assert shown[-1].startswith("measured: end_to_end 20")


def test_all_kept_is_success(tmp_path: Path) -> None:
    all_of(tmp_path)
    assert promises.main(["--results", str(tmp_path)]) == 0


@pytest.mark.parametrize("content", [None, "", "{}", '{"lines": [{}]}'])
def test_what_was_not_measured_is_not_kept(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    all_of(tmp_path)
    file = tmp_path / "api.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert promises.main(["--results", str(tmp_path)]) == 1
    assert "api was not measured" in capsys.readouterr().out
