"""What a prompt asks for: a judgement or a service, its options and their labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from prefbench.options import CHOICE_FORMATS, parse_labels, parse_options

_PERSONAL = re.compile(
    r"\b(?:(?:you|your) (?:\w+ )?(?:prefer\w*|favou?rites?)|would you|do you (?:\w+ )?(?:like|enjoy"
    r"|love|find|value|think|believe|feel|consider|want)"
    r"|if you (?:could|had|were)|would (?:it|that|yours) be|you (?:(?:personally|most|really|yourself"
    r"|would) )?(?:find|like|enjoy|choose|pick|want|love"
    r"|admire|value)|(?:what|how) do you (?:do|say|talk about|respond|react|reply)(?=\?)"
    r"|your (?:opinion|view|choice|pick|taste)"
    r"|(?:appeals?|matters?|means?|sounds?|to) (?:\w+ )?(?:to )?you|draws you|you(?:'d)? (?:rather"
    r"|sooner))\b",
    re.IGNORECASE,
)
_ASKS_CHOICE = re.compile(
    r"(?!\s*(?:what|how|why|where|when|who)\b)(?!.*\bany(?:thing|one)?\b).*\b(?:prefer|rather|sooner"
    r"|which|better|worse|more|choose|pick)\b",
    re.IGNORECASE | re.DOTALL,
)
_SERVICE = re.compile(
    r"\s*(?:please,? |hi,? |hello,? )?(?:how|why|where|when|who|whom|write|tell|list|explain|describe"
    r"|give|make|create|generate"
    r"|compose|draft|help|show|teach|provide|translate|summari[sz]e|imagine|act|pretend|develop|design"
    r"|come up"
    r"|(?:can|could|will|would) you (?:please )?(?:\w+ )?(?:write|list|give|help|tell|make|create|show"
    r"|explain|describe|provide|generate)"
    r"|what(?:'s| is| are)? (?:the |some |a )?(?:\w+ )?(?:ways?|methods?|steps?|tips|strategies)\b"
    r"|what (?:does|do|did|happen|can|kind|type|steps)|i (?:want|need|would like))\b",
    re.IGNORECASE,
)
_JUDGEMENT = re.compile(
    r"\s*(?:should|is|are|am|do|does|would|was|were|will|must|has|have|can|could|which|rank|order"
    r"|choose|pick|name)\b"
    r"|.*\b(?:best|better|worst|worse|more|most) (?!way|method|to\b)\w+",
    re.IGNORECASE,
)
_LONGEST_PROMPT = 2_000  # characters; a question stands at the start or the end of a longer prompt


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as the judge sees it."""

    prompt: str
    format: str
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    asks_judgement: bool = True
    """Whether an answer is a stance of its own ("Which …", "Should I …") or a service ("How do I …")."""
    asks_service: bool = False
    """Whether something is to be done or explained, so that a first person in the answer is no stance."""
    personal: bool = False
    """Whether the answerer's own preference is asked for ("What is your favourite …")."""


@lru_cache(maxsize=4096)
def read_question(prompt: str, format: str) -> Question:
    """Return the question that a prompt asks; a prompt of any shape gives one."""
    options = parse_options(prompt, format) or ()
    if (
        not options
        and format not in CHOICE_FORMATS
        and " or " in prompt
        and _ASKS_CHOICE.match(prompt[:_LONGEST_PROMPT])
    ):
        options = parse_options(prompt, "binary_choice") or ()
    labelled = parse_labels(prompt) or ()
    labels = tuple(item.label for item in labelled) if len(labelled) == len(options) else ()
    return Question(
        prompt,
        format,
        options,
        labels,
        asks_judgement=_asks_judgement(prompt, format),
        asks_service=format not in CHOICE_FORMATS
        and _SERVICE.match(prompt) is not None
        and not is_personal(prompt),
        personal=is_personal(prompt),
    )


def is_personal(prompt: str) -> bool:
    """Whether a prompt asks for the answerer's own preference."""
    return _PERSONAL.search(prompt[:_LONGEST_PROMPT]) is not None


def _asks_judgement(prompt: str, format: str) -> bool:
    if format in CHOICE_FORMATS or format == "single_word":
        return True
    asked = prompt[:_LONGEST_PROMPT]
    if is_personal(prompt):
        return True
    return _SERVICE.match(asked) is None and _JUDGEMENT.match(asked) is not None
