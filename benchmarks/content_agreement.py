"""Rank correlation of content agreement with human-checked classes of equivalent answers (NoveltyBench).

    python benchmarks/content_agreement.py

100 prompts with 10 answers each; `partition` puts the answers into classes. The reference is Simpson's
unbiased agreement of the classes; the interval resamples prompts. The data is not part of the project.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from prefbench.judges.content import choice_agreement, content_agreement
from prefbench.judges.lexical import LexicalJudge
from prefbench.records import Response, ResponseRecord

DATA = Path(__file__).parents[2] / "shared" / "data" / "novelty_bench_10_samples.jsonl.gz"
RESAMPLES = 2_000
SEED = 20_260


def read_records() -> list[tuple[ResponseRecord, list[int]]]:
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        (
            ResponseRecord(
                id=row["id"], domain="novelty", prompt=row["prompt"], format="open_ended", tags=[], temperature=1.0,
                n_samples=len(row["generations"]), responses=[Response(text=text) for text in row["generations"]],
                timestamp="",
            ),
            row["partition"],
        )
        for row in rows
    ]  # fmt: skip


def correlation(found: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation with its 95 % percentile interval over resampled prompts."""
    x, y = np.asarray(found), np.asarray(reference)
    rng = np.random.default_rng(SEED)
    draws = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(x), len(x))
        if np.ptp(x[rows]) > 0 and np.ptp(y[rows]) > 0:
            draws.append(spearmanr(x[rows], y[rows]).statistic)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(spearmanr(x, y).statistic), float(low), float(high)


def main() -> int:
    if not DATA.is_file():
        print(f"skipped: {DATA.name} is not there")
        return 0
    records = read_records()
    judgements = LexicalJudge().judge(record for record, _ in records)
    lines: dict[str, list[tuple[float, float]]] = {
        "texts and choices": [],
        "texts alone": [],
        "choices alone": [],
    }
    for (record, partition), judgement in zip(records, judgements, strict=True):
        reference = choice_agreement([str(label) for label in partition])
        texts = [response.text for response in record.responses]
        measures = {
            "texts and choices": content_agreement(texts, judgement.choices),
            "texts alone": content_agreement(texts, [None] * len(texts)),
            "choices alone": choice_agreement(judgement.choices),
        }
        for name, value in measures.items():
            if value is not None and reference is not None:
                lines[name].append((value, reference))
    for name, pairs in lines.items():
        value, low, high = correlation([a for a, _ in pairs], [b for _, b in pairs])
        missing = len(records) - len(pairs)
        print(f"{name}: n={len(pairs)} missing={missing} Spearman {value:.2f} [{low:.2f}, {high:.2f}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
