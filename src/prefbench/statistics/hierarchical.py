"""Counts of Y in cells of a full design in; draws from the posterior of a hierarchical logistic model out (numpyro)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from prefbench.errors import MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHAINS = 4
CHUNK = 100
"""Draws of each chain between two words on progress."""
TARGET_ACCEPTANCE = 0.9
ENOUGH_INFORMATION = 4.0
"""From which on a slope is sampled as it is: at 2.5 that mixed too badly in half of the studies with 40 prompts."""
NODES = 40
"""Of the quadrature over prompts: the mean of a logistic of a normal with sd 5 to 1e-6."""
COMPILING_SECONDS = 13.0
GRADIENT_SECONDS = 2.0e-8
GRADIENTS_PER_DRAW = 50
"""For the estimate of time, measured on one core: seconds a gradient takes for each cell of each chain."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HierarchicalData:
    """What the model is fitted to: n prompts, C cells (conditions), T temperatures."""

    yes: Floats
    """(n, C, T)"""
    trials: Floats
    """(n, C, T); 0 where a cell is missing."""
    weights: Floats
    """(C - 1, C): the contrasts, one a row; with the mean they span all cells."""
    domain: NDArray[np.intp]
    """(n,): each prompt's domain, from 0."""

    def design(self) -> Floats:
        """Return X (C, C): the cells' log odds are X times (mean, contrasts)."""
        cells = self.weights.shape[1]
        return np.asarray(np.linalg.inv(np.vstack([np.full(cells, 1 / cells), self.weights])))


@dataclass(frozen=True, eq=False, kw_only=True)
class HierarchicalFit:
    """Draws from the posterior, (chains, n) each."""

    log_odds: Floats
    """(chains, n, C - 1): the contrasts on the logit scale, for a typical prompt."""
    rates: Floats
    """(chains, n, C): each cell's rate, averaged over prompts like these, domains and temperatures."""
    parameters: dict[str, Floats]
    """name -> (chains, n): every parameter that prompts share."""
    divergences: int
    seconds: float


def estimate_seconds(data: HierarchicalData, *, draws: int, warmup: int) -> float:
    """Return about how long `fit_hierarchical` takes, in seconds, compiling included."""
    gradients = CHAINS * (draws + warmup) * GRADIENTS_PER_DRAW
    return COMPILING_SECONDS + gradients * data.trials.size * GRADIENT_SECONDS


def check_installed() -> None:
    """Raise MissingExtraError if numpyro is not there."""
    try:
        import numpyro.infer  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingExtraError("the Bayesian check", "bayes") from error


def fit_hierarchical(
    data: HierarchicalData,
    *,
    seed: int,
    draws: int = 1_000,
    warmup: int = 1_000,
    advance: Callable[[int], None] = lambda units: None,
) -> HierarchicalFit:
    """Fit Y ~ Binomial(trials, logistic(X u_prompt + domain + temperature)) by NUTS, four chains.

    u_prompt ~ Normal(beta, diag(tau^2)): a random intercept, and a random slope for every main effect and
    interaction, independent of each other (contrasts are orthogonal; a correlation of slopes moves the averages
    over prompts little, and few designs could tell it). Temperatures and domains are fixed effects. Priors: beta
    Normal(0, 2.5) for the mean and Normal(0, 1.5) for contrasts, tau half-normal of the same scales, fixed effects
    Normal(0, 1.5). `advance` is told of draws done, of `draws` + `warmup`.

    Raises MissingExtraError without numpyro, ValueError without an answer.
    """
    check_installed()
    import jax

    if not (data.trials > 0).any():
        raise ValueError("there is no answer to fit a model to")
    started = time.monotonic()
    design = data.design()
    # a slope that the answers say much of is sampled as it is, one that they hardly show as a share of its spread:
    # either form is slow for the other case (Papaspiliopoulos, Roberts and Skold 2007)
    centred = _information(data, design) > ENOUGH_INFORMATION
    given = (data.yes, data.trials, design, data.domain, centred)
    warm, draw = _compile(data.yes.shape, int(data.domain.max()) + 1, warmup)
    state = jax.block_until_ready(warm(jax.random.PRNGKey(seed), given))
    advance(warmup)
    parts: list[dict[str, Any]] = []
    divergences = 0
    for _ in range(-(-draws // CHUNK)):
        state, samples, diverging = draw(state, given)
        parts.append({name: np.asarray(value, dtype=float) for name, value in samples.items()})
        divergences += int(diverging.sum())
        advance(CHUNK)
    joined = {name: np.concatenate([part[name] for part in parts], axis=1)[:, :draws] for name in parts[0]}
    return _summarise(data, joined, divergences, time.monotonic() - started)


@lru_cache(maxsize=1)
def _compile(shape: tuple[int, int, int], domains: int, warmup: int) -> tuple[Any, Any]:
    """Return compiled functions: (key, data) -> state after the warm-up; (state, data) -> state and CHUNK draws.

    Data are arguments, so that other data of the same shape need no second compilation.
    """
    import jax
    import numpyro.infer as inference

    def make_sampler() -> Any:  # one a function: a kernel keeps what it traced
        kernel = inference.NUTS(_make_model(shape, domains), target_accept_prob=TARGET_ACCEPTANCE)
        return inference.MCMC(
            kernel, num_warmup=warmup, num_samples=CHUNK, num_chains=CHAINS, chain_method="vectorized",
            progress_bar=False,
        )  # fmt: skip

    def warm(key: Any, given: Any) -> Any:
        sampler = make_sampler()
        sampler.warmup(key, *given)
        return sampler.post_warmup_state

    def draw(state: Any, given: Any) -> Any:
        sampler = make_sampler()
        sampler.post_warmup_state = state
        sampler.run(state.rng_key, *given, extra_fields=("diverging",))
        samples = sampler.get_samples(group_by_chain=True)
        del samples["raw"]  # each prompt's own slopes: nobody asks for them, and they would fill the memory
        return sampler.last_state, samples, sampler.get_extra_fields()["diverging"]

    return jax.jit(warm), jax.jit(draw)


def _make_model(shape: tuple[int, int, int], domains: int) -> Callable[..., None]:
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist

    prompts, cells, temperatures = shape
    scales = jnp.array([2.5] + [1.5] * (cells - 1))

    def model(yes: Any, trials: Any, design: Any, domain: Any, centred: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, scales).to_event(1))
        tau = numpyro.sample("tau", dist.HalfNormal(scales).to_event(1))
        mean = jnp.broadcast_to(beta, (prompts, cells))
        if domains > 1:
            shift = numpyro.sample("domain", dist.Normal(0.0, 1.5).expand([domains - 1]).to_event(1))
            mean = mean.at[:, 0].add(jnp.concatenate([jnp.zeros(1), shift])[domain])
        place, spread = jnp.where(centred, mean, 0.0), jnp.where(centred, tau, 1.0)
        raw = numpyro.sample("raw", dist.Normal(place, spread).to_event(2))
        slopes = jnp.where(centred, raw, mean + tau * raw)
        logits = (slopes @ design.T)[:, :, None]
        if temperatures > 1:
            heat = numpyro.sample("temperature", dist.Normal(0.0, 1.5).expand([temperatures - 1]).to_event(1))
            logits = logits + jnp.concatenate([jnp.zeros(1), heat])
        numpyro.sample("y", dist.BinomialLogits(logits, trials).to_event(3), obs=yes)

    return model


def _information(data: HierarchicalData, design: Floats) -> Floats:
    """Return how much the answers to one prompt tell of each of its slopes (C,): the mean Fisher information."""
    asked = data.trials.sum(axis=2)
    rate = data.yes.sum() / data.trials.sum()
    information: Floats = (asked @ design**2).mean(axis=0) * rate * (1 - rate)
    return information


def _summarise(
    data: HierarchicalData, draws: dict[str, Floats], divergences: int, seconds: float
) -> HierarchicalFit:
    parameters = {
        f"{name}[{index}]": draws[name][:, :, index]
        for name in ("beta", "tau", "temperature", "domain")
        if name in draws
        for index in range(draws[name].shape[2])
    }
    return HierarchicalFit(
        log_odds=draws["beta"][:, :, 1:],
        rates=_average_rates(data, draws),
        parameters=parameters,
        divergences=divergences,
        seconds=seconds,
    )


def _average_rates(data: HierarchicalData, draws: dict[str, Floats]) -> Floats:
    """Return each cell's rate over new prompts, by Gauss-Hermite quadrature over their normal log odds.

    Domains count by their prompts, temperatures alike, as in the mean over these prompts.
    """
    from scipy.special import expit

    nodes, masses = np.polynomial.hermite_e.hermegauss(NODES)
    design = data.design()
    means = draws["beta"] @ design.T  # (chains, n, C)
    spread = np.sqrt(draws["tau"] ** 2 @ (design**2).T)
    chains, n, cells = means.shape
    zero = np.zeros((chains, n, 1))
    heats = np.concatenate([zero, draws["temperature"]], axis=2) if "temperature" in draws else zero
    shifts = np.concatenate([zero, draws["domain"]], axis=2) if "domain" in draws else zero
    shares = np.bincount(data.domain, minlength=shifts.shape[2]) / data.domain.size
    rates = np.zeros((chains, n, cells))
    for node, mass in zip(nodes, masses / masses.sum(), strict=True):
        for place, share in enumerate(shares):
            for heat in range(heats.shape[2]):
                logits = means + spread * node + shifts[:, :, place, None] + heats[:, :, heat, None]
                rates += expit(logits) * (mass * share / heats.shape[2])
    return rates
