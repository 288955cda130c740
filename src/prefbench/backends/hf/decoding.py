"""Decode one block of prompts: a shared prefill, then n rows a prompt, each with its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from prefbench.backends.base import Output, Request
from prefbench.backends.hf.drawing import draw_uniforms, pick_tokens
from prefbench.errors import BackendError

if TYPE_CHECKING:
    import torch

    from prefbench.steering import Steering

COMPACT_BELOW = 0.75
"""Finished rows are dropped from the batch once fewer than this share of its rows still run."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request with its token ids, the number of tokens it may generate, and what ends an answer."""

    request: Request
    ids: list[int]
    limit: int
    stop: tuple[str, ...]


class Drawn(NamedTuple):
    """The tokens of one answer, and whether it ended by itself."""

    ids: list[int]
    ended: bool


class BlockDecoder:
    """Decodes blocks of prompts on one model."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._end_ids = sorted(_end_of_sequence_ids(model, tokenizer))
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._end_ids[0]
        self._stop_tokens = StopTokens(tokenizer, model.get_output_embeddings().weight.shape[0])

    def decode(self, prompts: Sequence[Prompt], steering: Steering | None = None) -> list[list[Output]]:
        """Return the n answers of each prompt."""
        return [
            [self._to_output(each, prompt.stop) for each in drawn]
            for prompt, drawn in zip(prompts, self.draw(prompts, steering), strict=True)
        ]

    def draw(self, prompts: Sequence[Prompt], steering: Steering | None = None) -> list[list[Drawn]]:
        """Return the tokens of the n answers of each prompt; `steering` is told where each token stands."""
        import torch

        rows = _Rows(prompts, self._model.device, tokenizer=self._tokenizer, stop_tokens=self._stop_tokens)
        rows.steering = steering
        with torch.inference_mode():
            answers = iter(rows.run(self._model, end_ids=self._end_ids, pad_id=self._pad_id))
        return [[next(answers) for _ in range(prompt.request.n)] for prompt in prompts]

    def draw_texts(self, prompts: Sequence[Prompt]) -> list[list[tuple[tuple[int, ...], str]]]:
        """Return (tokens, text) of the answers to each prompt, the tokens without what is not part of the text."""
        return [
            [(self._trim(each.ids, text := self._to_output(each, prompt.stop).text), text) for each in drawn]
            for prompt, drawn in zip(prompts, self.draw(prompts), strict=True)
        ]

    def _trim(self, ids: list[int], text: str) -> tuple[int, ...]:
        """Cut tokens off the end that are not needed for the text."""
        end = len(ids)
        while end and len(self._tokenizer.decode(ids[: end - 1], skip_special_tokens=True)) >= len(text):
            end -= 1
        return tuple(ids[:end])

    def _to_output(self, drawn: Drawn, stops: Sequence[str]) -> Output:
        text = self._tokenizer.decode(drawn.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Output(_cut(text, stops), "stop" if drawn.ended else "length", len(drawn.ids))


class StopTokens:
    """Finds the tokens in which a stop string may end, so that only rows that drew one are read as text."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._texts: list[str] | None = None
        self._known: dict[frozenset[str], torch.Tensor] = {}

    def ending(self, stops: frozenset[str]) -> torch.Tensor:
        """Return which token ids can be the last of a stop string, bool [vocabulary]."""
        import torch

        if stops not in self._known:
            if self._texts is None:
                self._texts = self._tokenizer.batch_decode([[token] for token in range(self._vocabulary)])
            # a replacement character stands for a part of a character, which may be the last one
            last = {stop[-1] for stop in stops if stop} | ({"\ufffd"} if stops else set())
            self._known[stops] = torch.tensor([not last.isdisjoint(text) for text in self._texts])
        return self._known[stops]


class _Rows:
    """The rows of one block while they are decoded. Row tensors shrink as rows finish."""

    def __init__(
        self, prompts: Sequence[Prompt], device: torch.device, *, tokenizer: Any, stop_tokens: StopTokens
    ) -> None:
        import torch

        self.tokenizer = tokenizer
        self.prompts = prompts
        self.device = device
        self.owner = [index for index, prompt in enumerate(prompts) for _ in range(prompt.request.n)]
        rows = [prompts[index] for index in self.owner]
        self.steps = max(prompt.limit for prompt in prompts)
        seeds = [prompt.request.seed + sample for prompt in prompts for sample in range(prompt.request.n)]
        self.uniforms = torch.from_numpy(draw_uniforms(seeds, self.steps)).to(device)
        sampling = [row.request.sampling for row in rows]
        self.temperatures = torch.tensor([each.temperature for each in sampling], device=device)
        self.top_p = torch.tensor([each.top_p for each in sampling], dtype=torch.float64, device=device)
        self.limits = torch.tensor([row.limit for row in rows], device=device)
        self.stops = [row.stop for row in rows]
        stops = frozenset(stop for row in self.stops for stop in row)
        self.stop_ends = stop_tokens.ending(stops).to(device) if stops else None  # [vocabulary]
        self.row = torch.arange(len(rows), device=device)  # [live rows]: which row of the block each one is
        self.running = torch.ones(len(rows), dtype=torch.bool, device=device)
        self.tokens = torch.zeros(len(rows), self.steps, dtype=torch.long, device=device)
        self.lengths = torch.zeros(len(rows), dtype=torch.long, device=device)
        self.ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
        self.steering: Steering | None = None

    def run(self, model: Any, *, end_ids: Sequence[int], pad_id: int) -> list[Drawn]:
        """Prefill, decode until every row has finished, and return the tokens of each row."""
        import torch

        ends = torch.tensor(end_ids, device=self.device)
        logits, cache, mask = self._prefill(model, pad_id)
        position = mask.sum(-1)  # [live rows]: where the next token stands
        for step in range(self.steps):
            chosen = self._choose(logits, step)
            self._record(chosen, step, ends)
            if not bool(self.running.any()):
                break
            if float(self.running.float().mean()) < COMPACT_BELOW:
                keep = self.running.nonzero()[:, 0]
                cache.batch_select_indices(keep)
                chosen, mask, position = chosen[keep], mask[keep], position[keep]
                self.row, self.running = self.row[keep], self.running[keep]
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            if self.steering:
                self.steering.place_answers()
            logits = _forward(model, chosen[:, None], mask, position[:, None], cache)
            position = position + 1
        tokens, lengths, ended = self.tokens.tolist(), self.lengths.tolist(), self.ended.tolist()
        return [Drawn(ids[:length], end) for ids, length, end in zip(tokens, lengths, ended, strict=True)]

    def _prefill(self, model: Any, pad_id: int) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """Run each prompt once and copy its cache for each of its rows."""
        import torch
        from transformers import DynamicCache

        width = max(len(prompt.ids) for prompt in self.prompts)
        padding = [width - len(prompt.ids) for prompt in self.prompts]
        ids = [[pad_id] * pad + prompt.ids for pad, prompt in zip(padding, self.prompts, strict=True)]
        input_ids = torch.tensor(ids, device=self.device)  # [prompts, width]
        mask = (torch.arange(width)[None] >= torch.tensor(padding)[:, None]).long().to(self.device)
        cache = DynamicCache(config=model.config)
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        if self.steering:
            self.steering.place(position, mask.sum(-1))
        logits = _forward(model, input_ids, mask, position, cache)
        owner = torch.tensor(self.owner, device=self.device)
        cache.batch_select_indices(owner)
        return logits[owner], cache, mask[owner]

    def _choose(self, logits: torch.Tensor, step: int) -> torch.Tensor:
        row = self.row
        return pick_tokens(logits, self.temperatures[row], self.top_p[row], self.uniforms[row, step])

    def _record(self, chosen: torch.Tensor, step: int, ends: torch.Tensor) -> None:
        """Keep the tokens of the running rows and note which of them have finished."""
        import torch

        live = self.row[self.running]
        self.tokens[live, step] = chosen[self.running]
        self.lengths[live] = step + 1
        ended = torch.isin(chosen, ends)
        if self.stop_ends is not None:
            ended |= self._stopped(step, self.stop_ends[chosen] & self.running)
        self.ended[live] = ended[self.running]
        self.running &= ~ended & (step + 1 < self.limits[self.row])

    def _stopped(self, step: int, suspects: torch.Tensor) -> torch.Tensor:
        """Return which of the suspected live rows now hold one of their stop strings, bool [live rows]."""
        import torch

        found = torch.zeros_like(suspects)
        for index in suspects.nonzero()[:, 0].tolist():
            row = int(self.row[index])
            # a token is one byte or more: the stop string lies within as many tokens as it has bytes
            reach = max((len(stop.encode()) for stop in self.stops[row]), default=0)
            tail = self.tokenizer.decode(
                self.tokens[row, max(0, step - reach) : step + 1], skip_special_tokens=True
            )
            found[index] = any(stop in tail for stop in self.stops[row])
        return found


def _forward(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, position: torch.Tensor, cache: Any
) -> torch.Tensor:
    """Return the logits after the last token, shape [rows, vocabulary], float32."""

    logits = (
        model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        .logits[:, -1]
        .float()
    )
    return cast("torch.Tensor", logits)


def _cut(text: str, stops: Sequence[str]) -> str:
    """Return the text before the first stop string in it."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text


def _end_of_sequence_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return every token id that ends an answer: the generation configuration's and the tokenizer's."""
    configured = model.generation_config.eos_token_id
    ids = set(configured if isinstance(configured, list) else [configured]) | {tokenizer.eos_token_id}
    ids.discard(None)
    if not ids:
        raise BackendError(
            "neither the model nor its tokenizer names an end-of-sequence token; answers cannot end"
        )
    return ids
