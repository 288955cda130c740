"""Prove that steering acts, and as strongly as it says: what must hold before a steered condition is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prefbench.errors import BackendError
from prefbench.steering.bench import Bench
from prefbench.steering.measuring import Answer, Shift, Text, answer_texts
from prefbench.steering.plan import KINDS, Plan

TOLERANCE = 0.02
"""How far what arrives may be from what was asked for, as a share of it."""
RANDOM_DRAWS = 3


def prove_steering(bench: Bench, plan: Plan, *, seed: int = 0) -> dict[str, Any]:
    """Run every check that can fail and return the figures, ready for the manifest.

    Raises BackendError, naming the check and the figure, if one fails.
    """
    unsteered = bench.answer(None)
    texts = answer_texts(bench.prompts, unsteered)
    return {
        "tokens_read": sum(len(text.ids) for text in texts),
        "sites": bench.sites(plan),
        "zero": check_zero(bench, plan, unsteered),
        "dose": check_dose(bench, plan, texts),
        "mirror": check_mirror(bench, plan, texts),
        "controls": check_controls(bench, plan, texts, seed=seed),
    }


def check_zero(bench: Bench, plan: Plan, unsteered: Sequence[Answer]) -> dict[str, Any]:
    """With every coefficient at zero and all hooks in place, the answers must be the unsteered ones, byte for byte."""
    zero = bench.answer(plan.scaled(0.0))
    same = sum(first == second for first, second in zip(zero, unsteered, strict=True))
    if same != len(unsteered):
        raise BackendError(
            f"steering check failed: with coefficient zero {len(unsteered) - same} of {len(unsteered)} answers "
            "differ from the unsteered ones; nothing was sampled"
        )
    return {"answers": len(unsteered), "equal": same}


def check_dose(bench: Bench, plan: Plan, texts: Sequence[Text]) -> list[dict[str, Any]]:
    """At each block alone, teacher-forced: the mean shift along what is added must be its length, within 2 %.

    Tokens that are not to be steered must not move there, nor must anything in the block before.
    """
    figures = []
    for layer in plan.layers:
        shifts = bench.shifts(plan.only(layer), texts, watch=(layer - 1, layer))
        shift = shifts[layer]
        shares = _shares(shift, plan.tables[layer])
        delivered = [share for share in shares.values() if share is not None]
        if wrong := [share for share in delivered if abs(share - 1) > TOLERANCE]:
            raise BackendError(
                f"steering check failed: block {layer} moved by {wrong[0]:.3f} of what was added to it, not 1 within "
                f"{TOLERANCE:.0%}: {_explain_share(wrong[0])}; nothing was sampled"
            )
        leak = max(_leak(shift, plan.tables[layer]), shifts[layer - 1].largest if layer else 0.0)
        length = float(np.linalg.norm(plan.tables[layer], axis=-1).max())
        if leak > TOLERANCE * length:
            raise BackendError(
                f"steering check failed: tokens or blocks that are not steered moved by up to {leak:.3g} when block "
                f"{layer} was; nothing was sampled"
            )
        figures.append(
            {"layer": layer, "added": length, "share": shares, "tokens": shift.counts(), "leak": leak}
        )
    return figures


def check_mirror(bench: Bench, plan: Plan, texts: Sequence[Text]) -> dict[str, Any]:
    """With every coefficient negated, each block must move as far the other way; what follows is reported."""
    shares = {}
    for layer in plan.layers:
        mirrored = bench.shifts(plan.scaled(-1.0).only(layer), texts, watch=(layer,))[layer]
        for kind, share in _shares(mirrored, plan.tables[layer]).items():
            if share is None:
                continue
            if abs(share + 1) > TOLERANCE:
                raise BackendError(
                    f"steering check failed: negated, block {layer} moved by {share:.3f} of what was added, not -1 "
                    f"within {TOLERANCE:.0%}; nothing was sampled"
                )
            shares[f"{layer} {kind}"] = share
    return {"share": shares, "divergence": bench.divergence(plan.scaled(-1.0), texts)}


def check_controls(bench: Bench, plan: Plan, texts: Sequence[Text], *, seed: int) -> dict[str, Any]:
    """Put random vectors of the same norm in the vector's place, and the vector at another block.

    A random vector must move the block along the trait only as far as it happens to point that way; a vector at a
    later block must leave the right one where it is. The divergences (mean KL of the next-token distribution from
    the unsteered one, nats) say how much of the effect any vector of that size would have.
    """
    rng = np.random.default_rng(seed)
    randoms = [_randomised(plan, rng) for _ in range(RANDOM_DRAWS)]
    return {
        "divergence": bench.divergence(plan, texts),
        "random_divergence": [bench.divergence(each, texts) for each in randoms],
        "random_share": _check_random(bench, plan, randoms[0], texts),
        "wrong_layer": _check_wrong_layer(bench, plan, texts),
    }


def _check_random(bench: Bench, plan: Plan, random: Plan, texts: Sequence[Text]) -> float | None:
    layer = strongest_block(plan)
    table = plan.tables[layer]
    expected = [
        float(random.tables[layer][kind] @ row / (row @ row)) if row.any() else None
        for kind, row in enumerate(table)
    ]
    shifts = bench.shifts(random.only(layer), texts, watch=(layer,))
    found = _shares(shifts[layer], table)
    last = None
    for share, wanted in zip(found.values(), expected, strict=True):
        if share is None or wanted is None:
            continue
        last = share
        if abs(share - wanted) > TOLERANCE:
            raise BackendError(
                f"steering check failed: a random vector moved block {layer} along the trait by {share:.3f} of the "
                f"vector's own length, {wanted:.3f} is right; nothing was sampled"
            )
    return last


def _check_wrong_layer(bench: Bench, plan: Plan, texts: Sequence[Text]) -> dict[str, Any] | None:
    layer, count = strongest_block(plan), bench.blocks
    if count < 2:
        return None
    other = layer + 1 if layer + 1 < count else layer - 1
    moved = Plan({other: plan.tables[layer]})
    first = min(layer, other)
    # whichever block is steered, the earlier of the two tells them apart: it moves only if it is the one
    acting = moved if other > layer else plan.only(layer)
    unmoved = bench.shifts(acting, texts, watch=(first,))[first]
    length = float(np.linalg.norm(plan.tables[layer], axis=-1).max())
    if unmoved.largest > TOLERANCE * length:
        raise BackendError(
            f"steering check failed: block {first} moved by {unmoved.largest:.3g} though only the block after it was "
            "steered; nothing was sampled"
        )
    return {
        "layer": other,
        "largest_shift_before": unmoved.largest,
        "divergence": bench.divergence(moved, texts),
    }


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
