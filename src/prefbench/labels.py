"""Human labels of single answers: read from JSON lines, joined with the judge's verdicts on the same answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefbench.errors import DataError
from prefbench.folders import PUBLISHED_JUDGE, ConditionFolder, find_conditions, match_condition
from prefbench.records import (
    DomainName,
    Name,
    RecordKey,
    ResponseRecord,
    ScoredRecord,
    Temperature,
    Verdict,
    explain_validation,
)
from prefbench.scores import choose_judge
from prefbench.store import iter_lines, parse_line, read_models

LABELS_FILE = "labels.jsonl"
"""Where a study's labels lie if no other file is named."""


class NoUsableLabelsError(DataError):
    """A file whose lines are in order, but of no use for this judge and these conditions."""


class AnswerLabel(BaseModel):
    """One line of a labels file: what a person said of one answer."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    condition: Name
    domain: DomainName
    id: Name
    temperature: Temperature
    index: int = Field(ge=0)
    """Which answer of the record, from 0."""
    label: Verdict | Literal["skip"] | None
    """`skip` and null: the answer was seen and left open."""
    response: str | None = None
    """The text that was labelled; files that do not have it are not checked against the answers."""

    @property
    def key(self) -> RecordKey:
        """The record that it belongs to."""
        return RecordKey(self.domain, self.id, self.temperature)


class LabelledAnswer(NamedTuple):
    """A label beside the judge's verdict on the same answer."""

    condition: str
    key: RecordKey
    place: int
    human: bool
    judge: bool


@dataclass(frozen=True)
class Labels:
    """The labels that can be used, and how many cannot."""

    answers: tuple[LabelledAnswer, ...]
    unjudged: int
    """Labels of answers that the judge has not scored, or could not read."""
    unknown: int
    """Labels of conditions that are not among those asked for."""


def find_labels(study: str | Path) -> list[Path]:
    """Return the label files of a study: its `labels.jsonl`, else those of `prefbench label`, one a labeller."""
    own = Path(study) / LABELS_FILE
    return [own] if own.exists() else sorted((Path(study) / "labels").glob("*.jsonl"))


def read_labels(path: Path) -> list[AnswerLabel]:
    """Return the labels of a file: the last line of an answer counts, what was skipped is left out.

    Files of `prefbench label` are read as they are. Raises DataError "file:line" for a bad line.
    """
    found: dict[tuple[str, RecordKey, int], AnswerLabel] = {}
    for number, line in iter_lines(path):
        label = _parse(line, f"{path}:{number}")
        found[label.condition, label.key, label.index] = label
    labels = [label for label in found.values() if label.label in ("Y", "N")]
    if not labels:
        raise NoUsableLabelsError(f"{path}: holds no label; write one JSON line for each labelled answer")
    return labels


def load_labels(
    path: Path,
    sources: str | Path = "study",
    *,
    judge: str | None = None,
    conditions: Sequence[str] | None = None,
) -> Labels:
    """Return the labels of a file beside the verdicts of a judge in a study.

    Labels of answers without a verdict are counted in `unjudged`. Raises DataError for a bad line, an index beyond
    the answers of its record, or an answer that is not the text that was labelled; NoUsableLabelsError (a
    DataError) for no usable label at all.
    """
    labels = read_labels(path)
    folders = find_conditions(sources)
    chosen = choose_judge(folders, judge)
    names = [folder.name for folder in folders]
    wanted = [match_condition(name, names) for name in conditions] if conditions else names
    by_condition: dict[str, list[AnswerLabel]] = {}
    for label in labels:
        by_condition.setdefault(label.condition, []).append(label)
    answers: list[LabelledAnswer] = []
    known = unjudged = 0
    for folder in folders:
        own = by_condition.get(folder.name, [])
        if folder.name not in wanted or not own:
            continue
        known += len(own)
        _check_texts(folder, own, path)
        verdicts = dict(_read_verdicts(folder.scored_files(chosen), {label.key for label in own}))
        name = _scored_name(folder.scored_files(chosen), chosen, folder.name)
        for label in own:
            verdict = _verdict(label, verdicts.get(label.key), path)
            if verdict is None:
                unjudged += 1
            else:
                answers.append(
                    LabelledAnswer(name, label.key, label.index, label.label == "Y", verdict == "Y")
                )
    if not answers:
        check = "their domains, ids and temperatures" if known else "the names of their conditions"
        raise NoUsableLabelsError(
            f"{path}: none of its {len(labels)} labels belongs to an answer that {chosen} has judged in "
            f"{', '.join(wanted)}; check {check}"
        )
    return Labels(tuple(answers), unjudged, len(labels) - known)


def _parse(line: bytes, place: str) -> AnswerLabel:
    try:
        return AnswerLabel.model_validate_json(line)
    except ValidationError as error:
        raise DataError(
            f"{place}: not a label: {explain_validation(error)}; correct or delete the line"
        ) from error


def _verdict(label: AnswerLabel, verdicts: list[str | None] | None, path: Path) -> str | None:
    if verdicts is None:
        return None
    if label.index >= len(verdicts):
        raise DataError(
            f"{path}: answer {label.index} of {label.condition} {label.domain}/{label.id}: the record has "
            f"{len(verdicts)} answers, counted from 0"
        )
    return verdicts[label.index]


def _check_texts(folder: ConditionFolder, labels: Sequence[AnswerLabel], path: Path) -> None:
    """Raise DataError if an answer is not the text that was labelled, where both texts are there."""
    told = [label for label in labels if label.response is not None]
    keys = {label.key for label in told}
    texts: dict[RecordKey, list[str]] = {}
    for file in folder.response_files() if told else ():
        for _, record in read_models(file, ResponseRecord):
            if record.key in keys:
                texts[record.key] = [response.text for response in record.responses]
    for label in told:
        answers = texts.get(label.key)
        if answers is not None and (label.index >= len(answers) or answers[label.index] != label.response):
            raise DataError(
                f"{path}: answer {label.index} of {folder.name} {label.domain}/{label.id} is not the text that was "
                "labelled: label the responses of this study again"
            )


def _read_verdicts(
    paths: Sequence[Path], keys: set[RecordKey]
) -> Iterator[tuple[RecordKey, list[str | None]]]:
    for path in paths:
        for number, line in iter_lines(path):
            record = parse_line(line, ScoredRecord, place=f"{path}:{number}")
            if record.key in keys:
                yield record.key, list(record.raw_judgments)


def _scored_name(paths: Sequence[Path], judge: str, folder: str) -> str:
    """Return the condition's name in a release's own scores; elsewhere the folder's."""
    if judge != PUBLISHED_JUDGE:
        return folder
    line = next((line for path in paths for _, line in iter_lines(path)), None)
    return str(orjson.loads(line)["condition"]) if line else folder
