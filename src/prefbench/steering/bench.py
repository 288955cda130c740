"""What the checks need of a backend, and how a transformers model gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefbench.steering.hooks import steered
from prefbench.steering.measuring import (
    Answer,
    Shift,
    Text,
    answer_log_likelihood,
    mean_divergence,
    measure_shifts,
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

    def answer(self, plan: Plan | None) -> list[Answer]:
        """Answer each prompt under a plan, with the same random numbers every time."""
        ...

    def sites(self, plan: Plan) -> dict[str, str]:
        """Return where the vector of each steered block is added: `mlp` or `block`."""
        ...

    def shifts(self, plan: Plan, texts: Sequence[Text], *, watch: Sequence[int]) -> dict[int, Shift]:
        """Return how far the outputs of the watched blocks move on given tokens; what does not exist is left out."""
        ...

    def divergence(self, plan: Plan, texts: Sequence[Text]) -> float:
        """Return the mean KL divergence (nats) of the steered next-token distributions from the unsteered ones."""
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
        answer: Callable[[Plan | None], list[Answer]],
    ) -> None:
        self._model = model
        self._answer = answer
        self.prompts = prompts
        self.blocks = len(find_blocks(model))

    def answer(self, plan: Plan | None) -> list[Answer]:
        """Answer each prompt under a plan, with the same random numbers every time."""
        return self._answer(plan)

    def sites(self, plan: Plan) -> dict[str, str]:
        """Return where the vector of each steered block is added: `mlp` or `block`."""
        with steered(self._model, plan) as steering:
            return {str(layer): name for layer, name in sorted(steering.sites.items())}

    def shifts(self, plan: Plan, texts: Sequence[Text], *, watch: Sequence[int]) -> dict[int, Shift]:
        """Return how far the outputs of the watched blocks move on given tokens."""
        return measure_shifts(self._model, plan, texts, watch=watch)

    def divergence(self, plan: Plan, texts: Sequence[Text]) -> float:
        """Return the mean KL divergence (nats) of the steered next-token distributions from the unsteered ones."""
        return mean_divergence(self._model, plan, texts)

    def log_likelihood(self, texts: Sequence[Text]) -> tuple[float, int]:
        """Return (sum of the log-probabilities of the answers' tokens without steering, their number)."""
        return answer_log_likelihood(self._model, texts)
