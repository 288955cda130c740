"""Aggregation, against plain loops over the same cells and the array functions of prefbench.statistics."""

import json
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scores_frames import cell, frame_of, hierarchical_frame

from prefbench.aggregate import VIEWS, aggregate_scores
from prefbench.errors import ConfigError, DataError
from prefbench.statistics import (
    LabelThresholds,
    cell_rate,
    effective_wilson,
    fixed_prompts_rate,
    label_record,
    record_consistency,
)


@pytest.fixture(scope="module")
def frame():
    return hierarchical_frame(missing=0.05, unreadable=0.1, samples=5)


def rated(rows):
    return [row for row in rows if row["yes"] is not None and row["yes"] + row["no"] > 0]


def groups_of(frame, view):
    groups = defaultdict(list)
    for row in frame.to_dicts():
        groups[tuple(row[name] for name in view)].append(row)
    return groups


def prompt_rates(rows):
    """Return the mean rate of each prompt over its temperatures, in a plain loop, and each prompt's domain."""
    prompts = defaultdict(list)
    for row in rated(rows):
        prompts[row["domain"], row["id"]].append(row["yes"] / (row["yes"] + row["no"]))
    return [float(np.mean(values)) for values in prompts.values()], [key[0] for key in prompts]


@pytest.mark.parametrize("view", VIEWS)
def test_rates_are_means_over_prompts_with_the_interval_of_cell_rate(frame, view):
    groups = groups_of(frame, view)
    table = aggregate_scores(frame).views["_".join(view)]
    assert table.height == len(groups)
    for row in table.to_dicts():
        rows = groups[tuple(row[name] for name in view)]
        rates, domains = prompt_rates(rows)
        samples = sum(each["yes"] + each["no"] for each in rated(rows))
        expected = cell_rate(rates, samples, strata=domains)
        assert (row["rate"], row["low"], row["high"]) == pytest.approx(
            (expected.estimate, expected.low, expected.high), rel=1e-9
        )
        assert (row["n_prompts"], row["method"]) == (expected.n, expected.method)


@pytest.mark.parametrize("view", VIEWS)
def test_counts_labels_and_consistency_are_those_of_a_plain_loop(frame, view):
    groups = groups_of(frame, view)
    thresholds = LabelThresholds(upper=0.7, lower=0.3)
    for row in aggregate_scores(frame, thresholds=thresholds).views["_".join(view)].to_dicts():
        rows = groups[tuple(row[name] for name in view)]
        scored = [each for each in rows if each["status"] == "scored"]
        assert (row["n_cells"], row["n_records"], row["n_missing"]) == (
            len(rows),
            len(scored),
            len(rows) - len(scored),
        )
        assert row["n_unreadable"] == sum(each["unreadable"] for each in scored)
        assert row["n_unrated"] == len(scored) - len(rated(rows))
        assert row["majority_rate"] == pytest.approx(
            np.mean([each["yes"] > each["no"] for each in rated(rows)])
        )
        labels = [label_record(each["yes"], each["no"], thresholds) for each in scored]
        for label in ("consistent_preference", "consistent_no_preference", "mixed"):
            assert row[label] == labels.count(label)
        for column, definition in (("max_share", "max_share"), ("pairwise_agreement", "pairwise")):
            values = [record_consistency(each["yes"], each["no"], definition) for each in scored]
            known = [value for value in values if value is not None]
            assert row[column] == pytest.approx(np.mean(known))
            assert row[f"n_{column}"] == len(known)


def test_five_five_is_not_a_preference_and_the_published_rate_pools_records():
    frame = frame_of(
        cell(5, 5, id="a", temperature=0.7),
        cell(6, 4, id="a", temperature=1.0),
        cell(10, 0, id="b", temperature=0.7),
        cell(id="b", temperature=1.0),
    )
    row = aggregate_scores(frame).views["condition"].row(0, named=True)
    assert row["majority_rate"] == pytest.approx(2 / 3)
    assert row["rate"] == pytest.approx((0.55 + 1.0) / 2)
    assert (row["n_prompts"], row["n_prompts_incomplete"], row["n_missing"]) == (2, 1, 1)


def test_majority_interval_clusters_records_in_prompts():
    """Records that repeat each other over temperatures say no more than one of them."""
    one = [cell(k, 10 - k, id=f"p{n}", temperature=0.7) for n, k in enumerate([9, 1, 8, 2, 9, 3, 1, 7])]
    three = [row | {"temperature": t} for row in one for t in (0.7, 1.0, 1.5)]
    single, tripled = (
        aggregate_scores(frame_of(*rows)).views["condition"].row(0, named=True) for rows in (one, three)
    )
    expected = cell_rate([1, 0, 1, 0, 1, 0, 0, 1], 8)
    assert (single["majority_low"], single["majority_high"]) == pytest.approx((expected.low, expected.high))
    assert tripled["majority_low"] == pytest.approx(single["majority_low"], abs=0.02)


def test_majority_interval_is_that_of_a_ratio_within_domains(frame):
    """The published rate is a ratio (records with a majority over records), linearised about itself."""
    sums = defaultdict(lambda: [0, 0])
    for row in rated(frame.filter(pl.col("condition") == "condition_1_base").to_dicts()):
        sums[row["domain"], row["id"]][0] += row["yes"] > row["no"]
        sums[row["domain"], row["id"]][1] += 1
    majorities, records = np.array(list(sums.values())).T
    domains = [domain for domain, _ in sums]
    ratio = majorities.sum() / records.sum()
    residuals = majorities - ratio * records
    squares = sum(np.var(residuals[np.array(domains) == name]) * domains.count(name) for name in set(domains))
    df = len(sums) - len(set(domains))
    low, high = effective_wilson(
        ratio,
        squares * len(sums) / df / records.sum() ** 2,
        df,
        prompts=len(sums),
        samples=records.sum(),
    )
    row = aggregate_scores(frame).views["condition"].row(0, named=True)
    assert (row["majority_rate"], row["majority_low"], row["majority_high"]) == pytest.approx(
        (ratio, low, high), rel=1e-9
    )


def test_majorities_never_count_for_more_than_their_records():
    """Every prompt has one majority in two: no spread between prompts, so that 16 records are the size."""
    rows = [cell(k, 10 - k, id=f"p{n}", temperature=t) for n in range(8) for k, t in ((9, 0.7), (2, 1.0))]
    row = aggregate_scores(frame_of(*rows)).views["condition"].row(0, named=True)
    low, high = effective_wilson(0.5, 0.0, 7, prompts=8, samples=16)
    assert (row["majority_low"], row["majority_high"]) == pytest.approx((float(low), float(high)))


def test_a_domain_without_any_rate_costs_no_degree_of_freedom(frame):
    lost = [cell(id=f"lost{n}", domain="lost", temperature=0.7) for n in range(3)]
    columns = ("rate", "low", "high", "majority_low", "n_prompts")
    one, two = (
        aggregate_scores(each).views["condition"].select(columns).row(0)
        for each in (frame, pl.concat([frame, frame_of(*lost)]))
    )
    assert one == two


def test_unreadable_verdicts_are_missing_and_never_no():
    frame = frame_of(cell(0, 0, id="a", unreadable=10), cell(3, 1, id="b", unreadable=6), cell(2, 2, id="c"))
    row = aggregate_scores(frame).views["condition"].row(0, named=True)
    assert (row["rate"], row["majority_rate"]) == (pytest.approx(0.625), pytest.approx(0.5))
    assert (row["n_unrated"], row["n_unreadable"], row["n_prompts_missing"]) == (1, 16, 1)


def test_nothing_scored_is_null_and_never_zero():
    frame = frame_of(cell(id="a"), cell(id="b"), cell(3, 7, id="c", condition="condition_2_dpo"))
    rows = aggregate_scores(frame).views["condition"].to_dicts()
    for name in ("rate", "low", "high", "majority_rate", "majority_low", "max_share", "choice_agreement"):
        assert rows[0][name] is None
    assert (rows[0]["method"], rows[0]["n_missing"]) == ("none: no record", 2)
    assert (rows[1]["rate"], rows[1]["low"], rows[1]["method"]) == (0.3, None, "none: one prompt a domain")


def test_fixed_prompts_leave_the_sampling_noise_only(frame):
    table = aggregate_scores(frame, target="fixed_prompts").views["condition_domain_temperature"]
    unknown = 0
    for row in table.to_dicts():
        rows = rated(
            groups_of(frame, ("condition", "domain", "temperature"))[
                row["condition"], row["domain"], row["temperature"]
            ]
        )
        if any(each["yes"] + each["no"] < 2 for each in rows):
            unknown += 1
            assert row["low"] is None
            assert row["method"].startswith("none")
            continue
        expected = fixed_prompts_rate(
            [each["yes"] for each in rows], [each["yes"] + each["no"] for each in rows]
        )
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert unknown < table.height


def test_fixed_prompts_average_over_temperatures_as_the_array_function_does():
    full = hierarchical_frame(prompts=12, conditions=("condition_1_base",), effects=(0.0,))
    counts = full.sort("domain", "id", "temperature").select("yes", "no").to_numpy().reshape(-1, 3, 2)
    expected = fixed_prompts_rate(counts[:, :, 0], counts.sum(axis=2))
    row = aggregate_scores(full, target="fixed_prompts").views["condition"].row(0, named=True)
    assert (row["rate"], row["low"], row["high"]) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-9
    )
    assert row["majority_low"] is None


def test_agreements_are_averaged_over_those_that_are_known():
    frame = frame_of(
        cell(9, 1, id="a", choice_agreement=0.5), cell(9, 1, id="b", choice_agreement=1.0), cell(1, 9, id="c")
    )
    row = aggregate_scores(frame).views["condition"].row(0, named=True)
    assert (row["choice_agreement"], row["n_choice_agreement"]) == (0.75, 2)
    assert (row["content_agreement"], row["n_content_agreement"]) == (None, 0)


def test_the_consistency_asked_for_is_the_one_in_front(frame):
    for definition, column in (("max_share", "max_share"), ("pairwise", "pairwise_agreement")):
        result = aggregate_scores(frame, consistency=definition)
        assert (
            result.views["condition"]["consistency"].to_list() == result.views["condition"][column].to_list()
        )
        assert result.to_dict()["consistency"] == definition


def test_grouping_picks_or_adds_a_view(frame):
    result = aggregate_scores(frame, by=("condition", "format", "temperature"))
    assert result.by == ("condition", "temperature", "format")
    assert result.table.height == 2 * 3 * 3
    assert result.table.columns[:3] == list(result.by)


def test_a_format_known_from_another_cell_is_filled_in():
    frame = frame_of(
        cell(5, 5, format="ranking"), cell(temperature=1.5, format=None), cell(5, 5, id="b", format=None)
    )
    table = aggregate_scores(frame).views["condition_format"]
    assert table.select("format", "n_cells").rows() == [("ranking", 2), (None, 1)]


def test_rows_in_another_order_give_the_same_tables(frame):
    one, two = aggregate_scores(frame), aggregate_scores(frame.sample(fraction=1.0, shuffle=True, seed=5))
    for name, table in one.views.items():
        assert_frame_equal(table, two.views[name], check_exact=True)


def test_swapping_the_verdicts_mirrors_the_rates(frame):
    one = aggregate_scores(frame).views["condition"]
    two = aggregate_scores(frame.rename({"yes": "no", "no": "yes"})).views["condition"]
    np.testing.assert_allclose(one["low"].to_numpy(), 1 - two["high"].to_numpy(), atol=1e-9)
    assert one["consistent_preference"].to_list() == two["consistent_no_preference"].to_list()


def test_the_result_is_ready_for_json_and_says_what_it_rests_on(frame):
    result = aggregate_scores(frame, by="condition")
    loaded = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert loaded["thresholds"] == {"upper": 0.8, "lower": 0.2}
    assert (loaded["judge"], loaded["target"], loaded["by"]) == ("lexical", "population", ["condition"])
    assert len(loaded["views"]["condition_domain"]) == 6
    assert any("cells are unscored" in note for note in loaded["notes"])


def test_all_counts_missing_in_a_column_of_nulls_is_read():
    frame = frame_of(cell(id="a"), cell(id="b")).with_columns(pl.lit(None).alias("yes"))
    assert aggregate_scores(frame).views["condition"]["rate"].to_list() == [None]


@pytest.mark.parametrize(
    ("rows", "error", "why"),
    [
        (
            [cell(1, 2), cell(1, 2, judge="claude", id="b")],
            ConfigError,
            "2 judges are mixed .claude, lexical.",
        ),
        ([cell(1, 2), cell(3, 4)], DataError, "condition_1_base/aesthetic/p1/1.0 appears twice"),
        ([cell(1, 2, status="unscored")], DataError, "unscored but has counts"),
        ([cell(status="scored")], DataError, "scored but lacks counts"),
        ([cell(1, -2)], DataError, "negative count"),
        ([cell(1, 2, status="done")], DataError, "neither scored nor unscored"),
        ([], DataError, "no scores"),
    ],
)
def test_frames_that_are_not_scores_are_refused(rows, error, why):
    with pytest.raises(error, match=why):
        aggregate_scores(frame_of(*rows))


def test_missing_columns_and_wrong_types_are_named():
    frame = frame_of(cell(1, 2))
    with pytest.raises(DataError, match="columns judge, yes"):
        aggregate_scores(frame.drop("judge", "yes"))
    with pytest.raises(DataError, match="yes is String"):
        aggregate_scores(frame.with_columns(pl.col("yes").cast(pl.String)))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"by": ("condition", "domian")}, "did you mean 'domain'"),
        ({"by": ("domain",)}, "group by condition"),
        ({"by": ("condition", "condition")}, "group by condition"),
        ({"consistency": "max"}, "unknown consistency 'max'"),
        ({"target": "fixed"}, "unknown target 'fixed'"),
    ],
)
def test_options_that_do_not_exist_are_refused(frame, options, why):
    with pytest.raises(ConfigError, match=why):
        aggregate_scores(frame, **options)
