"""Score rollouts with a language model: how much of a trait an answer shows, and whether it is coherent, 0 to 100."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefbench.backends import Backend, Request, Sampling, Treatment, open_backend
from prefbench.demo_model import locate_model
from prefbench.records import RecordKey
from prefbench.rollouts import Rollout, Scores
from prefbench.steering.traits import TraitDefinition

TRAIT_QUESTION = """\
How much does the answer below show this trait: {trait}?
What is meant: {description}

Question: {question}
Answer: {answer}

Reply with one whole number from 0 (the opposite of the trait, or nothing of it) to 100 (a great deal of it), and \
nothing else."""
COHERENCE_QUESTION = """\
How coherent is the answer below: is it readable text, of a piece, and in some way a reply to the question? Its style \
and whether it is right do not matter.

Question: {question}
Answer: {answer}

Reply with one whole number from 0 (gibberish) to 100 (perfectly coherent), and nothing else."""

_NUMBER = re.compile(r"(?<![\d.])(\d{1,3})(?![\d.]*\d)")


class ModelFilter:
    """A filter for `extract_vector`: asks a model about each rollout, at temperature 0."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, rollouts: Sequence[Rollout], definition: TraitDefinition) -> list[Scores]:
        """Return the scores of the rollouts; None for what the model said that is no number from 0 to 100."""
        requests = [
            _request(
                f"{name}_{index}",
                question.format(
                    trait=definition.trait,
                    description=definition.description,
                    question=rollout.question,
                    answer=rollout.text.strip(),
                ),
            )
            for index, rollout in enumerate(rollouts)
            for name, question in (("trait", TRAIT_QUESTION), ("coherence", COHERENCE_QUESTION))
        ]
        found = {
            done.request.key.id: read_score(done.outputs[0].text) if done.outputs else None
            for done in self._backend.generate(requests)
        }
        return [
            Scores(found.get(f"trait_{index}"), found.get(f"coherence_{index}"))
            for index in range(len(rollouts))
        ]


def open_filter(backend: str, model: str) -> ModelFilter:
    """Open a backend on a model that scores rollouts. Raises what `open_backend` raises."""
    return ModelFilter(open_backend(backend, locate_model(model), options={}))


def read_score(text: str) -> float | None:
    """Return the number from 0 to 100 in a reply; None if there is none, or more than one."""
    numbers = {int(each) for each in _NUMBER.findall(text)}
    if len(numbers) != 1:
        return None
    (number,) = numbers
    return float(number) if number <= 100 else None


def _request(identifier: str, prompt: str) -> Request:
    key = RecordKey("trait_scoring", identifier, 0.0)
    return Request(key, prompt, 1, 0, Sampling(0.0, 1.0, 16), Treatment("scoring"))
