"""Everything that `prefbench.statistics` exports: documented with a source, frozen, and nothing out of nothing."""

import dataclasses
import inspect
import math
import re

import numpy as np
import pytest

from prefbench import statistics
from prefbench.judges.content import choice_agreement
from prefbench.statistics import (
    ESTIMATE_FIELDS,
    Bounds,
    CellFit,
    ContrastVariance,
    LabelledAnswers,
    bootstrap_rate,
    cell_rate,
    factorial_contrasts,
    fixed_prompts_rate,
    mean_rate,
    simpson_agreement,
)

NONE = np.empty(0)
ROWS = np.empty((0, 2))
DESIGN = factorial_contrasts([[0], [1]], ["a"])
NO_FIT = CellFit(
    estimates=np.zeros(2), covariance=np.zeros((2, 2)), df=5, n=6, method="none", scale="rate_difference"
)
NO_LABELS = LabelledAnswers(NONE, NONE, NONE.astype(int), NONE.astype(int), NONE)
NO_VARIANCE = ContrastVariance(between=0.0, within=0.0, n_pilot=2)

REFUSED = {
    "adjust_p_values": lambda f: f([2.0]),
    "anova_icc": lambda f: f(NONE, NONE),
    "bca_limits": lambda f: f(0.0, NONE, NONE),
    "benjamini_hochberg": lambda f: f([-1.0]),
    "best_constant": lambda f: f(NONE),
    "bootstrap_contrasts": lambda f: f(ROWS, DESIGN),
    "bootstrap_rate": lambda f: f(NONE),
    "cell_estimate": lambda f: f(NO_FIT, 0, name="x"),
    "cell_rate": lambda f: f(NONE, 0),
    "cheapest_designs": lambda f: f(0.0, NO_VARIANCE, prompt_cost=float),
    "clopper_pearson": lambda f: f(0, 0),
    "cluster_sums": lambda f: f(NONE, NONE),
    "clustered_slope": lambda f: f(NONE, NONE, NONE),
    "cohens_h": lambda f: f(math.nan, 0.5),
    "cohens_kappa": lambda f: f(np.zeros((2, 2))),
    "confusion_matrix": lambda f: f([0], [3]),
    "contrast_equivalence": lambda f: f(NO_FIT, [-1, 1], 0.05, name="x"),
    "contrast_estimate": lambda f: f(NO_FIT, [-1, 1], name="x"),
    "contrast_variance": lambda f: f(np.empty((0, 2, 1)), np.empty((0, 2, 1)), [-1, 1]),
    "describe_effect": lambda f: f(NONE, NONE),
    "detection_power": lambda f: f(0.1, NO_VARIANCE, prompts=0, samples=1),
    "equal_profile": lambda f: f(ROWS),
    "estimate_judge_errors": lambda f: f(NO_LABELS, prompts=0, cells=1),
    "factorial_contrasts": lambda f: f(np.empty((0, 1)), ["a"]),
    "fit_binomial": lambda f: f(NONE, NONE, NONE, clusters=NONE),
    "fit_linear": lambda f: f(NONE, NONE, NONE),
    "fixed_prompts_rate": lambda f: f(NONE, NONE),
    "gwets_ac1": lambda f: f(ROWS),
    "holm": lambda f: f([math.inf]),
    "independent_difference": lambda f: f(NONE, NONE),
    "jackknife_totals": lambda f: f(ROWS),
    "krippendorffs_alpha": lambda f: f(ROWS),
    "label_record": lambda f: f(-1, 0),
    "logit_t_rate": lambda f: f(NONE),
    "mcnemar_test": lambda f: f(0, 0),
    "mean_difference": lambda f: f(NONE),
    "mean_rate": lambda f: f(NONE),
    "normal_quantile": lambda f: f(1.0),
    "odds_ratio": lambda f: f(math.nan, 0.5),
    "paired_cells": lambda f: f(ROWS),
    "paired_contrast": lambda f: f(ROWS, DESIGN[0]),
    "paired_difference": lambda f: f(NONE, NONE),
    "paired_equivalence": lambda f: f(NONE, 0.05),
    "ppi_cells": lambda f: f(ROWS, NO_LABELS),
    "resampled_totals": lambda f: f(ROWS, draws=3),
    "rogan_gladen_cells": lambda f: f(ROWS, NO_LABELS),
    "sampling_limits": lambda f: f(0.5, 0.1, samples=3, level=2.0),
    "sign_flip_asymptotic_p": lambda f: f(NONE),
    "sign_flip_p": lambda f: f(NONE),
    "smallest_effect": lambda f: f(NO_VARIANCE, prompts=10, samples=1, power=0.01),
    "stratified_moments": lambda f: f(NONE),
    "t_quantile": lambda f: f(3, level=0.0),
    "temperature_trend": lambda f: f(np.empty((0, 3)), [0.7, 1.0, 1.5]),
    "to_log_odds": lambda f: f(NO_FIT),
    "trend_of_cells": lambda f: f(NO_FIT, [0.7, 1.0]),
    "variance_shares": lambda f: f(NONE, NONE, NONE, domains=NONE),
    "wald_test": lambda f: f(NONE, np.empty((0, 0)), 5),
    "welch_anova": lambda f: f([]),
    "wilson_interval": lambda f: f(0, 0),
    "wilson_rate": lambda f: f(0, 0),
    "worst_case_rate": lambda f: f(NONE),
}
"""Nothing to estimate from, or what cannot be: a ValueError."""
MISSING = {
    "effective_size": lambda f: f(math.nan, 0.1, prompts=1, samples=1),
    "effective_wilson": lambda f: f(math.nan, 0.1, 1, prompts=1, samples=1),
    "fewest_prompts": lambda f: f(1e-9, dataclasses.replace(NO_VARIANCE, between=1.0), samples=1, most=10),
    "max_share": lambda f: f(0, 0),
    "pairwise_agreement": lambda f: f(1, 0),
    "record_consistency": lambda f: f(0, 0),
    "simpson_agreement": lambda f: f([1, 0]),
}
"""One of many that lack an answer: NaN in an array, None for a single one, as the docstring says."""
OTHERS = {
    "estimate_agreement": lambda f: f(ROWS, NONE).observed is None,
    "worst_case_difference": lambda f: f(Bounds(0, 1), Bounds(0, 1)) == (-1, 1),
}
FUNCTIONS = sorted(name for name in statistics.__all__ if inspect.isfunction(getattr(statistics, name)))
UNSOURCED = {
    "best_constant": "counting",
    "cheapest_designs": "a search over detection_power",
    "cluster_sums": "adding",
    "confusion_matrix": "counting",
    "estimate_agreement": "the coefficients and bca_limits have theirs",
    "estimate_judge_errors": "shares, with their influence",
    "fewest_prompts": "a search over detection_power",
    "label_record": "the published labels",
    "max_share": "the published definition",
    "normal_quantile": "a table",
    "record_consistency": "max_share and pairwise_agreement",
    "smallest_effect": "a root of detection_power",
    "t_quantile": "a table",
}


def test_every_function_is_tried_on_nothing():
    assert sorted([*REFUSED, *MISSING, *OTHERS]) == FUNCTIONS


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_nothing_is_refused_in_words(name):
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        REFUSED[name](getattr(statistics, name))


@pytest.mark.parametrize("name", sorted(MISSING))
def test_nothing_is_missing_and_never_a_number(name):
    found = MISSING[name](getattr(statistics, name))
    assert found is None or np.isnan(np.asarray(found, dtype=float)).all()


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_nothing_stays_open(name):
    assert OTHERS[name](getattr(statistics, name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_formula_has_a_source(name):
    text = inspect.getdoc(getattr(statistics, name)) or ""
    assert bool(re.search(r"\b(18|19|20)\d\d\b", text)) != (name in UNSOURCED)


def test_results_are_frozen():
    for name in statistics.__all__:
        each = getattr(statistics, name)
        if dataclasses.is_dataclass(each):
            assert each.__dataclass_params__.frozen, name


def test_an_estimate_in_json_has_the_nine_fields():
    rates = [0.1, 0.4, 0.7]
    found = mean_rate(rates, name="Y").to_dict()
    assert tuple(found) == ESTIMATE_FIELDS
    assert (found["name"], found["n"], found["n_missing"], found["scale"]) == ("Y", 3, 0, "rate")


def test_an_estimate_says_whom_it_is_about():
    assert cell_rate([0.1, 0.4, 0.7], 30).target == "population"
    assert fixed_prompts_rate([1, 4, 7], [10, 10, 10]).target == "fixed_prompts"


def test_the_bootstrap_of_a_rate_is_near_its_t_interval():
    rng = np.random.default_rng(3)
    rates = np.append(rng.beta(2, 3, 400), np.nan)
    strata = np.arange(401) % 4
    found, expected = bootstrap_rate(rates, strata=strata, draws=4_000), mean_rate(rates, strata=strata)
    assert (found.estimate, found.n, found.n_missing) == (pytest.approx(expected.estimate), 400, 1)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.003)
    assert (found.p, found.scale, found.method) == (None, "rate", "prompt_bootstrap")
    assert found == bootstrap_rate(rates, strata=strata, draws=4_000)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_rate([0.2, 1.2])


def test_simpson_agreement_is_the_share_of_pairs_that_choose_alike():
    chosen = ["sea", "sea", "hill", "sea", "town", "hill"]
    counts = [chosen.count(option) for option in ("sea", "hill", "town", "cave")]
    pairs = [a == b for i, a in enumerate(chosen) for b in chosen[:i]]
    assert (
        simpson_agreement(counts) == pytest.approx(np.mean(pairs)) == pytest.approx(choice_agreement(chosen))
    )
    np.testing.assert_allclose(simpson_agreement([counts, [5, 0, 0, 0], [1, 0, 0, 0]]), [4 / 15, 1.0, np.nan])


def test_simpson_agreement_is_unbiased_where_the_plain_index_is_not():
    shares = np.array([0.5, 0.3, 0.2])
    counts = np.random.default_rng(0).multinomial(5, shares, size=20_000)
    truth = (shares**2).sum()
    assert simpson_agreement(counts).mean() == pytest.approx(truth, abs=0.006)
    assert ((counts / 5) ** 2).sum(axis=1).mean() > truth + 0.1


@pytest.mark.parametrize("counts", [[-1, 2], np.empty((3, 0)), 4])
def test_choices_that_are_no_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts of 0 or more"):
        simpson_agreement(counts)
