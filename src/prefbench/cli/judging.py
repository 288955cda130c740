"""`prefbench judge` and `prefbench judge status`: from answers to verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from prefbench.estimate import JudgingEstimate
    from prefbench.judge import JudgeReport
    from prefbench.status import JudgeState

group = typer.Typer(invoke_without_command=True, no_args_is_help=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group.callback()(judge)
    calibrating.register(group)
    group.command("status")(status)
    app.add_typer(group, name="judge", rich_help_panel="The study")


def judge(
    context: typer.Context,
    *,
    judge_name: Annotated[
        str | None,
        typer.Option(
            "--judge", "-j", help="lexical (offline), claude, openai, hf, vllm, ..; lexical if not given."
        ),
    ] = None,
    study: StudyOption = Path("study"),
    conditions: ConditionsOption = None,
    domains: Annotated[
        str | None,
        typer.Option(help="Only these domains, or `all`; all but the three short domains if not given."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The judge's model; the provider's usual one if not given.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="A server that speaks the provider's API: http://localhost:8000/v1.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Folder of the scores; the judge's name if not given.")
    ] = None,
    rubric: Annotated[
        str | None, typer.Option(help="A shipped rubric, or your own .toml file; preference-v1 if not given.")
    ] = None,
    per_response: Annotated[
        bool, typer.Option("--per-response", help="One call for each response, not for each record.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="In batches, at half the price; may be left and come back to."),
    ] = False,
    wait: Annotated[bool, typer.Option(help="With --batch: stay until all batches have ended.")] = True,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Show calls, tokens, money and hours; send nothing.")
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(help="Most dollars that this judge may cost in this study, earlier runs included."),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(help="Dollars per million input/output tokens, as 2/10, for a model not known here."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Most calls under way at once; 64 if not given.")
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

    Keys come from the environment: ANTHROPIC_API_KEY, OPENAI_API_KEY.

    Example:  prefbench judge --judge claude --estimate
    """
    if context.invoked_subcommand is not None:
        refuse_early_options(context)
        return
    given = {
        "model": model,
        "base_url": base_url,
        "name": name,
        "rubric": rubric,
        "per_response": per_response or None,
        "batch": batch or None,
        "budget": budget,
        "price": price,
        "concurrency": concurrency,
    }
    options = read_options(judge_option, "judge option")
    options |= {option: value for option, value in given.items() if value is not None}
    chosen: dict[str, Any] = {
        "judge": judge_name,
        "judge_options": options,
        "conditions": split_commas(conditions),
        "domains": split_commas(domains),
    }
    if estimate:
        _estimate(study, chosen, as_json=as_json)
    else:
        _judge(study, chosen, rejudge=rejudge, wait=wait, as_json=as_json)


def status(
    *,
    study: StudyOption = Path("study"),
    conditions: ConditionsOption = None,
    ask: Annotated[bool, typer.Option(help="Ask the providers about batches in flight.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show how far each judge is: scores, money, batches in flight. Changes nothing.

    Example:  prefbench judge status
    """
    from prefbench.cli.output import note, print_json, print_table
    from prefbench.status import judge_status

    states = judge_status(study, conditions=split_commas(conditions), ask=ask)
    if as_json:
        print_json([state.to_dict() for state in states])
        return
    columns = ["<condition", "<judge", "scored", "missing", "unreadable verdicts", "in flight", "spent"]
    print_table("Judges", columns, [_state_row(state) for state in states])
    for state in states:
        for batch in state.batches:
            counts = ", ".join(f"{count:,} {name}" for name, count in batch.counts.items() if count)
            typer.echo(
                f"{state.condition} {state.judge}: {batch.batch_id or 'a batch without an id yet'}: {batch.state}, "
                f"{batch.items:,} items{f' ({counts})' if counts else ''}, {batch.hours:.1f} h"
            )
        if state.note:
            note(f"{state.condition} {state.judge}: not asked: {state.note}")


def _judge(study: Path, chosen: dict[str, Any], *, rejudge: bool, wait: bool, as_json: bool) -> None:
    from prefbench.cli.output import note, print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.judge import judge_responses

    with StderrProgress() as progress:
        reports = judge_responses(study, **chosen, rejudge=rejudge, wait=wait, progress=progress)
    if as_json:
        print_json([report.to_dict() for report in reports])
        return
    for report in reports:
        typer.echo(_describe(report))
        for remark in _remarks(report):
            note(f"  {remark}")


def _estimate(study: Path, chosen: dict[str, Any], *, as_json: bool) -> None:
    from prefbench.cli.output import note, print_json
    from prefbench.estimate import estimate_judging

    found = estimate_judging(study, **chosen)
    if as_json:
        print_json(found.to_dict())
        return
    for line in _describe_estimate(found):
        typer.echo(line)
    if found.dollars_live is None:
        note(
            f"the price of {found.model} is not known: give --price INPUT/OUTPUT in dollars per million tokens"
        )


def _describe(report: JudgeReport) -> str:
    kept = f", {report.kept:,} were there already" if report.kept else ""
    unreadable = f", {report.unreadable:,} verdicts unreadable" if report.unreadable else ""
    spent = f", ${report.dollars:,.2f} for {report.calls:,} calls" if report.dollars is not None else ""
    return f"{report.folder}: {report.written:,} records judged by {report.judge}{kept}{unreadable}{spent}"


def _remarks(report: JudgeReport) -> list[str]:
    remarks = []
    if report.left_out:
        count = sum(report.left_out.values())
        remarks.append(
            f"{count:,} records of {', '.join(report.left_out)} not judged; --domains all judges them too"
        )
    if report.in_flight:
        remarks.append(
            f"{report.in_flight:,} items are in flight in batches; the same command collects them, `prefbench judge "
            "status` shows them"
        )
    if report.budget_reached:
        remarks.append(
            "stopped: what is left of the budget does not cover a further call; a larger --budget goes on"
        )
    return remarks


def _describe_estimate(found: JudgingEstimate) -> list[str]:
    source = (
        f"measured over {found.measured_calls:,} calls of this judge" if found.measured_calls else "assumed"
    )
    lines = [
        f"{found.judge} ({found.model}): {found.records:,} records, {found.responses:,} responses, "
        f"{found.calls:,} calls",
        f"tokens: {found.input_tokens:,} in ({found.rubric_tokens:,} of each call are the rubric), "
        f"{found.output_tokens:,} out",
        f"live: {_dollars(found.dollars_live)}, {_hours(found.hours_live)}, the rubric cached",
        f"--batch: {_dollars(found.dollars_batch)}, at most {_hours(found.hours_batch)}, often within one",
        f"({found.characters_per_token:g} characters a token and {found.seconds_per_call:g} s a call {source}; "
        f"prices of {found.prices_checked})",
    ]
    return [*lines, f"spent so far: {_dollars(found.spent)}"] if found.spent else lines


def _dollars(value: float | None) -> str:
    return "price not known" if value is None else f"${value:,.2f}"


def _hours(value: float) -> str:
    return f"{60 * value:.0f} min" if value < 1 else f"{value:.1f} h"


def _state_row(state: JudgeState) -> list[str]:
    spent = "-" if state.dollars is None else f"${state.dollars:,.2f}"
    counts = (state.scored, state.missing, state.unreadable, state.in_flight)
    return [state.condition, state.judge, *(f"{count:,}" for count in counts), spent]
