"""`prefbench train`: preference pairs out of a study, and a LoRA adapter out of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefbench.cli.options import JsonOption, read_numbers, split_commas

if TYPE_CHECKING:
    from prefbench.training import PairsReport, TrainReport

train_app = typer.Typer(
    name="train",
    help="Make preference pairs from a study, and a DPO adapter from pairs.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(train_app, rich_help_panel="The study")


@train_app.command("pairs")
def pairs(
    study: Annotated[Path, typer.Argument(help="The study's folder.")] = Path("study"),
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pairs.")] = Path("pairs"),
    chosen: Annotated[
        str | None,
        typer.Option(
            help="Condition of the answers to choose; if not given, the committing ones of --rejected."
        ),
    ] = None,
    rejected: Annotated[
        str | None, typer.Option(help="Condition of the model's own default answers; the first if not given.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Choose what this judge found to commit, reject what it did not."),
    ] = None,
    temps: Annotated[str | None, typer.Option(help="Only answers at these temperatures.")] = None,
    domains: Annotated[str | None, typer.Option(help="Only these domains, with commas between.")] = None,
    per_prompt: Annotated[int, typer.Option(help="At most so many pairs to a prompt.")] = 1,
    held_out: Annotated[float, typer.Option(help="Share of prompts kept out of training.")] = 0.2,
    prompt_style: Annotated[
        str | None, typer.Option(help="chat, qa or completion; as the answers were sampled if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice and of the split.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Pair answers to the same prompt: what the model should say, and its own default.

    Example:  prefbench train pairs study --judge lexical --out pairs
    """
    from prefbench.cli.output import print_json
    from prefbench.training import build_pairs

    report = build_pairs(
        study,
        out=out,
        chosen=chosen,
        rejected=rejected,
        judge=judge,
        temps=read_numbers(temps, "temperature"),
        domains=split_commas(domains),
        per_prompt=per_prompt,
        held_out=held_out,
        prompt_style=prompt_style,
        seed=seed,
    )
    if as_json:
        print_json(report.to_dict())
        return
    _describe_pairs(report)


@train_app.command("dpo")
def dpo(
    pairs: Annotated[
        Path, typer.Argument(help="JSONL of prompt, chosen, rejected; or a folder of `train pairs`.")
    ],
    *,
    model: Annotated[str, typer.Option(help="Hub id or folder; `demo` is the bundled model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the adapter.")] = Path("adapter"),
    held_out: Annotated[Path | None, typer.Option(help="Pairs to measure the adapter on at the end.")] = None,
    rank: Annotated[int | None, typer.Option(help="LoRA rank; 64 if not given.")] = None,
    alpha: Annotated[int | None, typer.Option(help="LoRA alpha; 128 if not given.")] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="Layers, with commas between; all-linear if not given.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="5e-5 if not given.")] = None,
    beta: Annotated[float | None, typer.Option(help="DPO's beta; 0.1 if not given.")] = None,
    loss: Annotated[str | None, typer.Option(help="Losses; sigmoid,sft if not given.")] = None,
    loss_weights: Annotated[
        str | None, typer.Option(help="A weight to each; 1, of sft 0.1, if not given.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs to a step; 32 if not given.")] = None,
    micro_batch: Annotated[int, typer.Option(help="Pairs computed at once: lower it to save memory.")] = 4,
    epochs: Annotated[float | None, typer.Option(help="1 if not given.")] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Longest prompt and answer; 1024 if not given.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="linear, cosine or constant; linear if not given.")
    ] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of steps to warm up; 0 if not given.")] = None,
    seed: Annotated[int | None, typer.Option(help="0 if not given.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; a tenth of all if not given.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a LoRA adapter with DPO. Cut off, the same command goes on from its last checkpoint.

    Example:  prefbench train dpo pairs --model Qwen/Qwen3-8B-Base --out adapter
    """
    from prefbench.cli.output import print_json
    from prefbench.cli.progress import StderrProgress
    from prefbench.training import train_dpo
    from prefbench.training.recipe import make_recipe

    recipe = make_recipe(
        rank=rank,
        alpha=alpha,
        target_modules=split_commas(target_modules),
        learning_rate=learning_rate,
        beta=beta,
        loss_type=split_commas(loss),
        loss_weights=read_numbers(loss_weights, "loss weight"),
        batch_size=batch_size,
        epochs=epochs,
        max_length=max_length,
        scheduler=scheduler,
        warmup=warmup,
        seed=seed,
    )
    with StderrProgress() as progress:
        report = train_dpo(
            pairs,
            model=model,
            out=out,
            recipe=recipe,
            held_out=held_out,
            micro_batch=micro_batch,
            checkpoint_every=checkpoint_every,
            dtype=dtype,
            device=device,
            revision=revision,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
        return
    _describe_training(report)


def _describe_pairs(report: PairsReport) -> None:
    from prefbench.cli.output import note

    typer.echo(
        f"{report.folder}: {report.pairs:,} pairs to train on, {report.held_out_pairs:,} held out with "
        f"{report.held_out_prompts:,} of {report.prompts:,} prompts; chosen {report.chosen}, rejected {report.rejected}"
    )
    lacking = {
        "prompts without an answer to choose": report.without_chosen,
        "prompts without one to reject": report.without_rejected,
        "answers cut off at max_tokens, left out": report.cut_off,
        "answers without a readable verdict, left out": report.unscored,
    }
    for what, count in lacking.items():
        if count:
            note(f"  {count:,} {what}")
    note(f"Go on with:  prefbench train dpo {report.folder} --model MODEL --out adapter")


def _describe_training(report: TrainReport) -> None:
    from prefbench.cli.output import note

    if report.finished_before:
        typer.echo(f"{report.adapter}: is there already, from these pairs and this recipe")
        return
    typer.echo(
        f"{report.adapter}: {report.steps:,} steps on {report.pairs:,} pairs in {report.seconds:.1f} s; margin "
        f"{report.margin:+.2f}, accuracy {report.accuracy:.1%} over the last tenth"
    )
    if report.held_out_pairs:
        typer.echo(
            f"{report.held_out_pairs:,} held-out pairs: margin {report.held_out_margin:+.2f}, accuracy "
            f"{report.held_out_accuracy:.1%}"
        )
    note(f"Sample with it:  prefbench sample --model MODEL --condition dpo --adapter {report.adapter}")
