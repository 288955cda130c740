"""What the checks need of a backend, and how a transformers model gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prefbench.steering.hooks import steered
from prefbench.steering.measuring import (
    Answer,
    Name,
    Probe,
    Reading,
    Text,
    answer_log_likelihood,
    measure,
)
from prefbench.steering.plan import Plan
from prefbench.steering.sites import find_blocks


class Bench(Protocol):
    """A model that can be steered, a few prompts, and what can be measured of the two."""

    @property
    def prompts(self) -> Sequence[Sequence[int]]:
        """Token ids of a few prompts of the study."""
        ...

    @property
    def blocks(self) -> int:
        """The number of the model's blocks."""
        ...

    @property
    def unsteered(self) -> Sequence[Answer]:
        """The answers to the prompts without steering, several to each."""
        ...

    def answer(self, plan: Plan) -> list[Answer]:
        """Answer each prompt under a plan, with the same random numbers as without."""
        ...

    def sites(self, plan: Plan) -> dict[str, str]:
        """Return where the vector of each steered block is added: `mlp` or `block`."""
        ...

    def measure(self, texts: Sequence[Text], probes: Mapping[Name, Probe]) -> dict[Name, Reading]:
        """Run given tokens with each probe's plan and without any; return what moved, by the probes' names."""
        ...

    def log_likelihood(self, texts: Sequence[Text]) -> tuple[float, int]:
        """Return (sum of the log-probabilities of the answers' tokens without steering, their number)."""
        ...


class ModelBench:
    """A bench on a transformers model; `answer` is the backend's."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        answer: Callable[[Plan], list[Answer]],
        unsteered: Sequence[Answer],
    ) -> None:
        self._model = model
        self._answer = answer
        self.prompts = prompts
        self.unsteered = unsteered
        self.blocks = len(find_blocks(model))

    def answer(self, plan: Plan) -> list[Answer]:
        """Answer each prompt under a plan, with the same random numbers every time."""
        return self._answer(plan)

    def sites(self, plan: Plan) -> dict[str, str]:
        """Return where the vector of each steered block is added: `mlp` or `block`."""
        with steered(self._model, plan) as steering:
            return {str(layer): name for layer, name in sorted(steering.sites.items())}

    def measure(self, texts: Sequence[Text], probes: Mapping[Name, Probe]) -> dict[Name, Reading]:
        """Run given tokens with each probe's plan and without any; return what moved, by the probes' names."""
        return measure(self._model, texts, probes)

    def log_likelihood(self, texts: Sequence[Text]) -> tuple[float, int]:
        """Return (sum of the log-probabilities of the answers' tokens without steering, their number)."""
        return answer_log_likelihood(self._model, texts)
