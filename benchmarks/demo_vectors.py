"""What each of the demo's five trait vectors does alone: to commitment, to length, to exclamation marks.

    python benchmarks/demo_vectors.py [FACTOR]

The demo's prompts at temperature 1, ten answers each, with the same random numbers with and without the vector, at
FACTOR (1) times the demo's coefficient. Differences are paired by prompt, with 95 % intervals (t).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

from prefbench.backends import Request, Sampling, Treatment, Vector, open_backend
from prefbench.bank import load_bank
from prefbench.demo import write_demo_study
from prefbench.demo_model import demo_model_path
from prefbench.judges import open_judge
from prefbench.records import PRIMARY_DOMAINS, PromptItem, RecordKey, Response, ResponseRecord
from prefbench.seeds import derive_seed
from prefbench.statistics import mean_difference
from prefbench.study import load_study

PROMPTS = 12
ANSWERS = 10
MEASURES = ("rate of Y", "words", "share with !")


def main() -> None:
    factor = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    items = [item for domain in PRIMARY_DOMAINS for item in load_bank(domains=[domain])[:PROMPTS]]
    backend = open_backend("hf", str(demo_model_path()), options={}, needs=frozenset({"steering"}))
    with tempfile.TemporaryDirectory() as folder:
        write_demo_study(Path(folder), limit=PROMPTS)
        condition = load_study(folder).conditions[2]
        plain = measure(backend, items, ())
        print("none: " + ", ".join(f"{name} {np.nanmean(plain[name]):.3f}" for name in MEASURES))
        for choice in condition.vectors:
            coefficient = factor * float(choice.coefficient or 0)
            vector = Vector(str(Path(folder) / choice.file), coefficient)
            moved = measure(backend, items, (vector,))
            parts = []
            for name in MEASURES:
                found = mean_difference(moved[name] - plain[name], bound=64.0 if name == "words" else 1.0)
                parts.append(f"{name} {found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
            print(f"{Path(choice.file).stem} at {coefficient:g}: " + ", ".join(parts))


def measure(backend: Any, items: list[PromptItem], vectors: tuple[Vector, ...]) -> dict[str, np.ndarray]:
    """Return each measure's mean over the answers of each prompt, [prompts]."""
    judge, rows = open_judge("lexical", options={}), []
    treatment = Treatment("measured", "qa", vectors=vectors)
    for item, done in zip(items, backend.generate(ask(item, treatment) for item in items), strict=True):
        texts = [output.text for output in done.outputs]
        record = ResponseRecord.model_validate(
            {
                **item.model_dump(include={"id", "domain", "prompt", "format", "tags"}),
                "temperature": 1.0,
                "n_samples": ANSWERS,
                "responses": [Response(text=text) for text in texts],
                "timestamp": "",
            }
        )
        (judgement,) = judge.judge([record])
        verdicts = [verdict == "Y" for verdict in judgement.verdicts if verdict is not None]
        words = np.mean([len(text.split()) for text in texts])
        rows.append(
            (np.mean(verdicts) if verdicts else np.nan, words, np.mean(["!" in text for text in texts]))
        )
    return dict(zip(MEASURES, np.array(rows).T, strict=True))


def ask(item: PromptItem, treatment: Treatment) -> Request:
    key = RecordKey(item.domain, item.id, 1.0)
    return Request(key, item.prompt, ANSWERS, derive_seed(0, key), Sampling(1.0, 0.95, 64), treatment)


if __name__ == "__main__":
    main()
