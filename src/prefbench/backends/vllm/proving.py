"""Prove that one slot of a running engine steers as its plan says: before its condition is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefbench.backends.vllm.bench import ANSWERS, SEED, TEMPERATURE, TOKENS, Cell, VllmBench
from prefbench.backends.vllm.control import SteeringControl
from prefbench.backends.vllm.engine import Engine
from prefbench.backends.vllm.mixing import FLOOR, GREEDY, NOISE, Measured, check_mixed, mean_gap
from prefbench.errors import BackendError
from prefbench.steering.checks import prove_steering
from prefbench.steering.coherence import curve_as_json, guard_coherence, trace_curve
from prefbench.steering.measuring import Text, answer_texts
from prefbench.steering.plan import Plan

AMPLIFIED = (1.0, 4.0, 16.0, 64.0)
TELLING = 20.0
"""How many times the noise an effect must be for compiled and uncompiled runs to be compared by it."""
RELATIVE = 0.05


def prove_slot(
    engine: Engine,
    control: SteeringControl,
    slot: int,
    plan: Plan,
    prompts: Sequence[Sequence[int]],
    *,
    adapter: Any = None,
    other_adapters: Sequence[Any] = (),
    condition: str = "",
) -> dict[str, Any]:
    """Run every check on a slot and leave the plan in it; return the figures and warnings for the manifest.

    `prompts` are a few prompts of the study in tokens, `adapter` the LoRARequest of the slot's condition,
    `other_adapters` those of other conditions of the same engine. Raises BackendError, naming the check, if one
    fails; nothing may be sampled then.
    """
    room = int(engine.config.model_config.max_model_len) - 2
    prompts = [prompt for prompt in prompts if 0 < len(prompt) <= room]
    if not prompts:
        raise BackendError("no prompt fits the model's context, so steering cannot be checked")
    bench = VllmBench(engine, control, slot, prompts=prompts, adapter=adapter)
    bench.load(plan)
    texts = answer_texts(prompts, bench.unsteered)
    mixed = check_mixed(
        [(with_slot, each) for each in (None, adapter, *other_adapters) for with_slot in (0, slot)],
        together=partial(_measure, bench, texts),
        in_halves=partial(_measure_in_halves, bench, texts),
    )
    decode = check_decode(bench)
    compiled = check_compiled(bench, plan, texts, control)
    figures = prove_steering(bench, plan, seed=SEED)
    points = trace_curve(bench, plan)
    bench.load(plan)
    guard = guard_coherence(points)
    return {
        "prompts": len(prompts),
        "answers_each": ANSWERS,
        "max_tokens": TOKENS,
        "temperature": TEMPERATURE,
        "engine": control.description,
        "slot": slot,
        **figures,
        "mixed": mixed,
        "decode": decode,
        "compiled": compiled,
        "curve": curve_as_json(points),
        "warnings": [
            *plan.warnings,
            *([f"{condition}: {guard}"] if guard else []),
            *_warn_untold(compiled, condition),
        ],
    }


def check_decode(bench: VllmBench) -> dict[str, float]:
    """What the engine generates step by step must be what it predicts when given the same tokens at once.

    The second way's steering is what the dose test reads, so this carries its result over to decoding, with its own
    kernels and graphs.
    """
    gaps = {}
    for slot in (0, bench.slot):
        texts, generated = bench.greedy_texts(slot, GREEDY)
        forced = bench.score(texts, slot=slot)
        pairs = [
            (first, second[text.prompt_length - 1 :])
            for first, second, text in zip(generated, forced, texts, strict=True)
        ]
        gaps[slot] = mean_gap(pairs)
    noise, gap = gaps[0], gaps[bench.slot]
    if gap > max(FLOOR, NOISE * noise):
        raise BackendError(
            f"steering check failed: answers generated with steering differ from what the steered model predicts: "
            f"log-probabilities by {gap:.3g} on average, without steering by {noise:.3g}; nothing was sampled"
        )
    return {"gap": gap, "noise": noise}


def check_compiled(
    bench: VllmBench, plan: Plan, texts: Sequence[Text], control: SteeringControl
) -> dict[str, Any]:
    """The compiled model must predict under steering what the model's own code does.

    The plan is amplified until its effect stands out from the differences that compiling makes without it; where it
    never does, `told` is false.
    """
    mode = control.description["compilation"]
    if mode == "NONE" or not any(table.any() for table in plan.tables.values()):
        return {"mode": mode, "told": None}
    if not all(bench.engine.call("prefbench_can_uncompile")):
        raise BackendError(
            "steering check failed: vLLM compiles this model in a way that cannot be switched off for a comparison; "
            "use --engine enforce_eager=true; nothing was sampled"
        )
    plain = bench.score(texts, slot=0)
    own_plain = bench.score(texts, slot=0, compiled=False)
    noise = mean_gap(list(zip(plain, own_plain, strict=True)))
    for factor in AMPLIFIED:
        bench.load(plan.scaled(factor))
        own = bench.score(texts, slot=bench.slot, compiled=False)
        effect = mean_gap(list(zip(own, own_plain, strict=True)))
        gap = mean_gap(list(zip(bench.score(texts, slot=bench.slot), own, strict=True)))
        if gap > max(FLOOR, NOISE * noise, RELATIVE * effect):
            raise BackendError(
                f"steering check failed: the compiled model steers otherwise than its own code: log-probabilities "
                f"differ by {gap:.3g} on average, steering moves them by {effect:.3g}; use --engine "
                "enforce_eager=true; nothing was sampled"
            )
        if told := effect > TELLING * max(noise, FLOOR / NOISE):
            break
    bench.load(plan)
    return {"mode": mode, "told": told, "factor": factor, "effect": effect, "gap": gap, "noise": noise}


def _measure(bench: VllmBench, texts: Sequence[Text], cells: Sequence[Cell]) -> list[Measured]:
    """Run the requests of some cells in batches that they share."""
    scores, answers = bench.score_cells(texts, cells), bench.generate_cells(cells, GREEDY)
    return [Measured(*each) for each in zip(scores, answers, strict=True)]


def _measure_in_halves(bench: VllmBench, texts: Sequence[Text], cell: Cell) -> Measured:
    """Run the requests of one cell in batches of other sizes."""
    middle = -(-len(texts) // 2)
    parts = [part for part in (texts[:middle], texts[middle:]) if part]
    scores = [score for part in parts for score in bench.score_cells(part, [cell])[0]]
    return Measured(scores, bench.generate_cells([cell, cell], GREEDY)[1])


def _warn_untold(compiled: dict[str, Any], condition: str) -> list[str]:
    if compiled["told"] is not False:
        return []
    return [
        f"{condition}: even {compiled['factor']:g} times the vectors' strength moves predictions by no more than "
        "compiling does, so the compiled model could not be compared with its own code"
    ]
