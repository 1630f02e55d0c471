"""The bench of alerts: an episode counts once, and a figure that misses one is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bench import alert_episodes
from bench.alert_episodes import Traffic, latencies
from bench.alert_looks import FIRE, LOOKS, PUBLISH, LooksResult
from bench.alert_way import TOPIC, WEBHOOK, WayResult
from bench.alerts import look_lines, way_lines
from bench.errors import NotSustained, WrongResult
from bench.progress import Progress


@dataclass
class Seen:
    """Alerts as they arrived."""

    seen: dict[str, list[float]] = field(default_factory=dict)


def test_each_alert_is_set_against_its_own_event() -> None:
    made = {"episode-0": 10.0, "episode-1": 20.0}
    seen = Seen({"episode-1": [21.5], "episode-0": [10.25]})
    assert latencies(made, seen, "there", Progress()) == [0.25, 1.5]


@pytest.mark.parametrize(
    ("seen", "error", "said"),
    [
        ({}, NotSustained, "1 alerts never came to there, such as episode-0"),
        ({"episode-0": [1.0, 2.0]}, WrongResult, "twice .*episode-0"),
        ({"episode-0": [1.0], "episode-9": [1.0]}, WrongResult, "unasked .*episode-9"),
    ],
)
def test_an_alert_too_few_or_too_many_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, seen: dict[str, list[float]], error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(alert_episodes, "SECONDS_TO_ARRIVE", 0.0)
    with pytest.raises(error, match=said):
        latencies({"episode-0": 0.5}, Seen(seen), "there", Progress())


def test_episodes_begin_at_any_moment_and_at_the_same_ones_each_time() -> None:
    moments = Traffic(10, 500, 60.0).moments()
    assert moments == sorted(moments) == Traffic(10, 500, 60.0).moments()
    assert 0.0 <= moments[0] < moments[-1] <= 60.0
    # Every part of the evaluator's second is met about equally often.
    tenths = [int(moment * 10) % 10 for moment in moments]
    assert min(tenths.count(tenth) for tenth in range(10)) > 25


def test_the_table_holds_every_promise() -> None:
    looks = LooksResult(1000, 20)
    for what in (*LOOKS, PUBLISH):
        looks.add(what, 1.5 if what == FIRE else 0.5, 0.4)
    way = WayResult(2, 1000, 20, 3, {TOPIC: [0.5, 1.0, 1.9], WEBHOOK: [0.5, 1.0, 4.1]})
    lines = [*look_lines(looks), *way_lines(way)]
    assert [line.what for line in lines if not line.kept] == [
        "look, 20,000 alerts: all fire at once",
        "event to the webhook, 3 episodes: p99",
    ]
    assert sum(line.promise is not None for line in lines) == 5
