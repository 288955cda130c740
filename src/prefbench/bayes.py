"""Scores and a design in; a Bayesian check of the main effects and interactions beside the default estimates out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.blocks import Blocks, make_blocks
from prefbench.cells import rate_cells
from prefbench.effects import make_table
from prefbench.errors import ConfigError
from prefbench.factors import Design
from prefbench.progress import Progress, Silent
from prefbench.statistics.chains import LARGEST_R_HAT, LEAST_ESS, ChainDiagnostics, diagnose_chains
from prefbench.statistics.hierarchical import (
    CHUNK,
    HierarchicalData,
    HierarchicalFit,
    check_installed,
    estimate_seconds,
    fit_hierarchical,
)
from prefbench.treatments import EFFECT_COLUMNS, effect_table

if TYPE_CHECKING:
    import polars as pl

DRAWS = 1_000
WARMUP = 1_000
_DEFAULTS = {"": "estimate", "_low": "low", "_high": "high"}
COLUMNS: dict[str, Any] = {name: kind for name, kind in EFFECT_COLUMNS.items() if name != "p_adjusted"} | {
    "p_direction": float,
    "r_hat": float,
    "ess_bulk": float,
    "ess_tail": float,
    "default": float,
    "default_low": float,
    "default_high": float,
}


def bayes_table(
    frame: pl.DataFrame,
    design: Design,
    *,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
    warmup: int = WARMUP,
    progress: Progress | None = None,
) -> tuple[pl.DataFrame, list[str]]:
    """Return a row an effect and scale with its posterior mean and interval, and notes; no rows if the chains failed.

    On the probability scale an effect is that on the rate averaged over prompts like these; on the logit scale
    (`log_odds`) it is that on a typical prompt, which is larger than the default's, marginal one. `p` is null:
    `p_direction` is the posterior probability that the effect has the sign of its estimate. `default` and its
    limits are those of `study_statistics`. R-hat above 1.01, an effective size below 400 or a divergence: no
    numbers, and the note says which.

    Raises ConfigError for a design without all combinations of its factors or for too few draws, MissingExtraError
    without numpyro.
    """
    told = progress or Silent()
    if not design.whole:
        raise ConfigError(
            "--bayes is for main effects and interactions, and these conditions have not all combinations of "
            "their treatments: name them with --factors, or leave --bayes out"
        )
    if draws < CHUNK or warmup < CHUNK:
        raise ConfigError(f"{draws} draws after {warmup}: give {CHUNK} or more of each")
    check_installed()
    blocks = make_blocks(rate_cells(frame), design.conditions)
    data, missing = _data(blocks, design)
    seconds = estimate_seconds(data, draws=draws, warmup=warmup)
    told.start(f"Bayesian check, about {_rounded(seconds)}", draws + warmup)
    fit = fit_hierarchical(data, seed=seed, draws=draws, warmup=warmup, advance=told.advance)
    quantities = _quantities(fit, design)
    diagnostics = {name: diagnose_chains(values) for name, values in (fit.parameters | quantities).items()}
    if faults := find_faults(diagnostics, fit.divergences):
        note = f"no Bayesian estimate: {'; '.join(faults)}: give more draws (--bayes-draws), or more prompts"
        return make_table([], COLUMNS), [note]
    defaults = {
        (row["name"], row["scale"]): row
        for row in effect_table(blocks, design, level=level, correction="none").to_dicts()
    }
    rows = []
    for scale in ("rate_difference", "log_odds"):
        for contrast in design.whole:
            name = f"{contrast.name} ({scale})"
            row = _row(quantities[name], diagnostics[name], level=level)
            default = defaults[contrast.name, scale]
            row |= {f"default{end}": default[key] for end, key in _DEFAULTS.items()}
            counts = {"n": len(data.domain), "n_missing": missing}
            rows.append({"name": contrast.name, "kind": contrast.kind, "scale": scale, **counts, **row})
    note = (
        f"the Bayesian check is four chains of {draws:,} draws, {fit.seconds:.0f} s; its log odds are those of a "
        "typical prompt, the default's are averaged over prompts and so nearer to zero"
    )
    return make_table(rows, COLUMNS), [note]


def find_faults(diagnostics: dict[str, ChainDiagnostics], divergences: int) -> list[str]:
    """Return what forbids to use the draws: the worst R-hat, the least effective size, divergences."""
    faults = []
    worst = max(diagnostics, key=lambda name: diagnostics[name].r_hat)
    if diagnostics[worst].r_hat > LARGEST_R_HAT:
        faults.append(f"R-hat of {worst} is {diagnostics[worst].r_hat:.3f}, above {LARGEST_R_HAT}")
    for kind in ("ess_bulk", "ess_tail"):
        least = min(diagnostics, key=lambda name: getattr(diagnostics[name], kind))
        size = getattr(diagnostics[least], kind)
        if size < LEAST_ESS:
            faults.append(
                f"the {kind.removeprefix('ess_')} ESS of {least} is {size:.0f}, below {LEAST_ESS:.0f}"
            )
    if divergences:
        faults.append(f"{divergences} divergences")
    return faults


def _data(blocks: Blocks, design: Design) -> tuple[HierarchicalData, int]:
    """Return the counts of the prompts that have any, and how many have none."""
    yes, trials = blocks.by_temperature()
    kept = trials.sum(axis=(1, 2)) > 0
    _, domain = np.unique(blocks.domain[kept], return_inverse=True)
    weights = np.stack([contrast.weights for contrast in design.whole])
    data = HierarchicalData(
        yes=np.nan_to_num(yes[kept]), trials=trials[kept], weights=weights, domain=domain.astype(np.intp)
    )
    return data, int((~kept).sum())


def _quantities(fit: HierarchicalFit, design: Design) -> dict[str, Any]:
    found = {f"{each.name} (rate_difference)": fit.rates @ each.weights for each in design.whole}
    names = (f"{each.name} (log_odds)" for each in design.whole)
    return found | {name: fit.log_odds[:, :, place] for place, name in enumerate(names)}


def _row(draws: Any, found: ChainDiagnostics, *, level: float) -> dict[str, Any]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    estimate = float(draws.mean())
    same_sign = float((draws > 0).mean() if estimate > 0 else (draws < 0).mean())
    return {
        "estimate": estimate,
        "low": float(low),
        "high": float(high),
        "p_direction": same_sign,
        "method": "bayes_hierarchical",
        **found._asdict(),
    }


def _rounded(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{10 * round(seconds / 10):.0f} s"
