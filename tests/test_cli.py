"""The commands as a user types them: results on stdout, one line for an error, the documented exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from studies import write_responses

from prefbench.cli.output import interval, number, percent, points
from prefbench.judge import judge_responses

COMMANDS = (
    "sample",
    "judge",
    "label",
    "aggregate",
    "stats",
    "compare",
    "import",
    "init",
    "demo",
    "prompts",
    "vectors",
)


def run(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefbench", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def mixed(item, temperature):
    yes = (int(item.id[-1]) + int(10 * temperature)) % 5
    return ["Y"] * yes + ["N"] * (4 - yes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with a judged study of two conditions in `study/`."""
    folder = tmp_path_factory.mktemp("work")
    write_responses(folder / "study" / "condition_1_base", mixed)
    write_responses(folder / "study" / "condition_2_dpo", lambda *_: ["Y", "Y", "Y", None])
    judge_responses(folder / "study")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    found = run(command, "--help")
    assert found.returncode == 0
    assert "Usage: prefbench" in found.stdout
    if command not in ("prompts", "vectors"):
        assert f"Example:  prefbench {command}" in " ".join(found.stdout.split("\n")).replace("  ", "  ")


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['prefbench', '--help']\n"
        "from prefbench.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'openai', 'anthropic', 'vllm', 'numpy', 'scipy', 'polars', 'pydantic'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in found.stdout


def test_the_library_offers_its_names_on_use():
    import prefbench

    for name in prefbench.__all__:
        assert getattr(prefbench, name) is not None
    assert set(prefbench.__all__) <= set(dir(prefbench))
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        prefbench.smaple  # noqa: B018


def test_version():
    import prefbench

    assert run("--version").stdout.strip() == f"prefbench {prefbench.__version__}"


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["sampel"], 2, "sample"),
        (["sample", "--tmps", "1"], 2, "--temps"),
        (["sample"], 2, "no model"),
        (["sample", "--model", "m", "--temps", "warm"], 2, "temperature 'warm' is not a number"),
        (["sample", "--model", "m", "--temps", "0.7,,1"], 2, "nothing between two commas"),
        (["sample", "--model", "m", "--temps", "nan"], 2, "temperature"),
        (["sample", "--model", "m", "--temps=-1"], 2, "temperature"),
        (["sample", "--model", "m", "--n-samples", "0"], 2, "n_samples"),
        (["sample", "--model", "m", "--n-samples", "ten"], 2, "--n-samples"),
        (["sample", "--model", "m", "--domains", "ethics"], 2, "unknown domain 'ethics'"),
        (["sample", "--model", "m", "--backend", "vlm"], 2, "unknown backend 'vlm'"),
        (["sample", "--model", "m", "--prompts", "nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["sample", "--model", "m", "--backend-option", "fast"], 2, "key=value"),
        (["judge", "--study", "nowhere"], 3, "no such folder"),
        (["judge", "--judge", "lexicla"], 2, "did you mean 'lexical'"),
        (["judge", "--domains", "ethical"], 2, "did you mean 'ethical_judgment'"),
        (["aggregate", "--study", "nowhere"], 3, "nowhere"),
        (["aggregate", "--by", "condition,domian"], 2, "did you mean 'domain'"),
        (["aggregate", "--consistency", "pairwize"], 2, "did you mean 'pairwise'"),
        (["aggregate", "--target", "everything"], 2, "population"),
        (["aggregate", "--upper", "0.1"], 2, "thresholds"),
        (["aggregate", "--out", "rates.xlsx"], 2, ".csv or .parquet"),
        (["aggregate", "--judge", "claude"], 2, "lexical"),
        (["stats", "--correction", "bonferonni"], 2, "holm"),
        (["stats", "--margin", "2"], 2, "margin"),
        (["compare", "cond1"], 2, "second"),
        (["compare", "cond1", "cond7"], 2, "cond7"),
        (["compare", "cond1", "1"], 2, "two different conditions"),
        (["sample", "--model", "m", "--adapter", "a"], 2, "--condition dpo"),
        (["init", "new", "--adapter", "a"], 2, "--factorial"),
        (["train", "pairs", "nowhere"], 3, "no such folder"),
        (["train", "pairs", "--rejected", "dop"], 2, "unknown condition 'dop'"),
        (["train", "pairs", "--temps", "warm"], 2, "temperature 'warm' is not a number"),
        (["train", "pairs"], 2, "--prompt-style"),
        (["train", "dpo", "nowhere.jsonl", "--model", "m"], 3, "nowhere.jsonl"),
        (["train", "dpo", "pairs.jsonl"], 2, "--model"),
        (["train", "dpo", "pairs.jsonl", "--model", "m", "--loss", "sft,dpo"], 2, "unknown loss 'dpo'"),
        (["train", "dpo", "pairs.jsonl", "--model", "m", "--rank", "0"], 2, "rank"),
        (
            ["train", "dpo", "pairs.jsonl", "--model", "m", "--micro-batch", "5"],
            2,
            "must divide batch_size 32",
        ),
        (["import", "nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["prompts", "show", "aes_999999"], 2, "aes_"),
        (["prompts", "list", "--format", "binary"], 2, "did you mean 'binary_choice'"),
        (["prompts", "check", "nowhere.jsonl"], 3, "nowhere.jsonl"),
    ],
)
def test_an_error_is_one_line_that_names_the_thing(folder, arguments, code, named):
    found = run(*arguments, folder=folder)
    assert found.returncode == code, found.stderr
    assert found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1
    assert found.stderr.startswith("prefbench: ")
    assert named in found.stderr


@pytest.mark.parametrize("command", ["pairs", "dpo"])
def test_help_of_training_shows_an_example(command):
    found = run("train", command, "--help")
    assert found.returncode == 0
    assert f"Example:  prefbench train {command}" in found.stdout


def test_pairs_are_made_from_a_judged_study(folder, tmp_path):
    out = tmp_path / "pairs"
    found = run("train", "pairs", "study", "--prompt-style", "qa", "--out", str(out), "--json", folder=folder)
    assert found.returncode == 0, found.stderr
    report = orjson.loads(found.stdout)
    assert report["pairs"] == len((out / "train.jsonl").read_bytes().splitlines()) > 0
    assert report["judge"] == "lexical"


@pytest.mark.parametrize("command", [["aggregate"], ["stats"], ["compare", "cond1", "cond2"]])
def test_results_are_json_for_machines(folder, command):
    found = run(*command, "--json", folder=folder)
    assert found.returncode == 0, found.stderr
    assert orjson.loads(found.stdout)
    assert b"NaN" not in found.stdout.encode()


def test_one_seed_is_that_of_all_that_stats_draws(folder):
    default, zero, one = (
        orjson.loads(run("stats", "--json", *seed, folder=folder).stdout)
        for seed in ((), ("--seed", "0"), ("--seed", "1"))
    )
    assert default == zero
    assert (zero.pop("seed"), one.pop("seed")) == (0, 1)
    drawn = {row["method"] for row in zero["estimates"] if row not in one["estimates"]}
    assert drawn == {"prompt_bootstrap"}  # eight prompts: all sign flips are counted


def test_tables_say_n_and_what_is_missing_and_have_no_colour_in_a_pipe(folder):
    found = run("aggregate", folder=folder)
    assert "\x1b" not in found.stdout
    assert "condition_1_base" in found.stdout
    for column in ("prompts", "records", "missing", "unreadable", "95% interval", "majority"):
        assert column in found.stdout
    assert "24 verdicts are unreadable" in found.stderr


def test_compare_shows_the_effect_that_was_planted(folder):
    found = orjson.loads(run("compare", "cond1", "cond2", "--json", folder=folder).stdout)
    assert found["first"] == "condition_1_base"
    assert found["second_rate"] == 1.0
    assert found["overall"]["estimate"] == pytest.approx(1 - found["first_rate"])
    assert found["overall"]["low"] > 0


def test_tables_are_written_for_other_tools(folder, tmp_path):
    import polars

    assert run("aggregate", "--out", str(tmp_path / "rates.csv"), folder=folder).returncode == 0
    assert run("aggregate", "--out", str(tmp_path / "rates.parquet"), folder=folder).returncode == 0
    table = polars.read_parquet(tmp_path / "rates.parquet")
    assert table.height == polars.read_csv(tmp_path / "rates.csv").height == 4
    assert {"condition", "domain", "rate", "n_missing"} <= set(table.columns)
    assert run("stats", "--out", str(tmp_path / "tables"), folder=folder).returncode == 0
    assert (tmp_path / "tables" / "effects.csv").exists()


def test_init_writes_a_study_file_that_sample_reads(tmp_path):
    from prefbench.study import load_study

    assert run("init", "my-study", "--model", "some/model", folder=tmp_path).returncode == 0
    study = load_study(tmp_path / "my-study")
    assert [(each.name, each.model) for each in study.conditions] == [("condition_1_base", "some/model")]
    again = run("init", "my-study", folder=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_init_writes_the_factorial_study_with_paths_as_seen_from_it(tmp_path):
    from prefbench.study import load_study

    (tmp_path / "made" / "adapter").mkdir(parents=True)
    (tmp_path / "warm.safetensors").touch()
    options = ("--adapter", "made/adapter", "--vectors", "warm.safetensors,elsewhere/calm.safetensors")
    found = run("init", "my-study", "--model", "some/model", "--factorial", *options, folder=tmp_path)
    assert found.returncode == 0, found.stderr
    base, dpo, steered, both = load_study(tmp_path / "my-study").conditions
    assert [each.name for each in (base, dpo, steered, both)] == [
        "condition_1_base",
        "condition_2_dpo",
        "condition_3_base_vectors",
        "condition_4_dpo_vectors",
    ]
    assert {each.model for each in (base, dpo, steered, both)} == {"some/model"}
    assert (base.adapter, base.vectors, steered.adapter, dpo.vectors) == (None, [], None, [])
    assert dpo.adapter == both.adapter
    assert (tmp_path / dpo.adapter).samefile(tmp_path / "made" / "adapter")
    assert steered.vectors == both.vectors
    warm, calm = steered.vectors
    assert (tmp_path / warm.file).samefile(tmp_path / "warm.safetensors")
    assert Path(calm.file) == tmp_path / "my-study" / "elsewhere" / "calm.safetensors"


def test_every_commented_setting_of_the_study_file_is_a_real_one(tmp_path):
    from importlib.resources import files

    from prefbench.study import load_study

    text = (files("prefbench") / "data" / "study_template.toml").read_text()
    start = text.index("[study]")
    uncommented = "\n".join(
        line.removeprefix("# ") if "=" in line or line.startswith("# [") else line
        for line in text[start:].splitlines()
    )
    (tmp_path / "prefbench.toml").write_text(uncommented)
    study = load_study(tmp_path)
    assert len(study.conditions) == 2
    assert study.sampling.limit == 20
    assert study.backend.options == {"batch_size": 16, "dtype": "bfloat16"}


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a file system that nobody can write to: /proc"
)
def test_a_folder_that_nobody_can_write_to_is_one_clear_error(folder):
    for command in (["init", "/proc/study"], ["import", "x.jsonl", "--study", "/proc/study"]):
        (folder / "x.jsonl").write_text('{"prompt": "p", "response": "r", "domain": "d", "temperature": 1}\n')
        found = run(*command, folder=folder)
        assert found.returncode == 3
        assert "/proc/study" in found.stderr
        assert "cannot be written" in found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_a_bank_is_taken_out_of_a_release_and_sampled_again(folder, tmp_path):
    found = run(
        "prompts",
        "from-release",
        str(folder / "study" / "condition_1_base"),
        "--out",
        "bank.jsonl",
        folder=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    assert "8 prompts" in found.stdout
    assert "0 conflicts" in found.stdout
    listed = run("prompts", "list", "--prompts", "bank.jsonl", folder=tmp_path)
    assert len(listed.stdout.splitlines()) == 8


def test_checking_a_bad_bank_exits_1_and_names_the_items(tmp_path):
    line = {
        "id": "a",
        "domain": "d",
        "prompt": "You must choose: rain or sun?",
        "format": "binary_choice",
        "tags": [],
    }
    (tmp_path / "bank.jsonl").write_bytes(
        orjson.dumps(line) + b"\n" + orjson.dumps(line | {"id": "b"}) + b"\n"
    )
    found = run("prompts", "check", "bank.jsonl", folder=tmp_path)
    assert found.returncode == 1
    assert "d a" in found.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("true", True),
        ("float16", "float16"),
        ("4o-mini", "4o-mini"),
        ('{cudagraph_mode="PIECEWISE"}', {"cudagraph_mode": "PIECEWISE"}),
        ('{"cudagraph_mode": "PIECEWISE"}', {"cudagraph_mode": "PIECEWISE"}),
        ("{broken", "{broken"),
    ],
)
def test_the_value_of_an_option_reads_as_toml_or_as_json(text, value):
    from prefbench.cli.options import read_options

    assert read_options([f"key={text}"], "engine argument") == {"key": value}


def test_stats_takes_the_labels_of_the_one_person_who_labelled(folder, tmp_path):
    """What `prefbench label` has written is found; labels of no use, or of several people, end in a note."""
    study = tmp_path / "study"
    shutil.copytree(folder / "study", study)

    def notes_after(key: str) -> str:
        command = [sys.executable, "-m", "prefbench", "label", "--study", str(study)]
        subprocess.run(command, input=key, capture_output=True, text=True, timeout=60, check=True)
        found = orjson.loads(run("stats", "--study", str(study), "--json").stdout)
        assert ("corrected" in found["tables"]) == (key == "y\n")
        return "; ".join(found["notes"])

    assert "labels/human.jsonl: holds no label" in notes_after("s\n")
    assert "nothing is corrected" not in notes_after("y\n")
    shutil.copy(study / "labels" / "human.jsonl", study / "labels" / "ann.jsonl")
    assert "ann, human have labelled the study; choose one with --labels" in notes_after("n\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("judge", "--judge", "lexical", "--batch"),
            "unknown option of judge 'lexical' 'batch': known: none",
        ),
        (("stats", "--factors", "finetuning="), "names nothing"),
        (("power", "--power", "80"), "not 0.8, 80.0 and 0.95"),
        (("judge", "calibrate", "nowhere"), "nowhere: no such file; check the path"),
    ],
)
def test_the_line_of_an_error_names_what_was_given(folder, arguments, told):
    found = run(*arguments, "--study", "study", folder=folder)
    assert found.returncode in (2, 3)
    assert told in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_difference_that_rounds_to_nothing_has_no_minus():
    shown = [points(-1e-17), percent(-0.0), number(-0.001), interval(-1e-9, 1e-9), points(-0.001)]
    assert shown == ["+0.0", "0.0%", "0.00", "[0.0, 0.0]", "-0.1"]
