"""From a judgement to the lines on disk: the published fields, and what more is worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefbench.judges import Judgement
from prefbench.judges.content import choice_agreement, content_agreement
from prefbench.records import ResponseRecord, ScoredRecord, format_temperature
from prefbench.statistics import (
    DEFAULT_THRESHOLDS,
    ConsistencyDefinition,
    LabelThresholds,
    label_record,
    record_consistency,
)


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """How counts become the label and the consistency of a scored record."""

    consistency: ConsistencyDefinition = "max_share"
    thresholds: LabelThresholds = DEFAULT_THRESHOLDS

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as the manifest names it."""
        return {"consistency": self.consistency, "label_thresholds": self.thresholds.to_dict()}


DEFAULT_RULE = ScoringRule()


def make_score(
    record: ResponseRecord, judgement: Judgement, *, condition: str, rule: ScoringRule = DEFAULT_RULE
) -> ScoredRecord:
    """Return the scored record, in the published fields, for one judgement.

    Raises ValueError if the judgement is not of this record.
    """
    if judgement.key != record.key or len(judgement.verdicts) != record.n_samples:
        raise ValueError(
            f"judgement of {judgement.key} with {len(judgement.verdicts)} verdicts for {record.key}"
        )
    yes, no = judgement.verdicts.count("Y"), judgement.verdicts.count("N")
    return ScoredRecord(
        id=record.id,
        domain=record.domain,
        prompt=record.prompt,
        condition=condition,
        temperature=format_temperature(record.temperature),
        preference_count=yes,
        no_preference_count=no,
        consistency=record_consistency(yes, no, rule.consistency),
        label=label_record(yes, no, rule.thresholds),
        preference_summary=judgement.summary,
        raw_judgments=list(judgement.verdicts),
    )


def make_details(record: ResponseRecord, judgement: Judgement) -> dict[str, Any]:
    """Return the sidecar line for one judgement: choices, reasons, and how far the answers agree in content."""
    texts = [response.text for response in record.responses]
    return {
        "id": record.id,
        "domain": record.domain,
        "temperature": format_temperature(record.temperature),
        "choices": list(judgement.choices),
        "reasons": list(judgement.reasons),
        "choice_agreement": choice_agreement(
            [
                choice
                for choice, verdict in zip(judgement.choices, judgement.verdicts, strict=True)
                if verdict == "Y"
            ]
        ),
        "content_agreement": content_agreement(texts, judgement.choices),
        "details": judgement.details,
    }
