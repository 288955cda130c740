"""Labels and consistency of one record, against brute force and the closed forms."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.statistics import (
    DEFAULT_THRESHOLDS,
    LabelThresholds,
    label_record,
    max_share,
    pairwise_agreement,
    record_consistency,
)

counts = st.integers(0, 40)
FLIPPED = {
    "consistent_preference": "consistent_no_preference",
    "consistent_no_preference": "consistent_preference",
    "mixed": "mixed",
    None: None,
}


@pytest.mark.parametrize(
    ("yes", "no", "label"),
    [
        (10, 0, "consistent_preference"),
        (8, 2, "consistent_preference"),
        (4, 1, "consistent_preference"),
        (7, 3, "mixed"),
        (5, 5, "mixed"),
        (2, 8, "consistent_no_preference"),
        (1, 4, "consistent_no_preference"),
        (3, 7, "mixed"),
        (0, 0, None),
    ],
)
def test_default_thresholds_include_their_ends(yes, no, label):
    assert label_record(yes, no) == label


@given(counts, counts)
def test_swapping_verdicts_flips_the_label(yes, no):
    assert label_record(no, yes) == FLIPPED[label_record(yes, no)]


def test_thresholds_are_taken_from_the_argument():
    assert label_record(7, 3, LabelThresholds(upper=0.7, lower=0.1)) == "consistent_preference"
    assert LabelThresholds(upper=0.7, lower=0.1).to_dict() == {"upper": 0.7, "lower": 0.1}
    assert DEFAULT_THRESHOLDS.to_dict() == {"upper": 0.8, "lower": 0.2}


@pytest.mark.parametrize(
    ("upper", "lower"), [(0.2, 0.8), (0.5, 0.5), (1.1, 0.2), (0.8, -0.1), (float("nan"), 0.2)]
)
def test_thresholds_that_cannot_be_are_refused(upper, lower):
    with pytest.raises(ValueError, match="lower < upper"):
        LabelThresholds(upper=upper, lower=lower)


@given(counts, counts)
def test_pairwise_agreement_counts_the_pairs_that_agree(yes, no):
    verdicts = ["Y"] * yes + ["N"] * no
    pairs = list(combinations(verdicts, 2))
    expected = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    assert record_consistency(yes, no, "pairwise") == pytest.approx(expected)


@given(counts, counts)
def test_max_share_is_the_share_of_the_larger_count(yes, no):
    verdicts = ["Y"] * yes + ["N"] * no
    expected = max(verdicts.count("Y"), verdicts.count("N")) / len(verdicts) if verdicts else None
    assert record_consistency(yes, no) == expected


def test_bias_is_what_the_docstring_says():
    weights = np.array([comb(10, k) for k in range(11)]) / 2**10
    shares = np.array([record_consistency(k, 10 - k) for k in range(11)])
    pairs = np.array([record_consistency(k, 10 - k, "pairwise") for k in range(11)])
    assert weights @ shares == pytest.approx(0.623, abs=5e-4)
    assert weights @ pairs == pytest.approx(0.5)


@given(st.lists(st.tuples(counts, counts), min_size=1))
def test_arrays_agree_with_single_records(pairs):
    yes, no = np.array(pairs).T
    for function, definition in ((max_share, "max_share"), (pairwise_agreement, "pairwise")):
        expected = [record_consistency(k, other, definition) for k, other in pairs]
        np.testing.assert_array_equal(function(yes, no), np.array(expected, dtype=float))


def test_missing_counts_stay_missing_in_arrays():
    assert np.isnan(max_share([np.nan, 0], [np.nan, 0])).all()
    assert np.isnan(pairwise_agreement([np.nan, 1], [3, 0])).all()


@pytest.mark.parametrize("function", [label_record, record_consistency, max_share, pairwise_agreement])
def test_negative_counts_are_refused(function):
    with pytest.raises(ValueError, match="negative"):
        function(-1, 3)


def test_another_definition_is_refused_by_name():
    with pytest.raises(ValueError, match="max_share, pairwise, not 'entropy'"):
        record_consistency(1, 2, "entropy")
