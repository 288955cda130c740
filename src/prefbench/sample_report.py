"""What a call of `prefbench sample` did, condition by condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefbench.errors import BackendError


@dataclass(slots=True)
class ConditionReport:
    """What sampling one condition came to, in response records."""

    condition: str
    folder: Path
    written: int = 0
    kept: int = 0
    """Records that were there before."""
    failed: int = 0
    first_error: str | None = None
    tokens: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class SampleReport:
    """What a call of `sample_prompts` did."""

    study: Path
    backend: str
    backend_reason: str
    conditions: list[ConditionReport] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        rows = [{**asdict(report), "folder": str(report.folder)} for report in self.conditions]
        return {
            "study": str(self.study),
            "backend": self.backend,
            "backend_reason": self.backend_reason,
            "conditions": rows,
        }


class MissingAnswersError(BackendError):
    """Some prompts have no answers; `report` says what was written."""

    def __init__(self, report: SampleReport) -> None:
        super().__init__(_describe_failures([each for each in report.conditions if each.failed]))
        self.report = report


def _describe_failures(failed: Sequence[ConditionReport]) -> str:
    """Return one line for the prompts that have no answers."""
    total = sum(report.failed for report in failed)
    first = failed[0]
    files = ", ".join(str(report.folder / "errors.jsonl") for report in failed)
    return (
        f"{'1 prompt has' if total == 1 else f'{total} prompts have'} no answers (first: {first.first_error}); "
        f"all are in {files}; the other records are written, and the same command tries the missing ones again"
    )
