"""Two conditions' manifests in; in what they differ, and whether that is the treatment, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from prefbench.errors import ConfigError, DataError
from prefbench.folders import ConditionFolder, find_conditions, match_condition
from prefbench.manifest import read_manifest
from prefbench.store import iter_lines

DifferenceKind = Literal["treatment", "confound", "harmless"]

_TREATMENT = ("model", "weights", "adapter", "lora", "vector", "steer", "system_prompt")
_HARMLESS = ("seed", "n_samples", "consistency", "label_thresholds", "origin", "bank")
"""Other random numbers or more answers bias nothing; the bank is checked by the texts of the prompts."""


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """One setting that two conditions do not share."""

    setting: str
    first: Any
    second: Any
    kind: DifferenceKind
    """`treatment` (model, adapter, vectors, system prompt), `confound` (anything else that may change answers or
    verdicts: judge, rubric, sampling, prompt style, backend) or `harmless`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDiff:
    """How two conditions differ by their manifests and the texts of their prompts."""

    first: str
    second: str
    differences: list[SettingDifference]
    notes: list[str]
    """What could not be checked."""

    @property
    def confounds(self) -> list[SettingDifference]:
        """The differences that are not the treatment and may matter."""
        return [each for each in self.differences if each.kind == "confound"]

    def to_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON."""
        return {**asdict(self), "comparable": not self.confounds}


def find_condition(given: str, study: str | Path = "study") -> ConditionFolder:
    """Return the folder of a condition, named in its study or by its path.

    Raises ConfigError for an unknown name or a folder of several conditions, DataError for none.
    """
    if Path(given).is_dir():
        found = find_conditions(given)
        if len(found) > 1:
            names = ", ".join(folder.name for folder in found)
            raise ConfigError(f"{given}: holds {len(found)} conditions ({names}): name one of them")
        return found[0]
    folders = find_conditions(study)
    name = match_condition(given, [folder.name for folder in folders])
    return next(folder for folder in folders if folder.name == name)


def diff_conditions(
    first: ConditionFolder, second: ConditionFolder, *, judge: str | None = None
) -> ManifestDiff:
    """Return the differences of two conditions, and of their scores by `judge` if one is named.

    Two banks are the same if the prompts that both conditions have read the same; where a manifest is missing (a
    published release) its settings cannot be compared, and a note says so.
    """
    differences, notes = [], []
    places = [("", first.manifest, second.manifest)]
    if judge is not None:
        paths = [folder.judge_folder(judge) / "manifest.json" for folder in (first, second)]
        places.append((f"{judge}: ", paths[0], paths[1]))
    for prefix, one, two in places:
        missing = [path for path in (one, two) if not path.exists()]
        if missing:
            notes.append(f"{', '.join(map(str, missing))} is not there: settings cannot be compared")
            continue
        settings = [_flatten(read_manifest(path)["settings"]) for path in (one, two)]
        differences += list(_compare(prefix, settings[0], settings[1]))
    changed, shared = _changed_prompts(first, second)
    if changed:
        what = f"{len(changed)} of {shared} shared prompts read differently"
        differences.append(SettingDifference("prompts", what, changed[0], "confound"))
    return ManifestDiff(first=first.name, second=second.name, differences=differences, notes=notes)


def check_comparable(diff: ManifestDiff, *, force: bool = False) -> list[str]:
    """Return remarks on what else differs. Raises ConfigError for confounds, unless `force` turns them into remarks."""
    if not diff.confounds:
        return list(diff.notes)
    what = "; ".join(f"{each.setting} {each.first!r} and {each.second!r}" for each in diff.confounds)
    if force:
        return [f"{diff.first} and {diff.second} differ in more than the treatment: {what}", *diff.notes]
    raise ConfigError(
        f"{diff.first} and {diff.second} differ in more than the treatment: {what}; sample and judge both alike, or "
        "compare them nevertheless with --force"
    )


def confound_notes(study: str | Path, *, judge: str, conditions: Sequence[str] | None = None) -> list[str]:
    """Return a remark for each condition of a study that differs from its first in more than the treatment."""
    folders = find_conditions(study)
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    diffs = [diff_conditions(folders[0], other, judge=judge) for other in folders[1:]]
    return [remark for diff in diffs if diff.confounds for remark in check_comparable(diff, force=True)[:1]]


def _compare(prefix: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[SettingDifference]:
    for name in sorted({*first, *second}):
        one, two = first.get(name), second.get(name)
        if one != two:
            yield SettingDifference(f"{prefix}{name}", one, two, _kind(name))


def _kind(name: str) -> DifferenceKind:
    if name.startswith(_TREATMENT):  # the judge's own model is `judge.model`
        return "treatment"
    return "harmless" if name.startswith(_HARMLESS) else "confound"


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level: {"judge": {"name": ...}} becomes {"judge.name": ...}."""
    flat: dict[str, Any] = {}
    for name, part in value.items():
        if isinstance(part, Mapping):
            flat |= _flatten(part, f"{prefix}{name}.")
        else:
            flat[prefix + name] = part
    return flat


def _changed_prompts(first: ConditionFolder, second: ConditionFolder) -> tuple[list[str], int]:
    one, two = _prompt_texts(first), _prompt_texts(second)
    shared = sorted(one.keys() & two.keys())
    return ["/".join(key) for key in shared if one[key] != two[key]], len(shared)


def _prompt_texts(folder: ConditionFolder) -> dict[tuple[str, str], str]:
    """Return the text of each prompt, from the responses, or from any judge's scores if these are not there."""
    paths = folder.response_files() or [
        path for judge in folder.judges()[:1] for path in folder.scored_files(judge)
    ]
    texts: dict[tuple[str, str], str] = {}
    for path in paths:
        for number, line in iter_lines(path):
            head, found, _ = line.partition(b',"responses":[')
            try:
                content = orjson.loads(head + b"}" if found else line)
                texts.setdefault((content["domain"], content["id"]), content["prompt"])
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}:{number}: cannot be read ({error!r}); correct or delete the line"
                ) from error
    return texts
