"""The figures of docs/bayes.md: the Bayesian check on planted effects, beside the default and the truth.

Without an option: one study of 80 prompts. `--coverage N`: N small studies with effects and N without, how often the
intervals of both methods hold the truth, how often an effect is found where there is none, and how many fits were
refused. `--published`: one fit of the published size, with its time and memory. Prompts have random slopes throughout.
Run: python benchmarks/bayes.py [--coverage 500 | --published] [--seed 7]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import polars as pl

from prefbench.bayes import DRAWS, bayes_table
from prefbench.factors import find_design

CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_vectors", "condition_4_dpo_vectors")
LEVELS = ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))
EFFECTS = np.array([-0.4, 0.5, -0.4, 0.3])
NO_EFFECTS = np.array([-0.4, 0.0, 0.0, 0.0])
"""Prompts react, but as often one way as the other: all four rates are alike, every contrast is zero on both scales."""
SPREADS = np.array([1.5, 0.8, 0.8, 0.3])


class Size(NamedTuple):
    """Of a study; domains do not differ."""

    prompts: int
    temperatures: tuple[float, ...]
    samples: int
    domains: int = 1

    def __str__(self) -> str:
        grid = f"{len(self.temperatures)} temperatures x 4 conditions x {self.samples} samples"
        return f"{self.prompts:,} prompts x {grid}"


ONE = Size(80, (0.7, 1.0, 1.5), 10)
SMALL = Size(40, (0.7, 1.5), 5)
PUBLISHED = Size(2_800, (0.7, 1.0, 1.5), 10, domains=8)


def plant(size, means, rng):
    """Return a scores frame; temperatures change nothing."""
    u = rng.normal(means, SPREADS, (size.prompts, 4))
    logits = np.stack([u @ (1, one, two, one * two) for one, two in LEVELS], axis=1)
    rates = np.repeat(1 / (1 + np.exp(-logits))[:, :, None], len(size.temperatures), axis=2)
    yes = rng.binomial(size.samples, rates)
    prompt, condition, temperature = (each.ravel() for each in np.indices(yes.shape))
    frame = {
        "condition": np.array(CONDITIONS)[condition],
        "domain": np.array([f"d{each % size.domains}" for each in prompt]),
        "id": np.array([f"p{each:04}" for each in prompt]),
        "temperature": np.array(size.temperatures)[temperature],
        "yes": yes.ravel(),
        "no": size.samples - yes.ravel(),
    }
    fixed = {
        "judge": "planted",
        "format": "ranking",
        "n_samples": size.samples,
        "unreadable": 0,
        "status": "scored",
    }
    empty = (pl.lit(None, dtype=pl.Float64).alias(each) for each in ("choice_agreement", "content_agreement"))
    return pl.DataFrame(frame).with_columns(
        *(pl.lit(value).alias(name) for name, value in fixed.items()), *empty
    )


def true_contrasts(means, rng):
    """Return main effects and interaction on the rate over all prompts, from a million of them; then on the logit."""
    if not means[1:].any():
        return [0.0] * 6
    u = rng.normal(means, SPREADS, (1_000_000, 4))
    a, b, c, d = [(1 / (1 + np.exp(-(u @ (1, one, two, one * two))))).mean() for one, two in LEVELS]
    return [(b + d - a - c) / 2, (c + d - a - b) / 2, d - c - b + a, *means[1:]]


def show_one(size, *, seed, draws, title):
    """Fit one study and print its table, its time and the memory of the process."""
    rng = np.random.default_rng(seed)
    truth, frame = true_contrasts(EFFECTS, rng), plant(size, EFFECTS, rng)
    wall, cpu = time.perf_counter(), time.process_time()
    table, notes = bayes_table(frame, find_design(CONDITIONS), draws=draws, warmup=draws)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{title}: {size}; {notes[0]}")
    print(
        f"{time.perf_counter() - wall:.0f} s by the clock, {time.process_time() - cpu:.0f} CPU seconds, "
        f"peak memory of the process {peak:,.0f} MiB"
    )
    for row, true in zip(table.to_dicts(), truth, strict=False):
        print(
            f"{row['scale']:16} {row['name']:22} true {true:+.3f}  bayes {row['estimate']:+.3f} "
            f"[{row['low']:+.3f}, {row['high']:+.3f}]  default {row['default']:+.3f} "
            f"[{row['default_low']:+.3f}, {row['default_high']:+.3f}]  R-hat {row['r_hat']:.3f} "
            f"ESS {row['ess_bulk']:.0f}/{row['ess_tail']:.0f}"
        )


def show_coverage(studies, *, seed):
    """Print how often intervals hold the truth over many small studies, with effects and without."""
    for title, means in (("coverage, planted effects", EFFECTS), ("type I error, no effects", NO_EFFECTS)):
        rng = np.random.default_rng(seed)
        truth = true_contrasts(means, rng)
        held, faults, start = [], Counter(), time.process_time()
        for number in range(studies):
            table, notes = bayes_table(plant(SMALL, means, rng), find_design(CONDITIONS), seed=number)
            if table.is_empty():
                faults.update(_kinds(notes[0]))
            else:
                held.append(_holds(table, truth))
            if (number + 1) % 100 == 0 or number + 1 == studies:
                seconds = (time.process_time() - start) / (number + 1)
                print(f"{title}: {SMALL}, {number + 1} studies, {seconds:.2f} CPU seconds each", flush=True)
                _show_shares(table, held, faults, errors=means is NO_EFFECTS)


def _holds(table, truth):
    """Return (Bayes, default) a row: whether each interval holds the truth."""
    return [
        (row["low"] <= true <= row["high"], row["default_low"] <= true <= row["default_high"])
        for row, true in zip(table.to_dicts(), truth, strict=True)
    ]


def _kinds(note):
    """Return the kinds of faults that a refusal names; it counts once in each."""
    kinds = {"R-hat": "R-hat of", "ESS": " ESS of", "divergences": " divergences"}
    return ["refused", *(kind for kind, sign in kinds.items() if sign in note)]


def _show_shares(table, held, faults, *, errors):
    print(f"  refused: {dict(faults) or 0}")
    shares = np.mean(held, axis=0)
    for scale, first in (("rate_difference", 0), ("log_odds", 3)):
        for method, place in (("Bayes", 0), ("default", 1)):
            if scale == "log_odds" and method == "default" and not errors:
                continue  # marginal log odds: another truth
            found = shares[first : first + 3, place]
            found = 1 - found if errors else found
            error = np.sqrt(found * (1 - found) / len(held))
            print(
                f"  {scale:16} {method:8}",
                "  ".join(
                    f"{share:.3f} (Monte-Carlo error {each:.3f})"
                    for share, each in zip(found, error, strict=True)
                ),
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coverage", type=int, metavar="N", help="small studies of each kind")
    parser.add_argument("--published", action="store_true", help="one fit of the published size")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of a chain; not with --coverage")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if find_spec("numpyro") is None:
        print("left out: it needs numpyro (pip install 'prefbench[bayes]')")
    elif options.coverage:
        show_coverage(options.coverage, seed=options.seed)
    elif options.published:
        show_one(PUBLISHED, seed=options.seed, draws=options.draws, title="published size")
    else:
        show_one(ONE, seed=options.seed, draws=options.draws, title="one study")


if __name__ == "__main__":
    main()
