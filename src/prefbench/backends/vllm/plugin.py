"""What vLLM calls in each of its processes: it makes the model classes that take steering known by name."""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {
    "Qwen3ForCausalLM": "PrefbenchQwen3ForCausalLM",
    "Qwen2ForCausalLM": "PrefbenchQwen2ForCausalLM",
    "LlamaForCausalLM": "PrefbenchLlamaForCausalLM",
    "MistralForCausalLM": "PrefbenchMistralForCausalLM",
}
"""vLLM's architecture -> ours. Names of our own: a compiled artefact of the stock class is never taken for ours."""


def register() -> None:
    """Register the classes without importing them: vLLM imports the one that it runs, in the process that runs it."""
    from vllm import ModelRegistry

    known = ModelRegistry.get_supported_archs()
    for name in CLASSES.values():
        if name not in known:
            ModelRegistry.register_model(name, f"prefbench.backends.vllm.models:{name}")
