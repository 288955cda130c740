"""Blocks and a design in, tables of effects out: main effects, interaction, simple effects, by domain, with checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks
from prefbench.effects import make_table
from prefbench.factors import Design
from prefbench.statistics import (
    BinomialFit,
    Contrast,
    Correction,
    Estimate,
    adjust_p_values,
    bootstrap_contrasts,
    contrast_estimate,
    fit_binomial,
    fit_linear,
    mean_difference,
    sign_flip_p,
    welch_anova,
)

if TYPE_CHECKING:
    import polars as pl

EFFECT_COLUMNS: dict[str, Any] = {
    "name": str,
    "kind": str,
    "scale": str,
    "estimate": float,
    "low": float,
    "high": float,
    "p": float,
    "p_adjusted": float,
    "n": int,
    "n_missing": int,
    "method": str,
}
BOOTSTRAP_DRAWS = 2_000


def estimate_effect(blocks: Blocks, contrast: Contrast, *, level: float = 0.95) -> Estimate:
    """Return a contrast on the probability scale: paired within prompts, or by fixed effects where cells are missing.

    With all cells of the conditions that the contrast uses: one contrast a prompt (temperatures averaged),
    t with prompts - domains. Otherwise least squares with an intercept for every prompt and temperature, CR1.
    Raises ValueError if neither can be had.
    """
    used = contrast.weights != 0
    if np.isfinite(blocks.rates[:, used]).all():
        return paired_effect(blocks, contrast, level=level)
    return linear_effect(blocks, contrast, level=level)


def paired_effect(blocks: Blocks, contrast: Contrast, *, level: float = 0.95) -> Estimate:
    """Return the mean per-prompt contrast over the blocks that have all its conditions, within domains."""
    return mean_difference(
        prompt_contrasts(blocks, contrast),
        strata=blocks.domain,
        bound=float(contrast.weights.clip(min=0).sum()),
        level=level,
        name=contrast.name,
    )


def prompt_contrasts(blocks: Blocks, contrast: Contrast) -> Any:
    """Return each prompt's contrast (n,), over the blocks that have all conditions it uses; NaN without one."""
    used = contrast.weights != 0
    return blocks.prompt_means(blocks.rates[:, used] @ contrast.weights[used])


def linear_effect(blocks: Blocks, contrast: Contrast, *, level: float = 0.95) -> Estimate:
    """Return the contrast by least squares with an intercept for every block, errors clustered by prompt."""
    used = np.flatnonzero(contrast.weights)
    rates = blocks.rates[:, used]
    rows, columns = np.indices(rates.shape)
    fit = fit_linear(
        rates.ravel(),
        columns.ravel(),
        rows.ravel(),
        clusters=blocks.prompt[rows.ravel()],
        cell_names=[blocks.conditions[place] for place in used],
    )
    return contrast_estimate(fit, contrast.weights[used], level=level, name=contrast.name)


def fit_logistic(blocks: Blocks) -> BinomialFit:
    """Return the binomial GLM of all conditions with domain and temperature added on the logit scale."""
    rows, columns = (each.ravel() for each in np.indices(blocks.yes.shape))
    domain, temperature = blocks.domain[blocks.prompt[rows]], blocks.temperature[rows]
    present = np.nan_to_num(blocks.readable).ravel() > 0
    several = [column for column in (domain, temperature) if np.unique(column[present]).size > 1]
    return fit_binomial(
        blocks.yes.ravel(),
        np.nan_to_num(blocks.readable).ravel(),
        columns,
        clusters=blocks.prompt[rows],
        categories=several,
        cell_names=blocks.conditions,
    )


def effect_table(blocks: Blocks, design: Design, *, level: float, correction: Correction) -> pl.DataFrame:
    """Return every contrast of the design on the probability scale, then as log odds ratios.

    p is adjusted over the main effects and interactions of a scale, and over its simple effects.
    """
    rows = [
        effect_row(contrast, lambda each=contrast: estimate_effect(blocks, each, level=level))
        for contrast in design.contrasts
    ]
    rows += _model_rows(blocks, design.contrasts, level=level, scale="log_odds")
    return adjust_families(make_table(rows, EFFECT_COLUMNS), ("scale", "family"), correction)


def check_table(blocks: Blocks, design: Design, *, level: float, seed: int) -> pl.DataFrame:
    """Return the same contrasts by other methods: both linear forms, g-computation, bootstrap, sign flips."""
    rows = []
    for contrast in design.contrasts:
        for method in (paired_effect, linear_effect):
            rows.append(effect_row(contrast, lambda each=contrast, f=method: f(blocks, each, level=level)))
        differences = prompt_contrasts(blocks, contrast)
        if np.isfinite(differences).any():
            row: dict[str, Any] = {"name": contrast.name, "kind": contrast.kind, "scale": "rate_difference"}
            row |= {"estimate": float(np.nanmean(differences)), "p": sign_flip_p(differences, seed=seed)}
            known = int(np.isfinite(differences).sum())
            rows.append(row | {"n": known, "n_missing": blocks.prompts - known, "method": "sign_flip"})
    rows += _model_rows(blocks, design.contrasts, level=level, scale="rate_difference")
    rows += _bootstrap_rows(blocks, design.contrasts, level=level, seed=seed)
    columns = {name: kind for name, kind in EFFECT_COLUMNS.items() if name != "p_adjusted"}
    order = {contrast.name: place for place, contrast in enumerate(design.contrasts)}
    return make_table(sorted(rows, key=lambda row: order[row["name"]]), columns)


def domain_effect_table(
    blocks: Blocks, design: Design, *, level: float, correction: Correction
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return each effect in each domain, p adjusted over the domains; and Welch's test that domains share it.

    The effects are the main effects and interactions, or all contrasts where there are none of these.
    """
    domains = np.unique(blocks.domain).tolist()
    contrasts = design.whole or design.contrasts
    rows, tests = [], []
    for contrast in contrasts if len(domains) > 1 else ():
        groups = []
        for domain in domains:
            part = blocks.select(domain)
            groups.append(prompt_contrasts(part, contrast))
            found = effect_row(contrast, lambda p=part, c=contrast: estimate_effect(p, c, level=level))
            rows.append({"domain": domain, **found})
        tests.append(_heterogeneity(contrast, groups))
    table = make_table(rows, {"domain": str, **EFFECT_COLUMNS})
    kinds = {
        "name": str,
        "n_domains": int,
        "smallest": float,
        "largest": float,
        "statistic": float,
        "p": float,
    }
    test_table = make_table(tests, kinds | {"p_adjusted": float, "method": str}, correction=correction)
    return adjust_families(table, ("name",), correction), test_table


def adjust_families(table: pl.DataFrame, keys: Sequence[str], correction: Correction) -> pl.DataFrame:
    """Return the table with p adjusted within the families that the keys tell apart.

    The key `family` parts simple effects, and other kinds, from main effects and interactions.
    """
    import polars as pl

    if table.is_empty():
        return table
    whole = pl.col("kind").is_in(["main", "interaction"])
    marked = table.with_columns(
        family=pl.when(whole).then(pl.lit("whole")).otherwise(pl.col("kind"))
    ).with_row_index("row")
    parts = []
    for part in marked.partition_by(list(keys), maintain_order=True):
        adjusted = adjust_p_values(part["p"].cast(pl.Float64).to_numpy(), correction)
        parts.append(part.with_columns(p_adjusted=pl.Series(adjusted).fill_nan(None)))
    return pl.concat(parts).sort("row").drop("row", "family")


def effect_row(contrast: Contrast, estimate: Any, *, scale: str = "rate_difference") -> dict[str, Any]:
    """Return a row of an estimate; where it cannot be had, of nulls and the reason."""
    row: dict[str, Any] = {"name": contrast.name, "kind": contrast.kind, "scale": scale}
    try:
        found: Estimate = estimate()
    except ValueError as error:
        return row | {"method": f"none: {error}"}
    fields = ("estimate", "low", "high", "p", "n", "n_missing", "method", "scale")
    return row | {name: getattr(found, name) for name in fields}


def _model_rows(
    blocks: Blocks, contrasts: Sequence[Contrast], *, level: float, scale: str
) -> list[dict[str, Any]]:
    try:
        model = fit_logistic(blocks)
        fit = model.log_odds() if scale == "log_odds" else model.standardise()
    except ValueError as error:
        reason = f"none: {error}"
        return [
            {"name": each.name, "kind": each.kind, "scale": scale, "method": reason} for each in contrasts
        ]
    missing = blocks.prompts - fit.n
    return [
        effect_row(
            each, lambda c=each: contrast_estimate(fit, c.weights, level=level, name=c.name), scale=scale
        )
        | {"n_missing": missing}
        for each in contrasts
    ]


def _bootstrap_rows(
    blocks: Blocks, contrasts: Sequence[Contrast], *, level: float, seed: int
) -> list[dict[str, Any]]:
    if not contrasts:
        return []
    rates = blocks.prompt_means(blocks.rates)
    try:
        found = bootstrap_contrasts(
            rates, contrasts, strata=blocks.domain, draws=BOOTSTRAP_DRAWS, level=level, seed=seed
        )
    except ValueError as error:
        found_rows = [{"method": f"none: {error}"} for _ in contrasts]
    else:
        fields = ("estimate", "low", "high", "p", "n", "n_missing", "method")
        found_rows = [{name: getattr(each, name) for name in fields} for each in found]
    return [
        {"name": each.name, "kind": each.kind, "scale": "rate_difference", **row}
        for each, row in zip(contrasts, found_rows, strict=True)
    ]


def _heterogeneity(contrast: Contrast, groups: Sequence[Any]) -> dict[str, Any]:
    means = [float(np.nanmean(group)) for group in groups if np.isfinite(group).any()]
    row: dict[str, Any] = {"name": contrast.name, "n_domains": len(means)}
    if means:
        row["smallest"], row["largest"] = min(means), max(means)
    try:
        test = welch_anova(groups)
    except ValueError as error:
        return row | {"method": f"none: {error}"}
    return row | {"statistic": test.statistic, "p": test.p, "method": "welch_anova"}
