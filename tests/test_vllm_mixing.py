"""Adapters in one engine: requests with and without one, in one batch, must be what each is alone."""

from __future__ import annotations

import pytest
from studies import make_items
from vllm_engines import VLLM_MARKS

from prefbench.backends import Treatment, open_backend
from prefbench.backends.vllm import arguments
from prefbench.demo_model import demo_conditions_path, demo_model_path
from prefbench.errors import BackendError

pytestmark = VLLM_MARKS

ADAPTER = str(next(path.parent for path in demo_conditions_path().rglob("adapter_config.json")))
CELLS = [Treatment("base"), Treatment("dpo", adapter=ADAPTER)]


def check(backend):
    for cell in CELLS:
        backend.identify(cell)
    try:
        return backend.check_mixing(CELLS, make_items(6))
    finally:
        backend.close()


def test_a_batch_that_mixes_adapter_and_base_is_what_each_is_alone():
    base, dpo = check(open_backend("vllm", str(demo_model_path()), options={}))
    assert (base["adapter"], dpo["adapter"]) == (None, "adapter_1")
    for cell in (base, dpo):
        assert cell["gap"] <= 1e-4
        assert cell["nearest_other_cell"] > 0.05


def test_a_base_request_that_gets_the_adapter_is_caught(monkeypatch):
    """On a CPU it does, if there are no more slots than adapters."""
    enough = arguments.lora_arguments

    def too_few(given, ranks, modules):
        needed, raised = enough(given, ranks, modules)
        return {**needed, "max_loras": len(ranks)}, raised

    monkeypatch.setattr("prefbench.backends.vllm.backend.lora_arguments", too_few)
    with pytest.raises(BackendError, match=r"requests \(unsteered, no adapter\) are not what they are alone"):
        check(open_backend("vllm", str(demo_model_path()), options={}))
