"""The new model runner's way to the row buffer: its default model state, told of every request and every real batch.

Only vLLM imports this, when its new runner asks one of our model classes for its model state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from vllm.v1.worker.gpu.model_states.default import DefaultModelState

from prefbench.backends.vllm.runners import CURE
from prefbench.backends.vllm.state import Place, SteeringState
from prefbench.errors import BackendError

HOOKS = ("add_request", "preprocess_state")
"""What the runner must call: for each new request, and before the forward pass of each real batch."""

if missing := [name for name in HOOKS if not callable(getattr(DefaultModelState, name, None))]:
    raise BackendError(f"vLLM's model state has no {missing[0]}; {CURE}")


class SteeredModelState(DefaultModelState):
    """Fills the rows of steered tokens; all else is the default."""

    def __init__(self, vllm_config: Any, model: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(vllm_config, model, *arguments, **named)
        self.steering: SteeringState = model.prefbench_steering
        self._places: dict[int, Place] = {}

    def add_request(self, req_index: int, new_req_data: Any) -> None:
        """Take note of a request's slot; one that is resumed comes again, with the prompt's own length."""
        super().add_request(req_index, new_req_data)
        parameters = new_req_data.sampling_params
        extra = parameters.extra_args if parameters is not None else None
        self._places[req_index] = self.steering.locate(extra, new_req_data.prompt_len)

    def preprocess_state(self, input_batch: Any, *arguments: Any, **named: Any) -> None:
        """Write the rows before the forward pass of a real batch."""
        super().preprocess_state(input_batch, *arguments, **named)
        self.steering.place(
            [self._places[int(index)] for index in input_batch.idx_mapping_np[: input_batch.num_reqs]],
            np.asarray(input_batch.num_computed_tokens_np[: input_batch.num_reqs], dtype=np.int64),
            np.asarray(input_batch.num_scheduled_tokens[: input_batch.num_reqs], dtype=np.int64),
        )
