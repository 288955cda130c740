"""From a prompt and a condition to token ids: chat template, plain completion, or question and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefbench.backends.base import Treatment
from prefbench.checkpoints import names_pretrained
from prefbench.errors import ConfigError
from prefbench.records import PromptStyle

QA_STOP = ("\nQuestion:",)
"""A pretrained model goes on to invent the next question: the answer ends there."""


def resolve_style(style: PromptStyle, model: str, tokenizer: Any) -> PromptStyle:
    """Return the style that `auto` means: chat for a post-trained model with a chat template, else qa.

    Pretrained checkpoints often ship a chat template too, so the name counts as well.
    Raises ConfigError for `chat` without a template.
    """
    if style == "auto":
        return "chat" if tokenizer.chat_template and not names_pretrained(model) else "qa"
    if style == "chat" and not tokenizer.chat_template:
        raise ConfigError(f"model {model!r} has no chat template: use --prompt-style qa or completion")
    return style


def render_prompt(prompt: str, treatment: Treatment, style: PromptStyle) -> str:
    """Return the text that a plain (not chat) style sends, the system prompt first."""
    body = f"Question: {prompt}\nAnswer:" if style == "qa" else prompt
    return f"{treatment.system_prompt}\n\n{body}" if treatment.system_prompt else body


def encode_prompt(
    tokenizer: Any, prompt: str, treatment: Treatment, *, style: PromptStyle, enable_thinking: bool
) -> list[int]:
    """Return the token ids of a prompt in a style."""
    if style != "chat":
        return list(tokenizer(render_prompt(prompt, treatment, style))["input_ids"])
    messages = [{"role": "user", "content": prompt}]
    if treatment.system_prompt:
        messages.insert(0, {"role": "system", "content": treatment.system_prompt})
    text = render_messages(tokenizer, messages, enable_thinking=enable_thinking)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def require_renderable(
    tokenizer: Any, treatment: Treatment, *, style: PromptStyle, enable_thinking: bool
) -> None:
    """Raise ConfigError if prompts cannot be put in this style: before the first of them is, not in the middle."""
    encode_prompt(tokenizer, "What do you prefer?", treatment, style=style, enable_thinking=enable_thinking)


def render_messages(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, enable_thinking: bool) -> str:
    """Return a conversation in the tokenizer's chat template, up to where the model's answer begins.

    Raises ConfigError for a template that is broken or refuses these messages; some know no system prompt.
    """
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True, enable_thinking=enable_thinking
        )
    except TemplateError as error:
        roles = " and ".join(dict.fromkeys(message["role"] for message in messages))
        system = "leave the system prompt out, or " if messages[0]["role"] == "system" else ""
        raise ConfigError(
            f"the chat template of model {tokenizer.name_or_path!r} cannot take messages of {roles}: {error}; {system}"
            "use --prompt-style qa or completion"
        ) from error
    return str(text)
