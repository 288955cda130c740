"""Statistics of a study, against scipy, the array functions and designs whose answer is known."""

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scores_frames import cell, frame_of, hierarchical_frame
from statsmodels.stats.multitest import multipletests

from prefbench.aggregate import aggregate_scores
from prefbench.compare import compare_conditions
from prefbench.errors import ConfigError, DataError
from prefbench.statistics import independent_difference, paired_equivalence
from prefbench.stats import study_statistics

BASE, DPO = "condition_1_base", "condition_2_dpo"


@pytest.fixture(scope="module")
def frame():
    return hierarchical_frame()


@pytest.fixture(scope="module")
def found(frame):
    return study_statistics(frame)


def prompt_rates(frame, condition):
    rated = frame.filter(pl.col("condition") == condition).with_columns(
        rate=pl.col("yes") / (pl.col("yes") + pl.col("no"))
    )
    return rated.group_by("domain", "id", "format").agg(pl.col("rate").mean()).sort("domain", "id")


def test_rates_are_those_of_aggregate(frame, found):
    views = aggregate_scores(frame).views
    for name, view in (
        ("rates", "condition"),
        ("domain_rates", "condition_domain"),
        ("format_rates", "condition_format"),
    ):
        assert found.tables[name].rows() == views[view].select(found.tables[name].columns).rows()


def test_effects_are_those_of_compare_with_holm_over_the_pairs():
    three = hierarchical_frame(
        conditions=(BASE, DPO, "condition_3_vectors"), effects=(0.0, 0.1, 0.3), missing=0.05
    )
    effects = study_statistics(three).tables["effects"]
    assert effects.select("first_condition", "second_condition").rows() == [
        (BASE, DPO),
        (BASE, "condition_3_vectors"),
        (DPO, "condition_3_vectors"),
    ]
    for row in effects.to_dicts():
        expected = compare_conditions(three, row["first_condition"], row["second_condition"])
        assert (row["difference"], row["low"], row["p"]) == pytest.approx(
            (expected.overall.estimate, expected.overall.low, expected.overall.p)
        )
        assert row["p_sign_flip"] == expected.p_sign_flip
    np.testing.assert_allclose(
        effects["p_adjusted"], multipletests(effects["p"], method="holm")[1], rtol=1e-9
    )
    explored = study_statistics(three, correction="bh").tables["effects"]
    np.testing.assert_allclose(
        explored["p_adjusted"], multipletests(effects["p"], method="fdr_bh")[1], rtol=1e-9
    )


def test_domains_are_compared_by_welch_highest_first(frame, found):
    prompts = prompt_rates(frame, BASE)
    groups = {
        key[0]: part["rate"].to_numpy() for key, part in prompts.partition_by("domain", as_dict=True).items()
    }
    table = found.tables["domain_differences"].filter(pl.col("condition") == BASE)
    assert table.height == 3
    for row in table.to_dicts():
        higher, lower = groups[row["higher"]], groups[row["lower"]]
        assert row["p"] == pytest.approx(stats.ttest_ind(higher, lower, equal_var=False).pvalue)
        assert row["difference"] == pytest.approx(higher.mean() - lower.mean())
        assert row["difference"] > 0
    np.testing.assert_allclose(table["p_adjusted"], multipletests(table["p"], method="holm")[1])
    test = found.tables["domain_tests"].row(0, named=True)
    means = {name: values.mean() for name, values in groups.items()}
    assert test["highest"] == max(means, key=means.get)
    assert test["gradient"] == pytest.approx(max(means.values()) - min(means.values()))


def test_formats_are_compared_within_domains(frame, found):
    prompts = prompt_rates(frame, DPO)
    for row in found.tables["format_differences"].filter(pl.col("condition") == DPO).to_dicts():
        sides = [prompts.filter(pl.col("format") == row[name]) for name in ("lower", "higher")]
        expected = independent_difference(
            *(side["rate"].to_numpy() for side in sides),
            first_strata=sides[0]["domain"].to_list(),
            second_strata=sides[1]["domain"].to_list(),
        )
        assert (row["difference"], row["p"]) == pytest.approx((expected.estimate, expected.p))


def test_temperatures_are_paired_and_stability_needs_every_pair(frame):
    heated = frame.with_columns(
        yes=pl.when(pl.col("temperature") == 1.5, pl.col("condition") == DPO).then(10).otherwise("yes"),
        no=pl.when(pl.col("temperature") == 1.5, pl.col("condition") == DPO).then(0).otherwise("no"),
    )
    result = study_statistics(heated, margin=0.1)
    table = result.tables["temperature_differences"].filter(pl.col("condition") == DPO)
    assert table["equivalent"].to_list() == [True, False, False]
    assert result.tables["stability"]["stable"].to_list() == [True, False]
    assert result.tables["stability"]["p"].to_list()[1] == table["p_equivalence"].max()
    assert result.tables["stability"]["margin"].to_list() == [0.1, 0.1]


def test_equivalence_is_that_of_the_array_function(frame, found):
    wide = (
        frame.filter(pl.col("condition") == BASE)
        .with_columns(rate=pl.col("yes") / 10)
        .pivot("temperature", index=["domain", "id"], values="rate")
    )
    expected = paired_equivalence(
        (wide["1.0"] - wide["0.7"]).to_numpy(), 0.05, strata=wide["domain"].to_list()
    )
    row = found.tables["temperature_differences"].row(0, named=True)
    assert (row["colder"], row["hotter"], row["p_equivalence"]) == (0.7, 1.0, pytest.approx(expected.p))


def test_the_trend_is_the_mean_of_least_squares_slopes(frame, found):
    wide = (
        frame.filter(pl.col("condition") == BASE)
        .with_columns(rate=pl.col("yes") / 10)
        .pivot("temperature", index=["domain", "id"], values="rate")
    )
    slopes = [np.polyfit([0.7, 1.0, 1.5], rates, 1)[0] for rates in wide.select("0.7", "1.0", "1.5").rows()]
    row = found.tables["temperature_trend"].row(0, named=True)
    assert row["slope"] == pytest.approx(np.mean(slopes))
    assert (row["n_prompts"], row["n_missing"]) == (120, 0)


def test_the_trend_leaves_out_prompts_that_lack_a_temperature():
    frame = hierarchical_frame(missing=0.1, conditions=(BASE,), effects=(0.0,))
    complete = (
        frame.filter(pl.col("yes").is_not_null())
        .group_by("domain", "id")
        .len()
        .filter(pl.col("len") == 3)
        .height
    )
    row = study_statistics(frame).tables["temperature_trend"].row(0, named=True)
    assert (row["n_prompts"], row["n_missing"]) == (complete, 120 - complete)


def test_worst_case_bounds_hold_every_filling_of_the_gaps():
    """Whatever the missing cells and verdicts had been, the completed rates and effects lie in the bounds."""
    frame = hierarchical_frame(missing=0.1, unreadable=0.1, prompts=15)
    bounds = study_statistics(frame).tables["bounds"]
    rng = np.random.default_rng(1)
    for _ in range(20):
        draw = rng.random(frame.height)
        whole = frame.with_columns(share=pl.Series(draw)).with_columns(
            rate=pl.coalesce(
                (pl.col("yes") + (pl.col("share") * (pl.col("unreadable") + 1)).floor())
                / pl.col("n_samples"),
                pl.col("share").round(),
            )
        )
        rates = dict(whole.group_by("condition").agg(pl.col("rate").mean()).rows())
        for row in bounds.to_dicts():
            value = rates[row["condition"]] - (rates[row["baseline"]] if row["kind"] == "effect" else 0)
            assert row["low"] <= value <= row["high"]
    assert bounds["kind"].to_list() == ["rate", "rate", "effect"]


def test_bounds_are_attained_when_all_gaps_go_one_way():
    frame = frame_of(cell(5, 5, id="a"), cell(8, 0, id="b", unreadable=2), cell(id="c"), cell(10, 0, id="d"))
    row = study_statistics(frame).tables["bounds"].row(0, named=True)
    assert (row["low"], row["high"]) == (
        pytest.approx((0.5 + 0.8 + 0 + 1) / 4),
        pytest.approx((0.5 + 1 + 1 + 1) / 4),
    )
    assert (row["n_cells"], row["n_missing"]) == (4, 2)


@pytest.mark.parametrize(("owner", "bounds"), [(BASE, (-0.5, 0.0)), (DPO, (0.0, 0.5))])
def test_prompts_that_one_condition_never_had_widen_the_bounds_of_the_effect(owner, bounds):
    shared = [cell(5, 5, id=name, condition=condition) for name in "ab" for condition in (BASE, DPO)]
    frame = frame_of(*shared, *(cell(10, 0, id=name, condition=owner) for name in "cd"))
    table = study_statistics(frame).tables["bounds"]
    assert table["kind"].to_list() == ["effect"]
    assert table.select("low", "high").row(0) == pytest.approx(bounds)
    assert table.select("n_cells", "n_missing").row(0) == (8, 2)


def test_bounds_weigh_prompts_alike_whatever_their_number_of_cells():
    cells = [cell(10, 0, id="a", temperature=t) for t in (0.7, 1.0)] + [cell(id="a", temperature=1.5)]
    frame = frame_of(*cells, cell(0, 10, id="b"), cell(0, 10, id="c"))
    row = study_statistics(frame).tables["bounds"].row(0, named=True)
    assert (row["low"], row["high"]) == (pytest.approx(2 / 9), pytest.approx(1 / 3))


def test_nothing_missing_means_no_bounds(found):
    assert found.tables["bounds"].is_empty()


def test_one_condition_says_what_it_cannot_say():
    frame = frame_of(*(cell(k, 10 - k, id=f"p{k}", format=None) for k in range(5)))
    result = study_statistics(frame)
    assert result.tables["effects"].is_empty()
    assert result.tables["rates"].height == 1
    said = " ".join(result.notes)
    for what in (
        "no effect between conditions",
        "one temperature",
        "one domain",
        "no difference between formats: none is known",
    ):
        assert what in said


def test_what_could_not_be_tested_is_named():
    frame = frame_of(
        cell(5, 5, id="a"),
        cell(4, 6, id="b"),
        cell(5, 5, id="c", domain="ethical"),
        cell(5, 5, id="d", condition=DPO),
    )
    notes = study_statistics(frame).notes
    assert any(
        note.startswith("condition_1_base: domains cannot be compared: Welch's test needs") for note in notes
    )
    assert "condition_2_dpo and condition_1_base cannot be compared: no pair" in notes


def test_nothing_read_is_null_everywhere_and_said():
    result = study_statistics(frame_of(cell(id="a"), cell(id="b")))
    assert result.tables["rates"]["rate"].to_list() == [None]
    assert "no rate at all: no verdict could be read" in result.notes
    assert result.tables["bounds"].select("low", "high").row(0) == (0.0, 1.0)


def test_the_scope_names_conditions_bank_and_judge(found):
    for part in (BASE, DPO, "120 prompts in 3 domains", "temperature 0.7, 1, 1.5", "judge lexical"):
        assert part in found.scope


def test_the_result_is_ready_for_json(found):
    loaded = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (loaded["correction"], loaded["margin"], loaded["level"]) == ("holm", 0.05, 0.95)
    assert set(loaded["tables"]) == set(found.tables)


def test_the_order_of_rows_does_not_change_a_digit(frame, found):
    assert study_statistics(frame.sample(fraction=1.0, shuffle=True, seed=3)).to_dict() == found.to_dict()


def test_the_seed_decides_the_sign_flips():
    alike = hierarchical_frame(effects=(0.0, 0.05))
    one, again, other = (
        study_statistics(alike, seed=seed).tables["effects"]["p_sign_flip"][0] for seed in (1, 1, 2)
    )
    assert one == again != other
    assert one == pytest.approx(other, abs=0.05)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"correction": "hollm"}, "did you mean 'holm'"),
        ({"margin": 0}, "0 < margin < 1"),
        ({"level": 0.4}, "level"),
        ({"target": "people"}, "unknown target"),
    ],
)
def test_options_that_cannot_be_are_refused(frame, options, why):
    with pytest.raises(ConfigError, match=why):
        study_statistics(frame, **options)


def test_an_empty_frame_is_refused():
    with pytest.raises(DataError, match="no scores"):
        study_statistics(frame_of())


def test_pairs_that_fail_for_one_reason_are_one_note():
    """One prompt of each of four formats in a domain: six pairs of formats, none of which has a width."""
    formats = ("binary_choice", "open_ended", "ranking", "rating")
    rows = [cell(3, 7, id=f"p{number}", format=name) for number, name in enumerate(formats)]
    notes = [note for note in study_statistics(frame_of(*rows)).notes if "cannot be compared" in note]
    assert notes == [
        "condition_1_base: 6 pairs of formats cannot be compared: a difference needs two prompts on either side of "
        "one stratum"
    ]
