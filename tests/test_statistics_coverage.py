"""The intervals hold what they promise when prompts differ. Simulated with benchmarks/interval_coverage.py."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "interval_coverage.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("interval_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_few_hundred_draws_tell_the_default_from_iid_wilson(simulation):
    found = simulation.rate_coverage(100, 0.5, replications=300, seed=11)
    assert found["effective Wilson"] > 0.9
    assert found["iid Wilson"] < 0.8


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
