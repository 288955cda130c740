"""The judge that is a model: a rubric and a backend, live or in batches, within a budget."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from prefbench.backends import Backend, Completion, Request, Sampling, Treatment, open_backend
from prefbench.backends.remote.backend import RemoteBackend
from prefbench.backends.remote.batches import Batches
from prefbench.backends.remote.catalogue import Price, default_model, find_model, parse_price
from prefbench.backends.remote.journal import Intent, Journal
from prefbench.backends.remote.spend import Spend
from prefbench.errors import ConfigError
from prefbench.judges.base import Judgement, Workplace
from prefbench.judges.llm.answer import answer_schema
from prefbench.judges.llm.rubric import DEFAULT_RUBRIC, load_rubric
from prefbench.judges.llm.work import Piece, RecordWork
from prefbench.judges.places import BATCHES, LEDGER
from prefbench.records import ResponseRecord

TOKENS_PER_VERDICT = 60
TOKENS_BESIDE = 160
TOKENS_OF_THOUGHT = 4_000
"""Room for a model that thinks before it answers, at low effort."""
POLL_SECONDS = 60.0
RATE_OVER = 256
"""Over how many of the last calls their rate is taken."""


class ModelJudge:
    """Reads records with a language model. One call reads one record, unless `per_response`."""

    backend_name: ClassVar[str]
    default_name: ClassVar[str]

    def __init__(  # noqa: PLR0913 - the words of `prefbench judge`
        self,
        *,
        model: str | None = None,
        name: str | None = None,
        rubric: str = DEFAULT_RUBRIC,
        per_response: bool = False,
        effort: str | None = None,
        batch: bool = False,
        budget: float | None = None,
        price: str | None = None,
        poll_seconds: float = POLL_SECONDS,
        batch_items: int | None = None,
        adoption_seconds: float | None = None,
        **backend_options: Any,
    ) -> None:
        """Take note of the options; nothing is loaded or sent, but a server of yours may be asked for its model.

        `model` defaults to the provider's in `data/models.json`. `name` is the folder of the scores; it defaults to
        the judge's, with the model's where one was named. `budget` is in dollars, `price` "input/output" in dollars
        per million tokens. `batch_items` is the most items of one batch. What is not named here goes to the backend.

        Raises ConfigError.
        """
        self.rubric = load_rubric(rubric)
        self.per_response = per_response
        self.batch = batch
        self.poll_seconds = _check_number("poll_seconds", poll_seconds, least=0)
        self._budget = _check_budget(budget)
        self._price: Price | None = parse_price(price) if price is not None else None
        self._batch_items = batch_items
        if batch_items is not None:
            _check_number("batch_items", batch_items, least=1)
        self._adoption = {} if adoption_seconds is None else {"adoption_seconds": adoption_seconds}
        self._options = backend_options
        self._backend: Backend | None = None
        self.model = model or self._find_model()
        self.facts = find_model(self.backend_name, self.model)
        self.effort = effort or (self.facts.effort if self._is_official() else None)
        self.name = name or _make_name(
            self.default_name, self.model if model or not self._is_official() else None
        )
        self._place: Workplace | None = None
        self._spend = Spend()
        self._batches: Batches | None = None
        self._times: dict[Path, dict[str, int]] = {}
        self._intents: list[Intent] = []
        self._finished: deque[float] = deque(maxlen=RATE_OVER)
        if not self.is_remote and (batch or budget is not None):
            why = "has no batches: leave --batch out" if batch else "costs no money: leave --budget out"
            raise ConfigError(f"judge {self.default_name!r} runs on this machine and {why}")
        if self.is_remote:
            self._open_backend()  # only takes note of its options, and so finds what is wrong with them

    @property
    def price(self) -> Price | None:
        """What the model costs; None if that is not known."""
        if self._price is not None:
            return self._price
        return self.facts.price if self._is_official() else None

    @property
    def is_remote(self) -> bool:
        """Whether the model is behind a network."""
        return self.backend_name in ("anthropic", "openai")

    @property
    def concurrency(self) -> int:
        """How many calls are under way at most."""
        backend = self._open_backend()
        return backend.concurrency if isinstance(backend, RemoteBackend) else 1

    def describe(self) -> dict[str, Any]:
        """Return what the scores depend on: rubric with its hash, backend, model, how it is asked."""
        return {
            "name": self.name,
            "rubric": self.rubric.describe(),
            "backend": self.backend_name,
            "model": self.model,
            "per_response": self.per_response,
            "effort": self.effort,
            "temperature": 0.0 if self._sends_sampling() else None,
        }

    def open_in(self, place: Workplace) -> None:
        """Load what is needed, and keep ledger and batches in the judge's folder from now on."""
        self.close()
        self._place = place
        self._finished.clear()
        with ExitStack() as undo:  # whatever ends it, a Ctrl-C too, closes what is open by then
            undo.callback(self.close)
            self._open_in(place)
            undo.pop_all()

    def _open_in(self, place: Workplace) -> None:
        backend = self._open_backend()
        if isinstance(backend, RemoteBackend):
            backend.check_key()
        self._spend = Spend(
            self.price,
            budget=self._budget,
            path=place.folder / LEDGER,
            others=tuple(folder / LEDGER for folder in place.others),
        )
        if isinstance(backend, RemoteBackend):
            backend.spend = self._spend
            self._open_batches(backend, place)

    def close(self) -> None:
        """Bring the ledger to the disk, and end the connections."""
        self._spend.close()
        if isinstance(self._backend, RemoteBackend):
            self._backend.close()

    def identify(self) -> dict[str, Any]:
        """Return what the backend says of the model, for the manifest."""
        return self._open_backend().identify(self._treatment())

    def report(self) -> dict[str, Any]:
        """Return what this folder's run came to so far: calls, tokens, dollars, items in flight."""
        run = self._spend.run
        return {
            "calls": run.calls,
            "input_tokens": run.usage.all_input_tokens,
            "cached_tokens": run.usage.cached_tokens,
            "output_tokens": run.usage.output_tokens,
            "dollars": round(run.dollars, 6) if self.price else None,
            "dollars_before": round(self._spend.before.dollars, 6) if self.price else None,
            "in_flight": self._batches.in_flight if self._batches else 0,
            "budget_reached": self._spend.exhausted,
            "backend": self._open_backend().describe(),
        }

    def note(self) -> str:
        """Return a few words on how it goes, for a progress bar."""
        span = self._finished[-1] - self._finished[0] if self._finished else 0.0
        rate = f"{(len(self._finished) - 1) / span:,.1f} calls/s" if span and not self.batch else ""
        return ", ".join(
            each for each in (rate, f"${self._spend.dollars:,.2f}" if self.price else "") if each
        )

    def judge(self, records: Iterable[ResponseRecord]) -> Iterator[Judgement]:
        """Yield a judgement for each record that is decided; what is in flight in a batch yields none yet."""
        calls: dict[str, tuple[RecordWork, Piece]] = {}
        ready: deque[RecordWork] = deque()
        requests: Iterable[Request] = self._first_requests(records, calls, ready)
        while True:
            further: list[Request] = []
            for completion in self._complete(requests):
                work, piece = calls.pop(completion.request.tag)
                self._finished.append(time.monotonic())
                if work.finished:
                    continue  # another of its calls has failed
                further += [self._request(work, each, calls) for each in work.take(piece, completion)]
                if work.finished:
                    yield work.judgement()
                while ready:
                    yield ready.popleft().judgement()
            while ready:
                yield ready.popleft().judgement()
            if not further:
                return
            requests = further

    def first_requests(self, records: Iterable[ResponseRecord]) -> Iterator[tuple[Request, int]]:
        """Yield the calls that records begin with, and how many responses each reads; nothing is sent."""
        calls: dict[str, tuple[RecordWork, Piece]] = {}
        for request in self._first_requests(records, calls, deque()):
            yield request, len(calls.pop(request.tag)[1].places)

    def _first_requests(
        self,
        records: Iterable[ResponseRecord],
        calls: dict[str, tuple[RecordWork, Piece]],
        ready: deque[RecordWork],
    ) -> Iterator[Request]:
        for record in records:
            work = RecordWork(record)
            if work.finished:
                ready.append(work)
            for piece in work.pieces(per_response=self.per_response):
                yield self._request(work, piece, calls)

    def _request(self, work: RecordWork, piece: Piece, calls: dict[str, tuple[RecordWork, Piece]]) -> Request:
        key = work.record.key
        tag = f"{key.domain}|{key.id}|{key.temperature}|{piece.tag}"
        calls[tag] = (work, piece)
        room = TOKENS_BESIDE + TOKENS_PER_VERDICT * len(piece.places)
        room = (room + TOKENS_OF_THOUGHT * self.facts.thinks) * (2 if piece.roomier else 1)
        return Request(
            key=key,
            prompt=work.message(piece),
            n=1,
            seed=0,
            sampling=Sampling(temperature=0.0, top_p=1.0, max_tokens=room),
            treatment=self._treatment(),
            schema=answer_schema(len(piece.places)) if self._takes_schema() else None,
            tag=tag,
        )

    def _complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        if self.batch:
            if self._batches is None:
                raise ConfigError("batches need a folder: judge a study with judge_responses")
            return self._batches.complete(requests, self._intents)
        return self._open_backend().generate(requests)

    def _treatment(self) -> Treatment:
        return Treatment("judge", system_prompt=self.rubric.text)

    def _takes_schema(self) -> bool:
        return self.is_remote or "schema" in self._open_backend().supports

    def _open_backend(self) -> Backend:
        if self._backend is None:
            options = dict(self._options)
            if self.is_remote:
                options |= {"sampling": self._sends_sampling(), "effort": self.effort}
            self._backend = open_backend(
                self.backend_name, self.model, options=options, needs=frozenset({"system_prompt"})
            )
        return self._backend

    def _open_batches(self, backend: RemoteBackend, place: Workplace) -> None:
        others = [Journal(folder / BATCHES) for folder in place.others]
        journal = Journal(place.folder / BATCHES)

        def known() -> frozenset[str]:
            return frozenset(each.batch_id for other in others for each in other.read() if each.batch_id)

        self._batches = Batches(
            backend.batches(),
            journal,
            trouble=backend.trouble,
            spend=self._spend,
            known=known,
            most_items=self._batch_items,
            times=self._times.setdefault(place.folder, {}),
            **self._adoption,
        )
        if not self.batch:
            if live := [intent for intent in journal.read() if intent.live]:
                raise ConfigError(
                    f"{place.folder}: {sum(len(each.items) for each in live):,} items are in flight in batches and "
                    "would be paid twice: collect them with the same command and --batch"
                )
            return
        self._intents = self._batches.settle()
        elsewhere = [each for other in others for each in other.read()]
        self._spend.commit(sum(each.ceiling for each in [*self._intents, *elsewhere] if each.live))

    def _find_model(self) -> str:
        """Return the provider's default, or the only model of a server of one's own."""
        if not self.is_remote:
            raise ConfigError(
                f"judge {self.default_name!r} needs a model: give --model, a hub id or a folder"
            )
        if self._is_official():
            return default_model(self.backend_name)
        backend = open_backend(self.backend_name, "unknown", options=self._options)
        known = backend.list_models() if isinstance(backend, RemoteBackend) else []
        if len(known) != 1:
            raise ConfigError(
                f"the server has {len(known)} models ({', '.join(known[:5])}): choose one with --model"
            )
        return known[0]

    def _is_official(self) -> bool:
        """Whether the requests go to a commercial provider itself."""
        if not self.is_remote:
            return False
        backend = self._backend or open_backend(self.backend_name, "unknown", options=self._options)
        return isinstance(backend, RemoteBackend) and backend.is_official

    def _sends_sampling(self) -> bool:
        """A provider's own models are asked for temperature 0 only where they are known to take one."""
        return self.facts.temperature is True if self._is_official() else True


class ClaudeJudge(ModelJudge):
    """Claude."""

    backend_name = "anthropic"
    default_name = "claude"


class AnthropicJudge(ModelJudge):
    """Any model behind Anthropic's API."""

    backend_name = "anthropic"
    default_name = "anthropic"


class OpenAIJudge(ModelJudge):
    """Any model behind OpenAI's API, or a server that speaks it."""

    backend_name = "openai"
    default_name = "openai"


class HfJudge(ModelJudge):
    """A local model with transformers."""

    backend_name = "hf"
    default_name = "hf"


class VllmJudge(ModelJudge):
    """A local model with vLLM."""

    backend_name = "vllm"
    default_name = "vllm"


def _make_name(judge: str, model: str | None) -> str:
    """Return the folder of the scores: the judge's name, and the model's where it is not the default."""
    if model is None:
        return judge
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip(".-") or "model"
    return short if short.startswith(judge) else f"{judge}-{short}"


def _check_number(name: str, value: float, *, least: float) -> float:
    if not least <= value < float("inf"):
        raise ConfigError(f"{name} {value} must be a number of {least:g} or more")
    return value


def _check_budget(budget: float | None) -> float | None:
    if budget is not None and not 0 <= budget < float("inf"):
        raise ConfigError(f"budget {budget} must be a finite number of dollars, 0 or more")
    return budget
