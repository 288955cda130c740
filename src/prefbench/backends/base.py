"""The backend seam: requests in, completions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from prefbench.records import Positions, PromptItem, PromptStyle, RecordKey


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the answers to one prompt are drawn."""

    temperature: float
    """0 takes the most likely token each time."""
    top_p: float
    """Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751): the smallest set of tokens with this mass."""
    max_tokens: int
    stop: tuple[str, ...] = ()
    """Strings that end an answer; they are not part of its text."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One trait vector that a condition adds: a file, and how much of it where."""

    file: str
    coefficient: float | None = None
    dose: float | None = None
    layers: tuple[int, ...] | None = None
    positions: Positions = "all"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What tells one condition from another that shares its weights."""

    condition: str
    prompt_style: PromptStyle = "auto"
    system_prompt: str | None = None
    adapter: str | None = None
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, to be answered n times. Answer i is drawn with the seed `seed + i`."""

    key: RecordKey
    prompt: str
    n: int
    seed: int
    sampling: Sampling
    treatment: Treatment
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the answer must follow; only for a backend that supports "schema"."""
    tag: str = ""
    """What tells this request from others of the same key, where a caller has several."""


@dataclass(frozen=True, slots=True)
class Output:
    """One answer."""

    text: str
    finish_reason: str | None
    """`stop` (end of sequence or a stop string) or `length` (cut at max_tokens)."""
    tokens: int
    """Generated tokens, the end-of-sequence token included."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that one request was billed for. The three kinds of input tokens do not overlap."""

    input_tokens: int = 0
    cached_tokens: int = 0
    """Input read from the provider's prompt cache."""
    cache_write_tokens: int = 0
    """Input written to the provider's prompt cache."""
    output_tokens: int = 0
    """What was generated, thinking included."""

    @property
    def all_input_tokens(self) -> int:
        """Input tokens of all three kinds."""
        return self.input_tokens + self.cached_tokens + self.cache_write_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.output_tokens + other.output_tokens,
        )


Fault = Literal["overflow", "transient", "refused"]
"""Of one item: too long for the model's context, failed in passing and worth asking again, or refused for good."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The n answers to one request, or the fault that it met."""

    request: Request
    outputs: tuple[Output, ...] = ()
    error: str | None = None
    fault: Fault | None = None
    """What kind of error, where the backend can tell."""
    usage: Usage | None = None
    """None where the backend does not count."""


class Backend(Protocol):
    """Something that generates text, opened on one model, for every condition that shares its weights."""

    supports: ClassVar[frozenset[str]]
    """What it can do beyond plain sampling.

    "seed", "system_prompt", "stop", "chat", "adapter", "steering", "schema", "batch".
    """

    @property
    def block(self) -> int:
        """How many consecutive requests are computed together and so share their rounding; 1 if none do.

        A resumed run asks again for whole blocks, so that the numbers do not depend on where it was cut.
        """
        ...

    def identify(self, treatment: Treatment) -> dict[str, Any]:
        """Return what all records of a condition must share: model hash, dtype, resolved prompt style, template."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of this run beyond that: versions, device, what seeds guarantee."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield completions as they finish. One request's fault is its Completion's `error`.

        Raises BackendError for a fault that hits every request.
        """
        ...


class SteeringBackend(Backend, Protocol):
    """A backend that supports "steering"."""

    def check_steering(
        self, treatment: Treatment, items: Sequence[PromptItem], *, strict: bool = False
    ) -> dict[str, Any]:
        """Prove on some of the prompts that a treatment's vectors act as strongly as they say.

        Return the figures for the manifest, with the key `warnings`. Raises BackendError if a check fails;
        with `strict` ConfigError for a vector that is not known to be of these weights.
        """
        ...
