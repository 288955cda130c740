"""Our answers against R's, on the same data: tests/oracles/make_oracles.R made both inputs and answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from prefbench.statistics import (
    Contrast,
    anova_icc,
    benjamini_hochberg,
    clopper_pearson,
    contrast_estimate,
    fit_binomial,
    fit_linear,
    holm,
    mcnemar_test,
    paired_contrast,
    paired_difference,
    sign_flip_asymptotic_p,
    temperature_trend,
    wilson_interval,
)

FOLDER = Path(__file__).parent / "oracles"
WEIGHTS = {
    "finetuning": [-0.5, 0.5, -0.5, 0.5],
    "steering": [-0.5, -0.5, 0.5, 0.5],
    "interaction": [1, -1, -1, 1],
    "finetuning_without": [-1, 1, 0, 0],
    "finetuning_with": [0, 0, -1, 1],
}
FACTORIAL = ["factorial_balanced", "factorial_gaps"]


def oracle(name):
    content = json.loads((FOLDER / f"{name}.json").read_text())
    assert {"R", "sandwich", "emmeans", "coin", "psych"} <= set(content["versions"])
    return content["input"], content["answer"]


def glm(given):
    return fit_binomial(
        given["yes"],
        given["trials"],
        given["cell"],
        clusters=given["prompt"],
        categories=[given["domain"], given["temperature"]],
    )


def assert_contrasts(fit, expected, *, estimate, error):
    for name, weights in WEIGHTS.items():
        w = np.array(weights)
        found = contrast_estimate(fit, w, name=name)
        assert found.estimate == pytest.approx(expected[name]["estimate"], rel=estimate)
        assert np.sqrt(w @ fit.covariance @ w) == pytest.approx(expected[name]["se"], rel=error)


@pytest.mark.parametrize("name", FACTORIAL)
def test_glm_coefficients_and_cr1_errors_are_those_of_glm_and_vcovcl(name):
    given, expected = oracle(name)
    fit = glm(given)
    np.testing.assert_allclose(fit.coefficients, expected["coefficients"], rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), expected["cr1_se"], rtol=1e-6)
    assert_contrasts(fit.log_odds(), expected["log_odds"], estimate=1e-8, error=1e-6)


@pytest.mark.parametrize("name", FACTORIAL)
def test_g_computation_is_that_of_predicted_rates_with_the_delta_method(name):
    given, expected = oracle(name)
    fit = glm(given).standardise()
    np.testing.assert_allclose(fit.estimates, expected["rates"], rtol=1e-8)
    assert_contrasts(fit, expected["standardised"], estimate=1e-6, error=1e-6)


def test_risk_differences_are_those_of_emmeans_regrid():
    given, expected = oracle("factorial_balanced")
    assert_contrasts(glm(given).standardise(), expected["emmeans"], estimate=1e-6, error=1e-6)


def test_the_binomial_fit_is_geepack_with_independence():
    given, expected = oracle("factorial_balanced")
    fit = glm(given)
    clusters = fit.clusters  # geepack's sandwich has no G/(G-1)
    errors = np.sqrt(np.diag(fit.covariance) * (clusters - 1) / clusters)
    np.testing.assert_allclose(fit.coefficients, expected["geepack"]["coefficients"], rtol=1e-6)
    np.testing.assert_allclose(errors, expected["geepack"]["se"], rtol=1e-6)


@pytest.mark.parametrize("name", FACTORIAL)
def test_the_linear_model_is_lm_with_a_dummy_for_every_block(name):
    given, expected = oracle(name)
    blocks = [f"{prompt} {at}" for prompt, at in zip(given["prompt"], given["temperature"], strict=True)]
    rates = np.array(given["yes"]) / given["trials"]
    fit = fit_linear(rates, given["cell"], blocks, clusters=given["prompt"])
    assert_contrasts(fit, expected["lpm"], estimate=1e-8, error=1e-8)


def test_paired_contrasts_of_a_2x2_are_t_tests_on_contrasts():
    given, expected = oracle("factorial_balanced")
    rates = np.zeros((60, 4))
    np.add.at(rates, (given["prompt"], given["cell"]), np.array(given["yes"]) / given["trials"] / 3)
    for name, weights in WEIGHTS.items():
        found = paired_contrast(rates, Contrast(name, "main", np.array(weights, dtype=float)))
        for part in ("estimate", "low", "high", "p"):
            assert getattr(found, part) == pytest.approx(expected["paired"][name][part], rel=1e-9)


def test_wilson_is_prop_test_and_the_exact_interval_binom_test():
    given, expected = oracle("intervals")
    for (k, n), wilson, exact in zip(
        given["counts"], expected["wilson"], expected["clopper_pearson"], strict=True
    ):
        assert [float(end) for end in wilson_interval(k, n)] == pytest.approx(wilson, rel=1e-9, abs=1e-15)
        assert clopper_pearson(k, n) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("method", ["exact", "midp", "chi2", "chi2_corrected"])
def test_mcnemar(method):
    given, expected = oracle("mcnemar")
    for (gained, lost), p in zip(given["discordant"], expected[method], strict=True):
        assert mcnemar_test(gained, lost, method=method).p == pytest.approx(p, rel=1e-9)


def test_paired_t_and_the_asymptotic_sign_flip():
    given, expected = oracle("paired")
    found = paired_difference(given["first"], given["second"])
    for part in ("estimate", "low", "high", "p"):
        assert getattr(found, part) == pytest.approx(expected[part], rel=1e-9)
    differences = np.array(given["second"]) - given["first"]
    assert sign_flip_asymptotic_p(differences) == pytest.approx(expected["sign_flip_asymptotic_p"], rel=1e-9)


def test_the_anova_icc_is_psych_icc1():
    given, expected = oracle("icc")
    assert anova_icc(given["yes"], given["readable"]).estimate == pytest.approx(expected["icc1"], rel=1e-6)


def test_holm_and_benjamini_hochberg_are_p_adjust():
    given, expected = oracle("corrections")
    np.testing.assert_allclose(holm(given["p"]), expected["holm"], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(given["p"]), expected["bh"], rtol=1e-12)


def test_temperature_tests_are_hotelling_and_t_tests_on_contrasts():
    given, expected = oracle("temperature")
    found = temperature_trend(given["rates"], given["temperatures"])
    assert (found.slope.estimate, found.slope.p) == pytest.approx((expected["slope"], expected["slope_p"]))
    assert (found.change.statistic, found.change.p) == pytest.approx(
        (expected["change_f"], expected["change_p"]), rel=1e-9
    )
    assert found.bend.p == pytest.approx(expected["bend_p"], rel=1e-9)


def test_a_random_intercept_model_has_narrower_errors_than_the_data_warrant():
    """Why it is no default: slopes vary here, its standard error ignores that."""
    mixed = oracle("mixed_model")[1]
    given, _ = oracle("factorial_balanced")
    fit = glm(given).log_odds()
    w = np.array(WEIGHTS["interaction"], dtype=float)
    ours = contrast_estimate(fit, w, name="interaction")
    relative = abs(np.sqrt(w @ fit.covariance @ w) / ours.estimate)
    assert mixed["interaction_se"] / mixed["interaction"] < relative
