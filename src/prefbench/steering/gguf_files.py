"""GGUF control vectors, as repeng and llama.cpp write them: read and write, with the right map of layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.errors import ConfigError, DataError, MissingExtraError
from prefbench.steering.vectors import TraitVector, check_vector, from_metadata, hash_file, to_metadata
from prefbench.store import writing

ARCHITECTURE = "controlvector"
DIRECTION = "direction."
OWN_KEY = "prefbench.trait_vector"

_REPENG = "direction.N is block N"
_LLAMA_CPP = "direction.N was read at block N - 1, as llama.cpp's generator counts"


def read_gguf(path: Path, layout: str) -> tuple[TraitVector, list[str]]:
    """Return the vector in a GGUF file and a remark on how its layers were read.

    repeng (and prefbench) write block N as `direction.N`, the block at whose output llama.cpp then adds it.
    llama.cpp's own generator reads block N - 1 and calls it `direction.N`. The two can be told apart: repeng
    writes `layer_count` as an unsigned integer, llama.cpp as a signed one.
    Raises DataError for a file that is no control vector.
    """
    fields, tensors = _read(path)
    if fields.get("general.architecture") != ARCHITECTURE:
        raise DataError(
            f"{path}: is GGUF of architecture {fields.get('general.architecture')!r}, not a control vector"
        )
    if layout == "auto":
        layout = "llama.cpp" if fields.get("signed_layer_count") else "repeng"
    shift = 1 if layout == "llama.cpp" else 0
    try:
        vectors = {int(name.removeprefix(DIRECTION)) - shift: values for name, values in tensors.items()}
    except ValueError as error:
        raise DataError(f"{path}: a tensor is not called direction.N ({error})") from error
    remark = f"read as {layout}: {_LLAMA_CPP if shift else _REPENG}"
    origin = {"converted_from": path.name, "sha256": hash_file(path), "layer_map": remark}
    own = fields.get(OWN_KEY)
    known = from_metadata(json.loads(own)) if own and not shift else _from_hint(path, fields)
    vector = TraitVector(vectors=vectors, **{**known, "origin": {**known.get("origin", {}), **origin}})
    return check_vector(vector, str(path)), [remark]


def write_gguf(vector: TraitVector, path: Path) -> list[str]:
    """Write block N as `direction.N`; return remarks. llama.cpp has no place for block 0, which is left out.

    Raises ConfigError if nothing else is there.
    """
    gguf = _gguf()
    layers = [layer for layer in vector.layers if layer > 0]
    remarks = (
        [] if layers == vector.layers else ["block 0 is left out: a GGUF control vector begins at block 1"]
    )
    if not layers or vector.recommended_layer == 0:
        raise ConfigError(
            f"{path}: the vector {'has' if not layers else 'recommends'} block 0, where a GGUF control vector can "
            "hold nothing"
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(path, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", vector.model or "unknown")
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(layers))
        writer.add_string(OWN_KEY, json.dumps(to_metadata(vector)))
        for layer in layers:
            values = np.ascontiguousarray(vector.vectors[layer], dtype=np.float32)
            writer.add_tensor(f"{DIRECTION}{layer}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return remarks


def _from_hint(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    return {"trait": path.stem, "model": fields.get(f"{ARCHITECTURE}.model_hint")}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    gguf = _gguf()
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        count = reader.fields.get(f"{ARCHITECTURE}.layer_count")
        tensors = {
            tensor.name: np.array(tensor.data, dtype=np.float32)
            for tensor in reader.tensors
            if tensor.name.startswith(DIRECTION)
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: is not GGUF, or is cut off ({error}); get the file again") from error
    if count is not None:
        fields["signed_layer_count"] = count.types[-1] in _SIGNED
    return fields, tensors


_SIGNED = (1, 3, 5, 11)
"""GGUF's signed integer types: int8, int16, int32, int64."""


def _gguf() -> Any:
    try:
        import gguf
    except ModuleNotFoundError:
        raise MissingExtraError("reading and writing GGUF control vectors", "gguf") from None
    return gguf
