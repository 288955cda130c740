"""What a prompt asks for: the kind of question, its options and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from prefbench.options import parse_labels, parse_options


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as the judge sees it."""

    prompt: str
    format: str
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def read_question(prompt: str, format: str) -> Question:
    """Return the question that a prompt asks."""
    options = parse_options(prompt, format) or ()
    labelled = parse_labels(prompt) or ()
    labels = tuple(item.label for item in labelled) if len(labelled) == len(options) else ()
    return Question(prompt, format, options, labels)
