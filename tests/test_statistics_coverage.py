"""The intervals hold what they promise when prompts differ. Simulated with benchmarks/interval_coverage.py."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
ORACLES = Path(__file__).parent / "oracles"


def load_script(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def simulation():
    return load_script("interval_coverage")


@pytest.fixture(scope="module")
def rejected():
    return load_script("rejected")


def test_a_few_hundred_draws_tell_the_default_from_iid_wilson(simulation):
    found = simulation.rate_coverage(100, 0.5, replications=300, seed=11)
    assert found["effective Wilson"] > 0.9
    assert found["iid Wilson"] < 0.8


def test_the_random_intercept_model_of_the_simulations_is_that_of_lme4(rejected):
    given, expected = (
        json.loads((ORACLES / f"{name}.json").read_text())[key]
        for name, key in (("factorial_balanced", "input"), ("mixed_model", "answer"))
    )
    order = np.lexsort([given[name] for name in ("temperature", "cell", "prompt")])
    rows = {name: np.array(values)[order] for name, values in given.items() if len(values) == order.size}
    columns = [
        np.unique(rows[name], return_inverse=True)[1][:, None] == np.arange(first, count)
        for name, first, count in (("cell", 0, 4), ("temperature", 1, 3), ("domain", 1, 2))
    ]
    design = np.concatenate(columns, axis=1).astype(float).reshape(60, 12, -1)
    counts = (rows[name].astype(int).reshape(60, 12) for name in ("yes", "trials"))
    fit = rejected.fit_random_intercepts(*counts, design, np.arange(60))
    contrast = np.array([1.0, -1, -1, 1, 0, 0, 0])
    # lme4 integrates by Laplace's approximation, and its errors are those of the penalised fit
    assert contrast @ fit.coefficients == pytest.approx(expected["interaction"], rel=1e-3)
    error = np.sqrt(contrast @ fit.covariance @ contrast)
    assert error == pytest.approx(expected["interaction_se"], rel=5e-3)


def test_models_with_nothing_but_intercepts_find_effects_that_are_not_there(rejected):
    found = rejected.false_alarms(100, rejected.SPREAD, replications=200, seed=14)
    assert found["random intercepts"][:2].min() > 0.12 > found["paired t"].max()
    alike = rejected.SPREAD._replace(finetuning=0, steering=0, both=0)
    found = rejected.false_alarms(100, alike, replications=200, seed=14)
    assert found["random intercepts"].max() < 0.1


@pytest.mark.long
@pytest.mark.parametrize("rate", [0.5, 0.1])
@pytest.mark.parametrize(("prompts", "domains"), [(300, 1), (100, 5)])
def test_the_default_interval_covers_and_iid_wilson_does_not(simulation, rate, prompts, domains):
    found = simulation.rate_coverage(prompts, rate, domains=domains, replications=3_000, seed=12)
    assert 0.93 <= found["effective Wilson"] <= 0.97
    assert 0.93 <= found["fixed prompts"] <= 0.97
    assert found["iid Wilson"] < 0.8


@pytest.mark.long
@pytest.mark.parametrize("prompts", [15, 300])
def test_the_paired_interval_covers_and_the_unpaired_is_too_wide(simulation, prompts):
    found = simulation.difference_coverage(prompts, 0.4, replications=3_000, seed=13)
    assert 0.93 <= found["paired t"] <= 0.97
    assert found["unpaired t"] > 0.99
