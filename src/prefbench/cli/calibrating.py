"""`prefbench judge calibrate` and `prefbench judge compare`: how far a judge can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prefbench.cli.options import (
    ConditionsOption,
    JsonOption,
    OutOption,
    StudyOption,
    read_options,
    read_pairs,
    split_commas,
)

LevelOption = Annotated[float, typer.Option(help="Confidence level of the intervals.")]
SeedOption = Annotated[int, typer.Option(help="Seed of resampling, and of the sample that is asked again.")]


def register(group: typer.Typer) -> None:
    """Add the commands of this file to `prefbench judge`."""
    group.command("calibrate")(calibrate)
    group.command("compare")(compare)


def calibrate(
    gold: Annotated[
        Path,
        typer.Argument(help="A file of `prefbench label`, or a .jsonl, .csv or .parquet table with labels."),
    ],
    *,
    study: StudyOption = Path("study"),
    judge_name: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Which judge; needed only if several have scored the study."),
    ] = None,
    judge_option: Annotated[
        list[str] | None, typer.Option(help="key=value for the judge; may be repeated.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="FIELD=COLUMN of a table, for prompt, response, label, condition, domain."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="How a table's labels read: answer=Y,refuse=N; others are left out.")
    ] = None,
    ask: Annotated[
        bool, typer.Option(help="Ask the judge again: a repeat of some records, and the canaries.")
    ] = True,
    repeats: Annotated[int, typer.Option(min=0, help="How many records to ask about a second time.")] = 50,
    level: LevelOption = 0.95,
    seed: SeedOption = 0,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a judge against labels by people: agreement, errors by condition, position, length, canaries.

    Labels of `prefbench label` are held against the study's scores; the rows of a table are judged now.

    Example:  prefbench judge calibrate study/labels/human.jsonl
    """
    from prefbench.calibration import calibrate_judge
    from prefbench.calibration.calibrate import Checks
    from prefbench.cli.calibration_tables import print_calibration
    from prefbench.cli.output import print_json, write_table
    from prefbench.cli.progress import StderrProgress

    with StderrProgress() as progress:
        result = calibrate_judge(
            gold,
            study=study,
            judge=judge_name,
            judge_options=read_options(judge_option, "judge option"),
            columns=read_pairs(columns, "--map"),
            readings=read_pairs(split_commas(labels), "label") if labels is not None else None,
            checks=Checks(ask=ask, repeats=repeats, level=_read_level(level), seed=seed),
            progress=progress,
        )
    if out is not None:
        write_table(result.tables["disagreements"], out)
    if as_json:
        print_json(result.to_dict())
    else:
        print_calibration(result)


def compare(
    *,
    study: StudyOption = Path("study"),
    judges: Annotated[
        str | None,
        typer.Option("--judges", "-j", help="Which judges, with commas between; all if not given."),
    ] = None,
    conditions: ConditionsOption = None,
    top: Annotated[int, typer.Option(min=0, help="How many of the records that differ most to list.")] = 10,
    level: LevelOption = 0.95,
    seed: SeedOption = 0,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far the judges of a study agree, the rates that each would report, and where they differ most.

    Example:  prefbench judge compare --judges lexical,claude
    """
    from prefbench.calibration import compare_judges
    from prefbench.cli.calibration_tables import print_judges
    from prefbench.cli.output import print_json, write_table

    result = compare_judges(
        study,
        judges=split_commas(judges),
        conditions=split_commas(conditions),
        top=top,
        level=_read_level(level),
        seed=seed,
    )
    if out is not None:
        write_table(result.tables["pairs"], out)
    if as_json:
        print_json(result.to_dict())
    else:
        print_judges(result)


def _read_level(level: float) -> float:
    from prefbench.errors import ConfigError
    from prefbench.statistics.intervals import check_level

    try:
        return check_level(level)
    except ValueError as error:
        raise ConfigError(f"--level {level}: {error}") from error
