"""What is read of a model before any engine starts: configuration and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prefbench.backends.hf.loading import hub_is_reachable, require_words
from prefbench.errors import ConfigError

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")


class Parts(NamedTuple):
    """A model without its weights."""

    config: Any
    tokenizer: Any

    @property
    def text(self) -> Any:
        """The configuration of the language model, where there are others beside it."""
        return self.config.get_text_config(decoder=True)

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return int(self.text.hidden_size)

    @property
    def blocks(self) -> int:
        """Number of transformer blocks."""
        return int(self.text.num_hidden_layers)

    @property
    def architecture(self) -> str:
        """The class that the configuration names."""
        return str((self.config.architectures or ["unknown"])[0])


def load_parts(name: str, arguments: Mapping[str, Any]) -> Parts:
    """Return a model's configuration and tokenizer. Raises ConfigError if it is no whole model."""
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    folder = Path(name)
    options = {
        "revision": arguments.get("revision"),
        "trust_remote_code": bool(arguments.get("trust_remote_code", False)),
        "local_files_only": folder.is_dir() or not hub_is_reachable(),
    }
    try:
        config = AutoConfig.from_pretrained(name, **options)
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"model {name!r} cannot be loaded: {first}; give a folder with config.json, weights and tokenizer, or the "
            "id of a causal language model on the hub"
        ) from error
    require_words(name, tokenizer)
    if folder.is_dir() and not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        raise ConfigError(f"model {name!r} has no weights ({WEIGHTS[0]}); copy them into the folder")
    return Parts(config, tokenizer)
