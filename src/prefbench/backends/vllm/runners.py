"""Make vLLM's model runner fill the row buffer before every forward pass, whichever runner it is."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from prefbench.backends.vllm.state import Place, SteeringState
from prefbench.errors import BackendError

CURE = (
    "prefbench steers vLLM from 0.32 on, with the model runners that it knows: install that, or sample steered "
    "conditions with --backend hf"
)


def attach(runner: Any, state: SteeringState) -> None:
    """See that the rows are filled from now on. Raises BackendError for a runner that offers no way."""
    if state.runner is not None:
        return
    if hasattr(runner, "model_state"):
        _require_model_state(runner, state)
        state.runner = "v2"
    else:
        _wrap_prepare_inputs(runner, state)
        state.runner = "v1"


def _require_model_state(runner: Any, state: SteeringState) -> None:
    """Check that the new runner asks our class for its inputs: the model names it, so nothing need be wrapped."""
    if getattr(runner.model_state, "steering", None) is not state:
        raise BackendError(
            f"vLLM's model runner does not fill the rows of steered tokens: its inputs come from "
            f"{type(runner.model_state).__name__}; set VLLM_USE_V2_MODEL_RUNNER=0, or use --backend hf"
        )


def _wrap_prepare_inputs(runner: Any, state: SteeringState) -> None:
    """Fill the rows behind `_prepare_inputs`, which runs once before each real forward pass of the older runner."""
    original = getattr(runner, "_prepare_inputs", None)
    parts = ("input_batch", "requests")
    if (
        original is None
        or next(iter(inspect.signature(original).parameters), None) != "scheduler_output"
        or not all(hasattr(runner, name) for name in parts)
    ):
        raise BackendError(f"vLLM's model runner {type(runner).__name__} has changed inside; {CURE}")
    places = _Places(runner, state)

    def prepare_and_place(scheduler_output: Any, *arguments: Any, **named: Any) -> Any:
        prepared = original(scheduler_output, *arguments, **named)
        places.fill(scheduler_output)
        return prepared

    runner._prepare_inputs = prepare_and_place


class _Places:
    """The requests that the older runner holds, each looked up once."""

    def __init__(self, runner: Any, state: SteeringState) -> None:
        self._runner = runner
        self._state = state
        self._known: dict[str, Place] = {}
        state.preempted = 0

    def fill(self, scheduler_output: Any) -> None:
        """Write the rows of the pass that this schedule describes."""
        preempted = getattr(scheduler_output, "preempted_req_ids", None)
        self._state.preempted = (self._state.preempted or 0) + len(preempted or ())
        for name in scheduler_output.finished_req_ids:
            self._known.pop(name, None)
        batch, known = self._runner.input_batch, self._known
        names = batch.req_ids
        for name in names:
            if name not in known:
                request = self._runner.requests[name]
                parameters = request.sampling_params
                extra = parameters.extra_args if parameters is not None else None
                known[name] = self._state.locate(extra, request.num_prompt_tokens)
        scheduled = scheduler_output.num_scheduled_tokens
        self._state.place(
            [known[name] for name in names],
            np.asarray(batch.num_computed_tokens_cpu[: len(names)], dtype=np.int64),
            np.array([scheduled[name] for name in names], dtype=np.int64),
        )
