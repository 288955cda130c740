"""`python -m prefbench.bank_checks [FILE_OR_FOLDER]`: print every problem; exit 1 if there is any."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from prefbench.bank import BUILTIN, data_folder, prompt_files, read_lines
from prefbench.bank_checks import check_bank_files, describe_report
from prefbench.bank_checks.schema import parse_lines
from prefbench.errors import PrefbenchError
from prefbench.records import PromptItem


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the bank that the command line names and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m prefbench.bank_checks", description="Check a prompt bank."
    )
    parser.add_argument(
        "source", nargs="?", default=BUILTIN, help="a JSONL file, a folder of them, or 'builtin'"
    )
    parser.add_argument("--profile", choices=("shipped", "custom"), help="default: shipped for our own files")
    parsed = parser.parse_args(arguments)
    try:
        own = _is_shipped(parsed.source)
        others = _other_shipped_items(parsed.source) if own else []
        report = check_bank_files(
            parsed.source, parsed.profile or ("shipped" if own else "custom"), others=others
        )
    except PrefbenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(describe_report(report))
    return 0 if report.passed else 1


def _is_shipped(source: str) -> bool:
    prompts = Path(str(data_folder())) / "prompts"
    return source == BUILTIN or prompts.resolve() in (Path(source).resolve(), Path(source).resolve().parent)


def _other_shipped_items(source: str) -> list[PromptItem]:
    if source == BUILTIN or not Path(source).is_file():
        return []
    files = [file for file in prompt_files(BUILTIN) if file.name != Path(source).name]
    return parse_lines(read_lines(files))[0]


if __name__ == "__main__":
    sys.exit(main())
