"""Requests of the checks: given tokens in, log-probabilities and greedy or seeded answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefbench.backends.vllm.engine import Engine, Job
from prefbench.backends.vllm.state import PROBE, PROMPT_LENGTH, SLOT
from prefbench.errors import BackendError

LIKELIEST = 5
"""Tokens whose log-probabilities are read at each step."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One request of a check."""

    ids: Sequence[int]
    slot: int = 0
    adapter: Any = None
    """LoRARequest, or None."""
    prompt_length: int | None = None
    """Where its prompt ends, if not at its end: tokens beyond are steered as an answer's."""
    number: int | None = None
    """Under which its hidden states are read, if they are."""
    max_tokens: int = 1
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    ids: tuple[int, ...]
    logs: np.ndarray
    """Log-probabilities of the generated tokens [tokens]."""
    likely: tuple[Mapping[int, float], ...]
    """Log-probabilities of the likeliest tokens at each step, the generated one among them."""
    ended: bool
    """Whether it ended by itself."""


def ask(engine: Engine, probes: Sequence[Probe], *, salt: str) -> list[Reply]:
    """Run probes together and return their replies in order. Only probes of one salt share cached blocks.

    Raises BackendError if the engine ends one with a fault.
    """
    waiting = {engine.submit(_make_job(probe, salt)): index for index, probe in enumerate(probes)}
    replies: dict[int, Reply] = {}
    while waiting:
        for name, output in engine.poll():
            if name in waiting:
                index = waiting.pop(name)
                replies[index] = _read_reply(output)
    return [replies[index] for index in range(len(probes))]


def _make_job(probe: Probe, salt: str) -> Job:
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    extra = {SLOT: probe.slot, PROMPT_LENGTH: probe.prompt_length, PROBE: probe.number}
    parameters = SamplingParams(
        temperature=probe.temperature,
        max_tokens=probe.max_tokens,
        seed=probe.seed,
        logprobs=LIKELIEST,
        # what is read must be computed
        skip_reading_prefix_cache=True if probe.number is not None else None,
        detokenize=False,
        extra_args={name: value for name, value in extra.items() if value is not None},
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    return Job(probe.ids, parameters, probe.adapter, salt)


def _read_reply(output: Any) -> Reply:
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        raise BackendError(f"vLLM ended a check's request with {answer.finish_reason!r}; nothing was sampled")
    likely = tuple({token: each.logprob for token, each in step.items()} for step in answer.logprobs)
    generated = [step[token] for step, token in zip(likely, answer.token_ids, strict=True)]
    return Reply(tuple(answer.token_ids), np.array(generated), likely, answer.finish_reason == "stop")
