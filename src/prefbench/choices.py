"""What was chosen: a judge's choices in; how records and prompts moved between two conditions out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from prefbench.errors import DataError
from prefbench.folders import ConditionFolder, details_path
from prefbench.options import normalise_choice
from prefbench.records import RecordKey, parse_temperature
from prefbench.store import iter_lines

if TYPE_CHECKING:
    import polars as pl

Choices = Mapping[RecordKey, "Counter[str]"]

MOVES = (
    "hedge_to_commit",
    "commit_to_hedge",
    "same_preference",
    "another_preference",
    "commit_to_commit",
    "hedge_to_hedge",
)
"""How a record or a prompt went; `commit_to_commit` where what was chosen is not known on both sides."""


def load_choices(folder: ConditionFolder, judge: str) -> dict[RecordKey, Counter[str]]:
    """Return how often each thing was chosen in each record, from the judge's details; empty without any.

    Raises DataError "file:line" for a line that cannot be read.
    """
    found: dict[RecordKey, Counter[str]] = {}
    for path in folder.scored_files(judge):
        if details_path(path).exists():
            found.update(_read(details_path(path)))
    return found


def favourite(counts: Iterable[Counter[str]]) -> str | None:
    """Return what was chosen most often over all counts; None if nothing was, or on a tie."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    ranked = total.most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def describe_move(first: float, second: float, choices: tuple[str | None, str | None]) -> str:
    """Return how two rates of preference differ in kind: a rate above .5 commits (5-5 does not)."""
    commits = first > 0.5, second > 0.5
    if commits == (False, True):
        return "hedge_to_commit"
    if commits == (True, False):
        return "commit_to_hedge"
    if commits == (False, False):
        return "hedge_to_hedge"
    if None in choices:
        return "commit_to_commit"
    return "same_preference" if choices[0] == choices[1] else "another_preference"


def record_moves(pairs: pl.DataFrame, first: Choices, second: Choices) -> pl.DataFrame:
    """Return how many paired records (of `pair_conditions`) went which way: six rows with n and share."""
    import polars as pl

    counts: Counter[str] = Counter()
    paired = pairs.drop_nulls(("first", "second"))
    for domain, name, temperature, one, two in paired.select(
        "domain", "id", "temperature", "first", "second"
    ).iter_rows():
        key = RecordKey(domain, name, temperature)
        chosen = tuple(favourite([side[key]]) if key in side else None for side in (first, second))
        counts[describe_move(one, two, (chosen[0], chosen[1]))] += 1
    rows = [
        {
            "move": move,
            "n_records": counts[move],
            "share": counts[move] / paired.height if paired.height else None,
        }
        for move in MOVES
    ]
    return pl.DataFrame(rows, schema={"move": pl.String, "n_records": pl.Int64, "share": pl.Float64})


def add_moves(prompts: pl.DataFrame, first: Choices, second: Choices) -> pl.DataFrame:
    """Return prompts (of `average_pairs`) with `move`, and the favourite choice on either side."""
    import polars as pl

    sides = [_by_prompt(side) for side in (first, second)]
    columns: dict[str, list[Any]] = {"move": [], "first_choice": [], "second_choice": []}
    for domain, name, one, two in prompts.select("domain", "id", "first", "second").iter_rows():
        chosen = [favourite(side.get((domain, name), [])) for side in sides]
        columns["move"].append(describe_move(one, two, (chosen[0], chosen[1])))
        columns["first_choice"].append(chosen[0])
        columns["second_choice"].append(chosen[1])
    return prompts.with_columns(
        pl.Series(label, values, dtype=pl.String) for label, values in columns.items()
    )


def _by_prompt(choices: Choices) -> dict[tuple[str, str], list[Counter[str]]]:
    found: dict[tuple[str, str], list[Counter[str]]] = {}
    for key, counts in choices.items():
        found.setdefault((key.domain, key.id), []).append(counts)
    return found


def _read(path: Path) -> Iterable[tuple[RecordKey, Counter[str]]]:
    for number, line in iter_lines(path):
        try:
            content = orjson.loads(line)
            key = RecordKey(content["domain"], content["id"], parse_temperature(content["temperature"]))
            yield key, Counter(normalise_choice(each) for each in content["choices"] if each)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: not the details of a score ({error!r}); delete the line"
            ) from error
