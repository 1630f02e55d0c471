"""What counts as a loss between two runs of the bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.regression import Ratio, compare, losses, store


def stored(tmp_path: Path, *ratios: Ratio) -> Path:
    """A file of these."""
    file = tmp_path / "stored.json"
    store(ratios, {"machine": "m"}, file, more=False)
    return file


@pytest.mark.parametrize(
    ("before", "now", "more_is_better", "is_loss"),
    [
        # medians 0.40 -> ...; alike within each run: a tenth is the least that counts
        ([0.40, 0.40, 0.40], [0.37, 0.37, 0.37], True, False),
        ([0.40, 0.40, 0.40], [0.35, 0.35, 0.35], True, True),
        ([0.40, 0.40, 0.40], [0.90, 0.90, 0.90], True, False),
        ([10.0, 10.0, 10.0], [10.9, 10.9, 10.9], False, False),
        ([10.0, 10.0, 10.0], [11.2, 11.2, 11.2], False, True),
        ([10.0, 10.0, 10.0], [5.0, 5.0, 5.0], False, False),
        # 0.40 +- 10 % then, 0.33 +- 9 % now: 17.5 % less is within both together
        ([0.36, 0.40, 0.44], [0.30, 0.33, 0.36], True, False),
        ([0.36, 0.40, 0.44], [0.27, 0.30, 0.33], True, True),
    ],
)
def test_a_loss_is_beyond_the_noise_of_both_runs(
    tmp_path: Path, before: list[float], now: list[float], more_is_better: bool, is_loss: bool
) -> None:
    file = stored(tmp_path, Ratio("share", before, more_is_better))
    (found,) = compare([Ratio("share", now, more_is_better)], file)
    assert found.is_loss is is_loss
    assert str(found).endswith("worse" if is_loss else "no loss")
    assert losses([found]) == (["share"] if is_loss else [])


@pytest.mark.parametrize(
    ("beside_copy", "beside_faust", "wal", "lost"),
    [
        (0.40, 90.0, 268.0, []),
        (0.40, 70.0, 268.0, []),
        (0.30, 90.0, 268.0, []),
        (0.30, 70.0, 268.0, ["rate"]),
        (0.40, 90.0, 300.0, ["WAL"]),
        (0.30, 70.0, 300.0, ["rate", "WAL"]),
    ],
)
def test_a_rate_is_lost_where_both_of_its_references_say_so(
    tmp_path: Path, beside_copy: float, beside_faust: float, wal: float, lost: list[str]
) -> None:
    def ratios(*figures: float) -> list[Ratio]:
        copy, faust, bytes_an_event = figures
        return [
            Ratio("share", [copy], True, "rate"),
            Ratio("times Faust", [faust], True, "rate"),
            Ratio("WAL", [bytes_an_event], False),
        ]

    file = stored(tmp_path, *ratios(0.40, 90.0, 268.0))
    assert losses(compare(ratios(beside_copy, beside_faust, wal), file)) == lost


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"runs": []}',
        '{"runs": [{"ratios": {}}]}',
        '{"runs": [{"ratios": {"share": 1}}]}',
    ],
)
def test_nothing_to_compare_with_is_said(tmp_path: Path, content: str) -> None:
    file = tmp_path / "stored.json"
    file.write_text(content)
    with pytest.raises(BenchError, match="--store anew"):
        compare([Ratio("share", [1.0], True)], file)
    with pytest.raises(BenchError, match="--store anew"):
        compare([Ratio("share", [1.0], True)], tmp_path / "none.json")


def test_what_is_stored_says_where_it_was_measured(tmp_path: Path) -> None:
    file = stored(tmp_path, Ratio("share", [0.3, 0.5, 0.4], True))
    assert json.loads(file.read_text()) == {
        "runs": [{"machine": "m", "ratios": {"share": [0.3, 0.5, 0.4]}}]
    }


def test_runs_of_several_hours_tell_what_hours_differ_by(tmp_path: Path) -> None:
    """0.40 alone makes 0.33 a loss of 18 %; beside an hour of 0.30 the middle is 0.35, and 0.33 within it."""
    file = stored(tmp_path, Ratio("share", [0.40, 0.40], True))
    now = [Ratio("share", [0.33], True)]
    assert losses(compare(now, file)) == ["share"]
    store([Ratio("share", [0.30, 0.30], True)], {"machine": "m"}, file, more=True)
    (found,) = compare(now, file)
    assert found.stored == pytest.approx(0.35)
    assert not found.is_loss
    assert found.noise == pytest.approx(0.05 / 0.35)
    assert losses(compare([Ratio("share", [0.29], True)], file)) == ["share"]
    store([Ratio("share", [0.5], True)], {"machine": "m"}, file, more=False)
    assert losses(compare(now, file)) == ["share"]


def test_there_is_nothing_to_add_a_run_to(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no runs to add one to"):
        store([Ratio("share", [1.0], True)], {}, tmp_path / "none.json", more=True)
