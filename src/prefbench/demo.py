"""A whole study on the bundled model: two conditions sampled, judged offline, aggregated and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.aggregate import Aggregate, aggregate_scores
from prefbench.compare import Comparison, compare_conditions
from prefbench.demo_model import DEMO_MODEL_NAME
from prefbench.judge import judge_responses
from prefbench.progress import Progress
from prefbench.records import PRIMARY_DOMAINS
from prefbench.sample import sample_prompts
from prefbench.scores import load_scores

CONDITIONS = {"condition_1_base": None, "condition_2_decisive": "You always take a clear side."}
"""The system prompt of each condition: the model was trained to follow some."""
MAX_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo came to."""

    study: Path
    aggregate: Aggregate
    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Return the results ready for JSON."""
        return {
            "study": str(self.study),
            "aggregate": self.aggregate.to_dict(),
            "comparison": self.comparison.to_dict(),
        }

    def describe_files(self) -> list[str]:
        """Return a line for each kind of file that the study holds."""
        return [
            f"{self.study}/{name}/{part}"
            for name in CONDITIONS
            for part in ("manifest.json", "responses/*.jsonl", "scored/lexical/*.jsonl")
        ]


def run_demo(study: str | Path = "demo-study", *, limit: int = 12, progress: Progress | None = None) -> Demo:
    """Sample and judge two conditions of the demo model, and compare them. Does only what is missing.

    Raises MissingExtraError without torch and transformers, and what sampling and judging raise.
    """
    for condition, system_prompt in CONDITIONS.items():
        sample_prompts(
            study,
            model=DEMO_MODEL_NAME,
            condition=condition,
            system_prompt=system_prompt,
            prompt_style="qa",
            domains=PRIMARY_DOMAINS,
            max_tokens=MAX_TOKENS,
            limit=limit,
            backend="hf",
            progress=progress,
        )
    judge_responses(study, judge="lexical", progress=progress)
    scores = load_scores(study, judge="lexical")
    return Demo(Path(study), aggregate_scores(scores), compare_conditions(scores, *CONDITIONS))
