"""Progress on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from prefbench.cli.output import remarks

SECONDS_BETWEEN_LINES = 30.0


class StderrProgress:
    """A `prefbench.progress.Progress`; use it as a context manager so that the bar is taken down."""

    def __init__(self) -> None:
        self._console: Console = remarks()
        self._bars: Bars | None = _make_bars(self._console) if self._console.is_terminal else None
        self._task: TaskID | None = None
        self._what, self._total, self._done = "", 0, 0
        self._begun = self._told = 0.0

    def start(self, what: str, total: int) -> None:
        """Begin a bar, or write the first line of a log."""
        self._what, self._total, self._done = what, total, 0
        self._begun = self._told = time.monotonic()
        if self._bars is None:
            self._console.print(what if total == 1 else f"{what}: {total:,} to do", markup=False)
        else:
            self._task = self._bars.add_task(what, total=total, note="")

    def advance(self, units: int, note: str = "") -> None:
        """Move the bar; in a log, write a line at most every half minute."""
        self._done += units
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, advance=units, note=note)
        elif self._total == 1:
            self._console.print(f"{self._what}: {time.monotonic() - self._begun:.0f} s", markup=False)
        elif self._done >= self._total or time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            parts = [f"{self._what}: {self._done:,} of {self._total:,}", note, self._time_left()]
            self._console.print(", ".join(filter(None, parts)), markup=False)

    def warn(self, message: str) -> None:
        """Write one line above the bar."""
        self._console.print(f"warning: {message}", markup=False, soft_wrap=True, style="yellow")

    def _time_left(self) -> str:
        if not 0 < self._done < self._total:
            return ""
        seconds = (time.monotonic() - self._begun) / self._done * (self._total - self._done)
        return f"about {f'{seconds / 60:.0f} min' if seconds >= 60 else f'{seconds:.0f} s'} left"

    def __enter__(self) -> StderrProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()


def _make_bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
