"""The line formats: prompts in, responses and scores out.

`ResponseRecord` and `ScoredRecord` carry exactly the fields of the published data release
heraldai/preference-expression-qwen3-8b, so that a release and our own files are read by one reader.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

PRIMARY_DOMAINS = (
    "aesthetic_preference",
    "conversational_agency",
    "creative_initiative",
    "ethical_judgment",
    "intellectual_preference",
)
SHORT_DOMAINS = ("binary_preference", "quad_preference", "word_association")
DOMAINS = PRIMARY_DOMAINS + SHORT_DOMAINS
FORMATS = ("binary_choice", "open_ended", "ranking", "quad_choice", "single_word")

Format = Literal["binary_choice", "open_ended", "ranking", "quad_choice", "single_word"]
Verdict = Literal["Y", "N"]
PromptStyle = Literal["auto", "chat", "completion", "qa"]
"""How a prompt is put to a model: its chat template, the prompt alone, or `Question: ... Answer:`."""
Positions = Literal["all", "prompt", "response", "decode"]
"""Which tokens are steered; `response` begins at the last prompt token, which decides the first answer token."""
Label = Literal["consistent_preference", "consistent_no_preference", "mixed"]


class RecordKey(NamedTuple):
    """What makes a record one of a kind within a condition. A prompt id alone repeats over temperatures."""

    domain: str
    id: str
    temperature: float


def parse_temperature(value: object) -> float:
    """Return 0.7 for 0.7, "0.7", "0.70" and "t0.7": the published files write it in two ways.

    Raises ValueError for what is not a finite number >= 0.
    """
    text = value.strip().removeprefix("t") if isinstance(value, str) else value
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError(f"temperature {value!r} is not a number")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"temperature {value!r} is not a number") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"temperature {value!r} must be a finite number, 0 or more")
    return number + 0.0  # -0.0 and 0.0 are one key


def format_temperature(value: float) -> str:
    """Return the normal form used in file names and scored records: 0.7 -> "t0.7", 1 -> "t1.0"."""
    return f"t{parse_temperature(value)!r}"


Temperature = Annotated[float, BeforeValidator(parse_temperature)]
TemperatureLabel = Annotated[str, BeforeValidator(lambda value: format_temperature(parse_temperature(value)))]
Name = Annotated[str, Field(min_length=1)]
DomainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A domain is part of file names, so it is letters, digits, `.`, `_` and `-`."""


class _Line(BaseModel):
    """One line of a JSONL file. Types are not coerced; fields that we do not know are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class PromptItem(_Line):
    """One item of a prompt bank."""

    id: Name
    domain: DomainName
    prompt: Name
    format: Format
    tags: list[str] = []
    options: list[str] | None = None
    """The canonical options in the order shown; None where the format has none."""


class Response(_Line):
    """One sampled answer."""

    text: str
    finish_reason: str | None = None
    """`stop` (the model or a stop string ended it), `length` (cut at max_tokens), or None if not known."""
    tokens: int | None = Field(default=None, ge=0)
    """Generated tokens, the end-of-sequence token included; None if not known."""


class ResponseRecord(_Line):
    """All responses to one prompt at one temperature in one condition."""

    id: Name
    domain: DomainName
    prompt: str
    format: Format
    tags: list[str]
    temperature: Temperature
    n_samples: int = Field(ge=1)
    responses: list[Response]
    timestamp: str

    @model_validator(mode="after")
    def _counts_agree(self) -> ResponseRecord:
        if len(self.responses) != self.n_samples:
            raise ValueError(f"n_samples is {self.n_samples} but there are {len(self.responses)} responses")
        return self

    @property
    def key(self) -> RecordKey:
        """What tells this record from the others of its condition."""
        return RecordKey(self.domain, self.id, self.temperature)


class ScoredRecord(_Line):
    """A judge's verdicts on one response record.

    `raw_judgments` holds one entry a response; an unreadable verdict is null at its place, and counts
    neither as a preference nor as none.
    """

    id: Name
    domain: DomainName
    prompt: str
    condition: Name
    temperature: TemperatureLabel
    preference_count: int = Field(ge=0)
    no_preference_count: int = Field(ge=0)
    consistency: float | None = Field(default=None, ge=0, le=1)
    label: Label | None = None
    preference_summary: str | None = None
    raw_judgments: list[Verdict | None]

    @model_validator(mode="after")
    def _counts_agree(self) -> ScoredRecord:
        yes, no = self.raw_judgments.count("Y"), self.raw_judgments.count("N")
        if (yes, no) != (self.preference_count, self.no_preference_count):
            raise ValueError(
                f"raw_judgments hold {yes} Y and {no} N, "
                f"the counts say {self.preference_count} and {self.no_preference_count}"
            )
        return self

    @property
    def key(self) -> RecordKey:
        """What tells this record from the others of its condition."""
        return RecordKey(self.domain, self.id, parse_temperature(self.temperature))


def explain_validation(error: ValidationError) -> str:
    """Return one line for a pydantic error: the first field at fault, what is wrong, how many more."""
    problems = error.errors(include_url=False, include_context=False)
    first: dict[str, Any] = dict(problems[0])
    where = ".".join(str(part) for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {what}{more}" if where else f"{what}{more}"
