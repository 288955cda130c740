"""The study file `prefbench.toml`: prompts, grid, backend, judge and conditions; with its defaults."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from prefbench.errors import ConfigError, unknown_name
from prefbench.records import Positions, PromptStyle, Temperature, explain_validation

STUDY_FILE = "prefbench.toml"
DEFAULT_STUDY = "study"
DEFAULT_CONDITION = "condition_1_base"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Grid(_Section):
    """What is sampled, and how."""

    temperatures: list[Temperature] = Field(default=[0.7, 1.0, 1.5], min_length=1)
    n_samples: int = Field(default=10, ge=1)
    max_tokens: int = Field(default=1024, ge=1)
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    domains: list[str] | None = None
    limit: int | None = Field(default=None, ge=1)
    """The first so many prompts of each domain."""
    stop: list[str] = []

    @field_validator("top_p", mode="before")
    @classmethod
    def _top_p_is_a_number(cls, value: object) -> object:
        # `top_p = 1` in a study file is an integer
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("temperatures")
    @classmethod
    def _temperatures_differ(cls, value: list[float]) -> list[float]:
        if len(set(value)) != len(value):
            raise ValueError(f"{value} names a temperature twice")
        return value

    @field_validator("stop")
    @classmethod
    def _stops_are_not_empty(cls, value: list[str]) -> list[str]:
        if "" in value:
            raise ValueError("an empty stop string would end every answer at once")
        return value


class VectorChoice(_Section):
    """One trait vector of a condition, and how much of it: a coefficient or a dose, not both."""

    file: str = Field(min_length=1)
    coefficient: float | None = None
    """What the vector, with its raw norm, is multiplied by."""
    dose: float | None = None
    """alpha: the norm of what is added, as a share of the mean norm of the hidden states at that layer."""
    layers: list[int] | None = None
    """Block numbers from 0; None takes the layer that the file recommends."""
    positions: Positions = "all"

    @model_validator(mode="after")
    def _one_strength(self) -> VectorChoice:
        if (self.coefficient is None) == (self.dose is None):
            raise ValueError(f"{self.file}: give either coefficient or dose")
        strength = self.coefficient if self.dose is None else self.dose
        if strength is None or not math.isfinite(strength):
            raise ValueError(f"{self.file}: the strength must be a finite number")
        return self


class Condition(_Section):
    """One cell of the design."""

    name: str = DEFAULT_CONDITION
    model: str = Field(min_length=1)
    prompt_style: PromptStyle = "auto"
    system_prompt: str | None = None
    adapter: str | None = Field(default=None, min_length=1)
    """A peft adapter: a folder, relative to the study file, or a hub id."""
    vectors: list[VectorChoice] = []
    factors: list[str] | None = None
    """The treatments that it has, for the statistics (["finetuning", "steering"]); None leaves it to the name."""

    def needs(self) -> frozenset[str]:
        """Return the features that a backend must support to sample this condition."""
        needed = {"system_prompt": self.system_prompt, "adapter": self.adapter, "steering": self.vectors}
        return frozenset(name for name, value in needed.items() if value)


class BackendChoice(_Section):
    """Which backend samples, and its options."""

    name: str = "auto"
    options: dict[str, Any] = {}


class JudgeChoice(_Section):
    """Which judge scores, and its options."""

    name: str = "lexical"
    options: dict[str, Any] = {}


class StudyHead(_Section):
    """What holds for the whole study."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    prompts: str = "builtin"
    """`builtin`, or a file or folder of prompt items, relative to the study file."""


class Study(_Section):
    """A study: everything that `prefbench.toml` may say."""

    study: StudyHead = StudyHead()
    sampling: Grid = Grid()
    backend: BackendChoice = BackendChoice()
    judge: JudgeChoice = JudgeChoice()
    conditions: list[Condition] = []

    @field_validator("conditions")
    @classmethod
    def _names_differ(cls, value: list[Condition]) -> list[Condition]:
        names = [condition.name for condition in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is named twice")
        return value


def load_study(folder: Path | str) -> Study:
    """Return the study in a folder; the defaults if it has no study file.

    Raises ConfigError "file: field: what is wrong".
    """
    path = Path(folder) / STUDY_FILE
    if not path.exists():
        return Study()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}; correct the line") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise _study_error(path, error) from error
    return _with_paths_beside(study, path.parent)


def validate_grid(**values: Any) -> Grid:
    """Return the grid with these values. Raises ConfigError naming the value at fault."""
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} {value} must be a finite number")
    try:
        return Grid.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{explain_validation(error)}; correct the value") from error


def validate_condition(**values: Any) -> Condition:
    """Return the condition with these values. Raises ConfigError naming the value at fault."""
    try:
        return Condition.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{explain_validation(error)}; correct the value") from error


def validate_vector(**values: Any) -> VectorChoice:
    """Return the choice of a trait vector with these values. Raises ConfigError naming the value at fault."""
    try:
        return VectorChoice.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"vector {values.get('file')!r}: {explain_validation(error)}") from error


def validate_seed(seed: int) -> int:
    """Return the seed of a study. Raises ConfigError."""
    try:
        return StudyHead(seed=seed).seed
    except ValidationError as error:
        raise ConfigError(f"{explain_validation(error)}; correct the value") from error


def _with_paths_beside(study: Study, folder: Path) -> Study:
    """Make relative paths relative to the study file: prompts, vectors, and models and adapters that lie there."""
    head = study.study
    if head.prompts != "builtin":
        head = head.model_copy(update={"prompts": str(folder / head.prompts)})
    conditions = [_condition_beside(condition, folder) for condition in study.conditions]
    return study.model_copy(update={"study": head, "conditions": conditions})


def _condition_beside(condition: Condition, folder: Path) -> Condition:
    vectors = [vector.model_copy(update={"file": str(folder / vector.file)}) for vector in condition.vectors]
    return condition.model_copy(
        update={
            "model": _beside(condition.model, folder),
            "adapter": _beside(condition.adapter, folder) if condition.adapter else None,
            "vectors": vectors,
        }
    )


def _beside(name: str, folder: Path) -> str:
    """Return the path of a name that is a folder beside the study file or is written as a path; else a hub id."""
    written_as_path = name.startswith(("./", "../"))
    return str(folder / name) if written_as_path or (folder / name).is_dir() else name


def _study_error(path: Path, error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False)[0]
    if first["type"] != "extra_forbidden":
        return ConfigError(f"{path}: {explain_validation(error)}; correct it")
    *section, name = [str(part) for part in first["loc"]]
    cause = unknown_name(
        f"setting in {'.'.join(section) or 'the study file'}", name, _known_settings(section)
    )
    return ConfigError(f"{path}: {cause}")


def _known_settings(section: list[str]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "study": StudyHead,
        "sampling": Grid,
        "backend": BackendChoice,
        "judge": JudgeChoice,
        "conditions": Condition,
    }
    return sorted((models[section[0]] if section else Study).model_fields)
