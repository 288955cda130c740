"""Ctrl-C while an engine runs: what is finished is handed over first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType


class Interrupt:
    """Whether Ctrl-C has been pressed; a second time takes effect at once."""

    def __init__(self) -> None:
        self.pressed = False

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Take note of the signal."""
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within the block, Ctrl-C is only taken note of; where signals cannot be handled, nothing changes."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt.note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started in the block do not hear Ctrl-C, which a terminal sends to all; this one still does.

    An engine's processes would end at once, with what is in flight; this process stops them when it has what is
    finished. They inherit the blocked signal, and handlers of their own do not unblock it.
    """
    start = BaseProcess.start

    def start_deaf(self: BaseProcess) -> None:
        resource_tracker.ensure_running()  # or the first start would do it, and unblock the signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            start(self)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    BaseProcess.start = start_deaf  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseProcess.start = start  # type: ignore[method-assign]
