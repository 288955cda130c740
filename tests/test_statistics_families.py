"""Corrections for families of tests, and bounds for what is missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from prefbench.statistics import (
    Bounds,
    adjust_p_values,
    benjamini_hochberg,
    holm,
    worst_case_difference,
    worst_case_rate,
)

families = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=20)
unit_rates = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=20)


@given(families)
def test_corrections_are_those_of_statsmodels(p_values):
    np.testing.assert_allclose(
        holm(p_values), multipletests(p_values, method="holm")[1], rtol=1e-12, atol=1e-300
    )
    np.testing.assert_allclose(
        benjamini_hochberg(p_values), multipletests(p_values, method="fdr_bh")[1], rtol=1e-12, atol=1e-300
    )


@given(families, st.randoms())
def test_a_test_that_could_not_be_made_is_no_part_of_the_family(p_values, random):
    place = random.randrange(len(p_values) + 1)
    with_gap = [*p_values[:place], np.nan, *p_values[place:]]
    for correction in ("holm", "bh", "none"):
        found = adjust_p_values(with_gap, correction)
        assert np.isnan(found[place])
        np.testing.assert_array_equal(np.delete(found, place), adjust_p_values(p_values, correction))


def test_an_empty_family_stays_empty():
    assert holm([]).size == 0


@pytest.mark.parametrize("p_values", [[1.1], [-0.1], [[0.1, 0.2]]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(ValueError, match="p values"):
        holm(p_values)


def test_another_correction_is_refused_by_name():
    with pytest.raises(ValueError, match="holm, bh, none, not 'bonferroni'"):
        adjust_p_values([0.1], "bonferroni")


@given(unit_rates)
def test_any_filling_of_the_gaps_lies_within_the_bounds(rates):
    data = np.array([np.nan if r is None else r for r in rates])
    low, high = worst_case_rate(data)
    filled = np.where(np.isnan(data), np.random.default_rng(0).random(data.size), data)
    assert low - 1e-12 <= filled.mean() <= high + 1e-12
    assert high - low == pytest.approx(np.isnan(data).mean())


def test_unreadable_answers_widen_a_unit_and_weights_count():
    low, high = worst_case_rate([0.2, np.nan], [0.5, np.nan], weights=[3, 1])
    assert (low, high) == (pytest.approx(0.15), pytest.approx(0.625))


def test_bounds_of_a_difference_put_the_gaps_on_opposite_sides():
    assert worst_case_difference(Bounds(0.2, 0.5), Bounds(0.4, 0.6)) == pytest.approx((-0.1, 0.4))


@pytest.mark.parametrize(
    ("rates", "weights", "why"),
    [
        ([], None, "at least one"),
        ([1.2], None, "between 0 and 1"),
        ([0.5], [0], "positive"),
        ([0.5], [1, 2], "one a unit"),
    ],
)
def test_bounds_refuse_what_cannot_be(rates, weights, why):
    with pytest.raises(ValueError, match=why):
        worst_case_rate(rates, weights=weights)


def test_no_correction_leaves_a_copy():
    p_values = np.array([0.01, np.nan, 0.5])
    found = adjust_p_values(p_values, "none")
    np.testing.assert_array_equal(found, p_values)
    assert found is not p_values
