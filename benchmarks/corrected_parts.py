"""How often corrections by labels hold the truth in parts of a study: domains, formats, temperatures, log odds.

A 2x2 of 240 prompts in 4 domains x 3 formats, 3 temperatures, 10 answers; domains, formats and temperatures shift the
logit, prompts react differently (coverage.py). The judge errs otherwise in each condition, and calls one N in five
more Y at the highest temperature and in the second format. Labels are drawn prompt by prompt. The tables are those of
`prefbench stats --labels`; the rows of the judge in them are the uncorrected figures.
Run: python benchmarks/corrected_parts.py [--replications 1000] [--labels 200 600] [--seed 1]
"""

from __future__ import annotations

import argparse
import time
from functools import lru_cache
from typing import Any

import numpy as np
from coverage import CONTRASTS, LEVELS, SPREAD, TEMPERATURES, Effects, JudgeErrorRates, logistic

from prefbench.blocks import Blocks
from prefbench.corrected import correction_tables
from prefbench.factors import find_design
from prefbench.labels import LabelledAnswer, Labels
from prefbench.records import RecordKey

CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")
DOMAINS, FORMATS, HEAT = ("a", "b", "c", "d"), ("choice", "open", "ranking"), (0.7, 1.0, 1.5)
DOMAIN_LOGITS, FORMAT_LOGITS, HEAT_LOGITS = np.array([-0.6, -0.2, 0.2, 0.6]), np.array([0.5, 0, -0.5]), 0.3
SAMPLES, EACH = 10, 20
"""Answers to a prompt, prompts of a domain and format."""


def draw_study(each: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Return the domain and the format of each prompt, and the true rates (n, 4, 3)."""
    domain, form = (part.ravel() for part in np.indices((len(DOMAINS), len(FORMATS), each))[:2])
    parts = [rng.normal(mean, sd, domain.size) for mean, sd in zip(Effects(), SPREAD, strict=True)]
    parts[0] += DOMAIN_LOGITS[domain] + FORMAT_LOGITS[form]
    tune, steer = LEVELS.T
    logits = np.stack(
        [parts[0] + parts[1] * a + parts[2] * b + parts[3] * a * b for a, b in zip(tune, steer, strict=True)],
        axis=1,
    )
    jitter = rng.normal(0, 0.3, (domain.size, 1, TEMPERATURES))
    return domain, form, logistic(logits[:, :, None] + jitter + HEAT_LOGITS * np.arange(TEMPERATURES))


@lru_cache
def true_figures(seed: int = 7) -> dict[str, float]:
    """Return the truth of every figure, from 2.4 million prompts."""
    rng = np.random.default_rng(seed)
    found = [_figures(*draw_study(10_000, rng)) for _ in range(20)]
    rates = {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}
    return _named(rates)


def _figures(domain: Any, form: Any, rates: Any) -> dict[str, Any]:
    whole = rates.mean(axis=2)
    return {
        "whole": whole.mean(axis=0),
        "domain": np.array([whole[domain == place].mean(axis=0) for place in range(len(DOMAINS))]),
        "format": np.array([whole[form == place].mean(axis=0) for place in range(len(FORMATS))]),
        "temperature": rates.mean(axis=0).T,
    }


def _named(rates: dict[str, Any]) -> dict[str, float]:
    """Return the figures that the tables have, by scale and name."""
    odds = np.log(rates["whole"] / (1 - rates["whole"]))
    truth = {}
    for contrast in CONTRASTS:
        w, name = contrast.weights, contrast.name
        truth[f"rate_difference {name}"], truth[f"log_odds {name}"] = w @ rates["whole"], w @ odds
        for by, names in (("domain", DOMAINS), ("format", FORMATS)):
            truth |= {f"rate_difference {name} in {n}": w @ r for n, r in zip(names, rates[by], strict=True)}
        at = zip(HEAT, rates["temperature"], strict=True)
        truth |= {f"rate_difference {name} at temperature {t:g}": w @ r for t, r in at}
    for place, condition in enumerate(CONDITIONS):
        hot, formats = rates["temperature"][:, place], rates["format"][:, place]
        truth[f"rate_difference temperature 1.5 - 0.7 in {condition}"] = hot[2] - hot[0]
        centred = np.array(HEAT) - np.mean(HEAT)
        slope = f"rate_per_temperature slope over temperature in {condition}"
        truth[slope] = centred @ hot / (centred @ centred)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            gap = formats[one] - formats[other]
            truth[f"rate_difference {FORMATS[one]} - {FORMATS[other]} in {condition}"] = gap
            truth[f"rate_difference {FORMATS[other]} - {FORMATS[one]} in {condition}"] = -gap
    return truth


def judge_answers(human: Any, form: Any, errors: JudgeErrorRates, rng: np.random.Generator) -> Any:
    """Return verdicts on human labels (n, 4, 3, m); half of the errors repeat over a prompt's answers."""
    n = len(human)
    shared = rng.random((n, 4, 1, 1)) < 0.5
    coin = np.where(shared, rng.random((n, 4, 1, 1)), rng.random(human.shape))
    se, sp = (np.array(each)[None, :, None, None] for each in errors)
    lenient = (
        0.2 * (np.arange(TEMPERATURES) == 2)[None, None, :, None] + 0.2 * (form == 1)[:, None, None, None]
    )
    return np.where(human, coin < se, coin >= sp - lenient)


def draw_tables(labels: int, rng: np.random.Generator) -> Any:
    """Return the table `corrected` of one study."""
    domain, form, truth = draw_study(EACH, rng)
    human = rng.random((*truth.shape, SAMPLES)) < truth[..., None]
    judge = judge_answers(human, form, JudgeErrorRates(), rng)
    n = domain.size
    prompt, heat = np.repeat(np.arange(n), TEMPERATURES), np.tile(HEAT, n)
    yes = judge.sum(axis=3).transpose(0, 2, 1).reshape(-1, 4).astype(float)
    blocks = Blocks(
        conditions=CONDITIONS,
        yes=yes,
        readable=np.full_like(yes, SAMPLES),
        prompt=prompt,
        temperature=heat,
        domain=np.array(DOMAINS)[domain],
        format=np.array(FORMATS)[form],
        ids=np.array([f"p{number:03}" for number in range(n)]),
    )
    answers = tuple(_label(human, judge, blocks, labels, rng))
    design = find_design(CONDITIONS)
    tables, _ = correction_tables(blocks, design, Labels(answers, 0, 0), level=0.95, correction="holm")
    return tables["corrected"]


def _label(
    human: Any, judge: Any, blocks: Blocks, count: int, rng: np.random.Generator
) -> list[LabelledAnswer]:
    """Return labels of random answers, every prompt once before one has a second."""
    found = []
    cells = TEMPERATURES * SAMPLES
    for place, condition in enumerate(CONDITIONS):
        order = rng.random((len(human), cells)).argsort(axis=1) + rng.random((len(human), 1))
        for spot in np.argpartition(order.ravel(), count)[:count].tolist():
            prompt, answer = divmod(spot, cells)
            heat, sample = divmod(answer, SAMPLES)
            key = RecordKey(str(blocks.domain[prompt]), str(blocks.ids[prompt]), HEAT[heat])
            verdicts = (bool(each[prompt, place, heat, sample]) for each in (human, judge))
            found.append(LabelledAnswer(condition, key, sample, *verdicts))
    return found


def part_coverage(labels: int, *, replications: int, seed: int) -> dict[str, tuple[int, float, float]]:
    """Return by kind of figure: how many intervals there were, the share that holds the truth, and the mean error."""
    rng = np.random.default_rng(seed)
    truth = true_figures()
    held: dict[str, list[bool]] = {}
    errors: dict[str, list[float]] = {}
    for _ in range(replications):
        for row in draw_tables(labels, rng).to_dicts():
            name = f"{row['scale']} {row['name']}"
            if name not in truth or row["low"] is None or row["source"] == "rogan_gladen":
                continue
            part = f"{row['source']}: {row['kind'] if row['kind'] in ('difference', 'slope') else 'effects'}"
            part += f" by {row['by']}" if row["by"] else f", {row['scale']}"
            held.setdefault(part, []).append(row["low"] <= truth[name] <= row["high"])
            errors.setdefault(part, []).append(row["estimate"] - truth[name])
    return {
        part: (len(each), float(np.mean(each)), float(np.mean(errors[part]))) for part, each in held.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1_000)
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 600], help="of each condition")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for labels in options.labels:
        print(f"{labels} labels a condition, {options.replications} studies; intervals, coverage, mean error")
        found = part_coverage(labels, replications=options.replications, seed=options.seed)
        for part, (count, share, error) in found.items():
            print(f"  {part:50} {count:8,} {share:.3f} {error:+.3f}", flush=True)


if __name__ == "__main__":
    start = time.process_time()
    main()
    print(f"{time.process_time() - start:.0f} CPU seconds")
