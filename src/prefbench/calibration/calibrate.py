"""Gold labels and a judge in; how far the judge can be trusted out, as tables."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefbench.calibration.canaries import show_canaries
from prefbench.calibration.gold import Gold, read_gold
from prefbench.calibration.measures import (
    agreement_table,
    code_verdicts,
    confusion_table,
    length_table,
    make_frame,
    position_tables,
    repeat_table,
)
from prefbench.calibration.verdicts import (
    Asker,
    RecordPlace,
    gold_records,
    read_responses,
    read_verdicts,
    stored_verdicts,
)
from prefbench.errors import ConfigError, DataError
from prefbench.folders import ConditionFolder, find_conditions
from prefbench.judges import Judge, open_judge
from prefbench.progress import Progress, Silent
from prefbench.records import ResponseRecord, ScoredRecord, Verdict
from prefbench.scores import choose_judge
from prefbench.statistics.agreement import DRAWS
from prefbench.store import read_json
from prefbench.study import DEFAULT_STUDY, load_study

if TYPE_CHECKING:
    import polars as pl

REPEATS = 50
"""Records that the judge is asked about a second time."""
FEW_PROMPTS = 50


@dataclass(frozen=True, slots=True)
class Checks:
    """What is done beside the comparison with the labels."""

    ask: bool = True
    """Ask the judge again: a repeat and the canaries. Gold from a table is judged in any case."""
    repeats: int = REPEATS
    level: float = 0.95
    draws: int = DRAWS
    seed: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """What was found out about a judge."""

    judge: str
    gold: Path
    source: str
    """`study`: the verdicts are its scores; `asked`: the judge was asked for them now."""
    left_out: dict[str, int]
    """Gold rows that are neither Y nor N, by label."""
    tables: dict[str, pl.DataFrame]
    """agreement, confusion, length, disagreements; positions and position_test, repeat, canaries where they could be
    had. Columns are told in docs/calibration.md."""
    level: float
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON: a missing number is None, never NaN."""
        return {
            "judge": self.judge,
            "gold": str(self.gold),
            "source": self.source,
            "left_out": self.left_out,
            "level": self.level,
            "notes": list(self.notes),
            "tables": {name: table.to_dicts() for name, table in self.tables.items()},
        }


def calibrate_judge(
    gold: str | Path,
    *,
    study: str | Path = DEFAULT_STUDY,
    judge: str | None = None,
    judge_options: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    readings: Mapping[str, str] | None = None,
    checks: Checks = Checks(),
    progress: Progress | None = None,
) -> Calibration:
    """Hold a judge against gold labels, and see whether it holds against itself.

    `gold` is a file of `prefbench label`: then the study's scores are the verdicts. Or a table of prompts, responses
    and labels (`columns`, `readings`: see `read_gold`): then the judge reads every row now. Where the study holds
    scores of the judge, position is tested on all of them.

    Raises ConfigError for an unknown judge, column or label, DataError for files that cannot be read or that do not
    belong together, BackendError if the judge's model cannot be asked.
    """
    found = read_gold(gold, columns=columns, readings=readings)
    maker = _Maker(found, Path(study), judge, dict(judge_options or {}), checks, progress or Silent())
    return maker.make()


class _Maker:
    """One calibration while it is made."""

    def __init__(
        self,
        gold: Gold,
        study: Path,
        judge: str | None,
        options: Mapping[str, Any],
        checks: Checks,
        progress: Progress,
    ) -> None:
        self.gold, self.study, self.checks, self.progress = gold, study, checks, progress
        self.notes: list[str] = []
        self.folders = find_conditions(study) if gold.of_study else _conditions_if_any(study)
        self.name, self.judge = self._choose(judge, options)
        self.scored = read_verdicts(self.folders, self.name)
        self.asker = (
            Asker(self.judge, study / "calibration" / self.name, progress) if self.judge is not None else None
        )

    def make(self) -> Calibration:
        verdicts = self._verdicts()
        rows, found, checks = self.gold.rows, code_verdicts(verdicts), self.checks
        resampling: dict[str, Any] = {"level": checks.level, "draws": checks.draws, "seed": checks.seed}
        tables = {
            "agreement": agreement_table(rows, found, **resampling),
            "confusion": confusion_table(rows, verdicts),
            "length": length_table(rows, found, level=checks.level),
            "disagreements": self._disagreements(verdicts),
        }
        tables |= self._position()
        if checks.ask and self.asker is not None:
            tables |= self._repeat(verdicts, resampling)
            tables |= {"canaries": make_frame([canary.to_dict() for canary in show_canaries(self.asker)])}
        self._remark(tables)
        return Calibration(
            judge=self.name,
            gold=self.gold.path,
            source="study" if self.gold.of_study else "asked",
            left_out=self.gold.left_out,
            tables=tables,
            level=checks.level,
            notes=self.notes,
        )

    def _choose(self, name: str | None, options: Mapping[str, Any]) -> tuple[str, Judge | None]:
        """Return the judge's name among the scores, and the judge itself if it is to be asked."""
        config = load_study(self.study)
        if not self.gold.of_study:
            chosen = name or config.judge.name
            opened = self._open(chosen, options)
            return opened.name, opened
        known = {each for folder in self.folders for each in folder.judges()}
        if name is None or name in known:
            scored = choose_judge(self.folders, name)
            return scored, self._open_again(scored, options) if self.checks.ask else None
        opened = self._open(name, options)
        return choose_judge(self.folders, opened.name), self._if_same(opened) if self.checks.ask else None

    def _open(self, name: str, options: Mapping[str, Any]) -> Judge:
        config = load_study(self.study).judge
        configured = config.options if config.name == name else {}
        return open_judge(name, options={**configured, **options})

    def _open_again(self, name: str, options: Mapping[str, Any]) -> Judge | None:
        try:
            opened = self._open(name, options)
        except ConfigError as error:
            if options:
                raise
            self.notes.append(f"{name} was not asked again (no repeat, no canaries): {error}")
            return None
        return self._if_same(opened)

    def _if_same(self, judge: Judge) -> Judge | None:
        """Return the judge if it is the one that scored; another one would say nothing about these scores."""
        for folder in self.folders:
            path = folder.judge_folder(judge.name) / "manifest.json"
            settings = read_json(path).get("settings", {}).get("judge") if path.exists() else None
            if settings is not None and settings != judge.describe():
                self.notes.append(
                    f"{judge.name} was not asked again (no repeat, no canaries): it has other settings now than when "
                    f"it scored {folder.name}; give the same with --judge-option, or judge anew with --rejudge"
                )
                return None
        return judge

    def _verdicts(self) -> list[Verdict | None]:
        if self.gold.of_study:
            wanted = {(row.key.condition, row.key.record) for row in self.gold.rows if row.key is not None}
            return stored_verdicts(self.gold.rows, self.scored, read_responses(self.folders, wanted))
        if self.asker is None:
            raise ValueError("gold from a table needs a judge to ask")
        return [verdicts[0] for verdicts in self.asker.ask("gold", gold_records(self.gold.rows))]

    def _disagreements(self, verdicts: Sequence[Verdict | None]) -> pl.DataFrame:
        lines = [
            {
                "condition": row.condition,
                "domain": row.domain,
                "id": row.key.id if row.key else None,
                "temperature": row.key.temperature if row.key else None,
                "position": row.key.place + 1 if row.key else None,
                "label": "Y" if row.truth else "N",
                "verdict": verdict,
                "note": row.note,
                "prompt": row.prompt,
                "response": row.response,
            }
            for row, verdict in zip(self.gold.rows, verdicts, strict=True)
            if verdict is not None and (verdict == "Y") != row.truth
        ]
        return _list_differences(lines)

    def _position(self) -> dict[str, pl.DataFrame]:
        sizes = Counter(len(record.raw_judgments) for record in self.scored.values())
        size = max(sizes, key=lambda n: (sizes[n], n), default=0)
        if size < 2:
            self.notes.append("no scores of records with several responses: position was not tested")
            return {}
        if left_out := sizes.total() - sizes[size]:
            self.notes.append(
                f"position: {left_out:,} records that do not have {size} responses are left out"
            )
        records = [record for record in self.scored.values() if len(record.raw_judgments) == size]
        codes = code_verdicts(verdict for record in records for verdict in record.raw_judgments)
        prompts = [f"{record.domain}/{record.id}" for record in records]
        profile, test = position_tables(codes.reshape(-1, size), prompts, level=self.checks.level)
        return {"positions": profile, "position_test": test}

    def _repeat(
        self, verdicts: Sequence[Verdict | None], resampling: Mapping[str, Any]
    ) -> dict[str, pl.DataFrame]:
        """Ask about a random sample again: whole records of the study, or rows of the table."""
        if self.asker is None or self.checks.repeats < 1:
            return {}
        records, before = (
            self._records_again()
            if self.gold.of_study
            else (gold_records(self.gold.rows), [(v,) for v in verdicts])
        )
        picked = sorted(
            random.Random(f"{self.checks.seed}/repeat").sample(
                range(len(records)), min(self.checks.repeats, len(records))
            )
        )
        again = self.asker.ask("repeat", [records[number] for number in picked])
        first = code_verdicts(verdict for number in picked for verdict in before[number])
        second = code_verdicts(verdict for given in again for verdict in given)
        prompts = [records[number].prompt for number in picked for _ in before[number]]
        return {"repeat": repeat_table(first, second, prompts, **resampling)}

    def _records_again(self) -> tuple[list[ResponseRecord], list[tuple[Verdict | None, ...]]]:
        """Return the labelled records and the verdicts that the study holds on them.

        A record is given a key of its own, since two conditions may have the same.
        """
        places = sorted(
            {(row.key.condition, row.key.record) for row in self.gold.rows if row.key is not None}
            & self.scored.keys()
        )
        there = read_responses(self.folders, set(places))
        records, before = [], []
        for number, place in enumerate(place for place in places if place in there):
            records.append(there[place].model_copy(update={"id": f"repeat_{number}"}))
            before.append(tuple(_judgments(there[place], self.scored[place], place)))
        return records, before

    def _remark(self, tables: Mapping[str, pl.DataFrame]) -> None:
        overall = tables["agreement"].row(0, named=True)
        if overall["n_missing"]:
            cure = " (run prefbench judge on their conditions and domains)" if self.gold.of_study else ""
            self.notes.append(f"{overall['n_missing']:,} labels have no verdict and are in no figure{cure}")
        if self.gold.left_out:
            named = ", ".join(f"{count:,} {name}" for name, count in sorted(self.gold.left_out.items()))
            self.notes.append(f"gold rows that are neither Y nor N are left out: {named}")
        small = [
            f"{row['group']} ({row['n_prompts']})"
            for row in tables["agreement"].iter_rows(named=True)
            if row["n_prompts"] < FEW_PROMPTS
        ]
        if small:
            self.notes.append(
                f"fewer than {FEW_PROMPTS} prompts, so the intervals are too narrow: {', '.join(small)}"
            )
        if self.gold.of_study and self.checks.ask and self.asker is None and not self.notes:
            self.notes.append("the judge was not asked again")


def _judgments(record: ResponseRecord, scored: ScoredRecord, place: RecordPlace) -> list[Verdict | None]:
    if len(scored.raw_judgments) != record.n_samples:
        raise DataError(
            f"{place[0]}: {record.domain}/{record.id} has {record.n_samples} responses and "
            f"{len(scored.raw_judgments)} verdicts: judge it again (--rejudge)"
        )
    return list(scored.raw_judgments)


def _conditions_if_any(study: Path) -> list[ConditionFolder]:
    """Return the conditions of a study that a table of gold labels does not need."""
    try:
        return find_conditions(study)
    except DataError:
        return []


def _list_differences(lines: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    import polars as pl

    texts = ("condition", "domain", "id", "label", "verdict", "note", "prompt", "response")
    kinds = {"temperature": pl.Float64, "position": pl.Int64} | dict.fromkeys(texts, pl.String)
    order = ("condition", "domain", "id", "temperature", "position", *texts[3:])
    return pl.DataFrame(lines, schema={name: kinds[name] for name in order})
