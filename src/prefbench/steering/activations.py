"""Read hidden states at every block: token sequences in, one mean vector a sequence and block out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from prefbench.steering.sites import find_blocks, model_width, recorded

if TYPE_CHECKING:
    import torch


class ReadFrom(NamedTuple):
    """Tokens, and which of them are read."""

    ids: Sequence[int]
    start: int
    """The first token that is read; all after it are too."""


class Activations(NamedTuple):
    """Hidden states, averaged over the tokens that were read."""

    means: np.ndarray
    """[sequences, blocks, width] float32."""
    norms: np.ndarray
    """[sequences, blocks]: mean norm of the single tokens' hidden states."""


def read_activations(
    model: Any,
    sequences: Sequence[ReadFrom],
    *,
    batch_size: int = 8,
    tell: Callable[[int], None] | None = None,
) -> Activations:
    """Run the sequences through the model and average each block's output over their tokens from `start` on.

    `tell` is told after each batch how many sequences it had.
    """
    blocks = len(find_blocks(model))
    means = np.zeros((len(sequences), blocks, model_width(model)), dtype=np.float32)
    norms = np.zeros((len(sequences), blocks), dtype=np.float32)
    # neighbours in length share a batch, so that little is padded
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index].ids))
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        batch = [sequences[index] for index in chosen]
        for block, (mean, norm) in _read_batch(model, batch).items():
            means[chosen, block], norms[chosen, block] = mean, norm
        if tell:
            tell(len(batch))
    return Activations(means, norms)


def pad_right(sequences: Sequence[Sequence[int]], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (ids, mask), both [rows, tokens]; padding is token 0 behind the end, which no real token sees."""
    import torch

    width = max(map(len, sequences))
    ids = torch.tensor([[*each, *[0] * (width - len(each))] for each in sequences], device=device)
    lengths = torch.tensor([len(each) for each in sequences], device=device)
    return ids, (torch.arange(width, device=device)[None] < lengths[:, None]).long()


def _read_batch(model: Any, batch: Sequence[ReadFrom]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    import torch

    ids, mask = pad_right([each.ids for each in batch], model.device)
    starts = torch.tensor([each.start for each in batch], device=model.device)
    read = (mask * (torch.arange(ids.shape[1], device=model.device)[None] >= starts[:, None])).float()

    def average(_: int, hidden: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        hidden, weights = hidden.float(), read.to(hidden.device)
        total = weights.sum(-1)  # [rows]
        mean = torch.einsum("rtw,rt->rw", hidden, weights) / total[:, None]
        norm = (hidden.norm(dim=-1) * weights).sum(-1) / total
        return mean.cpu().numpy(), norm.cpu().numpy()

    with torch.inference_mode(), recorded(model, average) as found:
        model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    return found
