"""The lines of a labels file: one for each key press that decided something; the last line of an item counts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from prefbench.errors import DataError
from prefbench.records import DomainName, Name, RecordKey, Temperature
from prefbench.store import read_models

Mark = Literal["Y", "N", "skip"]
"""What a person says of a response; `skip` is an item that was seen and left open."""


class LabelKey(NamedTuple):
    """Which response: its record, and its place in that record from 0 (`index` on a line)."""

    condition: str
    domain: str
    id: str
    temperature: float
    place: int

    @property
    def record(self) -> RecordKey:
        """The record within the condition."""
        return RecordKey(self.domain, self.id, self.temperature)


class LabelItem(BaseModel):
    """One response that is to be labelled, with all that a person needs to do so."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    condition: Name
    domain: DomainName
    id: Name
    temperature: Temperature
    index: int = Field(ge=0)
    """The place of the response in its record, from 0."""
    prompt: str
    response: str

    @property
    def key(self) -> LabelKey:
        """What tells this response from all others of the study."""
        return LabelKey(self.condition, self.domain, self.id, self.temperature, self.index)


class Label(LabelItem):
    """What a person said of one response."""

    label: Mark | None
    """None where only a note was left."""
    note: str | None = None
    labeller: Name
    timestamp: str


def read_labels(path: Path) -> dict[LabelKey, Label]:
    """Return the last word on each response, in the order in which they were first seen.

    Raises DataError for a line that is none, or if one response stands there with two texts.
    """
    found: dict[LabelKey, Label] = {}
    for number, label in read_models(path, Label):
        before = found.get(label.key)
        if before is not None and (before.prompt, before.response) != (label.prompt, label.response):
            raise DataError(
                f"{path}:{number}: {label.domain}/{label.id}, response {label.index}, stands above with another "
                "text; keep the labels of one study in one file"
            )
        found[label.key] = label
    return found
