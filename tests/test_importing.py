"""Answers from elsewhere become response records, or an error names the row."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import orjson
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefbench.errors import ConfigError, DataError
from prefbench.importing import hash_prompt, import_responses
from prefbench.records import ResponseRecord
from prefbench.store import read_json, read_models

ROWS = [
    {"question": "Rain or sun?", "answer": "Rain.", "temp": 0.7},
    {"question": "Rain or sun?", "answer": 'Sun, "always"\nand ever.', "temp": 0.7},
    {"question": "Tea or juice?", "answer": "It depends.", "temp": 0.7},
]
PLAN = {
    "columns": {"prompt": "question", "response": "answer", "temperature": "temp"},
    "values": {"domain": "open"},
}


def write(path: Path, rows) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        polars.DataFrame(rows).write_parquet(path)
    else:
        content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def records(study: Path) -> list[ResponseRecord]:
    files = sorted((study / "condition_1_base" / "responses").glob("*.jsonl"))
    return [record for path in files for _, record in read_models(path, ResponseRecord)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_records(tmp_path, suffix):
    source = write(tmp_path / f"answers.{suffix}", ROWS)
    report = import_responses(source, study=tmp_path / "study", **PLAN)
    assert (report.rows, report.written, report.responses) == (3, 2, 3)
    rain, tea = sorted(records(tmp_path / "study"), key=lambda record: -record.n_samples)
    assert [each.text for each in rain.responses] == ["Rain.", 'Sun, "always"\nand ever.']
    assert [each.text for each in tea.responses] == ["It depends."]
    assert (rain.id, rain.domain, rain.format, rain.temperature) == (
        hash_prompt("Rain or sun?"),
        "open",
        "open_ended",
        0.7,
    )
    assert (rain.responses[0].tokens, rain.responses[0].finish_reason) == (None, None)


def test_a_column_of_lists_is_all_answers_at_once(tmp_path):
    rows = [{"id": "a", "prompt": "Rain or sun?", "generations": ["Rain.", "Sun."], "tokens": [3, 2]}]
    source = write(tmp_path / "lists.jsonl", rows)
    import_responses(
        source,
        study=tmp_path / "study",
        columns={"response": "generations"},
        values={"domain": "open", "temperature": "1.0", "format": "binary_choice"},
    )
    (record,) = records(tmp_path / "study")
    assert [(each.text, each.tokens) for each in record.responses] == [("Rain.", 3), ("Sun.", 2)]
    assert (record.id, record.format) == ("a", "binary_choice")


def test_the_same_file_twice_changes_nothing(tmp_path):
    source = write(tmp_path / "answers.jsonl", ROWS)
    import_responses(source, study=tmp_path / "study", **PLAN)
    before = records(tmp_path / "study")
    report = import_responses(source, study=tmp_path / "study", **PLAN)
    assert (report.written, report.kept) == (0, 2)
    assert records(tmp_path / "study") == before
    manifest = read_json(tmp_path / "study" / "condition_1_base" / "manifest.json")
    assert [run["records_written"] for run in manifest["runs"]] == [2, 0]


def test_other_answers_to_a_prompt_that_is_there_are_refused(tmp_path):
    import_responses(write(tmp_path / "a.jsonl", ROWS), study=tmp_path / "study", **PLAN)
    changed = [ROWS[0], ROWS[1] | {"answer": "Snow."}]
    with pytest.raises(DataError, match="is there already with other answers"):
        import_responses(write(tmp_path / "b.jsonl", changed), study=tmp_path / "study", **PLAN)


@pytest.mark.parametrize("answer", [None, [], [None]])
def test_a_row_without_an_answer_is_named_or_left_out_and_counted(tmp_path, answer):
    rows = [ROWS[0] | {"answer": ["Rain."]}, ROWS[2] | {"answer": answer}]
    source = write(tmp_path / "answers.jsonl", rows)
    if answer != []:
        with pytest.raises(DataError, match=r"answers.jsonl:2: no answer.*--drop-missing"):
            import_responses(source, study=tmp_path / "study", **PLAN)
    report = import_responses(source, study=tmp_path / "study", drop_missing=True, **PLAN)
    assert (report.written, report.dropped) == (1, 1)


def test_an_empty_cell_of_a_csv_is_missing(tmp_path):
    source = write(tmp_path / "answers.csv", [*ROWS, ROWS[2] | {"answer": ""}])
    with pytest.raises(DataError, match="no answer"):
        import_responses(source, study=tmp_path / "study", **PLAN)


@pytest.mark.parametrize(
    ("plan", "error", "named"),
    [
        ({"columns": {"prompt": "qestion"}}, ConfigError, "did you mean 'question'"),
        ({"columns": {"promt": "question"}}, ConfigError, "did you mean 'prompt'"),
        ({"values": {"format": "ranked"}}, ConfigError, "did you mean 'ranking'"),
        (
            {"columns": {"prompt": "question", "response": "answer"}},
            ConfigError,
            "give --map domain=COLUMN or --set",
        ),
        ({"values": {"domain": "a/b"}}, DataError, "domain"),
        ({"values": {"domain": "open", "temperature": "warm"}}, DataError, "temperature"),
        ({"columns": {"response": "temp"}}, DataError, "not a text"),
        ({"columns": {"prompt": "temp"}}, DataError, "not a text"),
        (
            {"values": {"id": "same", "domain": "open"}},
            DataError,
            r"another prompt than at .*answers.jsonl:1",
        ),
    ],
)
def test_what_cannot_be_mapped_is_named(tmp_path, plan, error, named):
    source = write(tmp_path / "answers.jsonl", ROWS)
    complete = {"columns": PLAN["columns"], "values": PLAN["values"]}
    given = {
        name: (complete[name] | plan.get(name, {})) if name == "columns" else plan.get(name, complete[name])
        for name in complete
    }
    if "give --map domain" in named:
        given["values"] = {}
    with pytest.raises(error, match=named):
        import_responses(source, study=tmp_path / "study", **given)
    assert not list((tmp_path / "study").rglob("*.jsonl"))


@pytest.mark.parametrize(
    ("name", "content", "error", "named"),
    [
        ("a.jsonl", b'{"question": 1\n', DataError, "a.jsonl:1: not JSON"),
        ("a.jsonl", b"[1]\n", DataError, "not a JSON object"),
        ("a.jsonl", b"", DataError, "no row"),
        ("a.csv", b"question,answer,temp\nRain?,yes\n", DataError, "a.csv:2: not as many fields"),
        ("a.parquet", b"PAR0", DataError, "a.parquet"),
        ("a.jsonl.gz", b"not gzip", DataError, "cannot be read"),
        ("a.xlsx", b"", ConfigError, ".xlsx suffix"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_named(tmp_path, name, content, error, named):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=named):
        import_responses(tmp_path / name, study=tmp_path / "study", **PLAN)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        import_responses(tmp_path / "nothing.jsonl", study=tmp_path / "study", **PLAN)


@settings(deadline=None)  # it waits for a disk
@given(answers=st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_answers_come_through_unchanged(tmp_path_factory, answers):
    folder = tmp_path_factory.mktemp("import")
    source = write(folder / "answers.jsonl", [{"prompt": "p", "response": answers}])
    import_responses(source, study=folder / "study", values={"domain": "open", "temperature": "1"})
    (record,) = records(folder / "study")
    assert [each.text for each in record.responses] == answers
