"""What the engine can ask of its workers about steering. vLLM mixes this class into its own worker class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prefbench.backends.vllm.hooks import hook_blocks
from prefbench.backends.vllm.recording import Recorder, inference
from prefbench.backends.vllm.refusals import require_supported
from prefbench.backends.vllm.rows import ROWS_A_SLOT
from prefbench.backends.vllm.runners import attach
from prefbench.backends.vllm.state import SteeringState
from prefbench.errors import BackendError
from prefbench.steering.sites import find_blocks, model_width


class SteeringWorker:
    """The methods of one rank. Arguments and results are plain: lists, dicts, numbers and bytes (float32)."""

    vllm_config: Any
    model_runner: Any
    rank: int

    def prefbench_arm(self, layers: Sequence[int], slots: int) -> dict[str, Any]:
        """Make these blocks ready to be steered, and say what was found.

        In a model of one of our classes they are so from its loading; any other gets hooks. Raises BackendError for
        an engine that cannot be steered.
        """
        require_supported(self.vllm_config)
        model = self.model_runner.get_model()
        state = getattr(model, "prefbench_steering", None)
        hooked = state is None or getattr(model, "prefbench_hooked", False)
        if state is None:
            state = hook_blocks(self, layers=layers, slots=slots)
            model.prefbench_hooked = True
        if sorted(state.tables) != sorted(layers) or state.slots != slots:
            raise BackendError(
                f"the engine was started with tables at blocks {sorted(state.tables)} and {state.slots} slots, "
                f"and is asked for blocks {sorted(layers)} and {slots} slots"
            )
        attach(self.model_runner, state)
        compilation = self.vllm_config.compilation_config
        return {
            "rank": int(self.rank),
            "model": type(model).__name__,
            "layers": sorted(state.tables),
            "sites": {str(layer): site for layer, site in sorted(state.sites.items())},
            "slots": state.slots,
            "mode": "hooks" if hooked else "class",
            "runner": state.runner,
            "blocks": len(find_blocks(model)),
            "width": model_width(model),
            "dtype": str(self.vllm_config.model_config.dtype).removeprefix("torch."),
            "compilation": compilation.mode.name if compilation.mode else "NONE",
            "cudagraphs": compilation.cudagraph_mode.name if compilation.cudagraph_mode else "NONE",
        }

    def prefbench_load(self, slot: int, tables: Mapping[str, bytes]) -> dict[str, list[float]]:
        """Write a plan into a slot; return the norms of what is stored, by block and sort of token."""
        unpacked = {
            int(layer): np.frombuffer(packed, dtype=np.float32).reshape(ROWS_A_SLOT, -1).copy()
            for layer, packed in tables.items()
        }
        with inference():
            norms = self._prefbench_state().load(slot, unpacked)
        return {str(layer): each for layer, each in norms.items()}

    def prefbench_counts(self, reset: bool = False) -> list[list[int]]:
        """Return how many tokens were steered since the last reset, by slot and sort of token."""
        state = self._prefbench_state()
        counts = [[int(count) for count in row] for row in state.tally]
        if reset:
            state.tally[:] = 0
            state.preempted = None if state.preempted is None else 0
        return counts

    def prefbench_preempted(self) -> int | None:
        """Return how many requests were sent back to be computed again since the last reset; None if not known."""
        return self._prefbench_state().preempted

    def prefbench_record(self, name: str, layers: Sequence[int], compiled: bool) -> None:
        """Keep the hidden states of the probes that come, under a name."""
        self._prefbench_recorder().start(name, layers, compiled)

    def prefbench_stop(self) -> None:
        """Stop reading along."""
        self._prefbench_recorder().stop()

    def prefbench_shift(self, before: str, after: str, layer: int) -> dict[str, Any]:
        """Return how far a block moved between two recordings; `means` are float64 bytes."""
        shift = self._prefbench_recorder().measure_shift(before, after, layer)
        return {
            "means": shift.means.astype(np.float64).tobytes(),
            "tokens": [int(count) for count in shift.tokens],
            "extremes": [float(extreme) for extreme in shift.extremes],
        }

    def prefbench_divergence(self, before: str, after: str) -> list[float]:
        """Return [sum of KL divergences in nats, tokens] between two recordings."""
        with inference():
            return list(self._prefbench_recorder().measure_divergence(before, after))

    def prefbench_score(self, name: str, texts: Sequence[Sequence[int]]) -> list[bytes]:
        """Return the log-probabilities of each recorded probe's tokens from the second on; float64 bytes."""
        with inference():
            return [each.tobytes() for each in self._prefbench_recorder().measure_scores(name, texts)]

    def prefbench_can_uncompile(self) -> bool:
        """Return whether the model can run its own code in place of what was compiled from it."""
        recorder = self._prefbench_recorder()
        parts = recorder.set_compiled(False)
        recorder.set_compiled(True)
        return parts > 0

    def _prefbench_state(self) -> SteeringState:
        state: SteeringState | None = getattr(self.model_runner.get_model(), "prefbench_steering", None)
        if state is None or state.runner is None:
            raise BackendError("the engine's steering is not armed")
        return state

    def _prefbench_recorder(self) -> Recorder:
        model = self.model_runner.get_model()
        if not hasattr(model, "prefbench_recorder"):
            model.prefbench_recorder = Recorder(model, self._prefbench_state())
        recorder: Recorder = model.prefbench_recorder
        return recorder
