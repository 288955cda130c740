"""Ctrl-C while an engine runs: what is finished is handed over first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
