"""Designs of any number of factors: contrasts, three ways to estimate them, and input that cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_estimating_equations import GEE

from prefbench.statistics import (
    CellFit,
    Contrast,
    bootstrap_contrasts,
    bootstrap_rate,
    cell_estimate,
    contrast_estimate,
    factorial_contrasts,
    fit_binomial,
    fit_linear,
    paired_cells,
    paired_contrast,
    paired_difference,
    wald_test,
)

TWO_BY_TWO = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


def draw_rates(prompts=40, cells=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (prompts, 1)) + rng.normal(0, 0.7, (prompts, cells))
    return rng.binomial(10, 1 / (1 + np.exp(-logits))) / 10


def long_form(rates):
    rows, columns = np.indices(rates.shape)
    return rates.ravel(), columns.ravel(), rows.ravel()


def by_name(contrasts):
    return {contrast.name: contrast for contrast in contrasts}


def test_the_contrasts_of_a_2x2_are_the_textbook_ones():
    found = by_name(factorial_contrasts(TWO_BY_TWO, ["tune", "steer"]))
    means = np.array([0.4, 0.6, 0.3, 0.7])
    values = {name: float(contrast.weights @ means) for name, contrast in found.items()}
    assert values == pytest.approx(
        {
            "tune": (0.2 + 0.4) / 2,
            "steer": (-0.1 + 0.1) / 2,
            "tune x steer": 0.4 - 0.2,
            "tune without steer": 0.2,
            "tune with steer": 0.4,
            "steer without tune": -0.1,
            "steer with tune": 0.1,
        }
    )


@pytest.mark.parametrize("factors", [1, 2, 3])
def test_a_whole_design_has_orthogonal_contrasts_of_every_order(factors):
    levels = np.array([[int(bit) for bit in f"{cell:0{factors}b}"] for cell in range(2**factors)])
    found = factorial_contrasts(levels, [f"f{place}" for place in range(factors)])
    whole = np.array([contrast.weights for contrast in found if contrast.kind != "simple"])
    assert len(whole) == 2**factors - 1
    gram = whole @ whole.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-12)
    simple = [contrast for contrast in found if contrast.kind == "simple"]
    assert len(simple) == factors * 2 ** (factors - 1)
    assert all(abs(contrast.weights.sum()) < 1e-12 for contrast in found)


def test_effects_of_a_three_way_interaction_are_recovered_and_orders_do_not_mix():
    levels = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    means = 0.3 + 0.1 * levels[:, 0] + 0.2 * levels[:, 0] * levels[:, 1] * levels[:, 2]
    values = {
        name: float(each.weights @ means)
        for name, each in by_name(factorial_contrasts(levels, "abc")).items()
    }
    assert values["a x b x c"] == pytest.approx(0.2)
    assert values["a x b"] == pytest.approx(0.1)  # averaged over c: half of it
    assert values["c"] == pytest.approx(0.05)


def test_a_design_with_a_missing_arm_has_simple_effects_only():
    found = factorial_contrasts(TWO_BY_TWO[:3], ["tune", "steer"])
    assert [contrast.name for contrast in found] == ["tune without steer", "steer without tune"]


@pytest.mark.parametrize("levels", [[[0, 0], [0, 0]], [[0, 2], [1, 0]], [[0], [1]], [[0, 0]]])
def test_levels_that_are_no_design_are_refused(levels):
    with pytest.raises(ValueError, match=r"levels are 0 or 1|a design has two cells"):
        factorial_contrasts(levels, ["tune", "steer"])


def test_complete_data_give_one_answer_by_three_roads():
    rates = draw_rates()
    y, cells, prompts = long_form(rates)
    linear = fit_linear(y, cells, prompts)
    table = paired_cells(rates)
    for contrast in factorial_contrasts(TWO_BY_TWO, ["tune", "steer"]):
        paired = paired_contrast(rates, contrast)
        for fit in (linear, table):
            found = contrast_estimate(fit, contrast.weights, name=contrast.name)
            assert (found.estimate, found.low, found.high, found.p) == pytest.approx(
                (paired.estimate, paired.low, paired.high, paired.p)
            )
        expected = stats.ttest_1samp(rates @ contrast.weights, 0)
        assert paired.p == pytest.approx(expected.pvalue)


def test_two_cells_are_a_paired_difference():
    rates = draw_rates(cells=2)
    contrast = Contrast("b - a", "simple", np.array([-1.0, 1.0]))
    found, expected = paired_contrast(rates, contrast), paired_difference(rates[:, 0], rates[:, 1])
    assert (found.estimate, found.low, found.p) == (expected.estimate, expected.low, expected.p)


def test_missing_cells_are_estimated_without_bias_by_fixed_effects():
    """Prompts with low rates lose the second cell: unpaired means move, differences within prompts do not."""
    rates = np.stack([np.linspace(0.1, 0.8, 200), np.linspace(0.2, 0.9, 200)], axis=1)
    rates += np.random.default_rng(1).normal(0, 0.01, rates.shape)
    rates[:80, 1] = np.nan
    y, cells, prompts = long_form(rates)
    fit = fit_linear(y, cells, prompts)
    assert contrast_estimate(fit, [-1, 1], name="b - a").estimate == pytest.approx(0.1, abs=0.01)
    assert (fit.n, fit.n_missing) == (120, 80)
    assert np.nanmean(rates[:, 1]) - np.nanmean(rates[:, 0]) > 0.2


def test_cells_that_share_no_prompt_are_named():
    rates = np.full((6, 3), np.nan)
    rates[:3, :2], rates[3:, 2] = 0.5, 0.4
    y, cells, prompts = long_form(rates)
    with pytest.raises(ValueError, match="some of the cells base, dpo, steered share no prompt"):
        fit_linear(y, cells, prompts, cell_names=["base", "dpo", "steered"])
    with pytest.raises(ValueError, match="no prompt has a rate in two cells"):
        fit_linear(np.full(4, np.nan), [0, 1, 0, 1], [0, 0, 1, 1])


def test_the_binomial_fit_is_statsmodels_gee_with_independence():
    rng = np.random.default_rng(2)
    prompts, cells = np.repeat(np.arange(50), 8), np.tile(np.repeat(np.arange(4), 2), 50)
    domain = np.array(["a", "b", "c"])[prompts % 3]
    logits = rng.normal(0, 1, 50)[prompts] + 0.3 * cells
    trials = rng.integers(5, 11, prompts.size)
    yes = rng.binomial(trials, 1 / (1 + np.exp(-logits)))
    fit = fit_binomial(yes, trials, cells, clusters=prompts, categories=[domain])
    design = np.stack([*(cells == c for c in range(4)), domain == "b", domain == "c"], axis=1).astype(float)
    expected = GEE(yes / trials, design, groups=prompts, family=Binomial(), weights=trials).fit()
    np.testing.assert_allclose(fit.coefficients, expected.params, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance) * 49 / 50), expected.bse, rtol=1e-6)


def test_g_computation_of_balanced_data_returns_the_observed_rates():
    rates = draw_rates(60)
    y, cells, prompts = long_form(rates)
    fit = fit_binomial(10 * y, np.full(y.size, 10), cells, clusters=prompts, categories=[prompts % 2])
    np.testing.assert_allclose(fit.standardise().estimates, rates.mean(axis=0), rtol=1e-9)
    assert cell_estimate(fit.standardise(), 0, name="a").estimate == pytest.approx(rates[:, 0].mean())


@pytest.mark.parametrize(
    ("yes", "trials", "cells", "why"),
    [
        ([0, 0, 5, 4], [5, 5, 5, 5], [0, 0, 1, 1], "base has only N answers"),
        ([5, 5, 3, 4], [5, 5, 5, 5], [0, 0, 1, 1], "base has only Y answers"),
        ([1, 2, 3, 3], [0, 0, 5, 5], [0, 0, 1, 1], "base has no answers"),
        ([1, 6, 3, 3], [5, 5, 5, 5], [0, 0, 1, 1], "0 <= yes <= trials"),
        ([1, 2, 3, 3], [0, 0, 0, 0], [0, 0, 1, 1], "at least one trial"),
    ],
)
def test_what_has_no_log_odds_is_named(yes, trials, cells, why):
    with pytest.raises(ValueError, match=why):
        fit_binomial(yes, trials, cells, clusters=[0, 1, 0, 1], cell_names=["base", "dpo"])


def test_one_prompt_has_no_errors_between_prompts():
    with pytest.raises(ValueError, match="two prompts or more"):
        fit_binomial([1, 2], [5, 5], [0, 1], clusters=[0, 0])
    with pytest.raises(ValueError, match="two prompts or more"):
        fit_linear([0.1, 0.2], [0, 1], [0, 0])
    with pytest.raises(ValueError, match="two complete prompts in a stratum"):
        paired_cells([[0.1, 0.2]])


@pytest.mark.parametrize("weights", [[1, 1], [1, -1, 0], [0.5, -0.4]])
def test_weights_that_are_no_contrast_are_refused(weights):
    fit = CellFit(
        estimates=np.zeros(2), covariance=np.eye(2), df=9, n=10, method="m", scale="rate_difference"
    )
    with pytest.raises(ValueError, match="weight a cell, which sum to zero"):
        contrast_estimate(fit, weights, name="c")


def test_a_contrast_that_does_not_vary_has_no_interval():
    with pytest.raises(ValueError, match="does not vary"):
        contrast_estimate(paired_cells(np.full((5, 2), 0.5)), [-1, 1], name="c")
    with pytest.raises(ValueError, match="does not vary"):
        cell_estimate(paired_cells(np.full((5, 2), 0.5)), 0, name="c")
    with pytest.raises(ValueError, match="that they vary"):
        wald_test([0.1, 0.1], [[1.0, 1.0], [1.0, 1.0]], 20)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_the_names_of_prompts_change_nothing(seed):
    rng = np.random.default_rng(seed)
    rates = draw_rates(12, seed=seed)
    y, cells, prompts = long_form(rates)
    y[rng.random(y.size) < 0.1] = np.nan
    order = rng.permutation(y.size)
    renamed = np.array([f"p{number * 7 % 12}" for number in prompts])
    trials = np.where(np.isnan(y), 0, 10)

    def fits(y, trials, cells, prompts):
        binomial = fit_binomial(np.nan_to_num(10 * y), trials, cells, clusters=prompts)
        return [fit_linear(y, cells, prompts), binomial.log_odds(), binomial.standardise()]

    try:
        plain = fits(y, trials, cells, prompts)
    except ValueError:  # a cell of all Y or all N
        return
    for one, two in zip(plain, fits(y[order], trials[order], cells[order], renamed[order]), strict=True):
        np.testing.assert_allclose(one.estimates, two.estimates, atol=1e-9)
        np.testing.assert_allclose(one.covariance, two.covariance, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), copies=st.integers(2, 5))
def test_more_copies_of_the_same_answers_change_no_answer_about_prompts(seed, copies):
    """Doubling every answer adds no prompt, so it adds no certainty."""
    rates = draw_rates(15, seed=seed).clip(0.1, 0.9)
    y, cells, prompts = long_form(rates)
    fits = [
        fit_binomial(10 * y * m, np.full(y.size, 10 * m), cells, clusters=prompts).standardise()
        for m in (1, copies)
    ]
    np.testing.assert_allclose(fits[0].estimates, fits[1].estimates, rtol=1e-9)
    np.testing.assert_allclose(fits[0].covariance, fits[1].covariance, rtol=1e-6, atol=1e-12)


def test_the_bootstrap_is_near_the_t_interval_and_owes_everything_to_its_seed():
    rates = draw_rates(300)
    contrasts = factorial_contrasts(TWO_BY_TWO, ["tune", "steer"])
    found = bootstrap_contrasts(rates, contrasts, seed=5)
    again, other = (bootstrap_contrasts(rates, contrasts, seed=seed) for seed in (5, 6))
    assert found == again != other
    for each, contrast in zip(found, contrasts, strict=True):
        expected = paired_contrast(rates, contrast)
        assert each.estimate == pytest.approx(expected.estimate)
        assert each.high - each.low == pytest.approx(expected.high - expected.low, rel=0.1)


def test_the_bootstrap_keeps_strata_whole():
    """Two strata far apart: resampling across them would add their distance to the spread."""
    rates = np.array([[0.1, 0.1]] * 20 + [[0.1, 0.9]] * 20) + np.linspace(0, 0.02, 40)[:, None] * [0, 1]
    contrast = [Contrast("b - a", "simple", np.array([-1.0, 1.0]))]
    within = bootstrap_contrasts(rates, contrast, strata=[0] * 20 + [1] * 20)[0]
    across = bootstrap_contrasts(rates, contrast)[0]
    assert within.high - within.low < 0.1 * (across.high - across.low)


def test_a_bootstrap_without_spread_has_no_interval_rather_than_none_wide():
    """15 prompts that all moved by nothing, or by .1, are no proof that all prompts would."""
    rates = np.column_stack([np.full(15, 0.3), np.full(15, 0.3), np.linspace(0, 1, 15)])
    names = {"alike": [-1.0, 1.0, 0.0], "moving": [-1.0, 0.0, 1.0]}
    contrasts = [Contrast(name, "simple", np.array(weights)) for name, weights in names.items()]
    alike, moving = bootstrap_contrasts(rates, contrasts)
    assert (alike.estimate, alike.low, alike.high, alike.p) == (0.0, None, None, None)
    assert moving.low < moving.estimate < moving.high
    rate = bootstrap_rate(rates[:, 0])
    assert (rate.estimate, rate.low, rate.high) == (pytest.approx(0.3), None, None)


def test_a_bootstrap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="two complete prompts"):
        bootstrap_contrasts(np.full((3, 2), np.nan), [Contrast("c", "simple", np.array([-1.0, 1.0]))])
