"""Logs of inspect_ai and lm-eval, as these programs wrote them, become records; what cannot be read is named."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from prefbench.errors import ConfigError, DataError, MissingExtraError
from prefbench.importing import VerdictRule, import_responses
from prefbench.importing.zip_members import ZSTANDARD
from prefbench.records import ResponseRecord
from prefbench.scores import load_scores
from prefbench.store import read_json, read_models

LOGS = Path(__file__).parent / "foreign_logs"
REPEATED, FILTERED, CHOICES = (
    next(LOGS.glob(f"samples_{task}_*.jsonl")) for task in ("repeated", "filtered", "choices")
)
RULE = {"scorer": "commits", "yes": ("C",), "no": ("I",)}

zstandard = pytest.importorskip("zstandard", reason="needs zstandard: pip install 'prefbench[inspect]'")


def known_answers():
    """Return what the script that made the logs had the model say, and its prompts."""
    spec = importlib.util.spec_from_file_location("make_logs", LOGS / "make_logs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS, module.PROMPTS


ANSWERS, PROMPTS = known_answers()


def expected(epochs=(1, 2, 3)) -> dict[str, list[str]]:
    return {key: [each[0] for epoch in epochs if (each := ANSWERS[key, epoch])] for key in PROMPTS}


def records(study: Path) -> dict[str, ResponseRecord]:
    files = sorted((study / "condition_1_base" / "responses").glob("*.jsonl"))
    found = [record for path in files for _, record in read_models(path, ResponseRecord)]
    assert len({record.key for record in found}) == len(found)
    return {record.id: record for record in found}


def texts(study: Path) -> dict[str, list[str]]:
    return {key: [each.text for each in record.responses] for key, record in records(study).items()}


def settings(study: Path):
    return read_json(study / "condition_1_base" / "manifest.json")["settings"]


def failures(study: Path) -> list[dict]:
    path = study / "condition_1_base" / "errors.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rewrite(tmp_path: Path, change) -> Path:
    """Return a copy of the JSON log with its content changed."""
    content = json.loads((LOGS / "whole.json").read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return path


def repack(tmp_path: Path, change=lambda members: members, compression=zipfile.ZIP_DEFLATED) -> Path:
    """Return the members of the .eval log, changed, in a zip that Python itself can write."""
    from prefbench.importing.zip_members import ZipMembers

    with ZipMembers(LOGS / "whole.eval", cure="") as log:
        members = change({name: log.read(name) for name in log.names})
    path = tmp_path / "changed.eval"
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_epochs_of_an_inspect_log_are_the_answers_to_a_prompt(tmp_path, suffix):
    report = import_responses(LOGS / f"whole{suffix}", study=tmp_path)
    assert (report.kind, report.rows, report.written, report.responses, report.dropped) == (
        "inspect",
        6,
        2,
        5,
        1,
    )
    assert texts(tmp_path) == expected()
    found = records(tmp_path)
    assert {key: record.prompt for key, record in found.items()} == {
        key: value["input"] for key, value in PROMPTS.items()
    }
    assert {key: record.domain for key, record in found.items()} == {"a": "weather", "b": "homes"}
    assert (found["a"].format, found["b"].format) == ("binary_choice", "open_ended")
    assert {record.temperature for record in found.values()} == {0.7}
    assert [each.finish_reason for each in found["b"].responses] == ["length", "stop"]
    assert [each.tokens for each in found["a"].responses] == [len(t.split()) + 1 for t in expected()["a"]]
    told = settings(tmp_path)
    assert (told["model"], told["max_tokens"], told["top_p"]) == ("mockllm/model", 8, 0.95)
    assert told["system_prompt"] == "Answer briefly."


def test_the_log_of_inspect_is_compressed_as_python_cannot_read():
    # the reason for zip_members.py: if this changes, so may that
    with zipfile.ZipFile(LOGS / "whole.eval") as log:
        assert {member.compress_type for member in log.infolist()} == {ZSTANDARD}


def test_a_log_compressed_as_older_releases_did_reads_the_same(tmp_path):
    import_responses(repack(tmp_path), study=tmp_path / "study")
    assert texts(tmp_path / "study") == expected()


def test_a_sample_that_failed_is_missing_and_on_record_once(tmp_path):
    for _ in range(2):
        report = import_responses(LOGS / "whole.eval", study=tmp_path)
    assert (report.written, report.kept, report.dropped) == (0, 2, 1)
    (failure,) = failures(tmp_path)
    assert (failure["domain"], failure["id"], failure["temperature"]) == ("homes", "b", 0.7)
    assert "the server went away" in failure["error"]
    assert texts(tmp_path) == expected()


def test_both_forms_of_one_log_are_one_import(tmp_path):
    import_responses(LOGS / "whole.eval", study=tmp_path, rule=VerdictRule(**RULE))
    report = import_responses(LOGS / "whole.json", study=tmp_path, rule=VerdictRule(**RULE))
    assert (report.written, report.kept, report.scored) == (0, 2, 0)
    assert load_scores(tmp_path).height == 2


def test_scores_become_verdicts_by_the_values_named(tmp_path):
    report = import_responses(LOGS / "whole.eval", study=tmp_path, rule=VerdictRule(**RULE))
    assert (report.judge, report.scored, report.unreadable) == ("commits", 2, 1)
    counts = load_scores(tmp_path, judge="commits").sort("id").select("id", "yes", "no", "unreadable").rows()
    # a: a commitment, none, and a NaN for the empty answer; b: two commitments, the failed sample is not there
    assert counts == [("a", 1, 1, 1), ("b", 2, 0, 0)]


def test_scores_may_follow_later_and_are_not_doubled(tmp_path):
    import_responses(LOGS / "whole.eval", study=tmp_path)
    assert not (tmp_path / "condition_1_base" / "scored").exists()
    assert import_responses(LOGS / "whole.eval", study=tmp_path, rule=VerdictRule(**RULE)).scored == 2
    swapped = VerdictRule("commits", ("I",), ("C",))
    with pytest.raises(ConfigError, match="give the same --yes and --no"):
        import_responses(LOGS / "whole.eval", study=tmp_path, rule=swapped)


def test_a_log_without_scores_gives_no_verdicts(tmp_path):
    path = rewrite(tmp_path, lambda log: [sample.update(scores=None) for sample in log["samples"]])
    with pytest.raises(ConfigError, match="'commits' has no values"):
        import_responses(path, study=tmp_path / "study", rule=VerdictRule(**RULE))
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"scorer": "comits", "yes": ("C",), "no": ("I",)}, "did you mean 'commits'"),
        ({"scorer": "commits", "yes": ("true",), "no": ("false",)}, "has the values C, I: none of them"),
        ({"scorer": "commits", "yes": ("1",), "no": ("1.0",)}, "both --yes and --no"),
        ({"scorer": "commits", "yes": ("C",), "no": ()}, "--no VALUE"),
    ],
)
def test_scores_that_are_no_verdicts_are_refused(tmp_path, rule, named):
    with pytest.raises(ConfigError, match=named):
        import_responses(LOGS / "whole.eval", study=tmp_path, rule=VerdictRule(**rule))
    assert not list(tmp_path.rglob("*_scored.jsonl"))


def test_a_run_that_failed_is_taken_only_if_asked(tmp_path):
    with pytest.raises(DataError, match=r"status 'error'.*server went away.*eval-retry.*--partial"):
        import_responses(LOGS / "failed.eval", study=tmp_path)
    import_responses(LOGS / "failed.eval", study=tmp_path, partial=True)
    whole = expected()
    assert all(found == whole[key][: len(found)] for key, found in texts(tmp_path).items())


def test_metadata_can_be_mapped_and_a_value_set(tmp_path):
    import_responses(
        LOGS / "whole.json",
        study=tmp_path,
        columns={"domain": "metadata.topic"},
        values={"format": "single_word", "temperature": "1.5"},
    )
    found = records(tmp_path)
    assert {key: record.domain for key, record in found.items()} == {"a": "sky", "b": "door"}
    assert {(record.format, record.temperature) for record in found.values()} == {("single_word", 1.5)}


def set_input(value):
    def change(content):
        for sample in content["samples"]:
            sample["input"] = value

    return change


def test_a_chat_of_one_question_is_that_question(tmp_path):
    chat = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Tea?"}]},
    ]
    path = rewrite(tmp_path, set_input(chat))
    import_responses(path, study=tmp_path)
    assert {record.prompt for record in records(tmp_path).values()} == {"Tea?"}


@pytest.mark.parametrize(
    "chat",
    [
        [
            {"role": "user", "content": "Tea?"},
            {"role": "assistant", "content": "No."},
            {"role": "user", "content": "?"},
        ],
        [{"role": "user", "content": [{"type": "text", "text": "Tea?"}, {"type": "image", "image": "x"}]}],
    ],
    ids=["conversation", "image"],
)
def test_what_is_more_than_one_text_needs_a_prompt_from_elsewhere(tmp_path, chat):
    path = rewrite(tmp_path, set_input(chat))
    with pytest.raises(ConfigError, match=r"no prompt in its columns.*metadata.topic.*--map prompt="):
        import_responses(path, study=tmp_path)
    import_responses(path, study=tmp_path, columns={"prompt": "metadata.topic"})
    assert {record.prompt for record in records(tmp_path).values()} == {"sky", "door"}


def test_attachments_and_parts_are_put_back(tmp_path):
    def change(content):
        for sample in content["samples"]:
            sample["attachments"] = {"abc": "A very long question?"}
            sample["input"] = "attachment://abc"
            for choice in sample["output"].get("choices", ()):
                text = choice["message"]["content"]
                parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": text}]
                choice["message"]["content"] = parts

    import_responses(rewrite(tmp_path, change), study=tmp_path)
    assert {record.prompt for record in records(tmp_path).values()} == {"A very long question?"}
    assert texts(tmp_path) == expected()


def drop_temperature(content):
    content["plan"]["config"].pop("temperature")
    content["eval"]["model_generate_config"].pop("temperature")


def two_solvers(content):
    content["plan"]["steps"] = [{"solver": "generate", "params": {"temperature": t}} for t in (0.1, 0.9)]


def changed_while_running(content):
    content["config_updates"] = [
        {"changes": [{"config": "generate", "name": "temperature", "value": 1.0, "cleared": False}]}
    ]


@pytest.mark.parametrize("change", [drop_temperature, two_solvers, changed_while_running])
def test_a_temperature_that_the_log_does_not_fix_must_be_given(tmp_path, change):
    path = rewrite(tmp_path, change)
    with pytest.raises(ConfigError, match=r"no temperature .*--set temperature=VALUE"):
        import_responses(path, study=tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda log: log.update(version=9), "log format 9"),
        (lambda log: log.update(status="cancelled"), "'cancelled'.*eval-retry"),
        (lambda log: log.update(samples=None), "holds no samples.*--log-samples"),
        (lambda log: log["samples"].pop(), "5 of 6 samples"),
        (lambda log: log["samples"].append(log["samples"][0]), "sample a, epoch 1 stands in it twice"),
        (lambda log: log.pop("eval"), "results without answers"),
        (lambda log: log["eval"].update(shards={"ledger": []}), "several shards"),
        (lambda log: [sample.update(output={}) for sample in log["samples"]], "no row with an answer"),
    ],
)
def test_a_log_that_is_not_whole_or_not_known_is_named_with_its_cure(tmp_path, change, named):
    path = rewrite(tmp_path, change)
    with pytest.raises(DataError, match=named):
        import_responses(path, study=tmp_path / "study")
    assert not list((tmp_path / "study").rglob("*.jsonl"))


def without_header(members):
    return {name: content for name, content in members.items() if name != "header.json"}


def in_pieces(members):
    return {name.replace("_epoch_1.json", "_epoch_1/sample.json"): value for name, value in members.items()}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_header, "'started'.*--partial"),
        (lambda members: {"notes.txt": b"hello"}, "without header.json"),
        (in_pieces, "stored in pieces.*inspect log convert"),
        (lambda members: members | {"header.json": b'{"version": 2,'}, "header.json is not whole JSON"),
    ],
)
def test_a_zip_that_is_no_whole_log_is_named(tmp_path, change, named):
    path = repack(tmp_path, change)
    with pytest.raises(DataError, match=named):
        import_responses(path, study=tmp_path / "study")


def test_a_running_log_can_be_taken_as_far_as_it_is(tmp_path):
    import_responses(repack(tmp_path, without_header), study=tmp_path / "study", partial=True)
    assert texts(tmp_path / "study") == expected()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_log_that_was_cut_off_is_named(tmp_path, share):
    content = (LOGS / "whole.eval").read_bytes()
    path = tmp_path / "cut.eval"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"not a whole zip file.*inspect log recover"):
        import_responses(path, study=tmp_path / "study")


def test_a_damaged_member_is_named_and_nothing_is_written(tmp_path):
    with zipfile.ZipFile(LOGS / "whole.eval") as log:
        sample = next(each for each in log.infolist() if each.filename.startswith("samples/"))
    content = bytearray((LOGS / "whole.eval").read_bytes())
    for place in range(sample.header_offset + 80, sample.header_offset + 100):
        content[place] ^= 0xFF
    path = tmp_path / "damaged.eval"
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"samples/.* is damaged"):
        import_responses(path, study=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_an_encrypted_log_is_named(tmp_path):
    path = repack(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\x01\x02")
    while place >= 0:  # the flag of every member in the directory at the end
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 4)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is encrypted"):
        import_responses(path, study=tmp_path / "study")


def test_without_zstandard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"zstandard.*pip install 'prefbench\[inspect\]'"):
        import_responses(LOGS / "whole.eval", study=tmp_path)


def test_every_repeat_of_an_lm_eval_document_is_an_answer(tmp_path):
    for _ in range(2):
        report = import_responses(REPEATED, study=tmp_path)
    assert (report.kind, report.rows, report.written, report.kept) == ("lm-eval", 2, 0, 2)
    assert report.dropped == 1
    assert texts(tmp_path) == expected()
    (failure,) = failures(tmp_path)
    assert (failure["id"], failure["domain"]) == ("b", "homes")
    assert {record.temperature for record in records(tmp_path).values()} == {0.7}
    told = settings(tmp_path)
    assert (told["model"], told["max_tokens"], told["stop"]) == ("canned/one", 8, ["\n\n"])


def test_the_lines_of_several_filters_are_one_answer(tmp_path):
    import_responses(FILTERED, study=tmp_path)
    assert texts(tmp_path) == expected(epochs=(1,))
    ambiguous = VerdictRule("exact_match", ("1",), ("0",))
    with pytest.raises(ConfigError, match="exact_match,loose"):
        import_responses(FILTERED, study=tmp_path, rule=ambiguous)
    report = import_responses(
        FILTERED, study=tmp_path, rule=VerdictRule("exact_match,strict", ("1",), ("0",))
    )
    assert report.judge == "exact_match_strict"
    assert load_scores(tmp_path, judge=report.judge)["no"].to_list() == [1, 1]


def test_one_metric_of_several_repeats_is_no_verdict_on_each(tmp_path):
    lines = [json.loads(line) for line in REPEATED.read_text().splitlines()]
    path = tmp_path / REPEATED.name
    path.write_text("".join(json.dumps(line | {"bypass": 1.0}) + "\n" for line in lines))
    with pytest.raises(DataError, match=r"1 scores to 3 answers.*prefbench judge"):
        import_responses(path, study=tmp_path, rule=VerdictRule("bypass", ("1",), ("0",)))


def test_older_lm_eval_layouts_read_the_same(tmp_path):
    """Before `gen_args_0` the arguments were lists, and there was no `filter`."""
    lines = [json.loads(line) for line in REPEATED.read_text().splitlines()]
    for line in lines:
        line["arguments"] = [list(each.values()) for each in line["arguments"].values()]
        del line["filter"], line["metrics"]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_responses(path, study=tmp_path)
    assert texts(tmp_path) == expected()


def test_a_chat_sent_to_a_server_is_its_question(tmp_path):
    lines = [json.loads(line) for line in REPEATED.read_text().splitlines()]
    for line in lines:
        chat = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": line["doc"]["question"]},
        ]
        line["arguments"]["gen_args_0"]["arg_0"] = [json.dumps(chat)]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_responses(path, study=tmp_path)
    assert {key: record.prompt for key, record in records(tmp_path).items()} == {
        key: value["input"] for key, value in PROMPTS.items()
    }


@pytest.mark.parametrize(
    ("arguments", "temperature"),
    [
        ({"do_sample": False}, 0.0),
        ({"do_sample": False, "temperature": 0.0}, 0.0),
        ({"temperature": 0.3}, 0.3),
    ],
)
def test_the_temperature_is_that_of_the_request(tmp_path, arguments, temperature):
    path = change_arguments(tmp_path, arguments)
    import_responses(path, study=tmp_path)
    assert {record.temperature for record in records(tmp_path).values()} == {temperature}


@pytest.mark.parametrize("arguments", [{}, {"do_sample": True}, {"do_sample": False, "temperature": 0.7}])
def test_a_temperature_that_lm_eval_left_open_must_be_given(tmp_path, arguments):
    path = change_arguments(tmp_path, arguments)
    with pytest.raises(ConfigError, match="--set temperature=VALUE"):
        import_responses(path, study=tmp_path)


def change_arguments(tmp_path: Path, arguments) -> Path:
    lines = [json.loads(line) for line in REPEATED.read_text().splitlines()]
    for line in lines:
        line["arguments"]["gen_args_0"]["arg_1"] = arguments
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_task_without_answers_in_words_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"jsonl:1: a log-likelihood request.*generate_until"):
        import_responses(CHOICES, study=tmp_path)
    with pytest.raises(DataError, match="results without answers; import the samples"):
        import_responses(next(LOGS.glob("results_*.json")), study=tmp_path)


def test_a_file_that_lost_documents_is_named(tmp_path):
    for path in LOGS.glob("results_*.json"):
        shutil.copy(path, tmp_path)
    first = REPEATED.read_text().splitlines(keepends=True)[0]
    path = tmp_path / REPEATED.name
    path.write_text(first)
    with pytest.raises(DataError, match=r"1 of 2 documents are in it.*--partial"):
        import_responses(path, study=tmp_path)
    assert import_responses(path, study=tmp_path, partial=True).written == 1


def test_a_file_cut_off_in_a_line_is_named(tmp_path):
    path = tmp_path / REPEATED.name
    path.write_bytes(REPEATED.read_bytes()[:-30])
    with pytest.raises(DataError, match=r":2: not whole JSON"):
        import_responses(path, study=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_two_runs_in_one_file_are_refused(tmp_path):
    path = tmp_path / REPEATED.name
    path.write_text(REPEATED.read_text() * 2)
    with pytest.raises(DataError, match=r"jsonl:3: document 0 stands already"):
        import_responses(path, study=tmp_path)


def test_another_model_needs_another_condition(tmp_path):
    import_responses(LOGS / "whole.eval", study=tmp_path)
    path = rewrite(tmp_path, lambda log: log["eval"].update(model="other/model"))
    with pytest.raises(ConfigError, match=r"model 'mockllm/model', now 'other/model'.*another --condition"):
        import_responses(path, study=tmp_path)


def test_a_table_can_bring_verdicts_in_a_column(tmp_path):
    rows = [{"prompt": "Tea?", "response": ["Yes.", "Maybe."], "commits": [True, False]}]
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {"domain": "open", "temperature": "1.0"}
    import_responses(path, study=tmp_path, values=values, rule=VerdictRule("commits", ("true",), ("false",)))
    assert load_scores(tmp_path).select("yes", "no").rows() == [(1, 1)]


@pytest.mark.parametrize(("kind", "error"), [("inspekt", ConfigError), ("inspect", DataError)])
def test_a_kind_that_is_not_the_files_is_refused(tmp_path, kind, error):
    with pytest.raises(error):
        import_responses(REPEATED, study=tmp_path, kind=kind)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Call the command as a shell does; return its exit code, stdout and stderr."""
    from prefbench.cli.app import main

    sys.argv = ["prefbench", *arguments]
    with pytest.raises(SystemExit) as stopped:
        main()
    return (stopped.value.code, *capsys.readouterr())


def test_the_command_imports_a_log_with_its_scores_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    command = ["import", str(LOGS / "whole.eval"), "--study", str(tmp_path)]
    code, out, _ = run(capsys, *command, "--scorer", "commits", "--yes", "C", "--no", "I")
    assert code == 0
    assert "2 records with 5 answers from 6 rows; 1 without an answer left out" in out
    assert "2 records scored as the judge commits, 1 verdicts neither Y nor N" in out
    code, _, told = run(capsys, *command, "--yes", "C")
    assert (code, told.count("\n")) == (2, 1)
    assert "give --scorer too" in told
    code, _, told = run(capsys, "import", str(CHOICES), "--study", str(tmp_path))
    assert (code, told.count("\n")) == (3, 1)
