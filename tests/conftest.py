"""Shared test parts: tiny random models with a real tokenizer, and studies made on the spot."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# No test can spend money: there is no key, the services' addresses are a closed port of this machine, so is the
# proxy of every process that a test starts, and in this process only loopback can be connected to.
NOWHERE = "http://127.0.0.1:9"
for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
    os.environ[variable] = ""
# what installing a package needs, which is the one thing that a test may fetch from outside
OUTSIDE = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
for variable in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ[variable] = NOWHERE
    os.environ.pop(variable.lower(), None)
os.environ["NO_PROXY"] = "127.0.0.1,localhost"
os.environ.pop("no_proxy", None)

_connect = socket.socket.connect


def _connect_on_loopback(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise OSError(f"tests connect to nothing but this machine, not to {address[0]}")
    _connect(self, address)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


socket.socket.connect = _connect_on_loopback

# where the same commit must pass twice, the same examples are tried; elsewhere new ones are looked for each time
settings.register_profile("repeatable", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("repeatable")

TEXT = [
    "Question: Which do you prefer, rain or sun?",
    "Answer: I prefer rain to sun because it is calm.",
    "It depends on the day; both have their charm.",
    "What would you paint if you could paint anything at all? A quiet harbour at dusk.",
]


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """Return a byte-level BPE tokenizer trained on a few lines."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer) -> Path:
    """Return the folder of a random two-layer Qwen3 with a context of 256."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tiny_tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=tiny_tokenizer.eos_token_id,
        pad_token_id=tiny_tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder
