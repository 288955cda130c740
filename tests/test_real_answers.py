"""Real answers, where they lie beside the project: imported, judged and aggregated as a user would do it."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import polars
import pytest
from scipy.stats import spearmanr

from prefbench import aggregate_scores, import_responses, judge_responses, load_scores

DATA = Path(__file__).parents[2] / "shared" / "data"
FREE, NOVELTY = DATA / "free_preferences_900.jsonl.gz", DATA / "novelty_bench_10_samples.jsonl.gz"


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not path.exists(), reason=f"public data that is not shipped: no {path.name} beside the project"
    )


@needs(FREE)
def test_nine_hundred_free_answers_of_claude_models_commit_to_what_they_like(tmp_path):
    report = import_responses(
        FREE, study=tmp_path, columns={"id": "file"}, values={"domain": "free_choice", "temperature": "1.0"}
    )
    assert (report.rows, report.written, report.responses) == (900, 9, 900)
    judge_responses(tmp_path)
    (row,) = aggregate_scores(load_scores(tmp_path)).views["condition"].to_dicts()
    assert (row["n_prompts"], row["n_missing"]) == (9, 0)
    # the prompts invite a topic of one's own, and each answer that was read takes one up
    assert row["rate"] > 0.9
    assert row["low"] < row["rate"] <= row["high"]


@needs(NOVELTY)
def test_content_agreement_tracks_the_classes_that_people_checked(tmp_path):
    import_responses(
        NOVELTY,
        study=tmp_path,
        columns={"response": "generations"},
        values={"domain": "novelty", "temperature": "1.0"},
    )
    judge_responses(tmp_path)
    frame = load_scores(tmp_path)
    assert frame.height == 100
    with gzip.open(NOVELTY) as lines:
        rows = [orjson.loads(line) for line in lines]
    expected = polars.DataFrame(
        {"id": [row["id"] for row in rows], "same": [simpson(row["partition"]) for row in rows]}
    )
    joined = frame.join(expected, on="id").drop_nulls("content_agreement")
    found = spearmanr(joined["content_agreement"], joined["same"]).statistic
    assert joined.height == 100
    assert found > 0.5


def simpson(classes: list[int]) -> float:
    """Return the share of pairs of answers that are of one class."""
    pairs = len(classes) * (len(classes) - 1)
    return sum(classes.count(each) * (classes.count(each) - 1) for each in set(classes)) / pairs
