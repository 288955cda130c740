"""Effects of a whole study: the 2x2 at the level of `prefbench stats`, with the input that studies really have."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores_frames import cell, corrected, frame_of, hierarchical_frame, label_answers

from prefbench.compare import compare_conditions
from prefbench.errors import ConfigError, DataError
from prefbench.factors import find_design
from prefbench.labels import Labels
from prefbench.outcomes import is_incoherent
from prefbench.planning import Costs, plan_study
from prefbench.statistics import ESTIMATE_FIELDS
from prefbench.stats import study_statistics

CELLS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")
EFFECTS = (0.0, 0.8, -0.4, 0.7)
MAIN = ("finetuning", "steering", "finetuning x steering")


def four_cells(**other):
    return hierarchical_frame(conditions=CELLS, effects=EFFECTS, **other)


@pytest.fixture(scope="module")
def frame():
    return four_cells(prompts=25)


@pytest.fixture(scope="module")
def found(frame):
    return study_statistics(frame)


def factorial(result, scale="rate_difference"):
    return {row["name"]: row for row in result.tables["factorial"].to_dicts() if row["scale"] == scale}


def numbers(rows, *names):
    return [rows[name][field] for name in names or rows for field in ("estimate", "low", "high", "p")]


def rates_by_prompt(frame):
    rated = frame.with_columns(rate=pl.col("yes") / (pl.col("yes") + pl.col("no")))
    wide = rated.group_by("domain", "id", "condition").agg(pl.col("rate").mean())
    return wide.pivot("condition", index=["domain", "id"], values="rate").sort("domain", "id")


def test_the_2x2_is_read_from_the_names_and_estimated_within_prompts(frame, found):
    wide = rates_by_prompt(frame)
    a, b, c, d = (wide[name].to_numpy() for name in CELLS)
    rows = factorial(found)
    expected = {
        "finetuning": (b - a + d - c) / 2,
        "steering": (c - a + d - b) / 2,
        "finetuning x steering": d - c - b + a,
        "finetuning without steering": b - a,
        "finetuning with steering": d - c,
        "steering without finetuning": c - a,
        "steering with finetuning": d - b,
    }
    assert set(rows) == set(expected)
    for name, differences in expected.items():
        assert rows[name]["estimate"] == pytest.approx(differences.mean())
        assert (rows[name]["n"], rows[name]["n_missing"], rows[name]["method"]) == (75, 0, "paired_t")
    logits = factorial(found, "log_odds")
    assert logits["finetuning x steering"]["estimate"] == pytest.approx(
        logits["finetuning with steering"]["estimate"] - logits["finetuning without steering"]["estimate"]
    )


def test_the_seed_moves_what_is_drawn_and_nothing_else(frame, found):
    other = study_statistics(frame, seed=1)
    moved = {name for name, table in found.tables.items() if not table.equals(other.tables[name])}
    assert moved == {"factorial_checks", "effects"}
    checks = zip(*(each.tables["factorial_checks"].to_dicts() for each in (found, other)), strict=True)
    assert {one["method"] for one, two in checks if one != two} == {"sign_flip", "prompt_bootstrap"}
    same = [each.tables["effects"].drop("p_sign_flip") for each in (found, other)]
    assert same[0].equals(same[1])


def test_checks_by_other_methods_agree(found):
    checks = found.tables["factorial_checks"]
    for name, row in factorial(found).items():
        own = checks.filter(pl.col("name") == name)
        assert own["method"].to_list() == [
            "paired_t",
            "lpm_cr1",
            "sign_flip",
            "glm_g_computation",
            "prompt_bootstrap",
        ]
        np.testing.assert_allclose(own["estimate"], row["estimate"], atol=1e-9)
        for other in own.filter(pl.col("method").is_in(["glm_g_computation", "prompt_bootstrap"])).to_dicts():
            assert other["high"] - other["low"] == pytest.approx(row["high"] - row["low"], rel=0.15)


def test_every_estimate_in_json_has_the_nine_fields(frame, found):
    loaded = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(loaded["estimates"]) > 100
    assert all(tuple(each) == ESTIMATE_FIELDS for each in loaded["estimates"])
    named = {(each["name"], each["method"], each["scale"]): each for each in loaded["estimates"]}
    main = named["finetuning", "paired_t", "rate_difference"]
    assert main["estimate"] == factorial(found)["finetuning"]["estimate"]
    assert named["rate of condition_2_dpo", "wilson_effective", "rate"]["n"] == 75
    for each in loaded["estimates"]:
        assert each["estimate"] is not None or each["method"].startswith("none: ")
        assert isinstance(each["n"], int)
    compared = json.loads(json.dumps(compare_conditions(frame, *CELLS[:2]).to_dict()))
    assert all(tuple(each) == ESTIMATE_FIELDS for each in (compared["overall"], *compared["estimates"]))
    assert len(compared["estimates"]) == 1 + 3 + 3 + 3


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_names_and_copies_leave_the_effects(seed):
    frame = four_cells(prompts=6, seed=seed, missing=0.03)
    expected = factorial(study_statistics(frame))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    assert numbers(factorial(study_statistics(shuffled))) == numbers(expected)
    renamed = frame.with_columns(id=pl.col("id").str.reverse() + "_new")
    assert numbers(factorial(study_statistics(renamed))) == pytest.approx(
        numbers(expected), rel=1e-9, abs=1e-12
    )
    counts = ("n_samples", "yes", "no", "unreadable")
    copied = frame.with_columns(pl.col(*counts) * 3)
    assert numbers(factorial(study_statistics(copied))) == pytest.approx(
        numbers(expected), rel=1e-9, abs=1e-12
    )
    flipped = factorial(study_statistics(frame.rename({"yes": "no", "no": "yes"})))
    for name, row in expected.items():
        assert flipped[name]["estimate"] == pytest.approx(-row["estimate"], abs=1e-9)
        assert (flipped[name]["low"], flipped[name]["high"]) == pytest.approx(
            (-row["high"], -row["low"]), abs=1e-9
        )


def test_an_unbalanced_design_is_estimated_by_fixed_effects_near_the_whole(frame, found):
    rng = np.random.default_rng(2)
    lost = pl.Series(rng.random(frame.height) < 0.1)
    nothing = [
        pl.when(lost).then(None).otherwise(pl.col(name)).alias(name) for name in ("yes", "no", "unreadable")
    ]
    gappy = frame.with_columns(*nothing, status=pl.when(lost).then(pl.lit("unscored")).otherwise("status"))
    rows, whole = factorial(study_statistics(gappy)), factorial(found)
    for name in MAIN:
        assert rows[name]["method"] == "lpm_cr1"
        assert rows[name]["estimate"] == pytest.approx(whole[name]["estimate"], abs=0.03)
    assert not study_statistics(gappy).tables["bounds"].is_empty()


def test_a_missing_arm_leaves_simple_effects_and_says_so(frame):
    result = study_statistics(frame.filter(pl.col("condition") != CELLS[3]))
    assert set(result.tables["factorial"]["kind"]) == {"simple"}
    assert any("1 of 4 conditions of the design are not there" in note for note in result.notes)


def test_prompts_in_one_condition_only_change_no_effect_and_are_counted(frame, found):
    alone = frame.filter(pl.col("condition") == CELLS[0], pl.col("id").str.ends_with("_001"))
    more = pl.concat([frame, alone.with_columns(id=pl.lit("alone"))])
    result = study_statistics(more)
    for name in MAIN:
        row = factorial(result)[name]
        assert row["estimate"] == pytest.approx(factorial(found)[name]["estimate"], abs=1e-9)
        assert row["n"] + row["n_missing"] == 78
        assert row["n_missing"] == 3


@pytest.mark.parametrize("verdict", ["yes", "no"])
def test_a_cell_of_one_kind_has_a_difference_and_no_odds(frame, verdict):
    other = "no" if verdict == "yes" else "yes"
    all_one = frame.with_columns(
        pl.when(pl.col("condition") == CELLS[1]).then(10).otherwise(pl.col(verdict)).alias(verdict),
        pl.when(pl.col("condition") == CELLS[1]).then(0).otherwise(pl.col(other)).alias(other),
    )
    result = study_statistics(all_one)
    assert all(row["p"] is not None for row in factorial(result).values())
    for row in factorial(result, "log_odds").values():
        assert row["estimate"] is None
        assert f"condition_2_dpo has only {'Y' if verdict == 'yes' else 'N'} answers" in row["method"]
    assert any("log_odds) cannot be estimated" in note for note in result.notes)


def test_one_prompt_has_no_interval_and_says_why():
    frame = frame_of(*(cell(k, 10 - k, condition=name) for k, name in zip((2, 5, 4, 7), CELLS, strict=True)))
    result = study_statistics(frame)
    assert result.tables["factorial"]["p"].to_list() == [None] * 14
    assert all(method.startswith("none: ") for method in result.tables["factorial"]["method"])
    with pytest.raises(DataError, match="one prompt in common"):
        compare_conditions(frame, *CELLS[:2])


def test_n_that_differs_by_record_weighs_prompts_alike():
    rng = np.random.default_rng(4)
    rows = []
    for number in range(12):
        for name in CELLS:
            m = int(rng.integers(2, 30))
            yes = int(rng.integers(0, m + 1))
            rows.append(cell(yes, m - yes, id=f"p{number:02}", condition=name, n_samples=m))
    frame = frame_of(*rows)
    wide = rates_by_prompt(frame)
    a, b, c, d = (wide[name].to_numpy() for name in CELLS)
    assert factorial(study_statistics(frame))["finetuning"]["estimate"] == pytest.approx(
        ((b - a + d - c) / 2).mean()
    )


def test_what_no_table_can_hold_is_refused_by_name(frame):
    with pytest.raises(DataError, match="appears twice"):
        study_statistics(pl.concat([frame, frame.head(1)]))
    with pytest.raises(DataError, match="appears twice"):
        compare_conditions(pl.concat([frame, frame.head(1)]), *CELLS[:2])
    mixed = frame.with_columns(
        judge=pl.when(pl.col("condition") == CELLS[0]).then(pl.lit("claude")).otherwise("judge")
    )
    with pytest.raises(ConfigError, match="scores of 2 judges are mixed"):
        study_statistics(mixed)
    with pytest.raises(ConfigError, match="the design is of"):
        study_statistics(frame, design=find_design(CELLS[:2]))


def test_labels_that_agree_with_the_judge_change_nothing(frame, found):
    result = study_statistics(frame, labels=Labels(tuple(label_answers(frame)), 0, 0))
    for method in ("ppi_plus_plus", "rogan_gladen"):
        rows = corrected(result, method)
        for name in MAIN:
            assert rows[name]["estimate"] == pytest.approx(factorial(found)[name]["estimate"], abs=1e-9)
    assert result.tables["judge_errors"]["tuning"].to_list() == pytest.approx([1.0] * 4)
    own = corrected(result, "ppi_plus_plus")
    for row in result.tables["domain_rates"].to_dicts():
        assert own[f"{row['condition']} in {row['domain']}"]["estimate"] == pytest.approx(
            row["rate"], abs=1e-9
        )
    assert "are corrected for in the tables that say so" in result.scope


def test_labels_that_differ_move_the_effects_towards_the_human(frame):
    answers = []
    for each in label_answers(frame, share=0.4, wrong=0.02):
        turned = each.condition == CELLS[1] and each.judge and each.place % 2
        answers.append(each._replace(human=False) if turned else each)
    result = study_statistics(frame, labels=Labels(tuple(answers), 3, 2))
    rows = corrected(result, "ppi_plus_plus")
    human = {name: np.mean([a.human for a in answers if a.condition == name]) for name in CELLS}
    for name in CELLS:
        assert rows[name]["estimate"] == pytest.approx(human[name], abs=0.03)
    assert (
        rows["finetuning without steering"]["high"]
        < factorial(result)["finetuning without steering"]["estimate"]
    )
    notes = " ".join(result.notes)
    for part in (
        "3 labels belong to answers without a verdict",
        "2 labels belong to conditions",
        "specificity differs",
    ):
        assert part in notes


def test_errors_that_were_seen_in_one_condition_only_are_said_to_be_untested(frame):
    answers = [
        each._replace(human=False) if each.condition == CELLS[1] and each.judge and each.place % 2 else each
        for each in label_answers(frame)
    ]
    result = study_statistics(frame, labels=Labels(tuple(answers), 0, 0))
    assert any("specificity differs between conditions cannot be tested" in note for note in result.notes)


def test_too_few_labels_are_named_and_the_smallest_effect_with_them(frame):
    few = study_statistics(frame, labels=Labels(tuple(label_answers(frame, share=0.03, wrong=0.1)), 0, 0))
    assert any("too few labels to confirm small effects" in note for note in few.notes)
    one = [
        each for each in label_answers(frame) if each.condition == CELLS[0] and each.key.id.endswith("_001")
    ]
    none = study_statistics(frame, labels=Labels(tuple(one), 0, 0))
    assert none.tables["corrected"].is_empty()
    assert any("a correction needs 10" in note for note in none.notes)


def test_effects_without_the_answers_that_were_refused(frame):
    """Every second N was a refusal: leaving refusals out moves each rate up as the counts say."""
    keys = ("condition", "domain", "id", "temperature")
    flagged = frame.select(
        *keys,
        n_answers=pl.col("n_samples"),
        n_refused=pl.col("no") // 2,
        refused_yes="yes",
        refused_no=pl.col("no") - pl.col("no") // 2,
        n_truncated=pl.lit(0),
        truncated_yes="yes",
        truncated_no="no",
        n_incoherent=pl.lit(None, pl.Int64),
        incoherent_yes=pl.lit(None, pl.Int64),
        incoherent_no=pl.lit(None, pl.Int64),
    )
    result = study_statistics(frame, outcomes=flagged)
    table = result.tables["co_outcome_effects"]
    fewer = frame.with_columns(no=pl.col("no") - pl.col("no") // 2)
    expected = factorial(study_statistics(fewer.with_columns(n_samples=pl.col("yes") + pl.col("no"))))
    whole = factorial(result)
    for row in table.filter(pl.col("quantity") == "rate_without").to_dicts():
        assert row["outcome"] == "refused"
        assert row["estimate"] == pytest.approx(expected[row["name"]]["estimate"])
        assert row["change"] == pytest.approx(row["estimate"] - whole[row["name"]]["estimate"])
    assert any("incoherent answers are not known" in note for note in result.notes)


@pytest.mark.parametrize(
    ("text", "incoherent"),
    [
        ("", True),
        ("... 12 !!", True),
        ("the sea " * 30, True),
        ("I would rather see the sea than the hill.", False),
    ],
)
def test_text_that_repeats_itself_is_incoherent(text, incoherent):
    assert is_incoherent(text) == incoherent


def test_more_prompts_find_smaller_effects_and_prices_choose_the_design(frame):
    plan = plan_study(frame, prompts=(100, 400), samples=(5, 20), effect=0.05)
    for name in MAIN:
        own = (
            plan.detectable.filter(pl.col("name") == name)
            .sort("n_prompts", "n_samples")["smallest_effect"]
            .to_list()
        )
        assert own[0] > own[1]
        assert own[0] > own[2] > own[3]
        assert own[0] / own[2] == pytest.approx(2, rel=0.03)
    per_call = plan_study(frame, effect=0.05, costs=Costs(judge_call=1.0, answers_per_call=50))
    per_answer = plan_study(frame, effect=0.05, costs=Costs(judge_call=1.0))
    first = (each.designs.row(0, named=True) for each in (per_call, per_answer))
    bulk, single = ((row["n_prompts"], row["n_samples"], row["judge_calls"]) for row in first)
    assert bulk[1] > single[1]
    assert bulk[2] < single[2]


@pytest.mark.parametrize("costs", [{"judge_call": -1}, {"gpu_hour": float("nan")}, {"answer_seconds": -2.0}])
def test_prices_that_cannot_be_are_refused(costs):
    with pytest.raises(ConfigError, match="0 or more"):
        Costs(**costs)
