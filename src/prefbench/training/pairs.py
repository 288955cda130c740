"""Preference pairs on disk: lines with a prompt and two answers in, checked `Pair`s out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from prefbench.bank import read_lines
from prefbench.errors import DataError
from prefbench.store import parse_line, writing

TRAIN_FILE = "train.jsonl"
HELD_OUT_FILE = "held_out.jsonl"
HELD_OUT_PROMPTS_FILE = "held_out_prompts.jsonl"
"""A folder of pairs, as `prefbench train pairs` writes it."""


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    role: Literal["system", "user", "assistant"]
    content: str


class Pair(BaseModel):
    """One preference: after this prompt, `chosen` rather than `rejected`.

    A prompt is the text that a model is sent as it stands, or a list of messages, to be put into its chat template.
    An answer is its text; in conversational data also a list with one message of the assistant.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    prompt: Annotated[str, Field(min_length=1)] | Annotated[list[Message], Field(min_length=1)]
    chosen: str
    rejected: str
    domain: str | None = None
    id: str | None = None
    chat_template_kwargs: dict[str, Any] = {}
    """For a list of messages: what the template is given, e.g. {"enable_thinking": false}."""

    @field_validator("chosen", "rejected", mode="before")
    @classmethod
    def _one_answer(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        if len(value) != 1 or not isinstance(value[0], dict) or value[0].get("role") != "assistant":
            raise ValueError("must be a text, or a list with one message of the assistant")
        return value[0].get("content")

    @model_validator(mode="after")
    def _answers_differ(self) -> Pair:
        for name, text in (("chosen", self.chosen), ("rejected", self.rejected)):
            if not text.strip():
                raise ValueError(f"{name} is empty")
        if self.chosen == self.rejected:
            raise ValueError("chosen and rejected are the same text, which says nothing")
        return self

    def to_line(self) -> dict[str, Any]:
        """Return the fields that say something, ready for JSON."""
        fields = self.model_dump()
        optional = ("domain", "id", "chat_template_kwargs")
        return {name: value for name, value in fields.items() if value or name not in optional}


def read_pairs(path: Path) -> list[Pair]:
    """Return the pairs of a JSONL file. Raises DataError "file:line: what" for a line that is none."""
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; give a JSONL file of pairs, or a folder made by `prefbench train pairs`"
        )
    pairs = [parse_line(line, Pair, place=where) for where, line in read_lines([path])]
    if not pairs:
        raise DataError(f"{path}: no pairs in it; a pair is a line with prompt, chosen and rejected")
    return pairs


def find_pairs(source: Path) -> tuple[Path, Path | None]:
    """Return the files of (pairs to train on, held-out pairs or None) of a file or of a folder of pairs."""
    if not source.is_dir():
        return source, None
    held_out = source / HELD_OUT_FILE
    return source / TRAIN_FILE, held_out if held_out.is_file() else None


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write pairs to a JSONL file, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.part")
    with writing(path):
        unfinished.write_bytes(b"".join(orjson.dumps(pair.to_line()) + b"\n" for pair in pairs))
        unfinished.replace(path)


def describe_pairs(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the number of pairs and their SHA-256 in their order, which training depends on."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(orjson.dumps(pair.to_line(), option=orjson.OPT_SORT_KEYS) + b"\n")
    return {"pairs": len(pairs), "sha256": digest.hexdigest()}
