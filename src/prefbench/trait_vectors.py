"""`prefbench vectors`: extract a trait vector from a model's contrasting answers; check vectors on a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from prefbench.backends import SteeringBackend, Treatment, choose_backend, close_backend, open_backend
from prefbench.bank import load_bank
from prefbench.conditions import describe_source, make_treatment
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
from prefbench.steering.sites import find_blocks
from prefbench.steering.traits import TraitDefinition, load_trait
from prefbench.steering.vectors import hash_file, require_suffix
from prefbench.store import require_writable
from prefbench.study import Condition, VectorChoice

READ_AT_ONCE = 8
"""Sequences in one forward pass while hidden states are read."""

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
    definition = load_trait(trait) if isinstance(trait, str) else trait
    how = Extraction(method, recipe or Recipe(), layer, keep, prompt_style)
    progress = progress or Silent()
    if out is not None:  # found out now, not when the work is done
        require_suffix(Path(out))
        require_writable(Path(out))
    progress.start(f"loading {describe_source(model)} (hf)", 1)
    backend = open_backend("hf", locate_model(model), options=backend_options or {})
    progress.advance(1)
    vector, rollouts = extract_from_backend(backend, definition, how, model=model, progress=progress)
    if out is not None:
        save_vector(vector, out)
    return vector, rollouts


@dataclass(frozen=True, slots=True)
class Extraction:
    """How a vector is extracted: see `extract_vector`."""

    method: Method = "mean_difference"
    recipe: Recipe = field(default_factory=Recipe)
    layer: int | None = None
    keep: Filter | None = None
    prompt_style: PromptStyle = "auto"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        if self.method == "last_token" and self.keep is not None:
            raise ConfigError("method last_token samples no answers, so there is nothing to filter")

    def check_layer(self, blocks: int) -> None:
        """Raise ConfigError if the layer that was asked for is none of so many."""
        if self.layer is not None and not 0 <= self.layer < blocks:
            raise ConfigError(f"layer {self.layer}: the model has {blocks} blocks (0 to {blocks - 1})")

    @property
    def reads_answers(self) -> bool:
        """Whether hidden states are read at the answers' tokens, and not at the prompt's last."""
        return self.method != "last_token"


def extract_from_backend(
    backend: Any, definition: TraitDefinition, how: Extraction, *, model: str, progress: Progress
) -> tuple[TraitVector, list[Rollout]]:
    """Extract a trait vector from the model of an opened HfBackend; see `extract_vector`."""
    how.check_layer(len(find_blocks(backend.model)))
    recipe = how.recipe if how.reads_answers else how.recipe.without_answers()
    rollouts = sample_rollouts(backend, definition, recipe, style=how.prompt_style, progress=progress)
    pairs, counts = pair_up(rollouts, need_answer=how.reads_answers)
    pairs, counts = filter_pairs(pairs, counts, how.keep, definition=definition)
    for name, count in counts.items():
        if name.startswith("left_out") and count:
            progress.warn(f"{count} of {counts['sampled']} pairs {name.replace('_', ' ')}")
    contrast = _read_contrast(backend, pairs, how, progress)
    vector = _make_vector(definition, contrast, how, progress)
    style = backend.identify(Treatment("extraction", how.prompt_style))["prompt_style"]
    origin = {
        "recipe": {**asdict(recipe), "filtered": how.keep is not None, "prompt_style": style},
        "pairs": counts,
        "definition": definition.model_dump(mode="json", exclude={"evaluation_questions"}),
        "backend": backend.describe(),
    }
    return replace(vector, model=model, weights=backend.weights, origin=origin), rollouts


def check_vectors(  # noqa: PLR0913 - the words of `prefbench vectors check`
    vectors: Sequence[VectorChoice],
    *,
    model: str,
    prompts: str | Path = "builtin",
    prompt_style: PromptStyle = "auto",
    system_prompt: str | None = None,
    strict: bool = False,
    backend: str = "auto",
    backend_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Prove on a model that vectors act as they say: the checks that run before a steered condition is sampled.

    Checks belong to a backend: they prove what it does.

    Raises BackendError if one fails, and what `make_plan` raises for vectors that do not fit.
    """
    if not vectors:
        raise ConfigError("no vector: give at least one with --vector FILE@dose=0.3")
    items = load_bank(prompts)
    name, _ = choose_backend(backend)
    progress = progress or Silent()
    progress.start(f"loading {describe_source(model)} ({name})", 1)
    opened = cast(
        "SteeringBackend",
        open_backend(name, locate_model(model), options=backend_options or {}, needs=frozenset({"steering"})),
    )
    condition = Condition(
        name="check",
        model=model,
        prompt_style=prompt_style,
        system_prompt=system_prompt,
        vectors=list(vectors),
    )
    treatment = make_treatment(condition)
    try:
        identity = opened.identify(treatment)
        opened.describe()  # some start only now
        progress.advance(1)
        progress.start("proving that the trait vectors act", 1)
        figures = opened.check_steering(treatment, items, strict=strict)
        progress.advance(1)
    finally:
        close_backend(opened)
    return {"model": model, "backend": name, "additions": identity["steering"], **figures}


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
    backend: Any, pairs: Sequence[RolloutPair], how: Extraction, progress: Progress
) -> Contrast:
    """Read the hidden states of both sides of each pair."""
    sides = [pair.positive for pair in pairs] + [pair.negative for pair in pairs]
    reads = [
        ReadFrom([*side.prompt_ids, *side.answer_ids], len(side.prompt_ids))
        if how.reads_answers
        else ReadFrom(side.prompt_ids, len(side.prompt_ids) - 1)
        for side in sides
    ]
    progress.start("reading hidden states", len(reads))
    found = read_activations(backend.model, reads, batch_size=READ_AT_ONCE, tell=progress.advance)
    middle = len(pairs)
    return Contrast(
        positive=found.means[:middle],
        negative=found.means[middle:],
        groups=[pair.positive.question for pair in pairs],
        hidden_norms=found.norms.sum(axis=0) / max(len(found.norms), 1),
    )


def _make_vector(
    definition: TraitDefinition, contrast: Contrast, how: Extraction, progress: Progress
) -> TraitVector:
    directions, quality = estimate_directions(contrast, how.method)
    chosen, reason = choose_layer(quality) if how.layer is None else (how.layer, "asked for")
    if warning := explain_weak(quality[chosen]):
        progress.warn(f"{definition.trait}, layer {chosen}: {warning}")
    return TraitVector(
        trait=definition.trait,
        vectors=dict(enumerate(directions)),
        method=how.method,
        token_rule=TOKEN_RULES[how.method],
        blocks=len(quality),
        hidden_norms={block: each.hidden_norm for block, each in enumerate(quality)},
        pairs=len(contrast.positive),
        recommended_layer=chosen,
        reason=reason,
        diagnostics=describe_quality(quality),
    )
