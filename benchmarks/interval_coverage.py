"""How often nominal 95 % intervals hold the truth when prompts differ: the figures quoted in docs/statistics.md.

Prompts are logit-normal (sd 2 unless told), answers binomial within a prompt; the true rate is the mean over all
prompts there could be. Run: python benchmarks/interval_coverage.py [--replications 4000] [--seed 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from prefbench.statistics import (
    cell_rate,
    effective_wilson,
    fixed_prompts_rate,
    mean_difference,
    mean_rate,
    stratified_moments,
    wilson_interval,
)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def intercept_for(rate: float, spread: float) -> float:
    """Return the logit at which a logit-normal population of prompts has this mean rate (midpoint rule)."""
    from scipy.special import ndtri

    offsets = spread * ndtri((np.arange(20_000) + 0.5) / 20_000)
    low, high = -20.0, 20.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if logistic(middle + offsets).mean() < rate else (low, middle)
    return (low + high) / 2


def rate_intervals(
    yes: Any, samples: int, strata: Any, truths: tuple[float, float]
) -> Iterator[tuple[str, bool]]:
    """Yield each method and whether its interval held the truth (of the population; of the prompts drawn)."""
    rates, total = yes / samples, yes.size * samples
    intervals: dict[str, Callable[[], tuple[float, float]]] = {
        "effective Wilson": lambda: _ends(cell_rate(rates, total, strata=strata)),
        "t": lambda: _ends(mean_rate(rates, strata=strata)),
        "iid Wilson": lambda: wilson_interval(yes.sum(), total),
        "Wilson on majorities": lambda: wilson_interval((yes > samples / 2).sum(), yes.size),
    }
    for name, interval in intervals.items():
        low, high = interval()
        yield name, bool(low <= truths[0] <= high)
    low, high = _ends(fixed_prompts_rate(yes, np.full(yes.size, samples)))
    yield "fixed prompts", bool(low <= truths[1] <= high)


def _ends(estimate: Any) -> tuple[float, float]:
    return estimate.low, estimate.high


def rate_coverage(
    prompts: int,
    rate: float,
    *,
    samples: int = 10,
    spread: float = 2.0,
    domains: int = 1,
    replications: int = 4_000,
    seed: int = 1,
) -> dict[str, float]:
    """Return the coverage of each interval for one rate; `domains` differ by up to a logit and are strata."""
    rng = np.random.default_rng(seed)
    shifts = np.linspace(-0.5, 0.5, domains) if domains > 1 else np.zeros(1)
    strata = np.arange(prompts) % domains
    centre = intercept_for(rate, spread)
    truth = float(np.mean([_mean_rate(centre + shift, spread) for shift in shifts]))
    held: dict[str, list[bool]] = {}
    for _ in range(replications):
        p = logistic(centre + shifts[strata] + spread * rng.standard_normal(prompts))
        yes = rng.binomial(samples, p)
        for name, inside in rate_intervals(yes, samples, strata, (truth, float(p.mean()))):
            held.setdefault(name, []).append(inside)
    return {name: float(np.mean(values)) for name, values in held.items()}


def edge_coverage(
    prompts: int,
    rate: float,
    *,
    samples: int = 30,
    spread: float = 6.0,
    replications: int = 4_000,
    seed: int = 1,
) -> dict[str, float]:
    """Return coverage of two sizes for unanimous answers (rate 0 or 1): one a prompt, or every answer."""
    rng = np.random.default_rng(seed)
    logits = intercept_for(rate, spread) + spread * rng.standard_normal((replications, prompts))
    rates = rng.binomial(samples, logistic(logits)) / samples
    means, variances = rates.mean(axis=1), rates.var(axis=1, ddof=1) / prompts
    held = {}
    for name, size in (("prompts at the edge", prompts), ("answers at the edge", prompts * samples)):
        low, high = effective_wilson(means, variances, prompts - 1, prompts=size, samples=prompts * samples)
        held[name] = float(((low <= rate) & (rate <= high)).mean())
    return held


def difference_coverage(
    prompts: int,
    rate: float,
    *,
    effect: float = -0.5,
    samples: int = 10,
    spread: float = 2.0,
    replications: int = 4_000,
    seed: int = 1,
) -> dict[str, float]:
    """Return coverage of paired and unpaired t for an effect on the logit with slopes of sd 0.7."""
    rng = np.random.default_rng(seed)
    centre = intercept_for(rate, spread)
    truth = _mean_rate(centre + effect, float(np.hypot(spread, 0.7))) - _mean_rate(centre, spread)
    held: dict[str, list[bool]] = {"paired t": [], "unpaired t": []}
    for _ in range(replications):
        logits = centre + spread * rng.standard_normal(prompts)
        slopes = effect + 0.7 * rng.standard_normal(prompts)
        first = rng.binomial(samples, logistic(logits)) / samples
        second = rng.binomial(samples, logistic(logits + slopes)) / samples
        paired = mean_difference(second - first)
        held["paired t"].append(bool(paired.low <= truth <= paired.high))
        half = 1.96 * np.sqrt(stratified_moments(first).variance + stratified_moments(second).variance)
        held["unpaired t"].append(bool(abs(paired.estimate - truth) <= half))
    return {name: float(np.mean(values)) for name, values in held.items()}


def _mean_rate(centre: float, spread: float) -> float:
    from scipy.special import ndtri

    return float(logistic(centre + spread * ndtri((np.arange(20_000) + 0.5) / 20_000)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args())
    print(
        f"{'setting':44}",
        "coverage of nominal .95, {replications} replications, seed {seed}".format(**options),
    )
    for prompts in (15, 50, 300):
        for rate in (0.5, 0.1, 0.02):
            _show(f"one domain, {prompts} prompts, rate {rate}", rate_coverage(prompts, rate, **options))
    for rate in (0.5, 0.1, 0.02):
        _show(f"5 domains x 10 prompts, rate {rate}", rate_coverage(50, rate, domains=5, **options))
    for spread, rate in ((6.0, 0.1), (6.0, 0.02)):
        _show(f"50 prompts, sd {spread:g}, rate {rate}", rate_coverage(50, rate, spread=spread, **options))
    for prompts, rate in ((15, 0.02), (30, 0.005), (50, 0.02)):
        _show(f"{prompts} prompts x 30 answers, sd 6, rate {rate}", edge_coverage(prompts, rate, **options))
    for prompts in (15, 50, 300):
        _show(f"difference, {prompts} prompts, rate 0.4", difference_coverage(prompts, 0.4, **options))


def _show(setting: str, found: dict[str, float]) -> None:
    print(f"{setting:44}", "  ".join(f"{name} {value:.3f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
