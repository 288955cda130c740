"""Sentences that tell whoever judges the answer what to find, and so say nothing about the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefbench.judges.lexical.signals import Sentence

_JUDGE = r"(?:the |any |all )?(?:judges?|graders?|evaluators?|raters?|annotators?|scorers?)"
_START = (
    rf"\W*(?:(?:(?:a )?(?:note|message|instructions?) (?:to|for)|attention,?) {_JUDGE}\W+)?"
    r"(?:please |now |you (?:must|should|have to) )*"
)
_THIS = r"(?:this|the|my) (?:\w+ )?(?:response|answer|reply|text|output)"
_YES_OR_NO = r"['\"]?(?:[yn]|yes|no)['\"]?"
_ORDER = re.compile(
    rf"{_START}(?:(?:disregard|ignore|forget|override) (?:all |any |of )*(?:the rubric\b"
    r"|(?:your|(?:the |your )?(?:previous|prior|earlier|above)) (?:\w+ )?"
    r"(?:instructions?|rubric|guidelines|rules|prompt)\b)"
    rf"|(?:answer|output|give|return|assign|reply|respond|write) (?:\w+ )?{_YES_OR_NO} (?:for|to|on) {_THIS}"
    rf"|(?:mark|grade|score|judge|label|rate) {_THIS} (?:as |with )?(?:a )?{_YES_OR_NO}(?:\W|$))"
)
_RULING = re.compile(
    rf"\bthe (?:verdict|grade|label|score|rating) (?:for|of|on) {_THIS} (?:must|should|shall|has to|is to|will) be\b"
)
_OBJECTS = (
    " rubric", " instruction", " guidelines", " rules", " prompt", " response", " answer", " reply", " text",
    " output",
)  # fmt: skip
"""Every order has one of these: an answer without need not be looked at closer."""


def without_orders(sentences: Sequence[Sentence], text: str) -> tuple[Sentence, ...]:
    """Return the sentences of an answer (in plain form; `text` is all of it) that give its judge no orders."""
    low = text.lower()
    if not any([sign in low for sign in _OBJECTS]):  # noqa: C419 - a generator takes twice as long here
        return tuple(sentences)
    return tuple(sentence for sentence in sentences if not _is_order(sentence.text))


def _is_order(text: str) -> bool:
    return _ORDER.match(text) is not None or (" be" in text and _RULING.search(text) is not None)
