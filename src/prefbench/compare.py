"""Two conditions in, what changed between them out: differences paired within prompts, and which prompts moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefbench.cells import rate_cells
from prefbench.choices import Choices, add_moves, record_moves
from prefbench.effects import (
    PROMPT,
    average_pairs,
    count_missing,
    count_unpaired,
    difference_table,
    pair_conditions,
)
from prefbench.errors import ConfigError, DataError
from prefbench.folders import match_condition
from prefbench.listing import list_estimates
from prefbench.statistics import (
    EffectSizes,
    Equivalence,
    Estimate,
    McNemarTest,
    describe_effect,
    mcnemar_test,
    mean_difference,
    paired_equivalence,
    sign_flip_p,
)

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """What changed from `first` to `second`; every difference is second - first, in rate of responses."""

    first: str
    second: str
    judge: str
    overall: Estimate
    """Mean difference over paired prompts, within domains; `n_missing` prompts lack a side."""
    first_rate: float
    """Mean rate of the paired prompts in the first condition."""
    second_rate: float
    p_sign_flip: float
    """The permutation check of the paired t test."""
    equivalence: Equivalence
    """Is the difference within the margin?"""
    sizes: EffectSizes
    """The difference on other scales."""
    mcnemar: McNemarTest | None
    """Mid-p test on one majority label a prompt, for those who ask; None if no label changed."""
    n_first_only: int
    """Prompts with a rate in the first condition and no match at the same temperature in the second."""
    n_second_only: int
    tables: dict[str, pl.DataFrame]
    """`domain`, `temperature`, `format`: differences with Holm's p; `transitions` and `moves` of records; `moved`;
    `prompts`."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the table of all prompts, ready for JSON: None for what is missing."""
        plain = ("first", "second", "judge", "first_rate", "second_rate", "p_sign_flip")
        counts = ("n_first_only", "n_second_only")
        return {
            **{name: getattr(self, name) for name in (*plain, *counts)},
            "level": self.overall.level,
            "overall": self.overall.to_dict(),
            "estimates": [self.overall.to_dict(), *list_estimates(self.tables)],
            "equivalence": self.equivalence.to_dict(),
            "sizes": self.sizes._asdict(),
            "mcnemar": self.mcnemar and self.mcnemar._asdict(),
            "notes": list(self.notes),
            "tables": {name: table.to_dicts() for name, table in self.tables.items() if name != "prompts"},
        }


def compare_conditions(
    frame: pl.DataFrame,
    first: str,
    second: str,
    *,
    level: float = 0.95,
    margin: float = 0.05,
    choices: tuple[Choices, Choices] | None = None,
    top: int = 10,
    seed: int = 0,
) -> Comparison:
    """Compare two conditions of a scores frame on the prompts and temperatures that both have.

    Inside a prompt the temperatures that both conditions have are averaged; the prompt is the unit, the
    domains are strata. Holm's p is adjusted within each table. `margin` is that of the equivalence test. `choices`
    (of `load_choices`, first and second) tell the same preference from another one. `top` is how many of the
    prompts that moved most are listed, `seed` that of the sign-flip test. A condition may be named
    in short (`1`, `base`).

    Raises ConfigError for an unknown condition or one condition twice; DataError if no prompt, or one only,
    can be paired, and for a frame that cannot be read as scores.
    """
    _check_options(margin, top)
    cells = rate_cells(frame)
    known = cells["condition"].unique(maintain_order=True).to_list()
    one, two = match_condition(first, known), match_condition(second, known)
    if one == two:
        raise ConfigError(f"{first!r} and {second!r} are one condition, {one}: compare two different ones")
    pairs = pair_conditions(cells, one, two)
    prompts = average_pairs(pairs)
    _check_pairs(prompts, cells, (one, two))
    prompts = add_moves(prompts, *(choices or ({}, {})))
    differences, domains = prompts["difference"].to_numpy(), prompts["domain"].to_list()
    rates = prompts.select("first", "second").mean().row(0)
    unpaired = count_unpaired(pairs)
    overall = mean_difference(differences, strata=domains, level=level, name=f"{two} - {one}")
    tables = {
        **{
            by: difference_table(pairs, by, level=level, margin=margin)
            for by in ("domain", "temperature", "format")
        },
        "transitions": count_transitions(pairs),
        "moves": record_moves(pairs, *(choices or ({}, {}))),
        "moved": prompts.head(top),
        "prompts": prompts,
    }
    return Comparison(
        first=one,
        second=two,
        judge=str(frame["judge"].drop_nulls().first()),
        overall=replace(overall, n_missing=count_missing(pairs)),
        first_rate=rates[0],
        second_rate=rates[1],
        p_sign_flip=sign_flip_p(differences, seed=seed),
        equivalence=paired_equivalence(differences, margin, strata=domains, level=level),
        sizes=describe_effect(prompts["first"].to_numpy(), prompts["second"].to_numpy()),
        mcnemar=_test_labels(prompts),
        n_first_only=unpaired[0],
        n_second_only=unpaired[1],
        tables=tables,
        notes=_notes((one, two), unpaired, prompts),
    )


def count_transitions(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return how many records went from which majority to which: four rows, with n and share of all pairs."""
    import polars as pl

    named = {True: "preference", False: "no_preference"}
    paired = pairs.drop_nulls(("first", "second"))
    rows = []
    for first, second in ((True, True), (True, False), (False, True), (False, False)):
        count = int(((paired["first_majority"] == first) & (paired["second_majority"] == second)).sum())
        share = count / paired.height if paired.height else None
        rows.append({"first": named[first], "second": named[second], "n_records": count, "share": share})
    kinds = {"first": pl.String, "second": pl.String, "n_records": pl.Int64, "share": pl.Float64}
    return pl.DataFrame(rows, schema=kinds)


def _test_labels(prompts: pl.DataFrame) -> McNemarTest | None:
    """Return the test on one label a prompt: a prompt's records at several temperatures are no independent pairs."""
    first, second = prompts["first"] > 0.5, prompts["second"] > 0.5
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    return mcnemar_test(gained, lost) if gained + lost else None


def _check_options(margin: float, top: int) -> None:
    if not 0 < margin < 1:
        raise ConfigError(f"a margin lies between 0 and 1, not {margin}")
    if top < 0:
        raise ConfigError(f"--top {top}: the prompts to list are counted from 0")


def _is_condition(*names: str) -> pl.Expr:
    import polars as pl

    return pl.col("condition").is_in(list(names))


def _check_pairs(prompts: pl.DataFrame, cells: pl.DataFrame, names: tuple[str, str]) -> None:
    if prompts.is_empty():
        first, second = (_describe(cells, name) for name in names)
        raise DataError(
            f"{names[0]} and {names[1]} have no scored prompt in common at the same temperature: "
            f"{first}; {second}. Judge both on the same prompts and temperatures"
        )
    if prompts.height == 1:
        raise DataError(
            f"{names[0]} and {names[1]} have one prompt in common ({'/'.join(prompts.select(PROMPT).row(0))}): "
            "a paired interval needs two or more in a domain"
        )
    if prompts.height == prompts["domain"].n_unique():
        raise DataError(
            f"{names[0]} and {names[1]} have {prompts.height} prompts in common, each alone in its domain: "
            "a paired interval needs two or more in a domain"
        )


def _describe(cells: pl.DataFrame, name: str) -> str:
    import polars as pl

    rated = cells.filter(_is_condition(name), pl.col("rate").is_not_null())
    temperatures = ", ".join(map(str, sorted(rated["temperature"].unique())))
    at = f" at {temperatures}" if temperatures else ""
    return f"{name} has {rated.select(PROMPT).unique().height} scored prompts{at}"


def _notes(names: tuple[str, str], unpaired: tuple[int, int], prompts: pl.DataFrame) -> list[str]:
    notes = [
        f"{count} prompts have a rate in {name} only and are left out"
        for name, count in zip(names, unpaired, strict=True)
        if count
    ]
    most = int(prompts["n_temperatures"].max() or 0)  # type: ignore[arg-type]
    partial = prompts.filter(prompts["n_temperatures"] < most).height
    if partial:
        notes.append(
            f"{partial} prompts are paired at fewer temperatures than others: averaged over those they share"
        )
    return notes
