"""From the sums of 1-minute cells to those of windows: every larger window is a merge of cells."""

from collections.abc import Mapping

from analytics_service.domain.delta import Delta
from analytics_service.domain.windows import Window

__all__ = ["Cell", "Delta", "roll_up"]

Cell = tuple[str, int]
"""Service and window start in epoch seconds, UTC."""


def roll_up(cells: Mapping[Cell, Delta], window: Window) -> dict[Cell, Delta]:
    """The windows that the cells (of a window that divides ``window``) add up to.

    Never changes the cells. A window with one contributing cell gets *that very delta*: to merge
    something into a result, merge into a copy.
    """
    result: dict[Cell, Delta] = {}
    own: set[Cell] = set()
    for (service, start), delta in cells.items():
        cell = (service, window.start_of(start))
        present = result.get(cell)
        if present is None:
            result[cell] = delta
            continue
        if cell not in own:
            result[cell] = present = present.copy()
            own.add(cell)
        present.merge_from(delta)
    return result
