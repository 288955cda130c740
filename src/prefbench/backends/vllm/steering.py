"""The trait vectors of an engine's conditions: their plans, their slots, and the proof that they act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prefbench.backends.base import Treatment, Vector
from prefbench.backends.vllm.arming import choose_layers, steering_arguments
from prefbench.backends.vllm.control import SteeringControl
from prefbench.backends.vllm.counting import Expected
from prefbench.backends.vllm.engine import Engine
from prefbench.backends.vllm.loading import Parts
from prefbench.backends.vllm.proving import prove_slot
from prefbench.backends.vllm.refusals import refuse_arguments
from prefbench.errors import BackendError
from prefbench.steering import Plan, make_plan


class Steering:
    """Which vectors go with which slot, before and after the engine has started. Conditions may share a slot."""

    def __init__(self, parts: Parts, weights: Mapping[str, Any]) -> None:
        self._parts = parts
        self._weights = weights
        self._plans: dict[tuple[Vector, ...], Plan] = {}
        self._control: SteeringControl | None = None
        self._expected = Expected()
        self.note: str | None = None
        """How the engine steers, where that is not by a class of ours."""

    def plan(self, treatment: Treatment, *, strict: bool = False) -> Plan:
        """Return what a treatment's vectors come to. Raises DataError and ConfigError as `make_plan` does."""
        known = self._plans.get(treatment.vectors)
        if known is None or strict:
            known = make_plan(
                treatment.vectors,
                width=self._parts.width,
                blocks=self._parts.blocks,
                weights=self._weights,
                strict=strict,
            )
            self._plans.setdefault(treatment.vectors, known)
        return known

    def slot(self, treatment: Treatment) -> int:
        """Return the slot of a treatment's vectors, 0 if it has none."""
        return list(self._plans).index(treatment.vectors) + 1 if treatment.vectors else 0

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the engine has to be started with. Raises ConfigError for what steering rules out."""
        if not self._plans:
            return {}
        refuse_arguments(given)
        arguments, self.note = steering_arguments(
            self._parts.architecture, layers=self._layers(), slots=len(self._plans)
        )
        if "hf_overrides" in arguments:
            arguments["hf_overrides"] = {**(given.get("hf_overrides") or {}), **arguments["hf_overrides"]}
        return arguments

    def arm(self, engine: Engine) -> None:
        """Fill the slots of an engine that has started. Raises BackendError if a rank does not take them."""
        self._control = None
        if not self._plans:
            return
        self._control = SteeringControl(engine)
        self._control.arm(layers=self._layers(), slots=len(self._plans))
        for slot, plan in enumerate(self._plans.values(), start=1):
            self._control.load(slot, plan)

    def prove(
        self,
        engine: Engine,
        treatment: Treatment,
        prompts: Sequence[Sequence[int]],
        *,
        adapter: Any,
        others: Iterable[Any],
    ) -> dict[str, Any]:
        """Return the figures of every check on a treatment's slot. Raises BackendError if one fails."""
        if self._control is None:
            raise BackendError("the engine was started without tables for vectors, so it cannot steer")
        figures = prove_slot(
            engine,
            self._control,
            self.slot(treatment),
            self._plans[treatment.vectors],
            prompts,
            adapter=adapter,
            other_adapters=[other for other in others if other != adapter],
            condition=treatment.condition,
        )
        return {**figures, **({"note": self.note} if self.note else {})}

    def start_counting(self) -> None:
        """Forget what was steered so far."""
        self._expected = Expected()
        if self._control is not None:
            self._control.counts(reset=True)

    def count(self, treatment: Treatment, prompt_tokens: int, answers: Sequence[int]) -> None:
        """Take note of a finished request: its prompt's tokens, and those of each of its answers."""
        if treatment.vectors:
            self._expected.add(self.slot(treatment), prompt_tokens, answers)

    def check_counts(self, *, running: bool) -> dict[str, Any]:
        """Return how many tokens were steered, beside how many had to be. Raises BackendError if they do not agree."""
        if self._control is None:
            return {}
        counted, preempted = self._control.counts(), self._control.preempted()
        return dict(self._expected.check(counted, preempted=preempted, unfinished=running))

    def _layers(self) -> list[int]:
        return choose_layers(self._plans.values(), self._parts.blocks)
