"""Random models for the other scripts; run by itself, it does nothing."""

from __future__ import annotations

from pathlib import Path


def write_random_model(folder: Path, hidden: int, layers: int = 8) -> int:
    """Write a random Qwen3 with the demo model's tokenizer; return its size."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    from prefbench.demo_model import demo_model_path

    tokenizer = AutoTokenizer.from_pretrained(demo_model_path())
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=8192,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 64,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    model = Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())
