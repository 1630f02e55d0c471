"""Into which steps a series is divided, and which stored windows they are made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from analytics_service.domain.windows import WINDOWS, Window
from dashboard_api.ranges import first_start, is_kept

POINTS = 300
"""How many points a series has at most when the step is left to us."""
MOST_POINTS = 5000
"""How many points a series may have when the step is given."""

_DAY_S = 86_400
_LADDER_S = (
    60,
    300,
    900,
    1800,
    3600,
    10_800,
    21_600,
    43_200,
    _DAY_S,
    2 * _DAY_S,
    7 * _DAY_S,
    30 * _DAY_S,
)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": _DAY_S, "w": 7 * _DAY_S}
_NAMED_S = {**{window.name: window.seconds for window in WINDOWS}, "1day": _DAY_S}
_LONGEST_S = 365 * _DAY_S


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of `step_s` seconds over [start_s, end_s), each a whole number of `window`s."""

    window: Window
    step_s: int
    start_s: int
    end_s: int

    @property
    def starts_s(self) -> range:
        """Epoch seconds at which the steps begin."""
        return range(self.start_s, self.end_s, self.step_s)


def parse_step(text: str) -> int | None:
    """Seconds of a step; None: `auto`. Raises ValueError that says what is allowed."""
    if text == "auto":
        return None
    match = re.fullmatch(r"([0-9]{1,8})([smhdw])", text)
    seconds = _NAMED_S.get(text, int(match[1]) * _UNITS_S[match[2]] if match else 0)
    if not 0 < seconds <= _LONGEST_S or seconds % WINDOWS[0].seconds:
        raise ValueError("must be auto, or whole minutes such as 1m, 5min, 1h or 1d")
    return seconds


def step_text(step_s: int) -> str:
    """The step as `parse_step` takes it, in its largest unit."""
    unit = next(unit for unit in "dhms" if step_s % _UNITS_S[unit] == 0)
    return f"{step_s // _UNITS_S[unit]}{unit}"


def plan_steps(
    start_s: int,
    end_s: int,
    levels: Sequence[Window],
    kept_since_s: Mapping[str, int | None],
    *,
    step_s: int | None = None,
    points: int = POINTS,
    merging: bool = True,
) -> Steps:
    """Divide [start_s, end_s), rounded outwards to whole steps.

    `levels` are what is stored, each with the moment of its tier before which it is gone. Without
    `step_s` the shortest step that gives at most `points`, and that is kept so far back; with
    `merging` false only steps that are stored as they are. What lies before every level is left out,
    and where nothing else is possible a first step that is not kept as a whole.
    Raises ValueError when nothing that is kept there makes up `step_s`, or it gives too many points.
    """
    floors = {level.name: first_start(level, kept_since_s.get(level.tier)) for level in levels}
    if None not in floors.values():
        start_s = max(start_s, min(floor for floor in floors.values() if floor is not None))
    end_s = max(start_s, end_s)
    ladder = _LADDER_S if merging else tuple(level.seconds for level in levels)
    # Steps of several days seldom begin where a tier does: as a last resort the first one is left out.
    for left_out, step in product((0, 1), (step_s,) if step_s else ladder):
        begin_s, stop_s = start_s - start_s % step + left_out * step, -(-end_s // step) * step
        count = (stop_s - begin_s) // step
        if step_s is None and count > points and step != ladder[-1]:
            continue
        if step_s is not None and count > MOST_POINTS:
            raise ValueError(
                f"gives more than {MOST_POINTS} points: take a longer step, or a shorter range"
            )
        window = _made_of(step, begin_s, levels, floors)
        if window is not None and (count > 0 or not left_out):
            return Steps(window, step, begin_s, stop_s)
    finest = min(levels, key=lambda level: (floors[level.name] or 0, level.seconds))
    raise ValueError(
        f"must be a whole number of {finest.name} windows: no finer ones are kept so long"
    )


def _made_of(
    step_s: int, start_s: int, levels: Sequence[Window], floors: Mapping[str, int | None]
) -> Window | None:
    """The longest of the levels that make up the step and are kept from its start on."""
    usable = [
        level for level in levels if step_s % level.seconds == 0 and is_kept(level, start_s, floors)
    ]
    return max(usable, key=lambda level: level.seconds, default=None)
