"""`prefbench init` and `prefbench demo`: a study file to start from, and a whole study in a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prefbench.cli.options import JsonOption, split_commas
from prefbench.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("init", rich_help_panel="Set up")(init)
    app.command("demo", rich_help_panel="Set up")(demo)


def init(
    folder: Annotated[Path, typer.Argument(help="The study's folder; made if it is not there.")] = Path(
        "study"
    ),
    *,
    model: Annotated[
        str, typer.Option(help="Hub id or folder of the base condition's model.")
    ] = "Qwen/Qwen3-8B-Base",
    factorial: Annotated[
        bool, typer.Option(help="Four conditions: {base, + DPO adapter} x {no vectors, + trait vectors}.")
    ] = False,
    adapter: Annotated[
        str | None, typer.Option(help="With --factorial: the adapter's folder or hub id.")
    ] = None,
    vectors: Annotated[
        str | None, typer.Option(help="With --factorial: vector files, with commas between.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over a study file that is there.")] = False,
) -> None:
    """Write a commented study file, prefbench.toml, that `prefbench sample --study FOLDER` follows.

    Example:  prefbench init my-study --model Qwen/Qwen3-8B-Base --factorial
    """
    from prefbench.study_template import factorial_conditions, write_study_file

    if (adapter or vectors) and not factorial:
        raise ConfigError("--adapter and --vectors go with --factorial")
    conditions = (
        factorial_conditions(folder, model=model, adapter=adapter, vectors=split_commas(vectors))
        if factorial
        else None
    )
    path = write_study_file(folder, model=model, conditions=conditions, force=force)
    typer.echo(f"{path} written; edit it, then run: prefbench sample --study {folder}")


def demo(
    *,
    study: Annotated[Path, typer.Option("--study", "-s", help="Where the study goes.")] = Path("demo-study"),
    limit: Annotated[int, typer.Option(help="Prompts of each domain.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Run a whole 2x2 study on the bundled model: sample, judge, aggregate, compare. About a minute on two cores.

    The conditions: as it is, with a DPO adapter, with five trait vectors, with both. The model is a laboratory
    animal of about two million parameters: its rates mean nothing about any real model.

    Example:  prefbench demo --study demo-study
    """
    from prefbench.cli.output import note, print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.cli.statistics_tables import print_effects
    from prefbench.cli.tables import print_aggregate
    from prefbench.demo import run_demo

    with StderrProgress() as progress:
        result = run_demo(study, limit=limit, progress=progress)
    if as_json:
        print_json(result.to_dict())
        return
    print_aggregate(result.aggregate, views=("condition", "condition_domain", "condition_temperature"))
    print_effects(result.statistics)
    note("These are a laboratory animal's answers: the rates say nothing about any real model.")
    note(
        "Of the five trait vectors only decisiveness moves these rates: docs/conditions.md says what each one does."
    )
    note("The files:")
    for line in result.describe_files():
        note(f"  {line}")
    note(f"Go on with:  prefbench stats --study {study}   or   prefbench compare base dpo --study {study}")
