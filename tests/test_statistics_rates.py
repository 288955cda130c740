"""Rates and their intervals, against statsmodels, scipy and closed forms."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from prefbench.statistics import (
    Estimate,
    cell_rate,
    effective_size,
    effective_wilson,
    fixed_prompts_rate,
    mean_rate,
    stratified_moments,
    t_quantile,
    wilson_interval,
    wilson_rate,
)

rates = st.lists(st.integers(0, 10).map(lambda k: k / 10), min_size=2, max_size=60)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_that_of_statsmodels(total, share, level):
    successes = round(share * total)
    expected = proportion_confint(successes, total, alpha=1 - level, method="wilson")
    found = wilson_rate(successes, total, level=level)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_wilson_works_on_arrays():
    low, high = wilson_interval([0, 5, 10], [10, 10, 10])
    expected = [proportion_confint(k, 10, method="wilson") for k in (0, 5, 10)]
    np.testing.assert_allclose(np.transpose([low, high]), expected, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 10_000), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_ends_exactly_at_none_and_all(total, level):
    low, high = wilson_interval([0, total], [total, total], level=level)
    assert (low[0], high[1]) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_counts_that_cannot_be(successes, total):
    with pytest.raises(ValueError, match="0 <= successes <= total"):
        wilson_interval(successes, total)


@given(st.floats(1, 5000), st.floats(0.5, 0.999))
def test_t_quantiles_are_those_of_scipy(df, level):
    assert float(t_quantile(df, level=level)) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-9)


def test_t_quantiles_below_one_degree_of_freedom_are_missing():
    assert np.isnan(t_quantile([0, 0.5, -1])).all()


def test_mean_rate_is_a_one_sample_t_interval():
    values = np.random.default_rng(1).random(30)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = mean_rate(values, level=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.method == "t"


def test_strata_are_domain_dummies_of_a_regression():
    """The oracle: least squares on domain dummies, its prediction at the mean of the dummies."""
    rng = np.random.default_rng(2)
    strata = np.repeat([0, 1, 2], [7, 12, 20])
    values = np.clip(0.2 * strata + rng.normal(0.3, 0.1, strata.size), 0, 1)
    design = np.eye(3)[strata]
    test = sm.OLS(values, design).fit().t_test(design.mean(axis=0))
    found = mean_rate(values, strata=strata)
    assert found.estimate == pytest.approx(float(test.effect[0]), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(test.conf_int()[0]), rel=1e-9)
    assert found.high - found.low < mean_rate(values).high - mean_rate(values).low


@given(rates, st.randoms())
def test_order_of_prompts_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    one, two = (cell_rate(each, len(values) * 10) for each in (values, shuffled))
    assert (one.estimate, one.low, one.high) == pytest.approx((two.estimate, two.low, two.high), abs=1e-9)


@given(rates)
def test_flipping_labels_mirrors_the_interval(values):
    samples = len(values) * 10
    one, two = cell_rate(values, samples), cell_rate([(10 - round(10 * v)) / 10 for v in values], samples)
    assert (one.low, one.high) == pytest.approx((1 - two.high, 1 - two.low), abs=1e-9)


@given(rates)
def test_effective_size_lies_between_none_and_all_responses(values):
    moments = stratified_moments(values)
    size = float(effective_size(moments.mean, moments.variance, prompts=moments.n, samples=10 * moments.n))
    assert 0 < size <= 10 * moments.n


@given(st.integers(2, 200), st.floats(0.05, 0.95))
def test_interval_solves_the_score_equation(prompts, level):
    """Wilson's limits are where the distance to the estimate is the critical value of its own standard error."""
    values = np.random.default_rng(prompts).beta(1, 3, prompts)
    moments = stratified_moments(values)
    low, high = effective_wilson(
        moments.mean, moments.variance, moments.df, prompts=prompts, samples=10_000 * prompts, level=level
    )
    size = moments.mean * (1 - moments.mean) / moments.variance
    for limit in (float(low), float(high)):
        error = math.sqrt(limit * (1 - limit) / size)
        assert abs(limit - moments.mean) == pytest.approx(
            stats.t.ppf((1 + level) / 2, moments.df) * error, rel=1e-6
        )


def test_prompts_that_agree_are_capped_at_the_responses():
    found = cell_rate([0.3] * 20, 200)
    critical = stats.t.ppf(0.975, 19)
    centre = (0.3 + critical**2 / 400) / (1 + critical**2 / 200)
    assert (found.low + found.high) / 2 == pytest.approx(centre, rel=1e-9)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_unanimous_answers_count_as_one_a_prompt(rate):
    found = cell_rate([rate] * 20, 200)
    critical = stats.t.ppf(0.975, 19)
    width = critical**2 / (20 + critical**2)
    assert found.high - found.low == pytest.approx(width, rel=1e-9)
    assert rate in (found.low, found.high)


def test_equal_rates_leave_the_t_interval_a_width():
    """The rule of three: 3/n for nothing seen in n."""
    found = mean_rate([0.0] * 300)
    assert (found.low, found.method) == (0.0, "all_equal")
    assert found.high == pytest.approx(3 / 300, rel=0.01)


def test_missing_prompts_are_counted_and_left_out():
    found = cell_rate([0.2, np.nan, 0.6, 0.4], 30)
    assert (found.n, found.n_missing, found.estimate) == (3, 1, pytest.approx(0.4))


@pytest.mark.parametrize("estimate", [mean_rate, lambda values: cell_rate(values, 10)])
@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "no prompt has a value"),
        ([np.nan], "no prompt has a value"),
        ([0.5], "two prompts"),
        ([0.1, 1.2], "between 0 and 1"),
    ],
)
def test_degenerate_input_is_refused(estimate, values, why):
    with pytest.raises(ValueError, match=why):
        estimate(values)


def test_prompts_alone_in_their_strata_are_refused():
    with pytest.raises(ValueError, match="two prompts in a stratum"):
        mean_rate([0.1, 0.5, 0.9], strata=["a", "b", "c"])


def test_fewer_responses_than_prompts_are_refused():
    with pytest.raises(ValueError, match="cannot give 3 prompts a rate"):
        cell_rate([0.1, 0.5, 0.9], 2)


def test_fixed_prompts_have_the_variance_of_stratified_sampling():
    yes, readable = np.array([2, 9, 5]), np.array([10, 10, 10])
    p = yes / readable
    variance = (p * (1 - p) / 9).sum() / 9
    size = p.mean() * (1 - p.mean()) / variance
    found = fixed_prompts_rate(yes, readable)
    expected = proportion_confint(p.mean() * size, size, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    assert found.high - found.low < wilson_rate(16, 30).high - wilson_rate(16, 30).low


def test_fixed_prompts_average_temperatures_inside_the_prompt():
    found = fixed_prompts_rate([[1, 3], [5, np.nan]], [[10, 10], [10, np.nan]])
    assert found.estimate == pytest.approx((0.2 + 0.5) / 2)
    assert (found.n, found.n_missing) == (2, 0)


def test_fixed_prompts_that_are_unanimous_fall_back_on_the_responses():
    found = fixed_prompts_rate([10, 0], [10, 10])
    assert (found.low, found.high) == pytest.approx(proportion_confint(10, 20, method="wilson"), rel=1e-9)


@pytest.mark.parametrize(
    ("yes", "readable", "why"), [([np.nan], [np.nan], "no response"), ([1, 1], [1, 2], "one response")]
)
def test_fixed_prompts_refuse_what_has_no_sampling_noise(yes, readable, why):
    with pytest.raises(ValueError, match=why):
        fixed_prompts_rate(yes, readable)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels_that_cannot_be_are_refused(level):
    with pytest.raises(ValueError, match="confidence level"):
        wilson_rate(1, 2, level=level)


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"estimate": float("nan")}, {"low": 0.6}, {"high": float("inf")}]
)
def test_an_estimate_that_cannot_be_is_refused(wrong):
    whole = {"name": "rate", "estimate": 0.5, "low": 0.4, "high": 0.6, "n": 3, "method": "t", "scale": "rate"}
    assert Estimate(**whole).to_dict()["n_missing"] == 0
    with pytest.raises(ValueError, match="rate"):
        Estimate(**(whole | wrong))
