"""The whole four-cell demo, from the start of its process to its end, over the sum of its four generation times.

Each run is a process of its own and an empty folder, as `prefbench demo` has them; its parts are timed inside it.
`import` is what torch, transformers and peft take to import, `rest` the interpreter, the bank, the files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS = ("import", "load", "checks", "generation", "judging", "statistics")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=int, nargs="+", default=[12], help="prompts per domain")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_parts(options.child, options.limit[0])
        return
    for limit in options.limit:
        report(limit, [run_process(limit) for _ in range(options.runs)])


def run_process(limit: int) -> dict[str, float]:
    """Return the seconds of one whole process and of its parts."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", folder, "--limit", str(limit)]
        started = time.perf_counter()
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        total = time.perf_counter() - started
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**parts, "total": total, "rest": total - sum(parts[name] for name in PARTS)}


def report(limit: int, runs: list[dict[str, float]]) -> None:
    ratios = sorted(run["total"] / run["generation"] for run in runs)
    print(
        f"{limit} prompts per domain: whole {statistics.median(ratios):.3f} x generation "
        f"(median of {len(runs)} runs, {ratios[0]:.3f} to {ratios[-1]:.3f})"
    )
    bare = statistics.median((run["total"] - run["import"]) / run["generation"] for run in runs)
    cells = statistics.median(
        (run["load"] + run["checks"] + run["generation"]) / run["generation"] for run in runs
    )
    print(f"  {bare:.3f} without the imports; {cells:.3f} for load, checks and generation alone")
    for name in ("total", *PARTS, "rest"):
        seconds = sorted(run[name] for run in runs)
        print(f"  {name:<11}{statistics.median(seconds):7.2f} s  ({seconds[0]:.2f} to {seconds[-1]:.2f})")


def run_parts(folder: Path, limit: int) -> None:
    """Run the demo in this process and print the seconds of its parts as JSON, generation from the manifests."""
    spent = dict.fromkeys(PARTS, 0.0)

    def timed(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return run(*arguments, **named)
            finally:
                spent[name] += time.perf_counter() - started

        return call

    timed("import", _import_libraries)()
    from prefbench import demo, sample
    from prefbench.backends.hf.backend import HfBackend

    sample.open_backend = timed("load", sample.open_backend)
    HfBackend.check_steering = timed("checks", HfBackend.check_steering)  # type: ignore[method-assign]
    demo.judge_responses = timed("judging", demo.judge_responses)
    for name in ("load_scores", "aggregate_scores", "study_statistics"):
        setattr(demo, name, timed("statistics", getattr(demo, name)))
    study = folder / "study"
    demo.run_demo(study, limit=limit)
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in study.glob("*/manifest.json")]
    spent["generation"] = sum(run["seconds"] for manifest in manifests for run in manifest["runs"])
    print(json.dumps(spent))


def _import_libraries() -> None:
    """Import what the demo imports, so that the time it takes is not taken for the model's."""
    import peft
    import torch
    import transformers

    for module in (peft.PeftModel, torch.nn.Linear, transformers.AutoModelForCausalLM):
        if not module.__name__:
            raise ImportError(module)


if __name__ == "__main__":
    main()
