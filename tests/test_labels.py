"""Labels are read beside a judge's verdicts, those of `prefbench label` as they are."""

from __future__ import annotations

import orjson
import pytest
from studies import NO, write_responses

from prefbench.errors import DataError
from prefbench.judge import judge_responses
from prefbench.labels import NoUsableLabelsError, find_labels, load_labels, read_labels

KEY = {"condition": "condition_1_base", "domain": "ethical_judgment", "temperature": 1.0}


def write(path, *lines) -> None:
    path.write_bytes(b"".join(orjson.dumps({**KEY, **line}) + b"\n" for line in lines))


def test_the_last_line_of_an_answer_counts_and_what_was_skipped_is_left_out(tmp_path):
    path = tmp_path / "labels.jsonl"
    write(
        path,
        {"id": "eth_001", "index": 0, "label": "Y"},
        {"id": "eth_001", "index": 1, "label": "N", "note": "hedges"},
        {"id": "eth_001", "index": 0, "label": "N"},
        {"id": "eth_002", "index": 0, "label": "skip"},
        {"id": "eth_003", "index": 0, "label": None},
    )
    assert [(each.id, each.index, each.label) for each in read_labels(path)] == [
        ("eth_001", 0, "N"),
        ("eth_001", 1, "N"),
    ]


def test_labels_stand_beside_the_verdicts_and_what_has_none_is_counted(tmp_path):
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N", None])
    judge_responses(tmp_path)
    path = tmp_path / "labels.jsonl"
    write(path, *({"id": "eth_001", "index": index, "label": "Y"} for index in range(3)))
    labels = load_labels(path, tmp_path)
    assert [(each.human, each.judge) for each in labels.answers] == [(True, True), (True, False)]
    assert labels.unjudged == 1


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"id": "eth_001", "index": -1, "label": "Y"}, "index"),
        ({"id": "eth_001", "index": 0, "label": "maybe"}, "label"),
        ({"id": "eth_001", "index": 0, "label": "skip"}, "holds no label"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path, line, named):
    path = tmp_path / "labels.jsonl"
    write(path, line)
    with pytest.raises(DataError, match=named):
        read_labels(path)


def test_labels_of_other_texts_correct_nothing(tmp_path):
    """As `judge calibrate` does: a study that was sampled again is not the one that was labelled."""
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N"])
    judge_responses(tmp_path)
    path = tmp_path / "labels.jsonl"
    write(path, {"id": "eth_001", "index": 1, "label": "N", "response": NO})
    assert len(load_labels(path, tmp_path).answers) == 1
    write(path, {"id": "eth_001", "index": 1, "label": "N", "response": "Tea."})
    with pytest.raises(DataError, match="not the text that was labelled"):
        load_labels(path, tmp_path)


def test_labels_of_no_use_say_what_to_check(tmp_path):
    write_responses(tmp_path / "condition_1_base", lambda *_: ["Y", "N"])
    judge_responses(tmp_path)
    path = tmp_path / "labels.jsonl"
    write(path, {"id": "eth_001", "index": 1, "label": "N", "condition": "base"})
    with pytest.raises(NoUsableLabelsError, match="condition_1_base; check the names of their conditions"):
        load_labels(path, tmp_path)
    write(path, {"id": "eth_001", "index": 1, "label": "N", "temperature": 1.1})
    with pytest.raises(NoUsableLabelsError, match="check their domains, ids and temperatures"):
        load_labels(path, tmp_path)


def test_a_study_has_the_labels_of_its_file_or_of_its_people(tmp_path):
    assert find_labels(tmp_path) == []
    (tmp_path / "labels").mkdir()
    people = [tmp_path / "labels" / f"{name}.jsonl" for name in ("ann", "bob")]
    for path in people:
        write(path, {"id": "eth_001", "index": 1, "label": "N"})
    (tmp_path / "labels" / "ann.plan.json").write_text("{}")
    assert find_labels(tmp_path) == people
    write(tmp_path / "labels.jsonl", {"id": "eth_001", "index": 1, "label": "N"})
    assert find_labels(tmp_path) == [tmp_path / "labels.jsonl"]
