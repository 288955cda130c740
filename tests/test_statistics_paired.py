"""Paired and independent differences, equivalence and sign flips, against scipy, statsmodels and enumeration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from prefbench.statistics import (
    cohens_h,
    independent_difference,
    mean_difference,
    odds_ratio,
    paired_difference,
    paired_equivalence,
    sign_flip_p,
    welch_anova,
)

tenths = st.integers(-10, 10).map(lambda k: k / 10)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(3)
    first = rng.random(40)
    return first, np.clip(first + rng.normal(0.05, 0.2, 40), 0, 1)


def test_paired_difference_is_the_paired_t_test(pairs):
    first, second = pairs
    expected = stats.ttest_rel(second, first)
    interval = expected.confidence_interval(0.95)
    found = paired_difference(first, second)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@given(st.lists(tenths, min_size=2, max_size=40), st.randoms())
def test_exchanging_the_sides_changes_the_sign_only(differences, random):
    one = mean_difference(differences)
    two = mean_difference([-d for d in random.sample(differences, len(differences))])
    assert (one.low, one.high, one.p) == pytest.approx((-two.high, -two.low, two.p), abs=1e-9)


def test_strata_take_domain_effects_out_of_the_error(pairs):
    differences = np.concatenate([np.full(20, 0.3), np.full(20, -0.1)]) + (pairs[1] - pairs[0]) / 10
    strata = np.repeat(["a", "b"], 20)
    found, plain = mean_difference(differences, strata=strata), mean_difference(differences)
    assert found.estimate == plain.estimate
    assert found.high - found.low < (plain.high - plain.low) / 3


def test_a_pair_that_lacks_a_side_is_counted_as_missing():
    found = paired_difference([0.1, 0.2, np.nan, 0.4], [0.2, np.nan, 0.3, 0.7])
    assert (found.n, found.n_missing, found.estimate) == (2, 2, pytest.approx(0.2))


def test_no_change_at_all_is_bounded_and_not_certain():
    found = mean_difference(np.zeros(300))
    assert (found.estimate, found.p, found.method) == (0.0, 1.0, "paired_all_equal")
    assert found.high == -found.low == pytest.approx(3 / 300, rel=0.01)


def test_equal_differences_have_the_p_of_the_sign_flips():
    found = mean_difference([0.3 - 0.2, 0.4 - 0.3, 0.5 - 0.4, 0.9 - 0.8])
    assert found.p == 2 / 2**4 == sign_flip_p([0.1] * 4)
    assert found.low < 0.1 < found.high


@pytest.mark.parametrize(
    ("differences", "why"),
    [([], "no prompt"), ([np.nan], "no prompt"), ([0.1], "two pairs"), ([0.1, 1.5], "between -1.0 and 1.0")],
)
def test_degenerate_differences_are_refused(differences, why):
    with pytest.raises(ValueError, match=why):
        mean_difference(differences)


def test_sides_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        paired_difference([0.1, 0.2], [0.1])


@given(st.lists(tenths, min_size=1, max_size=9))
def test_few_sign_flips_are_all_of_them(differences):
    signs = np.array(list(product([1, -1], repeat=len(differences))))
    sums = np.abs(signs @ np.array(differences))
    expected = float((sums >= abs(sum(differences)) - 1e-9).mean())
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_many_sign_flips_come_near_the_exact_p():
    differences = np.random.default_rng(4).normal(0.1, 0.3, 16)
    exact = sign_flip_p(differences)
    drawn = sign_flip_p(np.concatenate([differences, [1e-9]]), draws=20_000, seed=5)
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_sign_flips_are_seeded_and_never_zero():
    differences = np.full(50, 0.2) + np.random.default_rng(0).normal(0, 0.01, 50)
    assert sign_flip_p(differences, draws=999) == 1 / 1000
    noisy = np.random.default_rng(1).normal(0.02, 0.2, 60)
    assert sign_flip_p(noisy, seed=7) == sign_flip_p(noisy, seed=7) != sign_flip_p(noisy, seed=8)


def test_sign_flips_agree_with_the_paired_t_test(pairs):
    differences = pairs[1] - pairs[0]
    assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_sign_flips_refuse_nothing():
    assert sign_flip_p([0.0, 0.0, np.nan]) == 1.0
    with pytest.raises(ValueError, match="no prompt"):
        sign_flip_p([np.nan])


@given(st.integers(0, 1000), st.floats(0.02, 0.5))
def test_equivalence_is_tost_of_statsmodels(seed, margin):
    rng = np.random.default_rng(seed)
    first = rng.random(25)
    second = np.clip(first + rng.normal(0.02, 0.1, 25), 0, 1)
    expected = ttost_paired(second, first, -margin, margin)[0]
    found = paired_equivalence(second - first, margin)
    assert found.p == pytest.approx(expected, rel=1e-7, abs=1e-300)
    assert found.equivalent == (-margin < found.low and found.high < margin) == (found.p < 0.05)


def test_equivalence_of_what_never_changed_depends_on_how_often_it_was_seen():
    assert paired_equivalence(np.zeros(300), 0.05).equivalent
    assert not paired_equivalence(np.zeros(20), 0.05).equivalent
    assert paired_equivalence(np.full(300, 0.2), 0.05).p == 1.0


@pytest.mark.parametrize("margin", [0, 1, -0.1])
def test_margins_that_cannot_be_are_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        paired_equivalence([0.1, 0.2], margin)


def test_independent_difference_is_welch():
    rng = np.random.default_rng(6)
    first, second = rng.random(20), rng.random(35) ** 2
    expected = stats.ttest_ind(second, first, equal_var=False)
    interval = CompareMeans(DescrStatsW(second), DescrStatsW(first)).tconfint_diff(usevar="unequal")
    found = independent_difference(first, second)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(interval, rel=1e-9)


def test_strata_keep_a_group_from_gaining_by_easy_domains():
    """Both formats are alike in each domain, but one sits mostly in the easy domain."""
    rng = np.random.default_rng(7)
    easy, hard = (lambda n: rng.normal(0.8, 0.02, n)), (lambda n: rng.normal(0.2, 0.02, n))
    first, second = np.concatenate([easy(30), hard(10)]), np.concatenate([easy(10), hard(30)])
    strata = {"first_strata": ["e"] * 30 + ["h"] * 10, "second_strata": ["e"] * 10 + ["h"] * 30}
    assert independent_difference(first, second).estimate == pytest.approx(-0.3, abs=0.02)
    found = independent_difference(first, second, **strata)
    assert abs(found.estimate) < 0.02
    assert (found.n, found.n_missing, found.method) == (80, 0, "welch_t_within_strata")


def test_strata_weights_are_those_of_least_squares_with_domain_dummies():
    rng = np.random.default_rng(8)
    first, second = rng.random(12), rng.random(17)
    one, two = np.repeat([0, 1], [5, 7]), np.repeat([0, 1], [11, 6])
    design = np.column_stack([np.repeat([0, 1], [12, 17]), np.eye(2)[np.concatenate([one, two])]])
    slope = np.linalg.lstsq(design, np.concatenate([first, second]), rcond=None)[0][0]
    found = independent_difference(first, second, first_strata=one, second_strata=two)
    assert found.estimate == pytest.approx(slope, rel=1e-9)


def test_strata_that_one_side_lacks_are_missing():
    found = independent_difference(
        [0.1, 0.3, 0.5, 0.9],
        [0.2, 0.4, 0.8],
        first_strata=["a", "a", "b", "b"],
        second_strata=["a", "a", "c"],
    )
    assert (found.n, found.n_missing, found.estimate) == (4, 3, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("first", "second", "why"), [([0.1], [0.2, 0.3], "two prompts"), ([0.5, 0.5], [0.5, 0.5], "do not vary")]
)
def test_independent_differences_refuse_what_has_no_error(first, second, why):
    with pytest.raises(ValueError, match=why):
        independent_difference(first, second)


def test_welch_anova_is_that_of_statsmodels():
    rng = np.random.default_rng(9)
    groups = [rng.normal(mean, sd, n) for mean, sd, n in ((0.5, 0.1, 20), (0.55, 0.2, 30), (0.4, 0.05, 15))]
    expected = anova_oneway(groups, use_var="unequal", welch_correction=True)
    found = welch_anova(groups)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert (found.df_between, found.df_within) == pytest.approx(expected.df, rel=1e-9)


def test_welch_anova_of_two_groups_is_welch_t():
    rng = np.random.default_rng(10)
    first, second = rng.random(12), rng.random(9)
    assert welch_anova([first, second]).p == pytest.approx(independent_difference(first, second).p, rel=1e-9)


@pytest.mark.parametrize("groups", [[[0.1, 0.2]], [[0.1, 0.2], [0.3]], [[0.1, 0.2], [0.3, 0.3]]])
def test_welch_anova_refuses_groups_without_spread(groups):
    with pytest.raises(ValueError, match="two prompts that differ"):
        welch_anova(groups)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_descriptors_change_sign_with_the_sides(first, second):
    assert cohens_h(first, second) == pytest.approx(-cohens_h(second, first))
    assert odds_ratio(first, second) == pytest.approx(1 / odds_ratio(second, first))


def test_descriptors_at_known_values():
    assert cohens_h(0.0, 1.0) == pytest.approx(np.pi)
    assert odds_ratio(0.5, 0.75) == pytest.approx(3.0)
    assert odds_ratio(0.0, 0.5) is None
