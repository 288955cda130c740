"""Anthropic's Message Batches: items and results as its API has them, and how a lost batch is found again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from prefbench.backends.anthropic import AnthropicBackend, read_message
from prefbench.backends.base import Completion, Fault, Request
from prefbench.backends.remote.batches import Found, ItemOutcome, Progressed
from prefbench.backends.remote.faults import is_overflow, redact
from prefbench.backends.remote.journal import Intent

CLOCKS_APART = timedelta(minutes=10)
_PASSING = frozenset({"api_error", "overloaded_error", "timeout_error", "rate_limit_error"})


class AnthropicBatches:
    """Message Batches. At most 100,000 items or 256 MB each; ours stay below, so that parts come back sooner."""

    most_items = 10_000
    most_bytes = 100_000_000

    def __init__(self, backend: AnthropicBackend) -> None:
        self._backend = backend

    def item(self, custom_id: str, request: Request) -> bytes:
        """Return one item; the rubric is cached for an hour, since a batch may take longer than five minutes."""
        return orjson.dumps({"custom_id": custom_id, "params": self._backend.body(request, cache_hour=True)})

    def prepare(self, intent: Intent, items: Sequence[bytes]) -> None:
        """Nothing comes before."""

    def begin(self, intent: Intent, items: Sequence[bytes]) -> str:
        """Send the batch."""
        batch = self._backend.blocking.messages.batches.create(
            requests=[orjson.loads(item) for item in items]
        )
        return str(batch.id)

    def find(self, intent: Intent, known: frozenset[str]) -> Found:
        """Look at the batches of that time with that many items: the custom ids in their results tell whose they are.

        A batch shows its custom ids only when it has ended, so that one under way is not decided yet.
        """
        earliest = datetime.fromisoformat(intent.submitted or intent.created) - CLOCKS_APART
        undecided = False
        for batch in self._backend.blocking.messages.batches.list(limit=100):
            if batch.created_at < earliest:
                break
            counts = batch.request_counts
            total = counts.processing + counts.succeeded + counts.errored + counts.expired + counts.canceled
            if batch.id in known or total != len(intent.items):
                continue
            if batch.processing_status != "ended":
                undecided = True
            elif (
                next(iter(self._backend.blocking.messages.batches.results(batch.id))).custom_id
                in intent.items
            ):
                return Found(str(batch.id))
        return Found(undecided=undecided)

    def progress(self, batch_id: str) -> Progressed:
        """Ask how far a batch is."""
        batch = self._backend.blocking.messages.batches.retrieve(batch_id)
        counts = batch.request_counts
        told = {
            "processing": counts.processing,
            "succeeded": counts.succeeded,
            "errored": counts.errored,
            "expired": counts.expired,
            "canceled": counts.canceled,
        }
        return Progressed(batch.processing_status == "ended", batch.processing_status, told)

    def results(self, batch_id: str) -> Iterator[bytes]:
        """Yield the result lines."""
        for result in self._backend.blocking.messages.batches.results(batch_id):
            yield orjson.dumps(result.model_dump(mode="json"))

    def custom_id(self, line: dict[str, Any]) -> str:
        """Return the custom id of a result."""
        return str(line["custom_id"])

    def read(self, request: Request, line: dict[str, Any]) -> ItemOutcome:
        """Return what a result says: an answer, a fault for good, or one to be sent again."""
        from anthropic.types import Message

        result = line["result"]
        if result["type"] == "succeeded":
            return ItemOutcome("done", read_message(request, Message.construct(**result["message"])))
        if result["type"] in ("expired", "canceled"):
            return ItemOutcome("again")
        inner = result["error"].get("error", result["error"])
        if inner.get("type") in _PASSING:
            return ItemOutcome("again")
        said = redact(str(inner.get("message", inner)))
        fault: Fault = "overflow" if is_overflow(said) else "refused"
        return ItemOutcome("failed", Completion(request, error=said, fault=fault))
