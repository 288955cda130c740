"""Tokens a second of steered against unsteered generation in the hf backend, alternating in one run.

Both sides draw n answers to the same prompts in the same batches with the same random numbers, and never end early,
so that each generates the same number of tokens. The model is random, of the Qwen3 architecture; one layer, and then
every layer, is steered at the answer's tokens. Also: how long the checks take that run before a steered condition.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from random_models import write_random_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROMPTS = 16
BATCH = 8
SAMPLES = 10
MAX_TOKENS = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 384])
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    options = parser.parse_args()

    for hidden in options.hidden:
        with tempfile.TemporaryDirectory() as folder:
            parameters = make_model(Path(folder), hidden, options.layers)
            compare(
                Path(folder), options, title=f"{parameters / 1e6:.1f} M parameters, {options.layers} layers"
            )


def make_model(folder: Path, hidden: int, layers: int) -> int:
    """Write a random model and a vector at every layer; return the model's size."""
    import numpy as np

    from prefbench.steering import TraitVector, save_vector

    parameters = write_random_model(folder, hidden, layers)
    rng = np.random.default_rng(0)
    vectors = {layer: rng.standard_normal(hidden).astype(np.float32) for layer in range(layers)}
    vector = TraitVector("random", vectors, blocks=layers, recommended_layer=layers // 2)
    save_vector(vector, folder / "random.safetensors")
    return parameters


def compare(folder: Path, options: Any, *, title: str) -> None:
    from prefbench.backends import Vector, open_backend
    from prefbench.bank import load_bank

    items = load_bank(domains=["ethical_judgment"], limit=PROMPTS)
    file = str(folder / "random.safetensors")
    sides = {
        "unsteered": (),
        "one layer": (Vector(file, 0.01, positions="response"),),
        "every layer": (Vector(file, 0.01, layers=tuple(range(options.layers)), positions="response"),),
    }
    backend = open_backend(
        "hf", str(folder), options={"batch_size": BATCH, "threads": options.threads, "dtype": options.dtype}
    )
    backend._decoder._end_ids = [-1]  # no token ends an answer: every run generates as many
    prompts = [item.prompt for item in items]
    runs = {name: sampler(backend, prompts, vectors, options.samples) for name, vectors in sides.items()}
    for run in runs.values():
        run()  # warm up
    times = [{name: measure(run) for name, run in runs.items()} for _ in range(options.pairs)]
    tokens = PROMPTS * options.samples * MAX_TOKENS
    wall = statistics.median(each["unsteered"].wall for each in times)
    print(f"{title}: unsteered {tokens / wall:,.0f} tok/s, on {backend.describe()['device']}")
    for name in list(sides)[1:]:
        for clock in ("wall", "cpu"):
            ratios = sorted(getattr(each["unsteered"], clock) / getattr(each[name], clock) for each in times)
            print(
                f"  {name}: {statistics.median(ratios):.3f} of the unsteered tokens per {clock} second "
                f"(median of {len(ratios)} pairs, {ratios[0]:.3f} to {ratios[-1]:.3f})"
            )
    treatment = make_treatment(sides["one layer"])
    checks = measure(lambda: backend.check_steering(treatment, items))
    print(f"  the checks of one condition: {checks.wall:.1f} s, {checks.cpu:.1f} s of CPU")


def sampler(backend: Any, prompts: list[str], vectors: tuple[Any, ...], samples: int) -> Callable[[], None]:
    from prefbench.backends import Request, Sampling
    from prefbench.records import RecordKey

    treatment = make_treatment(vectors)
    requests = [
        Request(
            RecordKey("d", str(index), 1.0),
            prompt,
            samples,
            1000 * index,
            Sampling(1.0, 0.95, MAX_TOKENS),
            treatment,
        )
        for index, prompt in enumerate(prompts)
    ]

    def run() -> None:
        for done in backend.generate(requests):
            if done.error or any(output.tokens != MAX_TOKENS for output in done.outputs):
                raise RuntimeError(f"not {MAX_TOKENS} tokens: {done.error}")

    return run


def make_treatment(vectors: tuple[Any, ...]) -> Any:
    from prefbench.backends import Treatment

    return Treatment("steered" if vectors else "base", "completion", vectors=vectors)


class Times(NamedTuple):
    """Seconds on the clock, and of this process's CPU: on a machine that others use too, only the second is fair."""

    wall: float
    cpu: float


def measure(run: Callable[[], Any]) -> Times:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Times(time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    main()
