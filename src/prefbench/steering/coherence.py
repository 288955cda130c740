"""The dose curve: what answers look like at rising shares of a plan's strength, and where they stop being text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prefbench.steering.bench import Bench
from prefbench.steering.measuring import Answer, answer_texts
from prefbench.steering.plan import Plan

FACTORS = (0.0, 0.5, 1.0, 1.5)
"""Shares of the strength asked for; 1.5 shows how far the edge is."""
LARGEST_PERPLEXITY_RATIO = 3.0
LARGEST_RISE = 0.25
GRAM = 4


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Answers at one share of the strength."""

    factor: float
    answers: int
    perplexity: float | None
    """Of the answers under the unsteered model; None if all are empty."""
    repetition: float | None
    """Share of an answer's 4-grams that it has had before, mean over answers; None if all are too short."""
    truncated: float
    """Share of answers cut at the longest length."""


def trace_curve(bench: Bench, plan: Plan, *, factors: Sequence[float] = FACTORS) -> list[CurvePoint]:
    """Answer the bench's prompts at each factor, with the same random numbers, and describe the answers."""
    points = []
    for factor in factors:
        answers = bench.answer(plan.scaled(factor)) if factor else bench.unsteered
        total, tokens = bench.log_likelihood(answer_texts(bench.prompts, answers))
        repeated = [share for answer in answers if (share := repetition(answer.ids)) is not None]
        points.append(
            CurvePoint(
                factor=factor,
                answers=len(answers),
                perplexity=math.exp(min(-total / tokens, 700.0)) if tokens else None,
                repetition=sum(repeated) / len(repeated) if repeated else None,
                truncated=_mean_truncated(answers),
            )
        )
    return points


def guard_coherence(points: Sequence[CurvePoint]) -> str | None:
    """Return a warning, with the curve, if the answers at factor 1 are no longer text; else None.

    The limits are conventions: perplexity three times that of the unsteered answers, or repetition or truncation
    25 percentage points above theirs.
    """
    by_factor = {point.factor: point for point in points}
    plain, full = by_factor.get(0.0), by_factor.get(1.0)
    if plain is None or full is None:
        return None
    faults = []
    if plain.perplexity and full.perplexity and full.perplexity > LARGEST_PERPLEXITY_RATIO * plain.perplexity:
        faults.append(f"perplexity {full.perplexity:.1f} against {plain.perplexity:.1f}")
    if full.perplexity is None and plain.perplexity is not None:
        faults.append("no answer has a token")
    if full.repetition is not None and full.repetition > (plain.repetition or 0.0) + LARGEST_RISE:
        faults.append(f"repetition {full.repetition:.0%} against {plain.repetition or 0.0:.0%}")
    if full.truncated > plain.truncated + LARGEST_RISE:
        faults.append(f"truncated {full.truncated:.0%} against {plain.truncated:.0%}")
    if not faults:
        return None
    curve = ", ".join(_describe(point) for point in points)
    return (
        f"at this dose answers lose coherence: {'; '.join(faults)}; a smaller dose may do (perplexity by share of "
        f"the dose: {curve})"
    )


def curve_as_json(points: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    """Return the curve for a manifest."""
    return [asdict(point) for point in points]


def repetition(ids: Sequence[int]) -> float | None:
    """Return the share of 4-grams that occurred before; None for fewer than two of them."""
    grams = [tuple(ids[start : start + GRAM]) for start in range(len(ids) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else None


def _mean_truncated(answers: Sequence[Answer]) -> float:
    return sum(answer.truncated for answer in answers) / len(answers) if answers else 0.0


def _describe(point: CurvePoint) -> str:
    return f"{point.factor:g}: {'-' if point.perplexity is None else f'{point.perplexity:.1f}'}"
