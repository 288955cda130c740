"""A whole 2x2 study on the bundled model: four conditions sampled from one load, judged offline, compared."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from prefbench.aggregate import Aggregate, aggregate_scores
from prefbench.demo_model import demo_conditions_path
from prefbench.errors import ConfigError
from prefbench.judge import judge_responses
from prefbench.progress import Progress
from prefbench.sample import sample_prompts
from prefbench.sample_report import SampleReport
from prefbench.scores import load_scores
from prefbench.stats import Statistics, study_statistics
from prefbench.store import writing
from prefbench.study import STUDY_FILE

ADDED = "conditions"
"""Where in the study's folder the adapter and the trait vectors lie."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo came to."""

    study: Path
    sampling: SampleReport
    aggregate: Aggregate
    statistics: Statistics

    def to_dict(self) -> dict[str, Any]:
        """Return the results ready for JSON."""
        return {
            "study": str(self.study),
            "sampling": self.sampling.to_dict(),
            "aggregate": self.aggregate.to_dict(),
            "statistics": self.statistics.to_dict(),
        }

    def describe_files(self) -> list[str]:
        """Return a line for each kind of file that the study holds."""
        conditions = [
            f"{self.study}/{report.condition}/{part}"
            for report in self.sampling.conditions
            for part in ("manifest.json", "responses/*.jsonl", "scored/lexical/*.jsonl")
        ]
        return [f"{self.study}/{STUDY_FILE}", f"{self.study}/{ADDED}/", *conditions]


def run_demo(study: str | Path = "demo-study", *, limit: int = 12, progress: Progress | None = None) -> Demo:
    """Write the demo's study, sample and judge its four conditions, and estimate. Does only what is missing.

    The conditions are base, a DPO adapter, five trait vectors, and both together. Raises MissingExtraError without
    torch and transformers, and what sampling and judging raise.
    """
    if limit < 1:
        raise ConfigError(f"limit is {limit}: it is the number of prompts per domain, 1 or more")
    folder = Path(study)
    write_demo_study(folder, limit=limit)
    report = sample_prompts(folder, progress=progress)
    judge_responses(folder, judge="lexical", progress=progress)
    scores = load_scores(folder, judge="lexical")
    return Demo(folder, report, aggregate_scores(scores), study_statistics(scores))


def write_demo_study(folder: Path, *, limit: int) -> None:
    """Write the study file, and the adapter and vectors beside it. Raises DataError if that cannot be done."""
    text = (files("prefbench") / "data" / "demo_study.toml").read_text(encoding="utf-8")
    with writing(folder):
        shutil.copytree(demo_conditions_path(), folder / ADDED, dirs_exist_ok=True)
        (folder / STUDY_FILE).write_text(text.replace("@LIMIT@", str(limit)), encoding="utf-8")
