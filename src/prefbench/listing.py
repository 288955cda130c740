"""Tables of statistics in, one flat list of estimates out: every number with its interval, all in one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from prefbench.statistics import ESTIMATE_FIELDS

if TYPE_CHECKING:
    import polars as pl


class _Shape(NamedTuple):
    """Where a table keeps the parts of an estimate."""

    name: str
    estimate: str = "estimate"
    low: str = "low"
    high: str = "high"
    n: str = "n_prompts"
    n_missing: str = "n_missing"
    method: str = "method"
    scale: str = "rate_difference"


_COUNTS = {"n": "n", "scale": "{scale}"}
_RATE = {"estimate": "rate", "n_missing": "n_prompts_missing", "scale": "rate"}
_MAJORITY = _RATE | {"estimate": "majority_rate", "low": "majority_low", "high": "majority_high"}
_DIFFERENCE = {"estimate": "difference"}
_SHAPES: dict[str, tuple[_Shape, ...]] = {
    "rates": (
        _Shape("rate of {condition}", **_RATE),
        _Shape("majority rate of {condition}", **_MAJORITY),
    ),
    "domain_rates": (
        _Shape("rate of {condition} in {domain}", **_RATE),
        _Shape("majority rate of {condition} in {domain}", **_MAJORITY),
    ),
    "format_rates": (
        _Shape("rate of {condition} in {format}", **_RATE),
        _Shape("majority rate of {condition} in {format}", **_MAJORITY),
    ),
    "factorial": (_Shape("{name}", **_COUNTS),),
    "factorial_checks": (_Shape("{name}", **_COUNTS),),
    "domain_effects": (_Shape("{name} in {domain}", **_COUNTS),),
    "effects": (_Shape("{second_condition} - {first_condition}", **_DIFFERENCE),),
    "domain_differences": (_Shape("{higher} - {lower} in {condition}", **_DIFFERENCE),),
    "format_differences": (_Shape("{higher} - {lower} in {condition}", **_DIFFERENCE),),
    "temperature_differences": (_Shape("temperature {hotter:g} - {colder:g} in {condition}", **_DIFFERENCE),),
    "temperature_trend": (
        _Shape("slope over temperature in {condition}", estimate="slope", scale="rate_per_temperature"),
    ),
    "consistency": (
        _Shape("ICC of {condition}", estimate="icc", low="icc_low", high="icc_high", scale="icc"),
    ),
    "co_outcomes": (_Shape("{outcome} answers of {condition}", estimate="rate", scale="rate"),),
    "co_outcome_effects": (_Shape("{name} on {quantity} of {outcome} answers", **_COUNTS),),
    "corrected": (_Shape("{name}", **_COUNTS),),
    "domain": (_Shape("{domain}", **_DIFFERENCE),),
    "temperature": (_Shape("temperature {temperature:g}", **_DIFFERENCE),),
    "format": (_Shape("{format}", **_DIFFERENCE),),
}


def list_estimates(tables: Mapping[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """Return every estimate of the tables, in their order, each with exactly `ESTIMATE_FIELDS`.

    An estimate that cannot be had is null and its `method` says why. Tables of tests and of bounds, which
    estimate nothing, are left out.
    """
    return [
        _read(row, shape)
        for name, table in tables.items()
        for row in table.to_dicts()
        for shape in _SHAPES.get(name, ())
    ]


def _read(row: Mapping[str, Any], shape: _Shape) -> dict[str, Any]:
    places = shape._asdict()
    found = {field: row.get(places.get(field, field)) for field in ESTIMATE_FIELDS}
    scale = shape.scale.format(**row)
    return found | {"name": shape.name.format(**row), "scale": scale}
