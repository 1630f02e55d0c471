"""Which stored windows make up a range of time: hours, finer windows at its edges. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analytics_service.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one table: windows that start in [start_s, end_s), in epoch seconds.

    `is_merged` says of days that they are all there, so that no hours have to be looked for instead.
    """

    window: Window
    start_s: int
    end_s: int
    is_merged: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Adjoining pieces, oldest first, that cover [start_s, end_s) without gap or overlap."""

    start_s: int
    end_s: int
    pieces: tuple[Piece, ...]

    @property
    def resolution(self) -> str | None:
        """Name of the finest window used; None when nothing is covered."""
        if not self.pieces:
            return None
        return min((piece.window for piece in self.pieces), key=lambda window: window.seconds).name


def plan_range(
    start_s: int, end_s: int, windows: Sequence[Window], kept_since_s: Mapping[str, int | None]
) -> Plan:
    """Cover [start_s, end_s), rounded outwards to the finest windows kept there.

    `windows` are those that are stored; each one's length divides that of every longer one.
    `kept_since_s` gives for each tier the moment before which its rows are gone (None: all are
    there). What lies before every tier is left out: the plan then begins later than asked for.
    """
    floors = {window.name: first_start(window, kept_since_s.get(window.tier)) for window in windows}
    fine_first = sorted(windows, key=lambda window: window.seconds)
    at = _first_covered(start_s, fine_first, floors)
    if at is None or at >= end_s:
        return Plan(start_s, start_s, ())
    begin = at
    end_s = _rounded_end(end_s, fine_first, floors)
    pieces: list[Piece] = []
    while at < end_s:
        piece = _next_piece(at, end_s, fine_first, floors)
        pieces.append(piece)
        at = piece.end_s
    return Plan(begin, at, tuple(pieces))


def first_start(window: Window, kept_since_s: int | None) -> int | None:
    """Start of the first window that lies wholly after `kept_since_s`."""
    return None if kept_since_s is None else _round_up(kept_since_s, window.seconds)


def _first_covered(
    start_s: int, fine_first: Sequence[Window], floors: Mapping[str, int | None]
) -> int | None:
    for window in fine_first:
        rounded = start_s - start_s % window.seconds
        if is_kept(window, rounded, floors):
            return rounded
    return min((floor for floor in floors.values() if floor is not None), default=None)


def _rounded_end(end_s: int, fine_first: Sequence[Window], floors: Mapping[str, int | None]) -> int:
    """`end_s` rounded up to the finest window kept there."""
    for window in fine_first:
        begins = (end_s - 1) - (end_s - 1) % window.seconds
        if is_kept(window, begins, floors):
            return begins + window.seconds
    return end_s


def _next_piece(
    at: int, end_s: int, fine_first: Sequence[Window], floors: Mapping[str, int | None]
) -> Piece:
    """The longest run of the coarsest window that begins at `at` and fits, up to a coarser one."""
    usable = [w for w in fine_first if at % w.seconds == 0 and is_kept(w, at, floors)]
    fitting = [w for w in usable if at + w.seconds <= end_s]
    if not fitting:
        # The finer windows begin to be kept between here and the end.
        return Piece(usable[0], at, at + usable[0].seconds)
    window = fitting[-1]
    stop = end_s
    for coarser in fine_first:
        if coarser.seconds > window.seconds:
            floor = floors[coarser.name]
            begins = _round_up(at + 1 if floor is None else max(at + 1, floor), coarser.seconds)
            if begins + coarser.seconds <= end_s:
                stop = min(stop, begins)
    return Piece(window, at, at + (stop - at) // window.seconds * window.seconds)


def is_kept(window: Window, start_s: int, floors: Mapping[str, int | None]) -> bool:
    """Whether the window that starts there is stored; `floors` holds its `first_start`."""
    floor = floors[window.name]
    return floor is None or start_s >= floor


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
