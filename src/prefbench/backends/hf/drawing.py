"""Draw the next token of every row from its own random numbers, so that no row depends on its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prefbench.errors import BackendError

if TYPE_CHECKING:
    import torch

WIDTHS = (64, 1024)
"""How many of the most likely tokens are looked at, in turn; a row whose nucleus is wider is sorted whole."""


def draw_uniforms(seeds: Sequence[int], steps: int) -> np.ndarray:
    """Return uniforms in [0, 1), shape [rows, steps]: row i depends on seeds[i] alone (Philox 4x64)."""
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(steps) for seed in seeds])


def pick_tokens(
    logits: torch.Tensor, temperatures: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor
) -> torch.Tensor:
    """Return one token id a row, shape [rows].

    Args:
        logits: [rows, vocabulary], float32.
        temperatures: [rows]; 0 takes the most likely token.
        top_p: [rows], in (0, 1].
        uniforms: [rows], float64 in [0, 1); the token is found by inverting the distribution function.

    Raises BackendError if a row's logits are not numbers.
    """
    import torch

    greedy = temperatures == 0
    scaled = logits / torch.where(greedy, 1.0, temperatures)[:, None]
    log_total = torch.logsumexp(scaled, dim=-1, keepdim=True)
    if not bool(torch.isfinite(log_total).all()):
        raise BackendError(
            "the model's logits are not numbers: its weights or its dtype are at fault; try float32"
        )
    tokens = scaled.argmax(-1)
    everything = (top_p >= 1) & ~greedy
    if bool(everything.any()):
        tokens[everything] = _pick_from_all(scaled[everything] - log_total[everything], uniforms[everything])
    left = (~everything & ~greedy).nonzero()[:, 0]  # rows whose nucleus was wider than we have looked
    for width in (*WIDTHS, logits.shape[-1]):
        if len(left) == 0:
            break
        values, ids = torch.topk(
            scaled[left], min(width, logits.shape[-1]), dim=-1
        )  # [rows left, width], descending
        probabilities = (values - log_total[left]).exp().double()
        ranks = _invert(probabilities, top_p[left], uniforms[left])
        tokens[left] = ids.gather(-1, ranks[:, None])[:, 0]
        left = left[probabilities.sum(-1) < top_p[left]]
    return tokens


def _pick_from_all(log_probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return the token drawn from a whole distribution [rows, vocabulary]: without a nucleus nothing is sorted."""
    import torch

    cumulative = log_probabilities.exp().double().cumsum(-1)
    token = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return token.clamp(max=log_probabilities.shape[-1] - 1)


def _invert(probabilities: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return the rank drawn from the nucleus of descending probabilities [rows, width]."""
    import torch

    cumulative = probabilities.cumsum(-1)
    # a token belongs to the nucleus while the mass before it is below top_p: the first one always does
    kept = (cumulative - probabilities < top_p[:, None]).sum(-1)
    mass = cumulative.gather(-1, kept[:, None] - 1)
    rank = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)[:, 0]
    return torch.minimum(rank, kept - 1)
