"""What turns a response record into verdicts: the Judge protocol and the registry of judges."""

from prefbench.judges.base import Judge, Judgement, WorkingJudge, Workplace
from prefbench.judges.places import live_items
from prefbench.judges.registry import JUDGES, open_judge

__all__ = ["JUDGES", "Judge", "Judgement", "WorkingJudge", "Workplace", "live_items", "open_judge"]
