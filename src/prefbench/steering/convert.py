"""Trait vectors of other tools: GGUF control vectors both ways, persona_vectors, steering-vectors."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from prefbench.errors import ConfigError, DataError, MissingExtraError
from prefbench.steering.gguf_files import read_gguf, write_gguf
from prefbench.steering.vectors import TraitVector, check_vector, hash_file, load_vector, save_vector

Layout = Literal["auto", "repeng", "llama.cpp", "persona_vectors", "steering-vectors"]
LAYOUTS: tuple[Layout, ...] = ("auto", "repeng", "llama.cpp", "persona_vectors", "steering-vectors")
_TORN_PICKLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    struct.error,
)  # fmt: skip
"""What reading a file that is cut off or overwritten raises, depending on where."""


def convert_vector(
    source: Path | str,
    target: Path | str,
    *,
    layout: Layout = "auto",
    trait: str | None = None,
    recommended_layer: int | None = None,
) -> tuple[TraitVector, list[str]]:
    """Read a vector in one format and write it in another, by the suffixes; return it, and remarks.

    Formats: `.safetensors` (prefbench), `.gguf` (repeng, llama.cpp), and to read only `.pt` (persona_vectors,
    steering-vectors). Raises ConfigError for other suffixes and for a layout that does not fit the file, DataError
    for a file that cannot be read, MissingExtraError if the library for it is not installed.
    """
    vector, remarks = read_vector(source, layout=layout, trait=trait)
    if recommended_layer is not None:
        if recommended_layer not in vector.vectors:
            raise ConfigError(
                f"{source}: has no direction for layer {recommended_layer}; it has {vector.layers}"
            )
        vector = replace(vector, recommended_layer=recommended_layer, reason="named when it was converted")
    target = Path(target)
    if target.suffix == ".safetensors":
        save_vector(vector, target)
    elif target.suffix == ".gguf":
        remarks += write_gguf(vector, target)
    else:
        raise ConfigError(f"{target}: write .safetensors or .gguf, by the suffix of the file")
    return vector, remarks


def read_vector(
    source: Path | str, *, layout: Layout = "auto", trait: str | None = None
) -> tuple[TraitVector, list[str]]:
    """Return the vector in a file of any format, and remarks on how it was read."""
    path = Path(source)
    if path.suffix == ".safetensors":
        vector, remarks = load_vector(path), list[str]()
    elif path.suffix == ".gguf":
        if layout in ("persona_vectors", "steering-vectors"):
            raise ConfigError(f"{path}: a .gguf file has the layout repeng or llama.cpp")
        vector, remarks = read_gguf(path, layout)
    elif path.suffix in (".pt", ".pth"):
        if layout in ("repeng", "llama.cpp"):
            raise ConfigError(f"{path}: a .pt file has the layout persona_vectors or steering-vectors")
        vector, remarks = _read_torch(path, layout)
    else:
        raise ConfigError(f"{path}: known formats are .safetensors, .gguf and .pt, by the suffix of the file")
    return (replace(vector, trait=trait) if trait else vector), remarks


def from_persona_vectors(table: np.ndarray, *, trait: str) -> TraitVector:
    """Return the vector in a [blocks + 1, width] table indexed as `hidden_states`: row k + 1 is block k.

    Row 0, the embeddings, belongs to no block and is left out; so are rows of zeros.
    """
    if table.ndim != 2 or len(table) < 2:
        raise DataError(f"{trait}: shape {list(table.shape)}; persona_vectors have [blocks + 1, width]")
    vectors = {row - 1: table[row].astype(np.float32) for row in range(1, len(table)) if table[row].any()}
    return TraitVector(
        trait=trait,
        vectors=vectors,
        method="mean_difference",
        token_rule="as persona_vectors names the file: response_avg, prompt_avg or prompt_last",
        blocks=len(table) - 1,
    )


def from_steering_vectors(activations: Mapping[int, Any], *, trait: str) -> TraitVector:
    """Return the vector in the `layer_activations` of a steering-vectors object: layer k is block k."""
    vectors = {int(layer): np.asarray(values, dtype=np.float32) for layer, values in activations.items()}
    return TraitVector(
        trait=trait, vectors=vectors, method="steering-vectors", token_rule="last token of each side"
    )


def _read_torch(path: Path, layout: Layout) -> tuple[TraitVector, list[str]]:
    content = _load_tensors(path)
    if hasattr(content, "ndim") and layout in ("auto", "persona_vectors"):
        table = content.float().numpy()
        if table.ndim != 2 or len(table) < 2:
            raise DataError(f"{path}: shape {list(table.shape)}; persona_vectors have [blocks + 1, width]")
        vector = from_persona_vectors(table, trait=path.stem)
        remark = "read as persona_vectors: row k + 1 of the table is block k, row 0 (embeddings) is left out"
    elif isinstance(content, dict) and layout in ("auto", "steering-vectors"):
        try:
            numbers = {int(layer): values.float().numpy() for layer, values in content.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: is no dictionary of layer -> tensor ({error})") from error
        vector = from_steering_vectors(numbers, trait=path.stem)
        remark = "read as steering-vectors: layer k is block k; its `decoder_block` layers are meant"
    else:
        raise DataError(
            f"{path}: holds a {type(content).__name__}; persona_vectors save one tensor [blocks + 1, width], of a "
            "steering-vectors object save its `layer_activations`"
        )
    origin = {"converted_from": path.name, "sha256": hash_file(path)}
    return check_vector(replace(vector, origin=origin), str(path)), [remark]


def _load_tensors(path: Path) -> Any:
    import warnings

    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtraError("reading .pt files", "hf") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused a moment later
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except _TORN_PICKLE as error:
        raise DataError(
            f"{path}: is not a file of tensors alone, and a pickle may run any code, so it is not opened; in the tool "
            "that made it, save the tensor, or torch.save(vector.layer_activations, 'vector.pt')"
        ) from error
