"""From pairs to token ids: the prompt exactly as evaluation sends it, then each answer and its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prefbench.backends.hf.prompts import render_messages
from prefbench.errors import ConfigError
from prefbench.training.pairs import Pair


@dataclass(slots=True)
class EncodedPairs:
    """Pairs in tokens, and how many did not fit."""

    rows: list[dict[str, list[int]]] = field(default_factory=list)
    """`prompt_ids`, `chosen_ids` and `rejected_ids`, the columns of TRL's DPO trainer."""
    dropped: int = 0
    """Pairs whose prompt alone fills the length: nothing of an answer would be left."""
    truncated: int = 0
    """Pairs of which the end of an answer is cut off."""


def encode_pairs(tokenizer: Any, pairs: Sequence[Pair], *, max_length: int) -> EncodedPairs:
    """Return the pairs in tokens.

    Raises ConfigError for a tokenizer that has no end of sequence, or no chat template for a conversation.
    """
    if tokenizer.eos_token_id is None:
        raise ConfigError("the tokenizer names no end-of-sequence token: an answer's end cannot be learned")
    if not tokenizer.chat_template and any(not isinstance(pair.prompt, str) for pair in pairs):
        raise ConfigError(
            "the pairs are conversations and the model has no chat template: give prompts as plain text"
        )
    found = EncodedPairs()
    for pair in pairs:
        row = encode_pair(tokenizer, pair)
        if len(row["prompt_ids"]) >= max_length:
            found.dropped += 1
            continue
        longest = max(len(row["chosen_ids"]), len(row["rejected_ids"]))
        found.truncated += len(row["prompt_ids"]) + longest > max_length
        found.rows.append(row)
    return found


def encode_pair(tokenizer: Any, pair: Pair) -> dict[str, list[int]]:
    """Return one pair in tokens: prompt, and both answers with the end of sequence behind them.

    The prompt keeps its tokens even where a tokenizer would merge its end with the beginning of the answer ("?"
    and an empty line): a model that is sampled starts behind the prompt's own tokens.
    """
    plain = isinstance(pair.prompt, str)
    text = str(pair.prompt) if plain else _render(tokenizer, pair)
    prompt = list(tokenizer(text, add_special_tokens=plain)["input_ids"])
    answers = {
        f"{name}_ids": _encode_answer(tokenizer, text, prompt, answer=answer, special=plain)
        for name, answer in (("chosen", pair.chosen), ("rejected", pair.rejected))
    }
    return {"prompt_ids": prompt, **answers}


def _render(tokenizer: Any, pair: Pair) -> str:
    messages = [message.model_dump() for message in pair.prompt if not isinstance(message, str)]
    thinking = bool(pair.chat_template_kwargs.get("enable_thinking", False))
    return render_messages(tokenizer, messages, enable_thinking=thinking)


def _encode_answer(tokenizer: Any, text: str, prompt: list[int], *, answer: str, special: bool) -> list[int]:
    together = list(tokenizer(text + answer, add_special_tokens=special)["input_ids"])
    if together[: len(prompt)] == prompt:
        ids = together[len(prompt) :]
    else:
        ids = list(tokenizer(answer, add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return ids if ids[-1:] == [end] else [*ids, end]
