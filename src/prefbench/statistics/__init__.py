"""Arrays in, estimates out: intervals, paired differences, designs, corrections, power. numpy and scipy only."""

from prefbench.statistics.agreement import (
    Agreement,
    Constant,
    Kappa,
    best_constant,
    cohens_kappa,
    confusion_matrix,
    estimate_agreement,
    gwets_ac1,
    krippendorffs_alpha,
)
from prefbench.statistics.bootstrap import (
    bca_limits,
    cluster_sums,
    jackknife_totals,
    resampled_totals,
)
from prefbench.statistics.clustered import (
    CellFit,
    WaldTest,
    cell_estimate,
    contrast_equivalence,
    contrast_estimate,
    to_log_odds,
    wald_test,
)
from prefbench.statistics.consistency import (
    CONSISTENCY_DEFINITIONS,
    DEFAULT_THRESHOLDS,
    ConsistencyDefinition,
    LabelThresholds,
    label_record,
    max_share,
    pairwise_agreement,
    record_consistency,
    simpson_agreement,
)
from prefbench.statistics.correction import (
    CORRECTIONS,
    Correction,
    adjust_p_values,
    benjamini_hochberg,
    holm,
)
from prefbench.statistics.effect_sizes import (
    EffectSizes,
    describe_effect,
)
from prefbench.statistics.estimate import (
    FIELDS as ESTIMATE_FIELDS,
)
from prefbench.statistics.estimate import (
    Estimate,
    Target,
)
from prefbench.statistics.factorial import (
    Contrast,
    ContrastKind,
    factorial_contrasts,
    paired_cells,
    paired_contrast,
)
from prefbench.statistics.human_labels import (
    CorrectedFit,
    LabelledAnswers,
    ppi_cells,
)
from prefbench.statistics.icc import (
    VarianceShares,
    anova_icc,
    variance_shares,
)
from prefbench.statistics.independent import (
    AnovaTest,
    independent_difference,
    welch_anova,
)
from prefbench.statistics.intervals import (
    effective_size,
    effective_wilson,
    normal_quantile,
    t_quantile,
    wilson_interval,
)
from prefbench.statistics.judge_errors import (
    JudgeErrors,
    estimate_judge_errors,
    rogan_gladen_cells,
)
from prefbench.statistics.linear import (
    fit_linear,
)
from prefbench.statistics.logistic import (
    BinomialFit,
    fit_binomial,
)
from prefbench.statistics.mcnemar import (
    MCNEMAR_METHODS,
    McNemarMethod,
    McNemarTest,
    clopper_pearson,
    mcnemar_test,
)
from prefbench.statistics.missing import (
    Bounds,
    worst_case_difference,
    worst_case_rate,
)
from prefbench.statistics.paired import (
    Equivalence,
    cohens_h,
    mean_difference,
    odds_ratio,
    paired_difference,
    paired_equivalence,
    sign_flip_asymptotic_p,
    sign_flip_p,
)
from prefbench.statistics.power import (
    ContrastVariance,
    StudySize,
    cheapest_designs,
    contrast_variance,
    detection_power,
    fewest_prompts,
    smallest_effect,
)
from prefbench.statistics.rates import (
    Moments,
    cell_rate,
    fixed_prompts_rate,
    logit_t_rate,
    mean_rate,
    sampling_limits,
    stratified_moments,
    wilson_rate,
)
from prefbench.statistics.resampling import (
    bootstrap_contrasts,
    bootstrap_rate,
)
from prefbench.statistics.temperature import (
    TemperatureTrend,
    temperature_trend,
    trend_of_cells,
)
from prefbench.statistics.trends import (
    ProfileTest,
    clustered_slope,
    equal_profile,
)

__all__ = [
    "CONSISTENCY_DEFINITIONS",
    "CORRECTIONS",
    "DEFAULT_THRESHOLDS",
    "ESTIMATE_FIELDS",
    "MCNEMAR_METHODS",
    "Agreement",
    "AnovaTest",
    "BinomialFit",
    "Bounds",
    "CellFit",
    "ConsistencyDefinition",
    "Constant",
    "Contrast",
    "ContrastKind",
    "ContrastVariance",
    "CorrectedFit",
    "Correction",
    "EffectSizes",
    "Equivalence",
    "Estimate",
    "JudgeErrors",
    "Kappa",
    "LabelThresholds",
    "LabelledAnswers",
    "McNemarMethod",
    "McNemarTest",
    "Moments",
    "ProfileTest",
    "StudySize",
    "Target",
    "TemperatureTrend",
    "VarianceShares",
    "WaldTest",
    "adjust_p_values",
    "anova_icc",
    "bca_limits",
    "benjamini_hochberg",
    "best_constant",
    "bootstrap_contrasts",
    "bootstrap_rate",
    "cell_estimate",
    "cell_rate",
    "cheapest_designs",
    "clopper_pearson",
    "cluster_sums",
    "clustered_slope",
    "cohens_h",
    "cohens_kappa",
    "confusion_matrix",
    "contrast_equivalence",
    "contrast_estimate",
    "contrast_variance",
    "describe_effect",
    "detection_power",
    "effective_size",
    "effective_wilson",
    "equal_profile",
    "estimate_agreement",
    "estimate_judge_errors",
    "factorial_contrasts",
    "fewest_prompts",
    "fit_binomial",
    "fit_linear",
    "fixed_prompts_rate",
    "gwets_ac1",
    "holm",
    "independent_difference",
    "jackknife_totals",
    "krippendorffs_alpha",
    "label_record",
    "logit_t_rate",
    "max_share",
    "mcnemar_test",
    "mean_difference",
    "mean_rate",
    "normal_quantile",
    "odds_ratio",
    "paired_cells",
    "paired_contrast",
    "paired_difference",
    "paired_equivalence",
    "pairwise_agreement",
    "ppi_cells",
    "record_consistency",
    "resampled_totals",
    "rogan_gladen_cells",
    "sampling_limits",
    "sign_flip_asymptotic_p",
    "sign_flip_p",
    "simpson_agreement",
    "smallest_effect",
    "stratified_moments",
    "t_quantile",
    "temperature_trend",
    "to_log_odds",
    "trend_of_cells",
    "variance_shares",
    "wald_test",
    "welch_anova",
    "wilson_interval",
    "wilson_rate",
    "worst_case_difference",
    "worst_case_rate",
]
