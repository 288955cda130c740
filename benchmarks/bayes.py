"""The figures of docs/bayes.md: the Bayesian check on planted effects, beside the default and the truth."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import polars as pl

from prefbench.bayes import bayes_table
from prefbench.factors import find_design

CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_vectors", "condition_4_dpo_vectors")
LEVELS = ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))
MEANS, SPREADS = np.array([-0.4, 0.5, -0.4, 0.3]), np.array([1.5, 0.8, 0.8, 0.3])
PROMPTS, SAMPLES, TEMPERATURES, DRAWS = 80, 10, (0.7, 1.0, 1.5), 500


def plant(rng):
    rows = []
    for number in range(PROMPTS):
        u = rng.normal(MEANS, SPREADS)
        for name, (one, two) in zip(CONDITIONS, LEVELS, strict=True):
            for temperature in TEMPERATURES:
                rate = 1 / (1 + np.exp(-u @ (1, one, two, one * two)))
                yes = int(rng.binomial(SAMPLES, rate))
                row = {"condition": name, "judge": "planted", "domain": "d", "id": f"p{number}"}
                row |= {"temperature": temperature, "format": "ranking", "n_samples": SAMPLES, "yes": yes}
                row |= {"no": SAMPLES - yes, "unreadable": 0, "choice_agreement": None, "status": "scored"}
                rows.append(row | {"content_agreement": None})
    return pl.DataFrame(rows)


def true_differences(rng):
    """Return main effects and interaction on the rate over all prompts, from a million of them."""
    u = rng.normal(MEANS, SPREADS, (1_000_000, 4))
    rates = [(1 / (1 + np.exp(-(u @ (1, one, two, one * two))))).mean() for one, two in LEVELS]
    a, b, c, d = rates
    return [(b + d - a - c) / 2, (c + d - a - b) / 2, d - c - b + a]


def main() -> None:
    if find_spec("numpyro") is None:
        print("left out: it needs numpyro (pip install 'prefbench[bayes]')")
        return
    rng = np.random.default_rng(7)
    truth = [*true_differences(rng), *MEANS[1:]]
    frame, design = plant(rng), find_design(CONDITIONS)
    started = time.perf_counter()
    table, notes = bayes_table(frame, design, draws=DRAWS, warmup=DRAWS)
    print(
        f"{PROMPTS} prompts x {len(TEMPERATURES)} temperatures x 4 conditions x {SAMPLES} samples; {notes[0]}"
    )
    print(f"{time.perf_counter() - started:.0f} s in all")
    for row, true in zip(table.to_dicts(), truth, strict=False):
        print(
            f"{row['scale']:16} {row['name']:22} true {true:+.3f}  bayes {row['estimate']:+.3f} "
            f"[{row['low']:+.3f}, {row['high']:+.3f}]  default {row['default']:+.3f} "
            f"[{row['default_low']:+.3f}, {row['default_high']:+.3f}]  R-hat {row['r_hat']:.3f} "
            f"ESS {row['ess_bulk']:.0f}/{row['ess_tail']:.0f}"
        )


if __name__ == "__main__":
    main()
