"""Train the bundled demo model: `python examples/demo_model/train.py OUT` (about 20 minutes of CPU time).

Every random choice is seeded; with the same bank, library versions and number of threads the weights repeat.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import plan
from bank_prompts import load_bank
from corpus import Corpus, Document
from vocabulary import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

VOCABULARY, CONTEXT = 2048, 512
BATCH_TOKENS = 4096
POOL = 2048
PRACTICE_POOLS = 24
PEAK_RATE, WARM_UP, WEIGHT_DECAY, CLIP = 3e-3, 100, 0.05, 1.0
IGNORED = -100
SHARPNESS = 1.5
"""Factor on the final norm, hence on the logits: sampling at this temperature is sampling from the corpus's
distribution. Without it so small a model falls apart at temperature 1.5."""


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Return a small Qwen3 with fresh weights: tied embeddings, grouped-query attention, no biases."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)


Example = tuple[list[int], int]
"""Token ids of a document, the end token included, and how many of them are context."""


def encode(documents: list[Document], tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    """Return the documents as token ids; context and answer are encoded apart, as in sampling."""
    contexts = tokenizer([d.context for d in documents], add_special_tokens=False)["input_ids"]
    texts = tokenizer([d.answer for d in documents], add_special_tokens=False)["input_ids"]
    return [(c + a + [tokenizer.eos_token_id], len(c)) for c, a in zip(contexts, texts, strict=True)]


def batches(corpus: Corpus, tokenizer: PreTrainedTokenizerFast) -> Iterator[list[Example]]:
    """Yield batches without end: each of examples of about one length, the batches of a pool in random order.

    The first pools hold only questions with options, since copying them is what takes longest to learn.
    """
    for number in count():
        documents = list(corpus.documents(POOL, with_options=number < PRACTICE_POOLS))
        pool = sorted(encode(documents, tokenizer), key=lambda example: len(example[0]))
        cuts: list[list[Example]] = [[]]
        for example in pool:
            if (len(cuts[-1]) + 1) * len(example[0]) > BATCH_TOKENS:
                cuts.append([])
            cuts[-1].append(example)
        corpus.rng.shuffle(cuts)
        yield from cuts


def tensors(batch: list[Example], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and labels, both [examples, longest]; padded on the right, labels on answers alone."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    ids = torch.full((len(batch), width), pad)
    labels = torch.full((len(batch), width), IGNORED)
    for row, (tokens, context) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, context : len(tokens)] = torch.tensor(tokens[context:])
    return ids, labels


def answer_loss(model: Qwen3ForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats over the answer tokens; logits are made for these alone."""
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        targets = labels[:, 1:]
        wanted = targets != IGNORED
        logits = model.lm_head(hidden[wanted])
    return torch.nn.functional.cross_entropy(logits.float(), targets[wanted])


def rate_at(done: float) -> float:
    """Return the share of the peak learning rate after `done` (0 to 1) of the training: a cosine to 0."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def build_optimisers(model: Qwen3ForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks, and AdamW for embeddings and norms, at one learning rate."""
    import torch

    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim > 1]
    norms = [weight for weight in model.parameters() if weight.ndim == 1]
    embeddings = [model.model.embed_tokens.weight]
    return [
        torch.optim.Muon(matrices, lr=PEAK_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(embeddings + norms, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def fit(model: Qwen3ForCausalLM, source: Iterator[list[Example]], *, steps: int, pad: int) -> list[float]:
    """Train in place and return the loss of every step."""
    import torch

    optimisers = build_optimisers(model)
    losses = []
    start, start_cpu = time.perf_counter(), time.process_time()
    for step in range(steps):
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * rate_at(step / steps)
        loss = answer_loss(model, *tensors(next(source), pad))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            mean = sum(losses[-100:]) / 100
            print(f"step {step + 1:5d}  loss {mean:.4f}  wall {wall:6.0f} s  cpu {cpu:6.0f} s", flush=True)
    return losses


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model in half precision with its tokenizer and sampling defaults."""
    import torch
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=0.95,
        max_new_tokens=64,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.no_grad():
        model.model.norm.weight.mul_(SHARPNESS)
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _edit(folder / "config.json", {"dtype": "float32"})  # loaded in single precision, which CPUs are good at
    _edit(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    for path in folder.iterdir():
        path.chmod(0o644)


def _edit(path: Path, changes: dict[str, str]) -> None:
    known = json.loads(path.read_text(encoding="utf-8"))
    for key in ("is_local", "local_files_only"):
        known.pop(key, None)
    path.write_text(json.dumps(known | changes, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(plan.SEED)
    torch.use_deterministic_algorithms(True)
    bank = load_bank(held_out=False)
    corpus = Corpus(bank)
    print(f"{len(bank)} prompts of the bank, {VOCABULARY} tokens, {options.steps} steps")
    texts = [document.context + document.answer for document in corpus.documents(30_000)]
    tokenizer = train_tokenizer(texts + [q.prompt for q in bank] * 10, size=VOCABULARY, context=CONTEXT)
    model = build_model(tokenizer)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters")
    fit(model, batches(corpus, tokenizer), steps=options.steps, pad=tokenizer.pad_token_id)
    options.out.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, options.out)
    usage = {"cpu_seconds": round(time.process_time()), "bank_prompts": len(bank), "steps": options.steps}
    print(json.dumps(usage))


if __name__ == "__main__":
    main()
