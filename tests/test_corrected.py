"""Corrections by human labels, part by part: by domain, format and temperature, and on the logit scale."""

import importlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores_frames import corrected, hierarchical_frame, label_answers

from prefbench.labels import Labels
from prefbench.statistics import (
    contrast_equivalence,
    contrast_estimate,
    odds_ratio,
    paired_cells,
    paired_equivalence,
    temperature_trend,
    to_log_odds,
    trend_of_cells,
)
from prefbench.stats import study_statistics

CELLS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")
NUMBERS = ("estimate", "low", "high", "p")


@pytest.fixture(scope="module")
def frame():
    return hierarchical_frame(conditions=CELLS, effects=(0.0, 0.8, -0.4, 0.7), prompts=25)


def with_labels(frame, answers):
    return study_statistics(frame, labels=Labels(tuple(answers), 0, 0))


@pytest.fixture(scope="module")
def agreed(frame):
    return with_labels(frame, label_answers(frame))


def test_labels_that_agree_with_the_judge_leave_every_table_as_it_was(agreed):
    """A judge that is always right is fully trusted, so that each corrected figure is the judged one."""
    own, tables = corrected(agreed, "ppi_plus_plus"), agreed.tables
    slopes = corrected(agreed, "ppi_plus_plus", "rate_per_temperature")
    expected = {}
    for by in ("domain", "format"):
        for row in tables[f"{by}_rates"].to_dicts():
            expected[f"{row['condition']} in {row[by]}"] = row["rate"]
        for row in tables[f"{by}_differences"].to_dicts():
            expected[f"{row['higher']} - {row['lower']} in {row['condition']}"] = row["difference"]
    for row in tables["temperature_differences"].to_dicts():
        name = f"temperature {row['hotter']:g} - {row['colder']:g} in {row['condition']}"
        expected[name] = row["difference"]
    for row in tables["domain_effects"].to_dicts():
        expected[f"{row['name']} in {row['domain']}"] = row["estimate"]
    assert len(expected) == 2 * (4 * 3 + 4 * 3) + 4 * 3 + 3 * 3
    assert {name: own[name]["estimate"] for name in expected} == pytest.approx(expected, abs=1e-9)
    for row in tables["temperature_trend"].to_dicts():
        found = slopes[f"slope over temperature in {row['condition']}"]
        assert found["estimate"] == pytest.approx(row["slope"], abs=1e-9)
        for name in ("p_change", "p_bend"):
            assert found[name] == pytest.approx(row[name], abs=0.02)


def test_labels_that_agree_on_every_prompt_leave_effects_their_interval(frame):
    """Domains are strata with labels as they are without: nothing is lost by a judge that is always right."""
    result = with_labels(frame, label_answers(frame, share=0.5))
    own = corrected(result, "ppi_plus_plus")
    for row in result.tables["factorial"].filter(pl.col("scale") == "rate_difference").to_dicts():
        for number in NUMBERS:
            assert own[row["name"]][number] == pytest.approx(row[number], abs=1e-9), row["name"]


def test_each_group_says_how_many_prompts_and_labels_it_rests_on(frame, agreed):
    rows = agreed.tables["corrected"].filter(pl.col("source") == "ppi_plus_plus")
    labels = len(label_answers(frame))
    for by in ("domain", "format", "temperature"):
        rates = rows.filter(pl.col("by") == by, pl.col("kind") == "rate")
        assert rates["n_labels"].sum() == labels
        prompts = 4 * 75 * (3 if by == "temperature" else 1)
        assert rates["n"].sum() == prompts
    whole = rows.filter(pl.col("by").is_null(), pl.col("kind") == "rate")
    assert whole["n_labels"].sum() == labels


def test_an_error_at_one_temperature_is_taken_out_there(frame):
    """At 1.5 the judge reads a third of what a human calls N as Y, in every condition."""
    rng = np.random.default_rng(1)
    answers = [
        each._replace(human=False)
        if each.key.temperature == 1.5 and each.judge and rng.random() < 0.4
        else each
        for each in label_answers(frame, share=0.5)
    ]
    result = with_labels(frame, answers)
    own = corrected(result, "ppi_plus_plus")
    for condition in CELLS:
        judged = result.tables["temperature_differences"].filter(
            pl.col("condition") == condition, pl.col("hotter") == 1.5, pl.col("colder") == 0.7
        )
        found = own[f"temperature 1.5 - 0.7 in {condition}"]
        hot = [each.human for each in answers if each.condition == condition and each.key.temperature == 1.5]
        assert own[f"{condition} at temperature 1.5"]["estimate"] == pytest.approx(np.mean(hot), abs=0.05)
        assert found["high"] < judged["difference"].item()
        assert found["p_equivalence"] > 0.5
        slope = corrected(result, "ppi_plus_plus", "rate_per_temperature")[
            f"slope over temperature in {condition}"
        ]
        assert slope["high"] < 0
        untouched = own[f"temperature 1 - 0.7 in {condition}"]
        assert abs(untouched["estimate"]) < 0.05
        assert untouched["p_equivalence"] < found["p_equivalence"]


def test_effects_have_log_odds_of_the_corrected_rates(agreed):
    """Main effects as the mean of two log odds ratios, the interaction as their difference."""
    rates = {
        name: row["estimate"] for name, row in corrected(agreed, "ppi_plus_plus").items() if name in CELLS
    }
    base, dpo, vectors, both = (np.log(rates[name] / (1 - rates[name])) for name in CELLS)
    for source in ("judge", "ppi_plus_plus", "rogan_gladen"):
        rows = corrected(agreed, source, "log_odds")
        assert rows["finetuning"]["estimate"] == pytest.approx((dpo - base + both - vectors) / 2)
        interaction = (both - vectors) - (dpo - base)
        sign = {"finetuning x steering": interaction}
        assert {name: rows[name]["estimate"] for name in sign} == pytest.approx(sign)
        assert rows["finetuning"]["low"] < rows["finetuning"]["estimate"] < rows["finetuning"]["high"]


def test_p_is_adjusted_over_the_groups_of_one_effect(agreed):
    table = agreed.tables["corrected"]
    for by, groups in (("domain", 3), ("format", 3), ("temperature", 3)):
        rows = table.filter(pl.col("by") == by, pl.col("effect") == "finetuning").sort("p")
        assert rows.height == groups
        assert rows["p_adjusted"][0] == pytest.approx(min(1, groups * rows["p"][0]))


def test_groups_with_few_labels_are_left_out_and_it_is_said(frame):
    answers = [
        each
        for each in label_answers(frame)
        if each.key.temperature != 1.5 or each.condition != CELLS[0] or each.key.id.endswith("_001")
    ]
    result = with_labels(frame, answers)
    own = corrected(result, "ppi_plus_plus")
    assert f"{CELLS[0]} at temperature 1.5" not in own
    assert "finetuning at temperature 1.5" not in own
    assert f"temperature 1.5 - 0.7 in {CELLS[0]}" not in own
    assert f"slope over temperature in {CELLS[0]}" not in corrected(
        result, "ppi_plus_plus", "rate_per_temperature"
    )
    assert f"temperature 1.5 - 0.7 in {CELLS[1]}" in own
    assert any("corrected by temperature: 1 of 12 cells" in note for note in result.notes)


def test_a_condition_without_errors_of_one_kind_has_one_reason_and_its_name(frame):
    """Rogan-Gladen needs a human N: where there is none, the condition is named and PPI++ goes on."""
    answers = [each for each in label_answers(frame) if each.condition != CELLS[2] or each.judge]
    result = with_labels(frame, answers)
    assert any(f"{CELLS[2]} has no answer labelled N" in note for note in result.notes)
    assert not corrected(result, "rogan_gladen")
    assert "finetuning" in corrected(result, "ppi_plus_plus")
    errors = {row["condition"]: row for row in result.tables["judge_errors"].to_dicts()}
    assert [errors[name]["specificity"] for name in CELLS] == [1.0, 1.0, None, 1.0]
    assert {row["sensitivity"] for row in errors.values()} == {1.0}
    cannot = [note for note in result.notes if "cannot be tested" in note]
    assert cannot == [
        "whether the judge's specificity differs between conditions cannot be tested: there is no answer labelled N "
        f"of {CELLS[2]}"
    ]


def test_what_the_judge_has_no_odds_of_says_so_as_all_estimates_do(frame):
    only_yes = frame.with_columns(yes=pl.col("yes") + pl.col("no"), no=pl.lit(0))
    result = with_labels(only_yes, label_answers(frame))
    rows = result.tables["corrected"].filter(pl.col("estimate").is_null())
    assert rows.height
    assert rows["method"].str.starts_with("none: ").all()


def test_domains_without_labels_are_named_where_a_correction_is_made(frame):
    domain = frame["domain"][0]
    few = [each for each in label_answers(frame) if each.key.domain == domain and each.key.id.endswith("1")]
    result = with_labels(frame, few)
    assert any("labels of 3 prompts" in note for note in result.notes)
    assert not any("no labels in" in note for note in result.notes)


def test_an_unknown_format_is_in_no_group(frame):
    unknown = frame.with_columns(
        pl.when(pl.col("format") == "ranking").then(None).otherwise("format").alias("format")
    )
    own = corrected(with_labels(unknown, label_answers(unknown)), "ppi_plus_plus")
    groups = {row["group"] for row in own.values() if row["by"] == "format" and row["group"]}
    assert groups == {"binary_choice", "open_ended"}


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from([0.03, 0.1, 0.3]))
def test_cells_of_one_rate_agree_with_what_prompts_give(seed, margin):
    """Contrasts of cells against the paired functions, which take each prompt's difference or slope."""
    rng = np.random.default_rng(seed)
    rates, at = rng.binomial(10, rng.beta(2, 2, (30, 1)), (30, 3)) / 10, [0.7, 1.0, 1.5]
    fit = paired_cells(rates)
    ours = contrast_equivalence(fit, [-1, 0, 1], margin, name="x")
    theirs = paired_equivalence(rates[:, 2] - rates[:, 0], margin)
    for name in ("estimate", "low", "high", "p", "equivalent"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-9)
    ours, theirs = trend_of_cells(fit, at), temperature_trend(rates, at)
    for name in NUMBERS:
        assert getattr(ours.slope, name) == pytest.approx(getattr(theirs.slope, name), abs=1e-9)
    assert ours.slope.scale == theirs.slope.scale
    assert ours.change == pytest.approx(theirs.change)
    assert ours.bend == pytest.approx(theirs.bend)


def test_log_odds_are_the_marginal_odds_ratio_and_cover():
    """The estimate is exact; the interval holds the odds of the expected rates in about 95 of 100 studies."""
    rng = np.random.default_rng(0)
    held, draws = 0, 400
    logit = rng.normal(0, 1.5, (200_000, 1)) + np.array([-0.4, 0.4])
    truth = np.log(odds_ratio(*(1 / (1 + np.exp(-logit))).mean(axis=0)))
    for _ in range(draws):
        p = 1 / (1 + np.exp(-(rng.normal(0, 1.5, (80, 1)) + np.array([-0.4, 0.4]))))
        rates = rng.binomial(10, p) / 10
        found = contrast_estimate(to_log_odds(paired_cells(rates)), [-1, 1], name="x")
        assert found.estimate == pytest.approx(np.log(odds_ratio(*rates.mean(axis=0))))
        held += found.low < truth < found.high
    assert abs(held / draws - 0.95) < 4 * np.sqrt(0.95 * 0.05 / draws)


def test_a_rate_beyond_its_range_has_no_odds():
    fit = paired_cells(np.array([[0.0, 0.5], [0.0, 0.4], [0.0, 0.7]]))
    with pytest.raises(ValueError, match="has no odds"):
        to_log_odds(fit)
    with pytest.raises(ValueError, match="log odds are those of rates"):
        to_log_odds(to_log_odds(paired_cells(np.array([[0.1, 0.5], [0.2, 0.4], [0.3, 0.7]]))))


def test_parts_hold_the_truth_where_the_judge_errs_by_condition_format_and_temperature():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        found = importlib.import_module("corrected_parts").part_coverage(300, replications=60, seed=3)
    corrections = {part: each for part, each in found.items() if part.startswith("ppi")}
    assert len(corrections) == 8
    for part, (count, held, error) in corrections.items():
        assert held > 0.88, (part, count)
        assert abs(error) < 0.02, part
    assert found["judge: effects, rate_difference"][1] < 0.6


def test_all_shares_of_the_judges_errors_weigh_domains_as_the_bank_does(frame):
    """One domain labelled ten times as often is still a third of the bank: sensitivity and agreement fit together."""
    domain = frame["domain"][0]
    answers = [
        each for each in label_answers(frame, wrong=0.2) if each.key.domain == domain or each.place % 10 == 0
    ]
    for row in with_labels(frame, answers).tables["judge_errors"].to_dicts():
        yes = row["human_rate"]
        agreement = yes * row["sensitivity"] + (1 - yes) * row["specificity"]
        assert row["agreement"] == pytest.approx(agreement)
        assert row["judge_rate"] == pytest.approx(
            yes * row["sensitivity"] + (1 - yes) * (1 - row["specificity"])
        )
