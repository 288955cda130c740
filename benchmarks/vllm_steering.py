"""Tokens a second of steered against unsteered sampling in vLLM, alternating in one run.

The sides are vLLM's stock class unsteered, and ours with one block and with every block steered at all tokens, on the
same random Qwen3. They take turns with the same prompts and as many tokens each, and never end early. Uncompiled, all
run in one engine, whose blocks change their class between turns, so that no two processes are compared; compiled, each
has an engine in a process of its own. Ratios are of neighbouring turns; CPU seconds stand beside the clock's for
machines that others use.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

VOCABULARY = 8192
PROMPT_TOKENS = 32
SIDES = ("stock", "one layer", "every layer")


class Turn(NamedTuple):
    """One turn of one engine."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        parameters = write_model(Path(folder), options.hidden, options.layers)
        groups = [[side] for side in SIDES] if options.compiled else [list(SIDES)]
        sides = {side: pipe for group in groups for side, pipe in open_sides(folder, group, options).items()}
        for side, pipe in sides.items():
            take_turn(pipe, side)  # warm up
        turns = []
        for number in range(options.pairs):
            order = SIDES if number % 2 else SIDES[::-1]
            turns.append({side: take_turn(sides[side], side) for side in order})
        for pipe in set(sides.values()):
            pipe.send("stop")
    tokens = options.requests * options.tokens
    wall = statistics.median(turn["stock"].wall for turn in turns)
    print(
        f"{parameters / 1e6:.1f} M parameters, {options.layers} layers, {options.dtype}, "
        f"{'compiled' if options.compiled else 'eager'}, {options.requests} requests of {options.tokens} tokens: "
        f"stock {tokens / wall:,.0f} tok/s"
    )
    for side in SIDES[1:]:
        for clock in Turn._fields:
            ratios = sorted(getattr(turn["stock"], clock) / getattr(turn[side], clock) for turn in turns)
            print(
                f"  {side}: {statistics.median(ratios):.3f} of the stock class's tokens per {clock} second "
                f"(median of {len(ratios)} pairs, {ratios[0]:.3f} to {ratios[-1]:.3f})"
            )


def write_model(folder: Path, hidden: int, layers: int) -> int:
    """Write a random model and return its size."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        head_dim=64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    model = Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def open_sides(folder: str, group: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Start an engine for some sides in a process and return the pipe to each, when it is ready."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=serve, args=(folder, group, options, theirs), daemon=True).start()
    ours.recv()
    return dict.fromkeys(group, ours)


def take_turn(pipe: Any, side: str) -> Turn:
    pipe.send(side)
    return Turn(*pipe.recv())


def choose_blocks(side: str, blocks: int) -> list[int]:
    return {"stock": [], "one layer": [blocks // 2], "every layer": list(range(blocks))}[side]


def serve(folder: str, group: list[str], options: argparse.Namespace, pipe: Any) -> None:
    """Run turns until told to stop."""
    import numpy as np

    from prefbench.backends.vllm.engine import start_engine
    from prefbench.backends.vllm.logs import engine_log

    layers = sorted({layer for side in group for layer in choose_blocks(side, options.layers)})
    log = engine_log()
    engine = start_engine(folder, engine_arguments(options, layers), log)
    if layers:
        load_vectors(engine, layers, options.hidden)
    prompts = np.random.default_rng(1).integers(3, VOCABULARY, (options.requests, PROMPT_TOKENS)).tolist()
    pipe.send("ready")
    while (side := pipe.recv()) != "stop":
        if layers:
            engine.call(become, choose_blocks(side, options.layers))
        pipe.send(run_turn(engine, prompts, options.tokens, steered=side != "stock"))
    engine.close()


def engine_arguments(options: argparse.Namespace, layers: list[int]) -> dict[str, Any]:
    from prefbench.backends.vllm.arming import steering_arguments

    return {
        "dtype": options.dtype,
        "enforce_eager": not options.compiled,
        "max_model_len": 512,
        "max_num_seqs": options.requests,
        "enable_prefix_caching": False,
        "skip_tokenizer_init": True,
        **(steering_arguments("Qwen3ForCausalLM", layers=layers, slots=1)[0] if layers else {}),
    }


def load_vectors(engine: Any, layers: list[int], hidden: int) -> None:
    import numpy as np

    from prefbench.backends.vllm.control import SteeringControl
    from prefbench.steering import Plan

    control = SteeringControl(engine)
    control.arm(layers=layers, slots=1)
    table = 0.01 * np.random.default_rng(0).standard_normal((3, hidden)).astype(np.float32)
    control.load(1, Plan(dict.fromkeys(layers, table)))


def become(worker: Any, layers: list[int]) -> None:
    """Give the blocks of an uncompiled model the class of a side; the stock side gets vLLM's own runner back too."""
    from prefbench.backends.vllm.models import STEERED

    steered, runner = {ours: stock for stock, ours in STEERED.items()}, worker.model_runner
    if not worker.vllm_config.model_config.enforce_eager:
        return
    for layer, block in enumerate(runner.get_model().model.layers):
        stock = steered.get(type(block), type(block))
        block.__class__ = STEERED[stock] if layer in layers else stock
    filling = runner.__dict__.setdefault("benchmark_filling", runner.__dict__.get("_prepare_inputs"))
    runner.__dict__.pop("_prepare_inputs", None)
    if layers:
        runner._prepare_inputs = filling


def run_turn(engine: Any, prompts: list[list[int]], tokens: int, *, steered: bool) -> tuple[float, float]:
    from vllm import SamplingParams

    from prefbench.backends.vllm.engine import Job

    parameters = SamplingParams(
        temperature=1.0,
        max_tokens=tokens,
        ignore_eos=True,
        detokenize=False,
        extra_args={"prefbench_slot": 1} if steered else None,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    left = {engine.submit(Job(prompt, parameters, None, None)) for prompt in prompts}
    while left:
        left -= {name for name, _ in engine.poll()}
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
