"""Progress of long work, as a library sees it: something that is told how far it is."""

from __future__ import annotations

from typing import Protocol


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
        import warnings

        warnings.warn(message, stacklevel=3)
