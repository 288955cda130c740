"""The `openai` backend: chat completions from OpenAI or from any server that speaks its API (vLLM, Ollama, ..)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from prefbench.backends.base import Completion, Output, Request, Usage
from prefbench.backends.remote.backend import RemoteBackend, require_reply
from prefbench.backends.remote.batches import BatchService
from prefbench.errors import BackendError

UNSUPPORTED = frozenset({"minLength", "maxLength"})
"""Schema keywords that OpenAI's strict mode refuses."""
LARGEST_SEED = 2**63


class OpenAIBackend(RemoteBackend):
    """Samples with chat completions: one call for all n answers where the server can."""

    provider: ClassVar[str] = "openai"
    official_url: ClassVar[str] = "https://api.openai.com/v1"
    url_variable: ClassVar[str] = "OPENAI_BASE_URL"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    many_answers: ClassVar[bool] = True

    def connect_one(self) -> AbstractAsyncContextManager[Any]:
        """Return a new client."""
        import openai

        http = openai.DefaultAsyncHttpxClient(**self.transport_options())
        client: AbstractAsyncContextManager[Any] = openai.AsyncOpenAI(
            api_key=None if self._has_key() else "none",
            base_url=self.base_url,
            max_retries=0,
            timeout=self.timeout,
            http_client=http,
        )
        return client

    def connect_blocking(self) -> Any:
        """Return a new client that waits, for the few requests of batches."""
        import openai

        key = None if self._has_key() else "none"
        return openai.OpenAI(api_key=key, base_url=self.base_url, max_retries=0, timeout=self.timeout)

    def batches(self) -> BatchService:
        """Return the provider's side of batches."""
        from prefbench.backends.openai_batches import OpenAIBatches

        return OpenAIBatches(self)

    async def call(self, clients: Iterator[Any], request: Request) -> Completion:
        """Send one request; a server that answers with fewer than n choices is asked again for the rest."""
        from openai.types.chat import ChatCompletion

        body = self.body(request)
        # the SDK walks through every argument that it knows: all but the required ones go as they are
        extra = {name: value for name, value in body.items() if name not in ("model", "messages")}
        create = next(clients).chat.completions.create
        outputs: tuple[Output, ...] = ()
        usage = Usage()
        while len(outputs) < request.n:
            left = request.n - len(outputs)
            if outputs:
                extra["n"] = left
                if "seed" in extra:
                    extra["seed"] = (request.seed + len(outputs)) % LARGEST_SEED
            reply = await create(model=body["model"], messages=body["messages"], extra_body=extra)
            require_reply(reply, ChatCompletion)
            part = read_chat(request, reply)
            if not part.outputs:
                raise BackendError(f"{self.base_url} answered without any choice; is it a chat server?")
            outputs += part.outputs[:left]
            usage += part.usage or Usage()
        return Completion(request, outputs, usage=usage)

    def body(self, request: Request) -> dict[str, Any]:
        """Return the JSON body of a request, as a batch holds it too."""
        sampling = request.sampling
        messages = [{"role": "user", "content": request.prompt}]
        if request.treatment.system_prompt:
            messages.insert(0, {"role": "system", "content": request.treatment.system_prompt})
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        # the old name is the one that other servers know
        body["max_completion_tokens" if self.is_official else "max_tokens"] = sampling.max_tokens
        if request.n > 1:
            body["n"] = request.n
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self.sampling:
            body |= {"temperature": sampling.temperature, "seed": request.seed % LARGEST_SEED}
            if sampling.top_p < 1:
                body["top_p"] = sampling.top_p
        if self.effort:
            body["reasoning_effort"] = self.effort
        if request.schema is not None:
            schema = self.schema_without(request.schema, UNSUPPORTED)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            }
        return body


def read_chat(request: Request, reply: Any) -> Completion:
    """Return the completion that a chat completion makes, its choices in their order."""
    used = reply.usage
    total = used.completion_tokens if used else 0
    choices = sorted(reply.choices, key=lambda choice: choice.index)
    outputs = tuple(
        Output(
            choice.message.content or "",
            choice.finish_reason,
            total // len(choices) + (1 if place < total % len(choices) else 0),  # not told by choice
        )
        for place, choice in enumerate(choices)
    )
    return Completion(request, outputs, usage=_usage(used))


def _usage(used: Any) -> Usage | None:
    if used is None:
        return None
    details = used.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    written = (details.cache_write_tokens or 0) if details else 0
    return Usage(max(0, used.prompt_tokens - cached - written), cached, written, used.completion_tokens)
