"""ICC, variance shares, McNemar, exact limits, trend, logit-t, effect sizes: properties, oracles, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from prefbench.statistics import (
    anova_icc,
    clopper_pearson,
    describe_effect,
    logit_t_rate,
    mcnemar_test,
    mean_rate,
    sign_flip_asymptotic_p,
    temperature_trend,
    variance_shares,
)


def drawn_counts(*, prompts=200, cells=3, samples=10, prompt_sd=1.5, cell_sd=0.0, domain_gap=0.0, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, prompt_sd, (prompts, 1)) + rng.normal(0, cell_sd, (prompts, cells))
    logits += np.where(np.arange(prompts) % 2, domain_gap, -domain_gap)[:, None]
    names = np.repeat(np.arange(prompts), cells)
    domains = names % 2
    return (
        rng.binomial(samples, 1 / (1 + np.exp(-logits))).ravel(),
        np.full(names.size, samples),
        names,
        domains,
    )


def test_unequal_groups_follow_the_anova_table():
    yes, readable = np.array([1, 7, 3, 2]), np.array([4, 8, 3, 6])
    answers = [np.r_[np.ones(k), np.zeros(m - k)] for k, m in zip(yes, readable, strict=True)]
    grand = np.concatenate(answers).mean()
    between = sum(len(a) * (a.mean() - grand) ** 2 for a in answers) / 3
    within = sum(((a - a.mean()) ** 2).sum() for a in answers) / (21 - 4)
    size = (21 - (readable**2).sum() / 21) / 3
    assert anova_icc(yes, readable).estimate == pytest.approx(
        (between - within) / (between + (size - 1) * within)
    )


def test_the_icc_is_one_for_copies_and_near_zero_for_coins():
    assert anova_icc([10, 0, 10, 0, 10], [10] * 5).estimate == pytest.approx(1.0)
    coins = np.random.default_rng(0).binomial(10, 0.4, 500)
    found = anova_icc(coins, np.full(500, 10))
    assert found.low < 0 < found.high
    assert found.estimate == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("yes", "readable", "why"),
    [
        ([1, 2], [5, 5], "three groups"),
        ([1, 0, 1], [1, 1, 1], "two answers"),
        ([0, 0, 0], [5, 5, 5], "all answers are N"),
        ([5, 5, 5], [5, 5, 5], "all answers are Y"),
        ([0, 0, 5], [5, 5, 5], "without one of the groups"),
        ([[1]], [[2]], "one count"),
    ],
)
def test_an_icc_of_too_little_is_refused(yes, readable, why):
    with pytest.raises(ValueError, match=why):
        anova_icc(yes, readable)


def test_groups_without_answers_are_missing():
    assert anova_icc([1, 3, 2, 0], [4, 4, 4, 0]).n_missing == 1


def test_variance_shares_find_the_source_that_was_planted():
    plain = variance_shares(*drawn_counts()[:3], domains=drawn_counts()[3])
    assert sum(plain[:4]) == pytest.approx(1)
    assert plain.temperature < 0.01 > plain.domain
    assert 0.2 < plain.prompt < 0.5
    hot = drawn_counts(cell_sd=1.5, seed=1)
    assert variance_shares(*hot[:3], domains=hot[3]).temperature > 0.1
    gap = drawn_counts(domain_gap=1.5, seed=2)
    assert variance_shares(*gap[:3], domains=gap[3]).domain > 0.15


def test_variance_shares_match_the_truth_of_a_population():
    """logit sd 1.5: the share between prompts is Var(p)/(E p(1 - E p)), by quadrature."""
    nodes = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    p = 1 / (1 + np.exp(-1.5 * nodes))
    truth = p.var() / (p.mean() * (1 - p.mean()))
    yes, readable, names, domains = drawn_counts(prompts=4_000, seed=3)
    assert variance_shares(yes, readable, names, domains=domains).prompt == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(
    ("yes", "readable", "names", "why"),
    [
        ([1, 1], [1, 1], [0, 1], "two answers"),
        ([1, 2], [5, 5], [0, 0], "two prompts in a domain"),
        ([5, 5], [5, 5], [0, 1], "do not vary"),
    ],
)
def test_variance_shares_of_too_little_are_refused(yes, readable, names, why):
    with pytest.raises(ValueError, match=why):
        variance_shares(yes, readable, names, domains=[0] * len(yes))


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_mcnemar_is_statsmodels_and_symmetric(gained, lost):
    if gained + lost == 0:
        return
    table = [[5, lost], [gained, 5]]
    assert mcnemar_test(gained, lost, method="exact").p == pytest.approx(
        statsmodels_mcnemar(table, exact=True).pvalue
    )
    assert mcnemar_test(gained, lost).p == mcnemar_test(lost, gained).p
    assert mcnemar_test(gained, lost).p <= mcnemar_test(gained, lost, method="exact").p


@pytest.mark.parametrize(("pair", "method"), [((0, 0), "midp"), ((-1, 3), "exact"), ((2, 3), "fisher")])
def test_mcnemar_of_nothing_is_refused(pair, method):
    with pytest.raises(ValueError, match=r"discordant pairs|a McNemar test is one of"):
        mcnemar_test(*pair, method=method)


@given(k=st.integers(0, 40), extra=st.integers(0, 40))
def test_the_exact_interval_is_scipys(k, extra):
    n = k + extra
    if n == 0:
        with pytest.raises(ValueError, match="total >= 1"):
            clopper_pearson(0, 0)
        return
    expected = stats.binomtest(k, n).proportion_ci(method="exact")
    assert clopper_pearson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_logit_t_interval_stays_inside_and_meets_the_t_interval_in_the_middle():
    rng = np.random.default_rng(0)
    middle = rng.beta(5, 5, 2_000)
    plain, logit = mean_rate(middle), logit_t_rate(middle)
    assert (logit.low, logit.high) == pytest.approx((plain.low, plain.high), abs=1e-4)
    rare = np.r_[np.zeros(18), 0.1, 0.2]
    found = logit_t_rate(rare)
    assert 0 < found.low < found.estimate < found.high < 1
    assert mean_rate(rare).low == 0
    with pytest.raises(ValueError, match="no logit; use cell_rate"):
        logit_t_rate(np.zeros(5))


def test_the_asymptotic_sign_flip_meets_the_permutation():
    differences = np.random.default_rng(1).normal(0.05, 0.3, 400)
    z = differences.sum() / np.sqrt((differences**2).sum())
    assert sign_flip_asymptotic_p(differences) == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert sign_flip_asymptotic_p(np.zeros(4)) == 1.0
    with pytest.raises(ValueError, match="no prompt has a difference"):
        sign_flip_asymptotic_p([np.nan])


def test_a_line_bends_nowhere_and_a_curve_does():
    rng = np.random.default_rng(2)
    at = np.array([0.7, 1.0, 1.5])
    line = 0.4 + 0.2 * at + rng.normal(0, 0.05, (200, 3))
    found = temperature_trend(line, at)
    assert found.slope.estimate == pytest.approx(0.2, abs=0.02)
    assert found.change.p < 1e-6
    assert found.bend.p > 0.01
    curve = line + 0.1 * (at == 1.0)
    assert temperature_trend(curve, at).bend.p < 1e-6
    assert (found.change.df_contrasts, found.bend.df_contrasts) == (2, 1)


def test_two_temperatures_have_no_bend_and_equal_rates_no_test():
    rates = np.random.default_rng(3).random((20, 2))
    found = temperature_trend(rates, [0.7, 1.0])
    assert found.bend is None
    assert found.change.p == pytest.approx(found.slope.p)
    flat = temperature_trend(np.full((5, 3), 0.4), [0.7, 1.0, 1.5])
    assert (flat.change, flat.bend) == (None, None)
    assert flat.slope.estimate == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("temperatures", [[1.0], [1.0, 1.0, 1.5], [0.7, 1.0]])
def test_temperatures_that_are_no_trend_are_refused(temperatures):
    with pytest.raises(ValueError, match="two temperatures or more"):
        temperature_trend(np.full((5, len(temperatures) if len(temperatures) != 2 else 3), 0.1), temperatures)


def test_effect_sizes_say_the_same_thing_on_each_scale():
    first, second = np.array([0.2, 0.4, 0.6, np.nan]), np.array([0.4, 0.5, 0.9, 0.1])
    found = describe_effect(first, second)
    assert found.risk_difference == pytest.approx(0.2)
    assert found.risk_ratio == pytest.approx(1.5)
    assert found.odds_ratio == pytest.approx(0.6 / 0.4 / (0.4 / 0.6))
    assert found.cohens_dz == pytest.approx(0.2 / np.std([0.2, 0.1, 0.3], ddof=1))
    assert found.better == 1.0
    back = describe_effect(second, first)
    assert (back.risk_difference, back.cohens_h, back.better) == pytest.approx((-0.2, -found.cohens_h, 0.0))


def test_effect_sizes_that_a_scale_cannot_express_are_none():
    found = describe_effect([0.0, 0.0], [1.0, 1.0])
    assert (found.risk_ratio, found.odds_ratio, found.cohens_dz) == (None, None, None)
    with pytest.raises(ValueError, match="at least one pair"):
        describe_effect([np.nan], [0.2])
    with pytest.raises(ValueError, match="one length"):
        describe_effect([0.1], [0.2, 0.3])
