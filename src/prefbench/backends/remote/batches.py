"""Batches: requests in, what is finished out; each item is submitted once, whatever is killed in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from prefbench.backends.base import Completion, Request
from prefbench.backends.remote.faults import Trouble
from prefbench.backends.remote.journal import (
    Intent,
    Journal,
    new_intent,
    request_mark,
    seconds_since,
    utc_now,
)
from prefbench.backends.remote.spend import Spend
from prefbench.errors import BackendError

ADOPTION_SECONDS = 60.0
"""How long after an uncertain submission the provider's list of batches is trusted to be complete."""
MOST_TIMES = 3
"""How often in one run an item that expired or failed in passing is sent again."""
MOST_ATTEMPTS = 5

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Progressed:
    """What a provider says of a batch."""

    ended: bool
    status: str
    counts: dict[str, int]
    failure: str | None = None
    """Why the batch as a whole was not taken."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item."""

    kind: Literal["done", "again", "failed"]
    completion: Completion | None = None
    """For an item that is done, or that failed for good."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search for a batch came to: its id, nothing, or not yet to be told."""

    batch_id: str | None = None
    undecided: bool = False


class BatchService(Protocol):
    """One provider's side of batches. Methods send one request and raise what the SDK raises."""

    most_items: int
    most_bytes: int

    def item(self, custom_id: str, request: Request) -> bytes:
        """Return one item as JSON."""
        ...

    def prepare(self, intent: Intent, items: Sequence[bytes]) -> None:
        """Do what must be done before the batch can begin; may set the intent's `input_file_id`."""
        ...

    def begin(self, intent: Intent, items: Sequence[bytes]) -> str:
        """Begin the batch and return its id. Sent once, never repeated."""
        ...

    def find(self, intent: Intent, known: frozenset[str]) -> Found:
        """Look for a batch that an intent may have begun, among those whose ids are not `known`."""
        ...

    def progress(self, batch_id: str) -> Progressed:
        """Ask how far a batch is."""
        ...

    def results(self, batch_id: str) -> Iterator[bytes]:
        """Yield the lines of the results of a batch that has ended."""
        ...

    def custom_id(self, line: dict[str, Any]) -> str:
        """Return the custom id of a result."""
        ...

    def read(self, request: Request, line: dict[str, Any]) -> ItemOutcome:
        """Return what a result says of its item."""
        ...


class Batches:
    """The batches of one judge's folder, on one provider."""

    def __init__(
        self,
        service: BatchService,
        journal: Journal,
        *,
        trouble: Callable[[Exception], Trouble],
        spend: Spend,
        known: Callable[[], frozenset[str]],
        adoption_seconds: float = ADOPTION_SECONDS,
        most_items: int | None = None,
        times: dict[str, int] | None = None,
    ) -> None:
        """`known` returns the ids of the batches of other folders: they are not ours to adopt.

        `times` says how often this run has sent each item; give it again to go on counting.
        """
        self._service = service
        self._journal = journal
        self._trouble = trouble
        self._spend = spend
        self._known = known
        self._adoption_seconds = adoption_seconds
        self._most_items = min(service.most_items, most_items or service.most_items)
        self._times = {} if times is None else times
        self.in_flight = 0
        """Items of the last pass that a provider is working on."""

    def settle(self) -> list[Intent]:
        """Adopt, poll and fetch; return the batches as they are now."""
        kept = []
        for intent in self._journal.read():
            if intent.state == "intended":
                self._journal.forget(intent)  # nothing was begun: its items are planned anew
                continue
            if intent.state == "submitting" and not self._adopt(intent):
                continue
            if intent.state == "submitted":
                self._poll(intent)
            kept.append(intent)
        return kept

    def complete(self, requests: Iterable[Request], intents: list[Intent]) -> Iterator[Completion]:
        """Yield what `intents` have finished of the requests, and submit what they do not hold.

        New batches are added to `intents`. What is in flight yields nothing: ask again later.
        """
        waiting = {request_mark(request): request for request in requests}
        for request, outcome in self._outcomes(waiting, intents):
            mark = request_mark(request)
            if outcome.completion is not None and mark in waiting:
                del waiting[mark]
                yield outcome.completion
        held = {mark for intent in intents if intent.live for mark in intent.items.values()}
        self.in_flight += sum(mark in held for mark in waiting)
        due = [mark for mark in waiting if mark not in held]
        for mark in [mark for mark in due if self._times.get(mark, 0) >= MOST_TIMES]:
            due.remove(mark)
            told = f"expired or failed {MOST_TIMES} times in batches"
            yield Completion(waiting[mark], error=told, fault="transient")
        self._submit([waiting[mark] for mark in due], intents)

    def _outcomes(
        self, waiting: dict[str, Request], intents: Sequence[Intent]
    ) -> Iterator[tuple[Request, ItemOutcome]]:
        """Yield what the finished batches say of the requests, each item once however often a file has it."""
        for intent in intents:
            wanted = {name: waiting[mark] for name, mark in intent.items.items() if mark in waiting}
            if intent.state != "ended" or not wanted:
                continue
            for line in self._journal.read_results(intent):
                name = self._service.custom_id(line)
                request = wanted.pop(name, None)
                if request is None:
                    continue
                outcome = self._service.read(request, line)
                if outcome.completion is not None and outcome.completion.usage is not None:
                    self._spend.record(request, outcome.completion.usage, batch=name)
                yield request, outcome

    def _submit(self, requests: Sequence[Request], intents: list[Intent]) -> None:
        for chunk in self._chunks(requests):
            ceiling = sum(self._spend.ceiling(request, batch=True) for request in chunk)
            intent = new_intent([request_mark(request) for request in chunk], ceiling)
            items = [
                self._service.item(name, request) for name, request in zip(intent.items, chunk, strict=True)
            ]
            self._journal.write(intent)
            self._ask(lambda intent=intent, items=items: self._service.prepare(intent, items))  # type: ignore[misc]
            intent.state, intent.submitted = "submitting", utc_now()
            self._journal.write(intent)
            self._begin(intent, items)
            intents.append(intent)
            self.in_flight += len(chunk)
            for mark in intent.items.values():
                self._times[mark] = self._times.get(mark, 0) + 1

    def _begin(self, intent: Intent, items: Sequence[bytes]) -> None:
        """Send the one request that begins a batch; where it is uncertain what became of it, leave that to `_adopt`."""
        try:
            intent.batch_id = self._service.begin(intent, items)
        except Exception as error:  # noqa: BLE001 - trouble raises again what is a bug
            trouble = self._trouble(error)
            if trouble.kind in ("fatal", "refused", "overflow", "rate"):
                self._journal.forget(intent)  # an answer that says no: nothing has begun
                raise BackendError(f"the batch was not taken: {trouble.message}") from None
            return
        intent.state = "submitted"
        self._journal.write(intent)

    def _chunks(self, requests: Sequence[Request]) -> Iterator[list[Request]]:
        """Cut requests into batches by number and size, as far as the budget covers all that they can cost."""
        chunk: list[Request] = []
        size = 0
        for request in requests:
            if not self._spend.reserve(self._spend.ceiling(request, batch=True)):
                self._spend.exhausted = True
                break
            length = len(self._service.item("x" * 64, request))
            if chunk and (len(chunk) >= self._most_items or size + length > self._service.most_bytes):
                yield chunk
                chunk, size = [], 0
            chunk.append(request)
            size += length
        if chunk:
            yield chunk

    def _adopt(self, intent: Intent) -> bool:
        """Find out whether an uncertain batch has begun; False if it has not, and is forgotten."""
        ours = frozenset(each.batch_id for each in self._journal.read() if each.batch_id)
        found = self._ask(lambda: self._service.find(intent, ours | self._known()))
        if found.batch_id is not None:
            intent.batch_id, intent.state = found.batch_id, "submitted"
            self._journal.write(intent)
            return True
        if found.undecided or seconds_since(intent.submitted or intent.created) < self._adoption_seconds:
            return True
        self._journal.forget(intent)
        return False

    def _poll(self, intent: Intent) -> None:
        batch_id = str(intent.batch_id)
        now = self._ask(lambda: self._service.progress(batch_id))
        intent.status, intent.counts = now.status, now.counts
        if now.failure is not None:
            self._journal.forget(intent)
            raise BackendError(f"batch {batch_id} was not taken: {now.failure}")
        if now.ended:
            self._ask(lambda: self._journal.save_results(intent, self._service.results(batch_id)))
            intent.state = "ended"
        self._journal.write(intent)

    def _ask(self, question: Callable[[], Value]) -> Value:
        """Ask what may be asked again, a few times. Raises BackendError."""
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                return question()
            except BackendError:
                raise
            except Exception as error:  # noqa: BLE001 - trouble raises again what is a bug
                trouble = self._trouble(error)
                if trouble.kind not in ("rate", "passing", "unreachable") or attempt == MOST_ATTEMPTS:
                    raise BackendError(
                        f"{trouble.message}; batches in flight are kept, and the same command goes on from there"
                    ) from None
            time.sleep(trouble.retry_after or 0.5 * 2 ** (attempt - 1))
        raise BackendError("no attempt was made")
