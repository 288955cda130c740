"""The demo is the real study in small: four conditions from one load, and the planted effects are found."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("peft", reason="needs peft: pip install 'prefbench[hf]'")

from prefbench import aggregate_scores, load_scores
from prefbench.demo import run_demo
from prefbench.errors import ConfigError
from prefbench.store import read_json

CELLS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo") / "study", limit=5)


def test_all_four_cells_are_sampled_and_judged(demo):
    assert [report.condition for report in demo.sampling.conditions] == list(CELLS)
    assert {report.written for report in demo.sampling.conditions} == {5 * 5 * 3}
    overall = aggregate_scores(load_scores(demo.study)).views["condition"]
    assert overall["n_missing"].sum() == 0


def test_the_planted_effects_are_found_with_their_signs(demo):
    effects = {
        (row["first_condition"], row["second_condition"]): row
        for row in demo.statistics.tables["effects"].to_dicts()
    }
    base, dpo, vectors, both = CELLS
    for pair in ((base, dpo), (base, vectors), (base, both)):
        assert effects[pair]["low"] > 0
    assert effects[base, dpo]["difference"] > effects[base, vectors]["difference"]


def test_the_manifests_hold_what_was_added_and_what_proves_it(demo):
    manifests = {cell: read_json(demo.study / cell / "manifest.json") for cell in CELLS}
    weights = [manifest["settings"]["weights"] for manifest in manifests.values()]
    assert all(each == weights[0] for each in weights)
    assert manifests["condition_2_dpo"]["settings"]["adapter"]
    for cell in CELLS[2:]:
        assert len(manifests[cell]["settings"]["vectors"]) == 5
        assert manifests[cell]["runs"][0]["steering_checks"]


def test_a_second_call_does_nothing_more(demo):
    again = run_demo(demo.study, limit=5)
    assert {(report.written, report.kept) for report in again.sampling.conditions} == {(0, 75)}
    assert again.aggregate.to_dict() == demo.aggregate.to_dict()


def test_a_demo_of_no_prompts_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="limit is 0"):
        run_demo(tmp_path, limit=0)
