"""The search for alike sets finds what comparing every pair finds."""

from __future__ import annotations

import random
import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.bank_checks.similar import similar_pairs

sets = st.lists(st.frozensets(st.sampled_from("abcdefghij"), max_size=8), max_size=20)


@given(sets=sets, threshold=st.sampled_from([0.1, 1 / 3, 0.5, 0.55, 0.6, 2 / 3, 0.75, 0.9, 1.0]))
def test_alike_sets_are_those_that_comparing_every_pair_finds(sets, threshold):
    expected = {
        (left, right): len(sets[left] & sets[right]) / len(sets[left] | sets[right])
        for left, right in combinations(range(len(sets)), 2)
        if sets[left] | sets[right]
    }
    found = {(left, right): similarity for left, right, similarity in similar_pairs(sets, threshold)}
    assert found == {pair: value for pair, value in expected.items() if value >= threshold}


@pytest.mark.parametrize("copies", [2, 5])
def test_every_pair_of_copies_is_yielded_once(copies):
    found = [pair[:2] for pair in similar_pairs([frozenset("abc")] * copies, 0.6)]
    assert found == sorted(combinations(range(copies), 2), key=lambda pair: (pair[1], pair[0]))


def test_four_thousand_sets_take_seconds():
    rng = random.Random(0)
    sets = [frozenset(str(rng.randrange(20_000)) for _ in range(60)) for _ in range(4_000)]
    sets[7] = sets[3_000]
    start = time.process_time()
    assert [pair[:2] for pair in similar_pairs(sets, 0.6)] == [(7, 3_000)]
    assert time.process_time() - start < 10
