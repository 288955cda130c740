"""How often 95 % intervals of kappa, AC1 and alpha hold the truth, when answers cluster in prompts.

    python benchmarks/agreement_coverage.py [--replications 1000]

Truth and error rates both vary between prompts (logit-normal). The intervals of prefbench stand beside two others for
kappa: the large-sample interval that takes answers as independent, and the percentile interval of the same kind of
resamples. The truth is that of 400,000 prompts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import NamedTuple

import numpy as np

from prefbench.statistics import (
    cluster_sums,
    cohens_kappa,
    confusion_matrix,
    estimate_agreement,
    gwets_ac1,
    krippendorffs_alpha,
    resampled_totals,
)

POPULATION = 400_000
COEFFICIENTS = ("kappa", "ac1", "alpha")


class Setting(NamedTuple):
    """How many prompts and answers, how often Y, and how often the judge is right about Y and about N."""

    prompts: int
    answers: int
    rate: float
    sensitivity: float
    specificity: float


SETTINGS = (
    Setting(200, 1, 0.5, 0.9, 0.9),
    Setting(50, 4, 0.5, 0.9, 0.9),
    Setting(15, 10, 0.5, 0.9, 0.9),
    Setting(200, 1, 0.1, 0.8, 0.97),
    Setting(50, 4, 0.1, 0.8, 0.97),
    Setting(300, 10, 0.3, 0.9, 0.9),
)


def draw(setting: Setting, rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ratings (n, 2) and the prompt of each answer."""
    base, hit, keep = (np.log(p / (1 - p)) for p in setting[2:])
    truth_logit, error = base + 2 * rng.standard_normal(prompts), rng.standard_normal(prompts)
    prompt = np.repeat(np.arange(prompts), setting.answers)
    truth = rng.random(prompt.size) < _share(truth_logit)[prompt]
    right = np.where(truth, _share(hit + error)[prompt], _share(keep - error)[prompt])
    found = truth ^ (rng.random(prompt.size) > right)
    return np.column_stack([truth, found]).astype(float), prompt


def _share(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def percentile_limits(ratings: np.ndarray, prompt: np.ndarray, seed: int) -> tuple[float, float]:
    cells = np.eye(4)[(2 * ratings[:, 0] + ratings[:, 1]).astype(int)]
    totals = resampled_totals(cluster_sums(cells, prompt), draws=1_000, seed=seed)
    size = totals.sum(axis=1)
    observed = (totals[:, 0] + totals[:, 3]) / size
    p, q = (totals[:, 2] + totals[:, 3]) / size, (totals[:, 1] + totals[:, 3]) / size
    chance = p * q + (1 - p) * (1 - q)
    low, high = np.quantile((observed - chance) / (1 - chance), [0.025, 0.975])
    return float(low), float(high)


def cover(setting: Setting, replications: int) -> str:
    rng = np.random.default_rng(20_260)
    population, _ = draw(setting, rng, POPULATION)
    table = confusion_matrix(*population.T)
    truth = {
        "kappa": cohens_kappa(table).estimate,
        "ac1": gwets_ac1(population),
        "alpha": krippendorffs_alpha(population),
    }
    hits: Counter[str] = Counter()
    for number in range(replications):
        ratings, prompt = draw(setting, rng, setting.prompts)
        found = estimate_agreement(ratings, prompt, draws=1_000, seed=number)
        for name in COEFFICIENTS:
            estimate = getattr(found, name)
            hits[name] += estimate.low <= truth[name] <= estimate.high
        plain = cohens_kappa(confusion_matrix(*ratings.T))
        hits["independent"] += abs(plain.estimate - truth["kappa"]) <= 1.96 * plain.standard_error
        low, high = percentile_limits(ratings, prompt, number)
        hits["percentile"] += low <= truth["kappa"] <= high
    shares = [hits[name] / replications for name in (*COEFFICIENTS, "percentile", "independent")]
    described = f"{setting.prompts} x {setting.answers} | {setting.rate:.2f} | {truth['kappa']:.2f}"
    return f"| {described} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1_000)
    replications = parser.parse_args().replications
    print("| prompts x answers | rate | kappa | kappa covered | AC1 | alpha | percentile | independent |")
    print("|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        print(cover(setting, replications), flush=True)


if __name__ == "__main__":
    main()
