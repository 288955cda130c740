"""Contrastive definitions of traits: five that are shipped, or your own JSON file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prefbench.errors import DataError, unknown_name
from prefbench.records import explain_validation
from prefbench.store import read_json


class InstructionPair(BaseModel):
    """Two system prompts: one that asks for the trait, one that asks for its opposite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    positive: str = Field(min_length=1)
    negative: str = Field(min_length=1)


class TraitDefinition(BaseModel):
    """What `prefbench vectors extract` works from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    trait: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    description: str = Field(min_length=1)
    pairs: list[InstructionPair] = Field(min_length=1)
    extraction_questions: list[str] = Field(min_length=1)
    evaluation_questions: list[str] = Field(min_length=1)
    """Never seen by the extraction: for measuring what the vector does."""

    @model_validator(mode="after")
    def _questions_differ(self) -> TraitDefinition:
        questions = [*self.extraction_questions, *self.evaluation_questions]
        if twice := sorted({each for each in questions if questions.count(each) > 1}):
            raise ValueError(f"the question {twice[0]!r} stands there twice")
        return self


def shipped_traits() -> list[str]:
    """Return the names of the shipped definitions."""
    folder = files("prefbench") / "data" / "traits"
    return sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))


def load_trait(name: str) -> TraitDefinition:
    """Return a shipped definition by its name, or the one in a `.json` file.

    Raises ConfigError for an unknown name, DataError for a file that is no definition.
    """
    if name.endswith(".json"):
        path = Path(name)
    elif name in shipped_traits():
        path = Path(str(files("prefbench") / "data" / "traits" / f"{name}.json"))
    else:
        raise unknown_name("trait", name, shipped_traits())
    try:
        return TraitDefinition.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(
            f"{path}: not a trait definition: {explain_validation(error)}; correct the file"
        ) from error
