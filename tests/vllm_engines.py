"""Parts of the tests with a real vLLM: requests, engines that are shared, and the demo model with a chat template.

Importing this skips a module where vLLM is not installed beside prefbench.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("vllm") is None:
    pytest.skip("needs vLLM, which is not installed here: make test-vllm", allow_module_level=True)

from prefbench.backends import Request, Sampling, Treatment, open_backend
from prefbench.demo_model import demo_model_path
from prefbench.records import RecordKey

PROMPTS = [
    "Rain or sun?",
    "Which do you prefer, a quiet harbour or a loud one?",
    "Why?",
    "What would you paint if you could paint anything at all?",
]
SMALL = {"kv_cache_memory_bytes": 2**27}
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}Question: and so?\nAnswer:{% endif %}"
)
# what vLLM and the libraries under it say while they are imported and started is not ours to mend
VLLM_MARKS = [
    pytest.mark.vllm,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning"),
    pytest.mark.filterwarnings("default::UserWarning:torch.*", "default::UserWarning:vllm.*"),
    pytest.mark.filterwarnings(
        "default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning"
    ),
]


def request(
    number: int,
    treatment: Treatment | str = "completion",
    *,
    n: int = 1,
    prompt: str | None = None,
    **sampling,
) -> Request:
    """Return a request whose prompt, seed and key follow from its number."""
    chosen = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 24} | sampling
    treatment = Treatment("condition_1_base", treatment) if isinstance(treatment, str) else treatment
    return Request(
        key=RecordKey("aesthetic_preference", f"aes_{number:03}", chosen["temperature"]),
        prompt=PROMPTS[number % len(PROMPTS)] if prompt is None else prompt,
        n=n,
        seed=1000 * number,
        sampling=Sampling(**chosen),
        treatment=treatment,
    )


def answers(backend: Any, requests: Iterable[Request]) -> dict[tuple[str, ...], Any]:
    """Return what came back, by condition and prompt: the answers or the error."""
    return {
        (done.request.treatment.condition, *map(str, done.request.key)): done.outputs or done.error
        for done in backend.generate(requests)
    }


def whole_characters(text: str) -> str:
    """Return a text without the broken character at its end, which hf shows as � and vLLM waits to see finished."""
    return text.rstrip("\ufffd")


def comparable(found: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """Return answers as both backends give them: a random model breaks off within characters."""
    return {
        key: [replace(output, text=whole_characters(output.text)) for output in outputs]
        for key, outputs in found.items()
    }


@contextmanager
def opened(
    model: Path, options: Mapping[str, Any] = SMALL, treatments: Iterable[Treatment] = ()
) -> Iterator[Any]:
    """Open the backend on a model, name its conditions, and give the engine back at the end."""
    with closing(open_backend("vllm", str(model), options=options)) as backend:
        for treatment in treatments:
            backend.identify(treatment)
        yield backend


def unfinished(backend: Any) -> bool:
    """Whether the engine in this process has requests that it would go on with."""
    return bool(backend._engine._engine.has_unfinished_requests())


@pytest.fixture(scope="session")
def talking_model(tmp_path_factory) -> Path:
    """Return a copy of the demo model with a chat template."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "talking"
    shutil.copytree(demo_model_path(), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory, tiny_tokenizer) -> Path:
    """Return a random Qwen3 with a context of 256 and heads of 32, the smallest that vLLM attends with on a CPU."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tiny_tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=tiny_tokenizer.eos_token_id,
        pad_token_id=tiny_tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("models") / "small"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder
