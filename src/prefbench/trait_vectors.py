"""`prefbench vectors`: extract a trait vector from a model's contrasting answers; check vectors on a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from prefbench.backends import SteeringBackend, Treatment, Vector, open_backend
from prefbench.bank import load_bank
from prefbench.demo_model import locate_model
from prefbench.errors import ConfigError, unknown_name
from prefbench.progress import Progress, Silent
from prefbench.records import PromptStyle
from prefbench.rollouts import Filter, Recipe, Rollout, RolloutPair, filter_pairs, pair_up, sample_rollouts
from prefbench.steering import TraitVector, save_vector
from prefbench.steering.activations import ReadFrom, read_activations
from prefbench.steering.directions import (
    METHODS,
    Contrast,
    Method,
    choose_layer,
    describe_quality,
    estimate_directions,
    explain_weak,
)
from prefbench.steering.traits import TraitDefinition, load_trait
from prefbench.steering.vectors import hash_file
from prefbench.study import VectorChoice

TOKEN_RULES: Mapping[Method, str] = {
    "mean_difference": "mean over the answer's tokens",
    "pca": "mean over the answer's tokens",
    "last_token": "last token of the prompt, whose output decides the answer's first token",
}


def extract_vector(  # noqa: PLR0913 - the words of `prefbench vectors extract`
    trait: str | TraitDefinition,
    *,
    model: str,
    out: str | Path | None = None,
    method: Method = "mean_difference",
    recipe: Recipe | None = None,
    layer: int | None = None,
    keep: Filter | None = None,
    prompt_style: PromptStyle = "auto",
    backend_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[TraitVector, list[Rollout]]:
    """Extract a trait vector with the hf backend; return it and the rollouts that it was read from.

    For each instruction pair and question the model answers twice, once under each instruction; hidden states of
    the two sides are compared (`last_token` reads them before the answer and samples none). `keep` scores
    rollouts: pairs that do not show the contrast are left out. `layer` overrides the choice of the layer.
    Raises ConfigError if too few pairs are left, and what the backend raises.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    definition = load_trait(trait) if isinstance(trait, str) else trait
    recipe, progress = recipe or Recipe(), progress or Silent()
    backend = cast("Any", open_backend("hf", locate_model(model), options=backend_options or {}))
    if method == "last_token":
        if keep is not None:
            raise ConfigError("method last_token samples no answers, so there is nothing to filter")
        recipe = recipe.without_answers()
    rollouts = sample_rollouts(backend, definition, recipe, style=prompt_style, progress=progress)
    pairs, counts = pair_up(rollouts, need_answer=method != "last_token")
    pairs, counts = filter_pairs(pairs, counts, keep, definition=definition)
    for name, count in counts.items():
        if name.startswith("left_out") and count:
            progress.warn(f"{count} of {counts['sampled']} pairs: {name.replace('_', ' ')}")
    contrast = _read_contrast(backend, pairs, method, progress)
    vector = _make_vector(
        definition, contrast, method, layer, model=model, backend=backend, progress=progress
    )
    style = backend.identify(Treatment("extraction", prompt_style))["prompt_style"]
    origin = {
        "recipe": {**asdict(recipe), "filtered": keep is not None, "prompt_style": style},
        "pairs": counts,
        "definition": definition.model_dump(mode="json", exclude={"evaluation_questions"}),
        "backend": backend.describe(),
    }
    vector = replace(vector, origin=origin)
    if out is not None:
        save_vector(vector, out)
    return vector, rollouts


def check_vectors(
    vectors: Sequence[VectorChoice],
    *,
    model: str,
    prompts: str | Path = "builtin",
    prompt_style: PromptStyle = "auto",
    system_prompt: str | None = None,
    strict: bool = False,
    backend_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Prove on a model that vectors act as they say: the checks that run before a steered condition is sampled.

    Raises BackendError if one fails, and what `make_plan` raises for vectors that do not fit.
    """
    if not vectors:
        raise ConfigError("no vector: give at least one with --vector FILE@dose=0.3")
    options = backend_options or {}
    backend = cast(
        "SteeringBackend",
        open_backend("hf", locate_model(model), options=options, needs=frozenset({"steering"})),
    )
    treatment = Treatment("check", prompt_style, system_prompt, vectors=to_backend_vectors(vectors))
    identity = backend.identify(treatment)
    figures = backend.check_steering(treatment, load_bank(prompts), strict=strict)
    return {"model": model, "additions": identity["steering"], **figures}


def to_backend_vectors(vectors: Sequence[VectorChoice]) -> tuple[Vector, ...]:
    """Return the vectors of a condition as a backend takes them."""
    return tuple(
        Vector(
            each.file,
            each.coefficient,
            each.dose,
            tuple(each.layers) if each.layers else None,
            each.positions,
        )
        for each in vectors
    )


def describe_vector(path: str | Path) -> dict[str, Any]:
    """Return what a trait-vector file (of any known format) says, ready for JSON, with one row a block."""
    from prefbench.steering.convert import read_vector

    vector, remarks = read_vector(path)
    rows = [
        {
            "layer": layer,
            "norm": vector.norm(layer),
            "hidden_norm": vector.hidden_norms.get(layer),
            **{
                name: vector.diagnostics.get(layer, {}).get(name)
                for name in ("cosine", "separation", "accuracy")
            },
        }
        for layer in vector.layers
    ]
    return {
        "file": str(path),
        "sha256": hash_file(path),
        "trait": vector.trait,
        "method": vector.method,
        "token_rule": vector.token_rule,
        "model": vector.model,
        "weights": dict(vector.weights),
        "blocks": vector.blocks,
        "width": vector.width,
        "pairs": vector.pairs,
        "recommended_layer": vector.recommended_layer,
        "reason": vector.reason,
        "layers": rows,
        "origin": dict(vector.origin),
        "remarks": remarks,
    }


def _read_contrast(
    backend: Any, pairs: Sequence[RolloutPair], method: Method, progress: Progress
) -> Contrast:
    """Read the hidden states of both sides of each pair."""
    sides = [pair.positive for pair in pairs] + [pair.negative for pair in pairs]
    answers = method != "last_token"
    reads = [
        ReadFrom(
            [*side.prompt_ids, *(side.answer_ids if answers else ())], len(side.prompt_ids) - (not answers)
        )
        for side in sides
    ]
    progress.start("reading hidden states", len(reads))
    found = read_activations(backend.model, reads, batch_size=8, tell=progress.advance)
    middle = len(pairs)
    return Contrast(
        positive=found.means[:middle],
        negative=found.means[middle:],
        groups=[pair.positive.question for pair in pairs],
        hidden_norms=found.norms.mean(axis=0) if len(found.norms) else found.norms.sum(axis=0),
    )


def _make_vector(
    definition: TraitDefinition,
    contrast: Contrast,
    method: Method,
    layer: int | None,
    *,
    model: str,
    backend: Any,
    progress: Progress,
) -> TraitVector:
    directions, quality = estimate_directions(contrast, method)
    blocks = len(quality)
    if layer is not None and not 0 <= layer < blocks:
        raise ConfigError(f"layer {layer}: the model has {blocks} blocks (0 to {blocks - 1})")
    chosen, reason = choose_layer(quality) if layer is None else (layer, "asked for")
    if warning := explain_weak(quality[chosen]):
        progress.warn(f"{definition.trait}, layer {chosen}: {warning}")
    return TraitVector(
        trait=definition.trait,
        vectors=dict(enumerate(directions)),
        method=method,
        token_rule=TOKEN_RULES[method],
        model=model,
        weights=backend.weights,
        blocks=blocks,
        hidden_norms={block: each.hidden_norm for block, each in enumerate(quality)},
        pairs=len(contrast.positive),
        recommended_layer=chosen,
        reason=reason,
        diagnostics=describe_quality(quality),
    )
