"""The scores frame has a row for every expected cell of a study, a condition or a published release."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import orjson
import polars
import pytest
from studies import make_items, write_release, write_responses

from prefbench.aggregate import aggregate_scores
from prefbench.errors import ConfigError, DataError
from prefbench.judge import judge_responses
from prefbench.records import PRIMARY_DOMAINS
from prefbench.scores import COLUMNS, load_pair, load_scores


def split(yes: int):
    return lambda item, temperature: ["Y"] * yes + ["N"] * (4 - yes)


@pytest.fixture
def study(tmp_path) -> Path:
    folder = tmp_path / "study"
    write_responses(folder / "condition_1_base", split(1))
    write_responses(folder / "condition_2_dpo", split(3))
    judge_responses(folder)
    return folder


def make_release(folder: Path, *, scored: int, responses: bool = True) -> None:
    """Write a release in the published layout with the scores of its first records only."""
    records = write_responses(folder if responses else folder / "elsewhere", split(2))
    write_release(folder, records[:scored], [["Y", "Y", "N", "N"]] * scored, "condition_1_base")


def test_a_study_gives_one_row_for_each_cell(study):
    frame = load_scores(study)
    assert tuple(frame.columns) == COLUMNS
    assert frame.height == 2 * 8 * 3
    assert frame["status"].unique().to_list() == ["scored"]
    by_condition = dict(frame.group_by("condition").agg(polars.col("yes").sum()).iter_rows())
    assert by_condition == {"condition_1_base": 24, "condition_2_dpo": 72}
    assert set(frame["format"]) == {"binary_choice", "open_ended"}
    assert frame["n_samples"].unique().to_list() == [4]
    assert frame["choice_agreement"].drop_nulls().to_list() == [1.0] * 24  # the sea, wherever two chose


def test_what_is_not_judged_is_a_row_without_counts(study):
    path = study / "condition_1_base" / "scored" / "lexical" / "ethical_judgment_t1.5_scored.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    missing = load_scores(study).filter(polars.col("status") == "unscored")
    assert missing.height == 3
    assert missing["yes"].null_count() == missing["unreadable"].null_count() == 3
    assert set(missing["domain"]) == {"ethical_judgment"}


def test_a_release_is_read_without_a_study_file(tmp_path):
    make_release(tmp_path / "release", scored=20)
    frame = load_scores(tmp_path / "release")
    assert frame.height == 24
    assert frame["judge"].unique().to_list() == ["published"]
    assert frame["condition"].unique().to_list() == ["condition_1_base"]
    assert (frame["status"] == "unscored").sum() == 4


def test_a_release_in_a_data_folder_is_read_too(tmp_path):
    make_release(tmp_path / "release" / "data", scored=24)
    assert load_scores(tmp_path / "release").height == 24


def test_scores_alone_say_what_is_missing_from_their_grid(tmp_path):
    make_release(tmp_path / "release", scored=23, responses=False)
    frame = load_scores(tmp_path / "release")
    assert frame.height == 24
    assert (frame["status"] == "unscored").sum() == 1
    assert frame["format"].null_count() == 24


def test_a_release_can_be_judged_again_by_another_judge(tmp_path):
    make_release(tmp_path / "release", scored=20)
    (report,) = judge_responses(tmp_path / "release", judge="lexical")
    assert report.written == 24
    with pytest.raises(ConfigError, match="lexical, published"):
        load_scores(tmp_path / "release")
    assert load_scores(tmp_path / "release", judge="lexical").height == 24


def test_short_domains_are_expected_only_once_they_are_judged(tmp_path):
    items = make_items(2, ["aesthetic_preference", "word_association"])
    write_responses(tmp_path / "condition_1_base", split(2), items=items)
    judge_responses(tmp_path)
    assert set(load_scores(tmp_path)["domain"]) == {"aesthetic_preference"}
    judge_responses(tmp_path, domains=["word_association"])
    assert set(load_scores(tmp_path)["domain"]) == {"aesthetic_preference", "word_association"}


def test_a_head_that_looks_like_answers_is_read_right(tmp_path):
    items = [
        item.model_copy(update={"prompt": 'Say ,"responses":[ or not?', "tags": [',"responses":[']})
        for item in make_items(1)
    ]
    write_responses(tmp_path / "condition_1_base", split(2), items=items)
    judge_responses(tmp_path)
    assert load_scores(tmp_path)["n_samples"].to_list() == [4] * 6


@pytest.mark.parametrize("name", ["cond1", "1", "base", "condition_1_base", "condition_1"])
def test_the_ways_of_naming_a_condition_are_one(study, name):
    assert load_scores(study, conditions=[name])["condition"].unique().to_list() == ["condition_1_base"]


def test_two_conditions_can_come_from_two_places(study, tmp_path):
    make_release(tmp_path / "release", scored=24)
    judge_responses(tmp_path / "release", judge="lexical")
    frame, names = load_pair(str(tmp_path / "release"), "dpo", study=study, judge="lexical")
    assert names == ("release", "condition_2_dpo")
    assert frame.height == 48
    with pytest.raises(ConfigError, match="two different conditions"):
        load_pair("1", "base", study=study)
    with pytest.raises(ConfigError, match="name one of them"):
        load_pair(str(study), "dpo", study=study)


def test_an_unjudged_study_says_what_to_do(tmp_path):
    write_responses(tmp_path / "condition_1_base", split(2))
    with pytest.raises(DataError, match="run `prefbench judge` first"):
        load_scores(tmp_path)


@pytest.mark.parametrize(
    "content", [b"{}\n", b"nonsense\n", b'{"id": "a", "domain": "d", "temperature": "warm"}\n']
)
def test_a_line_that_is_no_record_is_named(study, content):
    path = study / "condition_1_base" / "responses" / "ethical_judgment_t1.5_n4.jsonl"
    path.write_bytes(path.read_bytes() + content)
    with pytest.raises(DataError, match=r"n4.jsonl:5: not a ResponseRecord"):
        load_scores(study)


def test_a_score_that_stands_twice_is_named(study):
    path = study / "condition_1_base" / "scored" / "lexical" / "ethical_judgment_t1.5_scored.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(DataError, match=r"_scored.jsonl:5: .* stands already at .*:1"):
        load_scores(study)


def test_unknown_names_are_refused(study):
    with pytest.raises(ConfigError, match="did you mean 'lexical'"):
        load_scores(study, judge="lexcal")
    with pytest.raises(ConfigError, match="did you mean 'condition_2_dpo'"):
        load_scores(study, conditions=["condition_2_dop"])


def test_a_release_of_the_published_size_shows_its_ninety_missing_scores(tmp_path):
    write_published_size(tmp_path, scored=4_410)
    frame = load_scores(tmp_path)
    assert frame.height == 4_500
    assert (frame["status"] == "unscored").sum() == 90
    overall = aggregate_scores(frame).views["condition"].to_dicts()[0]
    assert (overall["n_records"], overall["n_missing"], overall["n_prompts"]) == (4_410, 90, 1_500)
    # 6 of 10 is a preference and 5 of 10 is not; prompts with an even number have the one, with an odd the other
    assert overall["majority_rate"] == pytest.approx(0.5, abs=0.02)
    assert overall["rate"] == pytest.approx(0.55, abs=0.002)


def write_published_size(folder: Path, *, scored: int) -> None:
    """Write the 4,500 cells of five domains, 300 prompts and three temperatures; only the first are scored."""
    (folder / "data" / "responses").mkdir(parents=True)
    (folder / "data" / "scored").mkdir()
    answers = [{"text": "An answer.", "finish_reason": "stop", "tokens": 4}] * 10
    written = 0
    for domain, temperature in product(PRIMARY_DOMAINS, (0.7, 1.0, 1.5)):
        responses, scores = [], []
        for number in range(1, 301):
            head = {"id": f"{domain[:3]}_{number:03}", "domain": domain, "prompt": f"Prompt {number}?"}
            cell = {"format": "open_ended", "tags": [], "temperature": temperature, "n_samples": 10}
            responses.append({**head, **cell, "responses": answers, "timestamp": "2026-03-01"})
            yes = 5 + (number + 1) % 2
            counts = {"preference_count": yes, "no_preference_count": 10 - yes, "consistency": yes / 10}
            named = {"condition": "condition_1_base", "temperature": f"t{temperature}"}
            judged = {
                "label": "mixed",
                "preference_summary": None,
                "raw_judgments": ["Y"] * yes + ["N"] * (10 - yes),
            }
            if written < scored:
                scores.append({**head, **named, **counts, **judged})
                written += 1
        stem = f"{domain}_t{temperature}"
        (folder / "data" / "responses" / f"{stem}_n10.jsonl").write_bytes(
            b"\n".join(map(orjson.dumps, responses)) + b"\n"
        )
        (folder / "data" / "scored" / f"{stem}_scored.jsonl").write_bytes(
            b"\n".join(map(orjson.dumps, scores)) + b"\n"
        )
