"""Cutting a flush in two until the culprit is alone: nothing lost, nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.ingest.work import Part, Work, as_dead_letters
from tests.unit.ingest_support import part, session, users


def places(work: Work) -> list[tuple[int, int]]:
    """Partition and offset of every message, part by part."""
    return [
        (each.partition, offset)
        for each in work.parts
        for offset in sorted([*each.offsets, *(letter.offset for letter in each.letters)])
    ]


def consistent(each: Part) -> bool:
    """Whether a part's columns belong together."""
    assert users(each.events.columns) == [str(offset) for offset in each.offsets]
    assert list(each.sources.values) == [b"value %d" % offset for offset in each.offsets]
    assert list(each.sources.keys or ()) == [b"key %d" % offset for offset in each.offsets]
    inside = [*each.offsets, *(letter.offset for letter in each.letters)]
    return all(each.first_offset <= offset < each.next_offset for offset in inside)


def test_figures_of_a_work() -> None:
    work = Work(
        session(),
        [
            part(0, [1, 2], [3], size_bytes=10, lag=4),
            part(1, [], [7], size_bytes=5, lag=2),
            part(0, [4, 5], end=9, size_bytes=1, lag=1),
        ],
    )
    assert (work.events, work.messages, work.size_bytes) == (4, 6, 16)
    assert users(work.all_events()) == ["1", "2", "4", "5"]
    # Of several parts of a partition the last one tells where it stands.
    assert work.next_offsets() == {0: 9, 1: 8}
    assert work.lags() == {0: 1, 1: 2}


def test_halves_of_several_parts_are_parts() -> None:
    parts = [part(0, [0]), part(1, [0]), part(0, [1])]
    first, second = Work(session(), parts).halves()
    assert (first.parts, second.parts) == (parts[:1], parts[1:])


@pytest.mark.parametrize(
    ("events", "letters", "first", "second"),
    [
        # offsets of events and dead letters -> offsets of the halves
        ([0, 1, 2, 3], [], [0, 1], [2, 3]),
        ([0, 1, 2], [], [0], [1, 2]),
        ([5, 90, 1000], [], [5], [90, 1000]),  # holes in the offsets
        ([0], [1, 2, 3], [0, 1], [2, 3]),  # one event among dead letters
        ([0], [1], [0], [1]),
        ([1], [0], [0], [1]),
        ([3], [0, 1, 2], [0, 1], [2, 3]),
    ],
)
def test_halves_of_one_part(
    events: list[int], letters: list[int], first: list[int], second: list[int]
) -> None:
    whole = part(0, events, letters, lag=5)
    halves = list(Work(session(), [whole]).halves())
    assert [[offset for _, offset in places(half)] for half in halves] == [first, second]
    one, two = (half.parts[0] for half in halves)
    assert (one.first_offset, two.next_offset) == (whole.first_offset, whole.next_offset)
    assert one.next_offset == two.first_offset, "they follow one another"
    # Behind the first half lies also what is in the second.
    assert (one.lag, two.lag) == (5 + two.next_offset - one.next_offset, 5)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=2, unique_by=lambda x: x[0]),
    st.integers(0, 3),
)
def test_cutting_again_and_again_ends_with_single_messages(
    messages: list[tuple[int, bool]], hole: int
) -> None:
    events = sorted(offset for offset, is_event in messages if is_event)
    letters = sorted(offset for offset, is_event in messages if not is_event)
    highest = max(offset for offset, _ in messages)
    whole = Work(session(), [part(0, events, letters, first=0, end=highest + 1 + hole)])
    waiting, done = [whole], list[Work]()
    for _ in range(4 * len(messages)):
        if not waiting:
            break
        work = waiting.pop(0)
        assert all(map(consistent, work.parts))
        if work.messages == 1:
            done.append(work)
        else:
            halves = list(work.halves())
            assert all(half.messages < work.messages for half in halves)
            waiting = [*halves, *waiting]
    assert not waiting, "it goes on for ever"
    assert [place for work in done for place in places(work)] == places(whole)
    assert done[-1].next_offsets() == whole.next_offsets()
    # One follows the other without a hole.
    edges = [(work.parts[0].first_offset, work.parts[0].next_offset) for work in done]
    assert [end for _, end in edges[:-1]] == [first for first, _ in edges[1:]]


def test_as_dead_letters_keeps_the_original_bytes() -> None:
    before = part(2, [4, 6], [5])
    after = as_dead_letters(before, "processing_failed", "why")
    assert (after.first_offset, after.next_offset) == (4, 7)
    assert (len(after.events), list(after.offsets), list(after.sources.values)) == (0, [], [])
    assert [(x.partition, x.offset, x.reason, x.detail, x.key, x.value) for x in after.letters] == [
        (2, 5, "empty", "no value", None, None),
        (2, 4, "processing_failed", "why", b"key 4", b"value 4"),
        (2, 6, "processing_failed", "why", b"key 6", b"value 6"),
    ]
