"""The `anthropic` backend: Claude through the Messages API, or any server that speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from prefbench.backends.base import Completion, Output, Request, Usage
from prefbench.backends.remote.backend import RemoteBackend, require_reply
from prefbench.backends.remote.batches import BatchService

UNSUPPORTED = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern"})
"""Schema keywords that Claude's structured outputs refuse or ignore."""

_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


class AnthropicBackend(RemoteBackend):
    """Samples with Claude: one call an answer. The system prompt is cached."""

    provider: ClassVar[str] = "anthropic"
    official_url: ClassVar[str] = "https://api.anthropic.com"
    url_variable: ClassVar[str] = "ANTHROPIC_BASE_URL"
    key_variables: ClassVar[tuple[str, ...]] = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    many_answers: ClassVar[bool] = False

    def connect_one(self) -> AbstractAsyncContextManager[Any]:
        """Return a new client."""
        import anthropic

        key = None if self._has_key() else "none"
        http = anthropic.DefaultAsyncHttpxClient(**self.transport_options())
        client: AbstractAsyncContextManager[Any] = anthropic.AsyncAnthropic(
            api_key=key, base_url=self.base_url, max_retries=0, timeout=self.timeout, http_client=http
        )
        return client

    def connect_blocking(self) -> Any:
        """Return a new client that waits, for the few requests of batches."""
        import anthropic

        key = None if self._has_key() else "none"
        return anthropic.Anthropic(api_key=key, base_url=self.base_url, max_retries=0, timeout=self.timeout)

    def batches(self) -> BatchService:
        """Return the provider's side of batches."""
        from prefbench.backends.anthropic_batches import AnthropicBatches

        return AnthropicBatches(self)

    async def call(self, clients: Iterator[Any], request: Request) -> Completion:
        """Send one request for one answer."""
        from anthropic.types import Message

        message = await next(clients).messages.create(**self.arguments(request))
        require_reply(message, Message)
        return read_message(request, message)

    def arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments of `messages.create` for a request.

        All but the required ones go as they are: the SDK has no temperature any more, since the newest models refuse
        one, and it walks through every argument that it knows.
        """
        body = self.body(request)
        return {name: body.pop(name) for name in ("model", "max_tokens", "messages")} | {"extra_body": body}

    def body(self, request: Request, *, cache_hour: bool = False) -> dict[str, Any]:
        """Return the JSON body of a request, as a batch holds it too."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": sampling.max_tokens,
            "messages": [{"role": "user", "content": request.prompt}],
        }
        if request.treatment.system_prompt:
            lifetime = {"type": "ephemeral"} | ({"ttl": "1h"} if cache_hour else {})
            body["system"] = [
                {"type": "text", "text": request.treatment.system_prompt, "cache_control": lifetime}
            ]
        if sampling.stop:
            body["stop_sequences"] = list(sampling.stop)
        if self.sampling:
            body["temperature"] = sampling.temperature
            if sampling.top_p < 1:
                body["top_p"] = sampling.top_p
        output: dict[str, Any] = {"effort": self.effort} if self.effort else {}
        if request.schema is not None:
            output["format"] = {
                "type": "json_schema",
                "schema": self.schema_without(request.schema, UNSUPPORTED),
            }
        return body | ({"output_config": output} if output else {})


def read_message(request: Request, message: Any) -> Completion:
    """Return the completion that a message makes; only its text counts, not its thinking."""
    text = "".join(block.text for block in message.content if block.type == "text")
    finish = _FINISH.get(message.stop_reason, message.stop_reason)
    usage = Usage(
        message.usage.input_tokens,
        message.usage.cache_read_input_tokens or 0,
        message.usage.cache_creation_input_tokens or 0,
        message.usage.output_tokens,
    )
    return Completion(request, (Output(text, finish, message.usage.output_tokens),), usage=usage)
