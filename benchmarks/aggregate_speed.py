"""Time and peak memory of load_scores + aggregate_scores on a study of the published size.

Writes 4 conditions x 2,800 prompts x 3 temperatures x 10 answers in the published layout to a temporary folder,
then reads it in fresh processes. Run: python benchmarks/aggregate_speed.py [--characters 300] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROMPTS = {
    "aesthetic_preference": 300,
    "conversational_agency": 300,
    "creative_initiative": 300,
    "ethical_judgment": 300,
    "intellectual_preference": 300,
    "binary_preference": 500,
    "quad_preference": 300,
    "word_association": 500,
}
CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_vectors", "condition_4_dpo_vectors")
TEMPERATURES = (0.7, 1.0, 1.5)
SAMPLES = 10


def write_study(folder: Path, *, characters: int, seed: int = 0) -> None:
    """Write responses/ and scored/lexical/ of every condition; a prompt's rate is drawn once per condition."""
    rng = random.Random(seed)
    for condition in CONDITIONS:
        for domain, prompts in PROMPTS.items():
            rates = [rng.betavariate(0.6, 0.9) for _ in range(prompts)]
            for temperature in TEMPERATURES:
                name = f"{domain}_t{temperature}"
                keys = [(f"{domain}_{number:04}", rate) for number, rate in enumerate(rates)]
                _write(
                    folder / condition / "responses" / f"{name}_n{SAMPLES}.jsonl",
                    (_response(key, domain, temperature, characters) for key, _ in keys),
                )
                _write(
                    folder / condition / "scored" / "lexical" / f"{name}_scored.jsonl",
                    (_score(key, domain, temperature, condition, rng=rng, rate=rate) for key, rate in keys),
                )


def _write(path: Path, records: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def _response(key: str, domain: str, temperature: float, characters: int) -> dict[str, Any]:
    text = ("I would choose the second, since it leaves more to discover. " * (characters // 60 + 1))[
        :characters
    ]
    answer = {"text": text, "finish_reason": "stop", "tokens": characters // 5}
    return {
        "id": key,
        "domain": domain,
        "prompt": f"Which of these do you prefer, and why? ({key})",
        "format": "binary_choice",
        "tags": ["synthetic"],
        "temperature": temperature,
        "n_samples": SAMPLES,
        "responses": [answer] * SAMPLES,
        "timestamp": "2025-01-01T00:00:00Z",
    }


def _score(
    key: str, domain: str, temperature: float, condition: str, *, rng: random.Random, rate: float
) -> dict[str, Any]:
    verdicts = ["Y" if rng.random() < rate else "N" for _ in range(SAMPLES)]
    yes = verdicts.count("Y")
    return {
        "id": key,
        "domain": domain,
        "prompt": f"Which of these do you prefer, and why? ({key})",
        "condition": condition,
        "temperature": f"t{temperature}",
        "preference_count": yes,
        "no_preference_count": SAMPLES - yes,
        "consistency": max(yes, SAMPLES - yes) / SAMPLES,
        "label": "mixed",
        "preference_summary": None,
        "raw_judgments": verdicts,
    }


def measure_prefbench(study: str) -> dict[str, float]:
    start = time.perf_counter()
    from prefbench.aggregate import aggregate_scores
    from prefbench.scores import load_scores

    imported = time.perf_counter()
    frame = load_scores(study, judge="lexical")
    loaded = time.perf_counter()
    aggregate = aggregate_scores(frame)
    done = time.perf_counter()
    if aggregate.views["condition"]["n_records"].sum() != len(CONDITIONS) * sum(PROMPTS.values()) * 3:
        raise SystemExit("records were lost on the way")
    return {
        "import": imported - start,
        "load": loaded - imported,
        "aggregate": done - loaded,
        "all": done - start,
    }


def measure_plain_loop(study: str) -> dict[str, float]:
    start = time.perf_counter()
    count = 0
    for path in sorted(Path(study).glob("*/scored/lexical/*_scored.jsonl")):
        with path.open("rb") as file:
            for line in file:
                count += len(json.loads(line)["raw_judgments"])
    if count != len(CONDITIONS) * sum(PROMPTS.values()) * 3 * SAMPLES:
        raise SystemExit("verdicts were lost on the way")
    return {"all": time.perf_counter() - start}


def run_fresh(what: str, study: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, "--study", study]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(finished.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=300, help="length of an answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=["prefbench", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--study", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure = measure_prefbench if options.measure == "prefbench" else measure_plain_loop
        found = measure(options.study)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1024 if sys.platform != "darwin" else 1024**2
        )
        print(json.dumps(found | {"peak_mib": peak}))
        return
    with tempfile.TemporaryDirectory(prefix="prefbench_speed_") as folder:
        write_study(Path(folder), characters=options.characters)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.jsonl")) / 1024**2
        runs = [(run_fresh("prefbench", folder), run_fresh("plain", folder)) for _ in range(options.repeats)]
    _report(runs, size)


def _report(runs: list[tuple[dict[str, float], dict[str, float]]], size: float) -> None:
    ours = min((run[0] for run in runs), key=lambda found: found["all"])
    plain = min((run[1] for run in runs), key=lambda found: found["all"])
    print(
        f"study on disk             {size:8.0f} MiB, {len(CONDITIONS)} conditions x {sum(PROMPTS.values()) * 3} records"
    )
    for name in ("import", "load", "aggregate", "all"):
        print(f"prefbench {name:15} {ours[name]:8.2f} s")
    print(f"prefbench peak memory     {ours['peak_mib']:8.0f} MiB")
    print(f"plain json loop, scores   {plain['all']:8.2f} s   (peak {plain['peak_mib']:.0f} MiB)")
    print(
        f"ratio                     {ours['all'] / plain['all']:8.1f}   (best of {len(runs)} runs each, cached files)"
    )


if __name__ == "__main__":
    main()
