"""A scores frame, checked, in; the rate of every cell (condition, domain, prompt, temperature) out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefbench.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

KEY = ("condition", "domain", "id", "temperature")
COUNTS = ("n_samples", "yes", "no", "unreadable")
AGREEMENTS = ("choice_agreement", "content_agreement")
COLUMNS = (
    "condition",
    "judge",
    "domain",
    "id",
    "temperature",
    "format",
    *COUNTS,
    *AGREEMENTS,
    "status",
)


def rate_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the scores frame, checked, with `readable`, `rate` and `majority` of each cell; null if missing.

    A cell is missing if it is unscored or if none of its verdicts could be read. A format known from another
    cell of the prompt is filled in. Rows are sorted by condition, domain, id and temperature.
    """
    import polars as pl

    check_scores(frame)
    readable = pl.col("yes") + pl.col("no")
    return (
        frame.sort(KEY)  # float sums depend on their order: one order, the same bytes
        .with_columns(pl.col(name).cast(pl.Int64) for name in COUNTS)
        .with_columns(pl.col(name).cast(pl.Float64).fill_nan(None) for name in AGREEMENTS)
        .with_columns(
            pl.col("format").fill_null(pl.col("format").drop_nulls().first().over("domain", "id")),
            readable=pl.when(readable > 0).then(readable),
        )
        .with_columns(
            rate=pl.col("yes") / pl.col("readable"),
            majority=pl.when(pl.col("readable").is_not_null()).then(pl.col("yes") > pl.col("no")),
        )
    )


def check_scores(frame: pl.DataFrame) -> None:
    """Raise DataError or ConfigError for a frame that is not one judge's scores with one row a cell."""
    import polars as pl

    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(f"a scores frame needs the columns {', '.join(missing)}: read it with load_scores")
    if frame.is_empty():
        raise DataError("there are no scores: judge the responses first, or look at another folder")
    wrong = [name for name in COUNTS if not (frame[name].dtype.is_integer() or frame[name].dtype == pl.Null)]
    if wrong:
        raise DataError(f"counts are integers, but {wrong[0]} is {frame[wrong[0]].dtype}")
    judges = sorted(frame["judge"].drop_nulls().unique().to_list())
    if len(judges) > 1:
        raise ConfigError(f"scores of {len(judges)} judges are mixed ({', '.join(judges)}): choose one judge")
    _check_rows(frame)


def _check_rows(frame: pl.DataFrame) -> None:
    import polars as pl

    scored = pl.col("status") == "scored"
    counted = pl.all_horizontal(pl.col("yes", "no", "unreadable").is_not_null())
    faults = {
        "has a status that is neither scored nor unscored": ~pl.col("status").is_in(["scored", "unscored"]),
        "is scored but lacks counts": scored & ~counted,
        "is unscored but has counts": ~scored & pl.any_horizontal(pl.col("yes", "no").is_not_null()),
        "has a negative count": pl.any_horizontal(pl.col(*COUNTS) < 0),
        "appears twice": pl.struct(KEY).is_duplicated(),
    }
    for what, expression in faults.items():
        bad = frame.filter(expression)
        if not bad.is_empty():
            key = "/".join(str(part) for part in bad.select(KEY).row(0))
            raise DataError(f"{key} {what} ({bad.height} rows in all): mend or judge these records again")
