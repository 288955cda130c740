"""Arrays in, estimates out: intervals, paired differences, corrections, consistency. numpy and scipy only."""

from prefbench.statistics.consistency import (
    CONSISTENCY_DEFINITIONS,
    DEFAULT_THRESHOLDS,
    ConsistencyDefinition,
    LabelThresholds,
    label_record,
    max_share,
    pairwise_agreement,
    record_consistency,
)

__all__ = [
    "CONSISTENCY_DEFINITIONS",
    "DEFAULT_THRESHOLDS",
    "ConsistencyDefinition",
    "LabelThresholds",
    "label_record",
    "max_share",
    "pairwise_agreement",
    "record_consistency",
]
