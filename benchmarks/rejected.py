"""What the methods that docs/statistics.md rejects would do: standard errors, power and false alarms, simulated.

bootstrap: standard errors of a bootstrap of prompts, and of one of prompts and then answers inside them.
mcnemar: power and type I error of McNemar's test on majority labels beside the paired t, for one temperature.
intercepts: type I error of models that give each prompt an intercept of its own and take all prompts to react alike.
Studies are drawn as in coverage.py. Run: python benchmarks/rejected.py [--replications 4000] [--seed 1] [--only NAME]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from coverage import CONTRASTS, NONE, SPREAD, TEMPERATURES, Effects, draw_rates, logistic

from prefbench.statistics import mcnemar_test, mean_difference, paired_contrast

WEIGHTS = np.stack([contrast.weights for contrast in CONTRASTS])
NAMES = [contrast.name for contrast in CONTRASTS]
BOOTSTRAP_DRAWS = 200
NODES = np.linspace(-6.0, 6.0, 121)
"""Of the integral over prompts, in standard deviations, by the trapezoidal rule."""


# --- a bootstrap of prompts, and then of answers ---


def bootstrap_errors(
    prompts: int, *, samples: int = 10, replications: int = 2_000, seed: int = 1
) -> dict[str, tuple[Any, Any]]:
    """Return, of both bootstraps, (mean standard error / the estimates' spread, coverage) of base rate and contrasts.

    Coverage is that of the estimate and 1.96 standard errors of the bootstrap either side, about the mean of all
    estimates; the base rate is that of one cell: one condition at one temperature.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {"prompts": [], "prompts, then answers": []}
    estimates = []
    for _ in range(replications):
        rates = rng.binomial(samples, draw_rates(prompts, Effects(), rng)) / samples
        estimates.append(_quantities(rates[None])[0])
        chosen = rng.integers(prompts, size=(BOOTSTRAP_DRAWS, prompts))
        once = _quantities(rates[chosen])
        twice = _quantities(rng.binomial(samples, rates[chosen]) / samples)
        for name, draws in zip(found, (once, twice), strict=True):
            found[name].append(draws.std(axis=0, ddof=1))
    points = np.array(estimates)
    spread, centre = points.std(axis=0, ddof=1), points.mean(axis=0)
    return {
        name: (
            np.mean(errors, axis=0) / spread,
            (np.abs(points - centre) <= 1.96 * np.array(errors)).mean(axis=0),
        )
        for name, errors in found.items()
    }


def _quantities(rates: Any) -> Any:
    """Return the rate of the first cell and the contrasts (k, 4) of rates (k, prompts, 4, temperatures)."""
    means = rates.mean(axis=1)
    return np.concatenate([means[:, 0, :1], means.mean(axis=2) @ WEIGHTS.T], axis=1)


# --- McNemar on majority labels ---


def label_power(
    prompts: int,
    effect: float,
    *,
    intercept: float,
    samples: int = 10,
    replications: int = 2_000,
    seed: int = 1,
) -> tuple[float, dict[str, float]]:
    """Return the true difference of rates, and how often each test of two conditions has p < .05.

    One temperature; slopes of sd .7 that pull the two sides apart, half of it each, so that both sides have one
    distribution if the effect is zero. A label is Y if more answers are Y than N: five of ten are none.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[bool]] = {"paired t": [], "McNemar mid-p": [], "McNemar exact": []}
    for _ in range(replications):
        first, second = rng.binomial(samples, _draw_pair(prompts, effect, intercept, rng))
        labels = first > samples / 2, second > samples / 2
        gained, lost = int((~labels[0] & labels[1]).sum()), int((labels[0] & ~labels[1]).sum())
        found["paired t"].append(mean_difference((second - first) / samples).p < 0.05)
        for name, method in (("McNemar mid-p", "midp"), ("McNemar exact", "exact")):
            p = mcnemar_test(gained, lost, method=method).p if gained + lost else 1.0
            found[name].append(p < 0.05)
    rates = _draw_pair(2_000_000, effect, intercept, np.random.default_rng(7)).mean(axis=1)
    return float(rates[1] - rates[0]), {name: float(np.mean(values)) for name, values in found.items()}


def _draw_pair(prompts: int, effect: float, intercept: float, rng: np.random.Generator) -> Any:
    """Return the true rates of both sides (2, prompts)."""
    base = rng.normal(intercept, SPREAD.intercept, prompts)
    slope = rng.normal(effect, SPREAD.finetuning, prompts)
    return logistic(np.stack([base - slope / 2, base + slope / 2]))


# --- models in which prompts differ by an intercept only ---


class MixedFit(NamedTuple):
    """A binomial mixed model: coefficients (k,), their covariance (k, k) and the spread of the prompts' intercepts."""

    coefficients: Any
    covariance: Any
    spread: float


def fit_random_intercepts(yes: Any, trials: Any, designs: Any, group: Any) -> MixedFit:
    """Fit Y ~ Binomial(trials, logistic(design b + u_prompt)), u ~ Normal(0, spread^2), by maximum likelihood.

    `yes` (n, K) are the counts of each prompt; `trials` (G, K) and `designs` (G, K, k) the rows of each kind of prompt,
    `group` (n,) its kind. u is integrated out numerically, errors are those of the observed information: what
    lme4's glmer(y ~ x + (1 | prompt)) fits. A prompt matters by its total alone, so prompts are grouped by it.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    kinds, width = len(designs), int(trials.sum(axis=1).max()) + 1
    totals = np.bincount(group * width + yes.sum(axis=1), minlength=kinds * width).reshape(kinds, width)
    sums = sum(designs[kind].T @ yes[group == kind].sum(axis=0) for kind in range(kinds))
    log_mass = -0.5 * NODES**2
    log_mass -= np.log(np.exp(log_mass).sum())

    def negative(parameters: Any) -> tuple[float, Any]:
        spread = np.exp(parameters[-1])
        u = spread * NODES
        value = -float(sums @ parameters[:-1])
        gradient = -np.append(sums, 0.0)
        for count, design, asked in zip(totals, designs, trials[:, :, None], strict=True):
            seen = np.flatnonzero(count)
            logits = (design @ parameters[:-1])[:, None] + u
            expected = asked * expit(logits)
            joint = seen[:, None] * u - (asked * np.logaddexp(0, logits)).sum(axis=0) + log_mass
            top = joint.max(axis=1, keepdims=True)
            mass = np.exp(joint - top)
            total = mass.sum(axis=1, keepdims=True)
            value -= float(count[seen] @ (top + np.log(total))[:, 0])
            shares = count[seen, None] * mass / total
            gradient[:-1] += design.T @ (expected @ shares.sum(axis=0))
            gradient[-1] -= float((shares * u * (seen[:, None] - expected.sum(axis=0))).sum())
        return value / len(yes), gradient / len(yes)  # of a prompt, so that steps are of one size

    found = minimize(
        negative, np.zeros(designs.shape[2] + 1), jac=True, method="BFGS", options={"gtol": 1e-6}
    )
    step = 1e-4 * np.eye(found.x.size)
    information = np.array([(negative(found.x + d)[1] - negative(found.x - d)[1]) / 2e-4 for d in step])
    covariance = np.linalg.inv((information + information.T) / 2) / len(yes)
    return MixedFit(found.x[:-1], covariance[:-1, :-1], float(np.exp(found.x[-1])))


def mixed_false_alarms(yes: Any, samples: int) -> Any:
    """Return whether each contrast of cells has |z| > 1.96 in the random-intercept logistic model."""
    cells, temperatures = yes.shape[1:]
    rows = np.indices((cells, temperatures)).reshape(2, -1).T
    design = np.concatenate([np.eye(cells)[rows[:, 0]], np.eye(temperatures)[rows[:, 1], 1:]], axis=1)
    trials, kind = np.full((1, len(design)), samples), np.zeros(len(yes), dtype=int)
    fit = fit_random_intercepts(yes.reshape(len(yes), -1), trials, design[None], kind)
    weights = np.pad(WEIGHTS, ((0, 0), (0, design.shape[1] - cells)))
    errors = np.sqrt(np.einsum("ck,kl,cl->c", weights, fit.covariance, weights))
    return np.abs(weights @ fit.coefficients) > 1.96 * errors


def linear_false_alarms(yes: Any, samples: int) -> Any:
    """Return the same of least squares on rates, an intercept for each prompt and temperature, errors independent."""
    rates = yes / samples
    cells = rates.mean(axis=(0, 2))
    residuals = rates - rates.mean(axis=1, keepdims=True) - (cells - cells.mean())[:, None]
    blocks = len(yes) * yes.shape[2]
    variance = (residuals**2).sum() / ((blocks - 1) * (len(cells) - 1)) / blocks
    return np.abs(WEIGHTS @ cells) > 1.96 * np.sqrt(variance * (WEIGHTS**2).sum(axis=1))


def false_alarms(
    prompts: int, slopes: Effects, *, samples: int = 10, replications: int = 4_000, seed: int = 1
) -> dict[str, Any]:
    """Return how often each model finds each contrast where all are zero; `slopes` are the spreads of reactions."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {"random intercepts": [], "fixed intercepts, linear": [], "paired t": []}
    for _ in range(replications):
        yes = rng.binomial(samples, draw_rates(prompts, NONE, rng, slopes))
        rates = yes.mean(axis=2) / samples
        found["random intercepts"].append(mixed_false_alarms(yes, samples))
        found["fixed intercepts, linear"].append(linear_false_alarms(yes, samples))
        found["paired t"].append([paired_contrast(rates, contrast).p < 0.05 for contrast in CONTRASTS])
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=4_000, help="half as many of bootstraps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["bootstrap", "mcnemar", "intercepts"])
    options = parser.parse_args()
    parts: dict[str, tuple[Callable[..., None], int]] = {
        "bootstrap": (_show_bootstrap, options.replications // 2),
        "mcnemar": (_show_mcnemar, options.replications),
        "intercepts": (_show_intercepts, options.replications),
    }
    for name, (show, replications) in parts.items():
        if options.only in (None, name):
            error = (0.95 * 0.05 / replications) ** 0.5
            print(
                f"{name}: {replications} replications, seed {options.seed}; Monte-Carlo standard error of a share "
                f"{error:.4f} at .05 and .95, {0.5 / replications**0.5:.4f} at .5"
            )
            show(replications=replications, seed=options.seed)


def _show_bootstrap(**given: int) -> None:
    print(
        f"columns: one cell's rate, {', '.join(NAMES)}; a spread of estimates has a relative error of 1/sqrt(2 n)"
    )
    for prompts in (50, 300):
        for name, (ratios, held) in bootstrap_errors(prompts, **given).items():
            _show(f"standard error / truth, {prompts} prompts, {name}", ratios)
            _show(f"coverage, {prompts} prompts, {name}", held)


def _show_mcnemar(**given: int) -> None:
    for intercept in (-0.6, -3.0):
        for prompts, effect in ((100, 0.0), (300, 0.0), (100, 0.4), (300, 0.2), (300, 0.3), (1_000, 0.15)):
            difference, found = label_power(prompts, effect, intercept=intercept, **given)
            setting = f"mean logit {intercept:+g}, {prompts} prompts, difference {difference:+.3f}"
            print(
                f"{setting:58}", "  ".join(f"{name} {share:.3f}" for name, share in found.items()), flush=True
            )


def _show_intercepts(**given: int) -> None:
    print(f"columns: {', '.join(NAMES)}; {TEMPERATURES} temperatures x 4 conditions x 10 answers")
    for title, slopes in (
        ("slopes vary", SPREAD),
        ("slopes alike", SPREAD._replace(finetuning=0, steering=0, both=0)),
    ):
        for prompts in (50, 300, 1_500):
            for name, shares in false_alarms(prompts, slopes, **given).items():
                _show(f"type I error, {title}, {prompts} prompts, {name}", shares)


def _show(setting: str, row: Any) -> None:
    print(f"{setting:66}", " ".join(f"{value:.3f}" for value in row), flush=True)


if __name__ == "__main__":
    start = time.process_time()
    main()
    print(f"{time.process_time() - start:.0f} CPU seconds")
