"""`prefbench aggregate`, `stats`, `compare` and `diff`: from verdicts to numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prefbench.cli.options import (
    ConditionsOption,
    FactorsOption,
    JsonOption,
    JudgeNameOption,
    OutOption,
    StudyOption,
    read_factors,
    split_commas,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("aggregate", rich_help_panel="The study")(aggregate)
    app.command("stats", rich_help_panel="The study")(stats)
    app.command("compare", rich_help_panel="The study")(compare)
    app.command("diff", rich_help_panel="The study")(diff)


def aggregate(
    *,
    study: StudyOption = Path("study"),
    judge: JudgeNameOption = None,
    conditions: ConditionsOption = None,
    by: Annotated[
        str,
        typer.Option(help="Groups of the table of --out: condition and any of domain, temperature, format."),
    ] = "condition,domain",
    target: Annotated[
        str,
        typer.Option(help="population: other prompts might have been asked; fixed_prompts: these ones only."),
    ] = "population",
    consistency: Annotated[
        str, typer.Option(help="max_share (as published) or pairwise (unbiased).")
    ] = "max_share",
    upper: Annotated[
        float, typer.Option(help="Share of Y from which a record is a consistent preference.")
    ] = 0.8,
    lower: Annotated[float, typer.Option(help="Share of Y up to which it is consistently none.")] = 0.2,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show rates of expressed preference, with intervals, consistency and what is missing.

    Example:  prefbench aggregate --out rates.csv
    """
    from prefbench.aggregate import aggregate_scores
    from prefbench.cli.output import print_json, write_table
    from prefbench.cli.tables import print_aggregate
    from prefbench.errors import ConfigError
    from prefbench.statistics import LabelThresholds

    try:
        thresholds = LabelThresholds(upper=upper, lower=lower)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    result = aggregate_scores(
        _load(study, judge, conditions),
        by=split_commas(by) or (),
        target=target,  # type: ignore[arg-type]  # checked there, with the nearest name
        consistency=consistency,  # type: ignore[arg-type]
        thresholds=thresholds,
    )
    if out is not None:
        write_table(result.table, out)
    if as_json:
        print_json(result.to_dict())
    else:
        print_aggregate(result)


def stats(
    *,
    study: StudyOption = Path("study"),
    judge: JudgeNameOption = None,
    conditions: ConditionsOption = None,
    correction: Annotated[str, typer.Option(help="For several comparisons: holm, bh or none.")] = "holm",
    margin: Annotated[
        float, typer.Option(help="Difference of rates that counts as none, for equivalence.")
    ] = 0.05,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    factors: FactorsOption = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Human labels of answers, JSON lines; those in the study if one person labelled it."
        ),
    ] = None,
    bayes: Annotated[
        bool,
        typer.Option(help="Also fit a hierarchical Bayesian model as a check; takes seconds to minutes."),
    ] = False,
    bayes_draws: Annotated[
        int, typer.Option(help="With --bayes: draws of each of its four chains, after as many to warm up.")
    ] = 1_000,
    seed: Annotated[
        int, typer.Option(min=0, help="Of all that draws: sign flips, the bootstrap, --bayes.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write every table to this folder, as .csv files.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the scores say: effects of treatments, domains, temperatures and formats, and what cannot be said.

    Example:  prefbench stats --factors finetuning=2,4 --factors steering=3,4
    """
    from dataclasses import replace

    from prefbench.cli.output import print_json, write_table
    from prefbench.cli.statistics_tables import print_statistics
    from prefbench.differences import confound_notes
    from prefbench.factors import find_design
    from prefbench.outcomes import load_outcomes
    from prefbench.stats import study_statistics
    from prefbench.study import load_study

    frame, chosen = _load(study, judge, conditions), split_commas(conditions)
    design = find_design(
        sorted(frame["condition"].unique()),
        factors=read_factors(factors),
        configured=load_study(study).conditions,
    )
    people, unused = _load_labels(labels, study, judge, chosen)
    result = study_statistics(
        frame,
        design=design,
        outcomes=load_outcomes(study, judge=judge, conditions=chosen),
        labels=people,
        correction=correction,  # type: ignore[arg-type]  # checked there, with the nearest name
        margin=margin,
        level=level,
        seed=seed,
    )
    remarks = confound_notes(study, judge=result.judge, conditions=chosen)
    result = replace(result, notes=[*remarks, *result.notes, *unused])
    if bayes:
        table, told = _check_by_bayes(frame, design, level=level, draws=bayes_draws, seed=seed)
        result = replace(result, tables=result.tables | {"bayes": table}, notes=[*result.notes, *told])
    if out is not None:
        for name, table in result.tables.items():
            write_table(table, out / f"{name}.csv")
    if as_json:
        print_json(result.to_dict())
    else:
        print_statistics(result)


def compare(
    first: Annotated[str, typer.Argument(help="A condition (cond1, 1, base) or the folder of one.")],
    second: Annotated[str, typer.Argument(help="The condition to compare with it.")],
    *,
    study: StudyOption = Path("study"),
    judge: JudgeNameOption = None,
    margin: Annotated[
        float, typer.Option(help="Difference of rates that counts as none, for equivalence.")
    ] = 0.05,
    top: Annotated[int, typer.Option(help="How many of the prompts that moved most to list.")] = 10,
    force: Annotated[
        bool,
        typer.Option(help="Compare also what differs in more than the treatment (judge, sampling, ...)."),
    ] = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the difference between two conditions, paired by prompt: overall, by domain, temperature and format.

    Example:  prefbench compare cond1 cond2
    """
    from dataclasses import replace

    from prefbench.choices import load_choices
    from prefbench.cli.output import print_json, write_table
    from prefbench.cli.tables import print_comparison
    from prefbench.compare import compare_conditions
    from prefbench.differences import check_comparable, diff_conditions, find_condition
    from prefbench.scores import load_pair

    frame, names = load_pair(first, second, study=study, judge=judge)
    folders = find_condition(first, study), find_condition(second, study)
    judged_by = str(frame["judge"].drop_nulls().first())
    remarks = check_comparable(diff_conditions(*folders, judge=judged_by), force=force)
    choices = load_choices(folders[0], judged_by), load_choices(folders[1], judged_by)
    result = compare_conditions(frame, *names, margin=margin, choices=choices, top=top)
    result = replace(result, notes=[*remarks, *result.notes])
    if out is not None:
        write_table(result.tables["prompts"], out)
    if as_json:
        print_json(result.to_dict())
    else:
        print_comparison(result)


def diff(
    first: Annotated[str, typer.Argument(help="A condition (cond1, 1, base) or the folder of one.")],
    second: Annotated[str, typer.Argument(help="The condition to compare with it.")],
    *,
    study: StudyOption = Path("study"),
    judge: JudgeNameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show in what two conditions differ by their manifests: treatment, confounds, and what is harmless.

    Example:  prefbench diff cond1 cond2
    """
    from prefbench.cli.output import print_json
    from prefbench.cli.tables import print_differences
    from prefbench.differences import diff_conditions, find_condition

    folders = find_condition(first, study), find_condition(second, study)
    common = sorted(set(folders[0].judges()) & set(folders[1].judges()))
    if judge is not None and judge not in common:
        from prefbench.errors import unknown_name

        raise unknown_name("judge's scores", judge, common)
    result = diff_conditions(*folders, judge=judge or (common[0] if len(common) == 1 else None))
    if as_json:
        print_json(result.to_dict())
    else:
        print_differences(result)


def _check_by_bayes(frame: Any, design: Any, *, level: float, draws: int, seed: int) -> Any:
    from prefbench.bayes import bayes_table
    from prefbench.cli.progress import StderrProgress

    with StderrProgress() as progress:
        return bayes_table(
            frame, design, level=level, seed=seed, draws=draws, warmup=draws, progress=progress
        )


def _load(study: Path, judge: str | None, conditions: str | None) -> Any:
    from prefbench.scores import load_scores

    return load_scores(study, judge=judge, conditions=split_commas(conditions))


def _load_labels(
    given: Path | None, study: Path, judge: str | None, conditions: Any
) -> tuple[Any, list[str]]:
    """Return the labels to correct by, those given or the study's own, and why its own are not used."""
    from prefbench.labels import NoUsableLabelsError, find_labels, load_labels

    found = [given] if given is not None else find_labels(study)
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        return None, [
            f"nothing is corrected by labels: {names} have labelled the study; choose one with --labels"
        ]
    try:
        labels = [load_labels(path, study, judge=judge, conditions=conditions) for path in found]
    except NoUsableLabelsError as error:
        if given is not None:
            raise
        return None, [f"nothing is corrected by labels: {error}"]
    return (labels[0] if labels else None), []
