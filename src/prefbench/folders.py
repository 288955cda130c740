"""Where things lie: the folders of a study, of one condition, and of a published release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.records import format_temperature

PUBLISHED_JUDGE = "published"
"""The name given to scores that lie in `scored/` itself, as a published release has them."""

_NUMBER = re.compile(r"^(?:cond(?:ition)?[_-]?)?(\d+)$", re.IGNORECASE)
_NUMBERED = re.compile(r"^condition_(\d+)(?:_(.+))?$")


@dataclass(frozen=True, slots=True)
class ConditionFolder:
    """One condition on disk."""

    name: str
    path: Path

    @property
    def manifest(self) -> Path:
        """What was run here."""
        return self.path / "manifest.json"

    @property
    def errors(self) -> Path:
        """The requests that failed, one line each."""
        return self.path / "errors.jsonl"

    @property
    def unproved(self) -> Path:
        """Records that a failed check has set aside, in files named as those of the responses."""
        return self.path / "unproved"

    def responses_path(self, domain: str, temperature: float, n: int) -> Path:
        """Return the file of one domain and temperature."""
        return self.path / "responses" / f"{domain}_{format_temperature(temperature)}_n{n}.jsonl"

    def response_files(self) -> list[Path]:
        """Return the response files there are, in a fixed order."""
        return _jsonl_files(self.path / "responses")

    def judge_folder(self, judge: str) -> Path:
        """Return the folder of a judge's scores."""
        return self.path / "scored" if judge == PUBLISHED_JUDGE else self.path / "scored" / judge

    def scored_path(self, judge: str, domain: str, temperature: float) -> Path:
        """Return the file of a judge's scores for one domain and temperature."""
        return self.judge_folder(judge) / f"{domain}_{format_temperature(temperature)}_scored.jsonl"

    def scored_files(self, judge: str) -> list[Path]:
        """Return a judge's score files, in a fixed order."""
        return [
            path for path in _jsonl_files(self.judge_folder(judge)) if path.name.endswith("_scored.jsonl")
        ]

    def judges(self) -> list[str]:
        """Return the judges that have scored this condition, `published` for a release's own scores."""
        scored = self.path / "scored"
        if not scored.is_dir():
            return []
        named = [path.name for path in scored.iterdir() if path.is_dir() and not path.name.startswith(".")]
        names = sorted(name for name in named if self.scored_files(name))
        return ([PUBLISHED_JUDGE] if self.scored_files(PUBLISHED_JUDGE) else []) + names


def details_path(scored: Path) -> Path:
    """Return the sidecar of a score file: what the judge learned beyond the published fields."""
    return scored.with_name(scored.name.replace("_scored.jsonl", "_details.jsonl"))


def find_conditions(source: Path | str) -> list[ConditionFolder]:
    """Return the conditions in a study, in one condition's folder, or in a downloaded release.

    Raises DataError if there are none.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; run `prefbench sample` first, or give --study another folder"
        )
    for candidate in (folder, folder / "data"):
        if _holds_records(candidate):
            return [ConditionFolder(_condition_name(folder), candidate)]
    found = [
        ConditionFolder(path.name, path)
        for path in folder.iterdir()
        if path.is_dir() and _holds_records(path)
    ]
    if not found:
        raise DataError(
            f"{folder}: holds no condition (no responses/ or scored/ with .jsonl files); run `prefbench sample "
            f"--study {folder}` first, or give --study another folder"
        )
    return sorted(found, key=lambda condition: _natural_order(condition.name))


def match_condition(name: str, known: Sequence[str]) -> str:
    """Return the condition that a name stands for: `cond1`, `1`, `base` and `condition_1_base` are one.

    Raises ConfigError with the nearest name if none fits, or if several do.
    """
    fits = [each for each in known if each == name] or [each for each in known if _stands_for(name, each)]
    if len(fits) > 1:
        raise ConfigError(f"condition {name!r} could be {' or '.join(fits)}: give the whole name")
    if not fits:
        raise unknown_name("condition", name, known)
    return fits[0]


def check_judge_name(name: str) -> None:
    """Raise ConfigError for a judge's name that is no single folder name of its own below `scored/`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"judge's name {name!r}: use letters, digits, '.', '_' and '-' only")
    if name == PUBLISHED_JUDGE:
        raise ConfigError(f"judge's name {name!r} stands for a release's own scores: give another one")


def new_condition_name(name: str, known: Iterable[str]) -> str:
    """Return the folder name of a new condition: `dpo` becomes condition_2_dpo where condition 1 exists.

    Raises ConfigError for a name that is no single folder name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"condition {name!r}: use letters, digits, '.', '_' and '-' only")
    if _NUMBERED.match(name):
        return name
    if number := _NUMBER.match(name):
        return f"condition_{int(number[1])}"
    taken = [int(match[1]) for each in known if (match := _NUMBERED.match(each))]
    return f"condition_{max(taken, default=0) + 1}_{name}"


def _stands_for(name: str, condition: str) -> bool:
    parts = _NUMBERED.match(condition)
    if parts is None:
        return False
    number = _NUMBER.match(name)
    return int(number[1]) == int(parts[1]) if number else name == parts[2]


def _condition_name(folder: Path) -> str:
    return folder.resolve().name


def _holds_records(folder: Path) -> bool:
    if any(_jsonl_files(folder / "responses")) or any(_jsonl_files(folder / "scored")):
        return True
    scored = folder / "scored"
    return scored.is_dir() and any(_jsonl_files(path) for path in scored.iterdir() if path.is_dir())


def _jsonl_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix == ".jsonl" and not path.name.startswith(".")
    )


def _natural_order(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
