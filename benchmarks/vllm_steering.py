"""Tokens a second of steered against unsteered sampling in vLLM, alternating in one run.

Three engines run the same random Qwen3, each in a process of its own: vLLM's stock class unsteered, and ours with one
block and with every block steered at all tokens. They take turns with the same prompts and as many tokens each, and
never end early. Ratios are of neighbouring turns; CPU seconds stand beside the clock's for machines that others use.
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
        sides = {side: open_side(folder, side, options) for side in SIDES}
        for pipe in sides.values():
            take_turn(pipe)  # warm up
        turns = [{side: take_turn(pipe) for side, pipe in sides.items()} for _ in range(options.pairs)]
        for pipe in sides.values():
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


def open_side(folder: str, side: str, options: argparse.Namespace) -> Any:
    """Start a side's engine in a process and return the pipe to it, when it is ready."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=serve, args=(folder, side, options, theirs), daemon=True).start()
    ours.recv()
    return ours


def take_turn(pipe: Any) -> Turn:
    pipe.send("run")
    return Turn(*pipe.recv())


def serve(folder: str, side: str, options: argparse.Namespace, pipe: Any) -> None:
    """Run turns until told to stop."""
    import numpy as np

    from prefbench.backends.vllm.arming import steering_arguments
    from prefbench.backends.vllm.control import SteeringControl
    from prefbench.backends.vllm.engine import Job, start_engine
    from prefbench.backends.vllm.logs import EngineLog
    from prefbench.steering import Plan

    layers = {"stock": [], "one layer": [options.layers // 2], "every layer": list(range(options.layers))}[
        side
    ]
    steering = steering_arguments("Qwen3ForCausalLM", layers=layers, slots=1)[0] if layers else {}
    arguments = {
        "dtype": options.dtype,
        "enforce_eager": not options.compiled,
        "max_model_len": 512,
        "max_num_seqs": options.requests,
        "enable_prefix_caching": False,
        "skip_tokenizer_init": True,
        **steering,
    }
    log = EngineLog()
    log.configure()
    engine = start_engine(folder, arguments, log)
    rng = np.random.default_rng(0)
    if layers:
        control = SteeringControl(engine)
        control.arm(layers=layers, slots=1)
        table = 0.01 * rng.standard_normal((3, options.hidden)).astype(np.float32)
        control.load(1, Plan(dict.fromkeys(layers, table)))
    prompts = np.random.default_rng(1).integers(3, VOCABULARY, (options.requests, PROMPT_TOKENS)).tolist()
    pipe.send("ready")
    while pipe.recv() == "run":
        from vllm import SamplingParams

        parameters = SamplingParams(
            temperature=1.0,
            max_tokens=options.tokens,
            ignore_eos=True,
            detokenize=False,
            extra_args={"prefbench_slot": 1} if layers else None,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        left = {engine.submit(Job(prompt, parameters, None, None)) for prompt in prompts}
        while left:
            left -= {name for name, _ in engine.poll()}
        pipe.send((time.perf_counter() - wall, time.process_time() - cpu))
    engine.close()
    log.discard()


if __name__ == "__main__":
    main()
