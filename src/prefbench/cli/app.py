"""The `prefbench` command: its sub-commands, and the boundary where an error becomes one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated, Any, NoReturn

import typer

from prefbench import __version__
from prefbench.cli import judging, labelling, planning, prompts, results, sampling, setup, training, vectors
from prefbench.errors import PrefbenchError

EXIT_INTERRUPTED = 130

# typer has carried click inside since 0.29 and imported it before: its own exceptions lead to either
_UsageError: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="prefbench",
    help="Measure how willing a language model is to express preferences.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (sampling, judging, labelling, results, planning, training, vectors, setup, prompts):
    group.register(app)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"prefbench {__version__}")  # noqa: T201 - a result, on stdout
        raise typer.Exit


@app.callback()
def _prefbench(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Measure how willing a language model is to express preferences.

    A study in three steps:  prefbench sample --model MODEL,  prefbench judge,  prefbench stats.
    Try it on the bundled model:  prefbench demo
    """


def main() -> None:
    """Run the command line and exit; errors that are expected become one line on stderr."""
    try:
        code = app(prog_name="prefbench", standalone_mode=False)
    except PrefbenchError as error:
        _fail(str(error), error.exit_code)
    except _UsageError as error:
        _fail_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C into this exit code before we see it
        _fail(
            "interrupted: what is finished is kept, and the same command goes on from there", EXIT_INTERRUPTED
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail_usage(error: Any) -> NoReturn:
    message = error.format_message().strip()
    if not message:  # no arguments at all: the help has been shown
        sys.exit(2)
    path = error.ctx.command_path if error.ctx else "prefbench"
    _fail(f"{message.rstrip('.')} (see {path} --help)", 2)


def _fail(message: str, code: int) -> NoReturn:
    print(f"prefbench: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
