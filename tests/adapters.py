"""Make small LoRA adapters on the spot, with weights far from zero, for tests that switch them on and off."""

from __future__ import annotations

from pathlib import Path


def make_adapter(model: Path, folder: Path, *, seed: int = 1, name: str | None = None, **config) -> Path:
    """Write a LoRA adapter for a model with random weights that change its answers; return its folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        chosen = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | config
        adapted = get_peft_model(base, LoraConfig(**chosen))
        for key, parameter in adapted.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(parameter, std=0.2)
        adapted.peft_config["default"].base_model_name_or_path = name or str(model)
        adapted.save_pretrained(folder, save_embedding_layers=False)
    return folder
