"""Kappa, alpha and AC1 against scikit-learn, statsmodels, published worked examples and their own properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics import confusion_matrix as sklearn_confusion
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa
from statsmodels.stats.multivariate import test_mvmean as hotelling

from prefbench.statistics import (
    bca_limits,
    best_constant,
    clustered_slope,
    cohens_kappa,
    confusion_matrix,
    equal_profile,
    estimate_agreement,
    gwets_ac1,
    jackknife_totals,
    krippendorffs_alpha,
    resampled_totals,
)

NAN = math.nan
pairs = st.integers(2, 4).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=3, max_size=60),
    )
)
ratings = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, NAN]), min_size=3, max_size=3), min_size=2, max_size=30
)


def table(rows) -> np.ndarray:
    """Return ratings (n, 2) that have a given table of counts."""
    return np.array(
        [(i, j) for i, row in enumerate(rows) for j, count in enumerate(row) for _ in range(count)],
        dtype=float,
    )


@given(pairs)
def test_confusion_and_kappa_are_those_of_scikit_learn_and_statsmodels(drawn):
    k, rows = drawn
    first, second = np.array(rows).T
    counts = confusion_matrix(first, second, categories=k)
    np.testing.assert_array_equal(counts, sklearn_confusion(first, second, labels=range(k)))
    found = cohens_kappa(counts)
    assume(found.expected < 1 - 1e-9)
    assert found.estimate == pytest.approx(cohen_kappa_score(first, second, labels=list(range(k))), abs=1e-9)
    with np.errstate(all="ignore"):  # its z value divides by zero where one rater is constant
        oracle = statsmodels_kappa(counts)
    assert found.estimate == pytest.approx(oracle.kappa, abs=1e-9)
    assert found.standard_error == pytest.approx(math.sqrt(max(0.0, oracle.var_kappa)), rel=1e-9, abs=1e-7)


def test_kappa_of_one_answer_throughout_is_not_defined():
    found = cohens_kappa([[7, 0], [0, 0]])
    assert math.isnan(found.estimate)
    assert found.observed == 1
    with pytest.raises(ValueError, match="something in it"):
        cohens_kappa([[0, 0], [0, 0]])


def test_a_missing_rating_is_in_no_cell():
    counts = confusion_matrix([0, 1, NAN, 1], [0, NAN, 1, 0])
    np.testing.assert_array_equal(counts, [[1, 0], [1, 0]])


@pytest.mark.parametrize("codes", [[0, 2], [0.5, 1], [-1, 0]])
def test_codes_that_are_no_category_are_refused(codes):
    with pytest.raises(ValueError, match="codes from 0 to 1"):
        confusion_matrix(codes, [0, 1])


# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", sections A, B and C
MEG_OWEN = [[0, 1], [1, 1], [0, 1], [0, 0], [0, 0], [0, 1], [0, 0], [0, 0], [1, 0], [0, 0]]
BEN_GERRY = [
    ["abcde".index(mark) for mark in pair] for pair in zip("aabbdcccedda", "babbbccceddd", strict=True)
]
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T


@pytest.mark.parametrize(
    ("data", "categories", "published"),
    [(MEG_OWEN, 2, 0.095), (BEN_GERRY, 5, 0.692), (FOUR_OBSERVERS - 1, 5, 0.743)],
)
def test_alpha_is_that_of_krippendorffs_worked_examples(data, categories, published):
    assert krippendorffs_alpha(data, categories=categories) == pytest.approx(published, abs=0.0006)


def test_ac1_is_that_of_gwets_worked_examples():
    # Gwet (2008), the table with prevalence near 1, and the two data sets of his R package irrCAC 1.0
    assert gwets_ac1(table([[118, 5], [2, 0]])) == pytest.approx(0.9408, abs=5e-5)
    assert cohens_kappa([[118, 5], [2, 0]]).estimate == pytest.approx(-0.0234, abs=5e-5)
    assert gwets_ac1(FOUR_OBSERVERS - 1, categories=5) == pytest.approx(0.77544, abs=5e-6)
    assert krippendorffs_alpha(FOUR_OBSERVERS - 1, categories=5) == pytest.approx(0.74342, abs=5e-6)
    abstractors = table([[13, 0, 0], [0, 20, 7], [0, 4, 56]])
    assert gwets_ac1(abstractors, categories=3) == pytest.approx(0.8493305, abs=5e-8)
    assert krippendorffs_alpha(abstractors, categories=3) == pytest.approx(0.7972585, abs=5e-8)


def or_nan(coefficient):
    """Return a coefficient of three categories that is NaN where it refuses."""

    def found(data):
        try:
            return coefficient(data, categories=3)
        except ValueError:
            return NAN

    return found


def coincidences(data: np.ndarray, categories: int) -> float:
    """Return alpha the long way: the coincidence matrix, cell by cell."""
    matrix = np.zeros((categories, categories))
    for unit in data:
        given_ = [int(value) for value in unit if not math.isnan(value)]
        for i, one in enumerate(given_):
            for j, other in enumerate(given_):
                if i != j:
                    matrix[one, other] += 1 / (len(given_) - 1)
    margins, size = matrix.sum(axis=0), matrix.sum()
    observed = size - np.trace(matrix)
    expected = (size**2 - (margins**2).sum()) / (size - 1) if size > 1 else 0
    return 1 - observed / expected if expected else NAN


@given(ratings)
def test_alpha_with_missing_ratings_is_that_of_the_coincidence_matrix(rows):
    expected = coincidences(np.array(rows), 3)
    assert or_nan(krippendorffs_alpha)(rows) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(ratings, st.permutations([0, 1, 2]), st.permutations([0, 1, 2]), st.randoms())
def test_names_and_order_do_not_matter(rows, names, raters, random):
    data = np.array(rows)
    renamed = np.where(np.isnan(data), NAN, np.array(names)[np.nan_to_num(data).astype(int)])[:, raters]
    order = list(range(len(data)))
    random.shuffle(order)
    for coefficient in (krippendorffs_alpha, gwets_ac1):
        found = or_nan(coefficient)(renamed[order])
        assert found == pytest.approx(or_nan(coefficient)(data), abs=1e-9, nan_ok=True)


@given(ratings, st.integers(2, 5))
def test_copies_of_all_units_change_ac1_not_at_all_and_alpha_by_its_small_sample_term(rows, times):
    data, many = np.array(rows), np.tile(rows, (times, 1))
    assert or_nan(gwets_ac1)(many) == pytest.approx(or_nan(gwets_ac1)(data), abs=1e-9, nan_ok=True)
    size = sum(count for unit in data if (count := int((~np.isnan(unit)).sum())) > 1)
    once, often = (1 - or_nan(krippendorffs_alpha)(each) for each in (data, many))
    if not math.isnan(once):
        assert often == pytest.approx(once * (times * size - 1) / (times * (size - 1)), abs=1e-9)


def test_the_kappa_paradox_shows_what_the_base_rate_does():
    """A rate of 2 % and a judge that says Y too often: high agreement, low kappa (statistics notes: .82, .13, .77)."""
    counts = np.array([[802, 178], [2, 18]])
    kappa, ac1 = cohens_kappa(counts), gwets_ac1(table(counts))
    assert kappa.observed == pytest.approx(0.82)
    assert kappa.estimate == pytest.approx(0.13, abs=0.01)
    assert ac1 == pytest.approx(0.77, abs=0.01)
    constant = best_constant([0] * 980 + [1] * 20)
    assert (constant.category, constant.share) == (0, 0.98)
    assert constant.ac1 > ac1


@given(st.lists(st.integers(0, 1), min_size=1, max_size=50))
def test_a_constant_answer_has_kappa_0(truth):
    constant = best_constant(truth)
    counts = confusion_matrix(truth, [constant.category] * len(truth))
    assert counts.trace() / len(truth) == pytest.approx(constant.share)
    if 0 < sum(truth) < len(truth):
        assert cohens_kappa(counts).estimate == pytest.approx(0, abs=1e-12)


def noisy(
    seed: int, prompts: int = 60, answers: int = 5, error: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.random((prompts, 1)) + generator.normal(0, 0.3, (prompts, answers)) > 0.5
    found = truth ^ (generator.random((prompts, answers)) < error)
    return np.stack([truth.ravel(), found.ravel()], axis=1).astype(float), np.repeat(
        np.arange(prompts), answers
    )


def test_estimates_are_the_point_functions_and_lie_in_their_intervals():
    data, clusters = noisy(1)
    found = estimate_agreement(data, clusters)
    assert (found.n, found.n_clusters) == (300, 60)
    counts = confusion_matrix(*data.T)
    assert found.kappa.estimate == pytest.approx(cohens_kappa(counts).estimate)
    assert found.observed.estimate == pytest.approx(counts.trace() / 300)
    assert found.ac1.estimate == pytest.approx(gwets_ac1(data))
    assert found.alpha.estimate == pytest.approx(krippendorffs_alpha(data))
    for each in (found.kappa, found.observed, found.ac1, found.alpha):
        assert each.low < each.estimate < each.high
        assert each.n == 60


def test_the_same_seed_gives_the_same_interval_whatever_the_order_and_the_names_of_prompts():
    data, clusters = noisy(2)
    order = np.random.default_rng(0).permutation(len(data))
    names = np.array([f"prompt {number:03}" for number in clusters])
    assert estimate_agreement(data, clusters) == estimate_agreement(data[order], names[order])
    assert estimate_agreement(data, clusters) != estimate_agreement(data, clusters, seed=1)


def test_independent_units_get_about_the_interval_of_the_large_sample_variance():
    data, _ = noisy(3, prompts=2_000, answers=1)
    found = estimate_agreement(data, np.arange(2_000)).kappa
    error = cohens_kappa(confusion_matrix(*data.T)).standard_error
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)


def test_answers_that_are_copies_of_each_other_do_not_narrow_the_interval():
    data, clusters = noisy(4, answers=1)
    once = estimate_agreement(data, clusters).ac1
    ten = estimate_agreement(np.repeat(data, 10, axis=0), np.repeat(clusters, 10)).ac1
    assert (ten.low, ten.high) == pytest.approx((once.low, once.high))
    independent = estimate_agreement(np.repeat(data, 10, axis=0), np.arange(600)).ac1
    assert independent.high - independent.low < 0.5 * (ten.high - ten.low)


def test_perfect_agreement_keeps_a_lower_limit_from_the_number_of_prompts():
    truth = np.array([0, 1] * 20, dtype=float)
    found = estimate_agreement(np.column_stack([truth, truth]), np.arange(40))
    share = 1 - 0.05 ** (1 / 40)
    assert (found.kappa.estimate, found.kappa.high) == (1, 1)
    assert found.observed.low == pytest.approx(1 - share)
    for each in (found.kappa, found.alpha, found.ac1):
        assert each.low == pytest.approx(1 - 2 * share)


def test_what_is_not_defined_is_none():
    constant = np.ones((10, 2))
    found = estimate_agreement(constant, np.arange(10))
    assert (found.kappa, found.alpha) == (None, None)
    assert found.ac1.estimate == found.observed.estimate == 1
    empty = estimate_agreement(np.full((3, 2), NAN), np.arange(3))
    assert (empty.n, empty.observed, empty.kappa, empty.ac1, empty.alpha) == (0, None, None, None, None)
    one = estimate_agreement(noisy(5)[0], np.zeros(300)).kappa
    assert (one.low, one.high, one.method) == (None, None, "none")


def test_three_raters_have_no_kappa_and_may_miss_units():
    data = np.column_stack([noisy(6)[0], noisy(7)[0][:, 1]])
    data[::7, 2] = NAN
    found = estimate_agreement(data, noisy(6)[1])
    assert found.kappa is None
    assert found.alpha.estimate == pytest.approx(coincidences(data, 2))
    with pytest.raises(ValueError, match="one cluster a unit"):
        estimate_agreement(data, [1, 2])


def test_bca_limits_are_those_of_scipy():
    generator = np.random.default_rng(5)
    data = generator.exponential(size=40)
    sums = np.column_stack([data, np.ones(40)])
    draws, left = resampled_totals(sums, draws=20_000, seed=1), jackknife_totals(sums)
    mine = bca_limits(data.mean(), draws[:, 0] / draws[:, 1], left[:, 0] / left[:, 1])
    theirs = stats.bootstrap((data,), np.mean, n_resamples=20_000, method="BCa", rng=2).confidence_interval
    assert mine == pytest.approx(tuple(theirs), abs=0.02)


def test_limits_that_mostly_cannot_be_had_are_none():
    assert bca_limits(0.5, [0.5, NAN, 0.4, 0.6], [0.5, 0.5]) is None


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(3, 30))
def test_the_clustered_slope_is_that_of_statsmodels(seed, groups):
    generator = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(groups), 4)
    x = generator.normal(size=4 * groups)
    y = 0.3 * x + generator.normal(size=groups)[clusters] + generator.normal(size=4 * groups)
    fit = sm.OLS(y, sm.add_constant(x)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True
    )
    found = clustered_slope(np.append(x, NAN), np.append(y, 1), np.append(clusters, 0))
    assert found.estimate == pytest.approx(fit.params[1], rel=1e-8)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[1]), rel=1e-8, abs=1e-10)
    assert found.p == pytest.approx(fit.pvalues[1], rel=1e-7)
    assert (found.n, found.n_missing) == (groups, 1)


@pytest.mark.parametrize(
    ("x", "y", "clusters", "why"),
    [
        ([1, 2, 3, 4], [0, 1, 0, 1], [0, 0, 1, 1], "three prompts or more, there are 2"),
        ([1, 1, 1, 1], [0, 1, 0, 1], [0, 1, 2, 3], "an x that varies"),
        ([1, 2, 3, 4], [0, 0, 0, 0], [0, 1, 2, 3], "on a line exactly"),
        ([], [], [], "there are 0"),
    ],
)
def test_a_slope_that_cannot_be_had_is_refused(x, y, clusters, why):
    with pytest.raises(ValueError, match=why):
        clustered_slope(x, y, clusters)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(3, 5), st.integers(10, 40))
def test_the_profile_test_is_hotellings(seed, positions, prompts):
    data = np.random.default_rng(seed).normal(size=(prompts, positions)).cumsum(axis=1)
    found = equal_profile(np.vstack([data, np.full(positions, NAN)]))
    oracle = hotelling(np.diff(data, axis=1), np.zeros(positions - 1))
    assert (found.statistic, found.p) == pytest.approx((oracle.statistic, oracle.pvalue), rel=1e-7)


def test_two_positions_are_a_paired_t_test():
    data = np.random.default_rng(1).normal(size=(30, 2))
    assert equal_profile(data).p == pytest.approx(stats.ttest_rel(*data.T).pvalue)
    with pytest.raises(ValueError, match="3 whole prompts, not 2"):
        equal_profile(data[:2])
    with pytest.raises(ValueError, match="in its own way"):
        equal_profile(np.ones((30, 4)))


@pytest.mark.parametrize("prompts", [2, 5, 40])
def test_values_that_no_resample_moves_have_no_zero_width_interval(prompts):
    """A judge that is always wrong, or wrong on half of each prompt, is not known to be so without error."""
    wrong = estimate_agreement(np.tile([1.0, 0.0], (prompts, 1)), np.arange(prompts))
    share = 1 - 0.05 ** (1 / prompts)
    assert (wrong.observed.low, wrong.observed.high) == pytest.approx((0.0, share))
    for found in (wrong.kappa, wrong.ac1, wrong.alpha):
        assert (found.low, found.high, found.method) == (None, None, "none")
    half = estimate_agreement(np.tile([[1.0, 1.0], [1.0, 0.0]], (prompts, 1)), np.arange(prompts).repeat(2))
    assert half.observed.low == pytest.approx(0.5 - share / 2)
    assert half.observed.high == pytest.approx(0.5 + share / 2)
