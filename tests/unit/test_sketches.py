"""The latency histogram against brute force, the distinct counter against sets."""

import math
import random
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from datasketches import hll_sketch, tgt_hll_type
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_service.domain.sketches import (
    ACCURACY,
    GAMMA,
    ZERO_BUCKET,
    DistinctCounter,
    Histogram,
    bucket_numbers,
    bucket_value,
    percentiles,
)
from tests.reference.sketches import distinct, union_of

SMALLEST = 5e-324
LARGEST = sys.float_info.max
SMALLEST_NORMAL = sys.float_info.min


def histogram_of(values: list[float]) -> dict[int, int]:
    buckets: dict[int, int] = {}
    if not values:
        return buckets
    for bucket in bucket_numbers(np.array(values, dtype=np.float64)).tolist():
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


def percentile(buckets: dict[int, int], percent: int, lowest: float, highest: float) -> float:
    numbers = sorted(buckets)
    counts = [buckets[number] for number in numbers]
    (found,) = percentiles(numbers, counts, [percent], lowest, highest)
    return found


def nearest_rank(values: list[float], percent: int) -> float:
    """The ceil(percent/100 * n)-th smallest, in whole numbers."""
    rank = (percent * len(values) + 99) // 100
    return sorted(values)[rank - 1]


def within(value: float, exact: float) -> bool:
    """Within 1 %; among subnormal floats, whose steps are wider than that, within a step."""
    step = SMALLEST if exact < SMALLEST_NORMAL else 0.0
    return abs(value - exact) <= 0.01 * exact + step


@pytest.mark.parametrize("value", [1.0, 1e-300, 1e300, 0.1, 123.456, 7e9, SMALLEST_NORMAL, LARGEST])
def test_a_value_lies_in_its_bucket_and_near_what_the_bucket_answers(value: float) -> None:
    (bucket,) = bucket_numbers(np.array([value])).tolist()
    # (GAMMA**(bucket-1), GAMMA**bucket], in logarithms, which neither overflow nor underflow
    position = math.log(value) / math.log(GAMMA)
    assert bucket - 1 - 1e-6 < position <= bucket + 1e-6
    assert abs(bucket_value(bucket) - value) <= value * (ACCURACY + 1e-9)


def test_powers_of_gamma_end_their_buckets() -> None:
    exponents = [-700, -3, -1, 0, 1, 2, 50, 700]
    just_below = [GAMMA**i * (1 - 1e-9) for i in exponents]
    just_above = [GAMMA**i * (1 + 1e-9) for i in exponents]
    assert bucket_numbers(np.array(just_below)).tolist() == exponents
    assert bucket_numbers(np.array(just_above)).tolist() == [i + 1 for i in exponents]


def test_the_bucket_of_zero_is_below_all_others_and_answers_zero() -> None:
    assert bucket_numbers(np.array([0.0])).tolist() == [ZERO_BUCKET] == [-1_000_000]
    assert bucket_value(ZERO_BUCKET) == 0.0
    assert bucket_numbers(np.array([SMALLEST]))[0] > ZERO_BUCKET


@pytest.mark.parametrize("bucket", [100_000, 39_433, -41_358, -100_000])
def test_no_bucket_answers_with_anything_but_a_finite_number(bucket: int) -> None:
    assert 0.0 <= bucket_value(bucket) <= LARGEST


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.floats(0, allow_infinity=False),
            st.floats(0.01, 10_000),
            st.sampled_from([0.0, SMALLEST, 1e-310, SMALLEST_NORMAL, 1.0, 1e300, 1.7e308, LARGEST]),
        ),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from([1, 50, 95, 99, 100]),
)
def test_percentiles_are_within_one_percent_of_nearest_rank(
    values: list[float], percent: int
) -> None:
    found = percentile(histogram_of(values), percent, min(values), max(values))
    assert within(found, nearest_rank(values, percent)), (found, nearest_rank(values, percent))


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 99, 100, 101, 199, 200, 201, 1000])
@pytest.mark.parametrize("percent", [50, 95, 99])
def test_the_rank_is_exact_at_its_edges(count: int, percent: int) -> None:
    # Values far apart, so that a rank off by one is an error of far more than 1 %.
    values = [1.5**i for i in range(count)]
    found = percentile(histogram_of(values), percent, min(values), max(values))
    assert within(found, nearest_rank(values, percent))


def test_a_percentile_never_leaves_the_extremes() -> None:
    assert percentile({0: 3}, 50, 0.9995, 0.9999) == 0.9995
    assert percentile({0: 3}, 50, 0.9825, 0.985) == 0.985
    assert percentile({0: 3}, 50, 0.0, 5.0) == bucket_value(0)


def test_several_percentiles_at_once() -> None:
    values = [float(i) for i in range(1, 101)]
    buckets = histogram_of(values)
    counts = [buckets[number] for number in sorted(buckets)]
    found = percentiles(sorted(buckets), counts, (1, 50, 95, 99, 100), 1.0, 100.0)
    assert found == pytest.approx([1, 50, 95, 99, 100], rel=0.01)


@given(
    st.lists(st.floats(0, allow_infinity=False) | st.integers(0, 99).map(float), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_merged_histograms_are_that_of_all_values(values: list[float], cuts: list[int]) -> None:
    merged = Histogram()
    handed_over = []
    for start, end in pairwise([0, *sorted(cuts), len(values)]):
        buckets = histogram_of(values[start:end])
        other = Histogram.of(sorted(buckets), [buckets[number] for number in sorted(buckets)])
        before = Histogram.of(other.numbers, other.counts)
        merged.merge_from(other)
        merged.merge_from(Histogram())
        handed_over.append((other, before))
    for other, before in handed_over:
        assert other == before
    assert merged.numbers.tolist() == sorted(merged.numbers)
    assert dict(zip(merged.numbers, merged.counts, strict=True)) == histogram_of(values)


# Distinct counting


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 100, 256, 257, 300, 380])
def test_a_few_hundred_are_counted_exactly(count: int) -> None:
    counter = DistinctCounter(f"user-{i}" for i in range(count))
    assert counter.estimate() == count
    assert DistinctCounter.deserialize(counter.serialize()).estimate() == count


@pytest.mark.parametrize("pieces", [2, 3, 30, 370])
def test_a_few_hundred_are_exact_after_any_merges_through_storage(pieces: int) -> None:
    total = DistinctCounter()
    for piece in range(pieces):
        # each piece shares half of its texts with others
        texts = {f"user-{i}" for i in range(370) if i % pieces == piece or i % 2}
        total.merge_from(DistinctCounter.deserialize(DistinctCounter(texts).serialize()))
        total = DistinctCounter.deserialize(total.serialize())
    assert total.estimate() == 370


@pytest.mark.parametrize("count", [1_000, 5_000, 50_000])
def test_the_standard_error_above_is_at_most_two_percent(count: int) -> None:
    trials = 40 if count < 50_000 else 12
    errors = []
    for trial in range(trials):
        counter = DistinctCounter()
        for part in range(3):  # merged, as rows are
            piece = DistinctCounter(f"t{trial}-{i}" for i in range(part, count, 3))
            counter.merge_from(DistinctCounter.deserialize(piece.serialize()))
        errors.append(counter.estimate() / count - 1)
    spread = math.sqrt(sum(error * error for error in errors) / trials)
    # The true standard error is 1.3-1.6 %; these trials are always the same ones.
    assert spread <= 0.02, spread


@settings(max_examples=100)
@given(st.lists(st.sets(st.integers(0, 2000), max_size=300), min_size=1, max_size=5), st.data())
def test_merging_counts_the_union_in_any_order(sets: list[set[int]], data: st.DataObject) -> None:
    def counter_of(numbers: set[int]) -> DistinctCounter:
        stored = data.draw(st.booleans())
        counter = DistinctCounter(map(str, numbers))
        return DistinctCounter.deserialize(counter.serialize()) if stored else counter

    counters = [counter_of(numbers) for numbers in sets]
    before = [counter.estimate() for counter in counters]
    total = DistinctCounter()
    for counter in data.draw(st.permutations(counters)):
        total.merge_from(counter)
    union = len(set().union(*sets))
    assert abs(total.estimate() - union) <= (0 if union <= 380 else 0.07 * union)
    # what was merged is what it was
    assert [counter.estimate() for counter in counters] == before


def test_a_copy_goes_its_own_way() -> None:
    one = DistinctCounter(["a", "b"])
    two = one.copy()
    two.add("c")
    one.add("d")
    one.add("e")
    assert (one.estimate(), two.estimate()) == (4, 3)
    settled = two.copy()
    settled.add("f")
    assert (two.estimate(), settled.estimate()) == (3, 4)


def test_texts_are_counted_as_texts() -> None:
    # the empty text is one too; "1" and "1.0" differ; composed and decomposed letters differ
    assert (
        DistinctCounter(["", "1", "1.0", "01", "\u00e9", "e\u0301", "\U0001f600"]).estimate() == 7
    )
    counter = DistinctCounter([""])
    counter.merge_from(DistinctCounter.deserialize(DistinctCounter([""]).serialize()))
    assert counter.estimate() == 1


def test_nothing_counted_is_stored_as_null() -> None:
    assert DistinctCounter().serialize() is None
    assert DistinctCounter.deserialize(None).estimate() == 0
    merged = DistinctCounter()
    merged.merge_from(DistinctCounter())
    assert merged.serialize() is None


def test_state_is_read_from_what_the_driver_gives() -> None:
    state = DistinctCounter(["a", "b"]).serialize()
    assert state is not None
    assert DistinctCounter.deserialize(memoryview(state)).estimate() == 2


def test_a_stored_counter_is_small() -> None:
    shuffled = list(range(100_000))
    random.Random(7).shuffle(shuffled)
    state = DistinctCounter(map(str, shuffled)).serialize()
    assert state is not None
    assert len(state) < 2200


def registers_of(*states: bytes | None) -> bytes | int:
    """What sketches counted together, bit by bit; while they count exactly, how many."""
    result = union_of(*states).get_result(tgt_hll_type.HLL_8)
    if result.get_estimate() <= 384:
        return distinct(*states)
    # Estimators of other ways to the same registers come before them.
    whole: bytes = result.serialize_updatable()
    return whole[-4096:]


def sketch_of(texts: set[str]) -> bytes:
    sketch = hll_sketch(12)
    for text in texts:
        sketch.update(text)
    return bytes(sketch.serialize_compact())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("pool", "most"), [(370, 6), (50_000, 6), (50_000, 200), (50_000, 700)])
def test_a_stored_sketch_and_what_it_lacks_count_everything(
    seed: int, pool: int, most: int
) -> None:
    dice = random.Random(seed * pool + most)
    told: set[str] = set()
    sketch: bytes | None = None
    recent: bytes | None = None
    counter = DistinctCounter()
    stayed = Counter[bool]()
    for _ in range(300):
        texts = {str(dice.randrange(pool)) for _ in range(dice.randrange(most + 1))}
        told |= texts
        if dice.random() < 0.3:  # somebody else reads it from the table
            counter = DistinctCounter.of_row(sketch, recent)
        counter.merge_from(DistinctCounter(texts))
        whole, since = counter.to_write()
        if since is None:
            sketch, recent = whole, None
        else:
            assert whole is None
            recent = since
            assert sketch is not None
            assert len(recent) <= len(sketch) / 4 + 12
        counter.was_written()
        stayed[since is not None] += 1
        assert registers_of(sketch, recent) == registers_of(sketch_of(told))
        assert DistinctCounter.deserialize(sketch, recent).estimate() == pytest.approx(
            len(told), rel=0 if len(told) <= 384 else 0.06
        )
    assert counter.estimate() == pytest.approx(len(told), rel=0 if len(told) <= 384 else 0.06)
    assert stayed[False] > 5
    # A few new ones mostly find room beside the sketch, hundreds seldom do.
    least, greatest = {6: (100, 290), 200: (20, 220), 700: (1, 80)}[most]
    assert least <= stayed[True] <= greatest


def test_a_small_sketch_is_written_whole_each_time() -> None:
    counter = DistinctCounter()
    for number in range(100):
        counter.merge_from(DistinctCounter([str(number)]))
        whole, recent = counter.to_write()
        counter.was_written()
        assert (distinct(whole), recent) == (number + 1, None)


def test_nothing_new_is_little_to_write() -> None:
    counter = DistinctCounter(map(str, range(1_000)))
    counter.to_write()
    counter.was_written()
    whole, recent = counter.to_write()
    assert whole is None
    assert recent is not None
    assert distinct(recent) == 0
    assert len(recent) < 10


def test_a_copy_is_written_whole_and_what_is_written_twice_before_it_is_stored_is_the_same() -> (
    None
):
    counter = DistinctCounter(map(str, range(1_000)))
    assert counter.to_write() == counter.to_write()
    counter.was_written()
    counter.add("one more")
    assert counter.to_write()[0] is None
    assert counter.to_write() == counter.to_write()
    whole, recent = counter.copy().to_write()
    assert (whole, recent) == (counter.serialize(), None)


def test_what_is_read_to_be_written_elsewhere_is_written_whole() -> None:
    counter = DistinctCounter(map(str, range(1_000)))
    counter.settled()
    state = counter.serialize()
    counter.was_written()
    counter.add("one more")
    whole, recent = counter.to_write()
    assert whole is None
    assert DistinctCounter.of_row(state, recent).to_write() == (None, recent)
    elsewhere, nothing = DistinctCounter.deserialize(state, recent).to_write()
    assert nothing is None
    assert registers_of(elsewhere) == registers_of(state, recent)
    only_recent = DistinctCounter.of_row(None, recent)
    assert only_recent.estimate() == 1
    assert only_recent.to_write()[0] is not None


def test_the_same_texts_again_need_no_more_room() -> None:
    counter = DistinctCounter(map(str, range(1_000)))
    counter.settled()
    counter.was_written()
    for _ in range(50):
        counter.merge_from(DistinctCounter(map(str, range(30))))
        assert counter.to_write()[0] is None


@pytest.mark.parametrize(("texts", "stays"), [(65, True), (66, False)])
def test_many_at_once_are_not_worth_a_sketch_of_their_own(texts: int, stays: bool) -> None:
    counter = DistinctCounter(map(str, range(1_000)))  # 2,088 bytes: room for 130
    counter.settled()
    counter.was_written()
    counter.merge_from(DistinctCounter(f"new-{number}" for number in range(texts)))
    assert (counter.to_write()[0] is None) == stays
