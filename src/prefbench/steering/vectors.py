"""A trait vector and its file: safetensors, one float32 tensor `block_out.{k}` a block, and what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prefbench.errors import ConfigError, DataError, MissingExtraError
from prefbench.store import writing

FORMAT = "prefbench-trait-vector"
FORMAT_VERSION = 1
KEY = "block_out."
SIGN = "adding a positive multiple makes the model show more of the trait"
READ_AT = "the output of the block: the residual stream after its attention and its MLP"
LAYER_MAP = (
    "block_out.k is block k, counted from 0: hidden_states[k + 1] in transformers, except after the last"
)


@dataclass(frozen=True, slots=True)
class TraitVector:
    """A direction for one trait at some or all blocks of one model."""

    trait: str
    vectors: Mapping[int, np.ndarray]
    """Block, counted from 0 -> [width] float32, with its raw norm."""
    method: str = "unknown"
    """mean_difference, last_token, pca, combined, or what a converted file says."""
    token_rule: str = "unknown"
    """Which tokens the hidden states were read at."""
    model: str | None = None
    weights: Mapping[str, Any] = field(default_factory=dict)
    """What pins the model's weights, as the hf backend identifies them."""
    blocks: int | None = None
    """How many blocks the model has."""
    hidden_norms: Mapping[int, float] = field(default_factory=dict)
    """Block -> mean norm of the hidden states there, over the tokens of the rule: what a dose is a share of."""
    pairs: int | None = None
    """How many contrastive pairs the vector is the mean of."""
    recommended_layer: int | None = None
    reason: str | None = None
    """Why that layer."""
    diagnostics: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict)
    """Block -> cosine between differences, held-out separation and accuracy."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """How it was made: recipe, or the file that it was converted from."""

    @property
    def layers(self) -> list[int]:
        """The blocks that have a direction, ascending."""
        return sorted(self.vectors)

    @property
    def width(self) -> int:
        """The size of the residual stream."""
        return len(next(iter(self.vectors.values())))

    def norm(self, layer: int) -> float:
        """Return the norm of the direction at a block."""
        return float(np.linalg.norm(self.vectors[layer].astype(np.float64)))


def check_vector(vector: TraitVector, place: str) -> TraitVector:
    """Return the vector. Raises DataError, beginning with `place`, for one that could not be used anywhere."""
    if not vector.vectors:
        raise DataError(f"{place}: holds no direction; extract the vector again")
    for layer, values in sorted(vector.vectors.items()):
        if values.ndim != 1 or len(values) != vector.width:
            raise DataError(
                f"{place}: {KEY}{layer} has shape {list(values.shape)}, another block has [{vector.width}]; "
                "all directions must be as long as the model is wide"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{place}: {KEY}{layer} holds NaN or infinity; extract the vector again")
        if not values.any():
            raise DataError(
                f"{place}: {KEY}{layer} is all zeros and would steer nothing; leave the block out"
            )
        if vector.blocks is not None and not 0 <= layer < vector.blocks:
            raise DataError(
                f"{place}: {KEY}{layer} is beyond the {vector.blocks} blocks that the file says its model has"
            )
    if vector.recommended_layer is not None and vector.recommended_layer not in vector.vectors:
        raise DataError(
            f"{place}: recommends block {vector.recommended_layer}, which it does not hold; it has "
            f"{describe_layers(vector.layers)}"
        )
    return vector


def require_fit(vector: TraitVector, place: str, *, width: int, blocks: int) -> None:
    """Raise ConfigError if the vector cannot be of a model with this width and number of blocks."""
    if vector.width != width:
        raise ConfigError(
            f"{place}: is {vector.width} wide, the model {width}: a trait vector works only on the model it was "
            "extracted from; extract one with `prefbench vectors extract`"
        )
    if vector.blocks is not None and vector.blocks != blocks:
        raise ConfigError(
            f"{place}: is of a model with {vector.blocks} blocks, this one has {blocks}; extract one for this model"
        )
    if vector.layers[-1] >= blocks:
        raise ConfigError(
            f"{place}: has a direction for block {vector.layers[-1]}, the model has {blocks} (0 to {blocks - 1})"
        )


def explain_other_weights(vector: TraitVector, place: str, weights: Mapping[str, Any]) -> str | None:
    """Return one line if the vector is not known to be of these weights, else None."""
    shared = {"files_sha256", "commit"} & set(vector.weights) & set(weights)
    known = [name for name in shared if vector.weights[name] is not None and weights[name] is not None]
    if not known:
        named = f" ({vector.model})" if vector.model else ""
        return f"{place}: does not say by a hash which weights it is of{named}, so that cannot be checked"
    if all(vector.weights[name] == weights[name] for name in known):
        return None
    return (
        f"{place}: was extracted from other weights ({vector.model or 'unnamed'}, "
        f"{str(vector.weights[known[0]])[:12]}, now {str(weights[known[0]])[:12]}); "
        "its directions may mean nothing here"
    )


def load_vector(path: Path | str) -> TraitVector:
    """Read a trait vector. Raises DataError for a file that is none, MissingExtraError without safetensors."""
    path = Path(path)
    tensors, metadata = _read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise DataError(
            f"{path}: is safetensors, but no trait vector; bring other tools' files in with `prefbench vectors convert`"
        )
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise DataError(
            f"{path}: has format version {metadata.get('format_version')}, this prefbench reads {FORMAT_VERSION}; "
            "use the prefbench that wrote it, or extract the vector again"
        )
    try:
        vectors = {int(name.removeprefix(KEY)): values for name, values in tensors.items()}
        vector = TraitVector(vectors=vectors, **from_metadata(metadata))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: its metadata cannot be read ({error}); extract the vector again") from error
    return check_vector(vector, str(path))


def save_vector(vector: TraitVector, path: Path | str) -> None:
    """Write a trait vector, whole or not at all.

    Raises DataError if it cannot be written or is not finite, ConfigError for another suffix than .safetensors.
    """
    save = _safetensors().save
    path = Path(path)
    require_suffix(path)
    check_vector(vector, str(path))
    tensors = {
        f"{KEY}{layer}": np.ascontiguousarray(values, dtype=np.float32)
        for layer, values in sorted(vector.vectors.items())
    }
    temporary = path.with_name(f".{path.name}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_sort_header(save(tensors, metadata=to_metadata(vector))))
        temporary.replace(path)


def require_suffix(path: Path) -> None:
    """Raise ConfigError for the name of another format: files are told apart by it when they are read."""
    if path.suffix != ".safetensors":
        raise ConfigError(
            f"{path}: vectors are written as .safetensors; name it {path.with_suffix('.safetensors').name}, and turn "
            "that into another format with prefbench vectors convert"
        )


def hash_file(path: Path | str) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combine_vectors(parts: Sequence[tuple[TraitVector, float]], *, trait: str) -> TraitVector:
    """Return the sum of coefficient x vector at the blocks that all of them have.

    Raises ConfigError if they are of different models or have no block in common.
    """
    vectors = [vector for vector, _ in parts]
    first = vectors[0]
    for other in vectors[1:]:
        if (other.width, other.blocks) != (first.width, first.blocks) or other.weights != first.weights:
            raise ConfigError(
                f"{first.trait} and {other.trait} are of different models: only vectors of one model can be combined"
            )
    layers = sorted(set.intersection(*(set(vector.vectors) for vector in vectors)))
    if not layers:
        raise ConfigError("the vectors have no block in common: extract them at the same layers")
    summed = {
        layer: sum(
            (coefficient * vector.vectors[layer].astype(np.float64) for vector, coefficient in parts),
            start=np.zeros(first.width),
        ).astype(np.float32)
        for layer in layers
    }
    recommended = {vector.recommended_layer for vector in vectors}
    agreed = recommended.pop() if len(recommended) == 1 else None
    return check_vector(
        replace(
            first,
            trait=trait,
            vectors=summed,
            method="combined",
            token_rule=_one_or_mixed(vector.token_rule for vector in vectors),
            hidden_norms=_mean_norms(vectors, layers),
            pairs=None,
            recommended_layer=agreed if agreed in summed else None,
            reason=None if agreed is None else "the layer that all parts recommend",
            diagnostics={},
            origin={"parts": [[vector.trait, coefficient] for vector, coefficient in parts]},
        ),
        trait,
    )


def describe_layers(layers: Sequence[int]) -> str:
    """Return block numbers as people write them: 0-5, 7."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][1] + 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in runs)


def to_metadata(vector: TraitVector) -> dict[str, str]:
    """Return the metadata of a trait-vector file: texts as they are, everything else as JSON."""
    return {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "trait": vector.trait,
        "method": vector.method,
        "token_rule": vector.token_rule,
        "sign": SIGN,
        "read_at": READ_AT,
        "layer_map": LAYER_MAP,
        "norms": json.dumps({str(layer): vector.norm(layer) for layer in vector.layers}),
        **{name: json.dumps(_with_text_keys(getattr(vector, name))) for name in _AS_JSON},
    }


_AS_JSON = (
    *("model", "weights", "blocks", "hidden_norms", "pairs"),
    *("recommended_layer", "reason", "diagnostics", "origin"),
)


def from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a TraitVector, save the vectors, from what `to_metadata` made of them."""
    values: dict[str, Any] = {name: json.loads(metadata[name]) for name in _AS_JSON}
    for name in ("hidden_norms", "diagnostics"):
        values[name] = {int(layer): value for layer, value in values[name].items()}
    return {**values, **{name: metadata[name] for name in ("trait", "method", "token_rule")}}


def _with_text_keys(value: Any) -> Any:
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else value


def _mean_norms(vectors: Sequence[TraitVector], layers: Sequence[int]) -> dict[int, float]:
    return {
        layer: float(np.mean([vector.hidden_norms[layer] for vector in vectors]))
        for layer in layers
        if all(layer in vector.hidden_norms for vector in vectors)
    }


def _one_or_mixed(values: Any) -> str:
    found = sorted(set(values))
    return found[0] if len(found) == 1 else f"mixed: {', '.join(found)}"


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    module = _safetensors()
    try:
        with module.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if strange := [name for name in names if not name.startswith(KEY)]:
                raise DataError(f"{path}: holds {strange[0]!r} and is no trait vector")
            tensors = {name: np.asarray(file.get_tensor(name), dtype=np.float32) for name in names}
            return tensors, file.metadata() or {}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except module.SafetensorError as error:
        raise DataError(
            f"{path}: is not safetensors ({error}); bring other tools' files in with `prefbench vectors convert`"
        ) from error


def _sort_header(content: bytes) -> bytes:
    """Return a safetensors file with its header in a fixed order, so that equal vectors are equal files.

    The library writes metadata in an order that changes from call to call. The header is JSON behind its length
    in eight bytes, padded with spaces; offsets of the data count from its end.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise MissingExtraError("reading and writing trait vectors", "hf") from None
    return _Safetensors(safetensors.safe_open, safetensors.SafetensorError, safetensors.numpy.save)


@dataclass(frozen=True, slots=True)
class _Safetensors:
    """The three names that are used of the library, which is optional."""

    safe_open: Any
    SafetensorError: type[Exception]
    save: Any
