"""What a checkpoint's name says of it: pretrained only, or post-trained."""

from __future__ import annotations

import re

_PRETRAINED = re.compile(r"(^|[-_/.])(base|pt|pretrain(ed)?)([-_/.]|$)", re.IGNORECASE)


def names_pretrained(model: str) -> bool:
    """Whether a model's name says that it is pretrained only (Qwen3-8B-Base, gemma-3-4b-pt)."""
    return _PRETRAINED.search(model) is not None


def explain_post_trained(condition: str, model: str, *, chat_template: bool) -> str | None:
    """Return the warning for a base condition on what looks like a post-trained checkpoint, else None.

    `Qwen/Qwen3-8B` on the hub is the chat model; its pretrained weights are `Qwen/Qwen3-8B-Base`. A condition
    called base would then measure post-training as if it were the model before it.
    """
    if "base" not in condition.lower().split("_") or not chat_template or names_pretrained(model):
        return None
    return (
        f"{condition} samples {model}, which has a chat template and is not named a base model: it is most likely "
        f"post-trained, so its rates are not those of a pretrained model; if you mean that one, look for {model}-Base"
    )
