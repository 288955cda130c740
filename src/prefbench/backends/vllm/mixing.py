"""Conditions that share an engine's batches must be what each is alone: adapters and slots, interleaved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from prefbench.backends.vllm.engine import Engine
from prefbench.backends.vllm.probes import Probe, Reply, ask
from prefbench.errors import BackendError

GREEDY = 8
"""Tokens that the checks of batches and of decoding generate."""
FLOOR = 1e-3
"""Mean differences of log-probabilities below this (nats) are rounding, whatever the number format."""
NOISE = 4.0
"""How many times the engine's own noise, measured without steering, a difference may be."""

Cell = tuple[int, Any]
"""(slot, LoRARequest or None)"""


class Measured(NamedTuple):
    """What one cell's requests gave."""

    scores: list[np.ndarray]
    """Log-probabilities of given tokens, by text."""
    answers: list[Reply]
    """Greedy answers to the prompts."""


def check_mixed(
    cells: Iterable[Cell],
    *,
    together: Callable[[Sequence[Cell]], list[Measured]],
    in_halves: Callable[[Cell], Measured],
) -> list[dict[str, Any]]:
    """Requests of all cells, interleaved in one batch, must give what each cell gives alone.

    `together` runs cells in batches that they share, `in_halves` one cell alone in batches of another size. For
    every cell: the mean difference (nats) of log-probabilities between the mixed batch and the cell alone, beside
    that between two batches of the cell alone, which is noise. Raises BackendError if one is larger than noise.
    """
    chosen = list(
        {(slot, getattr(adapter, "lora_int_id", 0)): (slot, adapter) for slot, adapter in cells}.values()
    )
    solo = [together([cell])[0] for cell in chosen]
    noise = max(_difference(first, in_halves(cell)) for first, cell in zip(solo, chosen, strict=True))
    mixed = together(chosen)
    figures = []
    for index, (slot, adapter) in enumerate(chosen):
        gap = _difference(mixed[index], solo[index])
        others = [_difference(solo[index], each) for other, each in enumerate(solo) if other != index]
        figures.append(
            {
                "steered": bool(slot),
                "adapter": getattr(adapter, "lora_name", None),
                "gap": gap,
                "noise": noise,
                "nearest_other_cell": min(others, default=None),
            }
        )
        if not gap <= max(FLOOR, NOISE * noise):
            what = f"{'steered' if slot else 'unsteered'}, {'adapter' if adapter else 'no adapter'}"
            raise BackendError(
                f"check of mixed batches failed: in a batch that mixes conditions, requests ({what}) are not what they "
                f"are alone: log-probabilities differ by {gap:.3g} on average, {noise:.3g} is noise; sample the "
                "conditions one by one with --condition, or use --backend hf; nothing was sampled"
            )
    return figures


def check_adapters(
    engine: Engine, prompts: Sequence[Sequence[int]], adapters: Iterable[Any]
) -> list[dict[str, Any]]:
    """Run the check of mixed batches on conditions that differ by their adapters only, by their greedy answers."""
    room = int(engine.config.model_config.max_model_len) - GREEDY
    asked = [prompt for prompt in prompts if 0 < len(prompt) <= room]
    if not asked:
        raise BackendError("no prompt fits the model's context, so mixed batches cannot be checked")
    counts = iter(range(10**6))

    def run(cells: Sequence[Cell], chosen: Sequence[Sequence[int]]) -> list[list[Reply]]:
        probes = [
            Probe(prompt, slot, adapter, max_tokens=GREEDY) for prompt in chosen for slot, adapter in cells
        ]
        replies = ask(engine, probes, salt=f"prefbench mixed {next(counts)}")
        return [replies[index :: len(cells)] for index in range(len(cells))]

    def together(cells: Sequence[Cell]) -> list[Measured]:
        return [Measured([], replies) for replies in run(cells, asked)]

    def in_halves(cell: Cell) -> Measured:
        middle = -(-len(asked) // 2)
        parts = [part for part in (asked[:middle], asked[middle:]) if part]
        return Measured([], [reply for part in parts for reply in run([cell], part)[0]])

    return check_mixed([(0, None), *((0, each) for each in adapters)], together=together, in_halves=in_halves)


def mean_gap(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the mean absolute difference over all entries; 0 if there are none."""
    gaps = [np.abs(first - second) for first, second in pairs]
    joined = np.concatenate(gaps) if gaps else np.zeros(0)
    return float(joined.mean()) if joined.size else 0.0


def _difference(first: Measured, second: Measured) -> float:
    """Return the mean difference of log-probabilities, of greedy answers up to the first token that differs.

    There the second's token is looked up in the first: it is nearly as likely if only rounding chose between the two,
    and if it is not among the likeliest, it counts as the least likely of these.
    """
    pairs = list(zip(first.scores, second.scores, strict=True))
    for one, other in zip(first.answers, second.answers, strict=True):
        steps = zip(one.ids, other.ids, other.logs, one.likely, strict=False)
        gaps = []
        for mine, theirs, log, likely in steps:
            gaps.append((likely.get(theirs, min(likely.values())), log))
            if mine != theirs:
                break
        if gaps:
            pairs.append(tuple(np.array(gaps).T))
    return mean_gap(pairs)
