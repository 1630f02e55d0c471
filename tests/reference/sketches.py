"""What stored sketches count, by the library that made them alone."""

from __future__ import annotations

from datasketches import hll_sketch, hll_union

LG_K = 12


def union_of(*states: bytes | memoryview | None) -> hll_union:
    """The union of sketches as they are stored; None is the empty one."""
    union = hll_union(LG_K)
    for state in states:
        if state is not None:
            union.update(hll_sketch.deserialize(bytes(state)))
    return union


def distinct(*states: bytes | memoryview | None) -> int:
    """How many different texts they count together; exact up to 384."""
    return round(float(union_of(*states).get_estimate()))
