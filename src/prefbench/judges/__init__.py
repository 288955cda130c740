"""What turns a response record into verdicts: the Judge protocol and the registry of judges."""

from prefbench.judges.base import Judge, Judgement
from prefbench.judges.registry import JUDGES, open_judge

__all__ = ["JUDGES", "Judge", "Judgement", "open_judge"]
