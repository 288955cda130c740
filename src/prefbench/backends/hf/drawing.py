"""Draw the next token of every row from its own random numbers, so that no row depends on its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

FIRST_TOKENS = 256
"""The nucleus nearly always lies within this many tokens; only rows where it does not are sorted whole."""


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
    """
    import torch

    greedy = temperatures == 0
    scaled = logits / torch.where(greedy, 1.0, temperatures)[:, None]
    log_total = torch.logsumexp(scaled, dim=-1, keepdim=True)
    width = min(FIRST_TOKENS, logits.shape[-1])
    values, ids = torch.topk(scaled, width, dim=-1)  # [rows, width], descending
    probabilities = (values - log_total).exp().double()
    wide = (probabilities.sum(-1) < top_p) & ~greedy & (width < logits.shape[-1])
    tokens = ids.gather(-1, _invert(probabilities, top_p, uniforms)[:, None])[:, 0]
    if bool(wide.any()):
        tokens[wide] = _pick_from_all(scaled[wide], log_total[wide], top_p[wide], uniforms[wide])
    return torch.where(greedy, ids[:, 0], tokens)


def _pick_from_all(
    scaled: torch.Tensor, log_total: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor
) -> torch.Tensor:
    values, ids = scaled.sort(dim=-1, descending=True)
    chosen = _invert((values - log_total).exp().double(), top_p, uniforms)
    return ids.gather(-1, chosen[:, None])[:, 0]


def _invert(probabilities: torch.Tensor, top_p: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Return the rank drawn from the nucleus of descending probabilities [rows, width]."""
    import torch

    cumulative = probabilities.cumsum(-1)
    # a token belongs to the nucleus while the mass before it is below top_p: the first one always does
    kept = (cumulative - probabilities < top_p[:, None]).sum(-1)
    mass = cumulative.gather(-1, kept[:, None] - 1)
    rank = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)[:, 0]
    return torch.minimum(rank, kept - 1)
