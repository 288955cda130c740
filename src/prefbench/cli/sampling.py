"""`prefbench sample` and `prefbench import`: where responses come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefbench.cli.options import (
    JsonOption,
    StrictOption,
    VectorOption,
    read_numbers,
    read_options,
    read_pairs,
    read_vectors,
    split_commas,
)
from prefbench.errors import ConfigError

if TYPE_CHECKING:
    from prefbench.sample_report import ConditionReport, SampleReport


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("sample", rich_help_panel="The study")(sample)
    app.command("import", rich_help_panel="Set up")(import_)


def sample(
    *,
    model: Annotated[str | None, typer.Option(help="Hub id or folder; `demo` is the bundled model.")] = None,
    condition: Annotated[
        str | None,
        typer.Option("--condition", "-c", help="Name of the condition; of a study file: only these (1,dpo)."),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter of this condition: a folder or a hub id.")
    ] = None,
    study: Annotated[Path, typer.Option("--study", "-s", help="The study's folder.")] = Path("study"),
    temps: Annotated[
        str | None, typer.Option(help="Temperatures, with commas between; 0.7,1.0,1.5 if not given.")
    ] = None,
    n_samples: Annotated[int | None, typer.Option(help="Answers to each prompt; 10 if not given.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest answer in tokens; 1024 if not given.")
    ] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling mass; 0.95 if not given.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends an answer; may be repeated.")] = None,
    domains: Annotated[str | None, typer.Option(help="Only these domains, with commas between.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many prompts of each domain.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Your own prompt bank: a JSONL file or a folder of them.")
    ] = None,
    prompt_style: Annotated[
        str | None,
        typer.Option(
            help="auto, chat, completion or qa: how a prompt is put to the model; auto if not given."
        ),
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="System prompt of this condition.")] = None,
    vector: VectorOption = None,
    strict: StrictOption = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the study; 0 if not given.")] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="What generates: auto, vllm, hf, openai, anthropic; auto (vllm, else hf) if not given."
        ),
    ] = None,
    backend_option: Annotated[
        list[str] | None, typer.Option(help="key=value for the backend, e.g. batch_size=8; may be repeated.")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="key=value for vLLM's engine, e.g. max_model_len=4096 or tensor_parallel_size=2; may be repeated."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sample answers: every prompt, at every temperature, n times. Does only what is missing.

    Example:  prefbench sample --model Qwen/Qwen3-8B-Base --temps 0.7,1.0,1.5
    """
    from prefbench.cli.progress import StderrProgress
    from prefbench.sample import sample_prompts
    from prefbench.sample_report import MissingAnswersError

    failure: MissingAnswersError | None = None
    with StderrProgress() as progress:
        try:
            report = sample_prompts(
                study,
                model=model,
                condition=split_commas(condition),
                adapter=adapter,
                temps=read_numbers(temps, "temperature"),
                n_samples=n_samples,
                max_tokens=max_tokens,
                top_p=top_p,
                stop=stop,
                domains=split_commas(domains),
                limit=limit,
                prompts=prompts,
                prompt_style=prompt_style,  # type: ignore[arg-type]  # checked where conditions are
                system_prompt=system_prompt,
                vectors=read_vectors(vector),
                strict=strict,
                seed=seed,
                backend=backend,
                backend_options={
                    **read_options(backend_option, "backend option"),
                    **read_options(engine, "engine argument"),
                },
                progress=progress,
            )
        except MissingAnswersError as error:  # what is written is told all the same
            report, failure = error.report, error
    _print_report(report, as_json=as_json)
    if failure is not None:
        raise failure


def _print_report(report: SampleReport, *, as_json: bool) -> None:
    from prefbench.cli.output import note, print_json

    if as_json:
        print_json(report.to_dict())
        return
    note(f"backend {report.backend}: {report.backend_reason}")
    for done in report.conditions:
        typer.echo(_describe(done))


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A .jsonl, .csv (also .gz) or .parquet file, a log of inspect_ai (.eval, .json), or the "
            "samples_*.jsonl of lm-eval."
        ),
    ],
    *,
    study: Annotated[Path, typer.Option("--study", "-s", help="The study's folder.")] = Path("study"),
    condition: Annotated[
        str, typer.Option("--condition", "-c", help="The condition that the answers are of.")
    ] = "condition_1_base",
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="field=column, e.g. response=generations, domain=metadata.topic (inspect_ai), prompt=doc.question "
            "(lm-eval); may be repeated.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="field=value for every row, e.g. temperature=1.0; may be repeated."),
    ] = None,
    drop_missing: Annotated[bool, typer.Option(help="Leave out rows without an answer.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="table, inspect or lm-eval, where the file's name does not tell.")
    ] = None,
    partial: Annotated[
        bool, typer.Option(help="Take what is there of a run that failed or was cancelled.")
    ] = False,
    scorer: Annotated[
        str | None,
        typer.Option(help="Also take the values of this scorer (metric, column) over as verdicts."),
    ] = None,
    yes: Annotated[
        list[str] | None, typer.Option(help="With --scorer: the value that is Y; may be repeated.")
    ] = None,
    no: Annotated[
        list[str] | None,
        typer.Option(help="With --scorer: the value that is N; any other is unreadable. May be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in answers that something else has sampled, as response records.

    Fields: prompt, response, domain, temperature (needed); id, format, tags, finish_reason, tokens. A log brings its
    own; the domain comes from a sample's metadata, --map or --set.

    Example:  prefbench import answers.csv --map prompt=question --set domain=open --set temperature=1.0

    Example:  prefbench import log.eval --set domain=open --scorer commits --yes C --no I
    """
    from prefbench.cli.output import print_json
    from prefbench.importing import VerdictRule, import_responses

    if not scorer and (yes or no):
        raise ConfigError("--yes and --no are values of a scorer: give --scorer too")
    rule = VerdictRule(scorer, tuple(yes or ()), tuple(no or ())) if scorer else None

    report = import_responses(
        source,
        study=study,
        condition=condition,
        columns=read_pairs(mapping, "--map"),
        values=read_pairs(values, "--set"),
        drop_missing=drop_missing,
        kind=kind,
        rule=rule,
        partial=partial,
    )
    if as_json:
        print_json(report.to_dict())
        return
    missing = f"; {report.dropped:,} without an answer left out" if report.dropped else ""
    kept = f"; {report.kept:,} records were there already" if report.kept else ""
    typer.echo(
        f"{report.folder}: {report.written:,} records with {report.responses:,} answers from {report.rows:,} rows"
        f"{kept}{missing}"
    )
    if report.judge:
        unreadable = f", {report.unreadable:,} verdicts neither Y nor N" if report.unreadable else ""
        typer.echo(
            f"{report.folder}: {report.scored:,} records scored as the judge {report.judge}{unreadable}"
        )


def _describe(report: ConditionReport) -> str:
    speed = f", {report.tokens / report.seconds:,.0f} tokens/s" if report.seconds else ""
    kept = f", {report.kept:,} were there already" if report.kept else ""
    return f"{report.folder}: {report.written:,} records sampled in {report.seconds:.1f} s{speed}{kept}"
