"""How many CPU threads a model is worth: small ones lose more to waiting for each other than they win."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SMALL_MODEL = 30_000_000
"""Parameters below which one thread is used unless asked otherwise: see docs/performance.md."""


def choose_threads(model: Any) -> int | None:
    """Return 1 for a small model on a CPU, None (torch's own choice) for any other."""
    small = model.device.type == "cpu" and model.num_parameters() < SMALL_MODEL
    return 1 if small else None


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many CPU threads inside the block, and what it used before after it."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
