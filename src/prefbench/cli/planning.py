"""`prefbench power`: how many prompts and answers a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefbench.cli.options import (
    ConditionsOption,
    FactorsOption,
    JsonOption,
    JudgeNameOption,
    StudyOption,
    read_counts,
    read_factors,
    split_commas,
)

if TYPE_CHECKING:
    from prefbench.planning import Plan


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("power", rich_help_panel="The study")(power)


def power(
    *,
    study: StudyOption = Path("study"),
    judge: JudgeNameOption = None,
    conditions: ConditionsOption = None,
    factors: FactorsOption = None,
    prompts: Annotated[str, typer.Option(help="Numbers of prompts to show.")] = "100,300,1000,1500",
    samples: Annotated[str, typer.Option(help="Numbers of answers a cell to show.")] = "1,5,10,20",
    effect: Annotated[
        float | None, typer.Option(help="A wanted effect as a difference of rates, .05 for five points.")
    ] = None,
    wanted: Annotated[float, typer.Option("--power", help="Chance to find an effect that is there.")] = 0.8,
    level: Annotated[float, typer.Option(help="Confidence level of the test.")] = 0.95,
    correlation: Annotated[
        float,
        typer.Option(
            help="Assumed correlation of a prompt's rates, used only if the pilot has one condition."
        ),
    ] = 0.8,
    max_prompts: Annotated[
        int, typer.Option(help="The largest number of prompts that a design may have.", min=2)
    ] = 100_000,
    price_call: Annotated[float, typer.Option(help="Money for one call of the judge.")] = 0.0,
    answers_per_call: Annotated[
        int, typer.Option(help="Answers that the judge reads in one call.", min=1)
    ] = 1,
    price_gpu_hour: Annotated[float, typer.Option(help="Money for one GPU hour.")] = 0.0,
    answer_seconds: Annotated[
        float | None, typer.Option(help="GPU seconds an answer; from the pilot's manifests if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a study from a pilot: the smallest effect it could find, and the cheapest design for a wanted one.

    Example:  prefbench power --study pilot --effect 0.05 --price-call 0.002 --price-gpu-hour 2.5
    """
    from prefbench.cli.output import print_json
    from prefbench.factors import find_design
    from prefbench.folders import find_conditions
    from prefbench.planning import Costs, measure_answer_seconds, plan_study
    from prefbench.scores import load_scores
    from prefbench.study import load_study

    frame = load_scores(study, judge=judge, conditions=split_commas(conditions))
    design = find_design(
        sorted(frame["condition"].unique()),
        factors=read_factors(factors),
        configured=load_study(study).conditions,
    )
    seconds = measure_answer_seconds(find_conditions(study)) if answer_seconds is None else answer_seconds
    plan = plan_study(
        frame,
        design=design,
        prompts=read_counts(prompts, "--prompts"),
        samples=read_counts(samples, "--samples"),
        effect=effect,
        power=wanted,
        level=level,
        correlation=correlation,
        most_prompts=max_prompts,
        costs=Costs(
            judge_call=price_call,
            answers_per_call=answers_per_call,
            gpu_hour=price_gpu_hour,
            answer_seconds=seconds,
        ),
    )
    if as_json:
        print_json(plan.to_dict())
    else:
        _print_plan(plan)


def _print_plan(plan: Plan) -> None:
    from prefbench.cli.output import note, number, points
    from prefbench.cli.tables import count, print_notes, share, show, text

    def effect(name: str, title: str) -> tuple[str, object]:
        return title, lambda row: points(row[name])

    size = [text("name", "effect"), count("n_prompts", "prompts"), count("n_samples", "answers a cell")]
    show(
        f"Smallest effect that is found with power {plan.power:g} (pilot: {', '.join(plan.pilot)})",
        plan.detectable,
        [*size, effect("smallest_effect", "smallest effect")],  # type: ignore[list-item]
    )
    parts = [count("n_pilot", "pilot prompts"), count("samples", "answers a cell")]
    show(
        "How much of the variance is sampling, which more answers would lower",
        plan.variances,
        [text("name", "effect"), *parts, share("sampling_share", "sampling")],
    )
    prices = [
        ("money", lambda row: number(row["money"])),
        ("GPU hours", lambda row: number(row["gpu_hours"])),
    ]
    show(
        "The cheapest designs for the wanted effect",
        plan.designs,
        [
            *size,
            share("power", "power"),
            count("answers", "answers"),
            count("judge_calls", "judge calls"),
            *prices,
        ],
    )
    note("Effects are in percentage points of the response-level rate; the pilot's temperatures are kept.")
    print_notes(plan.notes)
