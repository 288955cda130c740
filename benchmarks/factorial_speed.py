"""Time of the factorial table at the published size, against statsmodels GEE; of the bootstrap; memory of aggregation.

18,000 cells: 1,500 prompts x 3 temperatures x 4 conditions, 10 answers each, 5 domains. Both sides are measured in one
run on one thread, best of --repeats; wall seconds, then CPU seconds. The responses to aggregate are written as a
study to a temporary folder (1.4 GB for ten million) and read in a process of its own.
Run: python benchmarks/factorial_speed.py [--repeats 5] [--responses 10000000]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl

DOMAINS = (
    "aesthetic_preference",
    "conversational_agency",
    "creative_initiative",
    "ethical_judgment",
    "intellectual",
)
CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")
LIMIT_MIB = 2048


def make_scores(prompts: int, *, temperatures: int = 3, samples: int = 10, seed: int = 0) -> pl.DataFrame:
    """Return a scores frame of 5 domains x `prompts` prompts x temperatures x 4 conditions."""
    rng = np.random.default_rng(seed)
    total = len(DOMAINS) * prompts
    shape = (len(CONDITIONS), temperatures, total)
    logits = 2 * rng.standard_normal(total) + 0.7 * rng.standard_normal((len(CONDITIONS), 1, total))
    yes = rng.binomial(
        samples,
        1 / (1 + np.exp(-(logits + np.array([-0.5, 0.1, -0.8, 0.0])[:, None, None]) + np.zeros(shape))),
    )
    condition, temperature, prompt = (each.ravel() for each in np.indices(shape))
    names = np.array([f"{domain}_{number:05}" for domain in DOMAINS for number in range(prompts)])
    cells = len(condition)
    return pl.DataFrame(
        {
            "condition": pl.Series(np.array(CONDITIONS)[condition]),
            "judge": pl.Series(["lexical"]).extend_constant("lexical", cells - 1),
            "domain": pl.Series(np.array(DOMAINS)[prompt // prompts]),
            "id": pl.Series(names[prompt]),
            "temperature": 0.5 + 0.5 * temperature,
            "format": pl.Series(["ranking"]).extend_constant("ranking", cells - 1),
            "n_samples": np.full(cells, samples),
            "yes": yes.ravel(),
            "no": samples - yes.ravel(),
            "unreadable": np.zeros(cells, dtype=int),
            "choice_agreement": pl.Series([None] * cells, dtype=pl.Float64),
            "content_agreement": pl.Series([None] * cells, dtype=pl.Float64),
            "status": pl.Series(["scored"]).extend_constant("scored", cells - 1),
        }
    )


class Seconds(NamedTuple):
    """Wall and CPU seconds of a call."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:7.3f} s  {self.cpu:7.3f} CPU s"


def best_of(repeats: int, work: Callable[[], Any]) -> tuple[Seconds, Any]:
    """Return the shortest times of a call, and its result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        result = work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return Seconds(*map(min, zip(*times, strict=True))), result


def gee_estimates(cells: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Return main effects, interaction and simple effects as risk differences with their errors, by statsmodels GEE.

    The same binomial model with independence and a robust covariance; rates by g-computation and the delta method.
    """
    import statsmodels.api as sm

    prompt = (cells["domain"] + cells["id"]).to_numpy()
    condition = np.unique(cells["condition"].to_numpy(), return_inverse=True)[1]
    columns = [condition[:, None] == np.arange(4)]
    for name in ("domain", "temperature"):
        codes = np.unique(cells[name].to_numpy(), return_inverse=True)[1]
        columns.append(codes[:, None] == np.arange(1, codes.max() + 1))
    x = np.concatenate(columns, axis=1).astype(float)
    counts = cells.select("yes", "no").to_numpy()
    rates = counts[:, 0] / counts.sum(axis=1)
    model = sm.GEE(
        rates,
        x,
        groups=prompt,
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Independence(),
        weights=counts.sum(axis=1),
    )
    fit = model.fit(cov_type="robust")
    means, jacobian = [], []
    for each in range(4):
        moved = x.copy()
        moved[:, :4] = np.eye(4)[each]
        p = 1 / (1 + np.exp(-moved @ fit.params))
        means.append(p.mean())
        jacobian.append((moved * (p * (1 - p))[:, None]).mean(axis=0))
    covariance = np.array(jacobian) @ fit.cov_params() @ np.array(jacobian).T
    from prefbench.factors import find_design

    return {
        contrast.name: (
            float(contrast.weights @ means),
            float(np.sqrt(contrast.weights @ covariance @ contrast.weights)),
        )
        for contrast in find_design(CONDITIONS).contrasts
    }


def measure_factorial(repeats: int) -> None:
    """Print the time of every estimate of the factorial table and of the bootstrap, with the ratio to GEE."""
    from prefbench.blocks import make_blocks
    from prefbench.cells import rate_cells
    from prefbench.factors import find_design
    from prefbench.statistics import bootstrap_contrasts, contrast_estimate
    from prefbench.treatments import domain_effect_table, effect_table, fit_logistic

    frame, design = make_scores(300), find_design(CONDITIONS)
    cells = rate_cells(frame)
    options: dict[str, Any] = {"level": 0.95, "correction": "holm"}

    def whole_table() -> pl.DataFrame:
        return effect_table(make_blocks(rate_cells(frame), CONDITIONS), design, **options)

    def same_estimates() -> Any:
        fit = fit_logistic(make_blocks(cells, CONDITIONS)).standardise()
        return [contrast_estimate(fit, each.weights, name=each.name) for each in design.contrasts]

    table_time, table = best_of(repeats, whole_table)
    domain_time, _ = best_of(
        repeats, lambda: domain_effect_table(make_blocks(cells, CONDITIONS), design, **options)
    )
    ours_time, ours = best_of(repeats, same_estimates)
    gee_time, gee = best_of(2, lambda: gee_estimates(cells))
    gap = max(abs(found.estimate - gee[found.name][0]) for found in ours)
    blocks = make_blocks(cells, CONDITIONS)
    rates = blocks.prompt_means(blocks.rates)
    boot_time, _ = best_of(
        repeats, lambda: bootstrap_contrasts(rates, design.contrasts, strata=blocks.domain, draws=2_000)
    )
    count = len(design.contrasts)
    lines = {
        f"factorial table, {frame.height:,} cells, {table.height} rows, from the scores frame": table_time,
        "effects by domain": domain_time,
        f"GLM with CR1 and g-computation, {count} risk differences": ours_time,
        f"statsmodels GEE, the same {len(gee)} (largest gap {gap:.1e})": gee_time,
        f"bootstrap, 2,000 draws of {count} contrasts": boot_time,
    }
    for what, seconds in lines.items():
        print(f"{what:65} {seconds}")
    for what, seconds in (("like for like", ours_time), ("GEE to our whole table", table_time)):
        print(
            f"{'ratio, ' + what:65} {gee_time.wall / seconds.wall:7.1f}    {gee_time.cpu / seconds.cpu:7.1f}"
        )


def measure_aggregation(responses: int) -> None:
    """Print time and peak memory of the statistics of so many responses, read from disk in a process of its own."""
    import aggregate_speed

    records = sum(aggregate_speed.PROMPTS.values()) * len(CONDITIONS) * 3
    times = max(1, round(responses / (records * aggregate_speed.SAMPLES)))
    aggregate_speed.PROMPTS = {name: count * times for name, count in aggregate_speed.PROMPTS.items()}
    with tempfile.TemporaryDirectory(prefix="prefbench_responses_") as folder:
        aggregate_speed.write_study(Path(folder), characters=40)
        finished = subprocess.run(
            [sys.executable, __file__, "--aggregate-only", folder],
            capture_output=True,
            text=True,
            check=True,
        )
    print(finished.stdout.strip())


def aggregate_only(study: str) -> None:
    from prefbench.aggregate import aggregate_scores
    from prefbench.scores import load_scores
    from prefbench.stats import study_statistics

    start = time.process_time()
    frame = load_scores(study, judge="lexical")
    print(
        f"{int(frame['n_samples'].sum()):,} responses in {frame.height:,} cells, on disk; limit {LIMIT_MIB} MiB"
    )
    for what, work in (
        ("read", None),
        ("aggregate", lambda: aggregate_scores(frame)),
        ("all statistics", lambda: study_statistics(frame)),
    ):
        if work is not None:
            work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1024 if sys.platform != "darwin" else 1024**2
        )
        print(f"  {what:15} {time.process_time() - start:6.1f} CPU s so far, peak so far {peak:,.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--responses", type=int, default=10_000_000)
    parser.add_argument("--aggregate-only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.aggregate_only:
        aggregate_only(options.aggregate_only)
        return
    measure_factorial(options.repeats)
    measure_aggregation(options.responses)


if __name__ == "__main__":
    main()
