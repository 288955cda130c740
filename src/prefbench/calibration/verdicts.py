"""A judge's verdicts on gold rows: those that a study holds, or fresh ones, each paid for once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from prefbench.calibration.gold import GoldRow
from prefbench.errors import BackendError, DataError
from prefbench.folders import ConditionFolder
from prefbench.judges import Judge, WorkingJudge, Workplace
from prefbench.progress import Progress
from prefbench.records import RecordKey, Response, ResponseRecord, ScoredRecord, Verdict
from prefbench.store import Appender, describe_key, iter_lines, locked, read_models, unique_by_key, writing

Verdicts = tuple[Verdict | None, ...]
RecordPlace = tuple[str, RecordKey]
"""A record of a study: its condition, and its key there."""
Occasion = Literal["gold", "repeat", "canaries"]
"""What a judge is asked for; each has a folder of its own for the judge's ledger and batches."""


def read_verdicts(folders: Sequence[ConditionFolder], judge: str) -> dict[RecordPlace, ScoredRecord]:
    """Return every record that a judge has scored, by condition and key. Raises DataError."""
    found: dict[RecordPlace, ScoredRecord] = {}
    for folder in folders:
        seen: dict[RecordKey, str] = {}
        for path in folder.scored_files(judge):
            for record in unique_by_key(path, read_models(path, ScoredRecord), seen):
                found[folder.name, record.key] = record
    return found


def read_responses(
    folders: Sequence[ConditionFolder], wanted: set[RecordPlace]
) -> dict[RecordPlace, ResponseRecord]:
    """Return the response records that are wanted and there."""
    found: dict[RecordPlace, ResponseRecord] = {}
    for folder in folders:
        if any(condition == folder.name for condition, _ in wanted):
            for path in folder.response_files():
                for _, record in read_models(path, ResponseRecord):
                    if (folder.name, record.key) in wanted:
                        found[folder.name, record.key] = record
    return found


def stored_verdicts(
    rows: Sequence[GoldRow],
    scored: Mapping[RecordPlace, ScoredRecord],
    responses: Mapping[RecordPlace, ResponseRecord],
) -> list[Verdict | None]:
    """Return the verdict that a study holds on each row; None where it has none.

    Raises DataError if a response is no longer the one that was labelled, or a score not that of the response.
    """
    verdicts: list[Verdict | None] = []
    for row in rows:
        if row.key is None:
            raise ValueError("a row of a table has no verdict in a study")
        place = (row.key.condition, row.key.record)
        there = responses.get(place)
        position = row.key.place
        name = f"{row.key.condition}: {describe_key(row.key.record)}, response {position + 1}"
        if there is not None and (
            position >= there.n_samples or there.responses[position].text != row.response
        ):
            raise DataError(
                f"{name} is not the text that was labelled: label the responses of this study again"
            )
        record = scored.get(place)
        if record is None:
            verdicts.append(None)
        elif position >= len(record.raw_judgments):
            raise DataError(f"{name} has no place in its scored record: judge it again (--rejudge)")
        else:
            verdicts.append(record.raw_judgments[position])
    return verdicts


def gold_records(rows: Sequence[GoldRow]) -> list[ResponseRecord]:
    """Return each row as a record of one response, for a judge to read."""
    return [
        make_record(row.prompt, [row.response], id=f"row_{number}", format=row.format)
        for number, row in enumerate(rows)
    ]


def make_record(
    prompt: str, texts: Sequence[str], *, id: str, format: str = "open_ended", domain: str = "gold"
) -> ResponseRecord:
    """Return a record that was never sampled. Raises pydantic.ValidationError for an unknown format."""
    return ResponseRecord.model_validate(
        {
            "id": id,
            "domain": domain,
            "prompt": prompt,
            "format": format,
            "tags": [],
            "temperature": 0.0,
            "n_samples": len(texts),
            "responses": [Response(text=text) for text in texts],
            "timestamp": "",
        }
    )


class Asker:
    """Asks a judge about records and remembers the answers of judges that keep files: an answer is paid for once."""

    def __init__(self, judge: Judge, folder: Path, progress: Progress) -> None:
        self.judge = judge
        self._folder, self._progress = folder, progress
        self._settings = _digest(judge.describe())

    def ask(self, what: Occasion, records: Sequence[ResponseRecord]) -> list[Verdicts]:
        """Return the verdicts on each record; None for each response of a record that got no judgement.

        `what` tells answers to the same question apart. A judge that works in batches is waited for: left and asked
        again, it goes on where it was. Raises BackendError if the judge could not be asked about some, after all
        others were.
        """
        if not isinstance(self.judge, WorkingJudge):
            self._progress.start(f"asking {self.judge.name} ({what})", len(records))
            return _in_order(records, dict(self._read(records)))
        with locked(self._folder, "calibrate"):
            path = self._folder / "verdicts.jsonl"
            kept = self._read_kept(path)
            digests = [_digest([what, self._settings, record.model_dump()]) for record in records]
            known = {record.key: kept[it] for record, it in zip(records, digests, strict=True) if it in kept}
            pending = {record.key: it for record, it in zip(records, digests, strict=True) if it not in kept}
            self._progress.start(f"asking {self.judge.name} ({what})", len(pending))
            asked = [each for each in records if each.key in pending]
            with Appender(path) as file:
                for key, verdicts in self._work(self.judge, self._place(what), asked):
                    known[key] = verdicts
                    file.append([{"question": pending[key], "what": what, "verdicts": list(verdicts)}])
            return _in_order(records, known)

    def _place(self, what: Occasion) -> Workplace:
        """Return where the judge works: a batch's results are known by their text, and a repeat has the same texts."""
        places = {each: self._folder / each for each in get_args(Occasion)}
        with writing(places[what]):
            places[what].mkdir(parents=True, exist_ok=True)
        others = (self._folder, *(place for each, place in places.items() if each != what))
        return Workplace(places[what], others)

    def _work(
        self, judge: WorkingJudge, place: Workplace, records: Sequence[ResponseRecord]
    ) -> Iterator[tuple[RecordKey, Verdicts]]:
        """Open the judge in its place, as often as it takes until nothing is in flight."""
        left, errors = {record.key: record for record in records}, list[str]()
        while left:
            with _opened(judge, place):
                for judgement in judge.judge(list(left.values())):
                    del left[judgement.key]
                    self._progress.advance(1, judge.note())
                    if judgement.error is None:
                        yield judgement.key, judgement.verdicts
                    else:
                        errors.append(judgement.error)
                report = judge.report()
            if not (judge.batch and report["in_flight"]):
                break
            time.sleep(judge.poll_seconds)
        self._require_all(errors, len(records))
        if left and report["budget_reached"]:
            self._progress.warn(
                f"the budget is used up: {judge.name} was not asked about {len(left):,} of {len(records):,} records; "
                "a larger budget goes on"
            )

    def _read(self, records: Sequence[ResponseRecord]) -> Iterator[tuple[RecordKey, Verdicts]]:
        errors: list[str] = []
        for judgement in self.judge.judge(iter(records)):
            if judgement.error is None:
                yield judgement.key, judgement.verdicts
            else:
                errors.append(judgement.error)
            self._progress.advance(1)
        self._require_all(errors, len(records))

    def _require_all(self, errors: Sequence[str], count: int) -> None:
        if errors:
            raise BackendError(
                f"{self.judge.name} could not be asked about {len(errors):,} of {count:,} records (first: "
                f"{errors[0]}); run the same command again"
            )

    def _read_kept(self, path: Path) -> dict[str, Verdicts]:
        if not path.exists():
            return {}
        try:
            lines = [orjson.loads(line) for _, line in iter_lines(path)]
            return {line["question"]: tuple(line["verdicts"]) for line in lines}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not the verdicts of a calibration ({error!r}); move it away") from error


@contextmanager
def _opened(judge: WorkingJudge, place: Workplace) -> Iterator[None]:
    judge.open_in(place)
    try:
        yield
    finally:
        judge.close()


def _in_order(records: Sequence[ResponseRecord], found: Mapping[RecordKey, Verdicts]) -> list[Verdicts]:
    verdicts: list[Verdicts] = []
    for record in records:
        given = found.get(record.key, ())
        verdicts.append(given if len(given) == record.n_samples else (None,) * record.n_samples)
    return verdicts


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
