"""The Bayesian check: it finds what was planted, agrees with the default, and is silent where chains did not mix."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores_frames import SCHEMA, cell
from studies import write_responses

from prefbench.bayes import bayes_table, find_faults
from prefbench.errors import ConfigError, MissingExtraError
from prefbench.factors import find_design
from prefbench.statistics.chains import ChainDiagnostics, diagnose_chains
from prefbench.statistics.hierarchical import HierarchicalData, _average_rates, fit_hierarchical

CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_vectors", "condition_4_dpo_vectors")
LEVELS = ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))
MEANS, SPREADS = (-0.4, 0.5, -0.4, 0.3), (1.5, 0.8, 0.8, 0.3)
EFFECTS = ("finetuning", "steering", "finetuning x steering")


def planted(prompts: int, *, seed: int):
    """Return scores of prompts with random intercepts and slopes, and the true contrasts on the logit scale."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(prompts):
        u = rng.normal(MEANS, SPREADS)
        for name, (one, two) in zip(CONDITIONS, LEVELS, strict=True):
            for temperature in (0.7, 1.5):
                logit = u @ (1, one, two, one * two) + 0.2 * (temperature - 0.7)
                yes = int(rng.binomial(10, 1 / (1 + np.exp(-logit))))
                rows.append(cell(yes, 10 - yes, id=f"p{number}", condition=name, temperature=temperature))
    return pl.DataFrame(rows, schema=SCHEMA)


def test_independent_draws_are_worth_what_they_are():
    found = diagnose_chains(np.random.default_rng(1).standard_normal((4, 2000)))
    assert found.r_hat < 1.005
    assert found.ess_bulk == pytest.approx(8000, rel=0.1)
    assert found.ess_tail == pytest.approx(8000, rel=0.2)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_the_effective_size_of_an_autoregression_is_the_known_one(share):
    rng = np.random.default_rng(2)
    draws = np.zeros((4, 20_000))
    draws[:, 0] = rng.standard_normal(4) / np.sqrt(1 - share**2)
    for step in range(1, draws.shape[1]):
        draws[:, step] = share * draws[:, step - 1] + rng.standard_normal(4)
    assert diagnose_chains(draws).ess_bulk == pytest.approx(draws.size * (1 - share) / (1 + share), rel=0.1)


@settings(deadline=None)
@given(scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_diagnostics_of_the_bulk_know_ranks_only(scale, shift):
    draws = np.random.default_rng(3).standard_normal((4, 200)).round(6)
    one, two = diagnose_chains(draws), diagnose_chains(np.exp(draws))
    assert one.ess_bulk == pytest.approx(two.ess_bulk)
    moved = diagnose_chains(shift + scale * draws)
    assert moved.ess_bulk == pytest.approx(one.ess_bulk, rel=1e-6)


def test_chains_in_different_places_or_of_different_spread_have_a_large_r_hat():
    draws = np.random.default_rng(4).standard_normal((4, 500))
    assert diagnose_chains(draws + np.arange(4)[:, None]).r_hat > 1.5
    # the folded half of R-hat is what sees this
    assert diagnose_chains(draws * np.array([1, 1, 1, 4])[:, None]).r_hat > 1.05
    assert diagnose_chains(np.ones((4, 100))).r_hat == np.inf


@pytest.mark.parametrize(
    "draws", [np.zeros((1, 100)), np.zeros((4, 3)), np.full((4, 100), np.nan), np.zeros(9)]
)
def test_draws_that_cannot_be_diagnosed_are_refused(draws):
    with pytest.raises(ValueError, match="two chains or more"):
        diagnose_chains(draws)


def test_every_fault_is_named_and_none_where_all_is_well():
    good, bad = ChainDiagnostics(1.001, 900.0, 800.0), ChainDiagnostics(1.2, 50.0, 30.0)
    assert find_faults({"a": good}, 0) == []
    faults = find_faults({"a": good, "tau": bad}, 3)
    assert [text.split(" of ")[0] for text in faults] == [
        "R-hat",
        "the bulk ESS",
        "the tail ESS",
        "3 divergences",
    ]
    assert all("tau" in text for text in faults[:3])


def test_rates_over_prompts_are_those_of_simulated_prompts():
    weights = np.array([[-1.0, 1.0]])
    ones = np.ones((4, 2, 2))
    data = HierarchicalData(yes=ones, trials=ones, weights=weights, domain=np.array([0, 0, 0, 1]))
    draws = {
        "beta": np.array([[[-0.7, 0.9]]]),
        "tau": np.array([[[1.5, 0.8]]]),
        "temperature": np.array([[[0.4]]]),
        "domain": np.array([[[1.0]]]),
    }
    rng = np.random.default_rng(5)
    u = rng.normal([-0.7, 0.9], [1.5, 0.8], (400_000, 2))
    shift = rng.choice([0.0, 1.0], p=[0.75, 0.25], size=400_000) + rng.choice([0.0, 0.4], size=400_000)
    simulated = [np.mean(1 / (1 + np.exp(-(u @ (1, half) + shift)))) for half in (-0.5, 0.5)]
    assert _average_rates(data, draws)[0, 0] == pytest.approx(simulated, abs=0.002)


def test_without_numpyro_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpyro", None)
    monkeypatch.setitem(sys.modules, "numpyro.infer", None)
    frame = planted(4, seed=1)
    with pytest.raises(MissingExtraError, match=r"Bayesian check.*pip install 'prefbench\[bayes\]'"):
        bayes_table(frame, find_design(CONDITIONS))


def test_a_design_without_all_combinations_is_refused():
    frame = planted(4, seed=1).filter(pl.col("condition") != CONDITIONS[3])
    with pytest.raises(ConfigError, match=r"not all combinations.*--factors"):
        bayes_table(frame, find_design(CONDITIONS[:3]))


def test_the_table_shows_both_methods_side_by_side(capsys):
    from dataclasses import replace

    from prefbench.bayes import COLUMNS
    from prefbench.cli.statistics_tables import print_statistics
    from prefbench.effects import make_table
    from prefbench.stats import study_statistics

    result = study_statistics(planted(6, seed=1), design=find_design(CONDITIONS))
    row = {
        "name": "steering",
        "kind": "main",
        "estimate": 0.123,
        "low": 0.1,
        "high": 0.2,
        "p_direction": 0.98,
    }
    row |= {"default": 0.117, "default_low": 0.05, "default_high": 0.25, "r_hat": 1.0012, "ess_bulk": 987.0}
    rows = [row | {"scale": scale, "ess_tail": 654.0} for scale in ("rate_difference", "log_odds")]
    print_statistics(replace(result, tables=result.tables | {"bayes": make_table(rows, COLUMNS)}))
    out = capsys.readouterr().out
    shown = out[out.index("Bayesian check, in percentage points") :].splitlines()[:4]
    assert shown[2].split()[:4] == ["steering", "bayes_hierarchical", "+12.3", "[+10.0,"]
    assert shown[2].split()[-3:] == ["1.001", "987", "654"]
    assert shown[3].split()[:3] == ["steering", "default", "+11.7"]


@pytest.fixture(scope="module")
def fitted():
    pytest.importorskip("numpyro", reason="needs numpyro: pip install 'prefbench[bayes]'")
    return bayes_table(planted(80, seed=11), find_design(CONDITIONS), level=0.99)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_planted_effects_lie_in_the_posterior_intervals(fitted):
    table, _ = fitted
    found = {row["name"]: row for row in table.to_dicts() if row["scale"] == "log_odds"}
    for name, true in zip(EFFECTS, MEANS[1:], strict=True):
        assert found[name]["low"] < true < found[name]["high"]
    assert (table["r_hat"].max(), table["ess_tail"].min()) <= (1.01, np.inf)
    assert min(table["ess_bulk"].min(), table["ess_tail"].min()) >= 400


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_check_agrees_with_the_default_on_the_probability_scale(fitted):
    table, _ = fitted
    for row in table.filter(pl.col("scale") == "rate_difference").to_dicts():
        half = (row["default_high"] - row["default_low"]) / 2
        assert abs(row["estimate"] - row["default"]) < 0.5 * half
        assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.3)
        assert (row["n"], row["n_missing"], row["p"]) == (80, 0, None)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_few_draws_give_no_numbers_and_say_why_and_the_seed_repeats_them():
    pytest.importorskip("numpyro", reason="needs numpyro: pip install 'prefbench[bayes]'")
    frame, design = planted(12, seed=2), find_design(CONDITIONS)
    results = [bayes_table(frame, design, draws=100, warmup=100, seed=seed) for seed in (0, 0, 1)]
    table, notes = results[0]
    assert table.is_empty()
    assert "ESS" in notes[0]
    assert "below 400" in notes[0]
    assert notes == results[1][1] != results[2][1]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_model_that_was_compiled_for_other_data_of_the_shape_gives_the_same_draws():
    pytest.importorskip("numpyro", reason="needs numpyro: pip install 'prefbench[bayes]'")
    rng = np.random.default_rng(3)
    weights = np.array([[-1.0, 1.0]])

    def draw(yes):
        data = HierarchicalData(
            yes=yes, trials=np.full(yes.shape, 5.0), weights=weights, domain=np.zeros(9, dtype=int)
        )
        return fit_hierarchical(data, seed=4, draws=100, warmup=100).log_odds

    one, other = (rng.binomial(5, 0.4, (9, 2, 1)).astype(float) for _ in range(2))
    first = draw(one)
    assert not np.array_equal(first, draw(other))
    np.testing.assert_array_equal(first, draw(one))


def test_the_seed_of_the_command_reaches_the_fit(monkeypatch, tmp_path, capsys):
    from prefbench import bayes
    from prefbench.cli.results import stats
    from prefbench.judge import judge_responses

    for name in CONDITIONS:
        write_responses(tmp_path / name, lambda *_: ["Y", "N"])
    judge_responses(tmp_path)
    seeds = []

    def remember(*given, seed, **options):
        seeds.append(seed)
        return pl.DataFrame(), []

    monkeypatch.setattr(bayes, "bayes_table", remember)
    stats(study=tmp_path, bayes=True, seed=5, as_json=True)
    assert seeds == [5]
    assert '"seed":5' in capsys.readouterr().out.replace(" ", "")
