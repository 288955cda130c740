"""A whole study from Python, as in a notebook: two conditions of the bundled model, sampled, judged, compared."""

from __future__ import annotations

import tempfile
from pathlib import Path

import prefbench


def main(study: Path) -> None:
    for name, system_prompt in (("base", None), ("decisive", "You always take a clear side.")):
        prefbench.sample_prompts(
            study,
            model="demo",
            condition=f"condition_{1 if system_prompt is None else 2}_{name}",
            system_prompt=system_prompt,
            domains=["creative_initiative", "ethical_judgment"],
            limit=8,
            temps=[0.7, 1.0],
            n_samples=5,
            max_tokens=48,
        )
    prefbench.judge_responses(study, judge="lexical")
    scores = prefbench.load_scores(study)

    rates = prefbench.aggregate_scores(scores).views["condition_domain"]
    print(rates.select("condition", "domain", "n_prompts", "n_missing", "rate", "low", "high"))

    comparison = prefbench.compare_conditions(scores, "base", "decisive")
    change = comparison.overall
    print(
        f"decisive - base: {change.estimate:+.3f} [{change.low:+.3f}, {change.high:+.3f}], {change.n} prompts"
    )
    for note in comparison.notes:
        print(f"note: {note}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "study")
