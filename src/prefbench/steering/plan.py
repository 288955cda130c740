"""From the vectors of a condition to what is added where: one pre-combined table a block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from prefbench.errors import ConfigError
from prefbench.records import Positions
from prefbench.steering.vectors import (
    TraitVector,
    describe_layers,
    explain_other_weights,
    hash_file,
    load_vector,
    require_fit,
)

KINDS = ("prompt", "last prompt token", "answer")
"""The rows of a table. The last prompt token is of both sorts: its output decides the first answer token."""

LARGEST_NORM = 1e15
"""Of what is added at a block: its square, and that of what comes of it, must be a number in single precision."""

_ROWS: Mapping[Positions, tuple[int, ...]] = {
    "all": (0, 1, 2),
    "prompt": (0, 1),
    "response": (1, 2),
    "decode": (2,),
}


class Choice(Protocol):
    """One vector of a condition, as the study file or a backend's treatment has it."""

    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def coefficient(self) -> float | None: ...  # noqa: D102
    @property
    def dose(self) -> float | None: ...  # noqa: D102
    @property
    def layers(self) -> Sequence[int] | None: ...  # noqa: D102
    @property
    def positions(self) -> Positions: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Addition:
    """One vector at one block: what the manifest says of it."""

    trait: str
    file: str
    sha256: str
    layer: int
    positions: Positions
    coefficient: float
    norm: float
    """The norm of the vector in the file."""
    hidden_norm: float | None
    """Mean norm of the hidden states at that block; None if the file does not say."""
    dose: float | None
    """alpha = coefficient x norm / hidden_norm."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is added to the residual stream: block -> table [3, width] float32, rows as in KINDS."""

    tables: Mapping[int, np.ndarray]
    additions: tuple[Addition, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def layers(self) -> list[int]:
        """The blocks that are steered, ascending."""
        return sorted(self.tables)

    def scaled(self, factor: float) -> Plan:
        """Return the plan with every table multiplied by a factor."""
        return replace(self, tables={layer: factor * table for layer, table in self.tables.items()})

    def only(self, layer: int) -> Plan:
        """Return the plan with one of its blocks."""
        return replace(self, tables={layer: self.tables[layer]})

    def describe(self) -> list[dict[str, Any]]:
        """Return the additions for the manifest; files by name and hash, so that a study can be moved."""
        return [asdict(addition) for addition in self.additions]


def make_plan(
    choices: Sequence[Choice],
    *,
    width: int,
    blocks: int,
    weights: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Plan:
    """Read the vectors and add them up, per block and sort of token.

    `weights` is what pins the model's weights; a vector of others is a warning in the plan, and with `strict`
    a ConfigError. Raises DataError for a file that is no trait vector, ConfigError for a vector that does not fit
    the model, an unknown layer, and a strength that is no number or cannot be computed.
    """
    tables: dict[int, np.ndarray] = {}
    additions: list[Addition] = []
    warnings: list[str] = []
    for choice in choices:
        vector = load_vector(choice.file)
        require_fit(vector, choice.file, width=width, blocks=blocks)
        if weights is not None and (warning := explain_other_weights(vector, choice.file, weights)):
            if strict:
                raise ConfigError(f"{warning}; extract it from this model, or leave out --strict")
            warnings.append(warning)
        for layer in _choose_layers(choice, vector):
            addition = _weigh(choice, vector, layer)
            additions.append(addition)
            table = tables.setdefault(layer, np.zeros((len(KINDS), width)))
            table[list(_ROWS[choice.positions])] += addition.coefficient * vector.vectors[layer].astype(
                np.float64
            )
    for layer, table in tables.items():
        if (norm := float(np.linalg.norm(table, axis=1).max())) > LARGEST_NORM:
            raise ConfigError(
                f"at block {layer} {norm:.3g} would be added, which single precision cannot compute with: give a "
                "smaller coefficient or dose"
            )
    return Plan(
        {layer: table.astype(np.float32) for layer, table in tables.items()},
        tuple(additions),
        tuple(warnings),
    )


def _choose_layers(choice: Choice, vector: TraitVector) -> list[int]:
    if choice.layers is None:
        if vector.recommended_layer is None:
            raise ConfigError(
                f"{choice.file}: recommends no layer; name some of {describe_layers(vector.layers)} with layers"
            )
        return [vector.recommended_layer]
    for layer in choice.layers:
        if layer not in vector.vectors:
            raise ConfigError(
                f"{choice.file}: has no direction for layer {layer}; it has {describe_layers(vector.layers)}"
            )
    return sorted(set(choice.layers))


def _weigh(choice: Choice, vector: TraitVector, layer: int) -> Addition:
    """Turn a dose into a coefficient, or a coefficient into the dose that it is."""
    norm, hidden = vector.norm(layer), vector.hidden_norms.get(layer)
    if choice.coefficient is not None:
        coefficient = choice.coefficient
    elif choice.dose is None:
        raise ConfigError(f"{choice.file}: give it a coefficient or a dose")
    elif hidden is None:
        raise ConfigError(
            f"{choice.file}: does not say how large the hidden states are at layer {layer}, so a dose cannot be "
            "turned into a coefficient; give a coefficient"
        )
    else:
        coefficient = choice.dose * hidden / norm
    if not math.isfinite(coefficient):
        raise ConfigError(f"{choice.file}: coefficient {coefficient} is not a finite number")
    return Addition(
        trait=vector.trait,
        file=choice.file.replace("\\", "/").rsplit("/", 1)[-1],
        sha256=hash_file(choice.file),
        layer=layer,
        positions=choice.positions,
        coefficient=coefficient,
        norm=norm,
        hidden_norm=hidden,
        dose=coefficient * norm / hidden if hidden else None,
    )
