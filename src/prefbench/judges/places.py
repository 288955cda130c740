"""What a judge that is a model keeps in its folder beside the scores: a ledger of money, and its batches."""

from __future__ import annotations

from pathlib import Path

LEDGER = "spend.jsonl"
BATCHES = "batches"


def live_items(folder: Path) -> int:
    """Return how many items of a judge's folder a provider may be working on."""
    if not (folder / BATCHES).is_dir():
        return 0
    from prefbench.backends.remote.journal import Journal

    return sum(len(intent.items) for intent in Journal(folder / BATCHES).read() if intent.live)
