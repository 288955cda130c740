"""From a request to what the engine takes, and from its answers back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from prefbench.backends.base import Completion, Output, Request, Treatment
from prefbench.backends.hf.prompts import QA_STOP, encode_prompt
from prefbench.records import PromptStyle

REMEMBERED = 8192
"""Encoded prompts that are kept: the same one comes again at each temperature and in each condition."""


class PromptEncoder:
    """Turns prompts into token ids, once each."""

    def __init__(self, tokenizer: Any, *, enable_thinking: bool) -> None:
        self._tokenizer = tokenizer
        self._enable_thinking = enable_thinking
        self._known: OrderedDict[tuple[str, str | None, PromptStyle], list[int]] = OrderedDict()

    def encode(self, prompt: str, treatment: Treatment, style: PromptStyle) -> list[int]:
        """Return the token ids of a prompt in a condition."""
        key = (prompt, treatment.system_prompt, style)
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.popitem(last=False)
            self._known[key] = encode_prompt(
                self._tokenizer, prompt, treatment, style=style, enable_thinking=self._enable_thinking
            )
        return self._known[key]


def make_parameters(
    request: Request, *, room: int, style: PromptStyle, seeded: bool, slot: int | None
) -> Any:
    """Return vLLM's SamplingParams for a request with room for so many tokens. Answer i has the seed `seed + i`."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    sampling = request.sampling
    greedy = sampling.temperature == 0
    return SamplingParams(
        n=1 if greedy else request.n,  # all greedy answers are one
        temperature=sampling.temperature,
        top_p=1.0 if greedy else sampling.top_p,
        max_tokens=min(sampling.max_tokens, room),
        stop=[*sampling.stop, *(QA_STOP if style == "qa" else ())],
        seed=request.seed if seeded and not greedy else None,
        structured_outputs=StructuredOutputsParams(json=dict(request.schema)) if request.schema else None,
        extra_args={"prefbench_slot": slot} if slot else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def read_completion(request: Request, outputs: Sequence[Any]) -> Completion:
    """Return the answers of one finished request, or the fault that ended it."""
    broken = [each.finish_reason for each in outputs if each.finish_reason not in ("stop", "length")]
    if broken or not outputs:
        return Completion(
            request,
            error=f"vLLM ended an answer with {broken[0] if broken else 'nothing'!r}",
            fault="transient",
        )
    answers = tuple(Output(each.text, each.finish_reason, len(each.token_ids)) for each in outputs)
    return Completion(request, outputs=answers * request.n if len(answers) < request.n else answers)
