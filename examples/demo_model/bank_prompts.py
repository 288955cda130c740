"""The prompts of the bundled bank, split into those that the demo model is trained on and those held out."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

BANK = Path(__file__).resolve().parents[2] / "src" / "prefbench" / "data" / "prompts"
HELD_OUT = 0.2

_VERB_LEAD = re.compile(
    r"(\bwould you( rather| sooner| prefer to)?|\bdo you( rather)?|\bto)\s*$", re.IGNORECASE
)
_NOUN_START = re.compile(r"^(an?|the|one|some|its|my|your|their|two|many|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A prompt and what the answer templates have to know of it."""

    domain: str
    format: str
    prompt: str
    options: tuple[str, ...] = ()
    kind: str = "other"
    """What the options are: "noun", "verb" (base form, fits after "I would") or "other"."""


def option_kind(prompt: str, options: tuple[str, ...]) -> str:
    """Guess the kind of the options from their first words and from what stands before them in the prompt."""
    if not options:
        return "other"
    where = prompt.lower().find(options[0].lower())
    if where > 0 and _VERB_LEAD.search(prompt[:where]) and not _NOUN_START.match(options[0]):
        return "verb"
    return "noun" if all(_NOUN_START.match(option) for option in options) else "other"


def is_held_out(prompt: str) -> bool:
    """Whether a prompt is kept from training: fixed by its own text, so that additions move no other."""
    return int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < HELD_OUT


def load_bank(*, held_out: bool, folder: Path = BANK) -> list[Question]:
    """Return the bank's prompts of one side of the split, in file order. No bank, no prompts."""
    questions = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            if is_held_out(item["prompt"]) == held_out:
                options = tuple(item.get("options") or ())
                kind = option_kind(item["prompt"], options)
                questions.append(Question(item["domain"], item["format"], item["prompt"], options, kind))
    return questions
