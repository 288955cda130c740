"""The offline judge: response records in, verdicts from the wording alone, no model and no network."""

from prefbench.judges.lexical.judge import LexicalJudge

__all__ = ["LexicalJudge"]
