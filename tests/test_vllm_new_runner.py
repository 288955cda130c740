"""The new model runner's contract: its own classes, driven as it drives them, end in the right rows.

That runner needs a device with Triton, so what it calls is called here in its stead, with its real batches.
"""

from __future__ import annotations

import dataclasses
import inspect
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

if find_spec("vllm") is None:
    pytest.skip("needs vllm: pip install 'prefbench[vllm]'", allow_module_level=True)

from vllm_models import draw_table, write_model

from prefbench.backends.vllm.rows import choose_rows, count_rows
from prefbench.backends.vllm.runners import attach
from prefbench.backends.vllm.state import SteeringState
from prefbench.errors import BackendError

pytestmark = [pytest.mark.vllm, pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    from vllm.engine.arg_utils import EngineArgs

    from prefbench.backends.vllm.arming import steering_arguments

    folder = write_model(tmp_path_factory.mktemp("models") / "Qwen3", "Qwen3")
    arguments, _ = steering_arguments("Qwen3ForCausalLM", layers=[1], slots=3)
    return EngineArgs(
        model=str(folder), dtype="float32", skip_tokenizer_init=True, max_model_len=256, **arguments
    ).create_engine_config()


@pytest.fixture
def made(config):
    """Return the model state that the runner would make for one of our classes, and its steering."""
    import torch
    from vllm.v1.worker.gpu.model_states import init_model_state

    from prefbench.backends.vllm.models import PrefbenchQwen3ForCausalLM

    steering = SteeringState(
        {1: torch.zeros(count_rows(3), 64)}, torch.zeros(256, dtype=torch.int64), slots=3
    )
    for slot in (1, 2, 3):
        steering.load(slot, {1: draw_table(1, 1, 1, slot)})
    model = torch.nn.Module()
    model.get_model_state_cls = PrefbenchQwen3ForCausalLM.get_model_state_cls
    model.prefbench_steering = steering
    return init_model_state(config, model, None, torch.device("cpu")), steering


def new_request(name: str, length: int, extra, generated: int = 0):
    from vllm.sampling_params import SamplingParams
    from vllm.v1.core.sched.output import NewRequestData

    ids = list(range(3, 3 + length))
    return NewRequestData(
        req_id=name,
        prompt_token_ids=ids,
        mm_features=[],
        sampling_params=SamplingParams(extra_args=extra),
        pooling_params=None,
        block_ids=([0],),
        num_computed_tokens=0,
        lora_request=None,
        prefill_token_ids=ids + [5] * generated,
    )


def batch(indices, computed, scheduled):
    import torch
    from vllm.v1.worker.gpu.input_batch import InputBatch, InputBuffers

    buffers = InputBuffers(8, 256, torch.device("cpu"))
    dummy = InputBatch.make_dummy(len(indices), int(sum(scheduled)), buffers)
    return dataclasses.replace(
        dummy,
        idx_mapping_np=np.array(indices, dtype=np.intp),
        num_computed_tokens_np=np.array(computed, dtype=np.int32),
        num_scheduled_tokens=np.array(scheduled, dtype=np.int32),
    )


def test_the_runner_takes_our_model_state(made, config):
    from vllm.v1.worker.gpu.model_states.default import DefaultModelState

    model_state, steering = made
    assert isinstance(model_state, DefaultModelState)
    attach(SimpleNamespace(model_state=model_state), steering)
    assert steering.runner == "v2"


def test_a_model_state_that_is_not_ours_is_refused(made):
    _, steering = made
    with pytest.raises(BackendError, match="does not fill the rows of steered tokens"):
        attach(SimpleNamespace(model_state=SimpleNamespace()), steering)
    assert steering.runner is None


def test_the_runner_still_calls_what_we_override():
    """Its source is the contract: each new request, and each real batch before its forward pass, with these words."""
    from vllm.v1.worker.gpu import model_runner

    source = inspect.getsource(model_runner.GPUModelRunner)
    assert "self.model_state.add_request(req_index, new_req_data)" in source
    prepared = source.index("self.model_state.preprocess_state(")
    assert "input_batch" in source[prepared : prepared + 80]
    assert (
        source.rindex("if not dummy_run:", 0, prepared)
        < prepared
        < source.index("**self.model_state.prepare_inputs(")
    )


def test_batches_of_the_runner_get_the_rows_of_their_requests(made):
    model_state, steering = made
    model_state.add_request(4, new_request("a", 6, {"prefbench_slot": 2}))
    model_state.add_request(0, new_request("b", 9, None))
    model_state.add_request(2, new_request("c", 3, {"prefbench_slot": 1}))
    for indices, computed, scheduled in (
        ([4, 0, 2], [0, 0, 0], [6, 9, 3]),  # prompts
        ([2, 4, 0], [3, 6, 9], [1, 1, 1]),  # decoding, in another order
        ([0, 4], [10, 2], [1, 3]),  # a prompt in pieces
    ):
        model_state.preprocess_state(batch(indices, computed, scheduled), (), None, None)
        slots = np.array([{4: 2, 0: 0, 2: 1}[index] for index in indices])
        lengths = np.array([{4: 6, 0: 9, 2: 3}[index] for index in indices])
        rows = choose_rows(slots, lengths, np.array(computed), np.array(scheduled))
        assert steering.rows[: len(rows)].tolist() == rows.tolist()
        assert not steering.rows[len(rows) :].any()


def test_a_request_that_comes_back_after_a_preemption_keeps_its_prompts_length(made):
    """It is given with its answer so far, which must not count as prompt."""
    model_state, steering = made
    model_state.add_request(1, new_request("a", 5, {"prefbench_slot": 3}, generated=4))
    model_state.preprocess_state(batch([1], [0], [9]), (), None, None)
    assert steering.rows[:9].tolist() == [7] * 4 + [8] + [9] * 4
    model_state.add_request(1, new_request("b", 2, None))  # the place is given to another
    model_state.preprocess_state(batch([1], [0], [2]), (), None, None)
    assert not steering.rows.any()


def test_a_request_for_a_slot_that_is_not_there_is_an_error(made):
    model_state, _ = made
    with pytest.raises(BackendError, match="no steering slot 4"):
        model_state.add_request(1, new_request("a", 5, {"prefbench_slot": 4}))
