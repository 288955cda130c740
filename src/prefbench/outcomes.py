"""What else an answer can be: refused, truncated, incoherent. Files of a study in, counts per cell out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from prefbench.errors import DataError
from prefbench.folders import PUBLISHED_JUDGE, ConditionFolder, details_path, find_conditions, match_condition
from prefbench.records import RecordKey, parse_temperature
from prefbench.scores import choose_judge
from prefbench.store import iter_lines

if TYPE_CHECKING:
    import polars

OUTCOMES = ("refused", "truncated", "incoherent")
REFUSAL = "refusal"
REASON_JUDGE = "lexical"
"""The judge whose reasons tell a refusal from other answers without a preference."""
GRAM = 4
FEWEST_WORDS = 20
MOST_REPEATED = 0.5

Flags = dict[str, list[bool] | None]


def load_outcomes(
    sources: str | Path | Sequence[str | Path] = "study",
    *,
    judge: str | None = None,
    conditions: Sequence[str] | None = None,
) -> polars.DataFrame:
    """Return one row a scored cell: how many answers are refused, truncated, incoherent; the verdicts on the rest.

    Columns: condition, domain, id, temperature, n_answers, and for each outcome `n_{outcome}` (answers that are it),
    `{outcome}_yes` and `{outcome}_no` (verdicts on the answers that are not); null where it is not known.
    Refused: the reason that the lexical judge gave. Truncated: finish_reason `length`. Incoherent: see
    `is_incoherent`. Raises what `load_scores` raises.
    """
    import polars

    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    folders = [folder for path in paths for folder in find_conditions(path)]
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    chosen = choose_judge(folders, judge)
    rows = [row for folder in folders for row in _read_folder(folder, chosen)]
    counts = ["n_answers", *(part for outcome in OUTCOMES for part in _columns(outcome))]
    kinds: dict[str, Any] = {"condition": polars.String, "domain": polars.String, "id": polars.String}
    kinds |= {"temperature": polars.Float64} | dict.fromkeys(counts, polars.Int64)
    return polars.DataFrame(rows, schema=kinds, orient="row")


def is_incoherent(text: str) -> bool:
    """Return whether an answer has no letters, or repeats itself: over half of its 4-word runs occurred before.

    Answers of fewer than 20 words are not judged by repetition. A convention: degenerate text under too strong
    steering loops (Holtzman et al. 2020), and ordinary answers stay far below.
    """
    if not any(character.isalpha() for character in text):
        return True
    words = text.lower().split()
    runs = len(words) - GRAM + 1
    if len(words) < FEWEST_WORDS or len(set(words)) - GRAM + 1 > (1 - MOST_REPEATED) * runs:
        return False  # as many distinct words cannot leave so few distinct runs
    distinct = len({tuple(words[start : start + GRAM]) for start in range(runs)})
    return 1 - distinct / runs > MOST_REPEATED


def _columns(outcome: str) -> tuple[str, str, str]:
    return f"n_{outcome}", f"{outcome}_yes", f"{outcome}_no"


def _read_folder(folder: ConditionFolder, judge: str) -> Iterator[list[Any]]:
    reasons = _read_reasons(folder)
    flags = _read_texts(folder)
    for path in folder.scored_files(judge):
        for key, content in _read(path):
            verdicts = content["raw_judgments"]
            found: Flags = {"refused": reasons.get(key)} | flags.get(key, {})
            name = content["condition"] if judge == PUBLISHED_JUDGE else folder.name
            row: list[Any] = [name, *key, len(verdicts)]
            for outcome in OUTCOMES:
                row += _count(verdicts, found.get(outcome))
            yield row


def _count(verdicts: Sequence[str | None], flags: Sequence[bool] | None) -> list[int | None]:
    """Return how many answers are flagged, and the Y and the N among the others."""
    if flags is None or len(flags) != len(verdicts):
        return [None, None, None]
    rest = [verdict for verdict, flag in zip(verdicts, flags, strict=True) if not flag]
    return [sum(flags), rest.count("Y"), rest.count("N")]


def _read_reasons(folder: ConditionFolder) -> dict[RecordKey, list[bool]]:
    """Return which answers of each record the lexical judge took for refusals; nothing if it did not judge."""
    return {
        key: [reason == REFUSAL for reason in content["reasons"]]
        for path in folder.scored_files(REASON_JUDGE)
        if details_path(path).exists()
        for key, content in _read(details_path(path))
    }


def _read_texts(folder: ConditionFolder) -> dict[RecordKey, Flags]:
    flags: dict[RecordKey, Flags] = {}
    for path in folder.response_files():
        for key, content in _read(path):
            responses = content["responses"]
            ends = [response.get("finish_reason") for response in responses]
            flags[key] = {
                "truncated": None if None in ends else [end == "length" for end in ends],
                "incoherent": [is_incoherent(response["text"]) for response in responses],
            }
    return flags


def _read(path: Path) -> Iterator[tuple[RecordKey, dict[str, Any]]]:
    for number, line in iter_lines(path):
        try:
            content = orjson.loads(line)
            yield (
                RecordKey(content["domain"], content["id"], parse_temperature(content["temperature"])),
                content,
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}:{number}: cannot be read ({error!r}); correct or delete the line"
            ) from error
