"""`prefbench vectors`: extract trait vectors, look at them, convert, combine, and check them on a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prefbench.cli.options import JsonOption, StrictOption, VectorOption, read_options, read_vectors
from prefbench.errors import ConfigError

if TYPE_CHECKING:
    from prefbench.rollouts import Filter, Rollout

ModelOption = Annotated[str, typer.Option(help="Hub id or folder; `demo` is the bundled model.")]
BackendOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--backend-option", help="key=value for the hf backend, e.g. dtype=bfloat16; may be repeated."
    ),
]
StyleOption = Annotated[str, typer.Option("--prompt-style", help="auto, chat, completion or qa.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]

vectors_app = typer.Typer(
    name="vectors",
    help="Trait vectors: extract, show, convert, combine, and check them on a model.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(vectors_app, rich_help_panel="Conditions")


@vectors_app.command()
def extract(
    trait: Annotated[
        str, typer.Argument(help="A shipped trait (see `vectors traits`) or a .json definition.")
    ],
    *,
    model: ModelOption,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="TRAIT.safetensors if not given.")] = None,
    method: Annotated[str, typer.Option(help="mean_difference, last_token or pca.")] = "mean_difference",
    answers: Annotated[int, typer.Option(help="Answers to each question under each instruction.")] = 1,
    questions: Annotated[int | None, typer.Option(help="Only the first so many questions.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 128,
    temperature: Annotated[float, typer.Option(help="Of the answers.")] = 1.0,
    layer: Annotated[int | None, typer.Option(help="Recommend this layer instead of the best one.")] = None,
    filter_by: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="BACKEND=MODEL",
            help="A model that scores answers (hf=Qwen/Qwen3-8B), or your own module:function; only pairs that show "
            "the contrast are used.",
        ),
    ] = None,
    rollouts: Annotated[Path | None, typer.Option(help="Also write the answers to this .jsonl file.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the answers.")] = 0,
    prompt_style: StyleOption = "auto",
    backend_option: BackendOptions = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Extract a trait vector: answers under contrasting instructions, compared in the hidden states.

    Example:  prefbench vectors extract warmth --model Qwen/Qwen3-8B-Base
    """
    from prefbench.cli.output import note, print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.rollouts import Recipe
    from prefbench.store import require_writable
    from prefbench.trait_vectors import describe_vector, extract_vector

    target = _free(out or Path(f"{Path(trait).stem}.safetensors"), force)
    if rollouts is not None:
        if rollouts.exists():
            raise ConfigError(f"{rollouts}: is there already; give --rollouts another file")
        require_writable(rollouts)
    recipe = Recipe(answers, max_tokens, temperature, seed=seed, questions=questions)
    with StderrProgress() as progress:
        _, sampled = extract_vector(
            trait,
            model=model,
            out=target,
            method=method,  # type: ignore[arg-type]  # checked there
            recipe=recipe,
            layer=layer,
            keep=None if filter_by is None else _load_filter(filter_by),
            prompt_style=prompt_style,  # type: ignore[arg-type]  # checked where prompts are put
            backend_options=read_options(backend_option, "backend option"),
            progress=progress,
        )
    if rollouts is not None:
        _write_rollouts(rollouts, sampled)
    found = describe_vector(target)
    if as_json:
        print_json(found)
        return
    _print_vector(found)
    note(
        f"{target} written; try it with:  prefbench vectors check --model {model} --vector {target}@dose=0.3"
    )


@vectors_app.command()
def traits(*, as_json: JsonOption = False) -> None:
    """List the shipped trait definitions.

    Example:  prefbench vectors traits
    """
    from prefbench.cli.output import print_json
    from prefbench.steering.traits import load_trait, shipped_traits

    definitions = [load_trait(name) for name in shipped_traits()]
    if as_json:
        print_json([each.model_dump(mode="json") for each in definitions])
        return
    for each in definitions:
        typer.echo(f"{each.trait:<14} {each.description}")


@vectors_app.command()
def show(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".safetensors, .gguf or .pt files.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a trait vector is: its model, how it was made, and its layers.

    Example:  prefbench vectors show warmth.safetensors
    """
    from prefbench.cli.output import print_json
    from prefbench.trait_vectors import describe_vector

    found = [describe_vector(path) for path in files]
    if as_json:
        print_json(found)
        return
    for each in found:
        _print_vector(each)


@vectors_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .gguf, .pt or .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors or .gguf file to write.")],
    *,
    layout: Annotated[
        str, typer.Option(help="auto, repeng, llama.cpp, persona_vectors or steering-vectors.")
    ] = "auto",
    trait: Annotated[str | None, typer.Option(help="Name of the trait; the file's own if not given.")] = None,
    layer: Annotated[int | None, typer.Option(help="The layer to recommend.")] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert between prefbench's files and those of other tools, by the suffixes.

    Example:  prefbench vectors convert repeng.gguf warmth.safetensors --trait warmth --layer 14
    """
    from prefbench.cli.output import note, print_json
    from prefbench.errors import unknown_name
    from prefbench.steering.convert import LAYOUTS, convert_vector
    from prefbench.trait_vectors import describe_vector

    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    _, remarks = convert_vector(
        source, _free(target, force), layout=layout, trait=trait, recommended_layer=layer
    )
    if as_json:
        print_json({**describe_vector(target), "remarks": remarks})
        return
    for remark in remarks:
        note(f"{source}: {remark}")
    _print_vector(describe_vector(target))


@vectors_app.command()
def combine(
    parts: Annotated[
        list[str], typer.Argument(metavar="FILE@COEFFICIENT...", help="E.g. warmth.safetensors@0.5.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .safetensors file to write.")],
    trait: Annotated[str | None, typer.Option(help="Name of the sum; the parts' names if not given.")] = None,
    force: ForceOption = False,
) -> None:
    """Add vectors of one model up into one: the sum of coefficient x vector at each layer that all have.

    Example:  prefbench vectors combine warmth.safetensors@1 openness.safetensors@0.5 -o mix.safetensors
    """
    from prefbench.cli.options import read_part
    from prefbench.steering import combine_vectors, load_vector, save_vector
    from prefbench.trait_vectors import describe_vector

    read = [read_part(part) for part in parts]
    vectors = [(load_vector(file), coefficient) for file, coefficient in read]
    name = trait or "+".join(vector.trait for vector, _ in vectors)
    save_vector(combine_vectors(vectors, trait=name), _free(out, force))
    _print_vector(describe_vector(out))


@vectors_app.command()
def check(
    *,
    model: ModelOption,
    vector: VectorOption = None,
    prompts: Annotated[
        str, typer.Option("--prompts", "-p", help="`builtin`, or a JSONL file or folder.")
    ] = "builtin",
    system_prompt: Annotated[str | None, typer.Option(help="System prompt of the condition.")] = None,
    prompt_style: StyleOption = "auto",
    strict: StrictOption = False,
    backend: Annotated[
        str, typer.Option(help="Whose steering: auto, vllm or hf; the one that samples the study.")
    ] = "auto",
    backend_option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that vectors act on a model as strongly as they say. Exit code 4 if a check fails.

    The same runs before a steered condition is sampled.

    Example:  prefbench vectors check --model Qwen/Qwen3-8B-Base --vector warmth.safetensors@dose=0.3
    """
    from prefbench.cli.output import note, print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.trait_vectors import check_vectors

    with StderrProgress() as progress:
        figures = check_vectors(
            read_vectors(vector) or [],
            model=model,
            prompts=prompts,
            prompt_style=prompt_style,  # type: ignore[arg-type]  # checked where prompts are put
            system_prompt=system_prompt,
            strict=strict,
            backend=backend,
            backend_options=read_options(backend_option, "backend option"),
            progress=progress,
        )
    if as_json:
        print_json(figures)
        return
    _print_check(figures)
    for warning in figures["warnings"]:
        note(f"warning: {warning}")


def _print_vector(found: Mapping[str, Any]) -> None:
    from prefbench.cli.output import number, percent, print_table

    typer.echo(
        f"{found['file']}: {found['trait']}, {found['method']} ({found['token_rule']}), {found['width']} wide, "
        f"model {found['model'] or 'not said'}"
    )
    if found["recommended_layer"] is not None:
        typer.echo(f"layer {found['recommended_layer']}: {found['reason']}")
    rows = [
        [
            f"{row['layer']}{' *' if row['layer'] == found['recommended_layer'] else ''}",
            number(row["norm"], 3),
            number(row["hidden_norm"], 2),
            number(row["norm"] / row["hidden_norm"] if row["hidden_norm"] else None, 3),
            *(number(row[name]) for name in ("cosine", "separation")),
            percent(row["accuracy"]),
        ]
        for row in found["layers"]
    ]
    columns = ["<layer", "norm", "hidden norm", "norm / hidden", "cosine", "separation", "accuracy"]
    print_table(f"Pairs: {found['pairs'] or 'not said'}", columns, rows)


def _print_check(figures: Mapping[str, Any]) -> None:
    from prefbench.cli.output import number, percent, print_table

    rows = [
        [
            *(each["trait"], str(each["layer"]), figures["sites"][str(each["layer"])], each["positions"]),
            *(number(each[name], 3) for name in ("coefficient", "dose", "norm")),
        ]
        for each in figures["additions"]
    ]
    columns = ["<trait", "layer", "<site", "<positions", "coefficient", "dose", "norm"]
    print_table("What is added", columns, rows)
    rows = [
        [
            str(each["layer"]),
            number(each["added"], 3),
            *(number(share, 4) for share in each["share"].values()),
        ]
        for each in figures["dose"]
    ]
    print_table(
        "What arrives, as a share of it",
        ["layer", "norm added", "prompt", "last prompt token", "answer"],
        rows,
    )
    curve = [
        [
            f"{each['factor']:g}",
            number(each["perplexity"], 1),
            percent(each["repetition"]),
            percent(each["truncated"]),
        ]
        for each in figures["curve"]
    ]
    print_table("Answers by share of the dose", ["dose", "perplexity", "repetition", "truncated"], curve)
    controls = figures["controls"]
    wrong = controls["wrong_layer"]
    typer.echo(
        f"divergence of next-token predictions from unsteered (nats): vector {controls['divergence']:.4f}, "
        f"negated {figures['mirror']['divergence']:.4f}, random of the same norm "
        f"{', '.join(f'{each:.4f}' for each in controls['random_divergence'])}"
        + (f", at layer {wrong['layer']} {wrong['divergence']:.4f}" if wrong else "")
    )
    typer.echo(
        f"all checks passed: {figures['zero']['equal']} of {figures['zero']['answers']} answers are the unsteered ones "
        "at coefficient zero, byte for byte"
    )


def _load_filter(name: str) -> Filter:
    from importlib import import_module

    backend, equals, model = name.partition("=")
    if equals:
        from prefbench.trait_scoring import open_filter

        return open_filter(backend, model)
    module, colon, function = name.partition(":")
    if not colon:
        raise ConfigError(f"--filter {name!r}: write it as BACKEND=MODEL or MODULE:FUNCTION")
    try:
        found: Filter = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"--filter {name!r}: cannot be imported ({error})") from error
    return found


def _write_rollouts(path: Path, sampled: list[Rollout]) -> None:
    from prefbench.store import Appender

    with Appender(path) as appender:
        appender.append([each.to_dict() for each in sampled])


def _free(path: Path, force: bool) -> Path:
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; give another file, or write over it with --force")
    return path
