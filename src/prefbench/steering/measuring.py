"""Teacher-forced measurements with and without steering: how far blocks move, how far predictions do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from prefbench.steering.activations import pad_right
from prefbench.steering.hooks import Steering, steered
from prefbench.steering.plan import KINDS, Plan
from prefbench.steering.sites import recorded

if TYPE_CHECKING:
    import torch

CHUNK = 2
"""Texts in one forward pass: small, because next-token distributions of all tokens are held at once."""


class Answer(NamedTuple):
    """One answer that a check has sampled."""

    prompt: int
    """Index into the prompts."""
    ids: tuple[int, ...]
    truncated: bool
    """Whether it was cut at the longest length."""


class Text(NamedTuple):
    """A prompt and an answer to it, in tokens."""

    ids: Sequence[int]
    prompt_length: int


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one block's output moved, by sort of token (KINDS)."""

    means: np.ndarray  # [3, width] float64
    tokens: np.ndarray  # [3]: how many tokens of each sort were read
    extremes: np.ndarray  # [3]: the largest shift of a single token, as a norm

    @property
    def largest(self) -> float:
        """The largest shift of any token, as a norm."""
        return float(self.extremes.max())

    def counts(self) -> dict[str, int]:
        """Return how many tokens of each sort were read."""
        return {name: int(count) for name, count in zip(KINDS, self.tokens, strict=True)}


class ShiftSum:
    """Adds up how far tokens moved."""

    def __init__(self, width: int) -> None:
        self._total = np.zeros((len(KINDS), width))
        self._count = np.zeros(len(KINDS))
        self._extreme = np.zeros(len(KINDS))

    def add(self, change: np.ndarray, kinds: np.ndarray) -> None:
        """Take in the change of each token [..., width], given its sort [...]; sorts below 0 do not count."""
        for kind in range(len(KINDS)):
            tokens = change[kinds == kind]
            if len(tokens):
                self._total[kind] += tokens.sum(axis=0)
                self._count[kind] += len(tokens)
                self._extreme[kind] = max(self._extreme[kind], float(np.linalg.norm(tokens, axis=-1).max()))

    def shift(self) -> Shift:
        """Return the means over the tokens of each sort."""
        return Shift(self._total / np.maximum(self._count, 1)[:, None], self._count, self._extreme)


def answer_texts(prompts: Sequence[Sequence[int]], answers: Sequence[Answer]) -> list[Text]:
    """Return each answer behind its prompt; an empty answer leaves the prompt alone."""
    return [Text([*prompts[answer.prompt], *answer.ids], len(prompts[answer.prompt])) for answer in answers]


def measure_shifts(
    model: Any, plan: Plan, texts: Sequence[Text], *, watch: Sequence[int]
) -> dict[int, Shift]:
    """Return how far the outputs of the watched blocks move when the plan is applied to given tokens.

    Blocks that do not exist (before the first) are left out.
    """
    sums: dict[int, ShiftSum] = {}
    for chunk in _chunks(texts):
        kinds = _kinds(chunk)
        plain, moved = _block_outputs(model, None, chunk, watch), _block_outputs(model, plan, chunk, watch)
        for layer, hidden in plain.items():
            sums.setdefault(layer, ShiftSum(hidden.shape[-1])).add(moved[layer] - hidden, kinds)
    return {layer: each.shift() for layer, each in sums.items()}


def mean_divergence(model: Any, plan: Plan, texts: Sequence[Text]) -> float:
    """Return the mean KL divergence (nats) of the steered next-token distributions from the unsteered ones."""
    total, count = 0.0, 0
    for chunk in _chunks(texts):
        mask = _mask(chunk)
        plain = _log_probabilities(model, None, chunk)
        moved = _log_probabilities(model, plan, chunk)
        divergence = (moved.exp() * (moved - plain)).sum(-1).cpu().numpy()  # [rows, tokens]
        total += float(divergence[mask].sum(dtype=np.float64))
        count += int(mask.sum())
    return max(total / count, 0.0)


def answer_log_likelihood(model: Any, texts: Sequence[Text]) -> tuple[float, int]:
    """Return (sum of the log-probabilities of the answers' tokens under the unsteered model, their number)."""
    total, count = 0.0, 0
    for chunk in _chunks(texts):
        logs = _log_probabilities(model, None, chunk)
        for row, text in enumerate(chunk):
            answer = list(text.ids[text.prompt_length :])
            steps = range(text.prompt_length - 1, len(text.ids) - 1)
            total += float(logs[row, list(steps), answer].sum())
            count += len(answer)
    return total, count


def run_placed(model: Any, chunk: Sequence[Text], steering: Steering | None) -> Any:
    """Run texts through the model, padded on the right, and return its output."""
    import torch

    ids, mask = pad_right([text.ids for text in chunk], model.device)
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    if steering is not None:
        steering.place(positions, torch.tensor([text.prompt_length for text in chunk], device=ids.device))
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)


def _block_outputs(
    model: Any, plan: Plan | None, chunk: Sequence[Text], watch: Sequence[int]
) -> dict[int, np.ndarray]:
    def keep(layer: int, hidden: torch.Tensor) -> np.ndarray | None:
        return hidden.float().cpu().numpy() if layer in watch else None

    with _maybe_steered(model, plan) as steering, recorded(model, keep) as found:
        run_placed(model, chunk, steering)
    return {layer: hidden for layer, hidden in found.items() if hidden is not None}


def _log_probabilities(model: Any, plan: Plan | None, chunk: Sequence[Text]) -> torch.Tensor:
    with _maybe_steered(model, plan) as steering:
        logs: torch.Tensor = run_placed(model, chunk, steering).logits.float().log_softmax(-1)
    return logs


def _maybe_steered(model: Any, plan: Plan | None) -> Any:
    return nullcontext() if plan is None else steered(model, plan)


def _kinds(chunk: Sequence[Text]) -> np.ndarray:
    """Return the sort of each token, -1 for padding, shape [rows, tokens]."""
    width = max(len(text.ids) for text in chunk)
    place = np.arange(width)[None]
    last = np.array([text.prompt_length - 1 for text in chunk])[:, None]
    return np.where(_mask(chunk), (place >= last).astype(int) + (place > last), -1)


def _mask(chunk: Sequence[Text]) -> np.ndarray:
    lengths = np.array([len(text.ids) for text in chunk])
    return np.asarray(np.arange(lengths.max())[None] < lengths[:, None])


def _chunks(texts: Sequence[Text]) -> Iterator[Sequence[Text]]:
    for start in range(0, len(texts), CHUNK):
        yield texts[start : start + CHUNK]
