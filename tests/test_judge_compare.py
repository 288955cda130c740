"""Judges of one study side by side: agreement against oracles, rates, and the records on which they differ most."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import fake_judges
import numpy as np
import orjson
import pytest
from sklearn.metrics import cohen_kappa_score
from studies import make_items, write_responses
from test_calibration import unlike

from prefbench.calibration import compare_judges
from prefbench.errors import ConfigError, DataError
from prefbench.judge import judge_responses
from prefbench.judges import registry
from prefbench.records import ScoredRecord
from prefbench.statistics import gwets_ac1, krippendorffs_alpha
from prefbench.store import read_models

JUDGES = ("fake", "noisy", "silent")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("comparison") / "study"
    generator = random.Random(7)
    for condition, share in (("condition_1_base", 0.4), ("condition_2_dpo", 0.7)):
        write_responses(
            folder / condition,
            lambda *_, share=share: ["YN"[generator.random() > share] for _ in range(6)],
            items=make_items(20),
        )
    unlike(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in JUDGES:
            patch.setitem(registry.JUDGES, name, fake_judges.NAMES[name])
            judge_responses(folder, judge=name)
    return folder


def codes(study: Path) -> dict[tuple, list[float]]:
    """Return the verdicts of the three judges on each response, read straight from the files."""
    found: dict[tuple, list[float]] = {}
    for number, judge in enumerate(JUDGES):
        for path in study.glob(f"*/scored/{judge}/*_scored.jsonl"):
            for _, record in read_models(path, ScoredRecord):
                for place, verdict in enumerate(record.raw_judgments):
                    key = (record.condition, *record.key, place)
                    found.setdefault(key, [float("nan")] * 3)[number] = {"Y": 1.0, "N": 0.0, None: np.nan}[
                        verdict
                    ]
    return found


def test_pairs_agree_as_their_verdicts_do(study):
    data = np.array(list(codes(study).values()))
    for line in compare_judges(study, draws=200).tables["pairs"].iter_rows(named=True):
        pair = data[:, [JUDGES.index(line["first"]), JUDGES.index(line["second"])]]
        pair = pair[np.isfinite(pair).all(axis=1)]
        assert line["n"] == len(pair)
        assert line["n_missing"] == len(data) - len(pair)
        assert line["kappa"] == pytest.approx(cohen_kappa_score(*pair.T))
        assert line["ac1"] == pytest.approx(gwets_ac1(pair))
        assert line["agreement"] == pytest.approx((pair[:, 0] == pair[:, 1]).mean())
        assert line["first_only"] + line["second_only"] == (pair[:, 0] != pair[:, 1]).sum()
        assert line["kappa_low"] <= line["kappa"] <= line["kappa_high"]


def test_all_judges_at_once_may_miss_verdicts(study):
    data = np.array(list(codes(study).values()))
    (found,) = compare_judges(study, draws=200).tables["overall"].iter_rows(named=True)
    complete = data[np.isfinite(data).all(axis=1)]
    assert found["alpha"] == pytest.approx(krippendorffs_alpha(data))
    assert found["ac1"] == pytest.approx(gwets_ac1(data))
    assert (found["n_responses"], found["n_complete"]) == (len(data), len(complete))
    assert found["all_agree"] == pytest.approx((complete == complete[:, :1]).all(axis=1).mean())


def test_rates_stand_side_by_side_on_the_responses_that_all_could_read(study):
    found = compare_judges(study, draws=200)
    everything = codes(study)
    for line in found.tables["rates"].iter_rows(named=True):
        by_prompt: dict[tuple, list[float]] = {}
        for (condition, domain, item, *_), values in everything.items():
            if condition == line["condition"] and not np.isnan(values).any():
                by_prompt.setdefault((domain, item), []).append(values[JUDGES.index(line["judge"])])
        assert line["rate"] == pytest.approx(np.mean([np.mean(values) for values in by_prompt.values()]))
        assert line["rate_low"] < line["rate"] < line["rate_high"]
        assert line["n_prompts"] == 40
    assert found.notes == ["480 of 1,440 verdicts are missing from silent"]
    (pair,) = (
        each
        for each in found.tables["pairs"].iter_rows(named=True)
        if (each["first"], each["second"]) == ("fake", "silent")
    )
    assert (pair["difference"], pair["agreement"]) == (0, 1)


def test_the_records_on_which_judges_differ_most_come_first(study):
    everything = codes(study)
    by_record: dict[tuple, np.ndarray] = {}
    for key, values in everything.items():
        by_record.setdefault(key[:-1], []).append(values)
    spreads = []
    for values in by_record.values():
        complete = np.array([each for each in values if not np.isnan(each).any()])
        spreads.append(np.ptp(complete.mean(axis=0)))
    table = compare_judges(study, top=7, draws=200).tables["records"]
    assert table.height == 7
    shares = table.select([f"share_{judge}" for judge in sorted(JUDGES)]).to_numpy()
    assert np.ptp(shares, axis=1) == pytest.approx(sorted(spreads, reverse=True)[:7])
    assert (table["n_differ"] > 0).all()
    assert table["prompt"].str.starts_with("Which do you prefer").all()


def test_judges_and_conditions_can_be_chosen(study):
    found = compare_judges(study, judges=["noisy", "fake"], conditions=["dpo"], draws=200)
    assert found.judges == ["noisy", "fake"]
    assert found.tables["rates"]["condition"].unique().to_list() == ["condition_2_dpo"]
    assert found.tables["pairs"].height == 1


def test_what_cannot_be_compared_is_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'noisy'"):
        compare_judges(study, judges=["noysi"])
    with pytest.raises(ConfigError, match=r"takes the scores of two judges, there are those of fake: run"):
        compare_judges(study, judges=["fake", "fake"])
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N"])
    with pytest.raises(ConfigError, match="there are those of none"):
        compare_judges(tmp_path)


def test_scores_of_other_answers_are_refused(tmp_path):
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N"])
    judge_responses(tmp_path)
    folder = tmp_path / "condition_1_base" / "scored"
    (folder / "other").mkdir()
    for path in (folder / "lexical").glob("*_scored.jsonl"):
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for line in lines:
            line |= {"raw_judgments": ["Y"], "preference_count": 1, "no_preference_count": 0}
        (folder / "other" / path.name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    with pytest.raises(DataError, match="2 by lexical, 1 by other"):
        compare_judges(tmp_path)


# the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with `study/`, judged by lexical and labelled, and a table of labels."""
    folder = tmp_path_factory.mktemp("work")
    generator = random.Random(3)
    write_responses(
        folder / "study" / "condition_1_base",
        lambda *_: [generator.choice("YN") for _ in range(4)],
        items=make_items(10),
    )
    judge_responses(folder / "study")
    run(folder, "label", "--size", "40", keys="y\nn\n" * 20)
    table = [{"q": f"Q{n}?", "prompt": "p", "response": "I prefer tea.", "label": "commit"} for n in range(6)]
    (folder / "gold.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in table))
    return folder


def run(folder: Path, *arguments: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefbench", *arguments],
        cwd=folder, env=os.environ, input=keys, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_judge_still_judges_without_a_subcommand(folder):
    found = run(folder, "judge", "--judge", "lexical", "--json")
    assert found.returncode == 0, found.stderr
    assert orjson.loads(found.stdout)[0]["kept"] == 60
    shown = run(folder, "judge", "--help").stdout
    for text in ("calibrate", "compare", "--rejudge", "Example:  prefbench judge"):
        assert text in shown


def test_calibrate_prints_tables_for_people_and_json_for_machines(folder):
    found = run(folder, "judge", "calibrate", "study/labels/human.jsonl", "--out", "different.csv")
    assert found.returncode == 0, found.stderr
    for text in (
        "kappa",
        "AC1",
        "alpha",
        "always",
        "is right",
        "Canaries",
        "Asked again",
        "p (any place)",
        "missing",
    ):
        assert text in found.stdout
    assert (folder / "different.csv").exists()
    result = orjson.loads(run(folder, "judge", "calibrate", "study/labels/human.jsonl", "--json").stdout)
    assert result["judge"] == "lexical"
    assert result["tables"]["agreement"][0]["n_labels"] == 40


def test_calibrate_reads_a_table_by_its_columns(folder):
    given = [
        "judge",
        "calibrate",
        "gold.jsonl",
        "--map",
        "prompt=q",
        "--labels",
        "commit=Y",
        "--no-ask",
        "--json",
    ]
    result = orjson.loads(run(folder, *given).stdout)
    assert result["tables"]["agreement"][0]["n_prompts"] == 6
    assert result["source"] == "asked"


@pytest.mark.parametrize("command", ["calibrate", "compare"])
def test_help_shows_an_example(folder, command):
    assert f"Example:  prefbench judge {command}" in run(folder, "judge", command, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["calibrate"], 2, "gold"),
        (["calibrate", "nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["calibrate", "gold.xlsx"], 2, "reads .jsonl, .csv"),
        (["calibrate", "gold.jsonl"], 2, "label 'commit' is neither Y nor N"),
        (["calibrate", "gold.jsonl", "--labels", "commit"], 2, "key=value"),
        (
            ["calibrate", "gold.jsonl", "--labels", "commit=Y", "--judge", "lexicla"],
            2,
            "did you mean 'lexical'",
        ),
        (["calibrate", "study/labels/human.jsonl", "--level", "95"], 2, "between 0 and 1"),
        (["calibrate", "study/labels/human.jsonl", "--study", "other"], 3, "other: no such folder"),
        (["compare"], 2, "two judges"),
        (["compare", "--judges", "lexicla"], 2, "did you mean 'lexical'"),
        (
            ["--judge", "lexical", "compare"],
            2,
            "judge: options stand behind the command: prefbench judge compare",
        ),
        (["lexical"], 2, "lexical"),
    ],
)
def test_an_error_is_one_line_that_names_the_thing(folder, arguments, code, named):
    found = run(folder, "judge", *arguments)
    assert found.returncode == code, found.stderr
    assert found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1
    assert named in found.stderr


def test_compare_prints_tables_and_json(folder, tmp_path):
    import shutil

    copy = folder / "two" / "study"
    shutil.copytree(folder / "study", copy)
    scored = copy / "condition_1_base" / "scored"
    shutil.copytree(scored / "lexical", scored / "twin")
    found = run(folder / "two", "judge", "compare", "--out", str(tmp_path / "pairs.csv"))
    assert found.returncode == 0, found.stderr
    for text in ("Pairs of judges", "lexical", "twin", "second - first", "alpha"):
        assert text in found.stdout
    assert "Records that differ" not in found.stdout
    result = orjson.loads(run(folder / "two", "judge", "compare", "--json").stdout)
    assert result["tables"]["pairs"][0]["agreement"] == 1
    assert (tmp_path / "pairs.csv").read_text().startswith("first,second")
