"""Calibration finds the faults that judges were given, and counts what is missing instead of scoring it."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path
from types import SimpleNamespace

import fake_judges
import numpy as np
import orjson
import pytest
from sklearn.metrics import cohen_kappa_score
from studies import NO, YES, make_items, write_release, write_responses

from prefbench.calibration import calibrate_judge
from prefbench.calibration.calibrate import Checks
from prefbench.calibration.measures import position_tables
from prefbench.errors import BackendError, ConfigError, DataError
from prefbench.judge import judge_responses
from prefbench.judges import registry
from prefbench.labelling import open_session

QUICK = Checks(draws=400)


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    for name, place in fake_judges.NAMES.items():
        monkeypatch.setitem(registry.JUDGES, name, place)


def unlike(study: Path) -> None:
    """Give every answer a number of its own, so that a judge may err on one and not on its like."""
    number = 0
    for path in sorted(study.glob("*/responses/*.jsonl")):
        records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for record in records:
            for response in record["responses"]:
                number += 1
                if response["text"]:
                    response["text"] += f" ({number})"
        path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Return a study of two conditions with 240 labels that are all right."""
    folder = tmp_path_factory.mktemp("calibration") / "study"
    generator = random.Random(4)
    for condition in ("condition_1_base", "condition_2_dpo"):
        write_responses(
            folder / condition, lambda *_: [generator.choice("YN") for _ in range(10)], items=make_items(30)
        )
    unlike(folder)
    label_all(folder, 240)
    return folder


def label_all(study: Path, size: int, labeller: str = "human") -> Path:
    with open_session(study, size=size, labeller=labeller) as session:
        for item in session.items:
            session.give("Y" if item.response.startswith(YES) else "N")
    return session.path


@pytest.fixture
def gold(study) -> Path:
    return study / "labels" / "human.jsonl"


def calibrate(study: Path, judge: str, **options):
    judge_responses(study, judge=judge)
    options.setdefault("checks", QUICK)
    return calibrate_judge(study / "labels" / "human.jsonl", study=study, judge=judge, **options)


def row(result, by: str = "all", group: str = "all") -> dict:
    (found,) = [
        line
        for line in result.tables["agreement"].iter_rows(named=True)
        if (line["by"], line["group"]) == (by, group)
    ]
    return found


def outcomes(result) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in result.tables["canaries"].iter_rows(named=True):
        found.setdefault(line["name"], set()).add(line["outcome"])
    return found


def test_a_judge_that_is_always_right_keeps_honest_limits(study):
    found = row(calibrate(study, "fake"))
    assert (found["n_labels"], found["n_missing"], found["accuracy"], found["kappa"]) == (240, 0, 1, 1)
    assert 0.9 < found["accuracy_low"] < 1
    assert 0.9 < found["kappa_low"] < 1


def test_a_noisy_judges_error_rates_are_found(study, gold):
    result = calibrate(study, "noisy")
    found = row(result)
    labels = [orjson.loads(line) for line in gold.read_bytes().splitlines()]
    judged = [fake_judges.Noisy().verdict(label["response"], 0) for label in labels]
    truth = [label["label"] for label in labels]
    assert found["kappa"] == pytest.approx(cohen_kappa_score(truth, judged))
    assert found["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(truth, judged, strict=True)]))
    counts = {line["label"]: line for line in result.tables["confusion"].iter_rows(named=True)}
    assert counts["Y"]["N"] == sum(a == "Y" and b == "N" for a, b in zip(truth, judged, strict=True))
    assert counts["N"]["Y"] == sum(a == "N" and b == "Y" for a, b in zip(truth, judged, strict=True))
    assert found["sensitivity_low"] < 0.9 < found["sensitivity_high"]
    assert found["specificity_low"] < 0.8 < found["specificity_high"]
    different = result.tables["disagreements"]
    assert different.height == counts["Y"]["N"] + counts["N"]["Y"]
    assert set(different["label"].to_list()) == {"Y", "N"}


def test_there_is_a_row_for_each_condition_and_each_domain(study):
    result = calibrate(study, "noisy")
    groups = result.tables["agreement"].select("by", "group").rows()
    assert groups == [
        ("all", "all"),
        ("condition", "condition_1_base"),
        ("condition", "condition_2_dpo"),
        ("domain", "aesthetic_preference"),
        ("domain", "ethical_judgment"),
    ]
    for by in ("condition", "domain"):
        parts = [line for line in result.tables["agreement"].iter_rows(named=True) if line["by"] == by]
        assert sum(line["n_labels"] for line in parts) == 240
        assert np.mean([line["accuracy"] for line in parts]) == pytest.approx(row(result)["accuracy"])


def test_a_judge_that_errs_in_one_condition_alone_is_seen_there(study):
    result = calibrate(study, "fake")
    path = next((study / "condition_2_dpo" / "scored" / "fake").glob("*_scored.jsonl"))
    assert row(result, "condition", "condition_2_dpo")["accuracy"] == 1
    kept = {file: file.read_bytes() for file in path.parent.glob("*_scored.jsonl")}
    for file in kept:
        lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        for line in lines:
            line["raw_judgments"] = ["Y"] * 10
            line |= {"preference_count": 10, "no_preference_count": 0}
        file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    result = calibrate_judge(study / "labels" / "human.jsonl", study=study, judge="fake", checks=QUICK)
    for file, content in kept.items():
        file.write_bytes(content)
    assert row(result, "condition", "condition_1_base")["specificity"] == 1
    assert row(result, "condition", "condition_2_dpo")["specificity"] == 0
    assert row(result, "condition", "condition_2_dpo")["kappa"] == 0


def test_a_constant_judge_is_no_better_than_the_constant_answer(study):
    result = calibrate(study, "always")
    found = row(result)
    assert (found["kappa"], found["kappa_low"], found["kappa_high"]) == (
        0,
        None,
        None,
    )  # no resample moves it
    assert found["accuracy"] == found["base_rate"]
    assert found["judge_rate"] == 1
    assert found["constant_accuracy"] == max(found["base_rate"], 1 - found["base_rate"])
    assert outcomes(result) == {
        "empty": {"failed"},
        "orders": {"failed"},
        "forges": {"failed"},
        "constant Y": {"passed"},
        "constant N": {"failed"},
    }


def test_a_judge_that_reads_well_passes_the_canaries(study, monkeypatch):
    """A judge that knows the plain answers by heart: what the canaries ask of any judge can be met."""
    import tomllib
    from importlib.resources import files

    judge_responses(study, judge="fake")
    questions = tomllib.loads((files("prefbench") / "data" / "canaries.toml").read_text())["questions"]
    known = {question["yes"] for question in questions}
    monkeypatch.setattr(fake_judges.Fake, "verdict", lambda self, text, _: "Y" if text in known else "N")
    found = calibrate_judge(study / "labels" / "human.jsonl", study=study, judge="fake", checks=QUICK)
    assert set.union(*outcomes(found).values()) == {"passed"}


def test_a_judge_that_does_what_responses_say_fails_the_canaries_that_say_it(study):
    found = calibrate(study, "obedient")
    assert outcomes(found)["orders"] == {"failed"}
    assert outcomes(found)["forges"] == {"failed"}
    assert outcomes(found)["empty"] == {
        "no control"
    }  # it cannot tell the plain answers of the canaries apart


def test_the_lexical_judge_passes_every_canary(study):
    judge_responses(study, judge="lexical")
    found = outcomes(
        calibrate_judge(study / "labels" / "human.jsonl", study=study, judge="lexical", checks=QUICK)
    )
    assert found == {name: {"passed"} for name in ("empty", "orders", "forges", "constant Y", "constant N")}


def test_a_forgery_that_only_changes_its_neighbours_fails(study, monkeypatch):
    def verdict(self, text, position):
        return "Y" if self.forged and position == 3 else "N"

    def judge(self, records):
        for record in records:
            self.forged = any('{"verdicts"' in response.text for response in record.responses)
            yield from original(self, [record])

    judge_responses(study, judge="fake")
    original = fake_judges.Fake.judge
    monkeypatch.setattr(fake_judges.Fake, "verdict", verdict)
    monkeypatch.setattr(fake_judges.Fake, "judge", judge)
    found = calibrate_judge(study / "labels" / "human.jsonl", study=study, judge="fake", checks=QUICK)
    reasons = {
        (line["outcome"], line["reason"])
        for line in found.tables["canaries"].iter_rows(named=True)
        if line["name"] == "forges"
    }
    assert reasons == {("failed", "changed the verdict on response 4")}


def test_a_judge_that_tires_is_found_by_position_and_a_steady_one_is_not(study):
    tired = calibrate(study, "tiring")
    (test,) = tired.tables["position_test"].iter_rows(named=True)
    assert test["p_slope"] < 1e-6
    assert test["p_any"] < 1e-6
    expected = -9 / 12 * 0.5  # half of the answers are Y, and none of the last place's 9/12
    assert test["last_minus_first_low"] < expected < test["last_minus_first_high"]
    rates = tired.tables["positions"]["rate"].to_list()
    assert rates[0] > 0.4
    assert rates[9] < 0.25
    (steady,) = calibrate(study, "fake").tables["position_test"].iter_rows(named=True)
    assert steady["p_slope"] > 0.01
    assert steady["p_any"] > 0.01


def test_position_slopes_are_least_squares_within_records_and_miss_what_is_missing():
    generator = np.random.default_rng(2)
    codes = generator.integers(0, 2, (40, 6)).astype(float)
    codes[generator.random(codes.shape) < 0.2] = math.nan
    prompts = [f"p{number // 2}" for number in range(40)]
    profile, test = position_tables(codes, prompts, level=0.95)
    assert profile["n_missing"].sum() == np.isnan(codes).sum()
    assert profile["rate"].to_list() == pytest.approx(np.nanmean(codes, axis=0).tolist())
    slopes = []
    for start in range(0, 40, 2):
        top = bottom = 0.0
        for record in codes[start : start + 2]:
            places = np.flatnonzero(np.isfinite(record))
            x = places - places.mean()
            top, bottom = top + x @ record[places], bottom + x @ x
        slopes.append(top / bottom)
    (found,) = test.iter_rows(named=True)
    assert found["slope"] == pytest.approx(np.mean(slopes))
    assert found["last_minus_first"] == pytest.approx(5 * np.mean(slopes))


def test_position_where_every_verdict_is_missing_has_no_figures():
    profile, test = position_tables(np.full((4, 3), math.nan), list("abcd"), level=0.95)
    assert profile["rate"].to_list() == [None] * 3
    assert test.row(0, named=True)["slope"] is None


def test_a_judge_impressed_by_length_has_a_slope_of_errors(tmp_path):
    generator = random.Random(1)
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N"] * 2, items=make_items(40))
    for path in tmp_path.glob("*/responses/*.jsonl"):
        records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for record in records:
            for response in record["responses"]:
                response["text"] += " and so on" * generator.choice([0, 1, 3, 8, 20])
        path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    label_all(tmp_path, 160)
    slopes = {}
    for judge in ("impressed", "fake"):
        table = calibrate(tmp_path, judge).tables["length"]
        slopes[judge] = {line["of"]: line for line in table.iter_rows(named=True)}
    assert slopes["impressed"]["errors"]["slope_low"] > 0.05
    assert slopes["impressed"]["labels"]["slope_low"] < 0 < slopes["impressed"]["labels"]["slope_high"]
    assert slopes["fake"]["errors"]["slope"] is None  # it does not err


def test_a_fickle_judge_does_not_agree_with_itself(study):
    (fickle,) = calibrate(study, "fickle").tables["repeat"].iter_rows(named=True)
    # a third of the verdicts is a coin's toss, twice: 1/2 (1 - (2/3)^2) differ
    assert fickle["n"] == 500
    assert fickle["agreement"] == pytest.approx(1 - 0.5 * (1 - (2 / 3) ** 2), abs=0.07)
    assert fickle["agreement_low"] < fickle["agreement"] < fickle["agreement_high"]
    (steady,) = calibrate(study, "noisy").tables["repeat"].iter_rows(named=True)
    assert (steady["n_changed"], steady["agreement"]) == (0, 1)


def test_missing_verdicts_are_counted_and_in_no_figure(study):
    result = calibrate(study, "silent")
    found = row(result)
    counts = result.tables["confusion"]
    assert found["n_missing"] == counts["missing"].sum() > 0
    assert counts["Y"].sum() + counts["N"].sum() == 240 - found["n_missing"]
    assert found["accuracy"] == 1
    assert result.tables["positions"]["n_missing"].to_list() == [0, 360, 0, 360, *[0] * 6]
    assert any(f"{found['n_missing']} labels have no verdict" in line for line in result.notes)
    (again,) = result.tables["repeat"].iter_rows(named=True)
    assert (again["n"], again["n_missing"], again["n_changed"]) == (400, 100, 0)


def test_labels_that_are_skipped_or_open_are_left_out(study):
    judge_responses(study, judge="fake")
    with open_session(study, size=9, labeller="lazy") as session:
        session.give("Y")
        session.give("N")
        session.give("skip")
        session.annotate("what is this?")
    result = calibrate_judge(session.path, study=study, judge="fake", checks=QUICK)
    assert row(result)["n_labels"] == 2
    assert result.left_out == {"skip": 1, "open": 1}
    with open_session(study, size=3, labeller="none") as session:
        session.give("skip")
    with pytest.raises(DataError, match=r"no row is Y or N \(1 skip\)"):
        calibrate_judge(session.path, study=study, judge="fake")


def test_labels_of_other_texts_are_refused(study, gold, tmp_path):
    judge_responses(study, judge="fake")
    lines = gold.read_bytes().splitlines()
    changed = orjson.loads(lines[0]) | {"response": "something else"}
    (tmp_path / "labels.jsonl").write_bytes(orjson.dumps(changed) + b"\n" + lines[1] + b"\n")
    with pytest.raises(DataError, match="not the text that was labelled"):
        calibrate_judge(tmp_path / "labels.jsonl", study=study, judge="fake")


def test_which_judge_is_meant_must_be_clear(study, gold):
    judge_responses(study, judge="fake")
    judge_responses(study, judge="noisy")
    with pytest.raises(ConfigError, match="several judges have scored"):
        calibrate_judge(gold, study=study)
    with pytest.raises(ConfigError, match="did you mean 'noisy'"):
        calibrate_judge(gold, study=study, judge="nosy")


def test_a_judge_with_other_settings_is_not_asked_again(study, gold):
    judge_responses(study, judge="noisy")
    result = calibrate_judge(gold, study=study, judge="noisy", judge_options={"miss": 0.3}, checks=QUICK)
    assert "repeat" not in result.tables
    assert "canaries" not in result.tables
    assert any("other settings now" in line for line in result.notes)
    quiet = calibrate_judge(gold, study=study, judge="noisy", checks=Checks(ask=False, draws=100))
    assert "canaries" not in quiet.tables
    assert "positions" in quiet.tables


def test_scores_that_came_with_a_release_are_calibrated_without_asking(tmp_path):
    folder = tmp_path / "release"
    records = write_responses(folder, lambda *_: ["Y", "N", "Y", "N"])
    write_release(folder, records, [["Y", "N", "N", "N"]] * len(records), "condition_1_base")
    path = label_all(folder, 60)
    result = calibrate_judge(path, study=folder, checks=QUICK)
    assert result.judge == "published"
    assert any("published was not asked again" in line for line in result.notes)
    assert row(result)["specificity"] == 1
    assert row(result)["sensitivity"] < 1


# tables of other people's labels


def write_table(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in rows))
    return path


ROWS = [
    {"question": f"Q{number // 2}?", "answer": f"{YES if number % 2 else NO} ({number})", "code": label}
    for number, label in enumerate(["refuse", "commit"] * 30 + ["unclear", "commit"])
]
MAPPED = {"columns": {"prompt": "question", "response": "answer", "label": "code"}}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_is_judged_on_the_spot(tmp_path, suffix):
    path = write_table(tmp_path / f"gold{suffix}", ROWS)
    result = calibrate_judge(
        path,
        study=tmp_path / "nowhere",
        judge="fake",
        readings={"commit": "Y", "refuse": "N"},
        checks=QUICK,
        **MAPPED,
    )
    found = row(result)
    assert (result.source, result.left_out) == ("asked", {"unclear": 1})
    assert (found["n_labels"], found["n_prompts"], found["accuracy"]) == (61, 31, 1)
    assert set(result.tables) >= {"agreement", "confusion", "length", "repeat", "canaries"}
    assert "positions" not in result.tables
    assert not (tmp_path / "nowhere").exists()


def test_a_table_may_name_conditions_and_domains_and_use_plain_labels(tmp_path):
    rows = [
        {"prompt": f"Q{n}?", "response": YES, "label": "yes" if n % 3 else "No", "domain": "ab"[n % 2]}
        | {"condition": n % 2}
        for n in range(40)
    ]
    path = write_table(tmp_path / "gold.jsonl", rows)
    result = calibrate_judge(path, study=tmp_path, judge="fake", checks=QUICK)
    groups = result.tables["agreement"].select("by", "group").rows()
    assert groups == [
        ("all", "all"),
        ("condition", "0"),
        ("condition", "1"),
        ("domain", "a"),
        ("domain", "b"),
    ]
    assert row(result)["base_rate"] == pytest.approx(26 / 40)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"columns": {"prompt": "question", "response": "anwser", "label": "code"}}, ConfigError, "'answer'"),
        ({"columns": {"promt": "question"}}, ConfigError, "did you mean 'prompt'"),
        ({"columns": {"prompt": "question"}}, ConfigError, "no response in its columns"),
        ({"readings": None}, ConfigError, "gold.jsonl:1: label 'refuse' is neither Y nor N"),
        ({"readings": {"commit": "yes"}}, ConfigError, "write LABEL=Y or LABEL=N"),
        ({"readings": {"perhaps": "Y"}}, DataError, "no row is Y or N"),
        ({"judge": "fakes"}, ConfigError, "did you mean 'fake'"),
    ],
)
def test_a_table_that_does_not_fit_is_one_clear_error(tmp_path, change, error, named):
    path = write_table(tmp_path / "gold.jsonl", ROWS)
    given = {"judge": "fake", "readings": {"commit": "Y", "refuse": "N"}, **MAPPED, **change}
    with pytest.raises(error, match=named):
        calibrate_judge(path, study=tmp_path, **given)


def test_an_empty_answer_in_a_table_has_a_label_and_no_verdict(tmp_path):
    rows = [
        {"prompt": f"Q{n}?", "response": "" if n % 2 else YES, "label": "N" if n % 2 else "Y"}
        for n in range(8)
    ]
    path = write_table(tmp_path / "gold.csv", rows)
    found = row(calibrate_judge(path, study=tmp_path, judge="lexical", checks=QUICK))
    assert (found["n_labels"], found["n_missing"], found["accuracy"]) == (8, 4, 1)


def test_what_a_judge_was_paid_for_is_never_asked_again(tmp_path):
    path, log = write_table(tmp_path / "gold.jsonl", ROWS), tmp_path / "calls"
    given = {
        "study": tmp_path / "study",
        "judge": "paid",
        "readings": {"commit": "Y", "refuse": "N"},
        **MAPPED,
    }
    options = {"log": str(log)}
    with pytest.raises(BackendError, match="no credit"):
        calibrate_judge(path, **given, judge_options=options | {"allowance": 40}, checks=QUICK)
    assert len(log.read_text().splitlines()) == 40
    kept = tmp_path / "study" / "calibration" / "paid" / "verdicts.jsonl"
    kept.write_bytes(kept.read_bytes()[:-5])  # and the last line was torn
    first = calibrate_judge(path, **given, judge_options=options, checks=QUICK)
    calls = log.read_text().splitlines()
    assert len(calls) == 61 + 50 + 18 + 1
    again = calibrate_judge(path, **given, judge_options=options, checks=QUICK)
    assert log.read_text().splitlines() == calls
    assert again.to_dict() == first.to_dict()


def test_records_that_a_judge_could_not_be_asked_about_are_tried_again(tmp_path, monkeypatch):
    path, log = write_table(tmp_path / "gold.jsonl", ROWS), tmp_path / "calls"
    given = {"judge": "paid", "judge_options": {"log": str(log)}, "readings": {"commit": "Y", "refuse": "N"}}

    def judge(self, records):
        for number, record in enumerate(records):
            (judgement,) = original(self, [record])
            yield SimpleNamespace(
                key=judgement.key, verdicts=judgement.verdicts, error="busy" if number % 9 == 4 else None
            )

    original = fake_judges.Paid.judge
    with monkeypatch.context() as patch:
        patch.setattr(fake_judges.Paid, "judge", judge)
        with pytest.raises(BackendError, match=r"asked about 7 of 61 records \(first: busy"):
            calibrate_judge(path, study=tmp_path, **given, **MAPPED, checks=QUICK)
    result = calibrate_judge(path, study=tmp_path, **given, **MAPPED, checks=Checks(draws=100, ask=False))
    assert row(result)["n_missing"] == 0
    assert len(log.read_text().splitlines()) == 61 + 7


def test_results_are_json_and_the_same_each_time(study):
    first, second = (calibrate(study, "noisy").to_dict() for _ in range(2))
    assert orjson.dumps(first) == orjson.dumps(second)
    assert b"NaN" not in orjson.dumps(first)


def test_columns_are_of_one_kind_whatever_is_missing(study, tmp_path):
    import polars as pl

    full = calibrate(study, "fake")
    path = write_table(tmp_path / "gold.jsonl", [{"prompt": "Q?", "response": YES, "label": "Y"}])
    bare = calibrate_judge(path, study=tmp_path, judge="fake", checks=QUICK)
    for name in ("agreement", "disagreements", "length"):
        assert bare.tables[name].columns == full.tables[name].columns
        assert pl.Null not in bare.tables[name].dtypes
    assert bare.tables["disagreements"].schema == full.tables["disagreements"].schema
