"""How often the effects of a 2x2 hold the truth: the simulations behind the defaults, quoted in docs/statistics.md.

Prompts x 3 temperatures x 4 conditions x 10 answers; logit sd 2 between prompts, random slopes of either factor (sd .7)
and of both together (sd .5), temperatures that jitter each prompt (sd .3). The truth is the mean over all prompts.
Run: python benchmarks/coverage.py [--replications 4000] [--seed 1] [--only effects|judge|bootstrap]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from prefbench.statistics import (
    CellFit,
    LabelledAnswers,
    bootstrap_contrasts,
    contrast_estimate,
    factorial_contrasts,
    fit_binomial,
    fit_linear,
    paired_contrast,
    ppi_cells,
    rogan_gladen_cells,
)

LEVELS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
CONTRASTS = factorial_contrasts(LEVELS, ["finetuning", "steering"])[:3]
TEMPERATURES = 3


class Effects(NamedTuple):
    """Mean logits: of a prompt without treatment, and of each treatment."""

    intercept: float = -0.6
    finetuning: float = 0.6
    steering: float = -0.4
    both: float = 0.3


NONE = Effects(0.0, 0.0, 0.0, 0.0)
"""Prompts react to both treatments, but as often one way as the other: all four rates are .5, every contrast is 0."""
SPREAD = Effects(intercept=2.0, finetuning=0.7, steering=0.7, both=0.5)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def draw_rates(prompts: int, effects: Effects, rng: np.random.Generator, spread: Effects = SPREAD) -> Any:
    """Return the true rates (prompts, 4, 3) of prompts whose logits have these means and spreads."""
    parts = [rng.normal(mean, sd, prompts) for mean, sd in zip(effects, spread, strict=True)]
    tune, steer = LEVELS[:, 0], LEVELS[:, 1]
    logits = np.stack(
        [parts[0] + parts[1] * a + parts[2] * b + parts[3] * a * b for a, b in zip(tune, steer, strict=True)],
        axis=1,
    )
    jitter = rng.normal(0, 0.3, (prompts, 1, TEMPERATURES))
    return logistic(logits[:, :, None] + jitter)


@lru_cache
def true_contrasts(effects: Effects, *, seed: int = 7) -> Any:
    """Return each contrast's truth: 0 by symmetry, or from two million prompts (standard error below .0002)."""
    if effects == NONE:
        return np.zeros(len(CONTRASTS))
    rng = np.random.default_rng(seed)
    means = np.mean([draw_rates(100_000, effects, rng).mean(axis=(0, 2)) for _ in range(20)], axis=0)
    return np.array([contrast.weights @ means for contrast in CONTRASTS])


def factorial_intervals(yes: Any, samples: int, rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    """Yield each method and its estimates of the three contrasts."""
    prompts = len(yes)
    rates = yes.mean(axis=2) / samples
    yield "paired t", [paired_contrast(rates, contrast) for contrast in CONTRASTS]
    index = np.indices(yes.shape).reshape(3, -1)
    flat = yes.ravel()
    blocks = index[0] * TEMPERATURES + index[2]
    lost = rng.random(flat.size) < 0.1
    gappy = np.where(lost, np.nan, flat / samples)
    fit = fit_linear(gappy, index[1], blocks, clusters=index[0])
    yield "LPM, 10 % of cells lost", _estimates(fit)
    trials = np.full(flat.size, samples)
    glm = fit_binomial(flat, trials, index[1], clusters=index[0], categories=[index[2]])
    yield "GLM g-computation", _estimates(glm.standardise())
    iid = glm.standardise()
    p = rates.mean(axis=0)
    naive = CellFit(
        estimates=iid.estimates,
        covariance=np.diag(p * (1 - p) / (prompts * TEMPERATURES * samples)),
        df=1e9,
        n=prompts,
        method="iid",
        scale="rate_difference",
    )
    yield "iid binomial", _estimates(naive)
    unpaired = CellFit(
        estimates=rates.mean(axis=0),
        covariance=np.diag(rates.var(axis=0, ddof=1) / prompts),
        df=prompts - 1,
        n=prompts,
        method="unpaired",
        scale="rate_difference",
    )
    yield "unpaired, clustered", _estimates(unpaired)


def _estimates(fit: CellFit) -> list[Any]:
    return [contrast_estimate(fit, contrast.weights, name=contrast.name) for contrast in CONTRASTS]


def effect_coverage(
    prompts: int, effects: Effects, *, samples: int = 10, replications: int = 2_000, seed: int = 1
) -> dict[str, Any]:
    """Return, for each method, the coverage of the three contrasts and their mean half-width."""
    rng = np.random.default_rng(seed)
    truth = true_contrasts(effects)
    held: dict[str, list[Any]] = {}
    for _ in range(replications):
        yes = rng.binomial(samples, draw_rates(prompts, effects, rng))
        for name, found in factorial_intervals(yes, samples, rng):
            held.setdefault(name, []).append(
                [each.low <= t <= each.high for each, t in zip(found, truth, strict=True)]
            )
    return {name: np.mean(values, axis=0) for name, values in held.items()}


def bootstrap_coverage(
    prompts: int, effects: Effects, *, samples: int = 10, replications: int = 1_000, seed: int = 1
) -> dict[str, Any]:
    """Return the coverage of percentile bootstrap and paired t."""
    rng = np.random.default_rng(seed)
    truth = true_contrasts(effects)
    held: dict[str, list[Any]] = {"prompt bootstrap": [], "paired t": []}
    for replication in range(replications):
        rates = rng.binomial(samples, draw_rates(prompts, effects, rng)).mean(axis=2) / samples
        found = {
            "prompt bootstrap": bootstrap_contrasts(rates, CONTRASTS, draws=999, seed=replication),
            "paired t": [paired_contrast(rates, contrast) for contrast in CONTRASTS],
        }
        for name, estimates in found.items():
            held[name].append([each.low <= t <= each.high for each, t in zip(estimates, truth, strict=True)])
    return {name: np.mean(values, axis=0) for name, values in held.items()}


class JudgeErrorRates(NamedTuple):
    """A judge that errs differently by condition: the chance to read a human Y as Y, and N as N."""

    sensitivity: tuple[float, ...] = (0.92, 0.85, 0.90, 0.80)
    specificity: tuple[float, ...] = (0.90, 0.95, 0.85, 0.97)


ALIKE = JudgeErrorRates((0.88,) * 4, (0.92,) * 4)


def read_answers(truth: Any, errors: JudgeErrorRates, rng: np.random.Generator) -> Any:
    """Return the judge's verdicts on human labels (n, 4, T, m); half of its errors repeat over a prompt's answers."""
    n = len(truth)
    shared = rng.random((n, 4, 1, 1)) < 0.5
    coin = np.where(shared, rng.random((n, 4, 1, 1)), rng.random(truth.shape))
    se, sp = (np.array(each)[None, :, None, None] for each in errors)
    return np.where(truth, coin < se, coin >= sp)


def judge_coverage(
    prompts: int,
    labels: int,
    errors: JudgeErrorRates,
    *,
    samples: int = 10,
    replications: int = 1_000,
    seed: int = 1,
    in_turn: bool = True,
) -> dict[str, Any]:
    """Return coverage, bias and spread of effects when a human labels `labels` answers of each condition.

    They are drawn as `prefbench label` draws them, every prompt once before one has a second (`in_turn`), or at
    random among all answers.
    """
    rng = np.random.default_rng(seed)
    effects = Effects()
    truth = true_contrasts(effects)
    held: dict[str, list[Any]] = {}
    bias: dict[str, list[Any]] = {}
    for _ in range(replications):
        human = rng.random((prompts, 4, TEMPERATURES, samples)) < draw_rates(prompts, effects, rng)[..., None]
        judge = read_answers(human, errors, rng)
        rates = judge.mean(axis=(2, 3))
        labelled = _draw_labels(human, judge, labels, rng=rng, in_turn=in_turn)
        fits = {
            "judge, uncorrected": [paired_contrast(rates, contrast) for contrast in CONTRASTS],
            "PPI++ per condition": _estimates(ppi_cells(rates, labelled).fit),
            "PPI, the judge fully weighed": _estimates(ppi_cells(rates, labelled, tuning=1.0).fit),
            "labels alone": _estimates(ppi_cells(rates, labelled, tuning=0.0).fit),
            "Rogan-Gladen per condition": _estimates(rogan_gladen_cells(rates, labelled)),
            "Rogan-Gladen pooled": _estimates(rogan_gladen_cells(rates, labelled, pooled=True)),
        }
        for name, found in fits.items():
            held.setdefault(name, []).append(
                [each.low <= t <= each.high for each, t in zip(found, truth, strict=True)]
            )
            bias.setdefault(name, []).append(
                [each.estimate - t for each, t in zip(found, truth, strict=True)]
            )
    return {
        name: (np.mean(values, axis=0), np.mean(bias[name], axis=0), np.std(bias[name], axis=0))
        for name, values in held.items()
    }


def _draw_labels(
    human: Any, judge: Any, count: int, *, rng: np.random.Generator, in_turn: bool
) -> LabelledAnswers:
    parts = []
    answers = human[0, 0].size
    for cell in range(human.shape[1]):
        order = rng.random((len(human), answers))
        if in_turn:
            order = order.argsort(axis=1) + rng.random((len(human), 1))
        chosen = np.argpartition(order.ravel(), count)[:count]
        parts.append(
            (
                human[:, cell].ravel()[chosen],
                judge[:, cell].ravel()[chosen],
                chosen // answers,
                np.full(count, cell),
            )
        )
    truth, verdict, prompt, cell = (np.concatenate(part) for part in zip(*parts, strict=True))
    return LabelledAnswers(truth.astype(float), verdict.astype(float), prompt, cell, np.ones(truth.size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=4_000, help="half as many for judges")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["effects", "judge", "bootstrap"])
    options = parser.parse_args()
    names = [contrast.name for contrast in CONTRASTS]
    print(f"nominal .95; seed {options.seed}; columns: {', '.join(names)}")
    parts: dict[str, tuple[Callable[..., None], int]] = {
        "effects": (_show_effects, options.replications),
        "bootstrap": (_show_bootstrap, options.replications),
        "judge": (_show_judge, options.replications // 2),
    }
    for name, (show, replications) in parts.items():
        if options.only in (None, name):
            error = (0.95 * 0.05 / replications) ** 0.5
            print(f"{name}: {replications} replications, Monte-Carlo standard error {error:.4f} at .95")
            show(replications=replications, seed=options.seed)


def _show_effects(**given: int) -> None:
    for title, effects in (("coverage", Effects()), ("type I error", NONE)):
        for prompts in (50, 300, 1_500):
            for name, values in effect_coverage(prompts, effects, **given).items():
                _show(f"{title}, {prompts} prompts, {name}", values if title == "coverage" else 1 - values)


def _show_bootstrap(**given: int) -> None:
    for prompts in (15, 50, 300):
        for name, values in bootstrap_coverage(prompts, Effects(), **given).items():
            _show(f"coverage, {prompts} prompts, {name}", values)


def _show_judge(**given: int) -> None:
    for labels in (50, 100, 200, 500):
        found = judge_coverage(300, labels, JudgeErrorRates(), **given)
        _show_methods(f"differential errors, {labels} labels each", found)
    found = judge_coverage(300, 200, JudgeErrorRates(), in_turn=False, **given)
    _show_methods("differential errors, 200 labels at random", found)
    _show_methods("equal errors, 200 labels each", judge_coverage(300, 200, ALIKE, **given))


def _show_methods(setting: str, found: dict[str, Any]) -> None:
    for name, rows in found.items():
        _show(f"{setting}, {name}", *rows)


def _show(setting: str, *rows: Any) -> None:
    labels = ("", "  bias", "  sd")
    parts = [
        f"{label} " + " ".join(f"{value:+.3f}" if label else f"{value:.3f}" for value in row)
        for label, row in zip(labels, rows, strict=False)
    ]
    print(f"{setting:70}", "".join(parts), flush=True)


if __name__ == "__main__":
    start = time.process_time()
    main()
    print(f"{time.process_time() - start:.0f} CPU seconds")
