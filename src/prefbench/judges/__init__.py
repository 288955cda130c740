"""What turns a response record into verdicts: the Judge protocol and the registry of judges."""

from prefbench.judges.base import Judge, Judgement

__all__ = ["Judge", "Judgement"]
