"""Progress of long work, as a library sees it: something that is told how far it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from prefbench.errors import PrefbenchWarning


class Progress(Protocol):
    """Told of the work of one step; the command line draws a bar, a notebook may draw its own."""

    def start(self, what: str, total: int) -> None:
        """Begin a step of `total` units."""
        ...

    def advance(self, units: int, note: str = "") -> None:
        """Say that so many more units are done."""
        ...

    def warn(self, message: str) -> None:
        """Pass on one line that the user should read, though the work goes on."""
        ...


class Silent:
    """The progress of somebody who does not want to be told; warnings go to the `warnings` module."""

    def start(self, what: str, total: int) -> None:
        """Take note of nothing."""

    def advance(self, units: int, note: str = "") -> None:
        """Take note of nothing."""

    def warn(self, message: str) -> None:
        """Raise a Python warning."""
        warnings.warn(message, stacklevel=3)


@contextmanager
def told_warnings(progress: Progress) -> Iterator[list[str]]:
    """Within the block, pass on every PrefbenchWarning to `progress`; yield the list that they are kept in."""
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", PrefbenchWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, PrefbenchWarning):
                show(message, category, *place, **more)
                return
            told.append(str(message))
            progress.warn(str(message))

        warnings.showwarning = tell
        yield told
