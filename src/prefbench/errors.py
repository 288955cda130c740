"""Every error that prefbench raises on purpose.

    PrefbenchError              exit 1
    ├── ConfigError             exit 2   a flag, a study file, a condition
    │   └── MissingExtraError            an optional dependency is not installed
    ├── DataError               exit 3   a file or a line of one: "file:line: what, and how to mend it"
    └── BackendError            exit 4   what generates text failed for every request
        ├── UnprovedError                what it has generated is not what was asked for
        └── MissingAnswersError          some prompts have no answers; the rest is written

The message is one line that names the thing, the place and the cure. The command line prints it and
exits with `exit_code`; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class PrefbenchError(Exception):
    """Base of all expected errors."""

    exit_code: ClassVar[int] = 1


class ConfigError(PrefbenchError):
    """Something the user chose cannot be: a flag, a study file, a condition."""

    exit_code: ClassVar[int] = 2


class MissingExtraError(ConfigError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'prefbench[{extra}]'")
        self.extra = extra


class PrefbenchWarning(UserWarning):
    """Something that the user should read, though the work goes on; the commands print it as one line."""


class DataError(PrefbenchError):
    """A file, or a line of one, cannot be read or written as it should be."""

    exit_code: ClassVar[int] = 3


class BackendError(PrefbenchError):
    """A backend failed in a way that would hit every request."""

    exit_code: ClassVar[int] = 4


class UnprovedError(BackendError):
    """A check during sampling failed: answers that are there already may not be what they say they are."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a name that is not known, with the nearest known one as the cure."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none'}")
