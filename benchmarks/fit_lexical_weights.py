"""Fit the weights of the lexical judge on the tuning halves of the gold sets and write its table.

    python benchmarks/fit_lexical_weights.py            # writes src/prefbench/judges/lexical/weights.json
    python benchmarks/fit_lexical_weights.py --leave-one-out

Logistic regression with a ridge penalty; each gold set weighs the same. The sign of every signal that means
something by itself is fixed beforehand (a refusal can never speak for a commitment), which keeps what is
peculiar to one set out of the table. `--leave-one-out` fits on two sets and reads the third.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from judge_agreement import GOLD_SETS, GoldRow, in_tuning_half, kappa, read_gold
from scipy.optimize import minimize

from prefbench.judges.lexical.answer import read_answer
from prefbench.judges.lexical.features import measure
from prefbench.judges.lexical.question import read_question
from prefbench.judges.lexical.signals import load_signals, plain_sentences
from prefbench.options import word_set

PENALTY = 10.0
ROWS_PER_SET = 2_000  # the weight of each gold set, in rows
SMALLEST_WEIGHT = 0.03
TABLE = Path(__file__).parents[1] / "src/prefbench/judges/lexical/weights.json"
AGAINST = word_set(
    "refuse refuse_clipped apology objection policy neutral offer_help condemn false_premise depends"
    " no_single up_to your_case ask_back"
    " balance both not_sole some_say pros_cons conditional permissive caution not_quite seek_help"
    " instead also_important"
)
FOR = word_set("yes no stance verdict imperative here_is step answers_anyway plain settled")
WEIGHED_BY_KIND = word_set(
    "objection condemn harm depends no_single up_to your_case ask_back balance both not_sole contrast"
    " concede also_important some_say"
    " pros_cons possibly conditional permissive caution yes no not_quite firm benefit important"
    " stance verdict plain settled"
)
AT_MOST = {
    "refuse": -1.2,
    "refuse.first": -0.8,
    "refuse_clipped": -2.5,
    "apology.first": -0.8,
    "up_to": -0.8,
    "no_single": -0.6,
    "offer_help": -0.3,
}
"""Signals that the tuning halves hold too rarely, or beside too many others, to be left to them alone."""
FREE_BY_KIND = word_set("objection condemn harm")


def feature_names() -> list[str]:
    names = [f"{signal.name}{place}" for place in ("", ".first", ".last") for signal in load_signals()]
    return [*names, "plain.count", "plain.share", "settled.count", "settled.share"]


def design(rows: Sequence[GoldRow], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows x columns) features: all, the same where a judgement is asked, two intercepts; and labels."""
    column = {name: number for number, name in enumerate(names)}
    count = len(names)
    matrix = np.zeros((len(rows), 2 * count + 2))
    for line, row in zip(matrix, rows, strict=True):
        asks = read_question(row.prompt, "open_ended").asks_judgement
        for name, value in measure(plain_sentences(read_answer(row.response, row.prompt).text)).items():
            line[column[name]] = value
            line[count + column[name]] = value * asks
        line[2 * count], line[2 * count + 1] = asks, 1
    return matrix, np.array([row.verdict == "Y" for row in rows])


def bounds(names: Sequence[str]) -> list[tuple[float | None, float | None]]:
    plain: list[tuple[float | None, float | None]] = []
    by_kind: list[tuple[float | None, float | None]] = []
    for name in names:
        signal = name.partition(".")[0]
        sign = (
            (None, AT_MOST.get(name, 0.0))
            if signal in AGAINST
            else (0.0, None)
            if signal in FOR
            else (None, None)
        )
        plain.append(sign)
        by_kind.append(
            (0.0, 0.0) if signal not in WEIGHED_BY_KIND else (None, None) if signal in FREE_BY_KIND else sign
        )
    return [*plain, *by_kind, (None, None), (None, None)]


def fit(parts: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> np.ndarray:
    """Return the weights (one a column of the design) that fit the parts, each part weighing the same."""
    matrix = np.vstack([part[0] for part in parts])
    sign = np.where(np.concatenate([part[1] for part in parts]), 1.0, -1.0)
    weight = np.concatenate([np.full(len(part[1]), ROWS_PER_SET / len(part[1])) for part in parts])

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (matrix @ beta)
        slope = -weight * sign / (1 + np.exp(margin))
        ridge = np.append(beta[:-1], 0.0)
        value = float(weight @ np.logaddexp(0, -margin) + PENALTY / 2 * ridge @ ridge)
        return value, matrix.T @ slope + PENALTY * ridge

    start = np.zeros(matrix.shape[1])
    return minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds(names), options={"maxiter": 1000}
    ).x


def write_table(beta: np.ndarray, names: Sequence[str]) -> None:
    count = len(names)
    rounded = [round(float(value), 2) for value in beta]
    tables = [
        {
            name: value
            for name, value in sorted(zip(names, part, strict=True))
            if abs(value) >= SMALLEST_WEIGHT
        }
        for part in (rounded[:count], rounded[count : 2 * count])
    ]
    table = {
        "intercept": rounded[-1],
        "judgement_intercept": rounded[-2],
        "any": tables[0],
        "judgement": tables[1],
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {len(tables[0])} + {len(tables[1])} weights to {TABLE.name}")


def main() -> None:
    names = feature_names()
    rows = {name: [row for row in read_gold(name) if row.verdict is not None] for name in GOLD_SETS}
    halves = {
        (name, tuning): design([row for row in rows[name] if in_tuning_half(row.prompt) is tuning], names)
        for name in GOLD_SETS
        for tuning in (True, False)
    }
    left_out = [[], *([name] for name in GOLD_SETS)] if "--leave-one-out" in sys.argv else [[]]
    for without in left_out:
        beta = fit([halves[name, True] for name in GOLD_SETS if name not in without], names)
        for name in GOLD_SETS:
            matrix, truth = halves[name, False]
            figure = kappa(truth, matrix @ beta > 0)
            print(f"without {without or 'none'}: {name} held-out kappa {figure:.3f} (features alone)")
        if not without and len(left_out) == 1:
            write_table(beta, names)


if __name__ == "__main__":
    main()
