"""Comparison of two conditions, against scipy on the per-prompt differences and cells written down by hand."""

import json
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scores_frames import cell, frame_of, hierarchical_frame
from statsmodels.stats.multitest import multipletests

from prefbench.compare import compare_conditions
from prefbench.errors import ConfigError, DataError
from prefbench.statistics import mean_difference

BASE, DPO = "condition_1_base", "condition_2_dpo"


@pytest.fixture(scope="module")
def frame():
    return hierarchical_frame(missing=0.1)


def differences_by_hand(frame):
    """Return each prompt's mean of second - first over the temperatures at which both were scored."""
    rates = {
        (row["condition"], row["domain"], row["id"], row["temperature"]): row["yes"]
        / (row["yes"] + row["no"])
        for row in frame.to_dicts()
        if row["yes"] is not None
    }
    found = defaultdict(list)
    for (condition, *key), rate in rates.items():
        if condition == DPO and (BASE, *key) in rates:
            found[key[0], key[1]].append(rate - rates[BASE, *key])
    return {prompt: float(np.mean(values)) for prompt, values in found.items()}


def test_the_overall_difference_is_paired_within_prompts_and_domains(frame):
    expected = differences_by_hand(frame)
    oracle = mean_difference(list(expected.values()), strata=[domain for domain, _ in expected])
    found = compare_conditions(frame, BASE, DPO).overall
    assert (found.estimate, found.low, found.high, found.p) == pytest.approx(
        (oracle.estimate, oracle.low, oracle.high, oracle.p), rel=1e-9
    )
    assert (found.n, found.n + found.n_missing) == (len(expected), 120)


def test_each_domain_is_a_t_test_with_holm_over_domains(frame):
    by_hand = differences_by_hand(frame)
    table = compare_conditions(frame, BASE, DPO).tables["domain"]
    p_values = []
    for row in table.to_dicts():
        expected = stats.ttest_1samp([d for (domain, _), d in by_hand.items() if domain == row["domain"]], 0)
        interval = expected.confidence_interval()
        assert (row["low"], row["high"], row["p"]) == pytest.approx(
            (interval.low, interval.high, expected.pvalue)
        )
        p_values.append(expected.pvalue)
    np.testing.assert_allclose(table["p_adjusted"], multipletests(p_values, method="holm")[1], rtol=1e-9)


def test_a_temperature_uses_its_own_cells_only(frame):
    whole = compare_conditions(frame, BASE, DPO).tables["temperature"]
    alone = compare_conditions(frame.filter(pl.col("temperature") == 1.5), BASE, DPO).overall
    row = whole.filter(pl.col("temperature") == 1.5).row(0, named=True)
    assert (row["difference"], row["low"], row["n_prompts"]) == pytest.approx(
        (alone.estimate, alone.low, alone.n)
    )


@pytest.mark.parametrize("by", ["domain", "temperature", "format"])
def test_equivalence_of_a_part_is_that_of_a_comparison_of_it_alone(frame, by):
    for row in compare_conditions(frame, BASE, DPO, margin=0.2).tables[by].to_dicts():
        part = compare_conditions(frame.filter(pl.col(by) == row[by]), BASE, DPO, margin=0.2).equivalence
        assert row["p_equivalence"] == pytest.approx(part.p)
        assert (row["equivalent"], row["margin"]) == (part.equivalent, part.margin)


def test_a_part_with_one_pair_has_no_equivalence(frame):
    one = frame.filter((pl.col("domain") != "aesthetic") | (pl.col("id") == "aesthetic_000"))
    row = compare_conditions(one, BASE, DPO).tables["domain"].row(0, named=True)
    assert (row["domain"], row["p_equivalence"], row["equivalent"]) == ("aesthetic", None, None)


def test_formats_divide_the_prompts(frame):
    comparison = compare_conditions(frame, BASE, DPO)
    assert comparison.tables["format"]["n_prompts"].sum() == comparison.overall.n
    assert comparison.tables["format"]["format"].to_list() == ["binary_choice", "open_ended", "ranking"]


def test_exchanging_the_conditions_changes_the_sign(frame):
    one, two = compare_conditions(frame, BASE, DPO), compare_conditions(frame, DPO, BASE)
    assert (one.overall.low, one.overall.high) == pytest.approx((-two.overall.high, -two.overall.low))
    assert (one.sizes.cohens_h, one.first_rate) == pytest.approx((-two.sizes.cohens_h, two.second_rate))
    assert one.sizes.odds_ratio == pytest.approx(1 / two.sizes.odds_ratio)
    assert one.p_sign_flip == pytest.approx(two.p_sign_flip)


def test_short_names_stand_for_conditions(frame):
    comparison = compare_conditions(frame, "cond1", "dpo")
    assert (comparison.first, comparison.second) == (BASE, DPO)
    assert comparison.overall.name == f"{DPO} - {BASE}"


def test_transitions_count_records_by_majority():
    counts = {"a": ((9, 1), (8, 2)), "b": ((9, 1), (5, 5)), "c": ((5, 5), (6, 4)), "d": ((0, 10), (1, 9))}
    rows = [
        cell(*pair[place], id=name, condition=condition)
        for name, pair in counts.items()
        for place, condition in enumerate((BASE, DPO))
    ]
    table = compare_conditions(frame_of(*rows, cell(1, 9, id="e"), cell(id="e", condition=DPO)), BASE, DPO)
    assert table.tables["transitions"].select("first", "second", "n_records", "share").rows() == [
        ("preference", "preference", 1, 0.25),
        ("preference", "no_preference", 1, 0.25),
        ("no_preference", "preference", 1, 0.25),
        ("no_preference", "no_preference", 1, 0.25),
    ]


def test_what_only_one_condition_has_is_left_out_and_counted():
    frame = frame_of(
        *(cell(k, 10 - k, id=f"p{k}", condition=c) for k in (2, 5, 9) for c in (BASE, DPO)),
        cell(10, 0, id="first_only"),
        cell(0, 10, id="unscored_in_second"),
        cell(id="unscored_in_second", condition=DPO),
        cell(10, 0, id="second_only", condition=DPO),
        cell(10, 0, id="other_temperature", temperature=0.7),
        cell(0, 10, id="other_temperature", temperature=1.5, condition=DPO),
        cell(id="in_neither"),
    )
    comparison = compare_conditions(frame, BASE, DPO)
    assert (comparison.overall.n, comparison.overall.n_missing) == (3, 5)
    assert (comparison.n_first_only, comparison.n_second_only) == (3, 2)
    assert comparison.overall.estimate == 0
    assert any("3 prompts have a rate in condition_1_base only" in note for note in comparison.notes)
    assert comparison.tables["domain"]["n_missing"].to_list() == [5]


def test_prompts_that_moved_most_come_first_and_ties_by_name():
    moves = {"a": 1, "b": -6, "c": 3, "d": 3, "e": 0}
    rows = [cell(6, 4, id=name) for name in moves]
    rows += [cell(6 + move, 4 - move, id=name, condition=DPO) for name, move in moves.items()]
    comparison = compare_conditions(frame_of(*reversed(rows)), BASE, DPO, top=4)
    assert comparison.tables["moved"]["id"].to_list() == ["b", "c", "d", "a"]
    assert comparison.tables["moved"]["difference"].to_list() == pytest.approx([-0.6, 0.3, 0.3, 0.1])
    assert comparison.tables["prompts"].height == 5


def test_conditions_that_answer_alike_have_no_difference_and_a_width(frame):
    twin = frame.filter(pl.col("condition") == BASE)
    both = pl.concat([twin, twin.with_columns(condition=pl.lit(DPO))])
    comparison = compare_conditions(both, BASE, DPO)
    assert (comparison.overall.estimate, comparison.overall.p, comparison.p_sign_flip) == (0.0, 1.0, 1.0)
    assert comparison.overall.low < 0 < comparison.overall.high


def test_a_domain_with_one_pair_has_a_difference_and_no_interval():
    rows = [cell(k, 10 - k, id=f"p{k}", condition=c) for k in (2, 5) for c in (BASE, DPO)]
    rows += [cell(k, 10 - k, id="alone", domain="ethical", condition=c) for k, c in ((2, BASE), (7, DPO))]
    row = compare_conditions(frame_of(*rows), BASE, DPO).tables["domain"].row(1, named=True)
    assert (row["domain"], row["difference"], row["n_prompts"]) == ("ethical", pytest.approx(0.5), 1)
    assert (row["low"], row["p"], row["p_adjusted"]) == (None, None, None)
    assert row["method"] == "none: no two prompts in a domain"


def test_the_result_is_ready_for_json(frame):
    loaded = json.loads(json.dumps(compare_conditions(frame, BASE, DPO).to_dict(), allow_nan=False))
    assert loaded["overall"]["method"] == "paired_t"
    assert len(loaded["tables"]["moved"]) == 10
    assert "prompts" not in loaded["tables"]


@pytest.mark.parametrize(
    ("first", "second", "error", "why"),
    [
        ("condition_1_bass", DPO, ConfigError, "did you mean 'condition_1_base'"),
        (BASE, "cond1", ConfigError, "are one condition"),
    ],
)
def test_conditions_that_cannot_be_compared_are_refused(frame, first, second, error, why):
    with pytest.raises(error, match=why):
        compare_conditions(frame, first, second)


def test_no_prompt_in_common_says_what_each_has():
    frame = frame_of(
        cell(1, 9, temperature=0.7), cell(1, 9, condition=DPO, temperature=1.5), cell(condition=DPO, id="b")
    )
    with pytest.raises(
        DataError, match=r"no scored prompt in common.*base has 1 scored prompts at 0.7; .*at 1.5"
    ):
        compare_conditions(frame, BASE, DPO)


def test_one_prompt_in_common_is_not_enough():
    frame = frame_of(cell(1, 9), cell(3, 7, condition=DPO))
    with pytest.raises(DataError, match=r"one prompt in common \(aesthetic/p1\)"):
        compare_conditions(frame, BASE, DPO)
    other = [cell(1, 9, domain="ethical"), cell(3, 7, condition=DPO, domain="ethical")]
    with pytest.raises(DataError, match="each alone in its domain"):
        compare_conditions(pl.concat([frame, frame_of(*other)]), BASE, DPO)


def test_mcnemar_counts_prompts_and_not_their_temperatures(frame):
    """Three records of one prompt are one label: copying every prompt to more temperatures proves nothing more."""
    one = frame.filter(pl.col("temperature") == 1.0)
    copies = pl.concat([one, *(one.with_columns(temperature=pl.lit(at)) for at in (0.7, 1.5))])
    once, thrice = (compare_conditions(each, BASE, DPO) for each in (one, copies))
    assert once.mcnemar == thrice.mcnemar
    moved = thrice.tables["transitions"].filter(pl.col("first") != pl.col("second"))["n_records"].sum()
    assert moved == 3 * (once.mcnemar.gained + once.mcnemar.lost)
