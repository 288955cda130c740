"""Agreement of the offline judge with the labels of three public gold sets: Cohen's kappa by half.

    python benchmarks/judge_agreement.py

Each set is split by a hash of the prompt; rules and weights were made on the tuning half alone. Intervals
resample prompts (clusters). The gold files are not part of the project; without them the script says so.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from prefbench.judges.lexical import LexicalJudge
from prefbench.records import Response, ResponseRecord
from prefbench.statistics import Estimate, estimate_agreement

DATA = Path(__file__).parents[2] / "shared" / "data"
RESAMPLES = 1_000
SEED = 20_260
GOLD_SETS: Mapping[str, Mapping[str, str]] = {
    "gold_xstest": {"answer": "Y", "refuse": "N"},
    "gold_chatgpt_refusals": {"answer": "Y", "refuse": "N"},
    "gold_valuebench": {"commit": "Y", "hedge": "N"},
}
"""The labels that are Y or N in each set; other labels (partial, lean, …) are left out of the main figure."""
OTHER_READINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "partial as N": ("gold_xstest", {"answer": "Y", "refuse": "N", "partial": "N"}),
    "partial as Y": ("gold_xstest", {"answer": "Y", "refuse": "N", "partial": "Y"}),
    "disclaimed, redirected, dontknow as N": (
        "gold_chatgpt_refusals",
        {"answer": "Y", "refuse": "N", "disclaimed": "N", "redirected": "N", "dontknow": "N"},
    ),
    "lean as Y": ("gold_valuebench", {"commit": "Y", "hedge": "N", "lean": "Y"}),
}
NAIVE_REFUSAL = re.compile(
    r"\b(?:I'm sorry|I am sorry|I apologi[sz]e|I can(?:'t|not)|I won't|I am unable|I'm unable|I'm not"
    r" able|as an AI|"
    r"I must decline|not appropriate)\b",
    re.IGNORECASE,
)


class GoldRow(NamedTuple):
    """One labelled answer; `verdict` is None where the label is neither Y nor N in the reading."""

    prompt: str
    response: str
    label: str
    verdict: str | None


def read_gold(name: str, reading: Mapping[str, str] | None = None) -> list[GoldRow]:
    verdicts = GOLD_SETS[name] if reading is None else reading
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [GoldRow(row["prompt"], row["response"], row["label"], verdicts.get(row["label"])) for row in rows]


def in_tuning_half(prompt: str) -> bool:
    return hashlib.sha256(prompt.encode()).digest()[0] % 2 == 0


def kappa(prompts: Sequence[str], truth: np.ndarray, found: np.ndarray) -> Estimate:
    """Return Cohen's kappa of two arrays of True and False, with its interval over prompts."""
    pairs = np.column_stack([truth, found])
    estimate = estimate_agreement(pairs, np.array(prompts), draws=RESAMPLES, seed=SEED).kappa
    if estimate is None:
        raise SystemExit("kappa is not defined: both gave one and the same answer throughout")
    return estimate


def judge_rows(rows: Sequence[GoldRow]) -> list[str | None]:
    """Return the judge's verdict on each row, read as the one answer of an open question."""
    records = (
        ResponseRecord(
            id=str(number), domain="gold", prompt=row.prompt, format="open_ended", tags=[], temperature=0.0,
            n_samples=1, responses=[Response(text=row.response)], timestamp="",
        )
        for number, row in enumerate(rows)
    )  # fmt: skip
    return [judgement.verdicts[0] for judgement in LexicalJudge().judge(records)]


def describe(title: str, rows: Sequence[GoldRow], verdicts: Sequence[str | None]) -> str:
    """Return one line of the table for the rows that have both a label and a verdict."""
    missing = sum(verdict is None for verdict in verdicts)
    both = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict is not None]
    truth = np.array([row.verdict == "Y" for row, _ in both])
    found = np.array([verdict == "Y" for _, verdict in both])
    naive = np.array([NAIVE_REFUSAL.search(row.response) is None for row, _ in both])
    prompts = [row.prompt for row, _ in both]
    judge, regex = kappa(prompts, truth, found), kappa(prompts, truth, naive)
    base = float(truth.mean())
    return (
        f"| {title} | {len(both)} | {missing} | {base:.2f} | {max(base, 1 - base):.2f} |"
        f" {regex.estimate:.2f} "
        f"| {np.mean(truth == found):.2f} | **{judge.estimate:.2f}** "
        f"[{judge.low:.2f}, {judge.high:.2f}] |"
    )


def report(name: str, reading: Mapping[str, str] | None, note: str) -> None:
    rows = [row for row in read_gold(name, reading) if row.verdict is not None]
    for tuning in (False, True):
        part = [row for row in rows if in_tuning_half(row.prompt) is tuning]
        title = f"{name.removeprefix('gold_')}{note}, {'tuning' if tuning else 'held out'}"
        print(describe(title, part, judge_rows(part)), flush=True)


def main() -> int:
    if not DATA.is_dir():
        print(f"skipped: the gold sets are not there ({DATA.name}/)")
        return 0
    print(
        "| set, half | n | missing | share Y | majority accuracy (kappa 0) | kappa of a refusal regex |"
        " accuracy | kappa [95 %] |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in GOLD_SETS:
        report(name, None, "")
    for note, (name, reading) in OTHER_READINGS.items():
        report(name, reading, f" ({note})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
