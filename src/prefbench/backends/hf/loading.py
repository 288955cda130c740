"""Load a causal language model and its tokenizer, and say exactly which one it was."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from prefbench.errors import BackendError, ConfigError

FULL_HASH_LIMIT = 4 * 2**30
"""Local weights up to this many bytes are hashed whole; of larger files the first and the last megabyte."""


def load_model(name: str, *, revision: str | None, dtype: str, device: str) -> tuple[Any, Any]:
    """Return (model in evaluation mode on its device, tokenizer). Code from the hub is never run.

    Raises ConfigError if there is no such model or device, BackendError if it does not fit into memory.
    """
    import huggingface_hub
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    huggingface_hub.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    local = (
        Path(name).is_dir() or not hub_is_reachable()
    )  # spares the hub's long retries where there is no network
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    _require_device(device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=revision, padding_side="left", local_files_only=local
        )
        model = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, dtype=_dtype(dtype, device), local_files_only=local
        )
        model = model.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise BackendError(
            f"model {name!r} does not fit into the memory of {device}: use a smaller one"
        ) from error
    except SafetensorError as error:
        raise ConfigError(
            f"model {name!r} cannot be loaded: a file of its weights is not whole ({_first_line(error)}); copy or "
            "download it again"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"model {name!r} cannot be loaded: {_first_line(error)}; give a folder with config.json, weights and "
            "tokenizer, or the id of a causal language model on the hub"
        ) from error
    require_words(name, tokenizer)
    return model, tokenizer


def _require_device(device: str) -> None:
    """Raise ConfigError for a device that torch does not know or does not find here."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device {device!r} cannot be used ({_first_line(error)}); choose auto, cpu, or a GPU that is here, "
            "such as cuda or cuda:1"
        ) from error


def require_words(name: str, tokenizer: Any) -> None:
    """Raise ConfigError for a tokenizer that makes nothing of words: transformers invents one where files lack."""
    if not tokenizer("What do you prefer?", add_special_tokens=False)["input_ids"]:
        raise ConfigError(
            f"model {name!r} has no tokenizer: copy its tokenizer files (tokenizer.json, tokenizer_config.json) into "
            "the folder"
        )


def hub_is_reachable(seconds: float = 5.0) -> bool:
    """Whether the hub answers at all; behind a proxy, or on a mirror without a port, we cannot tell and say yes."""
    import huggingface_hub

    endpoint = urlsplit(huggingface_hub.constants.ENDPOINT)
    if getproxies() or endpoint.hostname is None:
        return True
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    try:
        socket.create_connection((endpoint.hostname, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def identify_model(name: str, model: Any) -> dict[str, Any]:
    """Return what pins the weights: the hub commit, or a SHA-256 over the files of a local folder."""
    folder = Path(name)
    if not folder.is_dir():
        return {"commit": getattr(model.config, "_commit_hash", None)}
    files = sorted(
        path for path in folder.iterdir() if path.suffix in {".safetensors", ".json", ".bin", ".txt"}
    )
    whole = sum(path.stat().st_size for path in files) <= FULL_HASH_LIMIT
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
        _hash_file(path, digest, whole=whole)
    return {
        "files_sha256": digest.hexdigest(),
        "hash_of": "whole files" if whole else "first and last megabyte",
    }


def _hash_file(path: Path, digest: Any, *, whole: bool, part: int = 2**20) -> None:
    with path.open("rb") as file:
        if whole or path.stat().st_size <= 2 * part:
            while chunk := file.read(part):
                digest.update(chunk)
            return
        digest.update(file.read(part))
        file.seek(-part, 2)
        digest.update(file.read(part))


def _dtype(name: str, device: str) -> Any:
    import torch

    if name == "auto":
        # weights as stored on a GPU; float32 on a CPU, where half precision is slow and rounds more
        return torch.float32 if device == "cpu" else "auto"
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ConfigError(f"unknown dtype {name!r}: known: auto, {', '.join(known)}")
    return known[name]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
