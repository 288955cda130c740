"""A peft adapter on disk or on the hub: its files found, read without torch, hashed, and held against a model."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from prefbench.errors import ConfigError
from prefbench.store import read_json

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "manifest.json"
"""Written by `prefbench train dpo` beside the adapter: it names the base model's hash."""


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """An adapter's folder and what its files say."""

    source: str
    """The folder or hub id that was asked for."""
    folder: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    """The shape of every tensor, by its key in the file."""
    identity: dict[str, Any]
    base_weights: Mapping[str, Any] | None
    """What pinned the weights that it was trained on; None if nothing says so."""

    @property
    def base(self) -> str | None:
        """The model that its configuration names."""
        name = self.config.get("base_model_name_or_path")
        return str(name) if name else None


def read_adapter(source: str) -> AdapterFiles:
    """Return the adapter in a folder, or of a hub id. Raises ConfigError for what is none."""
    folder = _find_folder(source)
    _check_files(source, folder)
    config = read_json(folder / CONFIG_FILE)
    manifest = read_json(folder / MANIFEST_FILE) if (folder / MANIFEST_FILE).is_file() else {}
    identity = {
        "files_sha256": _hash_files(folder),
        "rank": config.get("r"),
        "alpha": config.get("lora_alpha"),
        "base": config.get("base_model_name_or_path"),
    }
    weights = manifest.get("settings", {}).get("weights")
    return AdapterFiles(
        source, folder, config, read_shapes(folder / WEIGHTS_FILE, source=source), identity, weights
    )


def check_base(adapter: AdapterFiles, model: str, weights: Mapping[str, Any]) -> None:
    """Raise ConfigError if the adapter says that it was trained on other weights.

    Its manifest's hash decides where both are known in the same form, else the last part of the base's name:
    a model and its pretrained base often have the same shapes, so that nothing else would notice.
    """
    cure = (
        "give the model that it was trained on, or allow_other_base=true as a backend option if you mean it"
    )
    if adapter.base_weights and set(adapter.base_weights) == set(weights) and any(weights.values()):
        if dict(adapter.base_weights) != dict(weights):
            raise ConfigError(
                f"adapter {adapter.source!r} was trained on other weights than {model!r} has (their hashes differ; it "
                f"names {adapter.base}); {cure}"
            )
    elif adapter.base and _last_part(adapter.base) != _last_part(model):
        raise ConfigError(
            f"adapter {adapter.source!r} was made for another base model, {adapter.base}, than {model!r}; {cure}"
        )


def read_shapes(path: Path, *, source: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a safetensors file (8 bytes of length, then a JSON header)."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = orjson.loads(file.read(min(length, path.stat().st_size)))
        return {key: tuple(entry["shape"]) for key, entry in header.items() if key != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ConfigError(
            f"adapter {source!r}: {path.name} is no whole safetensors file ({error}); copy it again, or train it anew"
        ) from error


def is_hub_id(source: str) -> bool:
    """Say whether an adapter can only be one of the hub: owner/name, and nothing of that name is here."""
    folder = Path(source).expanduser()
    here = folder.exists() or folder.is_absolute() or source.startswith((".", "~"))
    return not here and source.count("/") == 1


def _find_folder(source: str) -> Path:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_id(source):
        raise ConfigError(
            f"adapter {source!r}: no such folder; give the folder that holds {CONFIG_FILE}, or a hub id (owner/name)"
        )
    return _download(source)


def _download(source: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE]))
    except (OSError, ValueError) as error:  # every error of the hub is one of the two
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"adapter {source!r}: there is no such folder, and the hub does not give it ({first}); check the name"
        ) from error


def _check_files(source: str, folder: Path) -> None:
    if not (folder / CONFIG_FILE).is_file():
        whole = (folder / "config.json").is_file()
        cure = (
            "it looks like a whole model: give it as the condition's model"
            if whole
            else "give the folder that peft's save_pretrained wrote"
        )
        raise ConfigError(f"adapter {source!r} is no peft adapter ({CONFIG_FILE} is missing); {cure}")
    if not (folder / WEIGHTS_FILE).is_file():
        raise ConfigError(
            f"adapter {source!r} has no {WEIGHTS_FILE}; save it with peft's save_pretrained (pickled weights are not "
            "read)"
        )


def _hash_files(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        path = folder / name
        digest.update(f"{name}:{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()


def _last_part(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].lower()
