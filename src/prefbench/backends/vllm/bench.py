"""A running vLLM engine as the checks see it: one slot, into which they put what they like."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from prefbench.backends.vllm.control import SteeringControl
from prefbench.backends.vllm.engine import Engine
from prefbench.backends.vllm.probes import Probe, Reply, ask
from prefbench.backends.vllm.recording import FINAL
from prefbench.errors import BackendError
from prefbench.steering.measuring import (
    Answer,
    Name,
    Reading,
    Shift,
    Text,
    answer_texts,
    pick_readings,
    share_passes,
)
from prefbench.steering.measuring import Probe as Measured
from prefbench.steering.plan import KINDS, Plan

ANSWERS = 2
TOKENS = 48
TEMPERATURE = 1.0
SEED = 20
NO_LOGITS = "steering check failed: no rank computed logits; nothing was sampled"

Cell = tuple[int, Any]
"""A slot (0: not steered) and a LoRARequest or None."""

_SALTS = itertools.count()


class VllmBench:
    """Measures one slot of an engine, with one adapter or none. See prefbench.steering.bench.Bench."""

    def __init__(
        self,
        engine: Engine,
        control: SteeringControl,
        slot: int,
        *,
        prompts: Sequence[Sequence[int]],
        adapter: Any = None,
    ) -> None:
        self.engine = engine
        self.slot = slot
        self.adapter = adapter
        self.context = int(engine.config.model_config.max_model_len)
        self.prompts = prompts
        self.blocks = int(control.description["blocks"])
        self._control = control
        self._plan: Plan | None = None

    def load(self, plan: Plan) -> None:
        """Put a plan into the slot."""
        self._control.load(self.slot, plan)
        self._plan = plan

    def ask(self, probes: Sequence[Probe]) -> list[Reply]:
        """Run probes together; they share cached blocks with no others."""
        return ask(self.engine, probes, salt=f"prefbench check {next(_SALTS)}")

    def cut(self, text: Text) -> list[int]:
        """Return a text's tokens, without those for which the model's context has no room."""
        return list(text.ids[: self.context - 1])

    @cached_property
    def unsteered(self) -> list[Answer]:
        """The answers to the prompts without steering, several to each."""
        return self._answer(0)

    def answer(self, plan: Plan) -> list[Answer]:
        """Answer each prompt under a plan, with the same random numbers as without."""
        return self._answer(self._enter(plan))

    def _answer(self, slot: int) -> list[Answer]:
        replies = self.ask(
            [
                Probe(
                    prompt,
                    slot,
                    self.adapter,
                    max_tokens=min(TOKENS, self.context - len(prompt)),
                    temperature=TEMPERATURE,
                    seed=SEED + ANSWERS * index + each,
                )
                for index, prompt in enumerate(self.prompts)
                for each in range(ANSWERS)
            ]
        )
        return [Answer(index // ANSWERS, reply.ids, not reply.ended) for index, reply in enumerate(replies)]

    def sites(self, plan: Plan) -> dict[str, str]:
        """Return where the vector of each steered block is added."""
        sites = self._control.description["sites"]
        return {str(layer): sites[str(layer)] for layer in plan.layers}

    def measure(self, texts: Sequence[Text], probes: Mapping[Name, Measured]) -> dict[Name, Reading]:
        """Run given tokens with each probe's plan and without any; read in the workers, uncompiled."""
        plans = share_passes(probes.values())
        watched = {layer for probe in plans for layer in self._existing(probe.watch)}
        self._record("plain", 0, texts, [*sorted(watched), FINAL])
        found = []
        for probe in plans:
            layers = self._existing(probe.watch)
            ends = [FINAL] if probe.divergence else []
            self._record("moved", self._enter(probe.plan), texts, [*layers, *ends])
            shifts = {layer: self._read_shift(layer) for layer in layers}
            found.append((probe.plan, Reading(shifts, self._read_divergence() if ends else None)))
        return pick_readings(found, probes)

    def _existing(self, layers: Sequence[int]) -> list[int]:
        return [layer for layer in layers if 0 <= layer < self.blocks]

    def _read_shift(self, layer: int) -> Shift:
        found = self.engine.call("prefbench_shift", "plain", "moved", layer)[0]
        means = np.frombuffer(found["means"], dtype=np.float64).reshape(len(KINDS), -1)
        return Shift(means, np.array(found["tokens"]), np.array(found["extremes"]))

    def _read_divergence(self) -> float:
        found = [each for each in self.engine.call("prefbench_divergence", "plain", "moved") if each[1]]
        if not found:
            raise BackendError(NO_LOGITS)
        total, count = found[0]
        return float(max(total / count, 0.0))

    def log_likelihood(self, texts: Sequence[Text]) -> tuple[float, int]:
        """Return (sum of the log-probabilities of the answers' tokens without steering, their number)."""
        scores = self.score(texts, slot=0)
        kept = [score[text.prompt_length - 1 :] for score, text in zip(scores, texts, strict=True)]
        return float(sum(each.sum() for each in kept)), sum(map(len, kept))

    def score(self, texts: Sequence[Text], *, slot: int, compiled: bool = True) -> list[np.ndarray]:
        """Return the log-probabilities of each text's tokens from the second on; as the engine runs, or uncompiled."""
        return self.score_cells(texts, [(slot, self.adapter)], compiled=compiled)[0]

    def score_cells(
        self, texts: Sequence[Text], cells: Sequence[Cell], *, compiled: bool = True
    ) -> list[list[np.ndarray]]:
        """Return the same for several (slot, adapter), whose requests are interleaved in one batch."""
        probes = [
            Probe(self.cut(text), slot, adapter, text.prompt_length, number=number * len(cells) + cell)
            for number, text in enumerate(texts)
            for cell, (slot, adapter) in enumerate(cells)
        ]
        try:
            self.engine.call("prefbench_record", "score", [FINAL], compiled)
            self.ask(probes)
        finally:
            self.engine.call("prefbench_stop")
        asked = [list(probe.ids) for probe in probes]
        found = [each for each in self.engine.call("prefbench_score", "score", asked) if each]
        if not found:
            raise BackendError(NO_LOGITS)
        scores = [np.frombuffer(each, dtype=np.float64) for each in found[0]]
        return [scores[cell :: len(cells)] for cell in range(len(cells))]

    def generate_cells(self, cells: Sequence[Cell], tokens: int) -> list[list[Reply]]:
        """Return greedy answers to the prompts for several (slot, adapter), interleaved in one batch."""
        replies = self.ask(
            [
                Probe(prompt, slot, adapter, max_tokens=min(tokens, self.context - 1 - len(prompt)))
                for prompt in self.prompts
                for slot, adapter in cells
            ]
        )
        return [replies[cell :: len(cells)] for cell in range(len(cells))]

    def greedy_texts(self, slot: int, tokens: int) -> tuple[list[Text], list[np.ndarray]]:
        """Answer the prompts greedily; return them as texts, and their tokens' log-probabilities as generated."""
        replies = self.generate_cells([(slot, self.adapter)], tokens)[0]
        answers = [Answer(index, reply.ids, not reply.ended) for index, reply in enumerate(replies)]
        return answer_texts(self.prompts, answers), [reply.logs for reply in replies]

    def _enter(self, plan: Plan) -> int:
        """Put a plan into the slot if it is not there, and return the slot."""
        if plan is not self._plan:
            self.load(plan)
        return self.slot

    def _record(self, name: str, slot: int, texts: Sequence[Text], layers: Sequence[int]) -> None:
        """Keep the blocks' outputs on the texts under a name."""
        try:
            self.engine.call("prefbench_record", name, list(layers), False)
            self.ask(
                [
                    Probe(self.cut(text), slot, self.adapter, text.prompt_length, number=index)
                    for index, text in enumerate(texts)
                ]
            )
        finally:
            self.engine.call("prefbench_stop")
