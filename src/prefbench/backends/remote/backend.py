"""What the `anthropic` and `openai` backends share: options, keys, joining single answers to n."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from itertools import cycle
from typing import Any, ClassVar
from urllib.parse import urlsplit

from prefbench.backends.base import Completion, Output, Request, Treatment, Usage
from prefbench.backends.remote.batches import BatchService
from prefbench.backends.remote.catalogue import ModelFacts, Price, find_model, parse_price
from prefbench.backends.remote.faults import Trouble, UnreadableReplyError, classify
from prefbench.backends.remote.live import FIRST_DELAY, Service, complete_live
from prefbench.backends.remote.schemas import without_keywords
from prefbench.backends.remote.spend import Spend
from prefbench.errors import BackendError, ConfigError

CALLS_PER_CLIENT = 16

SEEDING = (
    "the seed of each request is sent where the server takes one; what it guarantees is the server's affair, "
    "and commercial services guarantee nothing"
)


class RemoteBackend(ABC):
    """A model behind a network. Keys come from the environment, and only from there."""

    supports: ClassVar[frozenset[str]] = frozenset({"system_prompt", "stop", "chat", "schema", "batch"})
    provider: ClassVar[str]
    official_url: ClassVar[str]
    url_variable: ClassVar[str]
    key_variables: ClassVar[tuple[str, ...]]
    many_answers: ClassVar[bool]
    """Whether one call can give n answers."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        concurrency: int = 64,
        timeout: float = 300.0,
        effort: str | None = None,
        sampling: bool = True,
        price: str | Price | None = None,
        first_delay: float = FIRST_DELAY,
    ) -> None:
        """Take note of the options; nothing is sent yet.

        `timeout` is in seconds, of one call. `sampling` says whether temperature, top_p and seed are sent: some
        models refuse them. `first_delay` is the longest wait, in seconds, before the second attempt at a call.
        """
        if concurrency < 1:
            raise ConfigError(f"concurrency {concurrency} must be 1 or more")
        if not 0 < timeout < float("inf"):
            raise ConfigError(f"timeout {timeout} must be a finite number of seconds above 0")
        self.model = model
        self.base_url = _check_url(base_url or os.environ.get(self.url_variable) or self.official_url)
        self.facts: ModelFacts = find_model(self.provider, model)
        self.price = parse_price(price) if isinstance(price, str) else price
        if self.price is None and self.is_official:
            self.price = self.facts.price
        self.effort = effort
        self.sampling = sampling
        self.timeout = timeout
        self.concurrency = concurrency
        self.first_delay = first_delay
        self.spend = Spend(self.price)
        self._blocking: Any = None
        self._ssl: Any = None
        self._schemas: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}

    @property
    def block(self) -> int:
        """Requests do not share any computation."""
        return 1

    @cached_property
    def is_official(self) -> bool:
        """Whether the requests go to the provider itself, and not to a server that speaks its language."""
        return urlsplit(self.base_url).hostname == urlsplit(self.official_url).hostname

    def identify(self, treatment: Treatment) -> dict[str, Any]:
        """Return the model's name; what stands behind it is not for us to see."""
        self._check_style(treatment)
        return {"weights": self.model, "prompt_style": "chat", "effort": self.effort}

    def describe(self) -> dict[str, Any]:
        """Return where the requests go, with which SDK, and what seeds guarantee."""
        return {
            "base_url": self.base_url,
            "versions": {self.provider: version(self.provider)},
            "concurrency": self.concurrency,
            "sampling_parameters_sent": self.sampling,
            "seeding": SEEDING,
        }

    def check_key(self) -> None:
        """Raise ConfigError if the provider needs a key and the environment has none."""
        if self.is_official and not self._has_key():
            raise ConfigError(
                f"no key for {self.base_url}: set {self.key_variables[0]} in the environment (and nowhere else)"
            )

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield completions as they finish, many calls under way at once.

        Raises ConfigError without a key, BackendError for what would hit every call.
        """
        self.check_key()
        checked = self._checked(requests)
        if self.many_answers:
            yield from self._complete(checked)
            return
        waiting: dict[int, _Joined] = {}
        for part in self._complete(_split(checked, waiting)):
            number = int(part.request.tag.rpartition("#")[2])
            if whole := waiting[number].take(part):
                del waiting[number]
                yield whole

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Iterator[Any]]:
        """Open the clients of live calls, to be taken in turn.

        The transport looks at every connection of a client for each call; several small clients keep that short.
        """
        async with AsyncExitStack() as stack:
            count = -(-self.concurrency // CALLS_PER_CLIENT)
            clients = [await stack.enter_async_context(self.connect_one()) for _ in range(count)]
            yield cycle(clients)

    @abstractmethod
    def connect_one(self) -> AbstractAsyncContextManager[Any]:
        """Return a new client of the SDK, without retries of its own."""

    @abstractmethod
    def connect_blocking(self) -> Any:
        """Return a new client that waits, without retries of its own."""

    @abstractmethod
    def batches(self) -> BatchService:
        """Return the provider's side of batches."""

    @abstractmethod
    async def call(self, clients: Iterator[Any], request: Request) -> Completion:
        """Send one request and return its completion; raises what the SDK raises."""

    def list_models(self) -> list[str]:
        """Return the models that the server says it has. Raises BackendError."""
        try:
            return sorted(str(model.id) for model in self.blocking.models.list())
        except Exception as error:  # noqa: BLE001 - trouble raises again what is a bug
            raise BackendError(self.trouble(error).message) from None
        finally:
            self.close()

    @property
    def blocking(self) -> Any:
        """The client of batches, that waits; opened when first used, until `close`."""
        if self._blocking is None:
            self._blocking = self.connect_blocking()
        return self._blocking

    def transport_options(self) -> dict[str, Any]:
        """Return what every client's transport is opened with: one TLS context, a kept connection a call."""
        import ssl

        import httpx2

        if self._ssl is None:
            self._ssl = ssl.create_default_context()
        limits = httpx2.Limits(
            max_connections=self.concurrency + 8, max_keepalive_connections=self.concurrency + 8
        )
        return {"limits": limits, "verify": self._ssl}

    def schema_without(self, schema: Mapping[str, Any], keywords: frozenset[str]) -> dict[str, Any]:
        """Return a schema as the provider takes it; the same schema is worked on once."""
        kept = self._schemas.get(id(schema))
        if kept is None or kept[0] is not schema:
            left_out = keywords if self.is_official else frozenset[str]()
            kept = self._schemas[id(schema)] = (schema, without_keywords(schema, left_out))
        return kept[1]

    def close(self) -> None:
        """Close the client of batches."""
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None

    def trouble(self, error: Exception) -> Trouble:
        """Return what an exception of the SDK means; raises again what is not the provider's fault."""
        return classify(
            error,
            sdk=import_module(self.provider),
            server=self.base_url,
            key_variable=self.key_variables[0],
            model=self.model,
        )

    def _complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        service = Service(self.connect, self.call, self.trouble, self.first_delay)
        yield from complete_live(requests, service, concurrency=self.concurrency, spend=self.spend)

    def _checked(self, requests: Iterable[Request]) -> Iterator[Request]:
        for request in requests:
            self._check_style(request.treatment)
            if self.sampling and self.is_official and self.facts.temperature is False:
                raise ConfigError(
                    f"{self.model} takes no temperature and no top_p (they are refused), so answers at several "
                    "temperatures cannot be had from it: choose another --model"
                )
            yield request

    def _check_style(self, treatment: Treatment) -> None:
        if treatment.prompt_style not in ("auto", "chat"):
            raise ConfigError(
                f"backend {self.provider!r} talks to chat models: --prompt-style {treatment.prompt_style} cannot be; "
                "use chat"
            )

    def _has_key(self) -> bool:
        return any(os.environ.get(name) for name in self.key_variables)


class _Joined:
    """The n answers to one request, coming in one by one."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._outputs: list[Output | None] = [None] * request.n
        self._usage = Usage()
        self._failed: Completion | None = None
        self._left = request.n

    def take(self, part: Completion) -> Completion | None:
        """Take one answer in; return the whole completion with the last one."""
        self._left -= 1
        self._usage += part.usage or Usage()
        if part.error is not None:
            self._failed = part
        else:
            self._outputs[part.request.seed - self._request.seed] = part.outputs[0]
        if self._left:
            return None
        if self._failed is not None:
            return Completion(
                self._request, error=self._failed.error, fault=self._failed.fault, usage=self._usage
            )
        outputs = tuple(output for output in self._outputs if output is not None)
        return Completion(self._request, outputs, usage=self._usage)


def _split(requests: Iterable[Request], waiting: dict[int, _Joined]) -> Iterator[Request]:
    """Yield n requests for one answer each."""
    for number, request in enumerate(requests):
        waiting[number] = _Joined(request)
        for index in range(request.n):
            yield replace(request, n=1, seed=request.seed + index, tag=f"{request.tag}#{number}")


def require_reply(reply: Any, kind: type) -> None:
    """Raise if an SDK handed back something else than the promised object: the body was no JSON of that shape."""
    if not isinstance(reply, kind):
        raise UnreadableReplyError(f"{type(reply).__name__} instead of {kind.__name__}")


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "the base URL must begin with http:// or https:// and name a host, as http://localhost:8000/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            "the base URL must hold no user, password or query, since it is written to the manifest: give "
            "scheme://host:port/path, and the key in the environment"
        )
    return url.rstrip("/")
