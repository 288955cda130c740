"""Corrections by human labels: identities that must hold, coverage, and labels that cannot be used."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefbench.statistics import (
    LabelledAnswers,
    contrast_estimate,
    estimate_judge_errors,
    ppi_cells,
    rogan_gladen_cells,
)

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("coverage_of_effects", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(*, prompts=150, samples=10, share=0.2, errors=(0.1, 0.1), seed=0):
    """Return judged rates (n, 2), labels, and the human rates of all answers (2,)."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(rng.normal(0, 1.5, (prompts, 1)) + np.array([-0.4, 0.4]))))
    human = rng.random((prompts, 2, samples)) < p[:, :, None]
    wrong = rng.random(human.shape) < np.array(errors)[None, :, None]
    judge = human ^ wrong
    prompt, cell, answer = np.nonzero(rng.random(human.shape) < share)
    labels = LabelledAnswers(
        human[prompt, cell, answer].astype(float),
        judge[prompt, cell, answer].astype(float),
        prompt,
        cell,
        np.ones(prompt.size),
    )
    return judge.mean(axis=2), labels, human.mean(axis=(0, 2))


def columns(labels):
    return labels.human, labels.judge, labels.prompt, labels.cell, labels.weight


def same(one, two):
    np.testing.assert_allclose(one.fit.estimates, two.fit.estimates, atol=1e-12)
    np.testing.assert_allclose(one.fit.covariance, two.fit.covariance, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(one.tuning, two.tuning, atol=1e-9)


def test_a_judge_that_is_always_right_needs_no_correction():
    rates, labels, truth = drawn(errors=(0.0, 0.0))
    found = ppi_cells(rates, labels)
    np.testing.assert_allclose(found.tuning, 1.0, atol=1e-12)
    np.testing.assert_allclose(found.fit.estimates, truth)
    assert (found.labelled_prompts < len(rates)).any()
    few = found.labelled_prompts.min()
    np.testing.assert_allclose(
        found.fit.covariance, np.cov(rates.T, bias=True) / len(rates) * few / (few - 1), rtol=1e-9
    )
    np.testing.assert_allclose(rogan_gladen_cells(rates, labels).estimates, truth)


def test_a_judge_that_throws_coins_is_hardly_used():
    tunings, widths = [], []
    for seed in range(60):
        rates, labels, _ = drawn(errors=(0.5, 0.5), seed=seed)
        found, alone = ppi_cells(rates, labels), ppi_cells(rates, labels, tuning=0.0)
        tunings.append(found.tuning)
        widths.append(np.diag(found.fit.covariance) / np.diag(alone.fit.covariance))
    assert np.mean(tunings) < 0.06  # cut at 0, so that half of the noise remains
    assert 0.97 < np.mean(widths) < 1.001


def test_no_weight_on_the_judge_is_the_labels_alone():
    rates, labels, _ = drawn()
    alone = ppi_cells(rates, labels, tuning=0.0)
    for cell in (0, 1):
        own = labels.cell == cell
        assert alone.fit.estimates[cell] == pytest.approx(labels.human[own].mean())
        prompts, which = np.unique(labels.prompt[own], return_inverse=True)
        sums = np.bincount(which, weights=labels.human[own] - labels.human[own].mean())
        few = alone.labelled_prompts.min()
        expected = (sums**2).sum() / own.sum() ** 2 * few / (few - 1)
        assert alone.fit.covariance[cell, cell] == pytest.approx(expected)
        assert alone.labelled_prompts[cell] == prompts.size


def test_the_tuned_weight_varies_least_on_average():
    tuned, fixed = [], {weight: [] for weight in (0.0, 0.25, 0.5, 0.75, 1.0)}
    for seed in range(60):
        rates, labels, truth = drawn(errors=(0.15, 0.15), share=0.05, seed=seed)
        tuned.append(ppi_cells(rates, labels).fit.estimates - truth)
        for weight, found in fixed.items():
            found.append(ppi_cells(rates, labels, tuning=weight).fit.estimates - truth)
    spread = {weight: np.mean(np.square(found)) for weight, found in fixed.items()}
    assert np.mean(np.square(tuned)) < 1.05 * min(spread.values())
    assert np.mean(np.square(tuned)) < 0.6 * spread[0.0]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.05, 0.2, 0.6]))
def test_neither_order_nor_names_nor_copies_change_a_correction(seed, share):
    rates, labels, _ = drawn(prompts=80, share=share, errors=(0.2, 0.1), seed=seed)
    rng = np.random.default_rng(seed)
    found = ppi_cells(rates, labels)
    order = rng.permutation(labels.human.size)
    same(found, ppi_cells(rates, LabelledAnswers(*(each[order] for each in columns(labels)))))
    places = rng.permutation(len(rates))
    human, judge, prompt, cell, weight = columns(labels)
    moved = LabelledAnswers(human, judge, np.argsort(places)[prompt], cell, weight)
    same(found, ppi_cells(rates[places], moved))
    same(found, ppi_cells(rates, LabelledAnswers(*(np.repeat(each, 3) for each in columns(labels)))))
    flipped = ppi_cells(1 - rates, LabelledAnswers(1 - human, 1 - judge, prompt, cell, weight))
    np.testing.assert_allclose(flipped.fit.estimates, 1 - found.fit.estimates, atol=1e-12)
    np.testing.assert_allclose(flipped.fit.covariance, found.fit.covariance, rtol=1e-9, atol=1e-15)
    swapped = ppi_cells(rates[:, ::-1], LabelledAnswers(human, judge, prompt, 1 - cell, weight))
    np.testing.assert_allclose(swapped.fit.estimates, found.fit.estimates[::-1], atol=1e-12)


def test_full_weight_on_the_judge_is_classic_prediction_powered_inference():
    rates, labels, _ = drawn()
    found = ppi_cells(rates, labels, tuning=1.0)
    for cell in (0, 1):
        own = labels.cell == cell
        rectifier = (labels.human - labels.judge)[own].mean()
        assert found.fit.estimates[cell] == pytest.approx(rates[:, cell].mean() + rectifier)


def test_labels_of_everything_are_the_truth():
    rates, labels, truth = drawn(share=1.1, errors=(0.2, 0.05))
    np.testing.assert_allclose(ppi_cells(rates, labels).fit.estimates, truth)


def test_a_weight_is_that_many_labels():
    rates, labels, _ = drawn(errors=(0.2, 0.1))
    times = np.where(labels.prompt < 40, 3, 1)
    copied = LabelledAnswers(*(np.repeat(each, times) for each in columns(labels)))
    human, judge, prompt, cell, _ = columns(labels)
    same(
        ppi_cells(rates, copied),
        ppi_cells(rates, LabelledAnswers(human, judge, prompt, cell, times.astype(float))),
    )


@pytest.mark.parametrize("tuning", [-0.1, 1.5, float("nan")])
def test_a_weight_beyond_all_or_nothing_is_refused(tuning):
    rates, labels, _ = drawn()
    with pytest.raises(ValueError, match="between 0 and 1"):
        ppi_cells(rates, labels, tuning=tuning)


def test_a_cell_without_a_judged_rate_is_refused():
    rates, labels, _ = drawn()
    rates[:, 1] = np.nan
    with pytest.raises(ValueError, match="cell 1 has no judged rate"):
        ppi_cells(rates, labels)


def test_errors_are_those_of_the_confusion_table():
    rates, labels, _ = drawn(errors=(0.2, 0.05))
    found = estimate_judge_errors(labels, prompts=len(rates), cells=2)
    for cell in (0, 1):
        human, judge = (each[labels.cell == cell] for each in (labels.human, labels.judge))
        assert found.sensitivity[cell] == pytest.approx(judge[human == 1].mean())
        assert found.specificity[cell] == pytest.approx(1 - judge[human == 0].mean())
    sensitivity, specificity = found.differ()
    assert sensitivity.p < 0.01
    assert specificity.p < 0.01
    alike = drawn(errors=(0.1, 0.1), seed=4)
    tests = estimate_judge_errors(alike[1], prompts=len(alike[0]), cells=2).differ()
    assert min(test.p for test in tests) > 0.01


def test_rogan_gladen_is_its_formula():
    rates, labels, _ = drawn(errors=(0.2, 0.05))
    errors = estimate_judge_errors(labels, prompts=len(rates), cells=2)
    expected = (rates.mean(axis=0) + errors.specificity - 1) / (errors.sensitivity + errors.specificity - 1)
    np.testing.assert_allclose(rogan_gladen_cells(rates, labels).estimates, expected)


@pytest.mark.parametrize("correct", [ppi_cells, rogan_gladen_cells])
def test_too_few_labelled_prompts_are_refused(correct):
    rates, labels, _ = drawn(prompts=9, share=1.1)
    with pytest.raises(ValueError, match="labels of 9 prompts"):
        correct(rates, labels)


def test_a_judge_near_chance_cannot_be_corrected_by_its_errors():
    rates, labels, _ = drawn(errors=(0.45, 0.45))
    with pytest.raises(ValueError, match="too near to chance"):
        rogan_gladen_cells(rates, labels)


def test_labels_of_one_kind_have_no_errors_of_the_other():
    rates, labels, _ = drawn()
    ones = labels.human == 1
    only = LabelledAnswers(
        *(each[ones] for each in (labels.human, labels.judge, labels.prompt, labels.cell, labels.weight))
    )
    with pytest.raises(ValueError, match="no answer labelled N"):
        rogan_gladen_cells(rates, only)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"human": [0.5]}, "0 or 1"),
        ({"weight": [0.0]}, "positive"),
        ({"prompt": [0, 1]}, "one label, verdict, prompt"),
    ],
)
def test_labels_that_are_none_are_refused(change, why):
    columns = {"human": [1.0], "judge": [1.0], "prompt": [0], "cell": [0], "weight": [1.0]} | change
    with pytest.raises(ValueError, match=why):
        LabelledAnswers(**{name: np.array(values) for name, values in columns.items()})


def test_corrected_effects_hold_the_truth_where_uncorrected_and_pooled_ones_do_not(simulation):
    found = simulation.judge_coverage(200, 200, simulation.JudgeErrorRates(), replications=150, seed=3)
    held = {name: values[0][0] for name, values in found.items()}  # the main effect of finetuning
    assert held["PPI++ per condition"] > 0.9
    assert held["Rogan-Gladen per condition"] > 0.9
    assert held["judge, uncorrected"] < 0.1
    assert held["Rogan-Gladen pooled"] < 0.1


@pytest.mark.long
@pytest.mark.parametrize("in_turn", [True, False])
def test_ppi_is_unbiased_and_covers_under_differential_error(simulation, in_turn):
    found = simulation.judge_coverage(
        300, 200, simulation.JudgeErrorRates(), replications=2_000, seed=5, in_turn=in_turn
    )
    held, bias, spread = found["PPI++ per condition"]
    assert ((held >= 0.93) & (held <= 0.97)).all()
    assert (np.abs(bias) < 4 * spread / np.sqrt(2_000) + 0.0004).all()  # the truth has an error of .0002
    assert (spread < 0.75 * found["labels alone"][2]).all()
    pooled = found["Rogan-Gladen pooled"]
    assert pooled[0][0] < 0.05
    assert abs(pooled[1][2]) > abs(found["judge, uncorrected"][1][2])


@pytest.mark.long
def test_effects_cover_and_hold_their_level_when_prompts_differ(simulation):
    methods = ("paired t", "LPM, 10 % of cells lost", "GLM g-computation")
    for effects, low, high in ((simulation.Effects(), 0.93, 0.97), (simulation.NONE, 0.94, 0.96)):
        found = simulation.effect_coverage(300, effects, replications=4_000, seed=6)
        for method in methods:
            assert ((found[method] >= low) & (found[method] <= high)).all()
        assert (found["iid binomial"][:2] < 0.9).all()
        assert (found["unpaired, clustered"] > 0.99).all()


def test_a_contrast_of_corrected_cells_is_a_contrast():
    rates, labels, truth = drawn(share=0.5)
    found = contrast_estimate(ppi_cells(rates, labels).fit, [-1, 1], name="b - a")
    assert found.low < truth[1] - truth[0] < found.high
    assert (found.method, found.scale) == ("ppi_plus_plus", "rate_difference")


def test_errors_about_the_means_of_domains_are_those_of_repeated_draws():
    """Eight domains far apart, their prompts drawn anew each time: one mean for all takes their gaps for error."""
    rng = np.random.default_rng(3)
    domains, answers = np.repeat(np.arange(8), 25), 6
    found = []
    for _ in range(300):
        logits = np.linspace(-3, 3, 8)[domains] + rng.standard_normal(200)
        human = rng.random((200, answers)) < (1 / (1 + np.exp(-logits)))[:, None]
        judge = human ^ (rng.random(human.shape) < np.where(human, 0.1, 0.05))
        prompt, place = np.arange(0, 200, 2), rng.integers(answers, size=100)
        read = LabelledAnswers(
            human[prompt, place].astype(float),
            judge[prompt, place].astype(float),
            prompt,
            np.zeros(100, dtype=int),
            np.ones(100),
        )
        rates = judge.mean(axis=1)[:, None]
        fits = [ppi_cells(rates, read, strata=strata).fit for strata in (domains, None)]
        assert [fit.df for fit in fits] == [92, 99]
        found.append([fits[0].estimates[0], *(np.sqrt(fit.covariance[0, 0]) for fit in fits)])
    estimates, within, across = np.array(found).T
    assert within.mean() == pytest.approx(estimates.std(), rel=0.12)
    assert across.mean() > 1.25 * estimates.std()


def test_strata_with_hardly_any_labels_are_taken_as_one():
    rates, labels, *_ = drawn(prompts=40)
    alone, several = (ppi_cells(rates, labels, strata=strata).fit for strata in (None, np.arange(40) // 4))
    assert several.df == alone.df
    assert several.covariance == pytest.approx(alone.covariance)
    with pytest.raises(ValueError, match="one stratum per prompt"):
        ppi_cells(rates, labels, strata=[0, 1])
