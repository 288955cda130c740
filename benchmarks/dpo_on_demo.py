"""Train a DPO adapter on the demo model's own committing answers, and print its rate before and after.

Half of the prompts are kept out of training; the rates are of those.  python benchmarks/dpo_on_demo.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from prefbench import build_pairs, compare_conditions, judge_responses, load_scores, sample_prompts, train_dpo
from prefbench.records import PRIMARY_DOMAINS
from prefbench.training.recipe import make_recipe

GRID = {
    "model": "demo",
    "prompt_style": "qa",
    "temps": [1.0],
    "n_samples": 6,
    "max_tokens": 64,
    "backend": "hf",
}
LIMIT = 40
RECIPES = {
    "the defaults": make_recipe(max_length=256),
    "lr 1e-3, batch 8, r 16": make_recipe(
        rank=16, alpha=32, learning_rate=1e-3, batch_size=8, max_length=256
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample_prompts(folder / "study", domains=PRIMARY_DOMAINS, limit=LIMIT, **GRID)
        judge_responses(folder / "study", judge="lexical")
        pairs = build_pairs(folder / "study", out=folder / "pairs", per_prompt=2, held_out=0.5)
        print(
            f"{pairs.pairs} pairs of {pairs.prompts - pairs.held_out_prompts} prompts; 6 answers at temperature 1.0"
        )
        unseen = {"prompts": folder / "pairs" / "held_out_prompts.jsonl", **GRID}
        sample_prompts(folder / "after", condition="base", **unseen)
        for number, (what, recipe) in enumerate(RECIPES.items(), start=2):
            started = time.perf_counter()
            adapter = folder / f"adapter_{number}"
            report = train_dpo(folder / "pairs", model="demo", out=adapter, recipe=recipe)
            seconds = time.perf_counter() - started
            condition = f"condition_{number}_dpo"
            sample_prompts(folder / "after", condition=condition, adapter=adapter, **unseen)
            judge_responses(folder / "after", judge="lexical")
            found = compare_conditions(load_scores(folder / "after"), "1", condition)
            effect = found.overall
            print(
                f"  {what:<24} {report.steps:>3} steps, {seconds:5.1f} s in all; held-out margin "
                f"{report.held_out_margin:+.3f}; rate {found.first_rate:.1%} -> {found.second_rate:.1%}, difference "
                f"{100 * effect.estimate:+.1f} [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}] points, "
                f"{effect.n} prompts"
            )


if __name__ == "__main__":
    main()
