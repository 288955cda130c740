"""What an adapter costs in sampling: tokens/s with none loaded, one loaded but off, and on; and one load for all.

Run it by itself on a quiet machine:  python benchmarks/adapter_speed.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from prefbench.backends import Request, Sampling, Treatment, open_backend
from prefbench.bank import load_bank
from prefbench.demo_model import locate_model
from prefbench.records import RecordKey

ROUNDS = 7
PROMPTS = 16
SAMPLES = 10
TOKENS = 64


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        adapter = make_adapter(Path(folder) / "adapter")
        base, dpo = Treatment("base", "qa"), Treatment("dpo", "qa", adapter=str(adapter))
        bare = open_backend("hf", locate_model("demo"), options={})
        shared = open_backend("hf", locate_model("demo"), options={})
        shared.identify(dpo)
        runs = {"no adapter loaded": (bare, base), "loaded, off": (shared, base), "on": (shared, dpo)}
        speeds: dict[str, list[float]] = {name: [] for name in runs}
        for backend, treatment in runs.values():
            speed(backend, treatment)  # warm
        for _ in range(ROUNDS):  # alternating, so that a busy moment hits all of them
            for name, (backend, treatment) in runs.items():
                speeds[name].append(speed(backend, treatment))
        first = speeds["no adapter loaded"]
        print(
            f"rank 64 on all linear layers of the demo model, {PROMPTS} prompts x {SAMPLES} answers, {ROUNDS} rounds"
        )
        for name, found in speeds.items():
            ratio = median(mine / other for mine, other in zip(found, first, strict=True))
            print(f"  {name:<18} {median(found):>8,.0f} tokens/s   {ratio:.2f} of the first")
        print(
            f"  loading the model  {median(load() for _ in range(ROUNDS)):.2f} s, spared for every condition but one"
        )


def make_adapter(folder: Path) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(locate_model("demo"))
    adapted = get_peft_model(model, LoraConfig(r=64, lora_alpha=128, target_modules="all-linear"))
    adapted.peft_config["default"].base_model_name_or_path = "demo"
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return folder


def speed(backend, treatment) -> float:
    items = load_bank(domains=["ethical_judgment"], limit=PROMPTS)
    sampling = Sampling(1.0, 0.95, TOKENS)
    requests = [
        Request(
            RecordKey(item.domain, item.id, 1.0), item.prompt, SAMPLES, 1000 * number, sampling, treatment
        )
        for number, item in enumerate(items)
    ]
    started = time.perf_counter()
    tokens = sum(output.tokens for done in backend.generate(requests) for output in done.outputs)
    return tokens / (time.perf_counter() - started)


def load() -> float:
    started = time.perf_counter()
    open_backend("hf", locate_model("demo"), options={})
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
