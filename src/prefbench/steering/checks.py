"""Prove that steering acts, and as strongly as it says: what must hold before a steered condition is sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from prefbench.errors import BackendError
from prefbench.steering.bench import Bench
from prefbench.steering.measuring import Answer, Probe, Reading, Shift, Text, answer_texts
from prefbench.steering.plan import KINDS, Plan

TOLERANCE = 0.02
"""How far what arrives may be from what was asked for, as a share of it."""
RANDOM_DRAWS = 3


class Readings(NamedTuple):
    """What was measured of a plan on given tokens, and of what stands beside it as a control."""

    steered: Reading
    mirrored: Reading
    """The whole plan, every coefficient negated."""
    alone: Mapping[int, Reading]
    """Block -> the plan at this block only; the block before is watched too."""
    mirrored_alone: Mapping[int, Reading]
    random_plans: Sequence[Plan]
    """Random vectors with the norms of the plan's."""
    randoms: Sequence[Reading]
    random_alone: Reading
    """The first random plan at the strongest block only."""
    other: int | None
    """The block beside the strongest one; None in a model of one block."""
    elsewhere: Reading | None
    """The strongest block's vector at the other block."""
    before: Reading | None
    """Whichever of the two plans acts at the later of the two blocks; the earlier one is watched."""


def prove_steering(bench: Bench, plan: Plan, *, seed: int = 0) -> dict[str, Any]:
    """Run every check that can fail and return the figures, ready for the manifest.

    Raises BackendError, naming the check and the figure, if one fails.
    """
    texts = answer_texts(bench.prompts, _longest(bench.unsteered))
    zero = check_zero(bench, plan)
    readings = read_plan(bench, plan, texts, seed=seed)
    return {
        "tokens_read": sum(len(text.ids) for text in texts),
        "sites": bench.sites(plan),
        "zero": zero,
        "dose": check_dose(plan, readings),
        "mirror": check_mirror(plan, readings),
        "controls": check_controls(plan, readings),
    }


def read_plan(bench: Bench, plan: Plan, texts: Sequence[Text], *, seed: int = 0) -> Readings:
    """Measure, on given tokens, all that the checks of a plan look at."""
    rng = np.random.default_rng(seed)
    randoms = [_randomised(plan, rng) for _ in range(RANDOM_DRAWS)]
    strongest, count, mirrored = strongest_block(plan), bench.blocks, plan.scaled(-1.0)
    probes: dict[Any, Probe] = {
        "steered": Probe(plan, divergence=True),
        "mirrored": Probe(mirrored, divergence=True),
        **{("alone", layer): Probe(plan.only(layer), (layer - 1, layer)) for layer in plan.layers},
        **{("mirrored", layer): Probe(mirrored.only(layer), (layer,)) for layer in plan.layers},
        **{("random", index): Probe(random, divergence=True) for index, random in enumerate(randoms)},
        "random alone": Probe(randoms[0].only(strongest), (strongest,)),
    }
    other = None if count < 2 else strongest + 1 if strongest + 1 < count else strongest - 1
    if other is not None:
        moved = Plan({other: plan.tables[strongest]})
        acting = moved if other > strongest else plan.only(strongest)
        probes["elsewhere"] = Probe(moved, divergence=True)
        probes["before"] = Probe(acting, (min(strongest, other),))
    found = bench.measure(texts, probes)
    return Readings(
        steered=found["steered"],
        mirrored=found["mirrored"],
        alone={layer: found["alone", layer] for layer in plan.layers},
        mirrored_alone={layer: found["mirrored", layer] for layer in plan.layers},
        random_plans=randoms,
        randoms=[found["random", index] for index in range(RANDOM_DRAWS)],
        random_alone=found["random alone"],
        other=other,
        elsewhere=found.get("elsewhere"),
        before=found.get("before"),
    )


def check_zero(bench: Bench, plan: Plan) -> dict[str, Any]:
    """With every coefficient at zero and all hooks in place, the answers must be the unsteered ones, byte for byte."""
    zero = bench.answer(plan.scaled(0.0))
    same = sum(first == second for first, second in zip(zero, bench.unsteered, strict=True))
    if same != len(zero):
        raise BackendError(
            f"steering check failed: with coefficient zero {len(zero) - same} of {len(zero)} answers differ from the "
            "unsteered ones; nothing was sampled"
        )
    return {"answers": len(zero), "equal": same}


def check_dose(plan: Plan, readings: Readings) -> list[dict[str, Any]]:
    """At each block alone, teacher-forced: the mean shift along what is added must be its length, within 2 %.

    Tokens that are not to be steered must not move there, nor must anything in the block before.
    """
    figures = []
    for layer in plan.layers:
        shifts = readings.alone[layer].shifts
        shift = shifts[layer]
        shares = _shares(shift, plan.tables[layer])
        delivered = [share for share in shares.values() if share is not None]
        if wrong := [share for share in delivered if not abs(share - 1) <= TOLERANCE]:
            raise BackendError(
                f"steering check failed: block {layer} moved by {wrong[0]:.3f} of what was added to it, not 1 within "
                f"{TOLERANCE:.0%}: {_explain_share(wrong[0])}; nothing was sampled"
            )
        leak = max(_leak(shift, plan.tables[layer]), shifts[layer - 1].largest if layer else 0.0)
        length = float(np.linalg.norm(plan.tables[layer], axis=-1).max())
        if not leak <= TOLERANCE * length:
            raise BackendError(
                f"steering check failed: tokens or blocks that are not steered moved by up to {leak:.3g} when block "
                f"{layer} was; nothing was sampled"
            )
        figures.append(
            {"layer": layer, "added": length, "share": shares, "tokens": shift.counts(), "leak": leak}
        )
    return figures


def check_mirror(plan: Plan, readings: Readings) -> dict[str, Any]:
    """With every coefficient negated, each block must move as far the other way; what follows is reported."""
    shares = {}
    for layer in plan.layers:
        mirrored = readings.mirrored_alone[layer].shifts[layer]
        for kind, share in _shares(mirrored, plan.tables[layer]).items():
            if share is None:
                continue
            if not abs(share + 1) <= TOLERANCE:
                raise BackendError(
                    f"steering check failed: negated, block {layer} moved by {share:.3f} of what was added, not -1 "
                    f"within {TOLERANCE:.0%}; nothing was sampled"
                )
            shares[f"{layer} {kind}"] = share
    return {"share": shares, "divergence": readings.mirrored.divergence}


def check_controls(plan: Plan, readings: Readings) -> dict[str, Any]:
    """Look at random vectors of the same norm in the vector's place, and at the vector at another block.

    A random vector must move the block along the trait only as far as it happens to point that way; a vector at a
    later block must leave the right one where it is. The divergences (mean KL of the next-token distribution from
    the unsteered one, nats) say how much of the effect any vector of that size would have.
    """
    return {
        "divergence": readings.steered.divergence,
        "random_divergence": [random.divergence for random in readings.randoms],
        "random_share": _check_random(plan, readings),
        "wrong_layer": _check_wrong_layer(plan, readings),
    }


def _check_random(plan: Plan, readings: Readings) -> float | None:
    layer = strongest_block(plan)
    table, random = plan.tables[layer], readings.random_plans[0].tables[layer]
    expected = [
        float(random[kind] @ row / (row @ row)) if row.any() else None for kind, row in enumerate(table)
    ]
    found = _shares(readings.random_alone.shifts[layer], table)
    last = None
    for share, wanted in zip(found.values(), expected, strict=True):
        if share is None or wanted is None:
            continue
        last = share
        if not abs(share - wanted) <= TOLERANCE:
            raise BackendError(
                f"steering check failed: a random vector moved block {layer} along the trait by {share:.3f} of the "
                f"vector's own length, {wanted:.3f} is right; nothing was sampled"
            )
    return last


def _check_wrong_layer(plan: Plan, readings: Readings) -> dict[str, Any] | None:
    layer, other = strongest_block(plan), readings.other
    if other is None or readings.before is None or readings.elsewhere is None:
        return None
    # whichever block is steered, the earlier of the two tells them apart: it moves only if it is the one
    first = min(layer, other)
    unmoved = readings.before.shifts[first]
    length = float(np.linalg.norm(plan.tables[layer], axis=-1).max())
    if not unmoved.largest <= TOLERANCE * length:
        raise BackendError(
            f"steering check failed: block {first} moved by {unmoved.largest:.3g} though only the block after it was "
            "steered; nothing was sampled"
        )
    return {
        "layer": other,
        "largest_shift_before": unmoved.largest,
        "divergence": readings.elsewhere.divergence,
    }


def _longest(answers: Sequence[Answer]) -> list[Answer]:
    """Return one answer to each prompt: shifts are the same at every token, so more tokens would prove no more."""
    chosen: dict[int, Answer] = {}
    for answer in answers:
        if answer.prompt not in chosen or len(answer.ids) > len(chosen[answer.prompt].ids):
            chosen[answer.prompt] = answer
    return list(chosen.values())


def _shares(shift: Shift, table: np.ndarray) -> dict[str, float | None]:
    """Return, by sort of token, the shift along a row of the table as a share of the row's length."""
    return {
        name: float(shift.means[kind] @ row / (row @ row)) if row.any() and shift.tokens[kind] else None
        for kind, (name, row) in enumerate(zip(KINDS, table.astype(np.float64), strict=True))
    }


def _leak(shift: Shift, table: np.ndarray) -> float:
    return max((float(shift.extremes[kind]) for kind, row in enumerate(table) if not row.any()), default=0.0)


def _randomised(plan: Plan, rng: np.random.Generator) -> Plan:
    """Return the plan with one random direction a block, each row with the norm that it had."""
    tables = {}
    for layer, table in sorted(plan.tables.items()):
        direction = rng.standard_normal(table.shape[1])
        norms = np.linalg.norm(table, axis=1, keepdims=True)
        tables[layer] = (norms * direction / np.linalg.norm(direction)).astype(np.float32)
    return Plan(tables)


def strongest_block(plan: Plan) -> int:
    """Return the block at which a plan adds most."""
    return max(plan.layers, key=lambda layer: float(np.linalg.norm(plan.tables[layer])))


def _explain_share(share: float) -> str:
    if share < 0.5:
        return "the hook is not where the vector should go, or the number format swallows so small a dose"
    return "this architecture changes what is added, or the number format rounds it; try dtype float32"
