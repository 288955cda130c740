"""Prove a treatment's steering on a few prompts, put as the study puts them, before anything is sampled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from prefbench.backends.base import Request, Sampling, Treatment
from prefbench.backends.hf.decoding import BlockDecoder, Prompt
from prefbench.errors import BackendError
from prefbench.records import PromptItem, RecordKey
from prefbench.steering.bench import ModelBench
from prefbench.steering.checks import prove_steering
from prefbench.steering.coherence import curve_as_json, guard_coherence, trace_curve
from prefbench.steering.hooks import steered
from prefbench.steering.measuring import Answer
from prefbench.steering.plan import Plan

PROMPTS = 8
ANSWERS = 2
TOKENS = 48
TEMPERATURE = 1.0
SEED = 20


def prove_treatment(
    model: Any,
    decoder: BlockDecoder,
    prepare: Callable[[Request], Prompt | str],
    plan: Plan,
    treatment: Treatment,
    items: Sequence[PromptItem],
    *,
    unsteered: dict[Any, list[Answer]],
) -> dict[str, Any]:
    """Return the figures of all checks, the dose curve and the warnings.

    `unsteered` keeps the answers without steering for other treatments of the same adapter and prompts. Raises
    BackendError if a check fails.
    """
    prepared = [prepare(_request(item, index, treatment)) for index, item in enumerate(spread(items))]
    prompts = [prompt for prompt in prepared if isinstance(prompt, Prompt)]
    if not prompts:
        raise BackendError(f"no prompt fits the model, so steering cannot be checked: {prepared[0]}")

    def answer(chosen: Plan) -> list[Answer]:
        with steered(model, chosen) as steering:
            drawn = decoder.draw(prompts, steering)
            steering.require_active()
        return _to_answers(drawn)

    started = time.monotonic()
    known = (treatment.adapter, *(tuple(prompt.ids) for prompt in prompts))
    if known not in unsteered:
        unsteered[known] = _to_answers(decoder.draw(prompts))
    bench = ModelBench(model, [prompt.ids for prompt in prompts], answer, unsteered[known])
    figures = prove_steering(bench, plan, seed=SEED)
    points = trace_curve(bench, plan)
    guard = guard_coherence(points)
    return {
        "prompts": len(prompts),
        "answers_each": ANSWERS,
        "max_tokens": TOKENS,
        "temperature": TEMPERATURE,
        **figures,
        "curve": curve_as_json(points),
        "seconds": round(time.monotonic() - started, 3),
        "warnings": [*plan.warnings, *([f"{treatment.condition}: {guard}"] if guard else [])],
    }


def _request(item: PromptItem, index: int, treatment: Treatment) -> Request:
    key = RecordKey(item.domain, item.id, TEMPERATURE)
    return Request(
        key, item.prompt, ANSWERS, SEED + ANSWERS * index, Sampling(TEMPERATURE, 1.0, TOKENS), treatment
    )


def spread(items: Sequence[PromptItem]) -> list[PromptItem]:
    """Return a few prompts from all over the bank."""
    count = min(PROMPTS, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _to_answers(drawn: Sequence[Sequence[Any]]) -> list[Answer]:
    return [
        Answer(prompt, tuple(each.ids), not each.ended)
        for prompt, group in enumerate(drawn)
        for each in group
    ]
