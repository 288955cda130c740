"""prefbench: how willing is a language model to express preferences, and what changes that?

The command line is a thin face on these functions; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Aggregate": "aggregate",
    "Calibration": "calibration",
    "Comparison": "compare",
    "JudgeComparison": "calibration",
    "PrefbenchError": "errors",
    "PromptItem": "records",
    "ResponseRecord": "records",
    "ScoredRecord": "records",
    "Statistics": "stats",
    "aggregate_scores": "aggregate",
    "build_pairs": "training",
    "check_vectors": "trait_vectors",
    "compare_conditions": "compare",
    "extract_vector": "trait_vectors",
    "calibrate_judge": "calibration",
    "compare_judges": "calibration",
    "import_responses": "importing",
    "judge_responses": "judge",
    "load_bank": "bank",
    "load_scores": "scores",
    "run_demo": "demo",
    "sample_prompts": "sample",
    "study_statistics": "stats",
    "train_dpo": "training",
}

__all__ = [
    "Aggregate",
    "Calibration",
    "Comparison",
    "JudgeComparison",
    "PrefbenchError",
    "PromptItem",
    "ResponseRecord",
    "ScoredRecord",
    "Statistics",
    "aggregate_scores",
    "build_pairs",
    "calibrate_judge",
    "check_vectors",
    "compare_conditions",
    "compare_judges",
    "extract_vector",
    "import_responses",
    "judge_responses",
    "load_bank",
    "load_scores",
    "run_demo",
    "sample_prompts",
    "study_statistics",
    "train_dpo",
]

if TYPE_CHECKING:
    from prefbench.aggregate import Aggregate, aggregate_scores
    from prefbench.bank import load_bank
    from prefbench.calibration import Calibration, JudgeComparison, calibrate_judge, compare_judges
    from prefbench.compare import Comparison, compare_conditions
    from prefbench.demo import run_demo
    from prefbench.errors import PrefbenchError
    from prefbench.importing import import_responses
    from prefbench.judge import judge_responses
    from prefbench.records import PromptItem, ResponseRecord, ScoredRecord
    from prefbench.sample import sample_prompts
    from prefbench.scores import load_scores
    from prefbench.stats import Statistics, study_statistics
    from prefbench.training import build_pairs, train_dpo
    from prefbench.trait_vectors import check_vectors, extract_vector


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
