"""Backend `vllm`: one vLLM engine for all conditions that share its weights."""

from prefbench.backends.vllm.backend import VllmBackend

__all__ = ["VllmBackend"]
