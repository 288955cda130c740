"""Power: variances are recovered, and the powers promised are the powers simulated."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from prefbench.statistics import (
    ContrastVariance,
    cheapest_designs,
    contrast_variance,
    detection_power,
    fewest_prompts,
    mean_difference,
    smallest_effect,
)

PILOT = ContrastVariance(between=0.03, within=0.4, n_pilot=100)


def draw(prompts, samples, rng, temperatures=3):
    """Return counts (n, 2, T) with logit sd 1.5 and slopes of sd .7 around .4."""
    base, slope = rng.normal(-0.3, 1.5, prompts), rng.normal(0.4, 0.7, prompts)
    p = 1 / (1 + np.exp(-np.stack([base, base + slope], axis=1)))
    return rng.binomial(samples, np.repeat(p[:, :, None], temperatures, axis=2)), p


def test_the_components_are_those_of_the_population():
    yes, p = draw(20_000, 10, np.random.default_rng(0))
    found = contrast_variance(yes, np.full(yes.shape, 10), [-1, 1])
    assert found.between == pytest.approx(np.var(p[:, 1] - p[:, 0]), rel=0.1)
    assert found.within == pytest.approx((p * (1 - p)).sum(axis=1).mean() / 3, rel=0.01)


def test_the_standard_error_is_the_one_that_the_pilot_shows():
    yes, _ = draw(150, 8, np.random.default_rng(1))
    found = contrast_variance(yes, np.full(yes.shape, 8), [-1, 1])
    difference = (yes / 8).mean(axis=2) @ [-1, 1]
    assert found.standard_error(150, 8) == pytest.approx(difference.std(ddof=1) / np.sqrt(150))


@pytest.mark.parametrize(("prompts", "effect"), [(20, 0.1), (100, 0.05), (1000, 0.01)])
def test_power_is_that_of_a_paired_t_test(prompts, effect):
    size = effect / (PILOT.standard_error(prompts, 10) * np.sqrt(prompts))
    expected = TTestPower().power(size, prompts, 0.05)
    assert detection_power(effect, PILOT, prompts=prompts, samples=10) == pytest.approx(expected, abs=1e-6)
    assert detection_power(-effect, PILOT, prompts=prompts, samples=10) == pytest.approx(expected, abs=1e-6)


def test_the_level_is_kept_without_an_effect_and_strata_cost_degrees_of_freedom():
    assert detection_power(0.0, PILOT, prompts=30, samples=5) == pytest.approx(0.05)
    strata = ContrastVariance(between=0.03, within=0.4, n_pilot=100, strata=5)
    assert detection_power(0.2, strata, prompts=8, samples=5) < detection_power(
        0.2, PILOT, prompts=8, samples=5
    )


def test_the_smallest_effect_has_the_power_asked_for():
    for prompts, samples in ((12, 1), (300, 10), (2800, 20)):
        effect = smallest_effect(PILOT, prompts=prompts, samples=samples, power=0.9)
        assert detection_power(effect, PILOT, prompts=prompts, samples=samples) == pytest.approx(
            0.9, abs=1e-6
        )


def test_fewest_prompts_is_the_edge():
    count = fewest_prompts(0.03, PILOT, samples=10)
    assert detection_power(0.03, PILOT, prompts=count, samples=10) >= 0.8
    assert detection_power(0.03, PILOT, prompts=count - 1, samples=10) < 0.8
    assert fewest_prompts(0.001, PILOT, samples=10, most=1000) is None


def test_the_cheapest_design_is_the_cheapest_of_all():
    def cost(samples):
        return 5.0 + samples

    found = cheapest_designs(0.03, PILOT, prompt_cost=cost)
    every = [fewest_prompts(0.03, PILOT, samples=samples) * cost(samples) for samples in range(1, 51)]
    assert found[0].cost == min(every)
    assert [size.cost for size in found] == sorted(every)
    free = cheapest_designs(0.03, PILOT, prompt_cost=float)
    assert free[0].samples == 1  # answers alone cost: prompts before samples


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: smallest_effect(PILOT, prompts=10, samples=1, power=1.0), "power lies between"),
        (lambda: detection_power(0.1, PILOT, prompts=1, samples=1), "more than 1 prompts"),
        (lambda: cheapest_designs(0.0, PILOT, prompt_cost=float), "other than zero"),
        (lambda: cheapest_designs(0.1, PILOT, prompt_cost=lambda _: 0.0), "more than zero"),
        (lambda: contrast_variance(np.zeros((5, 2)), np.zeros((5, 2)), [-1, 1]), "prompts x cells"),
        (lambda: contrast_variance(np.zeros((5, 2, 1)), np.ones((5, 2, 1)), [-1, 1]), "two answers"),
        (
            lambda: contrast_variance(np.zeros((2, 2, 1)), np.full((2, 2, 1), 5), [-1, 1], strata=[0, 1]),
            "two complete prompts in a domain",
        ),
        (
            lambda: smallest_effect(ContrastVariance(between=0, within=0, n_pilot=3), prompts=9, samples=2),
            "does not vary",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(call, why):
    with pytest.raises(ValueError, match=why):
        call()


@pytest.mark.long
def test_the_power_promised_by_a_pilot_is_the_power_simulated():
    rng = np.random.default_rng(7)
    pilot, _ = draw(3_000, 10, rng)
    variance = contrast_variance(pilot, np.full(pilot.shape, 10), [-1, 1])
    truth = float(np.diff(draw(400_000, 1, rng)[1].mean(axis=0))[0])
    prompts = fewest_prompts(truth, variance, samples=4)
    found = np.mean(
        [
            mean_difference((draw(prompts, 4, rng)[0] / 4).mean(axis=2) @ [-1, 1]).p < 0.05
            for _ in range(2_000)
        ]
    )
    assert stats.binomtest(int(found * 2_000), 2_000, 0.8).pvalue > 1e-4
