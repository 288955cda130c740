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
from prefbench.statistics.correction import (
    CORRECTIONS,
    Correction,
    adjust_p_values,
    benjamini_hochberg,
    holm,
)
from prefbench.statistics.estimate import Estimate
from prefbench.statistics.independent import AnovaTest, independent_difference, welch_anova
from prefbench.statistics.intervals import (
    effective_size,
    effective_wilson,
    normal_quantile,
    t_quantile,
    wilson_interval,
)
from prefbench.statistics.missing import Bounds, worst_case_difference, worst_case_rate
from prefbench.statistics.paired import (
    Equivalence,
    cohens_h,
    mean_difference,
    odds_ratio,
    paired_difference,
    paired_equivalence,
    sign_flip_p,
)
from prefbench.statistics.rates import (
    Moments,
    cell_rate,
    fixed_prompts_rate,
    mean_rate,
    sampling_limits,
    stratified_moments,
    wilson_rate,
)

__all__ = [
    "CONSISTENCY_DEFINITIONS",
    "CORRECTIONS",
    "DEFAULT_THRESHOLDS",
    "AnovaTest",
    "Bounds",
    "ConsistencyDefinition",
    "Correction",
    "Equivalence",
    "Estimate",
    "LabelThresholds",
    "Moments",
    "adjust_p_values",
    "benjamini_hochberg",
    "cell_rate",
    "cohens_h",
    "effective_size",
    "effective_wilson",
    "fixed_prompts_rate",
    "holm",
    "independent_difference",
    "label_record",
    "max_share",
    "mean_difference",
    "mean_rate",
    "normal_quantile",
    "odds_ratio",
    "paired_difference",
    "paired_equivalence",
    "pairwise_agreement",
    "record_consistency",
    "sampling_limits",
    "sign_flip_p",
    "stratified_moments",
    "t_quantile",
    "welch_anova",
    "wilson_interval",
    "wilson_rate",
    "worst_case_difference",
    "worst_case_rate",
]
