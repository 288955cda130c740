"""Gold rows with a judge's verdicts in; tables of agreement, position and length out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.calibration.gold import GoldRow
from prefbench.records import Verdict
from prefbench.statistics import (
    Agreement,
    Estimate,
    best_constant,
    clustered_slope,
    equal_profile,
    estimate_agreement,
    mean_difference,
)

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CODES: Mapping[Verdict | None, float] = {"Y": 1.0, "N": 0.0, None: float("nan")}
RATINGS = ("accuracy", "kappa", "ac1", "alpha", "sensitivity", "specificity")
GROUPS = ("condition", "domain")


def code_verdicts(verdicts: Iterable[Verdict | None]) -> Array:
    """Return 1 for Y, 0 for N, NaN for a missing verdict."""
    return np.array([CODES[verdict] for verdict in verdicts], dtype=float)


def make_frame(lines: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return a frame of figures; a column in which all are missing is one of numbers too."""
    import polars as pl

    frame = pl.DataFrame(lines, infer_schema_length=None)
    return frame.with_columns(pl.col(pl.Null).cast(pl.Float64))


def number_names(names: Iterable[str]) -> NDArray[np.intp]:
    """Return the place of each name among the sorted names; an array of long texts would be as wide as the longest."""
    listed = list(names)
    order = {name: number for number, name in enumerate(sorted(set(listed)))}
    return np.array([order[name] for name in listed], dtype=np.intp)


def agreement_table(
    rows: Sequence[GoldRow], found: Array, *, level: float, draws: int, seed: int
) -> pl.DataFrame:
    """Return agreement with the gold labels: all rows, then by condition and by domain where there are several.

    Columns: by, group; n_labels, n_prompts, n_missing (labels without a verdict); base_rate (share of Y in the
    labels that have a verdict), judge_rate; constant, constant_accuracy, constant_ac1 (the best answer that never
    changes; its kappa is 0); accuracy, kappa, ac1, alpha, sensitivity, specificity, each with _low and _high.
    """

    truth = np.array([row.truth for row in rows], dtype=float)
    clusters = number_names(row.cluster for row in rows)
    groups: list[tuple[str, str, Array]] = [("all", "all", np.ones(len(rows), dtype=bool))]
    for by in GROUPS:
        names = np.array([getattr(row, by) for row in rows], dtype=object).astype(str)
        several = sorted(set(names.tolist()))
        groups += [(by, name, names == name) for name in several if len(several) > 1]
    options = {"level": level, "draws": draws, "seed": seed}
    lines = [
        {"by": by, "group": name, **_measure(truth[mask], found[mask], clusters[mask], options)}
        for by, name, mask in groups
    ]
    return make_frame(lines)


def _measure(truth: Array, found: Array, clusters: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    both = np.isfinite(found)
    pairs, prompts = np.column_stack([truth, found])[both], clusters[both]
    line: dict[str, Any] = {
        "n_labels": len(truth),
        "n_prompts": int(np.unique(prompts).size),
        "n_missing": int((~both).sum()),
        "base_rate": float(pairs[:, 0].mean()) if len(pairs) else None,
        "judge_rate": float(pairs[:, 1].mean()) if len(pairs) else None,
    }
    constant = best_constant(pairs[:, 0]) if len(pairs) else None
    line["constant"] = None if constant is None else "NY"[constant.category]
    line["constant_accuracy"] = None if constant is None else constant.share
    line["constant_ac1"] = None if constant is None else constant.ac1
    overall = estimate_agreement(pairs, prompts, **options)
    estimates = {
        "accuracy": overall.observed,
        "kappa": overall.kappa,
        "ac1": overall.ac1,
        "alpha": overall.alpha,
    }
    for name, value in (("sensitivity", 1.0), ("specificity", 0.0)):
        mask = pairs[:, 0] == value
        estimates[name] = estimate_agreement(pairs[mask], prompts[mask], **options).observed
    for name in RATINGS:
        line |= spread_estimate(name, estimates[name])
    return line


def spread_estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return {name, name_low, name_high} of an estimate; all None where there is none."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def confusion_table(rows: Sequence[GoldRow], verdicts: Sequence[Verdict | None]) -> pl.DataFrame:
    """Return counts: one row for each label, columns label, Y, N, missing (the judge's verdicts)."""
    import polars as pl

    counts = Counter(zip(("Y" if row.truth else "N" for row in rows), verdicts, strict=True))
    return pl.DataFrame(
        [
            {"label": label, "Y": counts[label, "Y"], "N": counts[label, "N"], "missing": counts[label, None]}
            for label in ("Y", "N")
        ]
    )


def position_tables(
    verdicts: Array, prompts: Sequence[str], *, level: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return how a judge's verdicts go with the place of a response in its record, from (records, n) codes.

    The answers to one prompt are drawn alike, so on average the tenth is like the first: what differs is the
    judge. First table: position (from 1), rate of Y, n, n_missing. Second: the slope within records, pooled in each
    prompt, with a t interval over prompts, and the same over the whole record (`last_minus_first`); Hotelling's F that
    all positions have one rate (`p_any`), over records without a missing verdict.
    """
    import polars as pl

    present = np.isfinite(verdicts)
    n = present.sum(axis=0)
    rate = np.where(present, verdicts, 0.0).sum(axis=0) / np.maximum(n, 1)
    profile = pl.DataFrame(
        {
            "position": np.arange(1, verdicts.shape[1] + 1),
            "rate": [float(value) if count else None for value, count in zip(rate, n, strict=True)],
            "n": n,
            "n_missing": len(verdicts) - n,
        },
        schema_overrides={"rate": pl.Float64},
    )
    index = number_names(prompts)
    slope = _slope_over_prompts(verdicts, index, level=level)
    try:
        test = equal_profile(_mean_by(_centred(verdicts), index))
    except ValueError:  # too few prompts, or no verdict that differs: the columns are empty
        test = None
    span = verdicts.shape[1] - 1
    line: dict[str, Any] = {"n_prompts": 0 if slope is None else slope.n, **spread_estimate("slope", slope)}
    whole = [None if value is None else span * value for value in list(line.values())[1:]]
    line |= dict(
        zip(("last_minus_first", "last_minus_first_low", "last_minus_first_high"), whole, strict=True)
    )
    line |= {"p_slope": slope.p if slope else None, "f": test.statistic if test else None}
    line |= {"df": test.df if test else None, "df_error": test.df_error if test else None}
    return profile, make_frame([{**line, "p_any": test.p if test else None}])


def _slope_over_prompts(verdicts: Array, index: NDArray[np.intp], *, level: float) -> Estimate | None:
    """Return the mean over prompts of the least-squares slope of verdict on position, within records."""
    present = np.isfinite(verdicts)
    places = np.broadcast_to(np.arange(verdicts.shape[1], dtype=float), verdicts.shape)
    x = np.where(present, places - _row_means(np.where(present, places, np.nan)), 0.0)
    y = np.where(present, verdicts - _row_means(verdicts), 0.0)
    moved, spread = np.bincount(index, (x * y).sum(axis=1)), np.bincount(index, (x * x).sum(axis=1))
    slopes = np.full(spread.shape, np.nan)
    np.divide(moved, spread, out=slopes, where=spread > 0)
    if np.isfinite(slopes).sum() < 2:
        return None
    return mean_difference(slopes, level=level, name="slope")


def _row_means(values: Array) -> Array:
    present = np.isfinite(values)
    means: Array = np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return means[:, None]


def _centred(verdicts: Array) -> Array:
    """Return verdicts less their record's mean; a record with a missing verdict is NaN throughout."""
    complete = verdicts[:, :] - verdicts.mean(axis=1, keepdims=True)
    return np.where(np.isfinite(verdicts).all(axis=1, keepdims=True), complete, np.nan)


def _mean_by(values: Array, index: NDArray[np.intp]) -> Array:
    """Return the mean over each group's rows that hold no NaN; NaN for a group without any."""
    usable = np.isfinite(values).all(axis=1)
    groups = int(index.max()) + 1 if index.size else 0
    size = np.bincount(index[usable], minlength=groups)
    sums = [np.bincount(index[usable], column, minlength=groups) for column in values[usable].T]
    means = np.full((groups, values.shape[1]), np.nan)
    np.divide(np.array(sums).T, size[:, None], out=means, where=size[:, None] > 0)
    return means


def length_table(rows: Sequence[GoldRow], found: Array, *, level: float) -> pl.DataFrame:
    """Return how the verdicts, the labels and the judge's errors (verdict - label) go with the length of a response.

    Columns: of (judge, labels, errors), slope (rate of Y for each doubling of the words) with _low and _high, p,
    n_prompts, n_missing. Longer answers may well commit more often: it is the slope of the errors that the judge adds.
    """

    words = np.log2([max(1, len(row.response.split())) for row in rows])
    truth = np.array([row.truth for row in rows], dtype=float)
    clusters = number_names(row.cluster for row in rows)
    known = np.where(np.isfinite(found), truth, np.nan)
    lines = []
    for name, values in (("judge", found), ("labels", known), ("errors", found - truth)):
        try:
            slope = clustered_slope(words, values, clusters, level=level)
        except ValueError:  # too few prompts, or nothing that varies: the columns are empty
            slope = None
        lines.append(
            {
                "of": name,
                **spread_estimate("slope", slope),
                "p": slope.p if slope else None,
                "n_prompts": slope.n if slope else None,
                "n_missing": int((~np.isfinite(found)).sum()),
            }
        )
    return make_frame(lines)


def repeat_table(
    first: Array, second: Array, prompts: Sequence[str], *, level: float, draws: int, seed: int
) -> pl.DataFrame:
    """Return how far a judge agrees with itself: one row; n verdicts that are there twice, n_changed, n_missing."""

    both = np.isfinite(first) & np.isfinite(second)
    clusters = number_names(prompts)
    found: Agreement = estimate_agreement(
        np.column_stack([first, second])[both], clusters[both], level=level, draws=draws, seed=seed
    )
    line = {
        "n": int(both.sum()),
        "n_prompts": found.n_clusters,
        "n_changed": int((first[both] != second[both]).sum()),
        "n_missing": int((~both).sum()),
        **spread_estimate("agreement", found.observed),
        **spread_estimate("kappa", found.kappa),
    }
    return make_frame([line])
