"""OpenAI's Batch API: a file of items, a batch that names it, files of results; found again by its metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson

from prefbench.backends.base import Completion, Fault, Request
from prefbench.backends.openai import OpenAIBackend, read_chat
from prefbench.backends.remote.batches import Found, ItemOutcome, Progressed
from prefbench.backends.remote.faults import is_overflow, redact
from prefbench.backends.remote.journal import Intent

METADATA_KEY = "prefbench_batch"
CLOCKS_APART = 600.0  # seconds
_ENDED = frozenset({"completed", "expired", "cancelled", "failed"})


class OpenAIBatches:
    """The Batch API. At most 50,000 items or 200 MB each; ours stay below, so that parts come back sooner."""

    most_items = 10_000
    most_bytes = 100_000_000

    def __init__(self, backend: OpenAIBackend) -> None:
        self._backend = backend

    def item(self, custom_id: str, request: Request) -> bytes:
        """Return one item."""
        line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions"}
        return orjson.dumps(line | {"body": self._backend.body(request)})

    def prepare(self, intent: Intent, items: Sequence[bytes]) -> None:
        """Upload the file of items; without a batch that names it, it costs nothing."""
        content = b"".join(item + b"\n" for item in items)
        file = self._backend.blocking.files.create(file=(f"{intent.name}.jsonl", content), purpose="batch")
        intent.input_file_id = str(file.id)

    def begin(self, intent: Intent, items: Sequence[bytes]) -> str:
        """Begin the batch, with the intent's name in its metadata."""
        batch = self._backend.blocking.batches.create(
            input_file_id=str(intent.input_file_id),
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={METADATA_KEY: intent.name},
        )
        return str(batch.id)

    def find(self, intent: Intent, known: frozenset[str]) -> Found:
        """Look for the intent's name, or its file, among the batches of that time."""
        earliest = datetime.fromisoformat(intent.submitted or intent.created).timestamp() - CLOCKS_APART
        for batch in self._backend.blocking.batches.list(limit=100):
            if batch.created_at < earliest:
                break
            if (batch.metadata or {}).get(METADATA_KEY) == intent.name:
                return Found(str(batch.id))
            if intent.input_file_id and batch.input_file_id == intent.input_file_id:
                return Found(str(batch.id))
        return Found()

    def progress(self, batch_id: str) -> Progressed:
        """Ask how far a batch is."""
        batch = self._backend.blocking.batches.retrieve(batch_id)
        counts = batch.request_counts
        told = (
            {"total": counts.total, "completed": counts.completed, "failed": counts.failed} if counts else {}
        )
        failure = None
        if batch.status == "failed":
            problems = [
                each.message or each.code for each in (batch.errors.data if batch.errors else None) or []
            ]
            failure = redact("; ".join(str(each) for each in problems[:3]) or "no reason was given")
        return Progressed(batch.status in _ENDED, batch.status, told, failure)

    def results(self, batch_id: str) -> Iterator[bytes]:
        """Yield the lines of the file of answers, then those of the file of errors."""
        batch = self._backend.blocking.batches.retrieve(batch_id)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                yield from (
                    line
                    for line in self._backend.blocking.files.content(file_id).read().splitlines()
                    if line.strip()
                )

    def custom_id(self, line: dict[str, Any]) -> str:
        """Return the custom id of a result."""
        return str(line["custom_id"])

    def read(self, request: Request, line: dict[str, Any]) -> ItemOutcome:
        """Return what a result says: an answer, a fault for good, or one to be sent again."""
        from openai.types.chat import ChatCompletion

        response = line.get("response") or {}
        status = response.get("status_code")
        body = response.get("body") or {}
        if status == 200:
            return ItemOutcome("done", read_chat(request, ChatCompletion.construct(**body)))
        error = line.get("error") or body.get("error") or {}
        said = redact(f"{error.get('code') or ''} {error.get('message') or error}")
        if status is None or status >= 500 or status in (408, 409, 429):
            return ItemOutcome("again")
        fault: Fault = "overflow" if is_overflow(said) else "refused"
        return ItemOutcome("failed", Completion(request, error=said, fault=fault))
