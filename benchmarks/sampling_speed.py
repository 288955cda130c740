"""Tokens a second of the hf backend against a bare `model.generate` on the same batches, alternating in one run.

Both sides draw n answers to the same prompts at temperature 1 and top_p .95, in the same batches, and never end
early, so that each generates the same number of tokens. The models are random, of the Qwen3 architecture; their
logits are multiplied, on both sides, until the distributions are about as sharp as a trained model's.

With one thread, CPU seconds are counted, so that other work on the machine does not disturb the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from random_models import write_random_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROMPTS = 16
BATCH = 8
SAMPLES = 10
MAX_TOKENS = 48
SPREAD = 3.6
"""Standard deviation of the logits: with 8,192 tokens an entropy of about 2.5 nats, as trained models have."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 384])
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    for hidden in options.hidden:
        with tempfile.TemporaryDirectory() as folder:
            parameters = write_random_model(Path(folder), hidden)
            compare(
                Path(folder),
                pairs=options.pairs,
                threads=options.threads,
                title=f"{parameters / 1e6:.1f} M parameters",
            )


def compare(folder: Path, *, pairs: int, threads: int, title: str) -> None:
    from prefbench.bank import load_bank

    prompts = [item.prompt for item in load_bank(domains=["ethical_judgment"], limit=PROMPTS)]
    ours, bare = our_sampler(folder, prompts, threads), bare_sampler(folder, prompts)
    ours(), bare()  # warm up
    clock = time.process_time if threads == 1 else time.perf_counter
    times = [(seconds(ours, clock), seconds(bare, clock)) for _ in range(pairs)]
    tokens = PROMPTS * SAMPLES * MAX_TOKENS
    ratios = [theirs / mine for mine, theirs in times]
    mine, theirs = (tokens / statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"{title}: prefbench {mine:,.0f} tok/s, bare generate {theirs:,.0f} tok/s, "
        f"ratio {statistics.median(ratios):.2f} (of {pairs} pairs: {min(ratios):.2f} to {max(ratios):.2f})"
    )


def our_sampler(folder: Path, prompts: list[str], threads: int) -> Callable[[], None]:
    from prefbench.backends import Request, Sampling, Treatment, open_backend
    from prefbench.records import RecordKey

    backend = open_backend("hf", str(folder), options={"batch_size": BATCH, "threads": threads})
    adjust_logits(backend._model, backend._decoder._end_ids)  # type: ignore[attr-defined]
    sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=MAX_TOKENS)
    requests = [
        Request(
            RecordKey("d", str(number), 1.0),
            prompt,
            SAMPLES,
            1000 * number,
            sampling,
            Treatment("c", "completion"),
        )
        for number, prompt in enumerate(prompts)
    ]

    def sample() -> None:
        made = sum(output.tokens for done in backend.generate(requests) for output in done.outputs)
        check_count(made)

    return sample


def bare_sampler(folder: Path, prompts: list[str]) -> Callable[[], None]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    adjust_logits(model, [tokenizer.eos_token_id])

    def sample() -> None:
        made = 0
        for start in range(0, len(prompts), BATCH):
            batch = tokenizer(prompts[start : start + BATCH], return_tensors="pt", padding=True)
            with torch.inference_mode():
                answers = model.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    do_sample=True,
                    temperature=1.0,
                    top_p=0.95,
                    top_k=0,
                    max_new_tokens=MAX_TOKENS,
                    num_return_sequences=SAMPLES,
                )
            new = answers[:, batch["input_ids"].shape[1] :]
            tokenizer.batch_decode(new, skip_special_tokens=True)
            made += new.numel()
        check_count(made)

    return sample


def adjust_logits(model: object, ids: list[int]) -> None:
    """Sharpen the distributions, and make the end of sequence impossible, so that both sides are of one length."""
    import torch

    # random weights of scale .02 on a normalised hidden state give logits of this scale
    sharpness = SPREAD / (0.02 * model.config.hidden_size**0.5)  # type: ignore[attr-defined]

    def adjust(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = sharpness * logits
        logits[..., ids] = -1e9
        return logits

    model.get_output_embeddings().register_forward_hook(adjust)  # type: ignore[attr-defined]


def check_count(made: int) -> None:
    if made != PROMPTS * SAMPLES * MAX_TOKENS:
        raise RuntimeError(
            f"{made} tokens generated, not {PROMPTS * SAMPLES * MAX_TOKENS}: the comparison is void"
        )


def seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    started = clock()
    work()
    return clock() - started


if __name__ == "__main__":
    main()
