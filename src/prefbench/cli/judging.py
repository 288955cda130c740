"""`prefbench judge`: from answers to verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefbench.cli import calibrating
from prefbench.cli.options import (
    ConditionsOption,
    JsonOption,
    StudyOption,
    read_options,
    refuse_early_options,
    split_commas,
)

if TYPE_CHECKING:
    from prefbench.judge import JudgeReport

group = typer.Typer(invoke_without_command=True, no_args_is_help=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group.callback()(judge)
    calibrating.register(group)
    app.add_typer(group, name="judge", rich_help_panel="The study")


def judge(
    context: typer.Context,
    *,
    judge_name: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Which judge; `lexical` works offline; lexical if not given."),
    ] = None,
    study: StudyOption = Path("study"),
    conditions: ConditionsOption = None,
    domains: Annotated[
        str | None,
        typer.Option(help="Only these domains, or `all`; all but the three short domains if not given."),
    ] = None,
    judge_option: Annotated[
        list[str] | None, typer.Option(help="key=value for the judge; may be repeated.")
    ] = None,
    rejudge: Annotated[
        bool, typer.Option(help="Set this judge's earlier scores aside and judge everything anew.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge answers: does each commit to a preference (Y) or not (N)? Does only what is missing.

    Example:  prefbench judge --judge lexical
    """
    if context.invoked_subcommand is not None:
        refuse_early_options(context)
        return
    from prefbench.cli.output import note, print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.judge import judge_responses

    with StderrProgress() as progress:
        reports = judge_responses(
            study,
            judge=judge_name,
            judge_options=read_options(judge_option, "judge option"),
            conditions=split_commas(conditions),
            domains=split_commas(domains),
            rejudge=rejudge,
            progress=progress,
        )
    if as_json:
        print_json([report.to_dict() for report in reports])
        return
    for report in reports:
        typer.echo(_describe(report))
        if report.left_out:
            count = sum(report.left_out.values())
            note(
                f"  {count:,} records of {', '.join(report.left_out)} not judged; --domains all judges them too"
            )


def _describe(report: JudgeReport) -> str:
    kept = f", {report.kept:,} were there already" if report.kept else ""
    unreadable = f", {report.unreadable:,} verdicts unreadable" if report.unreadable else ""
    return f"{report.folder}: {report.written:,} records judged by {report.judge}{kept}{unreadable}"
