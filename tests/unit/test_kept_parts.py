"""What was merged before is used for the very same rows only, and as much is kept as fits."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dashboard_api.kept_parts import KeptParts, size_of
from dashboard_api.merging import Part, RowMerger
from tests.unit.test_api_merging import AT, check_same, events, fold, stored


def part_of(numbers: int = 0) -> Part:
    merger = RowMerger()
    row = [1, 0, 1, 5.0, 5.0, 5.0, 0, 0.0, 0, *[None] * 4]
    merger.add(
        AT, [*row, f"{{{','.join(map(str, range(numbers)))}}}", f"{{{','.join('1' * numbers)}}}"]
    )
    return merger.part()


def test_another_mark_is_another_content() -> None:
    kept, part = KeptParts(), part_of(3)
    kept.put("key", (1, "then"), part)
    assert kept.get("key", (1, "then")) is part
    assert kept.get("key", (2, "then")) is None
    assert kept.get("other", (1, "then")) is None


def test_a_newer_part_takes_the_place_of_the_older_one() -> None:
    kept, newer = KeptParts(), part_of(4)
    kept.put("key", 1, part_of(3))
    kept.put("key", 2, newer)
    assert (kept.get("key", 1), kept.get("key", 2), len(kept)) == (None, newer, 1)


def test_what_was_not_asked_for_longest_goes_first() -> None:
    part = part_of(10)
    kept = KeptParts(most_bytes=2 * size_of(part))
    kept.put("a", 1, part)
    kept.put("b", 1, part)
    assert kept.get("a", 1) is part
    kept.put("c", 1, part)
    assert [kept.get(key, 1) is not None for key in "abc"] == [True, False, True]
    kept.put("a", 2, part)
    assert len(kept) == 2  # replacing one makes no room necessary


@given(st.lists(st.lists(st.lists(events, min_size=1, max_size=40), max_size=3), max_size=4))
def test_parts_merge_to_what_their_rows_merge_to(groups: list[list[list[object]]]) -> None:
    at_once, of_parts = RowMerger(), RowMerger()
    for number, group in enumerate(groups):
        some = RowMerger()
        for batch in group:
            row = stored(fold(batch).to_state())  # type: ignore[arg-type]
            written_at = datetime(2026, 3, 10, 0, number, tzinfo=UTC)
            at_once.add(written_at, row)
            some.add(written_at, row)
        part = some.part()
        of_parts.add_part(part)
        before = (part.counts, part.numbers.tolist(), part.amounts.tolist())
        of_parts.part()
        assert (part.counts, part.numbers.tolist(), part.amounts.tolist()) == before
    assert of_parts.written_at == at_once.written_at
    assert of_parts.figures() == of_parts.result().figures()
    check_same(of_parts.result().to_state(), at_once.result().to_state())
