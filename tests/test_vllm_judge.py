"""A model in this process as the judge, held to the rubric's schema by vLLM."""

from __future__ import annotations

import orjson
import pytest
from studies import make_items, write_responses
from vllm_engines import VLLM_MARKS

from prefbench.demo_model import demo_model_path
from prefbench.judge import judge_responses
from prefbench.records import ScoredRecord
from prefbench.store import read_json, read_models

pytestmark = [*VLLM_MARKS, pytest.mark.timeout(300)]


def test_a_local_model_answers_in_the_schema_and_no_verdict_is_lost(tmp_path):
    """The demo model's verdicts mean nothing; that each can be read is vLLM's and the schema's doing."""
    items = make_items(3, ["aesthetic_preference"])
    folder = tmp_path / "condition_1_base"
    write_responses(folder, lambda *_: ["Y", "N", "Y"], items=items, temperatures=[1.0])
    rubric = tmp_path / "short.toml"
    rubric.write_text(
        'name = "short"\nversion = 1\ndate = "2026-01-01"\nquestion = "Q?"\nyes = "Y"\nno = "N"\n'
    )
    options = {
        "model": str(demo_model_path()),
        "name": "local",
        "rubric": str(rubric),
        # trained on 512 tokens; for the format of an answer a longer context does no harm
        "max_model_len": 4096,
        "hf_overrides": {"max_position_embeddings": 4096},
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    (report,) = judge_responses(tmp_path, judge="vllm", judge_options=options)
    place = folder / "scored" / "local"
    scored = [each for path in place.glob("*_scored.jsonl") for _, each in read_models(path, ScoredRecord)]
    details = [
        orjson.loads(line)
        for path in place.glob("*_details.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    assert report.written == 3
    assert report.unreadable == 0, details
    assert all(verdict in ("Y", "N") for record in scored for verdict in record.raw_judgments)
    assert [len(record.raw_judgments) for record in scored] == [3, 3, 3]
    assert read_json(place / "manifest.json")["settings"]["judge"]["backend"] == "vllm"
