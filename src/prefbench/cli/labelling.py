"""`prefbench label`: read responses one by one and say Y or N, blind to where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefbench.cli.options import ConditionsOption, JsonOption, StudyOption, split_commas

if TYPE_CHECKING:
    from prefbench.cli.reading import Reader
    from prefbench.labelling import LabelSession


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("label", rich_help_panel="The study")(label)


def label(
    *,
    study: StudyOption = Path("study"),
    size: Annotated[
        int | None,
        typer.Option(help="How many responses to draw; 200 at first. A larger size adds to a draw."),
    ] = None,
    labeller: Annotated[
        str, typer.Option(help="Who labels; everybody has a file and a draw of their own.")
    ] = "human",
    conditions: ConditionsOption = None,
    domains: Annotated[
        str | None,
        typer.Option(help="Only these domains, or `all`; all but the three short domains if not given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the draw; 0 at first. Two people with one seed get one draw.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Label responses by hand: y, n, s(kip), b(ack), (n)o(te). Saved at every key; run it again to go on.

    Neither the condition nor any judge's verdict is shown.

    Example:  prefbench label --size 100
    """
    from prefbench.cli.output import print_json
    from prefbench.cli.reading import open_reader
    from prefbench.labelling import open_session

    drawn = {"conditions": split_commas(conditions), "domains": split_commas(domains)}
    with (
        open_session(study, labeller=labeller, size=size, seed=seed, **drawn) as session,
        open_reader() as reader,
    ):
        _label_all(session, reader)
    if as_json:
        print_json(session.to_dict())
    else:
        typer.echo(_describe(session))


def _label_all(session: LabelSession, reader: Reader) -> None:
    while True:
        command, text = reader.ask(session)
        if command == "quit":
            return
        if command in ("Y", "N", "skip"):
            session.give(command)  # type: ignore[arg-type]  # the three marks
        elif command == "note":
            session.annotate(text)
        elif command == "back":
            session.back()
        elif command == "forward":
            session.forward()


def _describe(session: LabelSession) -> str:
    found = session.count()
    done = found["Y"] + found["N"]
    cure = (
        "run the same command to go on"
        if found["open"]
        else f"next: prefbench judge calibrate {session.path}"
    )
    return (
        f"{session.path}: {done:,} of {found['drawn']:,} labelled ({found['Y']:,} Y, {found['N']:,} N), "
        f"{found['skipped']:,} skipped, {found['open']:,} open; {cure}"
    )
