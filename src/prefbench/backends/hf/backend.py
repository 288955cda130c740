"""The `hf` backend: blocks of requests in, completions out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from prefbench.backends.base import Completion, Request, Treatment
from prefbench.backends.hf.adapters import Adapters
from prefbench.backends.hf.decoding import BlockDecoder, Prompt
from prefbench.backends.hf.loading import identify_model, load_model
from prefbench.backends.hf.prompts import QA_STOP, encode_prompt, require_renderable, resolve_style
from prefbench.backends.hf.proving import prove_treatment
from prefbench.backends.hf.threads import choose_threads, use_threads
from prefbench.errors import BackendError, ConfigError, PrefbenchWarning
from prefbench.records import PromptItem, PromptStyle
from prefbench.steering import Plan, make_plan, steered
from prefbench.steering.measuring import Answer
from prefbench.steering.sites import find_blocks, model_width

SEEDING = (
    "answer i of a prompt is drawn by inverting its token distributions at the Philox uniforms of seed + i, "
    "whatever else is in the batch; the distributions themselves are equal up to floating-point rounding between "
    "batches, and exactly equal when the blocks, the device and the versions are the same, as after a resume"
)


class HfBackend:
    """Samples with transformers. `batch_size` counts prompts: a batch has batch_size x n rows."""

    supports: ClassVar[frozenset[str]] = frozenset(
        {"seed", "system_prompt", "stop", "chat", "adapter", "steering"}
    )

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 16,
        dtype: str = "auto",
        device: str = "auto",
        revision: str | None = None,
        enable_thinking: bool = False,
        threads: int | None = None,
        allow_other_base: bool = False,
    ) -> None:
        for option, value in (("batch_size", batch_size), ("threads", threads)):
            if value is not None and value < 1:
                raise ConfigError(f"{option} {value} must be 1 or more")
        self._name = model
        self._batch_size = batch_size
        self._enable_thinking = enable_thinking
        self._model, self._tokenizer = load_model(model, revision=revision, dtype=dtype, device=device)
        self._identity = identify_model(model, self._model)
        self._decoder = BlockDecoder(self._model, self._tokenizer)
        self._parameters = self._model.num_parameters()  # before an adapter adds its own
        self._adapters = Adapters(
            self._model, name=model, weights=self._identity, allow_other_base=allow_other_base
        )
        self._threads = threads or choose_threads(self._model)
        self._context = int(getattr(self._model.config, "max_position_embeddings", 0)) or None
        self._halved = False
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._unsteered: dict[Any, list[Answer]] = {}

    @property
    def block(self) -> int:
        """Prompts in one batch."""
        return self._batch_size

    @property
    def model(self) -> Any:
        """The transformers model, for what reads its hidden states."""
        return self._model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._tokenizer

    @property
    def weights(self) -> Mapping[str, Any]:
        """What pins the weights: a hub commit or a hash."""
        return self._identity

    def identify(self, treatment: Treatment) -> dict[str, Any]:
        """Return the weights, the adapter's, the number format, how prompts are put, and what is added where."""
        template = self._tokenizer.chat_template
        style = self._style(treatment)
        require_renderable(self._tokenizer, treatment, style=style, enable_thinking=self._enable_thinking)
        return {
            "weights": self._identity,
            "adapter_weights": self._adapters.identify(treatment.adapter),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "prompt_style": style,
            "chat_template_sha256": hashlib.sha256(str(template).encode()).hexdigest() if template else None,
            "enable_thinking": self._enable_thinking if style == "chat" else None,
            **({"steering": self.plan(treatment).describe()} if treatment.vectors else {}),
        }

    def describe(self) -> dict[str, Any]:
        """Return the architecture, the versions, the device and what seeds guarantee."""
        import torch
        import transformers

        return {
            "architecture": type(self._model).__name__,
            "parameters": self._parameters,
            "device": str(self._model.device),
            "context": self._context,
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                **self._adapters.versions(),
            },
            "batch_size": self._batch_size,
            "threads": self._threads,
            "seeding": SEEDING,
        }

    def plan(self, treatment: Treatment, *, strict: bool = False) -> Plan:
        """Return what a treatment's vectors come to on this model; their files are read once.

        Raises DataError and ConfigError as `make_plan` does.
        """
        key = (treatment.vectors, strict)
        if key not in self._plans:
            self._plans[key] = make_plan(
                treatment.vectors,
                width=model_width(self._model),
                blocks=len(find_blocks(self._model)),
                weights=self._identity,
                strict=strict,
            )
        return self._plans[key]

    def check_steering(
        self, treatment: Treatment, items: Sequence[PromptItem], *, strict: bool = False
    ) -> dict[str, Any]:
        """Prove on a few prompts that a treatment's vectors act as they say; return figures and warnings.

        Raises BackendError if they do not, ConfigError with `strict` for vectors of other weights.
        """
        plan = self.plan(treatment, strict=strict)
        with use_threads(self._threads), self._adapters.active(treatment.adapter):
            return prove_treatment(
                self._model,
                self._decoder,
                self._prepare,
                plan,
                treatment,
                items,
                unsteered=self._unsteered,
            )

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield the completions of each block when it is decoded, in the order of the requests."""
        for block in cut_blocks(requests, self._batch_size):
            yield from self._complete(block)

    def draw(
        self, requests: Iterable[Request]
    ) -> Iterator[tuple[Request, tuple[int, ...], list[tuple[tuple[int, ...], str]]]]:
        """Yield (request, prompt tokens, [(answer tokens, text), ...]): what hidden states are read from.

        The tokens of an answer end with its text: end-of-sequence and stop strings are cut off. Raises BackendError
        for a prompt that cannot be answered.
        """
        for block in cut_blocks(requests, self._batch_size):
            prepared = [self._prepare(request) for request in block]
            if faults := [item for item in prepared if isinstance(item, str)]:
                raise BackendError(f"a prompt cannot be read: {faults[0]}")
            prompts = [item for item in prepared if isinstance(item, Prompt)]
            asked = [prompt for prompt in prompts if prompt.request.n]
            with use_threads(self._threads), self._adapters.active(block[0].treatment.adapter):
                drawn = iter(self._decoder.draw_texts(asked) if asked else [])
            for prompt in prompts:
                yield prompt.request, tuple(prompt.ids), next(drawn) if prompt.request.n else []

    def _complete(self, block: Sequence[Request]) -> Iterator[Completion]:
        prepared = [self._prepare(request) for request in block]
        with self._adapters.active(block[0].treatment.adapter):
            answers = iter(self._decode([item for item in prepared if isinstance(item, Prompt)]))
        for request, item in zip(block, prepared, strict=True):
            if isinstance(item, Prompt):
                yield Completion(request, outputs=tuple(next(answers)))
            else:
                yield Completion(request, error=item, fault="overflow")

    def _decode(self, prompts: Sequence[Prompt]) -> list[Any]:
        """Decode a block, in halves if it has turned out not to fit into memory whole."""
        if not self._halved or len(prompts) < 2:
            answers = self._try(prompts)
            if answers is not None:
                return answers
            self._halve(prompts)
        middle = -(-len(prompts) // 2)
        parts = [self._try(part) for part in (prompts[:middle], prompts[middle:])]
        if None in parts:
            raise BackendError(
                f"out of memory with {_count_rows(prompts[:middle])} answers at once, half a batch: use a batch_size "
                f"below {self._batch_size // 2 or 1}, or fewer n_samples; what is finished is kept, and the same "
                "command goes on from there"
            )
        return [each for part in parts for each in part or []]

    def _try(self, prompts: Sequence[Prompt]) -> list[Any] | None:
        """Decode prompts; None if memory does not suffice. Only here no frame is left that would hold on to it."""
        import torch

        if not prompts:
            return []
        try:
            with use_threads(self._threads):
                return self._decode_treated(prompts, prompts[0].request.treatment)
        except torch.OutOfMemoryError:
            return None

    def _halve(self, prompts: Sequence[Prompt]) -> None:
        import torch

        self._halved = True
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"out of memory with {_count_rows(prompts)} answers at once: batches are halved from here on, which may "
            f"change answers by rounding; batch_size {max(1, self._batch_size // 2)} avoids this",
            PrefbenchWarning,
            stacklevel=2,
        )

    def _decode_treated(self, prompts: Sequence[Prompt], treatment: Treatment) -> list[Any]:
        if not treatment.vectors:
            return self._decoder.decode(prompts)
        with steered(self._model, self.plan(treatment)) as steering:
            answers = self._decoder.decode(prompts, steering)
            steering.require_active()
        return answers

    def _prepare(self, request: Request) -> Prompt | str:
        """Return the prompt in tokens, or what is wrong with it."""
        style = self._style(request.treatment)
        ids = encode_prompt(
            self._tokenizer,
            request.prompt,
            request.treatment,
            style=style,
            enable_thinking=self._enable_thinking,
        )
        room = self._context - len(ids) if self._context else request.sampling.max_tokens
        if room < 1:
            return f"the prompt has {len(ids)} tokens, the model's context is {self._context}"
        stop = request.sampling.stop + (QA_STOP if style == "qa" else ())
        return Prompt(request, ids, limit=min(request.sampling.max_tokens, room), stop=stop)

    def _style(self, treatment: Treatment) -> PromptStyle:
        return resolve_style(treatment.prompt_style, self._name, self._tokenizer)


def cut_blocks(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    """Yield the requests in blocks of at most `size` consecutive ones; no block mixes two treatments."""
    block: list[Request] = []
    for request in requests:
        if block and (len(block) == size or request.treatment != block[0].treatment):
            yield block
            block = []
        block.append(request)
    if block:
        yield block


def _count_rows(prompts: Sequence[Prompt]) -> int:
    return sum(prompt.request.n for prompt in prompts)
