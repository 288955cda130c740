"""Make the DPO adapter and the five trait vectors of the demo's four conditions, with prefbench's own commands.

    python examples/demo_model/conditions.py OUT        # about two minutes of CPU time; needs the extra `train`

Adapter: the model's own committing answers against its own hedging ones, to prompts that the demo does not ask.
Vectors: three traits that the model was taught to follow on instruction (decisiveness, enthusiasm, brevity), and
two of the shipped ones, which it was not (warmth, curiosity): those mean nothing on this model, as in a study in
which some vectors do not act on the question.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from phrases import TRAIT_INSTRUCTIONS

from prefbench.bank import load_bank, write_bank
from prefbench.records import PRIMARY_DOMAINS

TAUGHT = {
    "decisiveness": ("decisive", "cautious", "Takes a side and says so; the opposite takes none."),
    "enthusiasm": ("enthusiastic", "reserved", "Answers with excitement; the opposite keeps an even tone."),
    "brevity": ("brief", "expansive", "Says little; the opposite explains at length."),
}
SHIPPED = ("warmth", "curiosity")
TRAINING = slice(200, 240)
"""Prompts of each domain that the adapter and the vectors are made from; the demo asks the first ones."""
QUESTIONS = 40


def main(out: Path) -> None:
    items = [item for domain in PRIMARY_DOMAINS for item in load_bank(domains=[domain])[TRAINING]]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_bank(work / "bank.jsonl", items)
        make_adapter(work, out / "adapter")
        for name, (positive, negative, description) in TAUGHT.items():
            definition = {
                "trait": name,
                "description": description,
                "pairs": [
                    {"positive": one, "negative": other}
                    for one, other in zip(
                        TRAIT_INSTRUCTIONS[positive], TRAIT_INSTRUCTIONS[negative], strict=True
                    )
                ],
                "extraction_questions": [item.prompt for item in items[::5][: QUESTIONS // 2]],
                "evaluation_questions": [item.prompt for item in items[2::5][: QUESTIONS // 2]],
            }
            (work / f"{name}.json").write_text(json.dumps(definition))
            extract(work, f"{name}.json", out)
        for name in SHIPPED:
            extract(work, name, out)


def make_adapter(work: Path, out: Path) -> None:
    """Sample the model's own answers, judge them, and train it to prefer those that commit."""
    sampled = ("--temps", "1.0", "--n-samples", "8", "--max-tokens", "64", "--prompt-style", "qa")
    run(work, "sample", "--model", "demo", "--prompts", "bank.jsonl", *sampled)
    run(work, "judge", "--judge", "lexical")
    run(work, "train", "pairs", "study", "--judge", "lexical", "--out", "pairs")
    recipe = ("--rank", "8", "--alpha", "16", "--lr", "1e-3", "--batch-size", "8")
    run(work, "train", "dpo", "pairs", "--model", "demo", "--out", "adapter", *recipe)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(work / "adapter" / name, out / name)
    # what pins the base weights and the recipe; the run itself (times, machine) is not part of the adapter
    manifest = json.loads((work / "adapter" / "manifest.json").read_text())
    kept = {"format": manifest["format"], "settings": manifest["settings"], "runs": []}
    (out / "manifest.json").write_text(json.dumps(kept, indent=2) + "\n")


def extract(work: Path, trait: str, out: Path) -> None:
    name = Path(trait).stem
    settings = ("--max-tokens", "48", "--prompt-style", "qa", "--answers", "2")
    run(work, "vectors", "extract", trait, "--model", "demo", "--out", f"{name}.safetensors", *settings)
    shutil.copyfile(work / f"{name}.safetensors", out / f"{name}.safetensors")


def run(folder: Path, *command: str) -> None:
    print("prefbench", *command, flush=True)
    subprocess.run([sys.executable, "-m", "prefbench", *command], cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
