"""From hidden states of contrastive pairs to one direction a block, how good it is, and which block to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from prefbench.errors import ConfigError

Method = Literal["mean_difference", "last_token", "pca"]
METHODS: tuple[Method, ...] = ("mean_difference", "last_token", "pca")
FOLDS = 5
MIDDLE = (0.2, 0.8)
"""Share of the depth that is considered, in models with enough blocks: see `choose_layer`."""
FEW_BLOCKS = 8
NEARLY_BEST = 0.05
WEAK_ACCURACY = 0.75


class Quality(NamedTuple):
    """How well one block's direction holds up."""

    norm: float
    hidden_norm: float
    cosine: float | None
    """Mean cosine between the differences of two pairs; 1 if all point the same way, about 0 by chance."""
    separation: float | None
    """Held out by question: distance of the two sides' mean projections, in their pooled standard deviations."""
    accuracy: float | None
    """Held out by question: share of pairs whose positive side projects higher."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Hidden states of both sides of each pair, at every block."""

    positive: np.ndarray  # [pairs, blocks, width]
    negative: np.ndarray  # [pairs, blocks, width]
    groups: Sequence[str]
    """The question of each pair: what is held out together."""
    hidden_norms: np.ndarray  # [blocks]: mean norm of the hidden states, both sides

    def __post_init__(self) -> None:
        if self.positive.shape != self.negative.shape or len(self.groups) != len(self.positive):
            raise ValueError("positive, negative and groups must have one entry a pair")


def estimate_direction(positive: np.ndarray, negative: np.ndarray, method: Method) -> np.ndarray:
    """Return the direction [width] of one block from both sides [pairs, width].

    `mean_difference` and `last_token`: the mean of positive minus negative, raw norm (Chen et al. 2025, persona
    vectors; Rimsky et al. 2024, contrastive activation addition; they differ in the tokens that are read).
    `pca`: the first right singular vector of the differences, *not* centred, for centring takes out the mean
    difference, which is the trait (Zou et al. 2023 centre on the pair's midpoint, which is the same as this);
    unit norm, with the sign that makes the positive sides project higher on average.
    """
    differences = positive.astype(np.float64) - negative.astype(np.float64)
    mean: np.ndarray = differences.mean(axis=0)
    direction: np.ndarray = mean if method != "pca" else _first_component(differences, mean)
    return direction.astype(np.float32)


def estimate_directions(contrast: Contrast, method: Method) -> tuple[np.ndarray, list[Quality]]:
    """Return (directions [blocks, width], their quality) of every block. Raises ConfigError without pairs."""
    if len(contrast.positive) < 2:
        raise ConfigError(
            f"{len(contrast.positive)} contrastive pairs are left, at least 2 are needed: sample more rollouts, or "
            "look at why answers were left out"
        )
    blocks = contrast.positive.shape[1]
    sides = [(contrast.positive[:, block], contrast.negative[:, block]) for block in range(blocks)]
    directions = np.stack([estimate_direction(*pair, method) for pair in sides])
    quality = []
    for block, (positive, negative) in enumerate(sides):
        separation, accuracy = _hold_out(positive, negative, contrast.groups, method)
        norm, hidden = float(np.linalg.norm(directions[block])), float(contrast.hidden_norms[block])
        quality.append(Quality(norm, hidden, mean_cosine(positive - negative), separation, accuracy))
    return directions, quality


def _first_component(differences: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the first right singular vector of [pairs, width], on the side of the mean; zeros stay zeros."""
    # from the Gram matrix of the pairs, which is smaller than that of the width
    _, vectors = np.linalg.eigh(differences @ differences.T)
    direction: np.ndarray = differences.T @ vectors[:, -1]
    norm = np.linalg.norm(direction)
    return direction * (np.sign(direction @ mean) or 1.0) / norm if norm > 0 else direction


def mean_cosine(differences: np.ndarray) -> float | None:
    """Return the mean cosine over all pairs of rows; None for fewer than two rows that are not zero."""
    norms = np.linalg.norm(differences.astype(np.float64), axis=1)
    units = differences[norms > 0] / norms[norms > 0, None]
    count = len(units)
    if count < 2:
        return None
    return float((np.square(units.sum(axis=0)).sum() - count) / (count * (count - 1)))


def choose_layer(quality: Sequence[Quality]) -> tuple[int, str]:
    """Return (block, why): the best held-out separation in the middle of the model.

    The first fifth of a model still carries the words and the last fifth already the next token, so with eight
    blocks or more only the middle is considered; the last block never is, as nothing comes after it that could
    act on the vector. Among blocks within 5 % of the best separation the one whose differences agree most is taken.
    """
    blocks = len(quality)
    low, high = (0, max(1, blocks - 1))
    if blocks >= FEW_BLOCKS:
        low, high = round(MIDDLE[0] * blocks), round(MIDDLE[1] * blocks)
    considered = range(low, high)
    scores = {block: quality[block].separation for block in considered}
    known = {block: score for block, score in scores.items() if score is not None}
    where = f"of blocks {low}-{high - 1}"
    if not known:
        block = max(considered, key=lambda each: (quality[each].cosine or 0.0, -each))
        return block, f"the differences agree most {where}; too few questions to hold some out"
    best = max(known.values())
    near = [block for block, score in known.items() if score >= best - NEARLY_BEST * abs(best)]
    block = max(near, key=lambda each: (quality[each].cosine or 0.0, -each))
    cosine = quality[block].cosine
    agreement = "" if cosine is None else f", cosine between differences {cosine:.2f}"
    rank = (
        "the largest"
        if known[block] == best
        else f"within 5 % of the largest, {best:.2f}, and more agreement"
    )
    return block, f"held-out separation {known[block]:.2f}, {rank} {where}{agreement}"


def explain_weak(quality: Quality) -> str | None:
    """Return a warning for a direction that hardly tells the two sides apart on questions it has not seen."""
    if quality.accuracy is None or quality.accuracy >= WEAK_ACCURACY:
        return None
    return (
        f"on held-out questions the positive side projects higher in only {quality.accuracy:.0%} of the pairs "
        f"(separation {quality.separation or 0.0:.2f}): the model hardly follows these instructions, and the vector "
        "may mean little; look at the answers with --rollouts"
    )


def describe_quality(quality: Sequence[Quality]) -> Mapping[int, Mapping[str, float | None]]:
    """Return the figures for a vector's file, by block; the norms have their own place there."""
    return {
        block: {"cosine": each.cosine, "separation": each.separation, "accuracy": each.accuracy}
        for block, each in enumerate(quality)
    }


def _hold_out(
    positive: np.ndarray, negative: np.ndarray, groups: Sequence[str], method: Method
) -> tuple[float | None, float | None]:
    """Return (separation, accuracy) of directions that never saw the question they are tried on."""
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return None, None
    fold_of = {name: index % FOLDS for index, name in enumerate(names)}
    folds = np.array([fold_of[group] for group in groups])
    projected = np.zeros((2, len(groups)))
    for fold in np.unique(folds):
        held = folds == fold
        direction = estimate_direction(positive[~held], negative[~held], method).astype(np.float64)
        norm = np.linalg.norm(direction)
        if norm == 0:
            return None, None
        projected[0, held] = positive[held] @ direction / norm
        projected[1, held] = negative[held] @ direction / norm
    spread = float(np.sqrt(projected.var(axis=1, ddof=1).mean()))
    gap = float(projected[0].mean() - projected[1].mean())
    accuracy = float((projected[0] > projected[1]).mean())
    return (gap / spread if spread > 0 else None), accuracy
