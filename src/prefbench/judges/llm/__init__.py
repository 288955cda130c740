"""Judges that are a model: a rubric and a backend."""

from prefbench.judges.llm.judge import ModelJudge

__all__ = ["ModelJudge"]
