"""The whole way on the bundled model: sample, judge, pair, train, and the sampled rate of commitment rises."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("trl", reason="needs trl: pip install 'prefbench[train]'")

from prefbench import (
    build_pairs,
    compare_conditions,
    judge_responses,
    load_scores,
    sample_prompts,
    train_dpo,
)
from prefbench.records import PRIMARY_DOMAINS
from prefbench.training.recipe import make_recipe

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

GRID = {
    "model": "demo",
    "prompt_style": "qa",
    "temps": [1.0],
    "n_samples": 6,
    "max_tokens": 64,
    "backend": "hf",
}


def test_dpo_on_the_demo_model_raises_its_rate_of_commitment_on_prompts_it_was_not_trained_on(tmp_path):
    sample_prompts(tmp_path / "study", domains=PRIMARY_DOMAINS, limit=40, **GRID)
    judge_responses(tmp_path / "study", judge="lexical")
    build_pairs(tmp_path / "study", out=tmp_path / "pairs", per_prompt=2, held_out=0.5)
    recipe = make_recipe(rank=16, alpha=32, learning_rate=1e-3, batch_size=8, max_length=256)
    report = train_dpo(tmp_path / "pairs", model="demo", out=tmp_path / "adapter", recipe=recipe)
    assert report.held_out_margin > 0
    assert report.held_out_accuracy > 0.6

    unseen = {"prompts": tmp_path / "pairs" / "held_out_prompts.jsonl", **GRID}
    sample_prompts(tmp_path / "after", condition="base", **unseen)
    sample_prompts(tmp_path / "after", condition="dpo", adapter=tmp_path / "adapter", **unseen)
    judge_responses(tmp_path / "after", judge="lexical")
    found = compare_conditions(load_scores(tmp_path / "after"), "base", "dpo")
    assert found.overall.n == 100
    assert found.overall.low > 0.1
