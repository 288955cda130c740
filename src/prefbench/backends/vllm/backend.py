"""The `vllm` backend: a stream of requests of all conditions through one engine."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from prefbench.backends.base import Completion, Request, Treatment
from prefbench.backends.hf.loading import identify_model
from prefbench.backends.hf.prompts import require_renderable, resolve_style
from prefbench.backends.hf.proving import spread
from prefbench.backends.vllm.adapters import Adapters
from prefbench.backends.vllm.arguments import check_arguments, lora_arguments, platform_arguments
from prefbench.backends.vllm.engine import Engine, Job, start_engine
from prefbench.backends.vllm.interrupts import deferred_interrupt
from prefbench.backends.vllm.loading import load_parts
from prefbench.backends.vllm.logs import engine_log
from prefbench.backends.vllm.mixing import check_adapters
from prefbench.backends.vllm.requests import PromptEncoder, make_parameters, read_completion
from prefbench.backends.vllm.steering import Steering
from prefbench.errors import ConfigError, PrefbenchWarning
from prefbench.records import PromptItem, PromptStyle

SEEDING = (
    "answer i of a prompt is drawn by vLLM with the seed `seed + i`, whatever else is in the batch; the distributions "
    "are equal up to floating-point rounding between batches"
)
UNSEEDED = "answers are drawn without seeds: a second run gives others"
AHEAD = 2
"""Answers in the engine or waiting there, as a multiple of what it runs at once: enough that it never idles."""

SECONDS_BETWEEN_COUNTS = 10.0
"""How often, at most, the workers are asked while they run what they have steered."""


class VllmBackend:
    """Samples with vLLM. Engine arguments (`max_model_len`, `dtype`, `tensor_parallel_size`, ..) are vLLM's own."""

    supports: ClassVar[frozenset[str]] = frozenset(
        {"seed", "system_prompt", "stop", "chat", "adapter", "steering", "schema"}
    )

    def __init__(
        self,
        model: str,
        *,
        seeded: bool = True,
        enable_thinking: bool = False,
        allow_other_base: bool = False,
        **engine: Any,
    ) -> None:
        """Check what is asked for; the engine starts with the first prompt, when its conditions are known."""
        self._log = engine_log()
        self._name = model
        self._seeded = seeded
        self._enable_thinking = enable_thinking
        self._given = check_arguments(engine)
        self._parts = load_parts(model, self._given)
        self._weights = identify_model(model, SimpleNamespace(config=self._parts.config))
        self._encoder = PromptEncoder(self._parts.tokenizer, enable_thinking=enable_thinking)
        self._adapters = Adapters(name=model, weights=self._weights, allow_other_base=allow_other_base)
        self._steering = Steering(self._parts, self._weights)
        self._treatments: dict[Treatment, None] = {}
        self._steered_tokens: dict[str, Any] = {}
        self._engine: Engine | None = None

    @property
    def block(self) -> int:
        """1: requests are streamed, none waits for another."""
        return 1

    def identify(self, treatment: Treatment) -> dict[str, Any]:
        """Return the weights, the adapter's, the number format, how prompts are put, and whether draws are seeded."""
        template = self._parts.tokenizer.chat_template
        style = self._style(treatment)
        require_renderable(
            self._parts.tokenizer, treatment, style=style, enable_thinking=self._enable_thinking
        )
        adapter = self._adapters.identify(treatment.adapter)
        steering = {"steering": self._steering.plan(treatment).describe()} if treatment.vectors else {}
        if treatment not in self._treatments:
            self._treatments[treatment] = None
            if _needs_place(treatment):
                self.close()  # an engine that runs has none for it
        return {
            "weights": self._weights,
            "adapter_weights": adapter,
            "dtype": self._dtype(),
            "quantization": self._given.get("quantization"),
            "prompt_style": style,
            "chat_template_sha256": hashlib.sha256(str(template).encode()).hexdigest() if template else None,
            "enable_thinking": self._enable_thinking if style == "chat" else None,
            "seeded": self._seeded,
            **steering,
        }

    def describe(self) -> dict[str, Any]:
        """Return the engine's settings and versions, and what seeds guarantee; starts it if need be."""
        import torch
        import transformers
        import vllm

        config = self._ready().config
        return {
            "architecture": self._parts.architecture,
            "device": str(config.device_config.device_type),
            "context": int(config.model_config.max_model_len),
            "versions": {
                "vllm": vllm.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
            "engine": {name: _plain(value) for name, value in sorted(self._given.items())},
            "compiled": not config.model_config.enforce_eager and config.compilation_config.mode.value > 0,
            "prefix_caching": bool(config.cache_config.enable_prefix_caching),
            "seeding": SEEDING if self._seeded else UNSEEDED,
        }

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield completions in the order in which they finish. Requests are taken as the engine drains."""
        engine, coming = self._ready(), iter(requests)
        running: dict[str, tuple[Request, Job]] = {}
        self._steering.start_counting()
        checked = 0.0
        try:
            with deferred_interrupt() as interrupt:
                while True:
                    refused = self._feed(engine, coming, running)
                    yield from refused
                    if not running and not refused:
                        break
                    finished = self._collect(engine.poll(), running) if running else []
                    if finished and time.monotonic() - checked > SECONDS_BETWEEN_COUNTS:
                        self._steering.check_counts(running=True)
                        checked = time.monotonic()
                    yield from finished
                    if interrupt.pressed:
                        raise KeyboardInterrupt
            self._steered_tokens = self._steering.check_counts(running=False)
        finally:
            engine.abort(list(running))

    def check_steering(
        self, treatment: Treatment, items: Sequence[PromptItem], *, strict: bool = False
    ) -> dict[str, Any]:
        """Prove on a few prompts that a treatment's vectors act in this engine as they say; return the figures.

        Raises BackendError if they do not, ConfigError with `strict` for vectors of other weights.
        """
        self._steering.plan(treatment, strict=strict)
        self.identify(treatment)
        engine = self._ready()
        style = self._style(treatment)
        prompts = [self._encoder.encode(item.prompt, treatment, style) for item in spread(items)]
        adapters = [self._adapters.request(other.adapter) for other in self._treatments]
        return self._steering.prove(
            engine, treatment, prompts, adapter=self._adapters.request(treatment.adapter), others=adapters
        )

    def check_mixing(
        self, treatments: Sequence[Treatment], items: Sequence[PromptItem]
    ) -> list[dict[str, Any]]:
        """Prove on a few prompts that conditions with adapters and without, in one batch, are what each is alone.

        Raises BackendError if they are not. Vectors are left out: `check_steering` mixes them with everything else.
        """
        adapters = [self._adapters.request(each.adapter) for each in treatments if each.adapter]
        if not adapters:
            return []
        engine, treatment = self._ready(), treatments[0]
        prompts = [
            self._encoder.encode(item.prompt, treatment, self._style(treatment)) for item in spread(items)
        ]
        return check_adapters(engine, prompts, adapters)

    def steered_tokens(self) -> dict[str, Any]:
        """Return how many tokens of each slot were steered by the last `generate`, beside how many had to be."""
        return self._steered_tokens

    def close(self) -> None:
        """Give the device back."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _collect(
        self, finished: Iterable[tuple[str, Any]], running: dict[str, tuple[Request, Job]]
    ) -> list[Completion]:
        completions = []
        for name, output in finished:
            request, job = running.pop(name)
            self._steering.count(
                request.treatment, len(job.ids), [len(each.token_ids) for each in output.outputs]
            )
            completions.append(read_completion(request, output.outputs))
        return completions

    def _feed(
        self, engine: Engine, coming: Iterator[Request], running: dict[str, tuple[Request, Job]]
    ) -> list[Completion]:
        """Submit requests until the engine has enough ahead; return those that cannot be asked."""
        refused = []
        room = AHEAD * int(engine.config.scheduler_config.max_num_seqs)
        waiting = sum(request.n for request, _ in running.values())
        while waiting < room and (request := next(coming, None)) is not None:
            job = self._prepare(engine, request)
            if isinstance(job, str):
                refused.append(Completion(request, error=job, fault="overflow"))
                continue
            running[engine.submit(job)] = (request, job)
            waiting += request.n
        return refused

    def _prepare(self, engine: Engine, request: Request) -> Job | str:
        """Return a request as the engine takes it, or what is wrong with it."""
        treatment = request.treatment
        if _needs_place(treatment) and treatment not in self._treatments:
            raise ConfigError(
                f"condition {treatment.condition!r} was not named before the engine started: identify it before "
                "the first request"
            )
        style = self._style(treatment)
        ids = self._encoder.encode(request.prompt, treatment, style)
        context = int(engine.config.model_config.max_model_len)
        if len(ids) >= context:
            return f"the prompt has {len(ids)} tokens, the model's context is {context}"
        parameters = make_parameters(
            request,
            room=context - len(ids),
            style=style,
            seeded=self._seeded,
            slot=self._steering.slot(treatment),
        )
        return Job(ids, parameters, self._adapters.request(treatment.adapter), treatment.condition)

    def _ready(self) -> Engine:
        """Return the running engine; start it with room for every condition that has been named."""
        if self._engine is None:
            lora, raised = lora_arguments(self._given, self._adapters.ranks, self._adapters.modules)
            for line in raised:
                warnings.warn(line, PrefbenchWarning, stacklevel=2)
            arguments = {
                **self._given,
                **platform_arguments(self._given),
                **lora,
                **self._steering.arguments(self._given),
            }
            self._engine = start_engine(self._name, arguments, self._log)
            self._steering.arm(self._engine)
        return self._engine

    def _style(self, treatment: Treatment) -> PromptStyle:
        return resolve_style(treatment.prompt_style, self._name, self._parts.tokenizer)

    def _dtype(self) -> str:
        """Return the number format as the engine will have it."""
        from vllm.platforms import current_platform

        given = str(self._given.get("dtype", "auto"))
        if given != "auto":
            return given
        if current_platform.is_cpu():
            return "float32"
        return str(getattr(self._parts.text, "dtype", None) or "auto").removeprefix("torch.")


def _needs_place(treatment: Treatment) -> bool:
    """Whether the engine has to be started with room for it."""
    return treatment.adapter is not None or bool(treatment.vectors)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
