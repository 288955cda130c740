"""The command line: a thin face on the library, with the one error boundary."""

from prefbench.cli.app import main

__all__ = ["main"]
