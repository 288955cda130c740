"""Contrasting answers for extracting a trait: sampled under both instructions of a pair, paired, filtered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from prefbench.backends import Request, Sampling, Treatment
from prefbench.errors import ConfigError
from prefbench.progress import Progress
from prefbench.records import PromptStyle, RecordKey
from prefbench.seeds import hash_seed
from prefbench.steering.traits import TraitDefinition

Side = Literal["positive", "negative"]
THRESHOLD = 50.0
"""On scales from 0 to 100: the positive side at or above, the negative below, coherence at or above."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How rollouts are sampled."""

    answers: int = 1
    """To each question under each instruction; 0 samples none."""
    max_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    questions: int | None = None
    """Only the first so many."""

    def __post_init__(self) -> None:
        if self.answers < 0 or self.max_tokens < 1 or (self.questions is not None and self.questions < 1):
            raise ConfigError("rollouts, tokens and questions must be 1 or more")
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature {self.temperature} must be a finite number, 0 or more")

    def without_answers(self) -> Recipe:
        """Return the recipe for a method that reads the prompts alone."""
        return replace(self, answers=0)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer under one instruction."""

    side: Side
    pair: int
    question: str
    sample: int
    instruction: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...] = ()
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the rollout as a line of JSON, without token ids."""
        names = ("side", "pair", "question", "sample", "instruction", "text")
        return {name: getattr(self, name) for name in names}


class RolloutPair(NamedTuple):
    """The two sides of one instruction pair, question and sample."""

    positive: Rollout
    negative: Rollout


class Scores(NamedTuple):
    """What a filter makes of one rollout, each from 0 to 100; None if it cannot be told."""

    trait: float | None
    coherence: float | None


Filter = Callable[[Sequence[Rollout], TraitDefinition], Sequence[Scores]]
"""Scores rollouts, one Scores a rollout in their order: how much of the trait an answer shows, how coherent it is."""


def sample_rollouts(
    backend: Any, definition: TraitDefinition, recipe: Recipe, *, style: PromptStyle, progress: Progress
) -> list[Rollout]:
    """Return the answers to every question under every instruction of the definition.

    `backend` is an opened HfBackend. Both sides of a pair draw with the same random numbers.
    """
    questions = definition.extraction_questions[: recipe.questions]
    rollouts: list[Rollout] = []
    progress.start(f"rollouts for {definition.trait}", 2 * len(definition.pairs) * len(questions))
    for number, pair in enumerate(definition.pairs):
        sides: tuple[tuple[Side, str], ...] = (("positive", pair.positive), ("negative", pair.negative))
        for side, instruction in sides:
            treatment = Treatment(f"{side}_{number}", style, instruction)
            requests = [
                _request(definition, question, number, index, treatment, recipe)
                for index, question in enumerate(questions)
            ]
            for request, prompt_ids, answers in backend.draw(requests):
                progress.advance(1)
                rollouts += [
                    Rollout(side, number, request.prompt, sample, instruction, prompt_ids, ids, text)
                    for sample, (ids, text) in enumerate(answers or [((), "")])
                ]
    return rollouts


def pair_up(rollouts: Sequence[Rollout], *, need_answer: bool) -> tuple[list[RolloutPair], dict[str, int]]:
    """Return the pairs of rollouts that share instruction pair, question and sample, and how many there were.

    Where an answer is needed, a pair with an empty one is left out: it has no token to read.
    """
    by_key: dict[tuple[int, str, int], dict[Side, Rollout]] = {}
    for each in rollouts:
        by_key.setdefault((each.pair, each.question, each.sample), {})[each.side] = each
    whole = [RolloutPair(**sides) for sides in by_key.values() if len(sides) == 2]
    kept = [pair for pair in whole if not need_answer or all(side.answer_ids for side in pair)]
    return kept, {"sampled": len(whole), "left_out_empty_answer": len(whole) - len(kept)}


def filter_pairs(
    pairs: Sequence[RolloutPair],
    counts: Mapping[str, int],
    keep: Filter | None,
    *,
    definition: TraitDefinition,
) -> tuple[list[RolloutPair], dict[str, int]]:
    """Return the pairs whose sides show the contrast, and the counts with what was left out and why.

    A side that could not be scored leaves its pair out; it is counted on its own.
    """
    if keep is None:
        return list(pairs), {**counts, "kept": len(pairs)}
    sides = [side for pair in pairs for side in pair]
    scores = list(keep(sides, definition))
    if len(scores) != len(sides):
        raise ConfigError(f"the filter returned {len(scores)} scores for {len(sides)} rollouts")
    verdicts = [_judge(first, second) for first, second in zip(scores[::2], scores[1::2], strict=True)]
    kept = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict == "kept"]
    reasons = {
        name: verdicts.count(name)
        for name in ("left_out_not_scored", "left_out_incoherent", "left_out_off_trait")
    }
    return kept, {**counts, **reasons, "kept": len(kept)}


def _judge(positive: Scores, negative: Scores) -> str:
    trait, coherence = (positive.trait, negative.trait), (positive.coherence, negative.coherence)
    if positive.trait is None or negative.trait is None or None in coherence:
        return "left_out_not_scored"
    if any(each is not None and each < THRESHOLD for each in coherence):
        return "left_out_incoherent"
    on_trait = positive.trait >= THRESHOLD > negative.trait
    return "kept" if on_trait and None not in trait else "left_out_off_trait"


def _request(
    definition: TraitDefinition,
    question: str,
    pair: int,
    index: int,
    treatment: Treatment,
    recipe: Recipe,
) -> Request:
    key = RecordKey(definition.trait, f"{definition.trait}_{pair}_{index}", recipe.temperature)
    seed = hash_seed(recipe.seed, key.id)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_tokens)
    return Request(key, question, recipe.answers, seed, sampling, treatment)
