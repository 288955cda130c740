"""Several judges' scores of one study in; how far they agree, what each would report, where they differ most out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.calibration.measures import code_verdicts, make_frame, spread_estimate
from prefbench.calibration.verdicts import RecordPlace, read_verdicts
from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import ConditionFolder, find_conditions, match_condition
from prefbench.records import ScoredRecord
from prefbench.statistics import cell_rate, cluster_sums, estimate_agreement, mean_difference
from prefbench.statistics.agreement import DRAWS
from prefbench.store import describe_key
from prefbench.study import DEFAULT_STUDY

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Scores = Mapping[str, Mapping[RecordPlace, ScoredRecord]]


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgeComparison:
    """How several judges agree on one study."""

    judges: list[str]
    tables: dict[str, pl.DataFrame]
    """`overall` (all judges at once), `rates` (by condition and judge), `pairs`, `records` (those that differ most)."""
    level: float
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON: a missing number is None, never NaN."""
        tables = {name: table.to_dicts() for name, table in self.tables.items()}
        return {"judges": self.judges, "level": self.level, "notes": list(self.notes), "tables": tables}


def compare_judges(
    study: str | Path = DEFAULT_STUDY,
    *,
    judges: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    top: int = 10,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> JudgeComparison:
    """Compare the verdicts of two or more judges on the same responses; all that have scored if none is named.

    Agreement is that of single verdicts, with intervals that resample prompts; a prompt's answers in all conditions
    are one cluster. `top` is how many of the records that differ most are listed. Raises ConfigError for an unknown
    judge or condition, or fewer than two judges; DataError for scores that cannot be read or do not match.
    """
    folders = find_conditions(study)
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    chosen = _choose_judges(folders, judges)
    scores = {judge: read_verdicts(folders, judge) for judge in chosen}
    places = sorted({place for found in scores.values() for place in found})
    units = _Units(places, scores)
    resampling = {"level": level, "draws": draws, "seed": seed}
    missing = {
        judge: int(np.isnan(column).sum()) for judge, column in zip(chosen, units.codes.T, strict=True)
    }
    notes = [
        f"{count:,} of {len(units.codes):,} verdicts are missing from {judge}"
        for judge, count in missing.items()
        if count
    ]
    return JudgeComparison(
        judges=chosen,
        tables={
            "overall": _overall_table(units, resampling),
            "rates": _rates_table(units, chosen, level=level),
            "pairs": _pairs_table(units, chosen, resampling),
            "records": _records_table(units, scores, top=top),
        },
        level=level,
        notes=notes,
    )


def _choose_judges(folders: Sequence[ConditionFolder], judges: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(name for folder in folders for name in folder.judges()))
    for name in judges or []:
        if name not in known:
            raise unknown_name("judge's scores", name, known)
    chosen = list(dict.fromkeys(judges or sorted(known)))
    if len(chosen) < 2:
        raise ConfigError(
            f"comparing takes the scores of two judges, there are those of {', '.join(chosen) or 'none'}: run "
            "`prefbench judge --judge NAME` with another one"
        )
    return chosen


class _Units:
    """Every response that any of the judges has scored, with a column of codes for each judge."""

    def __init__(self, places: Sequence[RecordPlace], scores: Scores) -> None:
        self.places = places
        sizes = [_size(place, scores) for place in places]
        self.record = np.repeat(np.arange(len(places)), sizes)
        blank = {size: (None,) * size for size in set(sizes)}
        columns = [
            code_verdicts(
                verdict
                for place, size in zip(places, sizes, strict=True)
                for verdict in (found[place].raw_judgments if place in found else blank[size])
            )
            for found in scores.values()
        ]
        self.codes = np.stack(columns, axis=1)
        prompts = {key: number for number, key in enumerate(sorted({(k.domain, k.id) for _, k in places}))}
        self.prompt = np.array([prompts[key.domain, key.id] for _, key in places])[self.record]
        self.domain_of_prompt = [domain for domain, _ in prompts]
        self.condition = np.array([condition for condition, _ in places], dtype=object)[self.record]


def _size(place: RecordPlace, scores: Scores) -> int:
    """Return the number of responses of a record, on which all judges must agree."""
    sizes = {name: len(found[place].raw_judgments) for name, found in scores.items() if place in found}
    if len(set(sizes.values())) > 1:
        named = ", ".join(f"{size} by {name}" for name, size in sizes.items())
        raise DataError(
            f"{place[0]}: {describe_key(place[1])} has verdicts on different numbers of responses ({named}): "
            "these are not scores of the same answers"
        )
    return next(iter(sizes.values()))


def _overall_table(units: _Units, resampling: Mapping[str, Any]) -> pl.DataFrame:

    found = estimate_agreement(units.codes, units.prompt, **resampling)
    complete = np.isfinite(units.codes).all(axis=1)
    same = (units.codes == units.codes[:, :1]).all(axis=1)
    line = {
        "n_responses": len(units.codes),
        "n_complete": int(complete.sum()),
        "n_prompts": found.n_clusters,
        "all_agree": float(same[complete].mean()) if complete.any() else None,
        **spread_estimate("ac1", found.ac1),
        **spread_estimate("alpha", found.alpha),
    }
    return make_frame([line])


def _pairs_table(units: _Units, judges: Sequence[str], resampling: Mapping[str, Any]) -> pl.DataFrame:
    """Return a row for each pair: agreement, both ways of differing, the paired difference of their rates."""

    lines = []
    for one, other in combinations(range(len(judges)), 2):
        pair = units.codes[:, [one, other]]
        both = np.isfinite(pair).all(axis=1)
        found = estimate_agreement(pair[both], units.prompt[both], **resampling)
        difference = _mean_by_prompt(units, pair[:, 1] - pair[:, 0], np.asarray(both))
        shift = (
            mean_difference(difference, level=resampling["level"])
            if np.isfinite(difference).sum() > 1
            else None
        )
        lines.append(
            {
                "first": judges[one],
                "second": judges[other],
                "n": int(both.sum()),
                "n_prompts": found.n_clusters,
                "n_missing": int((~both).sum()),
                "first_only": int(((pair[:, 0] == 1) & (pair[:, 1] == 0)).sum()),
                "second_only": int(((pair[:, 0] == 0) & (pair[:, 1] == 1)).sum()),
                **spread_estimate("agreement", found.observed),
                **spread_estimate("kappa", found.kappa),
                **spread_estimate("ac1", found.ac1),
                **spread_estimate("difference", shift),
                "p": shift.p if shift else None,
            }
        )
    return make_frame(lines)


def _rates_table(units: _Units, judges: Sequence[str], *, level: float) -> pl.DataFrame:
    """Return the rate that each judge would report, on the responses that all of them could read."""

    complete: NDArray[np.bool_] = np.asarray(np.isfinite(units.codes).all(axis=1))
    lines = []
    for condition in dict.fromkeys(units.condition.tolist()):
        here: NDArray[np.bool_] = np.asarray(units.condition == condition)
        for number, judge in enumerate(judges):
            usable = here & complete
            rates = _mean_by_prompt(units, units.codes[:, number], usable)
            present = np.isfinite(rates)
            strata = np.array(units.domain_of_prompt, dtype=object).astype(str)[present]
            several = int(present.sum()) > np.unique(strata).size
            rate = (
                cell_rate(rates[present], int(usable.sum()), strata=strata, level=level) if several else None
            )
            lines.append(
                {
                    "condition": condition,
                    "judge": judge,
                    "n_prompts": int(present.sum()),
                    "n": int(usable.sum()),
                    "n_missing": int(np.isnan(units.codes[here, number]).sum()),
                    **spread_estimate("rate", rate),
                }
            )
            if rate is None and present.any():
                lines[-1]["rate"] = float(rates[present].mean())
    return make_frame(lines)


def _mean_by_prompt(units: _Units, values: Array, usable: NDArray[np.bool_]) -> Array:
    """Return the mean over each prompt's usable responses, (prompts,); NaN for a prompt without any."""
    counts = np.bincount(units.prompt[usable], minlength=len(units.domain_of_prompt))
    sums = np.bincount(units.prompt[usable], values[usable], minlength=len(units.domain_of_prompt))
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _records_table(units: _Units, scores: Scores, *, top: int) -> pl.DataFrame:
    """Return the records whose shares of Y lie furthest apart, most verdicts first among equals."""

    complete = np.asarray(np.isfinite(units.codes).all(axis=1))
    differ = complete & (units.codes != units.codes[:, :1]).any(axis=1)
    sums = cluster_sums(
        np.column_stack([np.where(complete[:, None], units.codes, 0.0), complete, differ]), units.record
    )
    size = np.maximum(sums[:, -2], 1)
    shares = sums[:, :-2] / size[:, None]
    spread = shares.max(axis=1) - shares.min(axis=1)
    order = np.lexsort((np.arange(len(spread)), -sums[:, -1], -spread))
    lines = []
    for number in order[:top]:
        if not sums[number, -1]:
            break
        condition, key = units.places[number]
        record = next(found[condition, key] for found in scores.values() if (condition, key) in found)
        lines.append(
            {
                "condition": condition,
                **key._asdict(),
                "n": int(sums[number, -2]),
                "n_differ": int(sums[number, -1]),
                **{
                    f"share_{judge}": float(share)
                    for judge, share in zip(scores, shares[number], strict=True)
                },
                "prompt": record.prompt,
            }
        )
    return make_frame(lines)
