"""Synthetic scores frames for the tests: hierarchical answers, or exactly the cells that a test writes down."""

import numpy as np
import polars as pl

from prefbench.labels import LabelledAnswer
from prefbench.records import RecordKey

SCHEMA = {
    "condition": pl.String,
    "judge": pl.String,
    "domain": pl.String,
    "id": pl.String,
    "temperature": pl.Float64,
    "format": pl.String,
    "n_samples": pl.Int64,
    "yes": pl.Int64,
    "no": pl.Int64,
    "unreadable": pl.Int64,
    "choice_agreement": pl.Float64,
    "content_agreement": pl.Float64,
    "status": pl.String,
}


def cell(
    yes=None, no=None, *, id="p1", condition="condition_1_base", domain="aesthetic", temperature=1.0, **other
):
    """Return one row; without counts it is unscored."""
    scored = yes is not None
    row = {"condition": condition, "judge": "lexical", "domain": domain, "id": id, "temperature": temperature}
    row |= {"format": "ranking", "n_samples": 10, "yes": yes, "no": no, "unreadable": 0 if scored else None}
    row |= {"choice_agreement": None, "content_agreement": None, "status": "scored" if scored else "unscored"}
    return row | other


def frame_of(*rows):
    return pl.DataFrame(rows, schema=SCHEMA)


def hierarchical_frame(
    *,
    conditions=("condition_1_base", "condition_2_dpo"),
    effects=(0.0, 0.6),
    domains=("aesthetic", "creative", "ethical"),
    prompts=40,
    temperatures=(0.7, 1.0, 1.5),
    samples=10,
    missing=0.0,
    unreadable=0.0,
    seed=0,
):
    """Return a frame whose prompts differ (logit sd 1.5), with effects on the logit and domains half a logit apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, domain in enumerate(domains):
        logits = 0.5 * place - 0.5 + 1.5 * rng.standard_normal(prompts)
        for condition, effect in zip(conditions, effects, strict=True):
            shifted = logits + effect + 0.5 * rng.standard_normal(prompts)
            for temperature in temperatures:
                for number, logit in enumerate(shifted):
                    lost = int(rng.binomial(samples, unreadable))
                    yes = int(rng.binomial(samples - lost, 1 / (1 + np.exp(-logit))))
                    counts = (None, None) if rng.random() < missing else (yes, samples - lost - yes)
                    other = {"unreadable": lost} if counts[0] is not None else {}
                    rows.append(
                        cell(
                            *counts,
                            id=f"{domain}_{number:03}",
                            condition=condition,
                            domain=domain,
                            temperature=temperature,
                            format=("binary_choice", "open_ended", "ranking")[number % 3],
                            n_samples=samples,
                            **other,
                        )
                    )
    return frame_of(*rows)


def label_answers(frame, *, share=0.3, wrong=0.0, seed=0):
    """Return labels of a share of the answers; the judge's verdicts are the frame's, a human differs on some."""
    rng = np.random.default_rng(seed)
    answers = []
    for row in frame.to_dicts():
        verdicts = [True] * row["yes"] + [False] * row["no"]
        for place in np.flatnonzero(rng.random(len(verdicts)) < share).tolist():
            human = verdicts[place] != (rng.random() < wrong)
            key = RecordKey(row["domain"], row["id"], row["temperature"])
            answers.append(LabelledAnswer(row["condition"], key, place, bool(human), verdicts[place]))
    return answers


def corrected(result, source, scale=None):
    """Return the rows of a source by name: rates and differences of rates, or those of another scale."""
    wanted = ("rate", "rate_difference") if scale is None else (scale,)
    table = result.tables["corrected"].filter(pl.col("source") == source, pl.col("scale").is_in(wanted))
    return {row["name"]: row for row in table.to_dicts()}
