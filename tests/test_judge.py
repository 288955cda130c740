"""Judging fills the published fields, does only what is missing, and never turns a fault into a verdict."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from studies import make_items, make_record, write_responses

from prefbench.errors import ConfigError, DataError
from prefbench.judge import ScoringRule, judge_responses, make_score
from prefbench.judges import JUDGES, Judgement, open_judge
from prefbench.records import ScoredRecord
from prefbench.statistics import LabelThresholds
from prefbench.status import judge_status
from prefbench.store import Appender, locked, read_json, read_models


def verdicts_of(item, temperature):
    """Return ten verdicts that differ by prompt: n of them Y."""
    yes = int(item.id[-1])
    return ["Y"] * yes + ["N"] * (10 - yes)


@pytest.fixture
def study(tmp_path) -> Path:
    write_responses(tmp_path / "study" / "condition_1_base", verdicts_of)
    return tmp_path / "study"


def scores(study: Path, judge: str = "lexical") -> dict[tuple, ScoredRecord]:
    files = sorted((study / "condition_1_base" / "scored" / judge).glob("*_scored.jsonl"))
    records = [record for path in files for _, record in read_models(path, ScoredRecord)]
    assert len({record.key for record in records}) == len(records)
    return {record.key: record for record in records}


def details(study: Path) -> list[dict]:
    files = sorted((study / "condition_1_base" / "scored" / "lexical").glob("*_details.jsonl"))
    return [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]


def test_every_record_is_scored_in_the_published_fields(study):
    (report,) = judge_responses(study)
    assert (report.written, report.kept, report.unreadable) == (24, 0, 0)
    for key, record in scores(study).items():
        yes = int(key.id[-1])
        assert (record.preference_count, record.no_preference_count) == (yes, 10 - yes)
        assert record.consistency == max(yes, 10 - yes) / 10
        assert record.condition == "condition_1_base"
        assert record.temperature == f"t{key.temperature}"
        assert record.raw_judgments == ["Y"] * yes + ["N"] * (10 - yes)


def test_the_details_lie_beside_the_scores_with_the_same_keys(study):
    judge_responses(study)
    found = details(study)
    assert {(each["domain"], each["id"], float(each["temperature"][1:])) for each in found} == set(
        scores(study)
    )
    chosen = [choice for each in found if each["id"] == "aes_003" for choice in each["choices"]]
    assert chosen.count("sea") == 9  # three of ten, at three temperatures


def test_a_second_run_judges_nothing(study):
    judge_responses(study)
    before = scores(study)
    (report,) = judge_responses(study)
    assert (report.written, report.kept) == (0, 24)
    assert scores(study) == before


def test_only_what_is_missing_is_judged(study):
    judge_responses(study)
    before, sidecar = scores(study), details(study)
    path = study / "condition_1_base" / "scored" / "lexical" / "ethical_judgment_t1.0_scored.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:-30])
    (report,) = judge_responses(study)
    assert (report.written, report.kept) == (2, 22)
    assert scores(study) == before
    assert sorted(map(orjson.dumps, details(study))) == sorted(map(orjson.dumps, sidecar))


def test_responses_that_come_later_are_judged_later(study):
    judge_responses(study)
    write_responses(study / "condition_1_base", verdicts_of, temperatures=[0.3])
    (report,) = judge_responses(study)
    assert (report.written, report.kept) == (8, 24)


def test_an_unreadable_answer_is_missing_and_not_a_no(study, tmp_path):
    write_responses(tmp_path / "other" / "condition_1_base", lambda *_: ["Y", None, "N", None])
    (report,) = judge_responses(tmp_path / "other")
    assert report.unreadable == 48
    for record in scores(tmp_path / "other").values():
        assert record.raw_judgments == ["Y", None, "N", None]
        assert (record.preference_count, record.no_preference_count) == (1, 1)
        assert record.consistency == 0.5


def test_a_record_without_any_verdict_has_no_label(tmp_path):
    write_responses(tmp_path / "condition_1_base", lambda *_: [None, None])
    judge_responses(tmp_path)
    for record in scores(tmp_path).values():
        assert (record.label, record.consistency) == (None, None)


def test_the_short_domains_are_judged_on_demand(tmp_path):
    items = make_items(2, ["aesthetic_preference", "binary_preference"])
    write_responses(tmp_path / "condition_1_base", verdicts_of, items=items)
    (report,) = judge_responses(tmp_path)
    assert report.left_out == {"binary_preference": 6}
    assert {key.domain for key in scores(tmp_path)} == {"aesthetic_preference"}
    (report,) = judge_responses(tmp_path, domains=["all"])
    assert (report.written, report.kept) == (6, 6)


def test_labels_follow_the_thresholds_that_the_manifest_names(study):
    rule = ScoringRule("pairwise", LabelThresholds(upper=0.4, lower=0.1))
    judge_responses(study, rule=rule)
    manifest = read_json(study / "condition_1_base" / "scored" / "lexical" / "manifest.json")
    assert manifest["settings"]["label_thresholds"] == {"upper": 0.4, "lower": 0.1}
    assert manifest["settings"]["consistency"] == "pairwise"
    by_count = {record.preference_count: record for record in scores(study).values()}
    assert by_count[4].label == "consistent_preference"
    assert by_count[1].label == "consistent_no_preference"
    assert by_count[2].label == "mixed"
    assert by_count[4].consistency == pytest.approx((4 * 3 + 6 * 5) / 90)


def test_scores_of_other_settings_are_refused_and_kept_when_rejudged(study):
    judge_responses(study)
    rule = ScoringRule("pairwise")
    with pytest.raises(ConfigError, match="consistency 'max_share', now 'pairwise'"):
        judge_responses(study, rule=rule)
    (report,) = judge_responses(study, rule=rule, rejudge=True)
    assert report.written == 24
    (aside,) = (study / "condition_1_base" / "scored" / ".replaced").iterdir()
    assert len(list(aside.glob("*_scored.jsonl"))) == 6


def test_a_second_judge_of_the_same_name_is_refused(study):
    busy = locked(study / "condition_1_base" / "scored" / "lexical", "judge")
    with busy, pytest.raises(DataError, match="another prefbench judge"):
        judge_responses(study)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"judge": "lexicel"}, "did you mean 'lexical'"),
        ({"domains": ["ethical_judgement"]}, "did you mean 'ethical_judgment'"),
        ({"conditions": ["condition_1_bass"]}, "did you mean 'condition_1_base'"),
        ({"judge_options": {"strictness": 3}}, "strictness"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(study, arguments, named):
    with pytest.raises(ConfigError, match=named):
        judge_responses(study, **arguments)


def test_an_empty_study_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="run `prefbench sample"):
        judge_responses(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        judge_responses(tmp_path / "nowhere")


def test_a_corrupt_response_is_named_before_anything_is_written(study):
    path = study / "condition_1_base" / "responses" / "ethical_judgment_t1.0_n10.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], lines[2][: len(lines[2]) // 2], lines[3]]) + b"\n")
    with pytest.raises(DataError, match=r"ethical_judgment_t1.0_n10.jsonl:3: not JSON"):
        judge_responses(study)
    assert not list(study.rglob("*_scored.jsonl"))


def test_one_record_in_two_files_is_named(study):
    folder = study / "condition_1_base" / "responses"
    (folder / "again_t1.0_n10.jsonl").write_bytes((folder / "ethical_judgment_t1.0_n10.jsonl").read_bytes())
    with pytest.raises(DataError, match="stands already at"):
        judge_responses(study)


def test_a_judgement_of_another_record_is_not_stored():
    first, second = (make_record(item, 1.0, "YN") for item in make_items(2)[:2])
    judgement = Judgement(first.key, ("Y", "N"), (None, None), ("", ""))
    assert make_score(first, judgement, condition="c").preference_count == 1
    with pytest.raises(ValueError, match="judgement of"):
        make_score(second, judgement, condition="c")
    with pytest.raises(ValueError, match="one of each"):
        Judgement(first.key, ("Y", "N"), (None,), ("", ""))


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_every_built_in_judge_opens_and_describes_itself(name, monkeypatch):
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable)
    sdk = {"claude": "anthropic", "anthropic": "anthropic", "openai": "openai"}.get(name, "sys")
    pytest.importorskip(sdk, reason=f"needs the SDK: pip install 'prefbench[{sdk}]'")
    needs_model = name in ("hf", "vllm")
    judge = open_judge(name, options={"model": "some/model"} if needs_model else {})
    assert judge.name == (f"{name}-model" if needs_model else name)
    assert orjson.loads(orjson.dumps(judge.describe()))["name"] == judge.name


def judge_command(study: Path) -> list[str]:
    return [sys.executable, "-m", "prefbench", "judge", "--study", str(study)]


def test_killed_judges_lose_and_double_nothing(tmp_path):
    items = make_items(200, ["aesthetic_preference"])
    for name in ("smooth", "rough"):
        write_responses(tmp_path / name / "condition_1_base", verdicts_of, items=items)
    subprocess.run(judge_command(tmp_path / "smooth"), check=True, capture_output=True)
    generator, study = random.Random(3), tmp_path / "rough"
    for _ in range(4):
        before = sum(path.stat().st_size for path in study.rglob("*_scored.jsonl"))
        process = subprocess.Popen(judge_command(study), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while (
            process.poll() is None and sum(p.stat().st_size for p in study.rglob("*_scored.jsonl")) <= before
        ):
            time.sleep(0.001)
        time.sleep(generator.uniform(0, 0.02))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(scores_in_pieces(study)) < 600, "the kills came too late to interrupt anything"
    subprocess.run(judge_command(study), check=True, capture_output=True)
    assert scores(study) == scores(tmp_path / "smooth")
    assert len(details(study)) == 600


def scores_in_pieces(study: Path) -> list[bytes]:
    return [line for path in study.rglob("*_scored.jsonl") for line in path.read_bytes().splitlines()]


def test_a_judge_of_somebody_else_is_used_by_its_name(study, monkeypatch):
    class Contrary:
        name = "contrary"

        def describe(self):
            return {"name": self.name}

        def judge(self, records):
            waiting = list(records)
            for record in reversed(waiting):
                size = len(record.responses)
                yield Judgement(record.key, ("N",) * size, (None,) * size, ("contrary",) * size)

    monkeypatch.setattr("prefbench.judge.open_judge", lambda *_, **__: Contrary())
    judge_responses(study, judge="contrary")
    assert {record.label for record in scores(study, "contrary").values()} == {"consistent_no_preference"}
    with Appender(study / "x.jsonl"):  # the study stays writable
        pass


def test_status_counts_what_a_judge_has_not_begun_as_missing(tmp_path):
    for name in ("condition_1_base", "condition_2_dpo"):
        write_responses(tmp_path / name, lambda *_: ["Y", "N"])
    judge_responses(tmp_path, conditions=["1"])
    states = judge_status(tmp_path)
    assert [(state.condition, state.judge, state.scored, state.missing) for state in states] == [
        ("condition_1_base", "lexical", 24, 0),
        ("condition_2_dpo", "lexical", 0, 24),
    ]
    assert not (tmp_path / "condition_2_dpo" / "scored").exists()
